//! Macaroons that came back: for which use, what is left of them there, and
//! the uses that are counted.
//!
//! A macaroon under a key that its resource holds too is good at that resource
//! alone: never at this server, never as what another token is made of. One
//! that the resource minted with that key counts nowhere here: it is not
//! introspected, takes nothing back and asks for no caveat.

use std::time::Duration;

use symbolon_protocol::Parameters;
use symbolon_store::{CountUses, FindUses, Use as CountedUse, Uses};
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::macaroon::{self, Agreement, Context, Count, Flaw, Request, SharedPresented};
use symbolon_token::opaque::OpaqueToken;
use symbolon_token::revocation::Hit;
use symbolon_token::{Marks, Position};

use super::live::Live;
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

/// A macaroon whose conditions were judged.
pub(super) struct Judged {
    pub(super) opened: Opened,
    /// What has to be counted for it.
    pub(super) counts: Vec<Count>,
    /// What its discharges rest on.
    pub(super) agreements: Vec<Agreement>,
}

/// Whether something was taken back that a discharge of a macaroon rests on:
/// the key that sealed its caveat, or the word or membership of a person since
/// the caveat was made. `own` is where the macaroon itself stands.
pub(super) fn withdrawn(cx: &Cx, agreements: &[Agreement], own: Position) -> Option<Hit> {
    agreements.iter().find_map(|agreement| {
        let marks = Marks {
            lineage: agreement.ancestors(cx.keys.blinding()),
            ..Marks::default()
        };
        let since = agreement.given.as_ref().map_or(own, |given| given.since);
        cx.feed.hit(&marks, since)
    })
}

/// Reads a macaroon and judges its conditions for a use.
pub(super) fn read(cx: &Cx, text: &str, used: &Use<'_>) -> Result<Judged, Refused> {
    let shared = SharedPresented::parse(text).map_err(Refused::Macaroon)?;
    match (shared, used) {
        (Some(shared), Use::AtResource(request)) => {
            let key = shared.key_name().unwrap_or_default();
            let token = shared.open_as_server(&cx.keys, cx.bound());
            let token = token.map_err(Refused::Macaroon)?;
            let agreements = token.agreements().to_vec();
            let judged = token.judge(&context(cx, *request));
            let (claims, counts) = judged.map_err(Refused::Macaroon)?;
            Ok(Judged {
                opened: Opened::Claims { claims, key },
                counts,
                agreements,
            })
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
) -> Result<Judged, Refused> {
    let token = macaroon::open(&cx.keys, cx.bound(), text).map_err(Refused::Macaroon)?;
    let (id, issued, key) = (token.token(), token.issued(), token.key());
    let agreements = token.agreements().to_vec();
    let (authority, counts) = judge(token).map_err(Refused::Macaroon)?;
    let opened = OpaqueToken {
        token: id,
        issued,
        authority,
        key,
    };
    Ok(Judged {
        opened: Opened::Authority(Box::new(opened)),
        counts,
        agreements,
    })
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
/// than the API reads it. What two programs could take apart differently (a
/// backslash, a fragment, blanks, another scheme, a name before the host, two
/// slashes first) has no path, and a condition about it is not met.
///
/// Spec: RFC 3986 §3.2, §3.3
/// Spec: RFC 9110 §4.2.4, §7.1
fn path(uri: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
    if !uri.bytes().all(is_plain) {
        return None;
    }
    let rest = match uri.split_once("://") {
        Some((scheme, rest)) if !uri.starts_with('/') => {
            let is_web = ["http", "https"]
                .iter()
                .any(|own| scheme.eq_ignore_ascii_case(own));
            let (authority, path) = rest.split_at(rest.find(['/', '?'])?);
            let is_host = |byte: u8| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
            };
            let is_there = !authority.is_empty() && authority.bytes().all(is_host);
            (is_web && is_there).then_some(path)?
        }
        _ => uri,
    };
    let path = rest.split('?').next()?;
    (path.starts_with('/') && !path.starts_with("//")).then_some(path)
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

    /// How many uses are left where they are counted, or why there is none, as
    /// far as is known now. Nothing is counted.
    pub(crate) async fn find_left(&self, cx: &Cx) -> Result<Result<Option<u32>, Refused>, Failure> {
        let mut left: Option<u32> = None;
        for count in &self.counts {
            let find = FindUses {
                name: *count.name.as_bytes(),
                now: cx.now,
            };
            let own = count.limit.saturating_sub(cx.store.read(find).await?);
            if own == 0 {
                let flaw = Flaw::Spent(count.caveat.clone());
                return Ok(Err(Refused::Macaroon(flaw)));
            }
            left = Some(left.map_or(own, |left| left.min(own)));
        }
        Ok(Ok(left))
    }

    /// The token for whoever only asks, and how many uses are left where they are
    /// counted. Nothing is counted.
    pub(super) async fn spare(
        self,
        cx: &Cx,
    ) -> Result<Result<(Live, Option<u32>), Refused>, Failure> {
        let left = self.find_left(cx).await?;
        Ok(left.map(|left| (self.live, left)))
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
            (
                "HTTPS://api.example.com:8443/orders/7?a=b",
                Some("/orders/7"),
            ),
            ("http://[::1]:8080/orders/7", Some("/orders/7")),
            ("https://api.example.com/orders/7#a", None),
            ("https://api.example.com?x=/orders/7", None),
            ("https://api.example.com#/orders/7", None),
            ("https://api.example.com#x/../orders/7", None),
            (r"https://api.example.com\admin/orders/7", None),
            (r"/orders\7", None),
            ("https:///orders/7", None),
            ("https://alice@api.example.com/orders/7", None),
            ("https://api.example.com%2Fadmin/orders/7", None),
            ("ftp://api.example.com/orders/7", None),
            ("x?y://z/orders/7", None),
            ("/orders/ 7", None),
            ("/orders/\u{e9}", None),
            ("https://api.example.com/a/../b", Some("/a/../b")),
            ("/a?next=https://x/y", Some("/a")),
            ("//evil/orders", None),
            ("https://api.example.com", None),
            ("orders/7", None),
            ("", None),
        ] {
            assert_eq!(path(uri), expected, "{uri}");
        }
    }
}
