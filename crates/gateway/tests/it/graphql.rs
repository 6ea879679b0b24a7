//! A graph behind the gateway: what of a request reaches the service, and what
//! the caller is answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use serde_json::{Value, json};
use symbolon_gateway::{
    Demand, Graph, GraphSettings, Introspection, Limits, Mode, OnDenied, Persisted, Source,
};
use tokio::net::TcpListener;

use crate::issuer::{API, http};
use crate::site::{Got, Site, needs, route, to};

const SCHEMA: &str = r#"
type Query {
  me: User
  secret: String @requiresScopes(scopes: [["admin"]])
  list(first: Int): [User!]!
}
type Mutation { touch: Int }
type Subscription { ticks: Int, secret: Int @requiresScopes(scopes: [["admin"]]) }
type User { name: String, email: String @requiresScopes(scopes: [["admin"], ["write"]]) }
"#;

fn graph(change: impl FnOnce(&mut GraphSettings)) -> Arc<Graph> {
    let mut settings = GraphSettings {
        schema: Source {
            name: "schema.graphql".into(),
            text: SCHEMA.into(),
        },
        rules: None,
        manifest: None,
        policies: BTreeMap::new(),
        on_denied: OnDenied::Refuse,
        mode: Mode::Enforce,
        introspection: Introspection::Off,
        persisted: Persisted::Off,
        automatic_persisted: false,
        subscriptions: false,
        limits: Limits::default(),
    };
    change(&mut settings);
    Arc::new(Graph::new(settings).unwrap())
}

/// A site whose `/graph` guards a graph.
async fn site(change: impl FnOnce(&mut GraphSettings)) -> Site {
    let graph = graph(change);
    Site::with(|settings| {
        let Some(issuer) = settings.credentials.as_ref().map(|own| own.issuer.clone()) else {
            panic!("there is one")
        };
        let mut guarded = route("/graph", needs(&issuer, API, "read"));
        guarded.graphql = Some(Arc::clone(&graph));
        settings.routes.push(guarded);
        let mut open = route("/open", Demand::Public);
        open.graphql = Some(graph);
        settings.routes.push(open);
    })
    .await
}

