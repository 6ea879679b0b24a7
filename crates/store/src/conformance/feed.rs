//! How the feed and the counting of commits must behave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::{Id, Token};

use super::world::{DAY, MINUTE, RACERS, World};
use super::{Broken, Checked, check, same};
use crate::feed::Position;
use crate::purge::PurgeExpired;
use crate::revocation::{MAX_TOKEN_RECORDS, RevokeToken, Target};
use crate::session::FindSession;
use crate::store::Store;
use crate::{FindFamily, FindGrantById, WithdrawGrant};

fn client(world: &World) -> Result<ClientId, Broken> {
    Ok(world.client()?.client.id)
}

fn revoke(world: &World, client: &ClientId, subject: &str) -> RevokeToken {
    RevokeToken {
        token: world.id(world.slot()),
        client: client.clone(),
        subject: subject.to_owned(),
        expires: world.now + MINUTE * 10,
        horizon: world.now + DAY * 7,
        now: world.now,
        audit: None,
    }
}

/// Numbers follow commits: no gap, none twice.
pub(crate) async fn numbers_have_no_gaps_under_concurrency(world: &World) -> Checked {
    let client = client(world)?;
    let before = world.feed(None).await?.head;
    let acts = (0..RACERS).map(|_| revoke(world, &client, "usr_a"));

    let outs = world.race(acts.collect::<Vec<_>>()).await?;

    let mut numbers: Vec<_> = outs.iter().flatten().map(|r| r.position.sequence).collect();
    numbers.sort_unstable();
    let racers = i64::try_from(RACERS).unwrap_or(0);
    let wanted: Vec<_> = (1..=racers).map(|n| before.sequence + n).collect();
    same(&numbers, &wanted)?;
    same(
        &world.feed(Some(before)).await?.head.sequence,
        &(before.sequence + racers),
    )
}

/// While others write, reading on from the last number finds all of them.
pub(crate) async fn whoever_resumes_misses_nothing(world: &World) -> Checked {
    let client = client(world)?;
    let start = world.feed(None).await?.head;
    let acts: Vec<_> = (0..RACERS)
        .map(|_| revoke(world, &client, "usr_b"))
        .collect();
    let tokens: Vec<Id<Token>> = acts.iter().map(|act| act.token).collect();

    let written = AtomicBool::new(false);
    let writing = async {
        let outcome = world.race(acts).await;
        written.store(true, Ordering::SeqCst);
        outcome
    };
    let (seen, outcome) = tokio::join!(follow(&world.store, start, &written), writing);

    outcome?;
    let seen = seen?;
    same(&seen.len(), &tokens.len())?;
    for token in tokens {
        check(seen.contains(&Target::Token(token)), "a record was missed")?;
    }
    Ok(())
}

/// Reads on until a read that began after all was written.
async fn follow(
    store: &Store,
    start: Position,
    written: &AtomicBool,
) -> Result<Vec<Target>, Broken> {
    let (mut at, mut seen) = (start, Vec::new());
    loop {
        let is_last = written.load(Ordering::SeqCst);
        let feed = crate::read_feed(store, Some(at)).await?;
        check(!feed.reset, "a resumed feed was reset")?;
        let first = feed.revocations.first();
        check(
            first.is_none_or(|record| record.position > at),
            "a record came twice",
        )?;
        at = feed.head;
        seen.extend(feed.revocations.into_iter().map(|record| record.target));
        if is_last {
            return Ok(seen);
        }
        tokio::task::yield_now().await;
    }
}

/// Whoever comes from elsewhere starts over.
pub(crate) async fn another_epoch_or_a_number_above_the_head_means_a_snapshot(
    world: &World,
) -> Checked {
    let client = client(world)?;
    world.store.act(revoke(world, &client, "usr_c")).await?;
    let all = world.feed(None).await?;
    check(all.reset, "a snapshot does not say that it is one")?;
    let elsewhere = Position {
        epoch: all.head.epoch + 1,
        ..all.head
    };
    let ahead = Position {
        sequence: all.head.sequence + 1,
        ..all.head
    };

    for place in [elsewhere, ahead] {
        let feed = world.feed(Some(place)).await?;
        check(feed.reset, "a strange place was taken for ours")?;
        same(&feed.revocations.len(), &all.revocations.len())?;
    }

    let feed = world.feed(Some(all.head)).await?;
    check(
        !feed.reset && feed.revocations.is_empty(),
        "the head itself has something after it",
    )
}

