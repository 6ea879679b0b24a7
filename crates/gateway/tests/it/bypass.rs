//! Ways around a route that other gateways had.

use serde_json::Value;

use crate::issuer::API;
use crate::raw;
use crate::site::{Site, needs, route};

/// Where only an administrator may go, beside what is open to everybody.
async fn site() -> Site {
    let site = Site::with(|settings| {
        let issuer = match &settings.routes[0].demand {
            symbolon_gateway::Demand::Token(demand) => demand.issuer.clone(),
            symbolon_gateway::Demand::Public => panic!("the first route is protected"),
        };
        settings.routes = vec![
            route("/{*rest}", needs(&issuer, API, "read")),
            route("/admin", needs(&issuer, API, "admin")),
            route("/admin/{*rest}", needs(&issuer, API, "admin")),
            route("/public/{*rest}", symbolon_gateway::Demand::Public),
        ];
    });
    site.await
}

/// Attack: L324
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_of_writing_a_path_leads_around_its_route() {
    let site = site().await;
    let token = site.issuer.token(API, "read").await;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for (target, status, code) in [
        (&b"/public/..%2fadmin"[..], 400, "path-separator"),
        (b"/public/../admin", 400, "path-dot-segment"),
        (b"/public/%2e%2e/admin", 400, "path-dot-segment"),
        (b"/public/%252e%252e/admin", 400, "path-double-escape"),
        (b"//admin", 400, "path-empty-segment"),
        (b"/./admin", 400, "path-dot-segment"),
        (b"/admin/", 400, "path-empty-segment"),
        (b"/admin;x", 400, "path-parameter"),
        (b"/admin;x=/public/y", 400, "path-parameter"),
        (b"/public;/../admin", 400, "path-parameter"),
        (b"/public\\..\\admin", 400, "path-separator"),
        (b"/public%5c..%5cadmin", 400, "path-separator"),
        (b"/admin%00", 400, "path-control"),
        (b"/admin%0a", 400, "path-control"),
        (b"/admin%3f", 400, "path-delimiter"),
        (b"/admin%23", 400, "path-delimiter"),
        (b"/admin%", 400, "path-broken-escape"),
        (b"/public%c0%afadmin", 400, "path-not-text"),
        (b"/public%ef%bc%8f..%ef%bc%8fadmin", 400, "path-look-alike"),
        (b"/public/%ef%b8%b0/admin", 400, "path-look-alike"),
        (b"/ADMIN", 400, "path-nearly"),
        (b"/Admin/x", 400, "path-nearly"),
        (b"/admin.", 400, "path-nearly"),
        (b"/admin%20/x", 400, "path-nearly"),
        (b"/%ef%bd%81dmin/x", 400, "path-nearly"),
        (b"/PUBLIC/x", 400, "path-nearly"),
        (b"http://gateway.test/public/x", 400, "target-form"),
        (b"http://elsewhere.test/admin", 400, "target-form"),
        (b"*", 400, "target-form"),
        (b"/%61dmin", 403, ""),
        (b"/%61%64%6d%69%6e", 403, ""),
        (b"/admin?x=/public/y", 403, ""),
        (b"/admin#/public/y", 403, ""),
        (b"/admin", 403, ""),
        (b"/admin/x", 403, ""),
    ] {
        let answer = raw::get(site.gateway, target, &bearer).await;
        let target = String::from_utf8_lossy(target);
        assert_eq!(raw::statuses(&answer), [status], "{target}: {answer}");
        assert_eq!(raw::code(&answer), code, "{target}");
    }
    for target in [
        &b"/admin\0"[..],
        b"/admin\x01",
        b"/adm in",
        b"/\xff\xfe",
        b"/caf\xc3\xa9",
    ] {
        let answer = raw::get(site.gateway, target, &bearer).await;
        assert_eq!(raw::statuses(&answer), [400], "{target:?}: {answer}");
    }
    assert_eq!(site.upstream.seen(), 0, "something went around");
}

