//! Macaroons that came back: for which use, what is left of them there, and
//! the uses that are counted.
//!
//! A macaroon under a key that its resource holds too is good at that resource
//! alone: never at this server, never as what another token is made of. One
//! that the resource minted with that key counts nowhere here: it is not
//! introspected, takes nothing back and asks for no caveat.

use std::time::Duration;

use symbolon_protocol::Parameters;
use symbolon_store::{CountUses, Use as CountedUse, Uses};
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::macaroon::{self, Context, Count, Flaw, Request, SharedPresented};
use symbolon_token::opaque::OpaqueToken;

use super::presented::Live;
use crate::cx::Cx;
use crate::failure::Failure;

/// What a token that came back is read for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use<'a> {
    /// To be made into something else, which could not carry conditions on.
    Carried,
    /// For a request to its resource, as far as that describes it.
    AtResource(Request<'a>),
    /// For a request to this server.
    Here(Request<'a>),
}

/// What was inside.
pub(super) enum Opened {
    /// The server's own authority, as far as the caveats leave it.
    Authority(Box<OpaqueToken>),
    /// The claims that the resource sees, likewise.
    Claims {
        /// The claims.
        claims: serde_json::Map<String, serde_json::Value>,
        /// What the revocation feed calls the key that it is rooted in.
        key: String,
    },
}

/// Reads a macaroon and judges its conditions for a use.
pub(super) fn read(cx: &Cx, text: &str, used: &Use<'_>) -> Result<(Opened, Vec<Count>), Refused> {
    let shared = SharedPresented::parse(text).map_err(Refused::Macaroon)?;
    match (shared, used) {
        (Some(shared), Use::AtResource(request)) => {
            let key = shared.key_name().unwrap_or_default();
            let token = shared.open_as_server(&cx.keys, cx.bound());
            let judged = token.and_then(|token| token.judge(&context(cx, *request)));
            let (claims, counts) = judged.map_err(Refused::Macaroon)?;
            Ok((Opened::Claims { claims, key }, counts))
        }
        (Some(_), _) => Err(Refused::NotAnAccessToken(Shown::Other(
            "a macaroon that is good at its resource alone",
        ))),
        (None, Use::Carried) => {
            read_own(cx, text, |token| Ok((token.unconditional()?, Vec::new())))
        }
        (None, Use::AtResource(request) | Use::Here(request)) => {
            read_own(cx, text, |token| token.judge(&context(cx, *request)))
        }
    }
}

fn read_own(
    cx: &Cx,
    text: &str,
    judge: impl FnOnce(macaroon::MacaroonToken) -> Result<(symbolon_token::Authority, Vec<Count>), Flaw>,
) -> Result<(Opened, Vec<Count>), Refused> {
    let token = macaroon::open(&cx.keys, cx.bound(), text).map_err(Refused::Macaroon)?;
    let (id, issued, key) = (token.token(), token.issued(), token.key());
    let (authority, counts) = judge(token).map_err(Refused::Macaroon)?;
    let opened = OpaqueToken {
        token: id,
        issued,
        authority,
        key,
    };
    Ok((Opened::Authority(Box::new(opened)), counts))
}

/// The root that a macaroon was made from, for taking it back.
pub(super) fn name(cx: &Cx, text: &str) -> Result<Opened, Refused> {
    let shared = SharedPresented::parse(text).map_err(Refused::Macaroon)?;
    if let Some(shared) = shared {
        let key = shared.key_name().unwrap_or_default();
        let claims = shared.name(&cx.keys, cx.bound());
        let claims = claims.map_err(Refused::Macaroon)?;
        return Ok(Opened::Claims { claims, key });
    }
    let root = macaroon::name(&cx.keys, cx.bound(), text).map_err(Refused::Macaroon)?;
    Ok(Opened::Authority(Box::new(OpaqueToken {
        token: root.token,
        issued: root.issued,
        authority: root.authority,
        key: root.key,
    })))
}

fn context<'a>(cx: &Cx, request: Request<'a>) -> Context<'a> {
    Context {
        now: cx.now,
        skew: Duration::ZERO,
        request,
    }
}

/// What a resource server says of the request that a token is used for:
/// `method`, `uri` (absolute, or its path) and `client_ip`. What is missing or
/// not readable is not known.
pub(super) fn described(form: &Parameters) -> Request<'_> {
    Request {
        method: form.one("method"),
        path: form.one("uri").and_then(path),
        address: form
            .one("client_ip")
            .and_then(|address| address.parse().ok()),
    }
}

/// The path as it was sent: nothing is resolved, so nothing is read otherwise
/// than the API reads it.
fn path(uri: &str) -> Option<&str> {
    let path = match uri.split_once("://") {
        Some((_, rest)) if !uri.starts_with('/') => &rest[rest.find('/')?..],
        _ => uri,
    };
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.starts_with('/').then_some(&path[..end])
}

/// A token that is good but for the uses that have to be counted.
#[must_use]
pub(crate) struct Pending {
    live: Live,
    counts: Vec<Count>,
}

impl Pending {
    pub(super) fn new(live: Live, counts: Vec<Count>) -> Self {
        Self { live, counts }
    }

    /// Whether uses are counted.
    pub(crate) fn is_counted(&self) -> bool {
        !self.counts.is_empty()
    }

    /// The token, for whoever decides whether it may be used at all.
    pub(crate) fn before_counting(&self) -> &Live {
        &self.live
    }

    /// Counts this use: one act for all of its counts. The token, where there
    /// was a use left.
    pub(crate) async fn settle(self, cx: &Cx) -> Result<Result<Live, Refused>, Failure> {
        if self.counts.is_empty() {
            return Ok(Ok(self.live));
        }
        let uses = self.counts.iter().map(|count| CountedUse {
            name: *count.name.as_bytes(),
            limit: count.limit,
            until: count.until,
        });
        let act = CountUses {
            uses: uses.collect(),
            now: cx.now,
        };
        match Box::pin(cx.store.act(act)).await? {
            Uses::Counted => Ok(Ok(self.live)),
            Uses::Spent { which } => {
                let spent = self.counts.get(which).map(|own| own.caveat.clone());
                let flaw = Flaw::Spent(spent.unwrap_or_default());
                Ok(Err(Refused::Macaroon(flaw)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_was_sent() {
        for (uri, expected) in [
            ("/orders/7?x=/y", Some("/orders/7")),
            ("https://api.example.com/orders/7#a", Some("/orders/7")),
            ("https://api.example.com/a/../b", Some("/a/../b")),
            ("/a?next=https://x/y", Some("/a")),
            ("//evil/orders", Some("//evil/orders")),
            ("https://api.example.com", None),
            ("orders/7", None),
            ("", None),
        ] {
            assert_eq!(path(uri), expected, "{uri}");
        }
    }
}
