//! Nodes whose clocks are apart: one of them sends.

use std::time::Duration;

use super::inbox::Inbox;
use super::outage::{come_and_go, listen};
use crate::harness::Server;

/// A lease of half a minute by one node's clock would be over by the other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_is_ahead_sends_nothing_that_another_is_sending() {
    let server = Server::on_postgres().await;
    let inbox = Inbox::open().await;
    listen(&server, "shop", &inbox.url).await;
    inbox.hold();
    come_and_go(&server, "alice").await;
    inbox.wait_until_held().await;

    let ahead = server.skewed_sibling(40).await;

    // It looks four times a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(inbox.held(), 1, "both send");
    inbox.let_go();
    inbox.wait_for(1).await;
    assert_eq!(inbox.settle().await.len(), 1);
    drop(ahead);
}
