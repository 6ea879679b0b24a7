//! What a gateway forgets in a store that it shares with its issuer: its own
//! sessions, and by a time that has come. The issuer here is its rows alone.

use std::sync::Arc;
use std::time::Duration;

use symbolon_gateway::{Demand, Edge, Launch};
use symbolon_protocol::Timestamp;
use symbolon_server::clock::{SystemClock, SystemEntropy};
use symbolon_server::launch::Store;
use symbolon_store::{
    FindBrowserSession, FindRevocations, OpenBrowserSession, RevokeToken, Target,
};
use symbolon_testkit::FixedClock;
use symbolon_token::{Browser, Clock, Digest, Id, Slot, random};
use tokio::time::Instant;

use crate::browser::{folder, store, with_browser};
use crate::site::{Nobody, route, settings};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a session that ends then where it is not used.
async fn opened(store: &Store, idle_ends: Timestamp) -> Id<Browser> {
    let subject = Digest::from_bytes(random(&SystemEntropy));
    let id = Id::new(Slot::of_bytes(subject.as_bytes()), &SystemEntropy);
    let open = OpenBrowserSession {
        id,
        secret: Digest::from_bytes(random(&SystemEntropy)),
        subject,
        issuer_session: None,
        signed_in: idle_ends,
        held: b"held".to_vec(),
        idle_ends,
        absolute_ends: idle_ends,
        replaces: None,
        now: idle_ends,
    };
    store.act(open).await.unwrap();
    id
}

/// Whether a session has a row, run out or not.
async fn is_there(store: &Store, id: Id<Browser>) -> bool {
    let now = Timestamp::EPOCH;
    let find = FindBrowserSession { id, now };
    store.read(find).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_whose_clock_is_a_day_ahead_forgets_nothing_of_its_issuer() {
    let (folder, nobody) = (folder(), Nobody::new());
    let store = store(&folder).await;
    let now = SystemClock::start().now();
    let token = Id::new(Slot::random(&SystemEntropy), &SystemEntropy);
    let revoke = RevokeToken {
        token,
        client: "web".parse().unwrap(),
        subject: "usr_x".to_owned(),
        expires: now + HOUR,
        horizon: now + HOUR,
        now,
        audit: None,
    };
    store.act(revoke).await.unwrap();
    let old = opened(&store, now - DAY * 2).await;
    let young = opened(&store, now - HOUR).await;

    let launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None);
    let launch = launch.await.unwrap();
    let origin = format!("http://{}", launch.public.local_addr().unwrap());
    let issuer = format!("http://{}", nobody.address);
    let own = settings(&issuer, nobody.address);
    let mut own = with_browser(own, &issuer, &origin, store.clone());
    own.routes = vec![route("/public/{*rest}", Demand::Public)];
    let edge = Edge {
        clock: Arc::new(FixedClock::at(now + DAY)),
        entropy: Arc::new(SystemEntropy),
    };
    let running = launch.start(own, edge).unwrap();

    let begin = Instant::now();
    while is_there(&store, old).await {
        assert!(begin.elapsed() < PATIENCE, "it forgets nothing");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let targets = vec![Target::Token(token)];
    let records = store.read(FindRevocations { targets }).await.unwrap();
    assert_eq!(records.len(), 1, "the token is good again");
    assert!(is_there(&store, young).await, "its own clock counted");
    running.stop().await;
    store.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
