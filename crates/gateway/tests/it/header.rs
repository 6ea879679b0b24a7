//! What the upstream hears, and from whom.

use serde_json::Value;
use symbolon_gateway::{Asserted, Expected, NotAsserted};
use symbolon_server::clock::SystemClock;
use symbolon_token::Clock;

use crate::issuer::{API, http};
use crate::raw;
use crate::site::{Got, Site};

/// Attack: L321
/// Attack: L322
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_is_said_by_the_gateway_alone() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let mut request = http().get(site.url("/told/x")).bearer_auth(&token);
    for (name, value) in [
        ("x-caller", "alice"),
        ("x_caller", "alice"),
        ("x-rights", "admin"),
        ("x-auth-user", "alice"),
        ("x_auth_user", "alice"),
        ("x-forwarded-user", "alice"),
        ("remote-user", "alice"),
        ("symbolon-assertion", "forged"),
        ("symbolon_assertion", "forged"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "evil.test"),
        ("forwarded", "for=127.0.0.1"),
        ("connection", "x-caller, symbolon-assertion, x-rights"),
        ("x-harmless", "1"),
    ] {
        request = request.header(name, value);
    }

    let got = Got::of(request.send().await.unwrap()).await;

    assert_eq!(got.all("x-caller"), ["shop"]);
    assert_eq!(got.all("x-rights"), ["read"]);
    assert_eq!(got.all("x-forwarded-for"), ["127.0.0.1"]);
    let host = site.gateway.to_string();
    assert_eq!(got.all("x-forwarded-host"), [&*host]);
    assert_eq!(got.all("x-forwarded-proto"), ["http"]);
    assert_eq!(got.all("host"), [site.upstream.address.to_string()]);
    assert_eq!(got.all("x-harmless"), ["1"]);
    assert_eq!(got.all("symbolon-assertion").len(), 1);
    let all = got.0.to_string();
    assert!(!all.contains("alice") && !all.contains("forged"), "{all}");
    assert!(!all.contains("evil.test"), "{all}");
}

/// What is judged is what is sent: no header is there for the one and gone for
/// the other.
///
/// Attack: L322
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_connection_names_is_neither_judged_nor_sent() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let of = async |named: &str, path: &[u8]| {
        let headers = format!("{bearer}Connection: {named}\r\nX-Hop: 1\r\nX-Stays: 1\r\n");
        raw::get(site.gateway, path, &headers).await
    };

    for named in [
        "authorization",
        "cookie",
        "content-type",
        "origin",
        "sec-fetch-site",
        "x-forwarded-for",
        "mcp-session-id",
        "keep-alive, MCP-Protocol-Version",
    ] {
        let refused = of(named, b"/orders/7").await;
        assert_eq!(raw::code(&refused), "connection-names", "{named}");
    }
    assert_eq!(site.upstream.seen(), 0);
    let socket = format!(
        "{bearer}Upgrade: websocket\r\nConnection: Upgrade, Sec-WebSocket-Protocol\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a\r\n"
    );
    let refused = raw::get(site.gateway, b"/ws", &socket).await;
    assert_eq!(raw::code(&refused), "connection-names", "{refused}");
    let passed = of("X-Hop", b"/orders/7").await;
    assert_eq!(raw::statuses(&passed), [200], "{passed}");
    assert!(
        !passed.contains("x-hop") && passed.contains("x-stays"),
        "{passed}"
    );
}

