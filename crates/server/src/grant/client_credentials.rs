//! A client acts for itself. Nothing is written: what can be taken back is the
//! client, and that is a record.
//!
//! Spec: RFC 6749 §4.4

use symbolon_protocol::{Parameters, Scopes};
use symbolon_token::{Authority, Granted};

use super::issue::{Wish, after};
use super::{Issued, may_issue, target};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};

/// Issues an access token to a client for itself.
pub(crate) async fn issue(
    cx: &Cx,
    client: &AuthenticatedClient,
    form: &Parameters,
) -> Result<Issued, Failure> {
    let client = client.client();
    let scopes = scopes(cx, client, form)?;
    let named = target::requested(cx, client, form)?;
    let granted = target::Granted {
        scopes: &scopes,
        whole: None,
    };
    let audience = target::choose(cx, client, &named, &granted)?;
    let expires = after(cx.now, cx.settings.lifetimes.refresh_token_absolute);
    let (id, place) = (client.id.clone(), audience.clone());
    let whole = Authority::granted(Granted {
        organization: client.organization.clone(),
        ..Granted::to_client(id, place, scopes, expires, cx.position)
    });
    let wish = Wish {
        client,
        whole: &whole,
        audience,
        scopes: None,
    };
    Ok(may_issue(cx, wish)?.mint(cx, client).await?.into_issued())
}

/// The scopes asked for, without those that are about a person.
fn scopes(
    cx: &Cx,
    client: &symbolon_protocol::Client,
    form: &Parameters,
) -> Result<Scopes, Refusal> {
    let scopes = target::scopes(cx, client, form)?;
    if scopes
        .iter()
        .any(|scope| target::is_of_the_issuer(scope.as_str()))
    {
        return Err(Refusal::invalid_scope(
            "a client that acts for itself has no person to tell of",
        ));
    }
    Ok(scopes)
}
