//! A refresh token as a subject token: what its family was granted. It is only
//! looked at, never spent, so it has to be the current one.
//!
//! Spec: RFC 8693 §3
//! Spec: RFC 9449 §5

use symbolon_store::FindFamily;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::{Actor, jwt};

use super::opened::{Asking, Holder, Opened, Reach};
use crate::failure::Failure;
use crate::grant::{family, subject};

pub(super) async fn open(
    asking: Asking<'_>,
    text: &str,
) -> Result<Result<Opened, &'static str>, Failure> {
    let (cx, client) = (asking.cx, asking.client);
    let Ok(token) = RefreshToken::open(&cx.keys, text) else {
        return Ok(Err("the token is not one of this server"));
    };
    let Some(found) = cx.store.read(FindFamily { id: token.family }).await? else {
        return Ok(Err("there is no such family"));
    };
    // It proves who asks as little as a password in the wrong hands would.
    if found.authority.client != client.id || !client.is_confidential() {
        return Ok(Err(
            "the family belongs to another client, or to a public one",
        ));
    }
    let is_current = found.generation == token.generation && found.current == token.digest();
    if !is_current || !found.is_live(cx.now) {
        return Ok(Err(
            "the token is not the current one, or its family has ended",
        ));
    }
    let Some(document) = family::document(cx, token.family).await? else {
        return Ok(Err("there is no such family"));
    };
    let authority = document.authority.clone();
    let marks = jwt::marks(&authority, None, cx.keys.blinding());
    if cx.feed.hit(&marks, authority.position()).is_some() {
        return Ok(Err("what it came from was taken back"));
    }
    Ok(Ok(Opened {
        name: Actor {
            subject: subject::of(&cx.keys, client, authority.subject()),
            issuer: None,
        },
        authority,
        known: cx.position,
        ancestors: marks.ancestors(),
        holder: Holder::Client(client.id.clone()),
        sector: subject::sector(client),
        // A client that proves itself may change its key, not go without.
        bound_like: document.first,
        reach: Reach::Moving,
    }))
}
