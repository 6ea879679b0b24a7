//! What stands before every answer: which host is taken, and what browsers are
//! told about it.

use reqwest::Method;
use serde_json::Value;

use crate::browser::{Browser, request};
use crate::harness::{Answer, Server, read};
use crate::on_both_engines;

on_both_engines! {
    a_grant_names_its_families_and_one_of_them_is_taken_back
    people_are_asked_in_words_that_somebody_or_nobody_wrote
    members_are_listed_with_their_names
}

const HSTS: &str = "strict-transport-security";

/// A call of the public listener under a host.
async fn under(server: &Server, host: &str, method: Method, path: &str) -> Answer {
    let request = server.request(method, path).header("host", host);
    // Two lines of `Host` are none: the harness' own is replaced.
    let mut request = request.build().unwrap();
    request.headers_mut().insert("host", host.parse().unwrap());
    read(server.http.execute(request).await.unwrap()).await
}

/// A call of the administration listener under a host, by who may do all.
async fn administration(server: &Server, host: &str, path: &str) -> Answer {
    let request = server
        .http
        .get(format!("{}{path}", server.admin))
        .bearer_auth(&server.admin_token)
        .header("host", host);
    read(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_are_told_to_use_https_alone_where_the_issuer_is_for_everybody() {
    let server = Server::named("https://login.example.com").await;
    let host = "login.example.com";
    for (method, path, status) in [
        (Method::GET, "/healthz", 200),
        (Method::GET, "/.well-known/openid-configuration", 200),
        (Method::GET, "/nothing", 404),
        (Method::GET, "/token", 405),
        (Method::GET, "/authorize", 400),
        (Method::POST, "/token", 401),
        (Method::OPTIONS, "/token", 204),
    ] {
        let answer = under(&server, host, method, path).await;

        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header(HSTS), Some("max-age=63072000"), "{path}");
    }
    let elsewhere = under(&server, "evil.test", Method::GET, "/authorize").await;
    assert_eq!((elsewhere.status, elsewhere.header(HSTS)), (421, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_to_use_https_alone_on_this_machine() {
    let plain = Server::on_sqlite().await;
    assert_eq!(plain.get("/authorize").await.header(HSTS), None);
    for issuer in ["https://localhost:8443", "https://127.0.0.1:8443"] {
        let server = Server::named(issuer).await;
        let host = issuer.trim_start_matches("https://");
        let answer = under(&server, host, Method::GET, "/authorize").await;
        assert_eq!(
            (answer.status, answer.header(HSTS)),
            (400, None),
            "{issuer}"
        );
    }
}

/// Attack: K293
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administration_answers_under_its_own_names_alone() {
    let server = Server::on_sqlite().await;
    for path in ["/metrics", "/openapi.json", "/admin/v1/clients", "/nothing"] {
        let refused = administration(&server, "evil.test:8090", path).await;
        assert_eq!(refused.status, 421, "{path} {}", refused.body);
        assert!(refused.header("x-request-id").is_some());
    }
    for host in ["127.0.0.1:8090", "localhost", "[::1]:8090"] {
        let answer = administration(&server, host, "/metrics").await;
        assert_eq!(answer.status, 200, "{host}");
        let answer = administration(&server, host, "/admin/v1/clients").await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let probe = administration(&server, "probe.test", "/readyz").await;
    assert_eq!(probe.status, 200, "probes name whatever host they like");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_administration_does_not_take_says_which_it_does() {
    let server = Server::on_sqlite().await;
    let made = server
        .admin(Method::POST, "/admin/v1/status-links", None)
        .await;
    let link = made.json()["url"].as_str().unwrap().to_owned();
    let (_, link) = link.split_once("/status").unwrap();
    let link = format!("{}/status{link}", server.admin);
    let head = server.http.head(format!("{}/status", server.admin));
    let head = head.send().await.unwrap();
    assert_eq!(head.status(), 405);
    assert_eq!(head.headers()["allow"], "GET");
    let delete = server.http.delete(format!("{}/status", server.admin));
    let delete = delete.send().await.unwrap();
    assert_eq!(delete.status(), 405);
    assert!(delete.headers().contains_key("allow"));
    let looked = server.http.head(&link).send().await.unwrap();
    assert_eq!(looked.status(), 405);
    let opened = server.http.get(&link).send().await.unwrap();
    assert_eq!(opened.status(), 303, "whoever only looks uses nothing up");
}

async fn a_grant_names_its_families_and_one_of_them_is_taken_back(server: Server) {
    let mut browser = Browser::new(&server);
    let first = browser.tokens("alice", &request()).await;
    server.advance(5);
    let second = browser.tokens("alice", &request()).await;
    let list = server
        .admin(Method::GET, "/admin/v1/grants?user=alice", None)
        .await;
    let grant = list.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let families = async || {
        let path = format!("/admin/v1/grants/{grant}");
        let shown = server.admin(Method::GET, &path, None).await.json();
        shown["families"].as_array().unwrap().clone()
    };
    let refresh = async |token: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        server.token("web", &form).await
    };
    server.advance(5);
    let renewed = refresh(&first.text("refresh_token")).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);

    let both = families().await;

    let generations: Vec<&Value> = both.iter().map(|own| &own["generation"]).collect();
    assert_eq!(generations, [1, 2], "the newest first");
    for family in &both {
        for name in ["id", "created", "last_used", "ends"] {
            assert!(family[name].is_string(), "{family}");
        }
    }
    assert!(both[1]["last_used"].as_str() > both[1]["created"].as_str());
    let newest = both[0]["id"].clone();
    let body = serde_json::json!({ "family": newest });
    let revoked = server
        .admin(Method::POST, "/admin/v1/revoke", Some(body))
        .await;
    assert_eq!(revoked.status, 204, "{}", revoked.body);
    assert_eq!(refresh(&second.text("refresh_token")).await.status, 400);
    assert_eq!(refresh(&renewed.text("refresh_token")).await.status, 200);
    assert_eq!(families().await.len(), 1);
    let path = format!("/admin/v1/grants/{grant}");
    let gone = server.admin(Method::DELETE, &path, None).await;
    assert_eq!(gone.status, 204);
    assert!(families().await.is_empty());
}

async fn people_are_asked_in_words_that_somebody_or_nobody_wrote(server: Server) {
    let mut asked = request();
    asked.insert("scope".into(), "openid read:orders read:vault".into());
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&asked).await;

    let consent = browser
        .sign_in(&page, "alice", crate::harness::PASSWORD)
        .await;

    assert!(consent.body.contains("See your orders"), "{}", consent.body);
    assert!(consent.body.contains("Read vault"), "{}", consent.body);
}

async fn members_are_listed_with_their_names(server: Server) {
    let path = "/admin/v1/organizations/acme/members";

    let list = server.admin(Method::GET, path, None).await.json();

    let member = &list["items"][0];
    assert_eq!(member["username"], "alice", "{list}");
    assert!(member["user"].as_str().unwrap().starts_with("usr_"));
}
