//! The headers of a request on its way to the upstream, and of its answer on
//! the way back.
//!
//! Spec: RFC 9110 §5.1, §7.6.1
//! Spec: RFC 6265 §5.4
//!
//! Names are taken by class, not one by one:
//!
//! | class | why |
//! |---|---|
//! | a character besides letters, digits and `-` | servers turn `_` and others into `-`, so `X_User` would be `X-User` |
//! | what says who calls (`identity`) | only a check may say it |
//! | what says where from (`Forwarded`, `X-Forwarded-…`) | written anew |
//! | what says what is meant instead of the request (`X-Original-URL`, `X-HTTP-Method-Override`) | what was judged is what is asked for |
//! | names that a route writes claims into | only the gateway writes them |
//! | what belongs to one connection, and what `Connection` names | the next connection is another |
//! | `Authorization`, `DPoP` | the upstream gets an assertion instead |
//! | Symbolon's own cookies | they are for the issuer |

pub(crate) mod forwarded;
mod identity;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::assertion::ASSERTION;
use crate::settings::PassToken;

const DPOP: HeaderName = HeaderName::from_static("dpop");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Names that routes write claims into, on whichever route.
pub(crate) type Claimed = std::collections::HashSet<HeaderName>;

/// What of a request's headers goes on.
pub(crate) fn for_upstream(
    sent: &HeaderMap,
    claimed: &Claimed,
    pass_token: PassToken,
) -> HeaderMap {
    let of_connection = named_by_connection(sent);
    let mut kept = HeaderMap::with_capacity(sent.len() + 8);
    for (name, value) in sent {
        let is_token = *name == AUTHORIZATION || *name == DPOP;
        let goes_on = match is_token {
            true => pass_token == PassToken::Yes,
            false => {
                is_plain(name)
                    && !is_of_message(name)
                    && !identity::says_who(name.as_str())
                    && !claimed.contains(name)
            }
        };
        if !goes_on || of_connection.contains(&name.as_str().to_ascii_lowercase()) {
            continue;
        }
        if *name != COOKIE {
            kept.append(name, value.clone());
        } else if let Some(left) = without_own_cookies(value) {
            kept.append(COOKIE, left);
        }
    }
    if wants_trailers(sent) {
        kept.insert(TE, HeaderValue::from_static("trailers"));
    }
    kept
}

/// What of an answer's headers goes back.
pub(crate) fn for_caller(sent: &HeaderMap) -> HeaderMap {
    let of_connection = named_by_connection(sent);
    let mut kept = HeaderMap::with_capacity(sent.len() + 2);
    for (name, value) in sent {
        let stays = is_of_connection(name)
            || *name == ASSERTION
            || of_connection.contains(&name.as_str().to_ascii_lowercase())
            || (*name == SET_COOKIE && is_own_cookie(value.as_bytes()));
        if !stays {
            kept.append(name, value.clone());
        }
    }
    kept
}

/// What of trailers goes on: a late header is no better than an early one.
pub(crate) fn trailers_for_upstream(sent: &HeaderMap, claimed: &Claimed) -> HeaderMap {
    let mut kept = for_upstream(sent, claimed, PassToken::No);
    for name in [TE, COOKIE] {
        kept.remove(name);
    }
    kept
}

/// Whether a name is written in one way only.
fn is_plain(name: &HeaderName) -> bool {
    let plain = |own: u8| own.is_ascii_alphanumeric() || own == b'-';
    name.as_str().bytes().all(plain)
}

/// What belongs to one connection.
fn is_of_connection(name: &HeaderName) -> bool {
    [
        CONNECTION,
        PROXY_CONNECTION,
        KEEP_ALIVE,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        HTTP2_SETTINGS,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
    ]
    .contains(name)
}

/// What the message to the upstream gets anew.
fn is_of_message(name: &HeaderName) -> bool {
    is_of_connection(name) || [HOST, CONTENT_LENGTH, EXPECT].contains(name)
}

fn named_by_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|own| own.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// A cookie header without Symbolon's own; nothing where nothing is left.
fn without_own_cookies(value: &HeaderValue) -> Option<HeaderValue> {
    let pairs = || value.as_bytes().split(|byte| *byte == b';');
    if !pairs().any(is_own_cookie) {
        return Some(value.clone());
    }
    let left: Vec<&[u8]> = pairs()
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty() && !is_own_cookie(pair))
        .collect();
    match left.is_empty() {
        true => None,
        false => HeaderValue::from_bytes(&left.join(&b"; "[..])).ok(),
    }
}

/// Whether a pair is a cookie of the issuer or of the gateway.
fn is_own_cookie(pair: &[u8]) -> bool {
    let pair = pair.trim_ascii();
    OWN_COOKIES.iter().any(|own| {
        pair.get(..own.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(own))
    })
}

