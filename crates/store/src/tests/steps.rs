//! R02 and R04: every step of every act that matters fails once, on both
//! engines. What was answered is stored, what was not is stored whole or not
//! at all, and a retry ends well.

use std::sync::Arc;
use std::time::Duration;

use symbolon_testkit::{START, SeededEntropy};
use tokio::time::Instant;

use super::Folder;
use crate::act::Act;
use crate::authorization_code::Redeemed;
use crate::conformance::{World, trust::partner};
use crate::faults::Breaking;
use crate::refresh_family::{NewFamily, Renew, Rotate, Rotated};
use crate::revocation::Target;
use crate::session::{EndSession, Ended};
use crate::spent::{CLIENT_ASSERTION, SpendOnce};
use crate::store::{Options, Store};
use crate::trusted_issuer::RevokeTrustedIssuer;
use crate::{
    EndFamily, FindFamily, FindGrantById, RemoveMember, RevokeClient, RevokeOrganization,
    RevokePerson, RevokeToken, SetMember, WithdrawGrant,
};

/// More steps than any script has.
const MOST: u64 = 400;

/// A store of each engine.
pub(super) async fn each_engine(name: &str, run: impl AsyncFn(&World)) {
    let folder = Folder::new();
    let world = |store: Store, seed| World::new(store, Arc::new(SeededEntropy::new(seed)), START);
    let store = folder.store().await;
    run(&world(store.clone(), 1)).await;
    store.close().await;
    #[cfg(feature = "postgres")]
    if let Some(schema) = super::nodes::Schema::new(name).await {
        let store = schema.open(1).await;
        store.migrate().await.unwrap();
        run(&world(store.clone(), 2)).await;
        store.close().await;
        schema.drop().await;
    }
}

/// Carries out an act as a client does that gets no answer: again, a few times.
/// How often it failed, and how it ended.
pub(super) async fn insist<A: Act + Clone>(store: &Store, act: &A) -> (u32, A::Out) {
    for failed in 0..4 {
        match store.act(act.clone()).await {
            Ok(out) => return (failed, out),
            Err(fault) => assert!(fault.is_unavailable(), "{fault}"),
        }
    }
    panic!("it fails for ever")
}

/// Runs a script again and again, each time with a later step that fails,
/// until none does; answers how many there are. The script begins to break
/// once what it needs is there.
async fn every_step(world: &World, script: impl AsyncFn(&World, u64)) -> u64 {
    for nth in 1..MOST {
        script(world, nth).await;
        if world.store.broken_at().is_none() {
            return nth - 1;
        }
    }
    panic!("there is no end of steps")
}

fn begin(world: &World, nth: u64) {
    world.store.break_at(nth, Breaking::Error);
}

fn next(rotate: &Rotate, world: &World) -> Rotate {
    Rotate {
        generation: rotate.generation + 1,
        presented: rotate.next,
        next: world.bytes(),
        ..rotate.clone()
    }
}

