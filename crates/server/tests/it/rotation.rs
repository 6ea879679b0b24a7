//! R21: keys rotate under load, and nobody notices.
//!
//! Time runs seventy-five times as fast here, on the server's clock and on the
//! verifier's, so that a set that is kept for a minute is old after less
//! than a second, and a rotation every two seconds keeps the announcement.
//! Several nodes are told to rotate at once, each time, and make one key.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_testkit::{Row, START};
use symbolon_token::Clock;
use symbolon_token::jose::Unverified;
use symbolon_verify::{Algorithm, Requirement, Revocation, Verifier};
use tokio::time::{Instant, interval, sleep};

use crate::harness::{Answer, ORDERS, Server, WallClock};

const SCALE: u32 = 75;
const ROTATE_EVERY: Duration = Duration::from_secs(2);
/// How long a verifier keeps the set, in the time of the clocks.
const CACHE: Duration = Duration::from_secs(60);
const LIFETIME: Duration = Duration::from_secs(600);
const CHECKS_PER_TURN: usize = 10;
const TURN: Duration = Duration::from_millis(20);

/// How many checks there have to be for each second of the rotations.
const PACE: u32 = 500;
/// How long checking may go on for what the machine was too busy for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How far time runs at once: a test that was held up must not jump.
const STRIDE: Duration = Duration::from_millis(50);

/// The server's clock, by which a verifier measures spans too.
#[derive(Debug)]
struct Shared(Arc<WallClock>);

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.now().since(START)
    }
}

/// What the test knows of keys and tokens.
#[derive(Default)]
struct World {
    /// When a key was first seen in the published set.
    published: Mutex<HashMap<String, Timestamp>>,
    tokens: Mutex<VecDeque<(Timestamp, String)>>,
    checked: AtomicUsize,
    is_rotating: AtomicBool,
    is_over: AtomicBool,
}

impl World {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }
}

/// Nodes over one database; they share a clock.
type Nodes = Arc<Vec<Server>>;

/// Lets time run.
async fn run_time(nodes: Nodes, world: Arc<World>) {
    let mut last = Instant::now();
    while world.goes_on() {
        sleep(Duration::from_millis(10)).await;
        let now = Instant::now();
        // On a busy disk a commit takes seconds, which would be minutes here:
        // longer than any node may lag.
        if !world.is_rotating.load(Ordering::Relaxed) {
            nodes[0].advance_by((now - last).min(STRIDE) * SCALE);
            nodes.iter().for_each(Server::believe);
        }
        last = now;
    }
}

async fn look(server: &Server, world: &World) {
    let answer = server.get("/.well-known/jwks.json").await;
    let now = server.clock.now();
    let mut published = world.published.lock().unwrap();
    for key in answer.json()["keys"].as_array().unwrap() {
        let kid = key["kid"].as_str().unwrap().to_owned();
        published.entry(kid).or_insert(now);
    }
}