/// Attack: L336
/// Attack: L337
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_and_own_cookies_stay_at_the_gateway() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let request = http()
        .get(site.url("/orders/7"))
        .bearer_auth(&token)
        .header("cookie", "a=1; __Host-sym-session=x; b=2");

    let answer = request.send().await.unwrap();

    assert!(!answer.headers().contains_key("set-cookie"));
    assert!(!answer.headers().contains_key("x-hop"));
    assert_eq!(answer.headers()["x-upstream"], "1");
    let got = Got::of(answer).await;
    assert_eq!(got.all("authorization"), Vec::<&str>::new());
    assert_eq!(got.all("cookie"), ["a=1; b=2"]);
    assert!(!got.0.to_string().contains(&token));
    let moved = site.get("/moved", &token).await;
    assert_eq!(moved.status(), 302);
    assert_eq!(moved.headers()["location"], "http://elsewhere.example/");

    let passed = Got::of(site.get("/told/x", &token).await).await;
    assert_eq!(passed.all("authorization"), [format!("Bearer {token}")]);
    let public = http().get(site.url("/public/x")).bearer_auth(&token);
    let public = Got::of(public.send().await.unwrap()).await;
    assert_eq!(public.all("authorization"), Vec::<&str>::new());
    assert_eq!(public.all("symbolon-assertion"), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_is_for_one_upstream_one_request_and_one_moment() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let got = Got::of(site.get("/orders/7?x=1", &token).await).await;
    let assertion = got.all("symbolon-assertion")[0].to_owned();
    let Value::Object(keys) = site.running.gateway.keys() else {
        panic!("no key set")
    };
    let now = SystemClock::start().now();
    let good = Expected {
        upstream: "echo",
        method: "GET",
        path_and_query: "/orders/7?x=1",
        now,
    };
    let check = |expected: &Expected<'_>| Asserted::check(&keys, &assertion, expected);

    let asserted = check(&good).unwrap();

    assert_eq!(asserted.text("sub"), Some("shop"));
    assert_eq!(asserted.text("client_id"), Some("shop"));
    assert_eq!(asserted.text("scope"), Some("read"));
    let id = got.all("x-request-id")[0];
    assert_eq!(asserted.text("request_id"), Some(id));
    let later = std::time::Duration::from_secs(36);
    for (expected, why) in [
        (
            Expected {
                upstream: "other",
                ..good
            },
            NotAsserted::Upstream,
        ),
        (
            Expected {
                method: "POST",
                ..good
            },
            NotAsserted::Request,
        ),
        (
            Expected {
                path_and_query: "/orders/8?x=1",
                ..good
            },
            NotAsserted::Request,
        ),
        (
            Expected {
                path_and_query: "/orders/7",
                ..good
            },
            NotAsserted::Request,
        ),
        (
            Expected {
                now: now + later,
                ..good
            },
            NotAsserted::Time,
        ),
    ] {
        assert_eq!(check(&expected).unwrap_err(), why, "{expected:?}");
    }
    let signature = Asserted::check(&keys, &token, &good).unwrap_err();
    assert_eq!(signature, NotAsserted::Signature, "a token of the caller's");
    let broken = format!("{}A", &assertion[..assertion.len() - 1]);
    assert!(Asserted::check(&keys, &broken, &good).is_err() || broken == assertion);
    let other = Got::of(site.get("/orders/7?x=2", &token).await).await;
    assert_ne!(other.all("symbolon-assertion")[0], assertion);
}

