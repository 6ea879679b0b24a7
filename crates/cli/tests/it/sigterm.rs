//! Under load, SIGTERM fails no request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;

use crate::program::{Engine, PATIENCE, Site};
use crate::wire::{Failure, Pool, text};

const CONNECTIONS: usize = 8;

/// Asks for tokens until no new connection is taken.
async fn load(address: SocketAddr, request: Vec<u8>, answered: Arc<AtomicU64>) {
    let pool = Pool::keeping(address);
    loop {
        match pool.ask(&request).await {
            Ok(answer) => assert_eq!(answer.status, 200, "{}", answer.body),
            Err(Failure::Refused(_)) => return,
            // The operating system greets whoever knocks while the listener
            // closes, and hangs up: nobody was let in.
            Err(Failure::Ignored(_)) if pool.is_closed().await => return,
            Err(failure) => panic!("a request was not answered: {}", failure.why()),
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

async fn sigterm_under_load_fails_no_request(engine: Engine) {
    let site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let request = site.request(Method::POST, "/token").form(&form);
    let request = text(request.basic_auth("job", Some(&site.words.job)));
    for _ in 0..3 {
        let program = site.start().await;
        let answered = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|_| tokio::spawn(load(site.listen, request.clone(), Arc::clone(&answered))))
            .collect();
        let busy = async {
            while answered.load(Ordering::Relaxed) < 200 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        timeout(PATIENCE, busy).await.expect("nothing is answered");

        assert!(program.end().await.success());

        for client in clients {
            timeout(PATIENCE, client).await.unwrap().unwrap();
        }
    }
}

on_both_engines! { sigterm_under_load_fails_no_request }
