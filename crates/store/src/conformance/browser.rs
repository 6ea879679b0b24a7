//! How sessions of browsers must behave.

use std::time::Duration;

use symbolon_token::{Digest, Slot};

use super::world::{MINUTE, RACERS, World};
use super::{Checked, check, same};
use crate::browser_session::{
    EndBrowserSession, EndBrowserSessionsOf, EndOfIssuerSession, FindBrowserSession, KeepRenewed,
    LetGoRenewal, OpenBrowserSession, TakeRenewal, TouchBrowserSession,
};
use crate::purge::PurgeExpired;

fn session(world: &World) -> OpenBrowserSession {
    let subject = Digest::from_bytes(world.bytes());
    OpenBrowserSession {
        id: world.id(Slot::of_bytes(subject.as_bytes())),
        secret: Digest::from_bytes(world.bytes()),
        subject,
        issuer_session: Some(Digest::from_bytes(world.bytes())),
        signed_in: world.now,
        held: b"first".to_vec(),
        idle_ends: world.now + MINUTE,
        absolute_ends: world.now + MINUTE * 5,
        replaces: None,
        now: world.now,
    }
}

/// Of those who find a session run out, one renews it; whoever comes too late
/// with what it brings changes nothing.
pub(crate) async fn of_parallel_renewals_one_is_kept(world: &World) -> Checked {
    let open = session(world);
    let id = open.id;
    world.store.act(open).await?;
    let take = |fence: i64, anyway: bool| TakeRenewal { id, fence, anyway };
    let taken = world.race(vec![take(0, false); RACERS]).await?;
    let won: Vec<i64> = taken.into_iter().flatten().collect();
    same(&won, &vec![1])?;
    same(&world.store.act(take(1, false)).await?, &None)?;

    // The winner is taken for dead, and comes back.
    let after = world.race(vec![take(1, true); RACERS]).await?;
    let after: Vec<i64> = after.into_iter().flatten().collect();
    same(&after, &vec![2])?;
    let keep = |fence: i64, held: &[u8]| KeepRenewed {
        id,
        fence,
        held: held.to_vec(),
    };
    same(&world.store.act(keep(1, b"late")).await?, &false)?;
    world.store.act(LetGoRenewal { id, fence: 1 }).await?;
    same(&world.store.act(keep(2, b"second")).await?, &true)?;
    same(&world.store.act(keep(2, b"again")).await?, &false)?;
    let now = world.now;
    let found = world.store.read(FindBrowserSession { id, now }).await?;
    let found = found.map(|own| (own.held, own.generation, own.fence, own.is_renewing));
    same(&found, &Some((b"second".to_vec(), 1, 2, false)))
}

/// What is not used runs out, and use does not stretch it past its end.
pub(crate) async fn a_browser_that_is_away_is_signed_out(world: &World) -> Checked {
    let open = session(world);
    let (id, ends) = (open.id, open.absolute_ends);
    world.store.act(open).await?;
    let at = |minutes: u32| world.now + MINUTE * minutes;
    let touch = |now, idle: Duration| TouchBrowserSession {
        id,
        now,
        idle_ends: now + idle,
    };
    let just_before = at(1) - Duration::from_millis(1);
    world.store.act(touch(just_before, MINUTE * 2)).await?;
    let find = |now| FindBrowserSession { id, now };
    check(
        world.store.read(find(just_before)).await?.is_some(),
        "it ended early",
    )?;
    // A use within the same minute is not written down.
    check(
        world.store.read(find(at(1))).await?.is_none(),
        "it was written down twice in a minute",
    )?;
    let open = OpenBrowserSession {
        idle_ends: at(2),
        ..session(world)
    };
    let id = open.id;
    world.store.act(open).await?;
    let touch = TouchBrowserSession {
        id,
        now: at(1),
        idle_ends: at(60),
    };
    world.store.act(touch).await?;
    let find = FindBrowserSession { id, now: at(2) };
    let found = world.store.read(find).await?;
    same(&found.map(|own| own.idle_ends), &Some(ends))
}

/// The issuer ends one session, or all of a person's who signed in before: by its
/// clock, whatever ours said.
pub(crate) async fn the_issuer_ends_sessions_of_browsers(world: &World) -> Checked {
    let (one, other) = (session(world), session(world));
    let later = OpenBrowserSession {
        id: world.id(other.id.slot()),
        signed_in: world.now + MINUTE,
        ..other.clone()
    };
    let ids = [one.id, other.id, later.id];
    let (of_one, slot, subject) = (one.issuer_session, other.id.slot(), other.subject);
    for open in [one, other, later] {
        world.store.act(open).await?;
    }
    if let Some(issuer_session) = of_one {
        let end = EndOfIssuerSession { issuer_session };
        same(&world.store.act(end).await?, &1)?;
        same(&world.store.act(end).await?, &0)?;
    }
    let end = EndBrowserSessionsOf {
        slot,
        subject,
        before: world.now + Duration::from_millis(1),
    };
    same(&world.store.act(end).await?, &1)?;
    let mut left = Vec::new();
    for id in ids {
        let now = world.now;
        left.push(
            world
                .store
                .read(FindBrowserSession { id, now })
                .await?
                .is_some(),
        );
    }
    same(&left, &vec![false, false, true])?;
    let end = EndBrowserSession { id: ids[2] };
    same(&world.store.act(end).await?, &true)
}

/// A browser that signs in again has one session, and it is the new one; a
/// secret that is not the old one's ends nothing.
pub(crate) async fn a_new_sign_in_takes_the_place_of_the_old(world: &World) -> Checked {
    let old = session(world);
    let (id, secret) = (old.id, old.secret);
    world.store.act(old).await?;
    let now = world.now;
    for (shown, stays) in [(Digest::from_bytes(world.bytes()), true), (secret, false)] {
        let new = OpenBrowserSession {
            replaces: Some((id, shown)),
            ..session(world)
        };
        world.store.act(new).await?;
        let found = world.store.read(FindBrowserSession { id, now }).await?;
        same(&found.is_some(), &stays)?;
    }
    Ok(())
}

/// A day after its end a session is forgotten, and not before.
pub(crate) async fn sessions_that_ran_out_are_forgotten(world: &World) -> Checked {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let open = session(world);
    let ends = open.idle_ends;
    world.store.act(open).await?;
    let purge = |now| PurgeExpired { now, limit: 100 };
    let early = purge(ends + DAY - Duration::from_millis(1));
    let before = world.store.act(early).await?.browser_sessions;
    let due = world.store.act(purge(ends + DAY)).await?.browser_sessions;
    check(
        before == 0 && due >= 1,
        "it was forgotten early, or not at all",
    )
}
