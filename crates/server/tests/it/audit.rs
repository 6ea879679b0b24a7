//! The audit trail: one record for each change, and a chain that holds.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::testing::{Probe, probes, without_a_probe};

use crate::access::admin::known;
use crate::browser::{Browser, redemption, request};
use crate::harness::{CALLBACK, Server};
use crate::on_both_engines;

on_both_engines! {
    every_change_by_an_administrator_is_told_once
    every_change_by_people_and_clients_is_told_once
    the_trail_is_filtered
    the_chain_is_answered_with_what_proves_it
}

/// Mutating routes whose call changes nothing that is kept.
const CHANGES_NOTHING: [&str; 6] = [
    // There are none.
    "/admin/v1/dead-letters:retry",
    "/admin/v1/dead-letters:drop",
    "/admin/v1/status-links",
    "/admin/v1/resources:advise",
    "/admin/v1/tokens:explain",
    // The call of it only asks for the plan.
    "/admin/v1/keys:rotate",
];

/// The records that a query finds.
async fn found(server: &Server, query: &str) -> Vec<Value> {
    let path = format!("/admin/v1/audit?limit=1000&{query}");
    let answer = server.admin(Method::GET, &path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["items"].as_array().unwrap().clone()
}

/// I33, over every route of the table.
async fn every_change_by_an_administrator_is_told_once(server: Server) {
    let probes = probes(&known(&server).await);
    assert!(without_a_probe(&probes).is_empty());
    let mut changes = 0;
    let of_administration = |probe: &&Probe| probe.path.starts_with("/admin");
    for probe in probes.iter().filter(of_administration) {
        let answer = server
            .admin(probe.method.clone(), &probe.path, probe.body.clone())
            .await;
        assert!(answer.status < 300, "{} {}", probe.path, answer.body);
        let id = answer.header("x-request-id").unwrap().to_owned();
        let told = found(&server, &format!("request={id}")).await;
        let is_change = probe.method != Method::GET && !CHANGES_NOTHING.contains(&probe.route);
        let (method, path) = (&probe.method, &probe.path);
        assert_eq!(
            told.len(),
            usize::from(is_change),
            "{method} {path}: {told:?}"
        );
        if is_change {
            changes += 1;
            assert_eq!(told[0]["actor"], "administrator", "{method} {path}");
        }
    }
    assert!(changes > 30, "{changes}");
    // A rotation is told once for each key that is asked for.
    let body = json!({ "algorithm": "ES256" });
    let rotated = server
        .admin(Method::POST, "/admin/v1/keys:rotate", Some(body))
        .await;
    let id = rotated.header("x-request-id").unwrap();
    assert_eq!(found(&server, &format!("request={id}")).await.len(), 1);
}

/// How many records there are of each action since some were counted.
async fn told(server: &Server, before: usize) -> Vec<String> {
    let all = found(server, "").await;
    let mut names: Vec<String> = all[before..]
        .iter()
        .map(|own| own["action"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

async fn every_change_by_people_and_clients_is_told_once(server: Server) {
    let count = async || found(&server, "").await.len();
    let mut before = count().await;
    let mut since = async |wanted: &[&str]| {
        assert_eq!(told(&server, before).await, wanted);
        before = count().await;
        // Records are ordered by time, so that those to come stand behind.
        server.advance(1);
    };

    let mut browser = Browser::new(&server);
    let code = browser.code("alice", &request()).await;
    since(&["consent.grant", "session.open"]).await;
    let redeem = redemption(&code, CALLBACK);
    let tokens = server.token("web", &redeem).await;
    assert_eq!(tokens.status, 200);
    since(&[]).await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let renew = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let next = server.token("web", &renew).await;
    assert_eq!(next.status, 200);
    since(&[]).await;
    let next = next.text("refresh_token");
    let renew_next = [("grant_type", "refresh_token"), ("refresh_token", &*next)];
    assert_eq!(server.token("web", &renew_next).await.status, 200);
    since(&[]).await;
    assert_eq!(server.token("web", &renew).await.refusal(), "invalid_grant");
    since(&["refresh.reuse"]).await;
    assert_eq!(server.token("web", &renew).await.refusal(), "invalid_grant");
    since(&[]).await;
    assert_eq!(
        server.token("web", &redeem).await.refusal(),
        "invalid_grant"
    );
    // What came of it was dead already.
    since(&[]).await;
    let code = browser.code("alice", &request()).await;
    let again = redemption(&code, CALLBACK);
    assert_eq!(server.token("web", &again).await.status, 200);
    since(&[]).await;
    for wanted in [&["code.reuse"][..], &[]] {
        let refused = server.token("web", &again).await;
        assert_eq!(refused.refusal(), "invalid_grant");
        since(wanted).await;
    }

    let tokens = browser.tokens("alice", &request()).await;
    let (access_2, refresh_2) = (tokens.text("access_token"), tokens.text("refresh_token"));
    since(&[]).await;
    for (token, wanted) in [(&access_2, "token.revoke"), (&refresh_2, "family.revoke")] {
        let form = [("token", &**token)];
        assert_eq!(server.form("/revoke", "web", &form).await.status, 200);
        since(&[wanted]).await;
        // Again, and what was dead before: nothing changes, nothing is told.
        assert_eq!(server.form("/revoke", "web", &form).await.status, 200);
        assert_eq!(
            server
                .form("/revoke", "web", &[("token", &access)])
                .await
                .status,
            200
        );
        since(&[]).await;
    }
    let page = browser.get("/logout").await;
    let confirmed = [("confirm", "yes")];
    browser.submit("/logout", &page, &confirmed).await;
    since(&["session.end"]).await;
}

async fn the_trail_is_filtered(server: Server) {
    let make = async |id: &str| {
        let body = json!({ "id": id, "kind": "service", "grants": ["client_credentials"] });
        let made = server.admin(Method::POST, "/admin/v1/clients", Some(body));
        made.await.header("x-request-id").unwrap().to_owned()
    };
    make("one").await;
    server.advance(60);
    let second = make("two").await;
    let all = found(&server, "action=client.create&actor=administrator").await;
    assert_eq!(all.len(), 2);
    let (first_at, at) = (&all[0]["at"], all[1]["at"].as_str().unwrap());
    let clients = async |query: &str| {
        let query = format!("action=client.create&actor=administrator&{query}");
        let found = found(&server, &query).await;
        let names = found
            .iter()
            .map(|own| own["client"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };

    assert_eq!(clients("").await, ["one", "two"]);
    assert_eq!(clients("client=two").await, ["two"]);
    assert_eq!(clients(&format!("request={second}")).await, ["two"]);
    assert_eq!(clients(&format!("since={at}")).await, ["two"]);
    assert_eq!(clients(&format!("until={at}")).await, ["one"]);
    let first_at = first_at.as_str().unwrap();
    assert_eq!(
        clients(&format!("since={first_at}&until={at}")).await,
        ["one"]
    );
    assert!(clients("subject=nobody").await.is_empty());
    for bad in [
        "since=yesterday",
        "until=1",
        "actor=",
        "subject=a&subject=b",
    ] {
        let path = format!("/admin/v1/audit?{bad}");
        let answer = server.admin(Method::GET, &path, None).await;
        let is_refused = answer.status == 400;
        // An empty parameter is one that is not there.
        assert!(is_refused || bad == "actor=", "{bad}: {}", answer.body);
    }
}

async fn the_chain_is_answered_with_what_proves_it(server: Server) {
    server
        .admin(Method::POST, "/admin/v1/users/alice/disable", None)
        .await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut chain = Value::Null;
    while tokio::time::Instant::now() < deadline {
        let path = "/admin/v1/audit/chain?limit=1000";
        chain = server.admin(Method::GET, path, None).await.json();
        let items = chain["items"].as_array().unwrap();
        if items.iter().any(|own| own["action"] == "user.disable") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    let items = chain["items"].as_array().unwrap();
    let last = items.last().unwrap();
    assert_eq!(last["action"], "user.disable");
    let links: Vec<_> = items
        .iter()
        .map(|own| own["link"].as_i64().unwrap())
        .collect();
    assert!(links.iter().copied().eq(1..=links.len() as i64));
    assert_eq!(chain["head"]["hash"], last["hash"]);
    let anchors = chain["anchors"].as_array().unwrap();
    let anchor = anchors.last().unwrap();
    assert_eq!(
        (&anchor["link"], &anchor["hash"]),
        (&last["link"], &last["hash"])
    );
    let keys = chain["keys"].as_array().unwrap();
    assert!(keys.iter().any(|own| own["name"] == anchor["key"]));
    assert_eq!(chain["strays"], json!([]));
    let page = server
        .admin(Method::GET, "/admin/v1/audit/chain?limit=2&after=1", None)
        .await
        .json();
    assert_eq!(page["items"][0], items[1]);
    assert_eq!(page["next"], "3");
}

/// The chain, with all in it that was done so far.
async fn linked(server: &Server) -> Value {
    let app = &server.running.as_ref().unwrap().app;
    symbolon_server::testing::link_audit(app).await;
    let path = "/admin/v1/audit/chain?limit=1000";
    server.admin(Method::GET, path, None).await.json()
}

fn actions(chain: &Value) -> Vec<&str> {
    let items = chain["items"].as_array().unwrap().iter();
    items.map(|own| own["action"].as_str().unwrap()).collect()
}

const DAY: u64 = 24 * 60 * 60;

/// Records go when they are a week old by a clock that could be a day ahead,
/// and not before; and the chain says so itself.
async fn what_is_older_than_configured_goes(server: Server) {
    let app = std::sync::Arc::clone(&server.running.as_ref().unwrap().app);
    let forget = async || symbolon_server::testing::forget_audit(&app).await;
    let set = async |what: &str| {
        let path = format!("/admin/v1/users/bob/{what}");
        server.admin(Method::POST, &path, None).await;
    };
    set("disable").await;
    let whole = linked(&server).await;
    assert_eq!(actions(&whole).last(), Some(&"user.disable"));
    server.advance(7 * DAY + DAY / 2);
    set("enable").await;
    linked(&server).await;
    forget().await;
    let early = linked(&server).await;
    assert_eq!(actions(&early).last(), Some(&"user.enable"));
    assert!(
        early["start"].is_null(),
        "a clock may be a day ahead: {early}"
    );

    server.advance(DAY);
    forget().await;
    let chain = linked(&server).await;
    forget().await;

    let start = &chain["start"];
    let first = chain["items"][0]["link"].as_i64();
    assert_eq!(start["link"].as_i64().map(|link| link + 1), first);
    assert_eq!(actions(&chain), ["user.enable", "audit.forget"]);
    let detail = chain["items"][1]["detail"].as_str().unwrap();
    let detail: Value = serde_json::from_str(detail).unwrap();
    assert_eq!(detail["through"], start["link"]);
    assert_eq!(detail["retention_seconds"], 7 * DAY);
    let left = found(&server, "action=user.disable").await;
    assert!(left.is_empty(), "{left:?}");
    let path = "/admin/v1/audit/chain?after=1";
    let after = server.admin(Method::GET, path, None).await.json();
    assert_eq!(actions(&after), ["user.enable", "audit.forget"]);
}

const WEEK: &str = "[audit]\nretention = \"7d\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_configured_goes_on_sqlite() {
    what_is_older_than_configured_goes(Server::on_sqlite_with(WEEK).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_configured_goes_on_postgresql() {
    what_is_older_than_configured_goes(Server::on_postgres_with(WEEK).await).await;
}
