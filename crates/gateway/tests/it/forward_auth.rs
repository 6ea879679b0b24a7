//! Other proxies ask about requests that they pass on themselves. nginx and
//! Caddy themselves ask in the tests of the binary; Traefik and Envoy are spoken
//! for here, as their manuals say that they ask.

use reqwest::Method;
use reqwest::header::HeaderMap;
use symbolon_gateway::{AskedAt, Dialect, ForwardAuth, Mcp};

use crate::issuer::API;
use crate::site::Site;
use crate::stream::until_refused;

const ASK: &str = "/.symbolon/forward-auth";

pub(crate) fn told(dialect: Dialect) -> ForwardAuth {
    ForwardAuth {
        dialect,
        path: ASK.into(),
        asked_at: AskedAt::Shared,
        proxies: vec!["127.0.0.1/32".parse().unwrap()],
    }
}

async fn asked_in(dialect: Dialect) -> Site {
    Site::with(|settings| settings.forward_auth = Some(told(dialect))).await
}

/// The question of a proxy about `method target`.
pub(crate) fn question(
    site: &Site,
    dialect: Dialect,
    (method, target): (&str, &str),
) -> reqwest::RequestBuilder {
    let plain = site.client.get(site.url(ASK));
    match dialect {
        Dialect::Nginx => plain
            .header("x-original-method", method)
            .header("x-original-uri", target),
        Dialect::IngressNginx => plain
            .header("x-original-method", method)
            .header("x-original-url", format!("https://shop.test{target}")),
        Dialect::Caddy | Dialect::Traefik => plain
            .header("x-forwarded-method", method)
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "shop.test")
            .header("x-forwarded-uri", target),
        Dialect::Envoy => {
            let method: Method = method.parse().unwrap();
            let url = site.url(&format!("{ASK}{target}"));
            site.client.request(method, url).header("host", "shop.test")
        }
        Dialect::EnvoyGrpc => panic!("it asks in messages"),
    }
}

const ALL: [Dialect; 5] = [
    Dialect::Nginx,
    Dialect::IngressNginx,
    Dialect::Caddy,
    Dialect::Traefik,
    Dialect::Envoy,
];

