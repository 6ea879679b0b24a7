//! What stays open between a client and an MCP server: tunnels, in which nothing
//! would be judged, and streams of events.

use symbolon_gateway::Mcp;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::issuer::API;
use crate::mcp::Tools;
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
