//! A gateway forgets its own sessions in a store that is a server's too, and by
//! a time that has come.

use std::time::Duration;

use symbolon_protocol::Timestamp;
use symbolon_token::{Browser, Digest, Id, Slot};

use super::steps::each_engine;
use crate::conformance::World;
use crate::job::{ClaimJob, Lease, PURGE, Under};
use crate::spent::{CLIENT_ASSERTION, SpendOnce, WasSpent};
use crate::{
    ClaimBrowserSessions, FindBrowserSession, FindRevocations, OpenBrowserSession,
    PurgeBrowserSessions, PurgeExpired, RevokeToken, Target,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

async fn opened(world: &World, idle_ends: Timestamp) -> Id<Browser> {
    let subject = Digest::from_bytes(world.bytes());
    let open = OpenBrowserSession {
        id: world.id(Slot::of_bytes(subject.as_bytes())),
        secret: Digest::from_bytes(world.bytes()),
        subject,
        issuer_session: None,
        signed_in: world.now,
        held: b"held".to_vec(),
        idle_ends,
        absolute_ends: idle_ends,
        replaces: None,
        now: world.now,
    };
    let id = open.id;
    world.store.act(open).await.unwrap();
    id
}

/// Whether a session has a row, run out or not.
async fn is_there(world: &World, id: Id<Browser>) -> bool {
    let now = Timestamp::EPOCH;
    let find = FindBrowserSession { id, now };
    world.store.read(find).await.unwrap().is_some()
}

fn claim(now: Timestamp) -> ClaimBrowserSessions {
    ClaimBrowserSessions { span: MINUTE, now }
}

fn batch(lease: Lease) -> Under<PurgeBrowserSessions> {
    let act = PurgeBrowserSessions {
        now: lease.time,
        limit: 2,
    };
    Under { lease, act }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_forgets_sessions_of_browsers_and_nothing_else() {
    each_engine("browsers", async |world: &World| {
        let store = &world.store;
        let spend = SpendOnce {
            kind: CLIENT_ASSERTION,
            slot: world.slot(),
            key: world.bytes(),
            expires: world.now + MINUTE,
        };
        assert!(store.act(spend.clone()).await.unwrap());
        let token = world.id(world.slot());
        let revoke = RevokeToken {
            token,
            client: "web".parse().unwrap(),
            subject: "usr_x".to_owned(),
            expires: world.now + MINUTE,
            horizon: world.horizon(),
            now: world.now,
            audit: None,
        };
        store.act(revoke).await.unwrap();
        let mut old = Vec::new();
        for _ in 0..3 {
            old.push(opened(world, world.now + MINUTE).await);
        }
        let young = opened(world, world.now + MINUTE * 2).await;

        // Days later, when a server would forget all of it.
        let now = world.now + DAY * 5 + MINUTE;
        let server = ClaimJob {
            name: PURGE,
            span: MINUTE,
            now,
        };
        assert!(store.act(server).await.unwrap().is_some());
        let a_day_after = world.now + MINUTE + DAY;
        let early = claim(a_day_after - Duration::from_millis(1));
        let early = store.act(early).await.unwrap().unwrap();
        assert_eq!(store.act(batch(early)).await.unwrap(), Some(0));
        let due = store.act(claim(a_day_after)).await.unwrap().unwrap();
        let late = store.act(batch(early)).await.unwrap();
        assert_eq!(late, None, "an older lease");
        for gone in [2, 1, 0] {
            assert_eq!(store.act(batch(due)).await.unwrap(), Some(gone));
        }
        for id in old {
            assert!(!is_there(world, id).await);
        }
        assert!(is_there(world, young).await);
        let later = store.act(claim(now)).await.unwrap().unwrap();
        assert_eq!(store.act(batch(later)).await.unwrap(), Some(1));
        assert!(!is_there(world, young).await);

        let targets = vec![Target::Token(token)];
        let find = FindRevocations { targets };
        assert_eq!(store.read(find).await.unwrap().len(), 1);
        assert!(store.read(WasSpent(spend)).await.unwrap());
        let all = PurgeExpired { now, limit: 100 };
        let all = store.act(all).await.unwrap();
        let all = (all.revocations, all.spent, all.browser_sessions);
        assert_eq!(all, (1, 1, 0), "there was nothing else to forget");
    })
    .await;
}

/// R31: the earlier clock counts, here as in the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_clock_is_years_ahead_forgets_no_session() {
    each_engine("ahead", async |world: &World| {
        let id = opened(world, world.now + DAY * 36_500).await;

        let lease = world
            .store
            .act(claim(Timestamp::FAR))
            .await
            .unwrap()
            .unwrap();

        assert!(lease.time < world.now + DAY * 36_500, "{lease:?}");
        assert_eq!(world.store.act(batch(lease)).await.unwrap(), Some(0));
        assert!(is_there(world, id).await);
    })
    .await;
}

/// Even where both come first, and the job is not there yet.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn of_two_gateways_one_forgets() {
    use symbolon_testkit::START;

    let Some(schema) = super::nodes::Schema::new("gateways").await else {
        return;
    };
    let (one, two) = (schema.open(1).await, schema.open(2).await);
    one.migrate().await.unwrap();

    let (a, b) = tokio::join!(one.act(claim(START)), two.act(claim(START)));
    let (a, b) = (a.unwrap(), b.unwrap());

    assert_ne!(a.is_some(), b.is_some(), "{a:?} {b:?}");
    let (holder, other) = match a.is_some() {
        true => (&one, &two),
        false => (&two, &one),
    };
    assert!(holder.act(claim(START)).await.unwrap().is_some());
    assert!(other.act(claim(START)).await.unwrap().is_none());
    // The server's job is another.
    let server = ClaimJob {
        name: PURGE,
        span: MINUTE,
        now: START,
    };
    assert!(other.act(server).await.unwrap().is_some());
    one.close().await;
    two.close().await;
    schema.drop().await;
}