/// What cannot be used any more needs no record; nor does it need two.
pub(crate) async fn an_expired_token_writes_no_record(world: &World) -> Checked {
    let client = client(world)?;
    let live = revoke(world, &client, "usr_d");
    let dead = RevokeToken {
        expires: world.now - Duration::from_secs(180),
        horizon: world.now - Duration::from_secs(180),
        ..live.clone()
    };
    // By another clock it may be good.
    let dying = RevokeToken {
        expires: world.now,
        horizon: world.now,
        ..revoke(world, &client, "usr_d")
    };
    let commits = world.store.commits();
    same(&world.store.act(dead).await?, &Vec::new())?;
    same(&world.store.commits(), &commits)?;

    for own in [live, dying] {
        same(&world.store.act(own.clone()).await?.len(), &1)?;
        same(&world.store.act(own).await?, &Vec::new())?;
    }
    same(&world.store.commits(), &(commits + 2))
}

/// However many tokens one holder takes back, their records stay few.
pub(crate) async fn the_hundred_and_first_token_record_stands_for_all(world: &World) -> Checked {
    let client = client(world)?;
    let subject = "usr_e";
    let more = (0..MAX_TOKEN_RECORDS).map(|_| revoke(world, &client, subject));
    world.race(more.collect::<Vec<_>>()).await?;

    let made = world.store.act(revoke(world, &client, subject)).await?;

    let all = Target::ClientSubject(client.clone(), subject.to_owned());
    let targets: Vec<_> = made.iter().map(|record| record.target.clone()).collect();
    same(&targets, &vec![all.clone()])?;
    let records = world.records(&all).await?;
    let ends: Vec<Timestamp> = records.iter().map(|record| record.expires).collect();
    // It hits others of the holder besides, and no token lives longer.
    same(&ends, &vec![world.now + DAY * 7])?;

    // In a race, too, they never pass the limit.
    let acts = (0..MAX_TOKEN_RECORDS * 2).map(|_| revoke(world, &client, "usr_f"));
    let before = world.feed(None).await?.head;
    world.race(acts.collect::<Vec<_>>()).await?;
    let since = world.feed(Some(before)).await?.revocations;
    let tokens = since
        .iter()
        .filter(|record| matches!(record.target, Target::Token(_)));
    check(
        tokens.count() <= MAX_TOKEN_RECORDS,
        "more token records live than may",
    )
}

/// Purging takes what is over and nothing else, however often it runs.
pub(crate) async fn purging_keeps_whatever_lives(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.family(&scene).await?;
    let client = client(world)?;
    let kept = revoke(world, &client, "usr_g");
    world.store.act(kept.clone()).await?;

    let purge = PurgeExpired {
        now: world.now + MINUTE * 5,
        limit: 1000,
    };
    world.store.act(purge).await?;

    check(world.is_family_live(family.id).await?, "a family was lost")?;
    let session = FindSession { id: scene.session };
    check(
        world.store.read(session).await?.is_some(),
        "a session was lost",
    )?;
    let target = Target::Token(kept.token);
    same(&world.records(&target).await?.len(), &1)?;

    // An API whose clock is behind takes the token a while longer.
    let purge = PurgeExpired {
        now: kept.expires + MINUTE,
        limit: 1000,
    };
    world.store.act(purge).await?;
    same(&world.records(&target).await?.len(), &1)?;

    let purge = PurgeExpired {
        now: world.now + DAY * 200,
        limit: 1000,
    };
    while world.store.act(purge).await?.total() > 0 {}
    let found = world.store.read(FindFamily { id: family.id }).await?;
    check(found.is_none(), "a family outlived its end")?;
    check(
        world.feed(None).await?.revocations.is_empty(),
        "an expired record stayed",
    )?;
    let grant = FindGrantById { id: scene.grant.id };
    check(
        world.store.read(grant).await?.is_some(),
        "a grant was lost: only a person withdraws it",
    )
}

/// The write budgets, as far as they are the store's.
pub(crate) async fn each_flow_costs_the_writes_it_may(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.new_family(&scene);
    let commits = |base: u64| world.store.commits() - base;

    let base = world.store.commits();
    let redeem = world.redeem(&scene, Some(family.clone()));
    world.store.act(redeem).await?;
    same(&commits(base), &1)?;

    let base = world.store.commits();
    world.store.act(world.rotate(&family)).await?;
    same(&commits(base), &1)?;

    let base = world.store.commits();
    world.store.read(FindFamily { id: family.id }).await?;
    world.feed(None).await?;
    world.store.act(FindFamily { id: family.id }).await?;
    same(&commits(base), &0)?;

    let base = world.store.commits();
    let withdraw = WithdrawGrant {
        id: scene.grant.id,
        now: world.now + Duration::from_secs(1),
        horizon: world.horizon(),
        audit: world.audit("grant.withdraw"),
    };
    world.store.act(withdraw).await?;
    same(&commits(base), &1)
}