/// Attack: L324
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_path_that_is_judged_is_the_path_that_is_sent() {
    let site = site().await;
    let token = site.issuer.token(API, "read").await;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for (target, sent) in [
        ("/orders/7", "/orders/7"),
        ("/%6frders/%37", "/orders/7"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%20b/c+d", "/a%20b/c+d"),
        ("/ORDERS/Seven.", "/ORDERS/Seven."),
        ("/x?a=%2e%2e/%00&b=//;", "/x?a=%2e%2e/%00&b=//;"),
        ("/x?", "/x?"),
    ] {
        let answer = raw::get(site.gateway, target.as_bytes(), &bearer).await;

        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        let got: Value = serde_json::from_str(body).unwrap();
        assert_eq!(got["target"], sent, "{target}");
    }
}

/// A route for all methods beside one for some: what a service reads as one of
/// these is not judged as another.
///
/// Attack: L324
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_way_of_writing_a_method_leads_around_its_route() {
    let site = Site::with(|settings| {
        let issuer = match &settings.routes[0].demand {
            symbolon_gateway::Demand::Token(demand) => demand.issuer.clone(),
            symbolon_gateway::Demand::Public => panic!("the first route is protected"),
        };
        let mut admin = route("/orders/{id}", needs(&issuer, API, "admin"));
        admin.methods = vec![http::Method::DELETE];
        settings.routes = vec![route("/{*rest}", needs(&issuer, API, "read")), admin];
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let of = async |method: &str| {
        let head = format!(
            "{method} /orders/7 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        let answer = raw::send(site.gateway, head.as_bytes()).await;
        (raw::statuses(&answer), raw::code(&answer).to_owned())
    };

    for small in ["delete", "Delete", "DELETe"] {
        assert_eq!(
            of(small).await,
            (vec![400], "method-small".into()),
            "{small}"
        );
    }
    let target = b"/orders/7?%5Fmethod=DELETE";
    let named = raw::get(site.gateway, target, &bearer).await;
    assert_eq!(raw::code(&named), "query-method", "{named}");
    assert_eq!(of("DELETE").await.0, [403]);
    assert_eq!(site.upstream.seen(), 0, "something went around");
    assert_eq!(of("PURGE").await.0, [200]);
}

/// Attack: L325
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_path_and_method_chooses_the_route() {
    let site = site().await;
    for headers in [
        "X-Forwarded-Uri: /public/x\r\n",
        "X-Original-URL: /public/x\r\nX-Rewrite-URL: /public/x\r\n",
        "User-Agent: kube-probe/1.0\r\n",
        "User-Agent: GoogleHC/1.0\r\n",
        "X-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
        "X-HTTP-Method-Override: OPTIONS\r\n",
        "Cookie: session=%00; session=\r\n",
        "Authorization: Basic YWxpY2U6eA==\r\n",
        "Authorization: Bearer\r\n",
    ] {
        let answer = raw::get(site.gateway, b"/admin?x=/public/y", headers).await;

        let status = raw::statuses(&answer);
        assert!(status == [401] || status == [400], "{headers}: {answer}");
    }
    assert_eq!(site.upstream.seen(), 0);
    let open = raw::get(site.gateway, b"/public/x", "").await;
    assert_eq!(raw::statuses(&open), [200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_two_hosts_or_none_is_for_nobody() {
    let site = site().await;
    for (head, code) in [
        (
            "GET /public/x HTTP/1.1\r\nConnection: close\r\n\r\n",
            "host-missing",
        ),
        (
            "GET /public/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
            "host-repeated",
        ),
        (
            "GET /public/x HTTP/1.1\r\nHost: a\r\nHost: a\r\nConnection: close\r\n\r\n",
            "host-repeated",
        ),
        (
            "GET /public/x HTTP/1.1\r\nHost: a@b\r\nConnection: close\r\n\r\n",
            "host-malformed",
        ),
        (
            "GET /public/x HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n",
            "host-malformed",
        ),
        ("GET /public/x HTTP/1.0\r\n\r\n", "host-missing"),
    ] {
        let answer = raw::send(site.gateway, head.as_bytes()).await;
        assert_eq!(raw::code(&answer), code, "{head}: {answer}");
    }
    let connect = b"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: elsewhere.test:443\r\nConnection: close\r\n\r\n";
    let answer = raw::send(site.gateway, connect).await;
    assert_eq!(raw::code(&answer), "target-form", "{answer}");
    assert_eq!(site.upstream.seen(), 0);
}
