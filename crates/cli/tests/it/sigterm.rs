//! Under load, SIGTERM fails no request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use symbolon_server::testing::http;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::gateway::{Guard, token};
use crate::program::{Engine, PATIENCE, Plan, Site, ended};
use crate::wire::{Failure, Pool, text};

const CONNECTIONS: usize = 8;

/// Asks for tokens until no new connection is taken.
async fn load(pool: Pool, request: Vec<u8>, answered: Arc<AtomicU64>) {
    loop {
        match pool.ask(&request).await {
            Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.body),
            Err(Failure::Refused(_)) => return,
            Err(failure) => panic!("a request was not answered: {}", failure.why()),
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Clients that ask an address until nobody takes connections there.
struct Load(Vec<JoinHandle<()>>);

impl Load {
    /// Begins, and waits until it is under way.
    async fn begin(pool: impl Fn() -> Pool, request: &[u8]) -> Self {
        let answered = Arc::new(AtomicU64::new(0));
        let client = |_| tokio::spawn(load(pool(), request.to_owned(), Arc::clone(&answered)));
        let clients = (0..CONNECTIONS).map(client).collect();
        let busy = async {
            while answered.load(Ordering::Relaxed) < 200 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, busy).await.expect("nothing is answered");
        Self(clients)
    }

    /// Every request was answered while somebody took connections.
    async fn end(self) {
        for client in self.0 {
            timeout(PATIENCE, client).await.unwrap().unwrap();
        }
    }
}

async fn ends_under_load(engine: Engine, pool: fn(SocketAddr) -> Pool, rounds: usize) {
    let site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let request = site.request(Method::POST, "/token").form(&form);
    let request = text(request.basic_auth("job", Some(&site.words.job)));
    for _ in 0..rounds {
        let program = site.start().await;
        let load = Load::begin(|| pool(site.listen), &request).await;
        assert!(program.end().await.success());
        load.end().await;
    }
}

async fn sigterm_under_load_fails_no_request(engine: Engine) {
    ends_under_load(engine, Pool::keeping, 3).await;
}

/// Connections are what is cut off most easily while they are made.
#[tokio::test]
async fn nobody_whose_connection_is_taken_goes_without_an_answer() {
    ends_under_load(Engine::Sqlite, Pool::fresh, 10).await;
}

#[tokio::test]
async fn nobody_whose_connection_a_gateway_takes_goes_without_an_answer() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let token = token(&site).await;
    for _ in 0..5 {
        let guard = Guard::with(&site, "").await;
        let asked = http().get(format!("http://{}/orders/7", guard.address));
        let asked = text(asked.bearer_auth(&token));
        let load = Load::begin(|| Pool::fresh(guard.address), &asked).await;
        ended(guard.child).await;
        load.end().await;
    }
    assert!(server.end().await.success());
}

on_both_engines! { sigterm_under_load_fails_no_request }
