//! Who gets through, and what is said to whoever does not.

use crate::issuer::{API, OPAQUE, SHORT, http};
use crate::site::{Got, Site};
use crate::stream::until_refused;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_token_reaches_the_upstream_and_nothing_else_does() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let got = Got::of(site.get("/orders/7?x=1", &token).await).await;
    assert_eq!(got.text("method"), "GET");
    assert_eq!(got.text("target"), "/orders/7?x=1");
    assert_eq!(site.upstream.seen(), 1);

    let opaque = site.issuer.token(OPAQUE, "read").await;
    let other = site.issuer.token(SHORT, "read").await;
    let narrow = site.issuer.token(API, "write").await;
    for (path, token, status, error) in [
        ("/orders/7", None, 401, ""),
        ("/orders/7", Some("nonsense"), 401, "invalid_token"),
        ("/orders/7", Some(&*opaque), 401, "invalid_token"),
        ("/orders/7", Some(&*other), 401, "invalid_token"),
        ("/orders/7", Some(&*narrow), 403, "insufficient_scope"),
        ("/orders/admin", Some(&*token), 403, "insufficient_scope"),
        ("/opaque/x", Some(&*token), 401, "invalid_token"),
    ] {
        let mut request = http().get(site.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path} {error}");
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert!(challenge.contains("resource_metadata="), "{challenge}");
        assert_eq!(challenge.contains("error="), !error.is_empty());
        assert!(challenge.contains(error), "{challenge}");
        assert!(answer.headers().contains_key("x-request-id"));
    }
    assert_eq!(site.upstream.seen(), 1, "a refused request went on");
    let opaque = site.get("/opaque/x", &opaque).await;
    assert_eq!(opaque.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_narrowest_route_decides_and_what_none_takes_is_nowhere() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;

    let nowhere = site.get("/elsewhere", &token).await;
    assert_eq!(nowhere.status(), 404);
    let kind = nowhere.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(kind, "application/problem+json");
    let body: serde_json::Value = nowhere.json().await.unwrap();
    assert_eq!(body["type"], "https://symbolon.dev/problems/no-route");

    let method = http().put(site.url("/orders/7")).bearer_auth(&token);
    let method = method.send().await.unwrap();
    assert_eq!(method.status(), 405);
    assert_eq!(method.headers()["allow"], "DELETE, GET, HEAD, POST");
    let trace = http().request(reqwest::Method::TRACE, site.url("/public/x"));
    assert_eq!(trace.send().await.unwrap().status(), 405);

    let public = http().get(site.url("/public/x")).send().await.unwrap();
    assert_eq!(Got::of(public).await.text("target"), "/public/x");
    let head = http().head(site.url("/orders/7")).bearer_auth(&token);
    let head = head.send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.bytes().await.unwrap().is_empty());
}

/// Attack: L334
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_the_query_opens_nothing() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;

    let alone = site.url(&format!("/orders/7?access_token={token}"));
    let alone = http().get(alone).send().await.unwrap();
    let both = site
        .get(&format!("/orders/7?access_token={token}"), &token)
        .await;

    assert_eq!(alone.status(), 401);
    assert_eq!(both.status(), 400);
    assert_eq!(site.upstream.seen(), 0);
    assert_eq!(site.get("/orders/7?token=x", &token).await.status(), 200);
}

/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_issuer_nobody_new_gets_in_and_public_routes_go_on() {
    let mut site = Site::start().await;
    let opaque = site.issuer.token(OPAQUE, "read").await;
    assert_eq!(site.get("/opaque/x", &opaque).await.status(), 200);
    let fresh = site.issuer.token(OPAQUE, "read").await;
    site.issuer.stop().await;

    let answer = site.get("/opaque/x", &fresh).await;

    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert!(!answer.headers().contains_key("www-authenticate"));
    let public = http().get(site.url("/public/x")).send().await.unwrap();
    assert_eq!(public.status(), 200);
    assert_eq!(site.upstream.seen(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_taken_back_is_refused_within_a_second() {
    let site = Site::start().await;
    for (audience, path) in [(API, "/orders/7"), (OPAQUE, "/opaque/7")] {
        let token = site.issuer.token(audience, "read").await;
        assert_eq!(site.get(path, &token).await.status(), 200);

        site.issuer.revoke(&token).await;

        until_refused(async || site.get(path, &token).await.status().as_u16()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_says_where_tokens_come_from_and_how_it_is() {
    let site = Site::start().await;
    let text = async |url: String| {
        let answer = http().get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };

    let (status, metadata) = text(site.url("/.well-known/oauth-protected-resource")).await;
    assert_eq!(status, 200);
    assert!(metadata.contains(&site.issuer.url), "{metadata}");
    let keys = site.url("/.well-known/symbolon-gateway/jwks.json");
    let (status, keys) = text(keys).await;
    assert_eq!(status, 200);
    assert!(
        keys.contains("\"P-256\"") && !keys.contains("\"d\""),
        "{keys}"
    );
    let posted = http().post(site.url("/.well-known/symbolon-gateway/jwks.json"));
    assert_eq!(posted.send().await.unwrap().status(), 405);

    let admin = |path: &str| format!("http://{}{path}", site.admin);
    assert_eq!(text(admin("/healthz")).await.0, 200);
    assert_eq!(text(admin("/readyz")).await.0, 200);
    assert_eq!(text(admin("/orders/7")).await.0, 404);
    assert_eq!(text(site.url("/healthz")).await.0, 404);
}
