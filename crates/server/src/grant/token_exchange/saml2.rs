//! A SAML assertion as a subject or actor token, and as the result.
//!
//! Spec: RFC 8693 §2.2.1, §3

use symbolon_protocol::{Client, TokenFormat, TokenKind};

use super::opened::{Asking, Opened};
use super::result::Narrowed;
use super::{access_token, partner};
use crate::cx::Cx;
use crate::encryption;
use crate::endpoint::presented;
use crate::failure::{Failure, Refusal};
use crate::grant::issue::{Issued, Wish};
use crate::grant::trusted_issuer::Sent;
use crate::grant::{may_issue, partner_assertion, saml2, target};

pub(super) async fn open(
    asking: Asking<'_>,
    text: &str,
) -> Result<Result<Opened, &'static str>, Failure> {
    let (cx, client) = (asking.cx, asking.client);
    let presented = match saml2::presented(cx, text) {
        Ok(presented) => presented,
        Err(refused) => return Ok(Err(refused.code())),
    };
    if presented.claimed_issuer() != cx.settings.issuer.as_str() {
        return match partner_assertion::vouched(cx, client, &presented, Sent::AsToken) {
            Ok(vouched) => partner::opened(asking, vouched).await,
            Err(cause) => Ok(Err(cause)),
        };
    }
    let opened = presented::open_assertion(cx, &presented).await?;
    Ok(opened
        .map_err(|refused| refused.code())
        .and_then(|(read, issued_to)| access_token::of_read(asking, &read, &issued_to)))
}

/// Writes the result as an assertion. It is no access token, so it has no type
/// of those.
pub(super) async fn issue(cx: &Cx, client: &Client, narrowed: Narrowed) -> Result<Issued, Failure> {
    // What is kept from whoever holds a token of that API is not written down
    // in the open here.
    let resource = target::resource(cx, &narrowed.audience);
    if let Some(resource) = &resource {
        let is_closed = match resource.token_format {
            TokenFormat::Opaque => true,
            TokenFormat::Macaroon => !resource.shares_macaroon_keys(),
            TokenFormat::Jwt => false,
        };
        if is_closed {
            let why = "whoever holds a token of that API may not read it, and an assertion is read";
            return Err(Refusal::invalid_target(why).into());
        }
    }
    let wish = Wish {
        client,
        whole: &narrowed.whole,
        audience: narrowed.audience,
        scopes: Some(narrowed.scopes),
    };
    let issuable = may_issue(cx, wish)?;
    let encrypt_to = match &resource {
        Some(resource) => encryption::of_assertions(cx, resource).await?,
        None => None,
    };
    let text = saml2::mint(cx, client, issuable.authority(), encrypt_to.as_ref())?;
    Ok(Issued {
        token_type: "N_A",
        issued_token_type: Some(TokenKind::Saml2.urn()),
        ..issuable.written_as(text).into_issued()
    })
}
