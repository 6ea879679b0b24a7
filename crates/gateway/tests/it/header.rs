//! What the upstream hears, and from whom.

use serde_json::Value;
use symbolon_gateway::{Asserted, Expected, NotAsserted};
use symbolon_server::clock::SystemClock;
use symbolon_token::Clock;

use crate::issuer::{API, http};
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
    let again = Got::of(site.get("/orders/7?x=1", &token).await).await;
    assert_ne!(again.all("symbolon-assertion")[0], assertion);
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
