//! What the feed does while a transaction is held, and while a node is cut off.

use std::time::Duration;

use serde_json::json;
use symbolon_testkit::{Proxy, Row};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

use super::kind::Kind;
use super::{World, until};
use crate::program::word;

/// For how long what was read is believed.
const MAX_STALENESS: Duration = Duration::from_secs(10);

/// A connection to a database, and the task that serves it.
pub(super) struct Connection {
    pub(super) client: Client,
    task: JoinHandle<()>,
}

impl Connection {
    async fn open(url: &str) -> Self {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let task = tokio::spawn(async move {
            // It ends with its client.
            let _ = connection.await;
        });
        Self { client, task }
    }

    pub(super) async fn end(self) {
        drop(self.client);
        self.task.await.unwrap();
    }
}

/// Writes in the same cluster, and does not commit.
pub(super) async fn unrelated_transaction() -> Connection {
    let url = std::env::var("SYMBOLON_TEST_POSTGRES").unwrap();
    let own = Connection::open(&url).await;
    let table = format!("noise_{}", word());
    let text = format!("CREATE TABLE {table} (n bigint); BEGIN; INSERT INTO {table} VALUES (1)");
    own.client.batch_execute(&text).await.unwrap();
    own
}

/// A transaction that has taken its number and not committed yet: nothing that
/// comes after it is shown before it, and nothing is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_late_holds_up_those_behind_it_and_none_is_lost() {
    let mut world = World::start(|_, _| ()).await;
    let api = world.api_at(1).await;
    let held = world.sign_in(Kind::Jwt, "openid offline_access").await;
    let before = api.verifier.feed().unwrap();
    let own = Connection::open(&world.first().store).await;
    let hold = "BEGIN; UPDATE feed_head SET sequence = sequence + 1 WHERE one = 1;
        INSERT INTO revocation (kind, target, epoch, sequence, expires, at)
            SELECT 11, 'nobody'::bytea, epoch, sequence, 32503680000000, 1 FROM feed_head";
    own.client.batch_execute(hold).await.unwrap();

    let begin = Instant::now();
    let revoking = world.revoke(json!({ "token": held.access }));
    let committing = async {
        while begin.elapsed() < Duration::from_secs(2) {
            let now = api.verifier.feed().unwrap();
            assert_eq!(now.sequence, before.sequence, "shown too early");
            let at_most = Row::R13.size(MAX_STALENESS, Duration::from_secs(3));
            assert!(now.age().unwrap() < at_most, "it is still known");
            assert!(api.takes(Kind::Jwt, &held.access, None).await);
            sleep(Duration::from_millis(20)).await;
        }
        own.client.batch_execute("COMMIT").await.unwrap();
    };
    tokio::join!(revoking, committing);

    let seen = async || api.verifier.feed().unwrap().sequence >= before.sequence + 2;
    until("both are there", seen).await;
    let after = api.verifier.feed().unwrap();
    assert_eq!(after.records, before.records + 2);
    assert!(!api.takes(Kind::Jwt, &held.access, None).await);
    own.end().await;
    world.end().await;
}

/// The address of a database by way of a proxy.
fn by_way_of(proxy: &Proxy, store: &str) -> String {
    let mut url = url::Url::parse(store).unwrap();
    let address = proxy.address();
    url.set_ip_host(address.ip()).unwrap();
    url.set_port(Some(address.port())).unwrap();
    url.to_string()
}

fn database() -> String {
    let url = std::env::var("SYMBOLON_TEST_POSTGRES").unwrap();
    let url = url::Url::parse(&url).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap_or(5432));
    format!("{host}:{port}")
}

/// Row R14 of the reliability catalogue: a node that cannot read its database
/// says that it does not know, and an API that follows it says so too; nobody
/// is told that a token is dead for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_and_its_api_fail_closed_and_catch_up() {
    for stalls in [false, true] {
        let proxy = Proxy::start(database()).unwrap();
        let mut world = World::start(|number, site| {
            if number == 2 {
                site.store = by_way_of(&proxy, &site.store);
            }
        })
        .await;
        let api = world.api_at(2).await;
        let jwt = world.sign_in(Kind::Jwt, "openid offline_access").await;
        let opaque = world.sign_in(Kind::Opaque, "openid offline_access").await;
        assert_eq!(world.is_active(2, &opaque.access).await, Some(true));
        // From here on the API reaches this node alone.
        world.front.retarget(world.nodes[2].listen).unwrap();
        if stalls {
            proxy.stall();
        } else {
            proxy.cut();
        }
        let cut = Instant::now();
        world.revoke(json!({ "token": opaque.access })).await;
        world.revoke(json!({ "token": jwt.access })).await;
        let revoked = Instant::now();

        let strict = |kind: Kind| format!("/strict/{kind:?}");
        let mut unknown = false;
        while cut.elapsed() < Duration::from_secs(12) {
            let late = revoked.elapsed() > Duration::from_millis(10_500);
            let active = world.is_active(2, &opaque.access).await;
            assert!(active != Some(true) || !late, "allowed after ten seconds");
            assert_ne!(active, Some(false), "it cannot know");
            unknown |= active.is_none();
            for (kind, held) in [(Kind::Jwt, &jwt), (Kind::Opaque, &opaque)] {
                let answer = api.show(&strict(kind), &held.access, None).await;
                assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
                assert!(answer.status == 503 || !late, "{kind:?} allowed");
                if answer.status == 503 {
                    assert_eq!(answer.text("error"), "temporarily_unavailable");
                    assert!(answer.header("retry-after").is_some());
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        assert!(unknown);
        // By default a JWT goes on, and its age is known.
        let answer = api.show("/Jwt", &jwt.access, None).await;
        assert_eq!(answer.status, 200);
        assert!(api.verifier.feed().unwrap().age().unwrap() > MAX_STALENESS);

        proxy.heal();
        let healed = Instant::now();
        let dead = async || world.is_active(2, &opaque.access).await == Some(false);
        until("the node catches up", dead).await;
        let refused = async || !api.takes(Kind::Jwt, &jwt.access, None).await;
        until("its API catches up", refused).await;
        let took = healed.elapsed();
        eprintln!("R14: caught up {took:?} after the network was healed (stalled: {stalls})");
        let soon = Row::R14.size(Duration::from_secs(10), Duration::from_secs(2));
        assert!(took <= soon, "{took:?}");
        world.end().await;
    }
}
