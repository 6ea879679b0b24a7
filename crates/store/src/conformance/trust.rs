//! How trusted issuers must behave.

use symbolon_protocol::TrustedIssuer;

use super::administration::organization;
use super::world::World;
use super::{Broken, Checked, check, same};
use crate::client::{Created, Updated};
use crate::revocation::Target;
use crate::trusted_issuer::{
    AllTrustedIssuers, CreateTrustedIssuer, DeleteTrustedIssuer, FindTrustedIssuer,
    SetIssuerTrusted, UpdateTrustedIssuer,
};

pub(crate) async fn partner(world: &World) -> Result<CreateTrustedIssuer, Broken> {
    let unique = u64::from_be_bytes(world.bytes());
    let issuer: TrustedIssuer = serde_json::from_value(serde_json::json!({
        "issuer": format!("https://partner{unique}.example.net"),
        "jwks_uri": "https://partner.example.net/jwks",
        "resource": "https://api.example.com",
        "organization": organization(world).await?,
        "scopes": ["read:orders"],
    }))
    .map_err(|_| Broken::from("a trusted issuer cannot be written down"))?;
    Ok(CreateTrustedIssuer {
        issuer,
        trusted: true,
        audit: world.audit("trusted_issuer.create"),
        now: world.now,
    })
}

/// Created once, read back as written, and every change is one of the
/// configuration.
pub(crate) async fn trusted_issuers_are_created_changed_and_deleted(world: &World) -> Checked {
    let create = partner(world).await?;
    let mut issuer = create.issuer.clone();
    let find = FindTrustedIssuer {
        issuer: issuer.issuer.clone(),
    };
    let before = world.feed(None).await?.version.configuration;
    same(&world.store.act(create.clone()).await?, &Created::Created)?;
    same(&world.store.act(create).await?, &Created::Exists)?;
    issuer.jwks_uri = Some("https://elsewhere.example.net/jwks".to_owned());
    let update = UpdateTrustedIssuer {
        issuer: issuer.clone(),
        was: None,
        audit: world.audit("trusted_issuer.update"),
        now: world.now,
    };

    same(&world.store.act(update.clone()).await?, &Updated::Updated)?;

    let after = world.feed(None).await?.version.configuration;
    check(after >= before + 2, "a change did not raise it")?;
    let found = world.store.read(find.clone()).await?;
    same(&found.map(|found| found.issuer), &Some(issuer.clone()))?;
    let all = world.store.read(AllTrustedIssuers).await?;
    let own = all.iter().filter(|own| own.issuer == issuer);
    same(&own.count(), &1)?;
    let delete = DeleteTrustedIssuer {
        issuer: issuer.issuer,
        audit: world.audit("trusted_issuer.delete"),
        now: world.now,
        horizon: world.horizon(),
    };
    same(&world.store.act(delete.clone()).await?, &Updated::Updated)?;
    same(&world.store.act(delete).await?, &Updated::Missing)?;
    same(&world.store.act(update).await?, &Updated::Missing)?;
    same(&world.store.read(find).await?, &None)
}

/// Distrusting and deleting are records, trusting again is none.
pub(crate) async fn a_distrusted_issuer_is_recorded(world: &World) -> Checked {
    let create = partner(world).await?;
    let issuer = create.issuer.issuer.clone();
    let target = Target::Issuer(issuer.as_str().to_owned());
    world.store.act(create).await?;
    let set = |trusted| SetIssuerTrusted {
        issuer: issuer.clone(),
        trusted,
        audit: world.audit("trusted_issuer.distrust"),
        now: world.now,
        horizon: world.horizon(),
    };

    same(&world.store.act(set(false)).await?, &Updated::Updated)?;
    let first = world.records(&target).await?;
    same(&world.store.act(set(true)).await?, &Updated::Updated)?;
    let again = world.records(&target).await?;
    let delete = DeleteTrustedIssuer {
        issuer: issuer.clone(),
        audit: world.audit("trusted_issuer.delete"),
        now: world.now,
        horizon: world.horizon(),
    };
    world.store.act(delete).await?;
    let last = world.records(&target).await?;

    same(&(first.len(), again == first), &(1, true))?;
    same(&last.len(), &1)?;
    let later = last[0].position > first[0].position;
    super::check(later, "deleting an issuer took no number of its own")
}