/// A token, asked for again where the store is too busy.
async fn issued(server: &Server) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", ORDERS),
        ("scope", "read:orders"),
    ];
    for _ in 0..50 {
        let answer = server.token("job", &form).await;
        if answer.status != 503 {
            return answer;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the store never answered")
}

/// Watches the published set, and mints tokens, each of which must be signed
/// by a key that was published before any set that is still kept.
async fn mint(nodes: Nodes, world: Arc<World>, first: String) -> usize {
    let mut minted = 0;
    while world.goes_on() {
        let server = &nodes[minted % nodes.len()];
        let answer = issued(server).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (now, token) = (server.clock.now(), answer.text("access_token"));
        let kid = Unverified::parse(&token)
            .unwrap()
            .claimed_kid()
            .unwrap()
            .to_owned();
        let seen = world.published.lock().unwrap().get(&kid).copied();
        let seen = seen.expect("signed by a key that nobody has seen published");
        assert!(
            kid == first || seen + CACHE <= now,
            "signed {:?} after it was published",
            now.since(seen)
        );
        world.tokens.lock().unwrap().push_back((now, token));
        minted += 1;
        // Verifiers read the set of the first node.
        look(&nodes[0], &world).await;
        sleep(Duration::from_millis(30)).await;
    }
    minted
}

/// Checks whatever lives, five hundred times a second.
async fn check(nodes: Nodes, world: Arc<World>) {
    let server = &nodes[0];
    let verifier = Verifier::new(&server.name(), ORDERS, [Algorithm::Es256])
        .unwrap()
        .with_clock(Arc::new(Shared(Arc::clone(&server.clock))))
        .with_entropy(Arc::new(symbolon_testkit::SeededEntropy::new(1)));
    let requirement = Requirement::all(["read:orders"]).revocation(Revocation::AtExpiry);
    let (mut turns, mut checked) = (interval(TURN), 0_usize);
    while world.goes_on() {
        turns.tick().await;
        for _ in 0..CHECKS_PER_TURN {
            let found = {
                let now = server.clock.now();
                let mut tokens = world.tokens.lock().unwrap();
                // A token may die on its way; what has a while to live may not.
                while tokens
                    .front()
                    .is_some_and(|(minted, _)| *minted + LIFETIME <= now + LIFETIME / 10)
                {
                    tokens.pop_front();
                }
                let len = tokens.len().max(1);
                tokens.get(checked.wrapping_mul(7919) % len).cloned()
            };
            let Some((minted, token)) = found else {
                continue;
            };
            let verdict = verifier.check(token.as_str(), &requirement).await;
            assert!(
                verdict.is_ok(),
                "a valid token, {:?} old, was refused: {:?}",
                server.clock.now().since(minted),
                verdict.err()
            );
            checked += 1;
            world.checked.store(checked, Ordering::Relaxed);
        }
    }
}

async fn rotate(server: &Server) -> Value {
    let path = "/admin/v1/keys:rotate";
    for _ in 0..50 {
        let body = json!({"algorithm": "ES256"});
        let answer = server.admin(Method::POST, path, Some(body)).await;
        // A store that is busy says so, and whoever rotates asks again.
        if answer.status != 503 {
            assert_eq!(answer.status, 200, "{}", answer.body);
            return answer.json()["items"][0].clone();
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the store never answered")
}

/// The keys for ES256 in a state.
async fn kids(server: &Server, state: &str) -> Vec<String> {
    let all = server
        .admin(Method::GET, "/admin/v1/keys", None)
        .await
        .json();
    let all = all["items"].as_array().unwrap().iter();
    let own = all.filter(|key| key["algorithm"] == "ES256" && key["state"] == state);
    own.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// Tells all nodes to rotate at once; whether that made a key, and never two.
async fn rotate_at_once(nodes: &[Server], known: &mut HashSet<String>) -> bool {
    let told = join_all(nodes.iter().map(rotate)).await;
    assert!(
        told.iter().all(|own| own["active"] == told[0]["active"]),
        "{told:?}"
    );
    for node in nodes {
        node.catch_up().await;
    }
    let (active, next) = (
        kids(&nodes[0], "active").await,
        kids(&nodes[0], "next").await,
    );
    assert_eq!((active.len(), next.len()), (1, 1), "{active:?} {next:?}");
    assert_eq!(active[0], told[0]["active"]);
    known.insert(next[0].clone())
}

async fn keys_rotate_under_load(nodes: Vec<Server>) {
    let (nodes, world) = (Arc::new(nodes), Arc::new(World::default()));
    look(&nodes[0], &world).await;
    let first = kids(&nodes[0], "active").await.remove(0);
    let mut known = HashSet::from_iter(kids(&nodes[0], "next").await);
    let (time, minting, checking) = (
        tokio::spawn(run_time(Arc::clone(&nodes), Arc::clone(&world))),
        tokio::spawn(mint(Arc::clone(&nodes), Arc::clone(&world), first.clone())),
        tokio::spawn(check(Arc::clone(&nodes), Arc::clone(&world))),
    );

    while world.checked.load(Ordering::Relaxed) == 0
        && !minting.is_finished()
        && !checking.is_finished()
    {
        sleep(Duration::from_millis(1)).await;
    }
    let (begun, wanted, mut done) = (Instant::now(), Row::R21.size(10, 100), 0);
    let mut turns = interval(ROTATE_EVERY);
    turns.tick().await;
    while done < wanted && !minting.is_finished() && !checking.is_finished() {
        turns.tick().await;
        world.is_rotating.store(true, Ordering::Relaxed);
        done += usize::from(rotate_at_once(&nodes, &mut known).await);
        world.is_rotating.store(false, Ordering::Relaxed);
    }
    let took = begun.elapsed();
    let enough = usize::try_from((took * PACE).as_secs()).unwrap();
    while world.checked.load(Ordering::Relaxed) < enough
        && begun.elapsed() < took + PATIENCE
        && !checking.is_finished()
    {
        sleep(TURN).await;
    }
    world.is_over.store(true, Ordering::Relaxed);

    time.await.unwrap();
    checking.await.unwrap();
    let (minted, checked) = (
        minting.await.unwrap(),
        world.checked.load(Ordering::Relaxed),
    );
    eprintln!(
        "{done} rotations of {} nodes in {took:?}: {minted} tokens minted, {checked} checks, none refused",
        nodes.len()
    );
    assert_eq!(done, wanted);
    assert_eq!(known.len(), wanted + 1, "one key for each rotation");
    assert!(checked >= enough, "{checked} checks in {took:?}");
    // What the first key signed has ended, and the key with it.
    nodes[0].advance_by(2 * LIFETIME);
    nodes.iter().for_each(Server::believe);
    rotate(&nodes[0]).await;
    let set = nodes[0].get("/.well-known/jwks.json").await.body;
    assert!(!set.contains(&first), "{set}");
}

const KEYS: &str = "keys = { key_set_cache = \"60s\", rotation = \"0s\" }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r21_rotations_under_load_refuse_no_valid_token() {
    keys_rotate_under_load(vec![Server::on_sqlite_with(KEYS).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r21_two_nodes_that_rotate_at_once_under_load_never_make_two_keys() {
    let one = Server::on_postgres_with(KEYS).await;
    let two = one.sibling().await;
    keys_rotate_under_load(vec![one, two]).await;
}
