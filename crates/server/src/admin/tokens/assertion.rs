//! A SAML assertion: one of this server's own as any other token of ours, one
//! of a trusted issuer as the token endpoint would take it.
//!
//! Spec: RFC 7522 §3
//! Spec: SAML 2.0 Core §2.5.1

use serde_json::json;
use symbolon_token::explain::Refused as Why;
use symbolon_token::saml::{Presented, Refused};

use crate::cx::Cx;
use crate::endpoint::presented;
use crate::grant::trusted_issuer::Sent;
use crate::grant::{partner_assertion, saml2};

use super::super::failed::Failed;
use super::{Question, Reason, Told, check_audience};

pub(super) async fn told(cx: &Cx, question: &Question) -> Result<Told, Failed> {
    let refused = |why: Refused| Told::of(Some(Reason::Check(Why::Assertion(why))));
    let shown = match saml2::presented(cx, &question.token) {
        Ok(shown) => shown,
        Err(why) => return Ok(refused(why)),
    };
    if shown.claimed_issuer() == cx.settings.issuer.as_str() {
        return of_this_server(cx, question, &shown).await;
    }
    let found = cx.directory.find_trusted_issuer(shown.claimed_issuer());
    let Some(found) = found.filter(|own| own.trusted) else {
        let found = shown.claimed_issuer().to_owned();
        return Ok(refused(Refused::Issuer { found }));
    };
    match partner_assertion::open(cx, &found.issuer, &shown, Sent::AsGrant) {
        Ok(opened) => Ok(Told {
            known: json!({ "issuer": found.issuer.issuer, "id": opened.id() }),
            ..Told::of(None)
        }),
        Err(why) => Ok(refused(why)),
    }
}

async fn of_this_server(cx: &Cx, question: &Question, shown: &Presented) -> Result<Told, Failed> {
    let opened = presented::open_assertion(cx, shown).await?;
    let judged = opened.and_then(|(read, _)| {
        let presented::Body::Jwt(token) = &read.body else {
            return Ok(read);
        };
        let audience = token.claims.get("aud").and_then(|own| own.as_str());
        check_audience(cx, question, audience.unwrap_or_default())?;
        Ok(read)
    });
    Ok(match judged {
        Ok(read) => Told {
            known: json!({
                "jti": read.jti, "client": read.client, "expires": read.expires.to_string(),
            }),
            ..Told::of(None)
        },
        Err(why) => Told::of(Some(Reason::Check(why))),
    })
}
