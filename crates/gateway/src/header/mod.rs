//! The headers of a request on its way to the upstream, and of its answer on
//! the way back.
//!
//! Spec: RFC 9110 §5.1, §7.6.1
//! Spec: RFC 6265 §5.4
//! Spec: RFC 9113 §8.2.3
//!
//! Names are taken by class, not one by one:
//!
//! | class | why |
//! |---|---|
//! | a character besides letters, digits and `-` | servers turn `_` and others into `-`, so `X_User` would be `X-User` |
//! | what says who calls (`identity`), itself or behind `Grpc-Metadata-` | only a check may say it |
//! | what says where from (`Forwarded`, `X-Forwarded-…`) | written anew |
//! | what says what is meant instead of the request (`X-Original-URL`, `X-HTTP-Method-Override`) | what was judged is what is asked for |
//! | names that a route writes claims into | only the gateway writes them |
//! | what belongs to one connection | the next connection is another; what `Connection` names ended before anything was judged (`framing`) |
//! | `Authorization`, `DPoP` | the upstream gets an assertion instead |
//! | Symbolon's own cookies | they are for the issuer |

mod cache;
pub(crate) mod forwarded;
mod identity;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::assertion::ASSERTION;
use crate::settings::PassToken;

pub(crate) use self::cache::{keep_from_others, keep_private};

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
    let mut kept = HeaderMap::with_capacity(sent.len() + 8);
    for (name, value) in sent {
        let is_token = *name == AUTHORIZATION || *name == DPOP;
        let goes_on = match is_token {
            true => pass_token == PassToken::Yes,
            false => is_anybodys(name, claimed),
        };
        if !goes_on {
            continue;
        }
        if *name != COOKIE {
            kept.append(name, value.clone());
        } else if !kept.contains_key(COOKIE)
            && let Some(left) = cookies(sent)
        {
            kept.insert(COOKIE, left);
        }
    }
    if wants_trailers(sent) {
        kept.insert(TE, HeaderValue::from_static("trailers"));
    }
    kept
}

/// Whether everybody may say it.
fn is_anybodys(name: &HeaderName, claimed: &Claimed) -> bool {
    let passes = |name: &HeaderName| {
        is_plain(name)
            && !is_of_message(name)
            && !identity::says_who(name.as_str())
            && !claimed.contains(name)
    };
    let is_own = |name: &HeaderName| [AUTHORIZATION, DPOP, COOKIE].contains(name);
    let hides = |behind: HeaderName| is_own(&behind) || !passes(&behind);
    passes(name) && !identity::behind(name).is_some_and(hides)
}

/// The names that no service may hear of a caller, for a proxy that passes
/// requests on itself.
pub(crate) fn unheard(
    sent: &HeaderMap,
    claimed: &Claimed,
    pass_token: PassToken,
) -> Vec<HeaderName> {
    let is_unheard = |name: &&HeaderName| match **name == AUTHORIZATION || **name == DPOP {
        true => pass_token == PassToken::No,
        false => !is_of_message(name) && !is_anybodys(name, claimed),
    };
    sent.keys().filter(is_unheard).cloned().collect()
}

/// The cookies that are not Symbolon's own, in one line: HTTP/2 lets a browser
/// send them apart, and services behind HTTP/1.1 read them together.
pub(crate) fn cookies(sent: &HeaderMap) -> Option<HeaderValue> {
    let all = sent.get_all(COOKIE).iter();
    let mut left = all.filter_map(without_own_cookies);
    let (first, more) = (left.next()?, left.next());
    let Some(more) = more else {
        return Some(first);
    };
    let mut line = [first.as_bytes(), more.as_bytes()].join(&b"; "[..]);
    for own in left {
        line.extend_from_slice(b"; ");
        line.extend_from_slice(own.as_bytes());
    }
    HeaderValue::from_bytes(&line).ok()
}

