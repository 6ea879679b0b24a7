//! What a client must not be: what `Client::problems` finds, which the
//! configuration file asks as well, and what only this installation can say.

use symbolon_protocol::{Client, RefreshRotation, RegisteredKeys};
use symbolon_store::{FindOrganization, FindResource};

use crate::authn::client::lacking;
use crate::cx::Cx;
use crate::encryption;

use super::super::failed::{Failed, Refused};

/// Refuses a client that cannot be. What `before` names already may be at odds
/// with others by now: that is for a change of those names.
pub(super) async fn client(
    cx: &Cx,
    client: &Client,
    before: Option<&Client>,
) -> Result<(), Failed> {
    if let Some(problem) = client.problems().into_iter().next() {
        return Err(Refused::member(&problem.field, problem.message).into());
    }
    alone(client, cx.settings.issuer.is_plain_http())?;
    super::super::claims::check(cx, &client.claims)?;
    let names = |own: &Client| (own.organization.clone(), own.resources.clone());
    if before.is_some_and(|before| names(before) == names(client)) {
        return Ok(());
    }
    if let Some(id) = &client.organization {
        let found = cx.store.read(FindOrganization { id: id.clone() }).await?;
        if found.is_none() {
            return Err(Refused::member(
                "organization",
                format!("there is no organization `{id}`"),
            )
            .into());
        }
    }
    for identifier in &client.resources {
        let named = FindResource {
            name: identifier.as_str().to_owned(),
        };
        let owner = cx
            .store
            .read(named)
            .await?
            .and_then(|stored| stored.resource.organization);
        if owner.is_some() && owner != client.organization {
            let why = format!(
                "`{identifier}` belongs to an organization that the client does not belong to"
            );
            return Err(Refused::member("resources", why).into());
        }
    }
    Ok(())
}

/// What can be seen from the client alone. Plain http is for this machine.
fn alone(client: &Client, is_local: bool) -> Result<(), Refused> {
    for origin in &client.origins {
        let parsed = url::Url::parse(origin).ok();
        if parsed.is_none_or(|url| url.origin().ascii_serialization() != *origin) {
            return Err(Refused::member(
                "origins",
                format!("`{origin}` is no origin; write it as in `https://shop.example.com`"),
            ));
        }
    }
    if client.refresh_rotation == RefreshRotation::Never && !client.is_confidential() {
        return Err(Refused::member(
            "refresh_rotation",
            "`never` is for confidential clients only",
        ));
    }
    if let (Some(idle), Some(absolute)) = (client.refresh_token_idle, client.refresh_token_absolute)
        && idle > absolute
    {
        return Err(Refused::member(
            "refresh_token_idle",
            "is after `refresh_token_absolute`",
        ));
    }
    let sector = client.sector_identifier_uri.as_deref();
    address("sector_identifier_uri", sector, is_local)?;
    let logout = client.logout.backchannel_logout_uri.as_deref();
    address("backchannel_logout_uri", logout, is_local)?;
    keys(client.registered_keys(), is_local)?;
    if let Some(why) = lacking(client) {
        return Err(Refused::member("jwks", why));
    }
    for (name, alg) in client.encryption.wanted() {
        if encryption::lack(client.registered_keys(), alg) {
            return Err(Refused::member(name, encryption::lacking(alg)));
        }
    }
    Ok(())
}

fn address(name: &str, uri: Option<&str>, is_local: bool) -> Result<(), Refused> {
    let Some(uri) = uri else {
        return Ok(());
    };
    let scheme = url::Url::parse(uri)
        .map(|url| url.scheme().to_owned())
        .unwrap_or_default();
    if scheme != "https" && !(is_local && scheme == "http") {
        return Err(Refused::member(name, "is an https URL"));
    }
    Ok(())
}

/// Refuses public keys that are none, and an address that anybody could answer
/// for.
pub(in super::super) fn keys(
    registered: RegisteredKeys<'_>,
    is_local: bool,
) -> Result<(), Refused> {
    address("jwks_uri", registered.jwks_uri, is_local)?;
    let Some(jwks) = registered.jwks else {
        return Ok(());
    };
    let Some(keys) = jwks.get("keys").and_then(|keys| keys.as_array()) else {
        return Err(Refused::member(
            "jwks",
            "is a key set, as in `{\"keys\": [...]}`",
        ));
    };
    let is_private = |key: &serde_json::Value| {
        ["d", "k", "p", "q"]
            .iter()
            .any(|name| key.get(name).is_some())
    };
    if keys.iter().any(is_private) {
        return Err(Refused::member(
            "jwks",
            "holds a private or a symmetric key, which only its owner may have",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(patch: serde_json::Value) -> String {
        let mut whole =
            json!({"id": "app", "kind": "native", "redirect_uris": ["http://127.0.0.1/cb"]});
        for (name, value) in patch.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let client: Client = serde_json::from_value(whole).unwrap();
        alone(&client, false)
            .err()
            .map(|refused| refused.description().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn what_the_configuration_refuses_is_refused_here() {
        assert_eq!(refused(json!({})), "");
        for (name, value) in [
            ("origins", json!(["https://a.example/"])),
            ("refresh_rotation", json!("never")),
            ("jwks_uri", json!("http://a.example/jwks")),
            ("jwks", json!({"keys": [{"kty": "EC", "d": "x"}]})),
            ("jwks", json!({})),
        ] {
            assert!(
                refused(json!({ name: value })).starts_with(&format!("`{name}`")),
                "{name}"
            );
        }
        let ends = json!({"refresh_token_idle": "2d", "refresh_token_absolute": "1d"});
        assert!(refused(ends).starts_with("`refresh_token_idle`"));
    }
}
