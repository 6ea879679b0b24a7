//! The result of an exchange, in the kind that was asked for.
//!
//! Spec: RFC 8693 §2.2.1

use serde_json::Value;
use symbolon_protocol::{Client, ResourceIdentifier, Scopes, TokenFormat, TokenKind};
use symbolon_token::{Authority, Binding};

use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::grant::issue::{Issued, ScopeText, Wish};
use crate::grant::mapped_claims::{self, Facts};
use crate::grant::{id_token, may_issue, subject, target};

/// What may be written down.
pub(super) struct Narrowed {
    /// The derived authority.
    pub(super) whole: Authority,
    /// Where.
    pub(super) audience: ResourceIdentifier,
    /// What.
    pub(super) scopes: Scopes,
    /// Whether the subject token came of a sign-in to the client itself.
    pub(super) is_own: bool,
    /// In which ways the result has to be bound.
    pub(super) bound_like: Binding,
}

/// Writes the result.
pub(super) async fn issue(
    cx: &Cx,
    client: &Client,
    requested: TokenKind,
    narrowed: Narrowed,
) -> Result<Issued, Failure> {
    let issued = match requested {
        TokenKind::AccessToken => access_token(cx, client, narrowed).await?,
        TokenKind::Jwt => {
            let resource = target::resource(cx, &narrowed.audience);
            // Whoever holds a token of this API may not read it.
            if resource.is_some_and(|own| own.token_format != TokenFormat::Jwt) {
                return Err(Refusal::invalid_target("the tokens of that API are not JWTs").into());
            }
            access_token(cx, client, narrowed).await?
        }
        TokenKind::IdToken => id_token(cx, client, &narrowed).await?,
        #[cfg(feature = "saml")]
        TokenKind::Saml2 => Box::pin(super::saml2::issue(cx, client, narrowed)).await?,
        #[cfg(not(feature = "saml"))]
        TokenKind::Saml2 => {
            let why = "this program was built without SAML";
            return Err(Refusal::invalid_request(why).into());
        }
        TokenKind::RefreshToken | TokenKind::ApiKey => {
            return Err(Refusal::invalid_request("no such token comes of an exchange here").into());
        }
    };
    Ok(Issued {
        issued_token_type: Some(requested.urn()),
        ..issued
    })
}

async fn access_token(cx: &Cx, client: &Client, narrowed: Narrowed) -> Result<Issued, Failure> {
    let wish = Wish {
        client,
        whole: &narrowed.whole,
        audience: narrowed.audience,
        scopes: Some(narrowed.scopes),
    };
    let issuable = may_issue(cx, wish)?;
    issuable.check_bound_like(&narrowed.bound_like)?;
    Ok(issuable.mint(cx, client).await?.into_issued())
}

/// An ID token again, for the client that the person signed in to: who a
/// person is, another client learns only from the person.
async fn id_token(cx: &Cx, client: &Client, narrowed: &Narrowed) -> Result<Issued, Failure> {
    let own = &narrowed.whole;
    let is_own = narrowed.is_own && own.actors().is_empty();
    let Some(person) = own.person().filter(|_| is_own) else {
        return Err(Refusal::invalid_request(
            "an ID token is for the client that the person signed in to",
        )
        .into());
    };
    if !narrowed.scopes.contains("openid") {
        return Err(Refusal::invalid_scope("an ID token needs the scope openid").into());
    }
    let wish = Wish {
        client,
        whole: own,
        audience: narrowed.audience.clone(),
        scopes: Some(narrowed.scopes.clone()),
    };
    may_issue(cx, wish)?;
    let end = own
        .expires()
        .min(cx.now + cx.settings.lifetimes.id_token.duration());
    let found = mapped_claims::person(cx, &client.claims, Some(person)).await?;
    let facts = Facts::of(own, found.as_ref());
    let mut claims = mapped_claims::for_client(cx, client, &narrowed.scopes, facts)?;
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", cx.settings.issuer.as_str().into());
    set("sub", subject::of_person(&cx.keys, client, person).into());
    set("aud", client.id.as_str().into());
    set("iat", cx.now.seconds().into());
    set("exp", end.seconds().into());
    if let Some(authentication) = own.authentication() {
        let time = authentication.time_by(cx.now);
        set("auth_time", time.seconds().into());
        set("acr", (*authentication.acr).into());
        let methods = authentication
            .amr
            .iter()
            .map(|method| Value::from(&**method));
        set("amr", methods.collect());
    }
    Ok(Issued {
        access_token: id_token::write(cx, client, &claims).await?,
        token_type: "N_A",
        expires_in: end.since(cx.now).as_secs(),
        scope: ScopeText("openid".parse().unwrap_or_default()),
        refresh_token: None,
        id_token: None,
        issued_token_type: None,
    })
}
