//! A JWT of a trusted issuer as a subject or actor token.
//!
//! Spec: RFC 8693 §3

use symbolon_token::Binding;

use super::opened::{Asking, Holder, Opened, Reach};
use crate::grant::trusted_issuer::{self, Sent, Vouched};

pub(super) async fn open(asking: Asking<'_>, text: &str) -> Result<Opened, &'static str> {
    let (cx, client) = (asking.cx, asking.client);
    let vouched = trusted_issuer::verify(cx, client, text, Sent::AsToken).await?;
    Ok(opened(vouched))
}

/// What a trusted issuer vouches for, whichever way it was written down.
pub(super) fn opened(vouched: Vouched) -> Opened {
    Opened {
        known: vouched.authority.position(),
        ancestors: vouched.authority.lineage().to_vec(),
        authority: vouched.authority,
        holder: Holder::Partner(vouched.issuer),
        sector: None,
        name: vouched.name,
        bound_like: Binding::NONE,
        reach: Reach::Moving,
    }
}
