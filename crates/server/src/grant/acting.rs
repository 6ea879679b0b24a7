//! Who may act for a subject: where a token says `may_act`, that party alone,
//! whichever grant it is shown to.
//!
//! Spec: RFC 8693 §4.4

use symbolon_protocol::Client;
use symbolon_token::{Actor, Authority};

use crate::cx::Cx;

/// A client, as whoever acts without an actor token.
pub(super) fn client(client: &Client) -> Actor {
    Actor {
        subject: client.id.to_string(),
        issuer: None,
    }
}

/// Whether an authority lets somebody act.
pub(super) fn may_act(cx: &Cx, authority: &Authority, acting: &Actor) -> bool {
    let own = cx.settings.issuer.as_str();
    let issuer_of = |actor: &Actor| actor.issuer.clone().unwrap_or_else(|| own.to_owned());
    authority.may_act().is_none_or(|named| {
        named.subject == acting.subject && issuer_of(named) == issuer_of(acting)
    })
}
