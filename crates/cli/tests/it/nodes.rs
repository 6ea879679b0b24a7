//! Many nodes over one database: two that start at once, one that is stopped
//! for a while, each restarted in turn. R37, R38 and R16.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use symbolon_server::testing::http_from;
use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::browser::{Browser, request};
use crate::configuration::VAULT;
use crate::program::{Engine, PATIENCE, Plan, Site};
use crate::wire::{Failure, Pool, text};

/// Row R37 of the reliability catalogue: one schema, one set of keys, one of
/// everything that the file names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_start_at_once_on_an_empty_database_are_one() {
    for _ in 0..Row::R37.size(3, 50) {
        let one = Site::planned(Plan::new(Engine::Postgres)).await;
        let two = one.node();

        let programs = tokio::join!(one.start(), two.start());

        let keys = [
            one.get("/.well-known/jwks.json").await,
            two.get("/.well-known/jwks.json").await,
        ];
        assert_eq!(keys[0].json()["keys"], keys[1].json()["keys"]);
        let form = [("grant_type", "client_credentials"), ("resource", VAULT)];
        for (here, there) in [(&one, &two), (&two, &one)] {
            let token = here.form("/token", "job", &form).await.text("access_token");
            assert_eq!(there.introspect(&token).await["active"], true);
        }
        let (client, connection) = tokio_postgres::connect(&one.store, tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let asked = "SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM working_key
                WHERE state = 'active' GROUP BY purpose ORDER BY 1 DESC LIMIT 1)";
        let row = client.query_one(asked, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 1));
        drop(client);
        connection.await.unwrap().unwrap();
        assert!(programs.0.end().await.success());
        assert!(programs.1.end().await.success());
    }
}

/// Row R38 of the reliability catalogue: a node that is stopped holds nobody
/// up for long, and has missed nothing that matters when it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_stopped_for_a_while_holds_nobody_up_and_believes_nothing_old() {
    let one = Site::planned(Plan::new(Engine::Postgres)).await;
    let mut two = one.node();
    let programs = [one.start().await, two.start().await];
    for round in 0..Row::R38.size(1, 10) {
        let asked =
            request(&one, "shop", "openid offline_access read:vault").with("resource", VAULT);
        let tokens = Browser::new(&one).tokens("alice", &asked).await;
        let token = tokens.text("access_token");
        assert_eq!(two.introspect(&token).await["active"], true);
        // Longer than a node's knowledge is believed.
        let span = Duration::from_secs(if round % 2 == 0 { 11 } else { 60 });
        let stopped = programs[1].pause(span);
        let works = async {
            let began = Instant::now();
            let revoked = one.form("/revoke", "shop", &[("token", &token)]).await;
            assert_eq!(revoked.status, 200);
            assert!(began.elapsed() < Duration::from_secs(5));
        };
        tokio::join!(stopped, works);

        // It closes what was idle for so long, and may while it is asked.
        two.http = http_from(None);
        let woken = Instant::now();
        loop {
            let answer = two
                .form("/introspect", "orders-api", &[("token", &token)])
                .await;
            if answer.status == 200 {
                assert_eq!(
                    answer.json()["active"],
                    false,
                    "after {:?}",
                    woken.elapsed()
                );
                break;
            }
            assert_eq!(answer.status, 503);
            assert!(woken.elapsed() < PATIENCE, "{}", two.printed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for program in programs {
        assert!(program.end().await.success());
    }
}

/// A client that goes to the next node where one takes no connection, as a
/// load balancer does. Every answer has to be a good one.
async fn load(nodes: [(Pool, Vec<u8>); 3], stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let mut outcome = None;
        for offset in 0..nodes.len() {
            let (pool, request) = &nodes[(turn + offset) % nodes.len()];
            match pool.ask(request).await {
                Err(Failure::Refused(_)) => {}
                other => {
                    outcome = Some(other);
                    break;
                }
            }
        }
        let answer = outcome.expect("no node takes a connection").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// What asks a node for a token.
fn asking(site: &Site) -> Vec<u8> {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let request = site.request(Method::POST, "/token").form(&form);
    text(request.basic_auth("job", Some(&site.words.job)))
}

/// Row R16 of the reliability catalogue: each of three nodes is restarted in
/// turn, and no request fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let first = Site::planned(Plan::new(Engine::Postgres)).await;
    let (second, third) = (first.node(), first.node());
    let sites = [first, second, third];
    let mut programs = Vec::new();
    for site in &sites {
        programs.push(Some(site.start().await));
    }
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let node = |site: &Site| (Pool::keeping(site.listen), asking(site));
            let nodes = sites.each_ref().map(node);
            tokio::spawn(load(nodes, Arc::clone(&stop), Arc::clone(&answered)))
        })
        .collect();

    for round in 0..Row::R16.size(3, 30) {
        let number = round % sites.len();
        let before = answered.load(Ordering::Relaxed);
        while answered.load(Ordering::Relaxed) < before + 100 {
            assert!(
                clients.iter().all(|client| !client.is_finished()),
                "a request failed"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let program = programs[number].take().unwrap();
        let began = Instant::now();
        assert!(program.end().await.success());
        assert!(began.elapsed() < Duration::from_secs(30));
        programs[number] = Some(sites[number].start().await);
    }
    stop.store(true, Ordering::Relaxed);

    for client in clients {
        client.await.unwrap();
    }
    eprintln!("R16: {} requests", answered.load(Ordering::Relaxed));
    for program in programs.into_iter().flatten() {
        assert!(program.end().await.success());
    }
}

/// The status of an answer; none once nobody takes connections any more.
async fn status(pool: &Pool, request: &[u8]) -> Option<u16> {
    match pool.ask(request).await {
        Ok(answer) => Some(answer.status),
        Err(Failure::Refused(_)) => None,
        Err(failure) => panic!("{}", failure.why()),
    }
}

/// Row R16: whoever asks whether it is ready is told that it is not, while it
/// still takes every request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_ends_says_so_before_it_closes() {
    let mut site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let everywhere = format!("0.0.0.0:{}", site.listen.port());
    site.environment
        .push(("SYMBOLON_LISTEN".to_owned(), everywhere));
    let program = site.start().await;
    let pool = Pool::fresh(site.listen);
    let ready = text(site.request(Method::GET, "/readyz"));
    let token = asking(&site);

    let began = Instant::now();
    program.signal(Signal::TERM);
    let (mut told, mut served) = (None, 0);
    while let Some(is_ready) = status(&pool, &ready).await {
        match (is_ready, told) {
            (200, None) => {}
            (503, _) => _ = told.get_or_insert_with(|| began.elapsed()),
            (other, _) => panic!("ready: {other}, told after {told:?}"),
        }
        if told.is_some() {
            let Some(answered) = status(&pool, &token).await else {
                break;
            };
            assert_eq!(answered, 200);
            served += 1;
        }
        assert!(began.elapsed() < PATIENCE, "it does not close");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let closed = began.elapsed();

    let told = told.expect("nobody was told before it closed");
    assert!(served > 0, "told after {told:?}, closed after {closed:?}");
    assert!(closed >= Duration::from_millis(1_500), "{closed:?}");
    // The short form runs beside other tests: before it closes is soon enough.
    assert!(told < Row::R16.size(closed, Duration::from_secs(1)));
    assert!(program.end().await.success());
    assert!(began.elapsed() < Duration::from_secs(30));
}
