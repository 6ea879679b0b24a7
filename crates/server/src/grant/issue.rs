//! The choke point and the mint: every grant asks the one and then the other.
//!
//! Spec: RFC 6749 §5.1
//! Spec: RFC 9068 §2
//! Spec: RFC 9449 §5

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use symbolon_protocol::{
    Client, Resource, ResourceIdentifier, Scopes, SigningAlgorithm, Timestamp, TokenFormat,
};
use symbolon_token::jose::SigningKey;
use symbolon_token::jwt::{self, Sector, Written};
use symbolon_token::revocation::{Hit, Target, public_name};
use symbolon_token::{
    Authority, Binding, Id, Marks, Narrowing, Position, Purpose, Slot, Token, opaque,
};

use super::{mapped_claims, subject, target};
use crate::cx::Cx;
use crate::encryption;
use crate::failure::{Broken, Failure, Refusal};
use crate::holder;
use crate::recent::MadeWith;
use crate::status_places;

/// What the token endpoint answers with.
#[derive(Serialize)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) token_type: &'static str,
    pub(crate) expires_in: u64,
    /// Left out where there is none: no scope is no text (RFC 6749 §3.3).
    #[serde(skip_serializing_if = "ScopeText::is_empty")]
    pub(crate) scope: ScopeText,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id_token: Option<String>,
    /// What an exchange issued (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issued_token_type: Option<&'static str>,
}

/// Scopes as a token answer writes them: one string.
pub(crate) struct ScopeText(pub(crate) Scopes);

impl ScopeText {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for ScopeText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What a grant wants to issue.
pub(crate) struct Wish<'a> {
    /// Who asks.
    pub(crate) client: &'a Client,
    /// What was granted, as a whole.
    pub(crate) whole: &'a Authority,
    /// The one audience of the token.
    pub(crate) audience: ResourceIdentifier,
    /// The scopes that were asked for, where fewer than granted.
    pub(crate) scopes: Option<Scopes>,
}

/// An authority that may be issued now. Only [`may_issue`] makes one.
pub(crate) struct Issuable {
    authority: Authority,
    resource: Option<Arc<Resource>>,
    lifetime: Duration,
}

/// Asks whether a wish may be granted: at redemption, on every path.
///
/// What is minted carries where the feed stood before anything of this request
/// was checked, so what is taken back later kills it.
pub(crate) fn may_issue(cx: &Cx, wish: Wish<'_>) -> Result<Issuable, Failure> {
    cx.check_fresh()?;
    check_live(cx, wish.whole)?;
    let settled = cx.check_settled(&wish.client.id, wish.whole.organization());
    if settled.is_err() {
        // What was recorded between the two looks is as late as before them.
        check_live(cx, wish.whole)?;
    }
    settled?;
    let resource = target::resource(cx, &wish.audience);
    let of_issuer = wish.audience.as_str() == cx.settings.issuer.as_str();
    if resource.is_none() && !of_issuer
        || was_deleted_since(cx, &wish.audience, wish.whole.position())
    {
        return Err(Refusal::invalid_target("resource is gone").into());
    }
    if resource
        .as_ref()
        .is_some_and(|own| !target::is_of_organization(own, wish.whole.organization()))
    {
        return Err(Refusal::invalid_target("resource belongs to another organization").into());
    }
    if let Some(organization) = wish.whole.organization() {
        if !cx.directory.stands(organization) {
            return Err(Refusal::invalid_grant("the organization is gone or disabled").into());
        }
        if !target::acts_for(wish.client, Some(organization.as_str())) {
            let why = "the client belongs to another organization now";
            return Err(Refusal::invalid_grant(why).into());
        }
    }
    // What was granted at another resource is not good here, and a scope that
    // was since taken from the client is not issued again.
    let asked = wish.scopes.unwrap_or_else(|| wish.whole.scopes().clone());
    let here = wish.whole.scopes_at(&wish.audience);
    let scopes = target::scopes_at(
        resource.as_deref(),
        &asked.intersection(&here).intersection(&wish.client.scopes),
    );
    if scopes.is_empty() && !asked.is_empty() {
        return Err(
            Refusal::invalid_scope("none of the scopes means anything at this resource").into(),
        );
    }
    let bound_to = wish.whole.binding();
    let binding = holder::binding(cx, wish.client, resource.as_deref(), bound_to)?;
    let lifetime = lifetime(cx, wish.client, resource.as_deref());
    let expires = (cx.now + lifetime).min(wish.whole.expires());
    let narrowed = wish.whole.narrow(Narrowing {
        scopes: Some(scopes),
        audience: Some(wish.audience),
        expires: Some(expires),
        binding: Some(binding),
        position: Some(cx.position),
        ..Narrowing::default()
    });
    let authority =
        narrowed.map_err(|_| Refusal::invalid_scope("that is more than was granted"))?;
    Ok(Issuable {
        lifetime: expires.since(cx.now),
        authority,
        resource,
    })
}

