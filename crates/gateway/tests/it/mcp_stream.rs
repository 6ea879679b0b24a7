//! What stays open between a client and an MCP server: tunnels, in which nothing
//! would be judged, and streams of events.

use serde_json::json;
use symbolon_gateway::Mcp;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::issuer::{API, http};
use crate::mcp::{Tools, call, list};
use crate::raw;
use crate::site::{Site, needs, route};
use crate::stream::{PROMPT, open};

/// Attack: M358
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tunnel_leads_around_the_rules() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let ask = async |upgrade: &str| {
        let headers = format!(
            "Authorization: Bearer {read}\r\nMCP-Protocol-Version: 2025-11-25\r\nConnection: Upgrade\r\n{upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mcp\r\n"
        );
        raw::get(tools.site.gateway, b"/mcp", &headers).await
    };

    let refused = ask("Upgrade: websocket\r\n").await;

    assert_eq!(raw::statuses(&refused), [400], "{refused}");
    assert_eq!(raw::code(&refused), "mcp-websocket");
    assert_eq!(tools.seen(), 0);
    // Another one is left out, and what is left is a request like any other.
    assert_eq!(raw::statuses(&ask("Upgrade: h2c\r\n").await), [200]);
    assert!(!tools.last().1.contains_key("upgrade"));
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_ends_where_its_route_gets_rules() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let (mut stream, answer) = open(&site, &token).await;
    assert_eq!(raw::statuses(&answer), [101], "{answer}");
    let mut settings = site.settings();
    settings.routes.retain(|own| own.name != "/ws");
    let mut own = route("/ws", needs(&site.issuer.url, API, "read"));
    own.mcp = Some(Mcp::default());
    settings.routes.push(own);

    site.running.gateway.reload(settings).await.unwrap();

    let mut left = Vec::new();
    let ended = timeout(PROMPT, stream.read_to_end(&mut left)).await;
    assert!(ended.is_ok(), "it stays open");
}

/// Attack: M353
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_resumes_the_stream_of_whom_it_was_sent_to_and_no_others() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let again = tools.site.issuer.token(API, "read").await;
    let rival = tools.site.issuer.token_of("rival", API, "read").await;
    let events = call("look", json!({"as": "events"}));
    let stream = tools.call(&read, &events).await.text().await.unwrap();
    let id = stream.lines().find_map(|own| own.strip_prefix("id: "));
    let id = id.unwrap();
    let resume = async |token: &str, id: &str| {
        let request = http().get(tools.site.url("/mcp")).bearer_auth(token);
        let request = request.header("mcp-protocol-version", "2025-11-25");
        let answer = request.header("last-event-id", id).send().await.unwrap();
        answer.status().as_u16()
    };

    assert_eq!(
        resume(&again, id).await,
        200,
        "with another token of theirs"
    );
    assert_eq!(tools.last().1["last-event-id"], "1");
    let seen = tools.seen();
    for bad in [id, "1", "1.AAAAAAAAAAAAAAAAAAAAAA", "", &format!("x{id}")] {
        assert_eq!(resume(&rival, bad).await, 404, "{bad}");
    }
    assert_eq!(resume(&read, "1").await, 404, "the server's own");
    assert_eq!(tools.seen(), seen);
}

/// Not every reader goes by the type of an answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_back_as_a_message_or_not_at_all() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let as_type = async |body: &serde_json::Value, kind: &str| {
        let request = tools.request(&read, body).header("x-answer-as", kind);
        request.send().await.unwrap().status().as_u16()
    };

    for kind in ["text/plain", "application/json-seq", "text/json", ""] {
        assert_eq!(as_type(&list(), kind).await, 502, "{kind}");
        // What nothing is taken out of is the server's own affair.
        let look = call("look", json!({}));
        assert_eq!(as_type(&look, kind).await, 200, "{kind}");
    }
    let session = tools.call(&read, &call("look", json!({}))).await;
    let session = session.headers()["mcp-session-id"].clone();
    let end = http()
        .delete(tools.site.url("/mcp"))
        .bearer_auth(&read)
        .header("mcp-protocol-version", "2025-11-25")
        .header("mcp-session-id", session)
        .header("x-answer-as", "text/plain");
    assert_eq!(end.send().await.unwrap().status(), 200);
}

/// Whoever takes a failure for an answer would send it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_was_taken_may_be_confirmed_in_any_words() {
    let tools = Tools::start().await;
    let read = tools.site.issuer.token(API, "read").await;
    let said = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let taken = tools
        .request(&read, &said)
        .header("x-answer-as", "text/plain")
        .header("x-answer-accepted", "yes");

    let taken = taken.send().await.unwrap();

    assert_eq!(taken.status(), 202);
    assert_eq!(taken.text().await.unwrap(), "");
    let words = tools.request(&read, &said);
    let words = words.header("x-answer-as", "text/plain").send().await;
    assert_eq!(words.unwrap().status(), 502);
}
