//! R12: the primary of a synchronous pair dies under load, and the standby
//! takes over. Nobody is signed out, and nothing that was answered is undone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::browser::http;
use crate::cluster::Pair;
use crate::configuration::VAULT;
use crate::kill::families;
use crate::program::{PATIENCE, Site};

/// How many clients renew their tokens on each of two nodes.
const CLIENTS: usize = 6;

/// How soon after the promotion something has to be written again. The short
/// form runs beside other tests.
fn writable() -> Duration {
    Row::R12.size(Duration::from_secs(8), Duration::from_secs(5))
}

/// Takes tokens back, one after the other, and keeps those of which the server
/// said that they are.
async fn take_back(site: Arc<Site>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut dead = Vec::new();
    let client = http();
    let ask = async |path: &str, form: &[(&str, &str)]| {
        let request = client
            .post(format!("{}{path}", site.issuer))
            .basic_auth("job", Some(&site.words.job));
        let answer = request.form(form).send().await.ok()?;
        let status = answer.status().as_u16();
        assert!(status == 200 || status == 503, "{path}: {status}");
        (status == 200).then_some(answer.text().await.ok()?)
    };
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let form = [("grant_type", "client_credentials"), ("resource", VAULT)];
        let Some(text) = ask("/token", &form).await else {
            continue;
        };
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let token = document["access_token"].as_str().unwrap().to_owned();
        if ask("/revoke", &[("token", &token)]).await.is_some() {
            dead.push(token);
        }
    }
    dead
}

/// Row R12 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_loses_nothing_that_was_answered_and_signs_nobody_out() {
    let mut pair = Pair::start().await;
    let site = Arc::new(Site::over(&pair.url()).await);
    let other = Arc::new(site.node());
    let programs = [site.start().await, other.start().await];
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut clients = Vec::new();
    for node in [&site, &other] {
        for family in families(node, CLIENTS).await {
            let life = family.live(Arc::clone(node), Arc::clone(&stop), Arc::clone(&answered));
            clients.push(tokio::spawn(life));
        }
    }
    let taken = tokio::spawn(take_back(Arc::clone(&site), Arc::clone(&stop)));

    let mut slowest = Duration::ZERO;
    let rounds = Row::R12.size(1, 20);
    for round in 0..rounds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        pair.fail_over().await;
        let (before, began) = (answered.load(Ordering::Relaxed), Instant::now());
        while answered.load(Ordering::Relaxed) < before + 2 {
            assert!(began.elapsed() < PATIENCE, "{}", site.printed());
            assert!(
                clients.iter().all(|client| !client.is_finished()),
                "a client gave up:\n{}",
                site.printed()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slowest = slowest.max(began.elapsed());
        if round + 1 < rounds {
            pair.rebuild().await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);

    let mut living = Vec::new();
    for client in clients {
        living.push(client.await.unwrap());
    }
    let dead = taken.await.unwrap();
    eprintln!(
        "R12: {rounds} failovers, {} refreshes, {} revocations, writable after at most {slowest:?}",
        answered.load(Ordering::Relaxed),
        dead.len()
    );
    assert!(slowest <= writable(), "writable only after {slowest:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    for node in [&site, &other] {
        for token in &dead {
            assert_eq!(node.introspect(token).await["active"], false);
        }
    }
    assert!(!dead.is_empty());
    for family in living {
        family.check(&site).await;
    }
    for program in programs {
        assert!(program.end().await.success());
    }
}