/// What of an answer's headers goes back.
pub(crate) fn for_caller(sent: &HeaderMap) -> HeaderMap {
    let of_connection = named_by_connection(sent);
    let mut kept = HeaderMap::with_capacity(sent.len() + 2);
    // Of both, chunks say where a body ends (RFC 9112 §6.3).
    let is_chunked = sent.contains_key(TRANSFER_ENCODING);
    for (name, value) in sent {
        let stays = is_of_connection(name)
            || *name == ASSERTION
            || (*name == CONTENT_LENGTH && is_chunked)
            || of_connection.contains(name)
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
pub(crate) fn is_of_connection(name: &HeaderName) -> bool {
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

/// The names that `Connection` says belong to it.
pub(crate) fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(CONNECTION).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
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
///
/// One without a name is sent back as its value alone, which may begin as ours do
/// (draft-ietf-httpbis-rfc6265bis §5.7).
fn is_own_cookie(pair: &[u8]) -> bool {
    let blank = |own: &u8| own.is_ascii_whitespace() || *own == b'=';
    let begin = pair
        .iter()
        .position(|own| !blank(own))
        .unwrap_or(pair.len());
    let pair = &pair[begin..];
    OWN_COOKIES.iter().any(|own| {
        pair.get(..own.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(own))
    })
}

const OWN_COOKIES: [&[u8]; 3] = [b"__Host-sym-", b"__Secure-sym-", b"sym-dev-"];

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
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

    /// Names of the class, in ways of writing them.
    const SAYS_WHO: &[&str] = &[
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
        "Proxy",
        "X-Auth",
        "X-Forwarded",
        "X-Originating-Ip",
        "Oidc-Claim-Sub",
        "OIDC_CLAIM_sub",
        "Shib-Session-Id",
        "Tailscale-User-Login",
        "Kubeflow-Userid",
        "Impersonate-User",
        "X-Goog-Iap-Jwt-Assertion",
        "X-Amzn-Mtls-Clientcert-Subject",
        "X-Middleware-Subrequest",
        "X-Accel-Mapping",
        "X-Sendfile-Type",
        "Grpc-Metadata-X-Auth-User",
        "Grpc-Metadata-Symbolon-Assertion",
        "Grpc-Metadata-Authorization",
        "Grpc-Metadata-Cookie",
        "grpc_metadata_x_user",
        "Auth-User",
        "Authenticated-User",
        "Remote-Roles",
        "User-Id",
        "Username",
        "Thanos-Tenant",
        "X-Scope-OrgID",
        "X-Hasura-Role",
        "X-Hasura-User-Id",
        "X-Trino-User",
        "X-Proxy-User",
        "X-ProxiedEntitiesChain",
        "X-Endpoint-API-UserInfo",
        "X-Apigateway-Api-Userinfo",
        "X-Grafana-Org-Id",
        "X-Organization",
        "X-On-Behalf-Of",
        "X-Impersonate-User",
        "X-Acting-Person-Id",
        "X-Is-Admin",
        "X-Internal-Call",
    ];

    /// Attack: L321
    #[test]
    fn what_says_who_calls_is_removed_in_every_way_of_writing_it() {
        for &name in SAYS_WHO {
            let left = passed(&[(name, "alice"), ("accept", "*/*")]);
            assert_eq!(names(&left), ["accept"], "{name}");
        }
        let mut mine = Claimed::new();
        mine.insert("x-department".parse().unwrap());
        let sent = headers(&[
            ("X-Department", "all"),
            ("Grpc-Metadata-X-Department", "all"),
            ("X-Apartment", "7"),
        ]);
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
            "grpc-metadata-x-trace-id",
            "x-author",
            "trailer",
            "x-csrf-token",
            "x-amz-user-agent",
            "access-control-request-headers",
            "sec-fetch-user",
        ] {
            assert_eq!(names(&passed(&[(name, "v")])), [name]);
        }
        let both = passed(&[("x-list", "a"), ("x-list", "b")]);
        assert_eq!(both.get_all("x-list").iter().count(), 2);
    }

    #[test]
    fn what_belongs_to_a_connection_ends_there() {
        let left = passed(&[
            ("connection", "keep-alive, te"),
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

        let apart = passed(&[
            ("cookie", "a=1"),
            ("cookie", "__Host-sym-session=x"),
            ("cookie", "b=2"),
        ]);
        assert_eq!(
            apart.get_all("cookie").iter().collect::<Vec<_>>(),
            ["a=1; b=2"]
        );

        let back = headers(&[
            ("set-cookie", "__Host-sym-session=forged"),
            ("set-cookie", "=__Host-sym-session=forged; Path=/"),
            ("set-cookie", " = sym-dev-8080-browser=forged"),
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
