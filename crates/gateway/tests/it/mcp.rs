//! MCP servers behind the gateway: what a caller may use, and what is said to
//! whoever may not.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use symbolon_gateway::{Allowed, Mcp, McpRule, Settings};

use crate::issuer::{API, http};
use crate::site::{Site, needs, route, to};

/// What a server got: method, headers and body.
type Got = Arc<Mutex<Vec<(Method, HeaderMap, String)>>>;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"look"},{"name":"pay"},{"name":"drop"}],"nextCursor":"2","ttlMs":60000,"cacheScope":"public"}}"#;
const NOTE: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"contents":[],"ttlMs":60000,"cacheScope":"public"}}"#;

/// An MCP server as far as it is needed here.
async fn server(
    State(got): State<Got>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> Response {
    let is_list = body.contains("tools/list");
    let is_note = body.contains("resources/read");
    let wants_events = body.contains("\"events\"");
    let of = headers.clone();
    got.lock().unwrap().push((method.clone(), of, body));
    let session = [("mcp-session-id", "server-session")];
    let events = events_kind();
    let goes_on = got
        .lock()
        .unwrap()
        .last()
        .unwrap()
        .2
        .contains("\"goes on\"");
    if goes_on {
        let events = futures_util::stream::unfold((), async |()| {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let event = axum::body::Bytes::from_static(b": still here\n\n");
            Some((Ok::<_, std::convert::Infallible>(event), ()))
        });
        return (
            session,
            events_kind(),
            axum::body::Body::from_stream(events),
        )
            .into_response();
    }
    if method == Method::GET || wants_events {
        let text = format!(": begins\r\n\r\nid: 1\r\ndata: {LIST}\r\n\r\n");
        return (session, events, text).into_response();
    }
    let bad = headers.get("x-answer-as").map(|own| own.to_str().unwrap());
    let kind = [
        ("content-type", bad.unwrap_or("application/json")),
        ("access-control-allow-credentials", "true"),
    ];
    let body = match (is_list, is_note) {
        _ if method == Method::DELETE => "it is over".to_owned(),
        (true, _) => LIST.to_owned(),
        (_, true) => NOTE.to_owned(),
        _ => r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
    };
    let status = match headers.contains_key("x-answer-accepted") {
        true => StatusCode::ACCEPTED,
        false => StatusCode::OK,
    };
    (status, session, kind, body).into_response()
}

const fn events_kind() -> [(&'static str, &'static str); 1] {
    [("content-type", "text/event-stream")]
}

pub(crate) struct Tools {
    pub(crate) site: Site,
    got: Got,
    address: std::net::SocketAddr,
}

/// Puts the tools behind the gateway.
fn guard(settings: &mut Settings, address: std::net::SocketAddr, look: McpRule) {
    let issuer = settings.credentials.as_ref().unwrap().issuer.clone();
    settings.upstreams.push(to("tools", address));
    let mut small = rule("pay", &[]);
    let most = Allowed::Within {
        min: Some(0.0),
        max: Some(100.0),
    };
    small.arguments.insert("amount".into(), most);
    let mut own = route("/mcp", needs(&issuer, API, "read"));
    own.upstream = "tools".into();
    own.mcp = Some(Mcp {
        origins: vec!["https://app.example".into()],
        tools: vec![look, small, rule("pay", &["write"])],
        resources: vec![rule("note://secret/*", &["write"]), rule("note://*", &[])],
        ..Mcp::default()
    });
    settings.routes.push(own);
}

fn rule(name: &str, scopes: &[&str]) -> McpRule {
    McpRule {
        name: name.into(),
        scopes: scopes.iter().map(|own| (*own).to_owned()).collect(),
        arguments: Default::default(),
        cost: 1,
    }
}

impl Tools {
    pub(crate) async fn start() -> Self {
        let got = Got::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(server).with_state(Arc::clone(&got));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let look = rule("look", &[]);
        let site = Site::with(|settings| guard(settings, address, look)).await;
        Self { site, got, address }
    }

    /// The same with another rule for the first tool.
    async fn change(&self, look: McpRule) {
        let mut settings = self.site.settings();
        guard(&mut settings, self.address, look);
        self.site.running.gateway.reload(settings).await.unwrap();
    }

    pub(crate) fn request(&self, token: &str, body: &Value) -> reqwest::RequestBuilder {
        http()
            .post(self.site.url("/mcp"))
            .bearer_auth(token)
            .header("mcp-protocol-version", "2025-11-25")
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    pub(crate) async fn call(&self, token: &str, body: &Value) -> reqwest::Response {
        self.request(token, body).send().await.unwrap()
    }

    pub(crate) fn seen(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> (Method, HeaderMap, String) {
        self.got.lock().unwrap().last().unwrap().clone()
    }
}

pub(crate) fn call(name: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
}

pub(crate) fn list() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_brings_no_token_is_told_where_to_get_one_and_with_which_scopes() {
    let tools = Tools::start().await;

    let refused = http()
        .post(tools.site.url("/mcp"))
        .body("{}")
        .send()
        .await
        .unwrap();

    assert_eq!(refused.status(), 401);
    let challenge = refused.headers()["www-authenticate"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(challenge.contains("resource_metadata="), "{challenge}");
    assert!(challenge.contains("scope=\"read\""), "{challenge}");
    let metadata = http().get(tools.site.url("/.well-known/oauth-protected-resource"));
    let metadata: Value = metadata.send().await.unwrap().json().await.unwrap();
    assert_eq!(metadata["resource"], API);
    assert_eq!(metadata["authorization_servers"][0], *tools.site.issuer.url);
    assert_eq!(tools.seen(), 0);
}

/// Attack: M358
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_takes_its_scopes_by_name_and_by_argument() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let both = tools.site.issuer.token(API, "read write").await;
    let large = call("pay", json!({"amount": 101}));

    for (token, body, status) in [
        (&read, call("look", json!({})), 200),
        (&read, call("pay", json!({"amount": 100})), 200),
        (&read, large.clone(), 403),
        (&read, call("pay", json!({"amount": "1"})), 403),
        (&both, large.clone(), 200),
    ] {
        let answer = tools.call(token, &body).await;
        assert_eq!(answer.status(), status, "{body}");
    }
    assert_eq!(tools.seen(), 3, "a refused call went on");
    let step = tools.call(&read, &large).await;
    let challenge = step.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    assert!(challenge.contains("scope=\"read write\""), "{challenge}");
    assert!(challenge.contains("resource_metadata="), "{challenge}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_no_rule_names_is_as_good_as_not_there() {
    let tools = Tools::start().await;
    let both = tools.site.issuer.token(API, "read write").await;

    let answer = tools.call(&both, &call("drop", json!({}))).await;

    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (&body["id"], &body["error"]["code"]),
        (&json!(1), &json!(-32602))
    );
    assert_eq!(tools.seen(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_shows_what_the_caller_may_use_in_an_answer_and_in_a_stream() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let mut events = list();
    events["params"] = json!({"_meta": {"progressToken": "events"}});
    let shown = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "look"}, {"name": "pay"}], "nextCursor": "2", "ttlMs": 60000, "cacheScope": "private"}});

    let answer = tools
        .request(&read, &list())
        .header("accept-encoding", "gzip");
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer, shown);
    assert_eq!(tools.last().1["accept-encoding"], "identity");

    let stream = tools.call(&read, &events).await.text().await.unwrap();
    let id = stream.lines().find_map(|own| own.strip_prefix("id: "));
    let id = id.unwrap();
    assert_eq!(stream, format!(": begins\n\nid: {id}\ndata: {shown}\n\n"));
    let resumed = http()
        .get(tools.site.url("/mcp"))
        .bearer_auth(&read)
        .header("mcp-protocol-version", "2025-06-18")
        .header("last-event-id", id);
    let resumed = resumed.send().await.unwrap().text().await.unwrap();
    assert_eq!(resumed, stream, "what is sent again is judged again");
}