const OWN_COOKIES: [&[u8]; 3] = [b"__Host-sym-", b"__Secure-sym-", b"sym-dev-"];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            all.append(name, value.parse().unwrap());
        }
        all
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    fn passed(pairs: &[(&str, &str)]) -> HeaderMap {
        for_upstream(&headers(pairs), &Claimed::new(), PassToken::No)
    }

    /// Attack: L321
    #[test]
    fn what_says_who_calls_is_removed_in_every_way_of_writing_it() {
        for name in [
            "X-Auth-User",
            "x-auth-user",
            "X_Auth_User",
            "X-Auth_User",
            "X.Auth.User",
            "X-Auth-User~",
            "Remote-User",
            "REMOTE_USER",
            "X-Remote-User",
            "X-Forwarded-User",
            "X-Forwarded-Email",
            "X-Forwarded-Access-Token",
            "X-Authenticated-Userid",
            "X-User",
            "X-User-Id",
            "X-Email",
            "X-Groups",
            "X-Roles",
            "X-Webauth-User",
            "X-Consumer-Username",
            "X-Credential-Identifier",
            "X-Amzn-Oidc-Identity",
            "X-Goog-Authenticated-User-Email",
            "Cf-Access-Authenticated-User-Email",
            "X-Ms-Client-Principal-Name",
            "X-Symbolon-Subject",
            "Symbolon-Assertion",
            "symbolon_assertion",
            "X-Client-Cert",
            "Ssl-Client-Verify",
            "X-Ssl-Client-Cn",
            "Client-Cert",
            "X-Tenant-Id",
            "X-Jwt-Payload",
            "X-Userinfo",
            "Forwarded",
            "X-Forwarded-For",
            "X-Real-Ip",
            "True-Client-Ip",
            "X-Original-Url",
            "X-Rewrite-Url",
            "X-Original-Method",
            "X-Http-Method-Override",
            "Authorization",
            "DPoP",
            "Proxy-Authorization",
        ] {
            let left = passed(&[(name, "alice"), ("accept", "*/*")]);
            assert_eq!(names(&left), ["accept"], "{name}");
        }
        let mut mine = Claimed::new();
        mine.insert("x-department".parse().unwrap());
        let sent = headers(&[("X-Department", "all"), ("X-Apartment", "7")]);
        assert_eq!(
            names(&for_upstream(&sent, &mine, PassToken::No)),
            ["x-apartment"]
        );
    }

    #[test]
    fn ordinary_headers_go_on_as_they_came() {
        for name in [
            "accept",
            "content-type",
            "if-none-match",
            "user-agent",
            "x-requested-with",
            "x-idempotency-key",
            "x-trace-id",
            "traceparent",
            "origin",
            "range",
            "sec-websocket-key",
            "grpc-timeout",
            "trailer",
            "x-csrf-token",
        ] {
            assert_eq!(names(&passed(&[(name, "v")])), [name]);
        }
        let both = passed(&[("x-list", "a"), ("x-list", "b")]);
        assert_eq!(both.get_all("x-list").iter().count(), 2);
    }

    #[test]
    fn what_belongs_to_a_connection_ends_there() {
        let left = passed(&[
            ("connection", "keep-alive, X-Hop, te"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("proxy-connection", "close"),
            ("expect", "100-continue"),
            ("content-length", "5"),
            ("host", "a"),
            ("x-stays", "1"),
        ]);

        assert_eq!(names(&left), ["x-stays", "te"]);
        assert_eq!(left["te"], "trailers");
    }

    /// Attack: L337
    #[test]
    fn own_cookies_stay_and_others_go_on() {
        let left = |value| {
            let left = passed(&[("cookie", value)]);
            left.get("cookie")
                .map(|own| own.to_str().unwrap().to_owned())
        };
        assert_eq!(left("a=1; b=2").as_deref(), Some("a=1; b=2"));
        assert_eq!(
            left("a=1; __Host-sym-session=x; b=2").as_deref(),
            Some("a=1; b=2")
        );
        assert_eq!(left("sym-dev-8080-session=x"), None);
        assert_eq!(left(" __HOST-SYM-session=x ;a=1").as_deref(), Some("a=1"));

        let back = headers(&[
            ("set-cookie", "__Host-sym-session=forged"),
            ("set-cookie", "a=1"),
        ]);
        let back = for_caller(&back);
        assert_eq!(back.get_all("set-cookie").iter().count(), 1);
    }

    #[test]
    fn the_token_goes_on_where_it_was_said_in_writing() {
        let sent = headers(&[("authorization", "Bearer x"), ("dpop", "y")]);

        let left = for_upstream(&sent, &Claimed::new(), PassToken::Yes);

        assert_eq!(left, sent);
    }

    /// Attack: L321
    #[test]
    fn a_late_header_is_no_better_than_an_early_one() {
        let sent = headers(&[("x-auth-user", "alice"), ("grpc-status", "0")]);

        let left = trailers_for_upstream(&sent, &Claimed::new());

        assert_eq!(names(&left), ["grpc-status"]);
    }
}