/// Whether a resource was deleted since it was granted, and another has its
/// identifier now. What a restore ends is for `check_live` to refuse.
pub(crate) fn was_deleted_since(cx: &Cx, audience: &ResourceIdentifier, granted: Position) -> bool {
    let marks = Marks {
        resource: Some(public_name(Target::Resource, audience.as_str())),
        ..Marks::default()
    };
    matches!(cx.feed.hit(&marks, granted), Some(Hit::Record(_)))
}

/// Refuses what a record has hit since it was granted.
pub(crate) fn check_live(cx: &Cx, authority: &Authority) -> Result<(), Refusal> {
    let marks = jwt::marks(authority, None, cx.keys.blinding());
    match cx.feed.hit(&marks, authority.position()) {
        Some(_) => Err(Refusal::invalid_grant("what this came from was taken back")),
        None => Ok(()),
    }
}

/// The shorter of what resource and client say; the server's own otherwise.
pub(crate) fn lifetime(cx: &Cx, client: &Client, resource: Option<&Resource>) -> Duration {
    let of_resource = resource.and_then(|resource| resource.access_token_lifetime);
    let own = of_resource.unwrap_or(cx.settings.lifetimes.access_token);
    client
        .access_token_lifetime
        .map_or(own, |of_client| of_client.min(own))
        .duration()
}

/// An access token that was just made.
pub(crate) struct Minted {
    pub(crate) text: String,
    pub(crate) expires_in: u64,
    pub(crate) scopes: Scopes,
    pub(crate) binding: Binding,
}

impl Issuable {
    /// Refuses where an earlier token of the same family was bound in a way in
    /// which this one is not.
    pub(crate) fn check_bound_like(&self, first: &Binding) -> Result<(), Refusal> {
        let own = self.authority.binding();
        if first.key.is_some() && own.key.is_none() {
            return Err(Refusal::invalid_dpop_proof(
                "tokens of this grant are bound to a key, so a DPoP proof is needed",
            ));
        }
        if first.certificate.is_some() && own.certificate.is_none() {
            return Err(Refusal::invalid_grant(
                "tokens of this grant are bound to a certificate",
            ));
        }
        Ok(())
    }

    /// What may be issued.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What was written of it elsewhere, as what was made.
    #[cfg(feature = "saml")]
    pub(crate) fn written_as(self, text: String) -> Minted {
        Minted {
            text,
            expires_in: self.lifetime.as_secs(),
            scopes: self.authority.scopes().clone(),
            binding: *self.authority.binding(),
        }
    }

    /// Writes the authority down in the resource's format, with the claims
    /// that the resource maps, and encrypted where it registered a key.
    pub(crate) async fn mint(self, cx: &Cx, client: &Client) -> Result<Minted, Failure> {
        let resource = self.resource.as_deref();
        let mapped = mapped_claims::for_access_token(cx, resource, &self.authority).await?;
        let format = self
            .resource
            .as_ref()
            .map_or(TokenFormat::Jwt, |resource| resource.token_format);
        let made_with = self.made_with(cx, format)?;
        let (text, token) = match format {
            TokenFormat::Opaque => {
                let minted =
                    opaque::mint(&cx.keys, cx.bound(), &self.authority, cx.now, cx.entropy());
                let minted = minted.map_err(|_| {
                    Refusal::invalid_scope("so many scopes do not fit into one token")
                })?;
                (minted.text, minted.token)
            }
            TokenFormat::Jwt => {
                let (signed, token) = match status_places::is_asked_for(resource) {
                    false => self.mint_jwt(cx, client, &mapped)?,
                    true => Box::pin(self.mint_listed(cx, client, mapped)).await?,
                };
                let text = match resource {
                    Some(resource) if resource.encryption().is_some() => {
                        Box::pin(encryption::to_resource(cx, resource, signed)).await?
                    }
                    _ => signed,
                };
                (text, token)
            }
            TokenFormat::Macaroon => {
                super::macaroon::mint(cx, client, &self.authority, (resource, &mapped))?
            }
        };
        let minted = Minted {
            text,
            expires_in: self.lifetime.as_secs(),
            scopes: self.authority.scopes().clone(),
            binding: *self.authority.binding(),
        };
        cx.recent.issued(cx, token, self.authority, made_with);
        Ok(minted)
    }