/// Attack: M352
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_calls_only_from_an_origin_that_is_named() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let from = async |origin: &str| {
        let request = tools.request(&read, &call("look", json!({})));
        request
            .header("origin", origin)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };

    assert_eq!(from("https://app.example").await, 200);
    for bad in [
        "https://evil.example",
        "null",
        "http://app.example",
        "https://app.example.evil.example",
        "HTTPS://APP.EXAMPLE",
    ] {
        assert_eq!(from(bad).await, 403, "{bad}");
    }
    assert_eq!(tools.seen(), 1);
}

/// Attack: P395
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_named_may_ask_and_read_and_no_other_is_told_anything() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let ask = async |origin: &str, path: &str| {
        let request = http().request(Method::OPTIONS, tools.site.url(path));
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,mcp-protocol-version,mcp-param-region,x-auth-user",
            );
        request.send().await.unwrap()
    };
    let said = |answer: &reqwest::Response, name: &str| {
        let own = answer.headers().get(name);
        own.map(|own| own.to_str().unwrap().to_owned())
    };
    let origin = "access-control-allow-origin";

    let asked = ask("https://app.example", "/mcp").await;
    assert_eq!(asked.status(), 204);
    assert_eq!(said(&asked, origin).as_deref(), Some("https://app.example"));
    let names = said(&asked, "access-control-allow-headers").unwrap();
    assert_eq!(
        names,
        "authorization, mcp-protocol-version, mcp-param-region"
    );
    assert!(
        said(&asked, "access-control-allow-methods")
            .unwrap()
            .contains("DELETE")
    );
    assert_eq!(said(&asked, "access-control-allow-credentials"), None);
    for (from, path) in [
        ("https://evil.example", "/mcp"),
        ("null", "/mcp"),
        ("https://app.example", "/orders/7"),
    ] {
        let refused = ask(from, path).await;
        assert_ne!(refused.status(), 204, "{from} {path}");
        assert_eq!(said(&refused, origin), None, "{from} {path}");
    }
    let from = async |from: &str, token: &str| {
        let request = tools.request(token, &call("look", json!({})));
        request.header("origin", from).send().await.unwrap()
    };
    // Where a token is missing, the page has to read where to get one.
    for (token, status) in [(&*read, 200), ("nonsense", 401)] {
        let answer = from("https://app.example", token).await;
        assert_eq!(answer.status(), status);
        assert_eq!(
            said(&answer, origin).as_deref(),
            Some("https://app.example")
        );
        assert_eq!(said(&answer, "access-control-allow-credentials"), None);
        let shown = said(&answer, "access-control-expose-headers").unwrap();
        assert!(shown.contains("WWW-Authenticate") && shown.contains("Mcp-Session-Id"));
        let other = from("https://evil.example", token).await;
        assert_ne!(other.status(), 200);
        assert_eq!(said(&other, origin), None);
    }
    assert_eq!(tools.seen(), 1);
    let metadata = ask(
        "https://anybody.example",
        "/.well-known/oauth-protected-resource",
    )
    .await;
    assert_eq!(metadata.status(), 204);
    assert_eq!(said(&metadata, origin).as_deref(), Some("*"));
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_goes_on_ends_when_its_tool_is_another_ones() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let mut answer = tools
        .call(&read, &call("look", json!({"until": "goes on"})))
        .await;
    assert_eq!(answer.status(), 200);
    answer.chunk().await.unwrap().unwrap();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = answer.chunk().await {} });
    let mut dearer = rule("look", &[]);
    dearer.cost = 2;
    tools.change(dearer).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert!(!reading.is_finished(), "it ended though it may be used");

    tools.change(rule("look", &["write"])).await;

    let ended = tokio::time::timeout(crate::stream::PROMPT, reading);
    ended.await.expect("it goes on").unwrap();
}