impl Site {
    async fn ask(&self, body: &Value, token: &str) -> reqwest::Response {
        let request = http().post(self.url("/graph")).bearer_auth(token);
        request.json(body).send().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_judged_is_what_is_sent() {
    let site = site(|own| own.limits.max_batch = 3).await;
    let token = site.issuer.token(API, "read").await;
    let body = json!({
        "query": "query A { me { ...F } } query B { secret } fragment F on User { name }",
        "operationName": "A",
        "variables": { "x": 1 },
        "extensions": { "persistedQuery": null, "trace": 1 },
    });

    let got = Got::of(site.ask(&body, &token).await).await;

    let sent: Value = serde_json::from_str(got.text("body")).unwrap();
    let members: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert_eq!(members, ["query", "operationName"]);
    assert!(!got.text("body").contains("secret"), "{sent}");
    assert_eq!(got.all("content-type"), ["application/json"]);
    let length = got.text("body").len().to_string();
    assert_eq!(got.all("content-length"), [&*length]);
    let named = http().post(site.url("/graph?doc_id=secret&op=B"));
    let named = named
        .bearer_auth(&token)
        .header("content-digest", "sha-256=:x:");
    let named = Got::of(named.json(&body).send().await.unwrap()).await;
    assert_eq!(
        named.text("target"),
        "/graph",
        "what is asked for is in the body alone"
    );
    assert!(named.all("content-digest").is_empty());
    let batch = json!([{ "query": "{ me { name } }" }, { "query": "{ list { name } }" }]);
    let got = Got::of(site.ask(&batch, &token).await).await;
    let sent: Value = serde_json::from_str(got.text("body")).unwrap();
    assert_eq!(sent.as_array().unwrap().len(), 2);
    let bad = json!([{ "query": "{ me { name } }" }, { "query": "{ secret }" }]);
    assert_eq!(site.ask(&bad, &token).await.status(), 403);
    assert_eq!(site.upstream.seen(), 3, "a refused request went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_what_is_missing_in_the_callers_words() {
    let site = site(|_| ()).await;
    let token = site.issuer.token(API, "read").await;
    let writer = site.issuer.token(API, "read write").await;
    let query = json!({ "query": "{ me { email } }" });

    let answer = site.ask(&query, &token).await;

    assert_eq!(answer.status(), 403);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.contains("error=\"insufficient_scope\""),
        "{challenge}"
    );
    assert!(challenge.contains("scope=\"read admin\""), "{challenge}");
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        kind.starts_with("application/graphql-response+json"),
        "{kind}"
    );
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        body["errors"][0]["extensions"]["code"],
        "UNAUTHORIZED_FIELD_OR_TYPE"
    );
    assert!(
        body["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("User.email")
    );
    assert_eq!(site.ask(&query, &writer).await.status(), 200);
    let open = http()
        .post(site.url("/open"))
        .json(&query)
        .send()
        .await
        .unwrap();
    assert_eq!(open.status(), 401);
    assert_eq!(open.headers()["www-authenticate"], "Bearer");
    let open = http()
        .post(site.url("/open"))
        .json(&json!({ "query": "{ me { name } }" }));
    assert_eq!(open.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_told_as_the_draft_has_it() {
    let site = site(|own| own.limits.max_cost = 100).await;
    let token = site.issuer.token(API, "read").await;
    let wrong = json!({ "query": "{ nothing }" });
    let dear = json!({ "query": "{ list(first: 1000) { name } }" });
    let newer = "application/graphql-response+json, application/json;q=0.9";
    for (body, accept, status) in [
        (&wrong, newer, 400),
        (&wrong, "application/json", 200),
        (&wrong, "*/*", 400),
        (&dear, newer, 400),
        (&dear, "application/json", 400),
    ] {
        let request = http().post(site.url("/graph")).bearer_auth(&token);
        let request = request.header("accept", accept).json(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{body} {accept}");
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["errors"][0]["message"].is_string() && answer.get("data").is_none());
    }
    for (kind, body, status) in [
        ("text/plain", r#"{"query":"{ me { name } }"}"#, 415),
        ("multipart/form-data; boundary=x", "--x--", 415),
        (
            "application/json",
            r#"{"query":"{ me { name } }","query":"{ secret }"}"#,
            400,
        ),
        ("application/json", "{", 400),
    ] {
        let request = http().post(site.url("/graph")).bearer_auth(&token);
        let answer = request.header("content-type", kind).body(body).send();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), status, "{kind} {body}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let put = http()
        .put(site.url("/graph"))
        .bearer_auth(&token)
        .json(&wrong);
    let put = put.send().await.unwrap();
    assert_eq!(
        (
            put.status().as_u16(),
            put.headers()["allow"].to_str().unwrap()
        ),
        (405, "GET, POST")
    );
    let url = site.url("/graph?query=%7Bsecret%7D");
    let both = http()
        .post(url)
        .bearer_auth(&token)
        .json(&json!({ "query": "{ me { name } }" }));
    assert_eq!(both.send().await.unwrap().status(), 400);
    assert_eq!(site.upstream.seen(), 0, "a refused request went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_get_asks_and_changes_nothing() {
    let site = site(|_| ()).await;
    let token = site.issuer.token(API, "read").await;
    let get = async |query: &str| {
        let pairs = [("query", query), ("other", "1")];
        let request = http().get(site.url("/graph")).query(&pairs);
        request.bearer_auth(&token).send().await.unwrap()
    };

    let got = Got::of(get("query A($n: Int) { list(first: $n) { name } } # a comment").await).await;

    assert!(
        got.text("target").starts_with("/graph?query=query+A"),
        "{}",
        got.text("target")
    );
    assert!(!got.text("target").contains("other"));
    assert!(!got.text("target").contains("comment"));
    assert_eq!(get("{ secret }").await.status(), 403);
    assert_eq!(get("mutation { touch }").await.status(), 405);
    let long = format!("{{ {} }}", "me { name } ".repeat(300));
    assert_eq!(get(&long).await.status(), 400);
    assert_eq!(site.upstream.seen(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_come_as_events_and_no_other_way() {
    let (closed, open) = (
        site(|_| ()).await,
        site(|own| own.subscriptions = true).await,
    );
    let ask = async |site: &Site, query: &str, accept: &str| {
        let token = site.issuer.token(API, "read").await;
        let request = http().post(site.url("/graph")).bearer_auth(&token);
        let request = request.header("accept", accept);
        let request = request.json(&json!({ "query": query }));
        request.send().await.unwrap().status().as_u16()
    };
    let ticks = "subscription { ticks }";

    assert_eq!(ask(&closed, ticks, "text/event-stream").await, 400);
    assert_eq!(ask(&open, ticks, "application/json").await, 400);
    assert_eq!(ask(&open, ticks, "text/event-stream").await, 200);
    assert_eq!(
        ask(&open, "subscription { secret }", "text/event-stream").await,
        403
    );
    let token = open.issuer.token(API, "read").await;
    let socket = http().get(open.url("/graph")).bearer_auth(&token);
    let socket = socket
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "graphql-transport-ws")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = socket.send().await.unwrap();
    assert_eq!(answer.status(), 400);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(
        answer["type"],
        "https://symbolon.dev/problems/graphql-websocket"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_refuses_nothing_and_changes_nothing() {
    let site = site(|own| own.mode = Mode::Shadow).await;
    let token = site.issuer.token(API, "read").await;
    for body in [
        "{\"query\":\"{ secret }\",\"extensions\":{}}",
        "{ \"query\": \"{ me { name } }\" }",
        "no JSON",
    ] {
        let request = http().post(site.url("/graph")).bearer_auth(&token);
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let got = Got::of(request.send().await.unwrap()).await;
        assert_eq!(got.text("body"), body);
    }
    assert_eq!(
        site.ask(&json!({ "query": "{ secret }" }), "nonsense")
            .await
            .status(),
        401
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_out_is_null_in_the_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A service that answers by what it was asked for.
    let router = Router::new().fallback(any(async |body: String| {
        let asked: Value = serde_json::from_str(&body).unwrap();
        let query = asked["query"].as_str().unwrap().to_owned();
        let status = if query.contains("down: ") { 503 } else { 200 };
        let hidden = match query.contains("email") {
            true => "email",
            false => "symbolonHidden0",
        };
        let text = json!({ "data": { "me": { "name": query, hidden: "x" } } }).to_string();
        let kind = match query.contains("page: ") {
            true => "text/html",
            false => "application/json",
        };
        let text = if query.contains("bad: ") {
            "{\"data\":1,\"data\":2}".into()
        } else {
            text
        };
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        (status, [("content-type", kind), ("etag", "\"1\"")], text)
    }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let graph = graph(|own| {
        own.on_denied = OnDenied::Null;
        own.limits.max_answer_bytes = 400;
    });
    let site = Site::with(|settings| {
        let issuer = settings.credentials.as_ref().map(|own| own.issuer.clone());
        let mut guarded = route("/graph", needs(&issuer.unwrap(), API, "read"));
        guarded.graphql = Some(graph);
        guarded.upstream = "graph".into();
        settings.upstreams.push(to("graph", address));
        settings.routes.push(guarded);
    })
    .await;
    let reader = site.issuer.token(API, "read").await;
    let writer = site.issuer.token(API, "read write").await;
    let query = |text: &str| json!({ "query": text });

    let whole = site.ask(&query("{ me { name email } }"), &writer).await;
    assert_eq!(whole.headers()["etag"], "\"1\"");
    let whole: Value = whole.json().await.unwrap();
    let left = site.ask(&query("{ me { name email } }"), &reader).await;
    assert_eq!(left.status(), 200);
    assert!(!left.headers().contains_key("etag"));
    let left: Value = left.json().await.unwrap();

    assert_eq!(whole["data"]["me"]["email"], "x");
    assert_eq!(left["data"]["me"]["email"], Value::Null);
    assert!(
        !left["data"]["me"]["name"]
            .as_str()
            .unwrap()
            .contains("email")
    );
    assert_eq!(left["errors"][0]["path"], json!(["me", "email"]));
    for (alias, status) in [("down", 503), ("page", 502), ("bad", 502)] {
        let asked = query(&format!("{{ me {{ {alias}: name email }} }}"));
        assert_eq!(site.ask(&asked, &reader).await.status(), status, "{alias}");
    }
    let long = format!("{{ me {{ {} email }} }}", "name ".repeat(100));
    assert_eq!(site.ask(&query(&long), &reader).await.status(), 502);
}

fn guard(settings: &mut symbolon_gateway::Settings, schema: &str) {
    let graph = graph(|own| {
        own.subscriptions = true;
        own.schema.text = schema.into();
    });
    for own in &mut settings.routes {
        if own.path.to_string() == "/events" {
            own.graphql = Some(Arc::clone(&graph));
        }
    }
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_ends_when_a_new_schema_would_refuse_it() {
    let site = Site::with(|own| guard(own, SCHEMA)).await;
    let token = site.issuer.token(API, "read").await;
    let request = http().get(site.url("/events?query=subscription%7Bticks%7D"));
    let request = request.header("accept", "text/event-stream");
    let mut answer = request.bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.chunk().await.unwrap().unwrap();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = answer.chunk().await {} });
    let reload = async |schema: &str| {
        let mut settings = site.settings();
        guard(&mut settings, schema);
        site.running.gateway.reload(settings).await.unwrap();
    };
    reload(SCHEMA).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert!(!reading.is_finished(), "it ended though it is let through");

    let guarded = "ticks: Int @requiresScopes(scopes: [[\"admin\"]])";
    reload(&SCHEMA.replace("ticks: Int", guarded)).await;

    let ended = tokio::time::timeout(crate::stream::PROMPT, reading);
    ended.await.expect("it goes on").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_shadow_a_caller_is_charged_what_the_route_says() {
    let ask = json!({ "query": "{ list(first: 5) { name } }" });
    for (mode, left) in [(Mode::Shadow, 7), (Mode::Enforce, 0)] {
        let graph = graph(|own| own.mode = mode);
        let site = Site::with(|settings| {
            let issuer = settings.credentials.as_ref().unwrap().issuer.clone();
            let mut own = route("/graph", needs(&issuer, API, "read"));
            own.graphql = Some(graph);
            own.quota.cost = 3;
            settings.routes.push(own);
            crate::quota::put(settings, "/graph", vec![crate::quota::daily("daily", 10)]);
        })
        .await;
        let token = site.issuer.token(API, "read").await;

        let answer = site.ask(&ask, &token).await;

        assert_eq!(answer.status(), 200);
        let told = answer.headers()["ratelimit"].to_str().unwrap();
        assert!(told.starts_with(&format!("\"daily\";r={left};")), "{told}");
    }
}