    /// The key that makes it.
    fn made_with(&self, cx: &Cx, format: TokenFormat) -> Result<MadeWith, Broken> {
        let working = |purpose| MadeWith::Working(purpose, cx.keys.current_number(purpose));
        Ok(match format {
            TokenFormat::Jwt => MadeWith::Signing(self.signer(cx)?.kid().to_owned()),
            TokenFormat::Opaque => working(Purpose::AccessToken),
            TokenFormat::Macaroon => working(Purpose::Macaroon),
        })
    }

    /// The same, with a place in a status list.
    async fn mint_listed(
        &self,
        cx: &Cx,
        client: &Client,
        mut claims: Map<String, Value>,
    ) -> Result<(String, Id<Token>), Failure> {
        let place = cx.status_places.take(cx).await?;
        claims.insert("status".to_owned(), place.claim(cx));
        let (signed, token) = self.mint_jwt(cx, client, &claims)?;
        let kid = self.signer(cx)?.kid().to_owned();
        place.enter(cx, (token, kid), &self.authority).await?;
        Ok((signed, token))
    }

    fn mint_jwt(
        &self,
        cx: &Cx,
        client: &Client,
        mapped: &Map<String, Value>,
    ) -> Result<(String, Id<Token>), Failure> {
        let key = self.signer(cx)?;
        let minted = written(cx, client, (&self.authority, mapped), |written| {
            (jwt::mint(key, written, &self.authority), written.token)
        });
        cx.seen.note_made(&minted.0, &cx.app.keys.load().own);
        Ok(minted)
    }

    /// The key that signs for the resource now.
    fn signer<'a>(&self, cx: &'a Cx) -> Result<&'a Arc<SigningKey>, Broken> {
        let algorithm = self
            .resource
            .as_ref()
            .map_or(SigningAlgorithm::Es256, |resource| resource.signing_alg);
        let key = cx.keys.signer(algorithm);
        key.ok_or(Broken::Impossible("no key for a signing algorithm"))
    }
}

/// What a token says besides its authority, for a client in its sector, with
/// claims that were mapped.
pub(super) fn written<T>(
    cx: &Cx,
    client: &Client,
    (authority, mapped): (&Authority, &Map<String, Value>),
    write: impl FnOnce(&Written<'_>) -> T,
) -> T {
    let sector = subject::sector(client);
    let names = sector
        .as_deref()
        .map(|own| cx.keys.blinding().of_sector(own));
    let session = authority.session();
    write(&Written {
        issuer: &cx.settings.issuer,
        subject: &subject::of(&cx.keys, client, authority.subject()),
        token: Id::new(Slot::of_client(&client.id), cx.entropy()),
        issued: cx.now,
        blinding: cx.keys.blinding(),
        claims: mapped,
        sector: names.as_ref().map(|blinding| Sector {
            blinding,
            session: session.map(|id| subject::session(&cx.keys, client, id)),
        }),
    })
}

impl Minted {
    /// The answer with an access token alone.
    pub(crate) fn into_issued(self) -> Issued {
        Issued {
            access_token: self.text,
            token_type: token_type(&self.binding),
            expires_in: self.expires_in,
            scope: ScopeText(self.scopes),
            refresh_token: None,
            id_token: None,
            issued_token_type: None,
        }
    }
}

/// How a token with a binding is sent. One that is bound to a certificate
/// alone is a bearer token that needs the right connection (RFC 8705 §3).
pub(crate) const fn token_type(binding: &Binding) -> &'static str {
    if binding.key.is_some() {
        "DPoP"
    } else {
        "Bearer"
    }
}

/// The end of a credential that lives for a while from now.
pub(crate) fn after(now: Timestamp, lifetime: symbolon_protocol::Lifetime) -> Timestamp {
    now + lifetime.duration()
}