/// Attack: M353
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_the_callers_own_and_no_token() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}});
    let begun = tools.call(&read, &hello).await;
    let session = begun.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        session.starts_with("server-session.") && session.len() > 30,
        "{session}"
    );
    let with = async |token: Option<&str>, session: &str| {
        let request = tools
            .request(&read, &list())
            .header("mcp-session-id", session);
        let request = match token {
            Some(_) => request,
            None => http()
                .post(tools.site.url("/mcp"))
                .header("mcp-session-id", session)
                .body(list().to_string()),
        };
        request.send().await.unwrap().status().as_u16()
    };

    assert_eq!(with(Some(&read), &session).await, 200);
    assert_eq!(tools.last().1["mcp-session-id"], "server-session");
    assert_eq!(with(None, &session).await, 401);
    let seen = tools.seen();
    for bad in [
        "server-session",
        "server-session.AAAAAAAAAAAAAAAAAAAAAA",
        ".",
        &format!("x{session}"),
    ] {
        assert_eq!(with(Some(&read), bad).await, 404, "{bad}");
    }
    assert_eq!(tools.seen(), seen);
}

/// Attack: G208
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_judged_is_what_the_server_gets_and_no_token_is_among_it() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let text = r#"{ "params" : {"name":"look","\u0061rguments":{"a":1}} ,"method":"tools\/call", "id":1,"jsonrpc":"2.0"}"#;
    let request = http().post(tools.site.url("/mcp")).bearer_auth(&read);
    let request = request
        .header("mcp-protocol-version", "2025-11-25")
        // Some would read another text by these.
        .header("content-type", "application/json; charset=utf-7")
        .header("content-encoding", "deflate")
        .header("content-digest", "sha-256=:x:");
    assert_eq!(request.body(text).send().await.unwrap().status(), 200);

    let (_, headers, body) = tools.last();
    let sent: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent, call("look", json!({"a": 1})));
    assert_eq!(headers["content-length"], *body.len().to_string());
    assert!(!headers.contains_key("authorization"));
    assert_eq!(headers["content-type"], "application/json");
    assert!(!headers.contains_key("content-encoding") && !headers.contains_key("content-digest"));
    let seen = tools.seen();
    for bad in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","Name":"drop"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"drop"}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look"}}]"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look"}} {}"#,
        "",
    ] {
        let refused = tools
            .request(&read, &Value::Null)
            .body(bad)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), 400, "{bad}");
    }
    assert_eq!(tools.seen(), seen);
}

