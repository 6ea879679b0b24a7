//! Assertions that are good once: used up by the grant that takes one, and from
//! then on worth nothing by any other way either.
//!
//! Spec: RFC 7521 §8.2
//! Spec: RFC 7522 §3
//! Spec: RFC 7523 §3

use symbolon_store::{BEARER_ASSERTION, SpendOnce, WasSpent};
use symbolon_token::{Digest, Slot};

use super::trusted_issuer::Vouched;
use crate::cx::Cx;
use crate::failure::Failure;

/// Uses an assertion up; whether this was the first use.
pub(super) fn spend(vouched: &Vouched) -> SpendOnce {
    named(vouched, vouched.jti.as_deref().unwrap_or_default())
}

/// Whether an assertion was a grant before. One without a name never was.
pub(super) async fn was_spent(cx: &Cx, vouched: &Vouched) -> Result<bool, Failure> {
    let Some(jti) = &vouched.jti else {
        return Ok(false);
    };
    let once = WasSpent(named(vouched, jti));
    Ok(cx.store.read(once).await?)
}

/// One name of one issuer, whichever client brings it.
fn named(vouched: &Vouched, jti: &str) -> SpendOnce {
    // An issuer is a URL and holds no NUL, so no two pairs look alike.
    let pair = [
        vouched.issuer.issuer.as_str().as_bytes(),
        &[0],
        jti.as_bytes(),
    ]
    .concat();
    SpendOnce {
        kind: BEARER_ASSERTION,
        slot: Slot::of_bytes(&pair),
        key: *Digest::of(&pair).as_bytes(),
        expires: vouched.acceptable_until,
    }
}
