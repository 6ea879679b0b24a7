//! A refresh token as a subject token: what its family was granted, as far as
//! its client may have it now. It is not spent, so it has to be the current one; but it was presented, so what it
//! followed has no grace left, and one that was used before is theft here too.
//!
//! Spec: RFC 8693 §3
//! Spec: RFC 9449 §5
//! Spec: RFC 9700 §4.14.2

use symbolon_protocol::Client;
use symbolon_store::{FindFamily, Present, PresentedAs};
use symbolon_token::keyring::Purpose;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::{Actor, jwt};

use super::opened::{Asking, Holder, Opened, Reach};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::refresh_token::theft;
use crate::grant::{family, subject, target};

pub(super) async fn open(
    asking: Asking<'_>,
    text: &str,
) -> Result<Result<Opened, &'static str>, Failure> {
    let (cx, client) = (asking.cx, asking.client);
    let Ok(token) = RefreshToken::open(&cx.keys, text) else {
        return Ok(Err("the token is not one of this server"));
    };
    if let Err(cause) = present(cx, client, &token).await? {
        return Ok(Err(cause));
    }
    // It proves who asks as little as a password in the wrong hands would.
    if !client.is_confidential() {
        return Ok(Err("the family belongs to a public client"));
    }
    let Some(document) = family::document(cx, token.family).await? else {
        return Ok(Err("there is no such family"));
    };
    if !family::may_go_on(client, document.authority.scopes()) {
        return Ok(Err("offline access was taken from this client"));
    }
    let authority = target::left_of(cx, client, &document.authority);
    if authority.audiences().is_empty() {
        return Ok(Err("its APIs were taken from this client"));
    }
    let mut marks = jwt::marks(&authority, None, cx.keys.blinding());
    marks.key = Some(Purpose::RefreshToken.key_mark(token.key));
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
        says_scopes: true,
    }))
}

/// Has the family know that a token of it was presented. Where it is the
/// current one and nothing it followed could still be shown, a look is enough.
async fn present(
    cx: &Cx,
    client: &Client,
    token: &RefreshToken,
) -> Result<Result<(), &'static str>, Failure> {
    let Some(found) = cx.store.read(FindFamily { id: token.family }).await? else {
        return Ok(Err("there is no such family"));
    };
    let is_current = found.generation == token.generation && found.current == token.digest();
    let is_own = found.authority.client == client.id;
    if is_own && is_current && found.previous.is_none() && found.is_live(cx.now) {
        return Ok(Ok(()));
    }
    let shown = Present {
        family: token.family,
        generation: token.generation,
        presented: token.digest(),
        client: client.id.clone(),
        grace_ms: family::grace_millis(cx, client),
        horizon: cx.token_horizon(cx.now),
        audit: theft(cx, client, token),
        now: cx.now,
    };
    Ok(match cx.store.act(shown).await? {
        PresentedAs::Current => Ok(()),
        PresentedAs::Predecessor => Err("the token is not the current one"),
        PresentedAs::Theft => {
            crate::metric::theft();
            Err("the token was used before; everything that came of it has ended")
        }
        PresentedAs::Ended => Err("the family has ended"),
        PresentedAs::OtherClient => Err("the family belongs to another client"),
    })
}