fn challenge(headers: &HeaderMap) -> &str {
    headers["www-authenticate"].to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_every_dialect_the_answer_is_the_judgement_of_the_request_that_is_described() {
    for dialect in ALL {
        let site = asked_in(dialect).await;
        let token = site.issuer.token(API, "read").await;
        let ask = async |method, target, token: &str| {
            let question = question(&site, dialect, (method, target));
            question.bearer_auth(token).send().await.unwrap()
        };

        let good = ask("GET", "/orders/7?x=1", &token).await;
        let narrow = ask("DELETE", "/orders/7", &token).await;
        let nothing = question(&site, dialect, ("GET", "/orders/7"));
        let nothing = nothing.send().await.unwrap();
        let nonsense = ask("GET", "/orders/7", "nonsense").await;
        let open = question(&site, dialect, ("GET", "/public/x"));
        let open = open.send().await.unwrap();
        let told = ask("GET", "/told/7", &token).await;

        assert_eq!(good.status(), 200, "{dialect:?}");
        assert!(good.headers().contains_key("symbolon-assertion"));
        assert_eq!(good.headers()["cache-control"], "no-store");
        assert_eq!(narrow.status(), 403, "{dialect:?}");
        assert!(challenge(narrow.headers()).contains("insufficient_scope"));
        assert_eq!(nothing.status(), 401, "{dialect:?}");
        assert!(!challenge(nothing.headers()).contains("error"));
        assert_eq!(nonsense.status(), 401, "{dialect:?}");
        assert!(challenge(nonsense.headers()).contains("invalid_token"));
        assert_eq!(open.status(), 200, "{dialect:?}");
        assert!(!open.headers().contains_key("symbolon-assertion"));
        assert_eq!(told.headers()["x-caller"], "shop");
        assert_eq!(site.upstream.seen(), 0, "nothing is passed on");

        site.issuer.revoke(&token).await;
        until_refused(async || ask("GET", "/orders/7", &token).await.status().as_u16()).await;
    }
}

/// What one proxy takes out another sends on.
///
/// Attack: L322
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_described_names_nothing_of_its_own_in_connection() {
    for dialect in ALL {
        let site = asked_in(dialect).await;
        let token = site.issuer.token(API, "read").await;
        let ask = async |named: &str| {
            let question = question(&site, dialect, ("GET", "/orders/7")).bearer_auth(&token);
            let question = question.header("x-trace", "1").header("connection", named);
            question.send().await.unwrap().status().as_u16()
        };

        assert_eq!(ask("keep-alive").await, 200, "{dialect:?}");
        for named in ["x-trace", "authorization", "close, x-forwarded-for"] {
            let status = ask(named).await;
            assert!(matches!(status, 400 | 403), "{dialect:?} {named}: {status}");
        }
    }
}

/// A proxy lets through what is answered with success: whatever else a caller
/// writes changes how it is told no, and never that.
///
/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_caller_writes_makes_a_success_of_a_refusal() {
    let written = [
        ("content-type", "application/grpc"),
        ("content-type", "application/grpc+proto"),
        ("content-type", "application/grpc-web"),
        ("accept", "text/event-stream"),
        ("sec-fetch-mode", "navigate"),
        ("access-control-request-method", "GET"),
        ("mcp-protocol-version", "2025-06-18"),
        ("mcp-session-id", "x"),
        ("x-http-method-override", "OPTIONS"),
        ("if-none-match", "*"),
        ("range", "bytes=0-0"),
    ];
    for dialect in ALL {
        let site = asked_in(dialect).await;
        let token = site.issuer.token(API, "read").await;
        for (name, value) in written {
            let ask = async |about, token: Option<&str>| {
                let question = question(&site, dialect, about).header(name, value);
                let question = match token {
                    Some(token) => question.bearer_auth(token),
                    None => question,
                };
                question.send().await.unwrap().status().as_u16()
            };
            let why = format!("{dialect:?} {name}: {value}");

            assert_eq!(ask(("GET", "/orders/7"), None).await, 401, "{why}");
            let nonsense = ask(("GET", "/orders/7"), Some("nonsense"));
            assert_eq!(nonsense.await, 401, "{why}");
            let narrow = ask(("DELETE", "/orders/7"), Some(&token));
            assert_eq!(narrow.await, 403, "{why}");
            for about in [("GET", "/nowhere"), ("GET", "/orders/..%2f7")] {
                let status = ask(about, Some(&token)).await;
                assert!((400..500).contains(&status), "{why}: {status}");
            }
            let good = ask(("GET", "/orders/7"), Some(&token)).await;
            assert_eq!(good, 200, "{why}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_assertion_is_about_the_request_that_was_described() {
    use symbolon_gateway::{Asserted, Expected};
    use symbolon_token::Clock;

    let site = asked_in(Dialect::Nginx).await;
    let token = site.issuer.token(API, "write").await;

    let question = question(&site, Dialect::Nginx, ("POST", "/orders/7?x=1"));
    let answer = question.bearer_auth(&token).send().await.unwrap();

    let assertion = answer.headers()["symbolon-assertion"].to_str().unwrap();
    let keys = site.running.gateway.keys();
    let check = |method, path_and_query| {
        let expected = Expected {
            upstream: "echo",
            method,
            path_and_query,
            now: symbolon_server::clock::SystemClock::start().now(),
        };
        Asserted::check(keys.as_object().unwrap(), assertion, &expected)
    };
    let asserted = check("POST", "/orders/7?x=1").unwrap();
    assert_eq!(asserted.text("client_id"), Some("shop"));
    assert!(check("GET", "/orders/7?x=1").is_err());
    assert!(check("POST", "/orders/8").is_err());
}

/// Whoever is no trusted proxy is refused (oauth2-proxy CVE-2026-76835: the set
/// of them must not be everybody unless said otherwise).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_a_trusted_proxy_may_ask() {
    let mut own = told(Dialect::Nginx);
    own.proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let site = Site::with(|settings| settings.forward_auth = Some(own)).await;
    let token = site.issuer.token(API, "read").await;

    let question = question(&site, Dialect::Nginx, ("GET", "/orders/7"));
    let answer = question.bearer_auth(&token).send().await.unwrap();

    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("symbolon-assertion"));
    let text = answer.text().await.unwrap();
    assert!(text.contains("forward-auth-stranger"), "{text}");
}

/// Attack: L324
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_described_path_has_one_form_or_does_not_pass() {
    let site = asked_in(Dialect::Nginx).await;
    let token = site.issuer.token(API, "read").await;
    let ask = async |target: &str| {
        let question = question(&site, Dialect::Nginx, ("GET", target));
        let answer = question.bearer_auth(&token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };

    for (target, code) in [
        ("/public/..%2forders/7", "path-separator"),
        ("/public/../orders/7", "path-dot-segment"),
        ("//orders/7", "path-empty-segment"),
        ("/orders;x/7", "path-parameter"),
        ("/%6frders/7", "path-not-one-form"),
        ("/orders/caf%c3%a9", "path-not-one-form"),
        ("/orders/7#/public", "path-not-one-form"),
        ("http://shop.test/orders/7", "target-form"),
        ("*", "target-form"),
        ("orders", "target-form"),
    ] {
        let (status, text) = ask(target).await;
        assert_eq!(status, 403, "{target}: {text}");
        assert!(text.contains(code), "{target}: {text}");
    }
    assert_eq!(ask("/orders/caf%C3%A9?next=//%2f;").await.0, 200);
}

/// Attack: L321
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_speaks_for_the_gateway_is_refused_in_every_writing() {
    let site = asked_in(Dialect::Caddy).await;

    for name in [
        "Symbolon-Assertion",
        "symbolon_assertion",
        "X-Caller",
        "X_Caller",
        "x-Rights",
    ] {
        let question = question(&site, Dialect::Caddy, ("GET", "/public/x"));
        let answer = question.header(name, "alice").send().await.unwrap();
        assert_eq!(answer.status(), 403, "{name}");
    }
    let question = question(&site, Dialect::Caddy, ("GET", "/public/x"));
    let answer = question.header("x-called", "alice").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Attack: L334
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_the_described_address_opens_nothing() {
    let site = asked_in(Dialect::Traefik).await;
    let token = site.issuer.token(API, "read").await;

    let target = format!("/orders/7?access_token={token}");
    let question = question(&site, Dialect::Traefik, ("GET", &target));
    let answer = question.send().await.unwrap();

    assert!(matches!(answer.status().as_u16(), 400 | 401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nginx_would_make_an_error_of_its_own_is_403_and_others_get_what_it_is() {
    for (dialect, status) in [(Dialect::Nginx, 403), (Dialect::Traefik, 404)] {
        let site = asked_in(dialect).await;
        let question = question(&site, dialect, ("GET", "/nowhere"));
        let answer = question.send().await.unwrap();
        assert_eq!(answer.status(), status, "{dialect:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_issuer_no_proxy_hears_yes() {
    for dialect in ALL {
        let mut site = asked_in(dialect).await;
        let opaque = site.issuer.token(crate::issuer::OPAQUE, "read").await;
        site.issuer.stop().await;

        let question = question(&site, dialect, ("GET", "/opaque/7"));
        let answer = question.bearer_auth(&opaque).send().await.unwrap();

        assert_eq!(answer.status(), 503, "{dialect:?}");
    }
}

/// Rules about what is in a body would be passed by here.
#[tokio::test]
async fn where_the_body_decides_no_other_proxy_may_pass_anything() {
    let site = Site::with(|settings| {
        settings.forward_auth = Some(told(Dialect::Nginx));
        let orders = settings.routes.iter_mut();
        for route in orders.filter(|own| own.path.matches("/orders/7")) {
            route.mcp = Some(Mcp::default());
        }
    })
    .await;
    let token = site.issuer.token(API, "read write").await;
    let question = question(&site, Dialect::Nginx, ("POST", "/orders/7"));

    let answer = question.bearer_auth(&token).send().await.unwrap();

    assert_eq!(answer.status(), 403);
    assert!(!answer.headers().contains_key("symbolon-assertion"));
    assert!(answer.text().await.unwrap().contains("body-decides"));
}
