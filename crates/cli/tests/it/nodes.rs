//! Many nodes over one database: two that start at once, one that is stopped
//! for a while, each restarted in turn. R37, R38 and R16.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use symbolon_server::testing::http_from;
use symbolon_testkit::Row;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::browser::{Browser, request};
use crate::configuration::{ORDERS, VAULT};
use crate::handover::kinds;
use crate::program::{Engine, PATIENCE, Plan, Program, Site};
use crate::wire::{Failure, Pool, text};

/// Row R37 of the reliability catalogue: one schema, one set of keys, one of
/// everything that the file names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_start_at_once_on_an_empty_database_are_one() {
    for _ in 0..Row::R37.size(5, 50) {
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
    for round in 0..Row::R38.size(10, 100) {
        let asked =
            request(&one, "shop", "openid offline_access read:vault").with("resource", VAULT);
        let tokens = Browser::new(&one).tokens("alice", &asked).await;
        let token = tokens.text("access_token");
        assert_eq!(two.introspect(&token).await["active"], true);
        // Longer than a node's knowledge is believed.
        let span = Duration::from_secs(if round % 2 == 0 {
            11
        } else {
            Row::R38.size(11, 60)
        });
        let stopped = programs[1].pause(span);
        let works = async {
            // What the stopped node had locked is free after four seconds.
            let began = Instant::now();
            loop {
                let revoked = one.form("/revoke", "shop", &[("token", &token)]).await;
                if revoked.status == 200 {
                    break;
                }
                assert_eq!(revoked.status, 503, "{}", revoked.body);
                assert!(began.elapsed() < Duration::from_secs(5), "it is held up");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let soon = Row::R38.size(10, 5);
            assert!(began.elapsed() < Duration::from_secs(soon));
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

/// What was asked of three nodes, and how it went.
#[derive(Default)]
struct Asked {
    answered: AtomicU64,
    failed: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// A node as a load balancer has it: its pool, and what is asked of it.
type Behind = (Pool, Vec<Vec<u8>>);

/// Goes to the next node where one takes no connection, as a load balancer does.
/// Every answer has to be a good one.
async fn ask(nodes: &[Behind], number: usize) -> Result<(), String> {
    for offset in 0..nodes.len() {
        let (pool, requests) = &nodes[(number + offset) % nodes.len()];
        match pool.ask(&requests[number % requests.len()]).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => return Err(format!("{} {}", answer.status, answer.body)),
            Err(Failure::Refused(_)) => {}
            Err(failure) => return Err(failure.why()),
        }
    }
    Err("no node takes a connection".to_owned())
}

/// The same by a client that is slow: what it says comes in two halves, and the
/// end of a node may come in between.
async fn ask_slowly(nodes: &[Behind], number: usize) -> Result<(), String> {
    let told = |cause: std::io::Error| format!("slowly: {cause}");
    for offset in 0..nodes.len() {
        let (pool, requests) = &nodes[(number + offset) % nodes.len()];
        let request = requests.last().unwrap();
        let Ok(mut stream) = TcpStream::connect(pool.address()).await else {
            continue;
        };
        let (early, late) = request.split_at(request.len() - 8);
        stream.write_all(early).await.map_err(told)?;
        tokio::time::sleep(Duration::from_millis(400)).await;
        stream.write_all(late).await.map_err(told)?;
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.map_err(told)?;
        return match &begin {
            b"HTTP/1.1 200" => Ok(()),
            other => Err(String::from_utf8_lossy(other).into_owned()),
        };
    }
    Err("no node takes a connection".to_owned())
}

/// Asks at a steady rate, whether or not anything is answered; half of it on
/// connections of its own.
async fn load(all: [Vec<Behind>; 2], rate: u32, asked: Arc<Asked>) {
    let all = Arc::new(all);
    let mut ticks = interval(Duration::from_secs(1) / rate);
    // What a busy machine missed is not asked all at once: nobody does.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    for number in 0_usize.. {
        ticks.tick().await;
        while under_way.try_join_next().is_some() {}
        if asked.stop.load(Ordering::Relaxed) {
            break;
        }
        let (all, asked) = (Arc::clone(&all), Arc::clone(&asked));
        under_way.spawn(async move {
            let nodes = &all[number % all.len()];
            let outcome = match number % 20 {
                0 => ask_slowly(nodes, number / 20).await,
                _ => ask(nodes, number / all.len()).await,
            };
            match outcome {
                Ok(()) => _ = asked.answered.fetch_add(1, Ordering::Relaxed),
                Err(why) => asked.failed.lock().unwrap().push(why),
            }
        });
    }
    while under_way.join_next().await.is_some() {}
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

/// Requests that go on while something else is done.
struct Load {
    asked: Arc<Asked>,
    task: JoinHandle<()>,
    began: Instant,
    rate: u32,
}

impl Load {
    fn begin(sites: &[Site], rate: u32) -> Self {
        let asked = Arc::new(Asked::default());
        let behind = |pool: fn(SocketAddr) -> Pool| -> Vec<Behind> {
            let of = |site: &Site| (pool(site.listen), kinds(site));
            sites.iter().map(of).collect()
        };
        let all = [behind(Pool::fresh), behind(Pool::keeping)];
        Self {
            task: tokio::spawn(load(all, rate, Arc::clone(&asked))),
            asked,
            began: Instant::now(),
            rate,
        }
    }

    /// Waits for as many answers as a second has requests.
    async fn go_on(&self) {
        let answered = || self.asked.answered.load(Ordering::Relaxed);
        let (before, began) = (answered(), Instant::now());
        while answered() < before + u64::from(self.rate) {
            assert_eq!(*self.asked.failed.lock().unwrap(), [""; 0]);
            assert!(began.elapsed() < PATIENCE, "nothing is answered");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// No request failed, and there were as many as was said: `part` of them.
    async fn end(self, row: &str, part: f64) {
        self.asked.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        assert_eq!(*self.asked.failed.lock().unwrap(), [""; 0]);
        let answered = self.asked.answered.load(Ordering::Relaxed);
        let reached = answered as f64 / self.began.elapsed().as_secs_f64();
        eprintln!("{row}: {answered} requests, {reached:.0} a second");
        assert!(reached > f64::from(self.rate) * part, "{reached}");
    }
}

/// Three nodes over one database.
async fn three() -> ([Site; 3], Vec<Program>) {
    let first = Site::planned(Plan::new(Engine::Postgres)).await;
    let sites = [first.node(), first.node(), first];
    let mut programs = Vec::new();
    for site in &sites {
        programs.push(site.start().await);
    }
    (sites, programs)
}

/// Row R16 of the reliability catalogue: each of three nodes is restarted in
/// turn under 300 requests a second, some of them slow, and no request fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let (sites, mut programs) = three().await;
    let load = Load::begin(&sites, Row::R16.size(60, 300));

    for round in 0..Row::R16.size(3, 30) {
        load.go_on().await;
        let program = programs.remove(0);
        let began = Instant::now();
        assert!(program.end().await.success());
        assert!(began.elapsed() < Duration::from_secs(30));
        programs.push(sites[round % sites.len()].start().await);
    }

    // The short form runs beside other tests.
    load.end("R16", Row::R16.size(0.3, 0.9)).await;
    for program in programs {
        assert!(program.end().await.success());
    }
}

/// Row R21 of the reliability catalogue, as operators do it: all keys rotate
/// under 300 requests a second, no request fails, and what was issued before
/// stays good on every node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_of_all_keys_fails_no_request() {
    let (sites, programs) = three().await;
    let form = |resource| [("grant_type", "client_credentials"), ("resource", resource)];
    let mut tokens = Vec::new();
    let load = Load::begin(&sites, Row::R21.size(60, 300));

    for round in 0..Row::R21.size(2, 20) {
        let site = &sites[round % sites.len()];
        for resource in [ORDERS, VAULT] {
            let answer = site.form("/token", "job", &form(resource)).await;
            tokens.push(answer.text("access_token"));
        }
        load.go_on().await;
        let rotated = site.done(&["keys", "rotate"]).await;
        assert!(
            rotated["items"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        );
        load.go_on().await;
        for site in &sites {
            for token in &tokens {
                assert_eq!(site.introspect(token).await["active"], true);
            }
        }
    }

    load.end("R21", Row::R21.size(0.3, 0.9)).await;
    for program in programs {
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