/// A request that changes nothing may be said to be the same again; one that
/// does is said once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_safe_request_that_comes_again_is_introduced_in_the_same_words() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let assertion = async |token: &str| {
        let got = Got::of(site.get("/orders/7", token).await).await;
        got.all("symbolon-assertion")[0].to_owned()
    };

    let first = assertion(&token).await;

    assert_eq!(assertion(&token).await, first);
    let other = site.issuer.token(API, "read").await;
    assert_ne!(assertion(&other).await, first, "another token");
    let head = http().head(site.url("/orders/7")).bearer_auth(&token);
    assert_eq!(head.send().await.unwrap().status(), 200);
    let writer = site.issuer.token(API, "write").await;
    let mut written = Vec::new();
    for _ in 0..2 {
        let post = http().post(site.url("/orders/7")).bearer_auth(&writer);
        let got = Got::of(post.send().await.unwrap()).await;
        written.push(got.all("symbolon-assertion")[0].to_owned());
    }
    assert_ne!(written[0], written[1], "what changes something");
    let Value::Object(keys) = site.running.gateway.keys() else {
        panic!("no key set")
    };
    for (said, method) in [
        (&first, "GET"),
        (&written[0], "POST"),
        (&written[1], "POST"),
    ] {
        let expected = Expected {
            upstream: "echo",
            method,
            path_and_query: "/orders/7",
            now: SystemClock::start().now(),
        };
        Asserted::check(&keys, said, &expected).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_is_believed_about_the_address_and_nobody_else() {
    let trusting = Site::with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let trusting = trusting.await;
    let strange = Site::start().await;
    for (site, seen) in [(&trusting, "203.0.113.7"), (&strange, "127.0.0.1")] {
        let request = http()
            .get(site.url("/public/x"))
            .header("x-forwarded-for", "198.51.100.1, 203.0.113.7");

        let got = Got::of(request.send().await.unwrap()).await;

        assert_eq!(got.all("x-forwarded-for"), [seen]);
        assert!(got.all("forwarded")[0].starts_with(&format!("for={seen};")));
    }
}

/// A service that sends whoever comes without TLS to TLS would do so without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_through_a_proxy_that_ends_tls_has_come_by_tls() {
    let origin = |own: &str| Some(own.to_owned());
    for (external_url, trusted, proto) in [
        (origin("https://shop.example.com"), true, "https"),
        (origin("https://shop.example.com"), false, "http"),
        (origin("http://127.0.0.1:8081"), true, "http"),
        (None, true, "http"),
    ] {
        let told = format!("{external_url:?} {trusted}");
        let site = Site::with(|settings| {
            settings.external_url = external_url;
            if trusted {
                settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
            }
        });
        let site = site.await;
        // Nobody's word: a proxy that does not write it passes on its caller's.
        let request = http()
            .get(site.url("/public/x"))
            .header("x-forwarded-for", "203.0.113.7")
            .header("x-forwarded-proto", "wss");

        let got = Got::of(request.send().await.unwrap()).await;

        assert_eq!(got.all("x-forwarded-proto"), [proto], "{told}");
        let standard = got.all("forwarded")[0];
        assert!(
            standard.ends_with(&format!(";proto={proto}")),
            "{told}: {standard}"
        );
    }
}

/// Gateways that share a key do not change it at one moment, and services keep
/// what was published.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_is_good_while_the_key_that_signs_is_changed() {
    let drawn = || symbolon_gateway::KeyOfGateway::draw().unwrap();
    let (one, two) = (drawn(), drawn());
    let copy = |own: &symbolon_token::Secret| symbolon_token::Secret::new(own.expose().to_vec());
    let site = Site::with(|settings| {
        settings.assertion_key = Some(copy(&one));
        settings.assertion_key_other = Some(copy(&two));
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;
    let assertion = async || {
        let got = Got::of(site.get("/orders/7", &token).await).await;
        got.all("symbolon-assertion")[0].to_owned()
    };
    let check = |said: &str, keys: &Value| {
        let expected = Expected {
            upstream: "echo",
            method: "GET",
            path_and_query: "/orders/7",
            now: SystemClock::start().now(),
        };
        Asserted::check(keys.as_object().unwrap(), said, &expected).map(|_| ())
    };
    let before = site.running.gateway.keys();
    let by_one = assertion().await;

    let mut settings = site.settings();
    settings.assertion_key = Some(copy(&two));
    settings.assertion_key_other = Some(copy(&one));
    site.running.gateway.reload(settings).await.unwrap();
    let after = site.running.gateway.keys();
    let by_two = assertion().await;

    assert_ne!(by_one, by_two);
    assert_eq!(before["keys"].as_array().unwrap().len(), 2);
    for keys in [&before, &after] {
        assert_eq!(check(&by_one, keys), Ok(()));
        assert_eq!(check(&by_two, keys), Ok(()));
    }
    let mut settings = site.settings();
    settings.assertion_key = Some(copy(&two));
    site.running.gateway.reload(settings).await.unwrap();
    let alone = site.running.gateway.keys();
    assert_eq!(check(&by_one, &alone), Err(NotAsserted::Signature));
}
