//! What a trusted issuer vouches for, as a subject or actor token.
//!
//! Spec: RFC 8693 §3
//! Spec: RFC 7521 §8.2

use symbolon_token::Binding;

use super::opened::{Asking, Holder, Opened, Reach};
use crate::failure::Failure;
use crate::grant::single_use;
use crate::grant::trusted_issuer::{self, Sent, Vouched};

pub(super) async fn open(
    asking: Asking<'_>,
    text: &str,
) -> Result<Result<Opened, &'static str>, Failure> {
    let (cx, client) = (asking.cx, asking.client);
    match trusted_issuer::verify(cx, client, text, Sent::AsToken).await {
        Ok(vouched) => opened(asking, vouched).await,
        Err(cause) => Ok(Err(cause)),
    }
}

/// What a trusted issuer vouches for, whichever way it was written down. What
/// was a grant is used up, and so no token either.
pub(super) async fn opened(
    asking: Asking<'_>,
    vouched: Vouched,
) -> Result<Result<Opened, &'static str>, Failure> {
    if single_use::was_spent(asking.cx, &vouched).await? {
        return Ok(Err("it was used as a grant"));
    }
    Ok(Ok(Opened {
        known: vouched.authority.position(),
        ancestors: vouched.authority.lineage().to_vec(),
        authority: vouched.authority,
        holder: Holder::Partner(vouched.issuer),
        sector: None,
        name: vouched.name,
        bound_like: Binding::NONE,
        reach: Reach::Moving,
        says_scopes: true,
    }))
}
