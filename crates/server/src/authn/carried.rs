//! A request that another site posted, on its way back to us with our cookies.
//!
//! A form across sites comes without them (SameSite=Lax); the redirect that
//! answers it brings them. What was posted travels sealed in the address of
//! that redirect: neither the browser's history nor a proxy's log learns a
//! hint, a name or a token from it. It is bound to no browser, since the
//! address that anybody may write says no more.
//!
//! Spec: RFC 9700 §4.2, §4.3
//! Spec: OpenID Connect Core 1.0 §3.1.2.1
//! Spec: OpenID Connect RP-Initiated Logout 1.0 §2

use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use symbolon_protocol::Timestamp;
use symbolon_token::mark::Kind;

use super::transaction::{LIFETIME_SECONDS, MAX_CHARACTERS};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::respond;

/// The parameter of the address that holds what is carried.
pub(crate) const PARAMETER: &str = "transaction";

/// What is carried, and where to. No other sealed transaction has this form.
#[derive(Serialize, Deserialize)]
struct Carried<T> {
    carried_to: String,
    carried: T,
    began: Timestamp,
}

/// Sends a posted request on to the same address with GET.
pub(crate) fn send<T: Serialize>(cx: &Cx, path: &str, carried: T) -> Result<Response, Failure> {
    let carried = Carried {
        carried_to: path.to_owned(),
        carried,
        began: cx.now,
    };
    // Strings and numbers always serialise.
    let plain = serde_json::to_vec(&carried).unwrap_or_default();
    let sealed = cx
        .keys
        .seal(Kind::Transaction, cx.bound(), &plain, cx.entropy())
        .text;
    if sealed.len() > MAX_CHARACTERS {
        return Err(Refusal::invalid_request("the request is too large").into());
    }
    let address = cx.settings.issuer.endpoint(path);
    respond::see_other(&format!("{address}?{PARAMETER}={sealed}"))
}

/// Opens what was carried to a path. Late, forged and meant for another path
/// are one answer: start again.
pub(crate) fn open<T: DeserializeOwned>(cx: &Cx, path: &str, sealed: &str) -> Result<T, Refusal> {
    let start_again = || {
        Refusal::invalid_request(
            "this address was made too long ago or not by this server; go back to the application and start again",
        )
    };
    let opened = cx.keys.open(Kind::Transaction, cx.bound(), sealed);
    let opened = opened.map_err(|_| start_again())?;
    let carried: Carried<T> = serde_json::from_slice(&opened.plain).map_err(|_| start_again())?;
    let age = cx.now.millis() - carried.began.millis();
    if carried.carried_to != path || age > LIFETIME_SECONDS * 1000 {
        return Err(start_again());
    }
    Ok(carried.carried)
}