/// Attack: L324
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_for_a_resource_holds_however_its_address_is_written() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let both = tools.site.issuer.token(API, "read write").await;
    let status = async |token: &str, uri: &str| {
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}});
        tools.call(token, &body).await.status().as_u16()
    };

    assert_eq!(status(&read, "note://open/a").await, 200);
    for uri in [
        "note://secret/a",
        "note://%73ecret/a",
        "note:///secret/a",
        "note://Secret/a",
    ] {
        assert_eq!((status(&read, uri).await, uri), (403, uri));
        assert_eq!((status(&both, uri).await, uri), (200, uri));
    }
    assert_eq!(tools.seen(), 5);
}

/// A server that checks nobody calls everything public; whoever stands in front
/// of the gateway may not keep it for others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_caller_may_read_is_kept_for_nobody_else() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let body = json!({
        "jsonrpc": "2.0", "id": 1, "method": "resources/read",
        "params": {"uri": "note://open/a", "_meta": meta},
    });
    let request = http().post(tools.site.url("/mcp")).bearer_auth(&read);
    let request = request
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "resources/read")
        .header("mcp-name", "note://open/a");

    let answer: Value = request
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();

    assert_eq!(answer["result"]["cacheScope"], "private");
    assert_eq!(answer["result"]["ttlMs"], 60000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn since_2026_headers_say_what_is_in_the_body_and_nothing_else_is_spoken() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let mut body = call("look", json!({}));
    body["params"]["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let send = async |method: &str, name: &str| {
        let request = http()
            .post(tools.site.url("/mcp"))
            .bearer_auth(&read)
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method)
            .header("mcp-name", name)
            .body(body.to_string());
        request.send().await.unwrap()
    };

    let good = send("tools/call", "look").await;
    assert_eq!(good.status(), 200);
    assert!(
        !good.headers().contains_key("mcp-session-id"),
        "it stands alone"
    );
    for (method, name) in [("tools/list", "look"), ("tools/call", "pay")] {
        let refused = send(method, name).await;
        assert_eq!(refused.status(), 400);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["error"]["code"], -32020);
    }
    let europe = call("look", json!({"region": "eu"}));
    let with = async |argument: &str| {
        let request = tools.request(&read, &europe);
        let request = request.header("mcp-param-region", argument);
        request.send().await.unwrap().status().as_u16()
    };
    let seen = tools.seen();
    assert_eq!((with("eu").await, with("us").await), (200, 400));
    assert_eq!(tools.seen(), seen + 1);
    let old = tools
        .request(&read, &list())
        .header("mcp-protocol-version", "2024-11-05");
    assert_eq!(old.send().await.unwrap().status(), 400);
    let stream = http().get(tools.site.url("/mcp")).bearer_auth(&read);
    let stream = stream
        .header("mcp-protocol-version", "2026-07-28")
        .send()
        .await
        .unwrap();
    assert_eq!((stream.status().as_u16(), tools.seen()), (405, 2));
}