/// Three refreshes, each retried until it is answered; then the first token
/// comes again.
async fn refreshes(world: &World, nth: u64) {
    let family = world.family(&world.scene().await.unwrap()).await.unwrap();
    let first = world.rotate(&family);
    begin(world, nth);

    let mut rotate = first.clone();
    for generation in 2..5 {
        let (failed, out) = insist(&world.store, &rotate).await;
        match out {
            Rotated::To(live) => assert_eq!(live.generation, generation),
            Rotated::Same(live) => {
                assert!(failed > 0, "nobody else rotates it");
                assert_eq!(live.generation, generation);
            }
            other => panic!("{other:?} after {failed} faults"),
        }
        rotate = next(&rotate, world);
    }
    let (failed, out) = insist(&world.store, &first).await;
    world.store.break_no_more();
    let theft = Rotated::Theft { family: family.id };
    // A theft whose answer was lost is a family that has ended.
    let is_lost = failed > 0 || world.store.broken_at().is_some();
    assert!(out == theft || is_lost && out == Rotated::Ended, "{out:?}");
    assert!(!world.is_family_live(family.id).await.unwrap());
    let records = world.records(&Target::Family(family.id)).await.unwrap();
    assert_eq!(records.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_survives_the_failure_of_each_of_its_steps() {
    each_engine("step_refresh", async |world: &World| {
        let steps = every_step(world, refreshes).await;
        eprintln!("{steps} steps");
        assert!(steps >= 15, "{steps}");
    })
    .await;
}

/// Without a time of grace a retry would be theft, so nothing but the act
/// itself may find out that it was stored.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_costs_no_family_on_postgresql_even_without_grace() {
    let Some(schema) = super::nodes::Schema::new("step_graceless").await else {
        return;
    };
    let store = schema.open(1).await;
    store.migrate().await.unwrap();
    let world = World::new(store, Arc::new(SeededEntropy::new(3)), START);

    let steps = every_step(&world, async |world: &World, nth: u64| {
        let family = world.family(&world.scene().await.unwrap()).await.unwrap();
        let mut rotate = Rotate {
            grace_ms: 0,
            ..world.rotate(&family)
        };
        begin(world, nth);
        for generation in 2..5 {
            let out = world.store.act(rotate.clone()).await.unwrap();
            assert!(
                matches!(&out, Rotated::To(live) if live.generation == generation),
                "{out:?} at {:?}",
                world.store.broken_at()
            );
            rotate = next(&rotate, world);
        }
    });

    assert!(steps.await >= 9);
    schema.drop().await;
}

async fn redemptions(world: &World, nth: u64) {
    let scene = world.scene().await.unwrap();
    let family = world.new_family(&scene);
    let redeem = world.redeem(&scene, Some(family.clone()));
    begin(world, nth);

    let first = world.store.act(redeem.clone()).await;
    world.store.break_no_more();

    let live = world.is_family_live(family.id).await;
    match &first {
        Ok(Redeemed::First { .. }) => assert!(live.unwrap(), "answered and not stored"),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => assert!(fault.is_unavailable(), "{fault}"),
    }
    let (_, again) = insist(&world.store, &redeem).await;
    match again {
        Redeemed::First { .. } => assert!(first.is_err(), "one code, two successes"),
        Redeemed::Again => assert!(!world.is_family_live(family.id).await.unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redemption_survives_the_failure_of_each_of_its_steps() {
    each_engine("step_redeem", async |world: &World| {
        let steps = every_step(world, redemptions).await;
        assert!(steps >= 8, "{steps}");
    })
    .await;
}

async fn endings(world: &World, nth: u64) {
    let scene = world.scene().await.unwrap();
    let family: NewFamily = world.family(&scene).await.unwrap();
    let end = EndFamily {
        id: family.id,
        client: None,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("family.end"),
    };
    let withdraw = WithdrawGrant {
        id: scene.grant.id,
        now: world.now,
        horizon: world.horizon(),
        audit: world.audit("grant.withdraw"),
    };
    let revoke = RevokeToken {
        token: world.id(scene.person.slot()),
        client: scene.client.clone(),
        subject: "usr_x".to_owned(),
        expires: world.horizon(),
        horizon: world.horizon(),
        now: world.now,
        audit: None,
    };
    begin(world, nth);

    let (failed, out) = insist(&world.store, &end).await;
    assert!(out == Ended::Ended || failed > 0, "{out:?}");
    let (failed, out) = insist(&world.store, &withdraw).await;
    assert!(out == Ended::Ended || failed > 0, "{out:?}");
    insist(&world.store, &revoke).await;
    world.store.break_no_more();

    let found = world.store.read(FindFamily { id: family.id }).await;
    assert!(found.unwrap().unwrap().ended.is_some());
    let grant = FindGrantById { id: scene.grant.id };
    let found = world.store.read(grant).await;
    assert!(found.unwrap().unwrap().withdrawn.is_some());
    let feed = world.feed(None).await.unwrap();
    let targets = [
        Target::Family(family.id),
        Target::Grant(scene.grant.id),
        Target::Token(revoke.token),
    ];
    for target in targets {
        let records = feed.revocations.iter().filter(|own| own.target == target);
        assert_eq!(records.count(), 1, "{target:?}");
    }
    // The numbers follow each other, whatever failed between them.
    let sequences: Vec<i64> = feed
        .revocations
        .iter()
        .map(|own| own.position.sequence)
        .collect();
    let all: Vec<i64> = (1..=feed.head.sequence).collect();
    assert_eq!(sequences, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_survives_the_failure_of_each_of_its_steps() {
    each_engine("step_end", async |world: &World| {
        let steps = every_step(world, endings).await;
        assert!(steps >= 15, "{steps}");
    })
    .await;
}

/// Everything of somebody, by the acts that name more than one thing: each leaves
/// one record, behind those of before, and nobody's family lives on.
#[expect(clippy::too_many_lines, reason = "one act after another")]
async fn wide_endings(world: &World, nth: u64) {
    let scene = world.scene().await.unwrap();
    let family = world.family(&scene).await.unwrap();
    let create = partner(world).await.unwrap();
    let issuer = create.issuer.issuer.clone();
    let organization = create.issuer.organization.clone().unwrap();
    world.store.act(create).await.unwrap();
    let (now, horizon) = (world.now, world.horizon());
    let member = SetMember {
        organization: organization.clone(),
        person: scene.person,
        roles: vec!["buyer".to_owned()],
        audit: world.audit("member.set"),
        now,
        horizon,
    };
    world.store.act(member.clone()).await.unwrap();
    let role = SetMember {
        roles: Vec::new(),
        ..member
    };
    let audit = world.audit("end");
    let left = RemoveMember {
        organization: organization.clone(),
        person: scene.person,
        audit: audit.clone(),
        now,
        horizon,
    };
    let distrusted = RevokeTrustedIssuer {
        issuer: issuer.clone(),
        audit: audit.clone(),
        now,
        horizon,
    };
    let whole = RevokeOrganization {
        id: organization.clone(),
        audit: audit.clone(),
        now,
        horizon,
    };
    let signed_out = EndSession {
        id: scene.session,
        now,
        horizon,
        audit: audit.clone(),
    };
    let person = RevokePerson {
        id: scene.person,
        audit: audit.clone(),
        now,
        horizon,
    };
    let client = RevokeClient {
        id: scene.client.clone(),
        audit,
        now,
        horizon,
    };
    begin(world, nth);

    insist(&world.store, &role).await;
    insist(&world.store, &left).await;
    insist(&world.store, &distrusted).await;
    insist(&world.store, &whole).await;
    insist(&world.store, &signed_out).await;
    insist(&world.store, &person).await;
    insist(&world.store, &client).await;
    world.store.break_no_more();

    assert!(!world.is_family_live(family.id).await.unwrap());
    let mut last = None;
    for target in [
        Target::Membership(organization.clone(), scene.person),
        Target::Issuer(issuer.as_str().to_owned()),
        Target::Organization(organization),
        Target::Session(scene.session),
        Target::Subject(scene.person),
        Target::Client(scene.client),
    ] {
        let records = world.records(&target).await.unwrap();
        assert_eq!(records.len(), 1, "{target:?}");
        let place = Some(records[0].position.sequence);
        assert!(last < place, "{target:?}: {last:?} {place:?}");
        last = place;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_many_survives_the_failure_of_each_of_its_steps() {
    each_engine("step_wide", async |world: &World| {
        let steps = every_step(world, wide_endings).await;
        assert!(steps >= 30, "{steps}");
    })
    .await;
}

async fn single_uses(world: &World, nth: u64) {
    let spend = SpendOnce {
        kind: CLIENT_ASSERTION,
        slot: world.slot(),
        key: world.bytes(),
        expires: world.horizon(),
    };
    begin(world, nth);

    let mut firsts = 0;
    for _ in 0..4 {
        match world.store.act(spend.clone()).await {
            Ok(first) => firsts += u32::from(first),
            Err(fault) => assert!(fault.is_unavailable(), "{fault}"),
        }
    }
    assert!(firsts <= 1, "used {firsts} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_used_twice_whichever_step_fails() {
    each_engine("step_spend", async |world: &World| {
        every_step(world, single_uses).await;
    })
    .await;
}

/// A step that takes longer than any caller waits is answered in time, and
/// leaves the store able to go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_hangs_is_answered_within_the_deadline() {
    each_engine("step_hang", async |world: &World| {
        // Of a rotation: its statement, and what stands around the commit.
        for nth in [2, 4] {
            let family = world.family(&world.scene().await.unwrap()).await.unwrap();
            let rotate = world.rotate(&family);
            let span = Duration::from_secs(8);
            world.store.break_at(nth, Breaking::Pause(span));
            let began = Instant::now();

            let late = world.store.act(rotate.clone()).await;

            let took = began.elapsed();
            if let Err(fault) = late {
                assert!(fault.is_unavailable(), "{fault}");
            }
            assert!(took < Duration::from_secs(6), "{took:?}");
            tokio::time::sleep(span.saturating_sub(took)).await;
            let (_, out) = insist(&world.store, &rotate).await;
            assert!(
                matches!(&out, Rotated::To(live) | Rotated::Same(live) if live.generation == 2),
                "{out:?}"
            );
        }
    })
    .await;
}

/// A family that stops rotating, since its client's policy changed, gives its
/// predecessor up at the successor's first use.
#[tokio::test(flavor = "multi_thread")]
async fn a_successor_that_was_presented_leaves_its_predecessor_no_grace() {
    each_engine("step_renew", async |world: &World| {
        let family = world.family(&world.scene().await.unwrap()).await.unwrap();
        let rotate = world.rotate(&family);
        world.store.act(rotate.clone()).await.unwrap();
        let renew = |generation, presented| Renew {
            family: family.id,
            generation,
            presented,
            client: family.client.clone(),
            idle_ends: rotate.idle_ends,
            grace_ms: rotate.grace_ms,
            proof: None,
            horizon: rotate.horizon,
            audit: rotate.audit.clone(),
            now: rotate.now,
        };
        let early = world.store.act(renew(1, rotate.presented)).await.unwrap();
        assert!(matches!(early, Rotated::Same(_)), "a retry: {early:?}");

        let used = world.store.act(renew(2, rotate.next)).await.unwrap();
        assert!(matches!(used, Rotated::Same(_)), "{used:?}");

        let theft = world.store.act(renew(1, rotate.presented)).await.unwrap();
        assert_eq!(theft, Rotated::Theft { family: family.id });
    })
    .await;
}

/// Where a child of this test finds its database, and which step kills it.
const URL: &str = "SYMBOLON_TEST_STEPS";
const STEP: &str = "SYMBOLON_TEST_STEP";

fn secret(generation: u32) -> [u8; 16] {
    [u8::try_from(generation).unwrap(); 16]
}

fn rotation(world: &World, family: &NewFamily, generation: u32) -> Rotate {
    Rotate {
        generation,
        presented: secret(generation),
        next: secret(generation + 1),
        ..world.rotate(family)
    }
}

/// Rotates until it is killed, and says what was answered.
async fn be_killed(url: String) {
    let nth: u64 = std::env::var(STEP).unwrap().parse().unwrap();
    // Each process numbers its audit rows from the beginning.
    let node = i64::try_from(1_000 + nth).unwrap();
    let store = Store::open(&Options::new(url, node)).await.unwrap();
    store.migrate().await.unwrap();
    // Another seed than any run before, or ids would come again.
    let world = World::new(
        store.clone(),
        Arc::new(SeededEntropy::new(1_000 + nth)),
        START,
    );
    let scene = world.scene().await.unwrap();
    let mut family = world.new_family(&scene);
    family.current = secret(1);
    let redeem = world.redeem(&scene, Some(family.clone()));
    store.act(redeem).await.unwrap();
    println!("family {} {}", family.id, family.client.as_str());
    store.break_at(nth, Breaking::Kill);
    for generation in 1..4 {
        let out = store
            .act(rotation(&world, &family, generation))
            .await
            .unwrap();
        assert!(matches!(out, Rotated::To(_)), "{out:?}");
        println!("answered {}", generation + 1);
    }
    println!("alive");
    store.close().await;
}

/// R01 and R02: a process that is killed at each step of a refresh in turn has
/// forgotten nothing that it answered, and its client goes on with a retry.
async fn each_kill(test: &str, url: &str) {
    for nth in 1..MOST {
        let output = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("tests::steps::{test}"), "--nocapture"])
            .env(URL, url)
            .env(STEP, nth.to_string())
            .output();
        let output = output.await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let after = |word: &str| {
            let lines = text.lines().filter_map(|line| line.split_once(word));
            lines.map(|(_, rest)| rest.to_owned()).next_back()
        };
        let told = after("family ").unwrap_or_else(|| panic!("{nth}: {text}{errors}"));
        let (id, client) = told.split_once(' ').unwrap();
        let answered: u32 = after("answered ").map_or(1, |last| last.parse().unwrap());

        let node = i64::try_from(5_000 + nth).unwrap();
        let store = Store::open(&Options::new(url, node)).await.unwrap();
        let world = World::new(
            store.clone(),
            Arc::new(SeededEntropy::new(5_000 + nth)),
            START,
        );
        let find = FindFamily {
            id: id.parse().unwrap(),
        };
        let found = store.read(find).await.unwrap().unwrap();
        assert!(
            found.generation >= answered,
            "{nth}: an answer was forgotten"
        );
        assert!(found.generation <= answered + 1, "{nth}");
        let scene = world.scene().await.unwrap();
        let family = NewFamily {
            id: found.id,
            client: client.parse().unwrap(),
            ..world.new_family(&scene)
        };
        for generation in answered..answered + 2 {
            let out = store
                .act(rotation(&world, &family, generation))
                .await
                .unwrap();
            assert!(
                matches!(&out, Rotated::To(live) | Rotated::Same(live)
                    if live.generation == generation + 1),
                "{nth}: {out:?}"
            );
        }
        store.close().await;
        if text.contains("alive") {
            eprintln!("{} steps", nth - 1);
            assert!(nth > 12, "{nth}");
            return;
        }
    }
    panic!("there is no end of steps")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_forgets_no_answer_on_sqlite() {
    if let Ok(url) = std::env::var(URL) {
        return be_killed(url).await;
    }
    let folder = Folder::new();
    each_kill(
        "a_kill_at_any_step_forgets_no_answer_on_sqlite",
        &folder.url(),
    )
    .await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_forgets_no_answer_on_postgresql() {
    if let Ok(url) = std::env::var(URL) {
        return be_killed(url).await;
    }
    let Some(schema) = super::nodes::Schema::new("kill").await else {
        return;
    };
    let url = schema.url();
    let test = "a_kill_at_any_step_forgets_no_answer_on_postgresql";
    each_kill(test, &url).await;
    schema.drop().await;
}
