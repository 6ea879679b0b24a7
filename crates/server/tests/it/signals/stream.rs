//! Streams of security events, as their receivers see them.
//!
//! Spec: OpenID Shared Signals Framework 1.0

use reqwest::Method;
use serde_json::{Value, json};

use super::inbox::Inbox;
use super::{admin, call, claims, kind, machine, token_of};
use crate::browser::{Browser, request};
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    a_receiver_creates_changes_and_deletes_its_streams
    only_a_client_with_the_scope_and_the_audience_gets_anywhere
    a_stream_belongs_to_one_client_and_a_client_has_four
    events_are_pushed_to_a_receiver_that_may_know_of_them
    events_are_fetched_and_acknowledged
    whoever_waits_is_answered_when_something_happens
    a_paused_stream_keeps_and_a_disabled_one_forgets
    a_receiver_is_told_the_claims_it_may_know_and_no_others
    a_receiver_hears_of_roles_where_it_acts_for_the_organization
    whom_a_receiver_takes_out_it_hears_nothing_of
    a_session_takes_nobody_out_of_a_stream
    addresses_inside_are_no_endpoints_of_a_stream
}

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type";
const PUSH: &str = "urn:ietf:rfc:8935";
const POLL: &str = "urn:ietf:rfc:8936";

/// A client that people use and that manages streams of its own: `web` with the
/// grant and the scope for it.
pub(super) async fn receiver(server: &Server) -> String {
    let web = admin(server, Method::GET, "clients/web", None).await.json();
    let mut scopes = web["scopes"].as_array().unwrap().clone();
    scopes.push("ssf.manage".into());
    let document = json!({
        "scopes": scopes,
        "grants": ["authorization_code", "refresh_token", "client_credentials"],
    });
    admin(server, Method::PATCH, "clients/web", Some(document)).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "ssf.manage"),
        ("resource", &server.name()),
    ];
    let answer = server.token("web", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

pub(super) async fn ask(
    server: &Server,
    method: Method,
    path: &str,
    token: &str,
    body: Value,
) -> Answer {
    let body = Some(&body).filter(|body| !body.is_null());
    call(server, method, path, (token, body)).await
}

fn all_events() -> Value {
    json!([
        format!("{CAEP}/session-revoked"),
        format!("{CAEP}/credential-change"),
        format!("{CAEP}/token-claims-change"),
        format!("{RISC}/account-disabled"),
        format!("{RISC}/account-enabled"),
        format!("{RISC}/account-purged"),
        "https://example.com/unknown",
    ])
}

/// A stream that is pushed; its id.
pub(super) async fn pushed(server: &Server, token: &str, inbox: &Inbox) -> String {
    let document = json!({
        "events_requested": all_events(),
        "delivery": {
            "method": PUSH,
            "endpoint_url": format!("{}/events", inbox.url),
            "authorization_header": "Bearer of the receiver",
        },
    });
    let answer = ask(server, Method::POST, "/ssf/streams", token, document).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.text("stream_id")
}

/// A stream that is fetched; its id.
pub(super) async fn fetched(server: &Server, token: &str) -> String {
    let document = json!({ "events_requested": all_events() });
    let answer = ask(server, Method::POST, "/ssf/streams", token, document).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let delivery = answer.json()["delivery"].clone();
    let id = answer.text("stream_id");
    assert_eq!(delivery["method"], POLL);
    let endpoint = format!("{}/ssf/poll/{id}", server.name());
    assert_eq!(delivery["endpoint_url"], endpoint);
    id
}

pub(super) async fn poll(server: &Server, token: &str, id: &str, more: Value) -> Answer {
    let mut body = json!({ "returnImmediately": true });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let path = format!("/ssf/poll/{id}");
    ask(server, Method::POST, &path, token, body).await
}

async fn a_receiver_creates_changes_and_deletes_its_streams(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    let about = server.get("/.well-known/ssf-configuration").await.json();
    let name = server.name();
    assert_eq!(about["spec_version"], "1_0");
    assert_eq!(about["issuer"], name);
    assert_eq!(
        about["configuration_endpoint"],
        format!("{name}/ssf/streams")
    );
    assert_eq!(about["delivery_methods_supported"], json!([PUSH, POLL]));
    let path = "/ssf/streams";
    let none = ask(&server, Method::GET, path, &token, Value::Null).await;
    assert_eq!(none.json(), json!([]));

    let id = pushed(&server, &token, &inbox).await;

    let own = format!("{path}?stream_id={id}");
    let read = ask(&server, Method::GET, &own, &token, Value::Null)
        .await
        .json();
    assert_eq!((&read["iss"], &read["aud"]), (&json!(name), &json!("web")));
    assert_eq!(read["events_delivered"].as_array().unwrap().len(), 6);
    assert_eq!(read["events_requested"], all_events());
    assert!(!read.to_string().contains("of the receiver"), "a secret");
    let change =
        json!({ "stream_id": id, "events_requested": [format!("{CAEP}/session-revoked")] });
    let patched = ask(&server, Method::PATCH, path, &token, change)
        .await
        .json();
    assert_eq!(
        patched["events_delivered"],
        json!([format!("{CAEP}/session-revoked")])
    );
    assert_eq!(
        patched["delivery"]["method"], PUSH,
        "what is not named stays"
    );
    let foreign = json!({ "stream_id": id, "aud": "other" });
    let refused = ask(&server, Method::PATCH, path, &token, foreign).await;
    assert_eq!(refused.refusal(), "invalid_request");
    let whole = json!({ "stream_id": id, "description": "mine" });
    let put = ask(&server, Method::PUT, path, &token, whole).await.json();
    assert_eq!(put["delivery"]["method"], POLL, "what is not named is gone");
    assert_eq!(
        (&put["description"], &put["events_delivered"]),
        (&json!("mine"), &json!([]))
    );
    let deleted = ask(&server, Method::DELETE, &own, &token, Value::Null).await;
    assert_eq!(deleted.status, 204);
    for (method, path) in [(Method::GET, &*own), (Method::DELETE, &*own)] {
        let gone = ask(&server, method, path, &token, Value::Null).await;
        assert_eq!((gone.status, &*gone.refusal()), (404, "invalid_request"));
    }
    for wrong in [
        json!([]),
        json!({ "delivery": "push" }),
        json!({ "delivery": { "method": "smoke" } }),
        json!({ "delivery": { "method": PUSH } }),
        json!({ "events_requested": "all" }),
        json!({ "events_requested": vec!["x"; 65] }),
        json!({ "description": 7 }),
        json!({ "delivery": { "method": PUSH, "endpoint_url": inbox.url, "authorization_header": "a\nb" } }),
    ] {
        let refused = ask(&server, Method::POST, path, &token, wrong.clone()).await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
}

async fn only_a_client_with_the_scope_and_the_audience_gets_anywhere(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    machine(&server, "looker", "ssf.read").await;
    let looker = token_of(&server, "looker").await;
    let person = Browser::new(&server).tokens("alice", &request()).await;
    let elsewhere = server
        .token("job", &[("grant_type", "client_credentials")])
        .await;
    let body = || json!({ "stream_id": id, "status": "enabled" });
    for (who, method, path, status) in [
        ("", Method::GET, "/ssf/streams", 401),
        ("nonsense", Method::GET, "/ssf/streams", 401),
        (
            &*person.text("access_token"),
            Method::GET,
            "/ssf/streams",
            401,
        ),
        (&*person.text("id_token"), Method::GET, "/ssf/streams", 401),
        (
            &*elsewhere.text("access_token"),
            Method::GET,
            "/ssf/streams",
            401,
        ),
        (&*looker, Method::GET, "/ssf/streams", 200),
        (&*looker, Method::POST, "/ssf/streams", 403),
        (&*looker, Method::POST, "/ssf/status", 403),
        (&*looker, Method::POST, "/ssf/verify", 403),
        (&*looker, Method::POST, "/ssf/subjects/add", 403),
        (&*token, Method::POST, "/ssf/status", 200),
    ] {
        let body = match method {
            Method::GET => Value::Null,
            _ => body(),
        };
        let answer = ask(&server, method.clone(), path, who, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
    let less = json!({ "scopes": ["openid", "email"] });
    admin(
        &server,
        Method::PATCH,
        "clients/looker",
        Some(json!({ "scopes": [] })),
    )
    .await;
    admin(&server, Method::PATCH, "clients/web", Some(less)).await;
    for who in [&looker, &token] {
        let answer = ask(&server, Method::GET, "/ssf/streams", who, Value::Null).await;
        assert_eq!(
            answer.refusal(),
            "insufficient_scope",
            "taken from the client"
        );
    }
}

async fn a_stream_belongs_to_one_client_and_a_client_has_four(server: Server) {
    let token = receiver(&server).await;
    machine(&server, "second", "ssf.manage").await;
    let second = token_of(&server, "second").await;
    let id = fetched(&server, &token).await;
    let own = format!("/ssf/streams?stream_id={id}");

    for (method, path, body) in [
        (Method::GET, own.clone(), Value::Null),
        (Method::DELETE, own.clone(), Value::Null),
        (
            Method::PATCH,
            "/ssf/streams".to_owned(),
            json!({ "stream_id": id }),
        ),
        (
            Method::PUT,
            "/ssf/streams".to_owned(),
            json!({ "stream_id": id }),
        ),
        (
            Method::GET,
            format!("/ssf/status?stream_id={id}"),
            Value::Null,
        ),
        (
            Method::POST,
            "/ssf/verify".to_owned(),
            json!({ "stream_id": id }),
        ),
        (Method::POST, format!("/ssf/poll/{id}"), json!({})),
    ] {
        let answer = ask(&server, method.clone(), &path, &second, body).await;
        assert_eq!(answer.status, 404, "{method} {path}");
    }

    for _ in 0..3 {
        fetched(&server, &token).await;
    }
    let fifth = ask(&server, Method::POST, "/ssf/streams", &token, json!({})).await;
    assert_eq!(fifth.status, 409);
    fetched(&server, &second).await;
    admin(&server, Method::DELETE, "clients/second", None).await;
    machine(&server, "second", "ssf.manage").await;
    let again = token_of(&server, "second").await;
    let none = ask(&server, Method::GET, "/ssf/streams", &again, Value::Null).await;
    assert_eq!(none.json(), json!([]), "a deleted client leaves no streams");
}

/// A password, and two people kept out: one whom the client does not know.
async fn change_people(server: &Server) {
    for (path, body) in [
        (
            "users/alice/password",
            json!({ "password": "correct horse battery" }),
        ),
        ("users/alice/disable", Value::Null),
        ("users/alice/enable", Value::Null),
        ("users/bob/disable", Value::Null),
    ] {
        let body = Some(body).filter(|body| !body.is_null());
        admin(server, Method::POST, path, body).await;
    }
}

async fn verified_once_a_minute(server: &Server, token: &str, stream: &str) {
    let verify = json!({ "stream_id": stream, "state": "my state" });
    let path = "/ssf/verify";
    let answer = ask(server, Method::POST, path, token, verify.clone()).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let early = ask(server, Method::POST, path, token, verify).await;
    assert_eq!(
        (early.status, early.header("retry-after")),
        (429, Some("60"))
    );
}

async fn events_are_pushed_to_a_receiver_that_may_know_of_them(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    let id = pushed(&server, &token, &inbox).await;
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &request()).await;
    let person = claims(&tokens.text("id_token"));
    verified_once_a_minute(&server, &token, &id).await;
    inbox.wait_for(1).await;
    let hint = tokens.text("id_token");
    browser.get(&format!("/logout?id_token_hint={hint}")).await;
    inbox.wait_for(2).await;

    change_people(&server).await;

    inbox.wait_for(7).await;
    let letters = inbox.settle().await;
    let told: Vec<_> = letters.iter().map(|letter| claims(&letter.body)).collect();
    let names: Vec<&String> = told
        .iter()
        .map(|is| is["events"].as_object().unwrap().keys().next().unwrap())
        .collect();
    let ssf = "https://schemas.openid.net/secevent/ssf/event-type";
    assert_eq!(
        names,
        [
            &format!("{ssf}/verification"),
            &format!("{CAEP}/session-revoked"),
            &format!("{CAEP}/credential-change"),
            &format!("{CAEP}/session-revoked"),
            &format!("{RISC}/account-disabled"),
            &format!("{CAEP}/session-revoked"),
            &format!("{RISC}/account-enabled"),
        ],
        "in order, and nothing of somebody whom the client does not know"
    );
    let user = json!({ "format": "iss_sub", "iss": server.name(), "sub": person["sub"] });
    let session = json!({ "format": "opaque", "id": person["sid"] });
    let whole = json!({ "format": "complex", "user": user, "session": session });
    assert_eq!(told[0]["sub_id"], json!({ "format": "opaque", "id": id }));
    assert_eq!(told[0]["events"][names[0]], json!({ "state": "my state" }));
    assert_eq!(told[1]["sub_id"], whole);
    assert_eq!(told[1]["events"][names[1]]["initiating_entity"], "user");
    assert_eq!(told[2]["events"][names[2]]["credential_type"], "password");
    assert_eq!(told[2]["events"][names[2]]["change_type"], "update");
    let reason = |at: usize| &told[at]["events"][names[at]]["reason_admin"]["en"];
    assert_eq!(
        [1, 2, 3].map(reason),
        [
            "a session was ended by the person",
            "a password was set by an administrator",
            "all sessions were ended by an administrator",
        ]
    );
    for (letter, is) in letters.iter().zip(&told) {
        assert_eq!(letter.kind, "application/secevent+jwt");
        assert_eq!(letter.authorization, "Bearer of the receiver");
        assert_eq!(kind(&letter.body), "secevent+jwt");
        assert_eq!(
            (&is["iss"], &is["aud"]),
            (&json!(server.name()), &json!("web"))
        );
        assert!(!is.contains_key("sub") && !is.contains_key("exp"));
    }
    for is in &told[2..] {
        assert_eq!(is["sub_id"], user);
    }
}

async fn events_are_fetched_and_acknowledged(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    Browser::new(&server).tokens("alice", &request()).await;
    Browser::new(&server).tokens("bob", &request()).await;
    for who in ["alice", "bob", "alice"] {
        let body = Some(json!({ "subject": who }));
        admin(&server, Method::POST, "revoke", body).await;
    }

    let first = poll(&server, &token, &id, json!({ "maxEvents": 2 }))
        .await
        .json();
    let again = poll(&server, &token, &id, json!({ "maxEvents": 2 }))
        .await
        .json();

    let names: Vec<&String> = first["sets"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 2);
    assert_eq!(first["moreAvailable"], true);
    assert_eq!(
        again["sets"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        names
    );
    for (name, event) in first["sets"].as_object().unwrap() {
        assert_eq!(claims(event.as_str().unwrap())["jti"], **name);
    }
    let said = json!({
        "ack": [names[0]],
        "setErrs": { names[1]: { "err": "invalid_key", "description": "unknown" } },
    });
    let rest = poll(&server, &token, &id, said).await.json();
    assert_eq!(rest["sets"].as_object().unwrap().len(), 1);
    assert_eq!(rest["moreAvailable"], false);
    let dead = admin(&server, Method::GET, "dead-letters", None)
        .await
        .json();
    assert_eq!(dead["items"][0]["jti"], **names[1]);
    assert_eq!(dead["items"][0]["reason"], "invalid_key");
    let number = json!({ "number": dead["items"][0]["number"] });
    admin(&server, Method::POST, "dead-letters:retry", Some(number)).await;
    let all: Vec<&String> = rest["sets"].as_object().unwrap().keys().collect();
    let back = poll(&server, &token, &id, json!({ "ack": all })).await;
    let back = back.json();
    let back: Vec<&String> = back["sets"].as_object().unwrap().keys().collect();
    assert_eq!(back, [names[1]], "it is fetched again");
}

async fn whoever_waits_is_answered_when_something_happens(server: Server) {
    let token = receiver(&server).await;
    let id = fetched(&server, &token).await;
    Browser::new(&server).tokens("alice", &request()).await;

    let waiting = poll(&server, &token, &id, json!({ "returnImmediately": false }));
    let later = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let body = Some(json!({ "subject": "alice" }));
        admin(&server, Method::POST, "revoke", body).await;
    };
    let (answer, ()) = tokio::join!(waiting, later);
    assert_eq!(answer.json()["sets"].as_object().unwrap().len(), 1);
}

async fn a_paused_stream_keeps_and_a_disabled_one_forgets(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    let id = pushed(&server, &token, &inbox).await;
    Browser::new(&server).tokens("alice", &request()).await;
    let set = async |status: &str| {
        let body = json!({ "stream_id": id, "status": status, "reason": "maintenance" });
        let answer = ask(&server, Method::POST, "/ssf/status", &token, body).await;
        assert_eq!((answer.status, &*answer.text("status")), (200, status));
    };
    let revoke = async || {
        let body = Some(json!({ "subject": "alice" }));
        admin(&server, Method::POST, "revoke", body).await;
    };

    set("paused").await;
    revoke().await;
    assert!(inbox.settle().await.is_empty());
    set("enabled").await;
    inbox.wait_for(1).await;
    set("disabled").await;
    revoke().await;
    set("enabled").await;

    assert_eq!(inbox.settle().await.len(), 1);
    let path = format!("/ssf/status?stream_id={id}");
    let read = ask(&server, Method::GET, &path, &token, Value::Null)
        .await
        .json();
    assert_eq!(
        read,
        json!({ "stream_id": id, "status": "enabled", "reason": "maintenance" })
    );
    let body = json!({ "stream_id": id, "status": "asleep" });
    let wrong = ask(&server, Method::POST, "/ssf/status", &token, body).await;
    assert_eq!(wrong.status, 400);
}

async fn a_receiver_is_told_the_claims_it_may_know_and_no_others(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    pushed(&server, &token, &inbox).await;
    let mut asked = request();
    asked.insert("scope".into(), "openid email".into());
    Browser::new(&server).tokens("alice", &asked).await;

    let change = json!({ "nickname": "Al", "email": "al@example.com" });
    admin(&server, Method::PATCH, "users/alice", Some(change)).await;
    let change = json!({ "nickname": "Ali" });
    admin(&server, Method::PATCH, "users/alice", Some(change)).await;

    inbox.wait_for(1).await;
    let letters = inbox.settle().await;
    assert_eq!(letters.len(), 1, "of what it may not know it hears nothing");
    let event = &claims(&letters[0].body)["events"][format!("{CAEP}/token-claims-change")];
    let told = json!({ "email": "al@example.com", "email_verified": null });
    assert_eq!(event["claims"], told, "nobody has verified the new one");
}

async fn a_receiver_hears_of_roles_where_it_acts_for_the_organization(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    pushed(&server, &token, &inbox).await;
    let set = async |roles: Value| {
        let path = "organizations/acme/members/alice";
        let body = Some(json!({ "roles": roles }));
        admin(&server, Method::PUT, path, body).await;
    };
    Browser::new(&server).tokens("alice", &request()).await;
    set(json!(["buyer", "auditor"])).await;
    assert!(inbox.settle().await.is_empty(), "it acts for nobody there");
    let mut asked = request();
    asked.insert("organization".into(), "acme".into());
    Browser::new(&server).tokens("alice", &asked).await;

    set(json!(["buyer"])).await;
    set(json!(["buyer"])).await;
    inbox.wait_for(1).await;
    let path = "organizations/acme/members/alice";
    admin(&server, Method::DELETE, path, None).await;

    inbox.wait_for(2).await;
    let letters = inbox.settle().await;
    let told = letters.iter().map(|letter| {
        let event = &claims(&letter.body)["events"][format!("{CAEP}/token-claims-change")];
        event["claims"].clone()
    });
    let expected = [json!(["buyer"]), Value::Null];
    let expected = expected.map(|roles| json!({ "organization": "acme", "roles": roles }));
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

async fn whom_a_receiver_takes_out_it_hears_nothing_of(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    let id = pushed(&server, &token, &inbox).await;
    Browser::new(&server).tokens("alice", &request()).await;
    let revoke = async || {
        let body = Some(json!({ "subject": "alice" }));
        admin(&server, Method::POST, "revoke", body).await;
    };
    let set = async |verb: &str, subject: Value| {
        let body = json!({ "stream_id": id, "subject": subject });
        let path = format!("/ssf/subjects/{verb}");
        ask(&server, Method::POST, &path, &token, body).await.status
    };
    let alice = json!({ "format": "email", "email": "alice@example.com" });
    assert_eq!(set("remove", alice.clone()).await, 204);
    revoke().await;
    assert!(inbox.settle().await.is_empty());
    assert_eq!(set("add", alice).await, 200);
    revoke().await;
    inbox.wait_for(1).await;

    for nobody in [
        json!({ "format": "email", "email": "nobody@example.com" }),
        json!({ "format": "iss_sub", "iss": "https://other.example.com", "sub": "x" }),
    ] {
        assert_eq!(set("remove", nobody.clone()).await, 204, "as for everybody");
        assert_eq!(set("add", nobody).await, 200);
    }
    for wrong in [json!("alice"), json!({ "format": "smoke" }), Value::Null] {
        assert_eq!(set("remove", wrong).await, 400);
    }
}

/// A session is less than a person: whoever names one changes nothing of the whole.
async fn a_session_takes_nobody_out_of_a_stream(server: Server) {
    let inbox = Inbox::open().await;
    let token = receiver(&server).await;
    let id = pushed(&server, &token, &inbox).await;
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let sid = claims(&tokens.text("id_token"))["sid"].clone();
    let alice = json!({ "format": "email", "email": "alice@example.com" });
    let session = json!({ "format": "opaque", "id": sid });
    let whole = json!({ "format": "complex", "user": alice, "session": session });
    let alone = json!({ "format": "complex", "user": alice });
    let set = async |verb: &str, subject: &Value| {
        let body = json!({ "stream_id": id, "subject": subject });
        let path = format!("/ssf/subjects/{verb}");
        ask(&server, Method::POST, &path, &token, body).await
    };

    for verb in ["remove", "add"] {
        let refused = set(verb, &whole).await;
        assert_eq!(
            (refused.status, &*refused.refusal()),
            (400, "invalid_request"),
            "{verb}"
        );
    }

    let body = Some(json!({ "subject": "alice" }));
    admin(&server, Method::POST, "revoke", body.clone()).await;
    inbox.wait_for(1).await;
    assert_eq!(set("remove", &alone).await.status, 204, "a whole person");
    admin(&server, Method::POST, "revoke", body).await;
    assert_eq!(inbox.settle().await.len(), 1);
    assert_eq!(set("add", &alone).await.status, 200);
}

/// Attack: I228
async fn addresses_inside_are_no_endpoints_of_a_stream(server: Server) {
    let token = receiver(&server).await;
    let create = async |url: &str| {
        let delivery = json!({ "method": PUSH, "endpoint_url": url });
        let body = json!({ "delivery": delivery });
        ask(&server, Method::POST, "/ssf/streams", &token, body).await
    };
    for url in [
        "http://events.example.com/",
        "https://10.0.0.1/",
        "https://192.168.0.1/",
        "https://169.254.169.254/latest",
        "https://[fc00::1]/",
        "https://user:word@events.example.com/",
        "ftp://events.example.com/",
        "events",
    ] {
        let answer = create(url).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, "invalid_request"),
            "{url}"
        );
    }
    assert_eq!(create("https://events.example.com/in").await.status, 201);
}
