//! How what may happen once must behave.

use std::time::Duration;

use symbolon_token::Digest;

use super::world::{MINUTE, RACERS, World};
use super::{Checked, check, same};
use crate::attempt::{Attempt, CountAttempt, ForgiveAttempt};
use crate::meta::ClaimMeta;
use crate::session::ReauthenticateSession;
use crate::spent::{CLIENT_ASSERTION, SpendOnce};
use crate::uses::{CountUses, FindUses, Use, Uses};

/// A `jti` is good once over all who see it.
pub(crate) async fn of_parallel_spendings_one_is_the_first(world: &World) -> Checked {
    let spend = SpendOnce {
        kind: CLIENT_ASSERTION,
        slot: world.slot(),
        key: world.bytes(),
        expires: world.now + MINUTE,
    };

    let outs = world.race(vec![spend; RACERS]).await?;

    same(&outs.iter().filter(|first| **first).count(), &1)
}

/// The first value stays.
pub(crate) async fn of_parallel_claims_one_holds(world: &World) -> Checked {
    let claims = (0..RACERS).map(|_| ClaimMeta {
        name: "conformance",
        value: world.bytes::<8>().to_vec(),
    });

    let outs = world.race(claims.collect::<Vec<_>>()).await?;

    check(
        outs.iter().all(|value| Some(value) == outs.first()),
        "two values hold",
    )
}

/// Whoever shows the old secret second has lost the session to the first.
pub(crate) async fn of_parallel_proofs_one_gets_the_new_secret(world: &World) -> Checked {
    let scene = world.scene().await?;
    let open = world.session(scene.person);
    let (id, old_secret) = (open.id, open.secret);
    world.store.act(open).await?;
    let proofs = (0..RACERS).map(|_| ReauthenticateSession {
        id,
        old_secret,
        new_secret: Digest::from_bytes(world.bytes()),
        authenticated: world.now,
        acr: "urn:symbolon:password".to_owned(),
        amr: vec!["pwd".to_owned()],
        idle_ends: world.now + MINUTE,
        audit: world.audit("session.reauthenticate"),
        now: world.now,
    });

    let outs = world.race(proofs.collect::<Vec<_>>()).await?;

    same(&outs.iter().flatten().count(), &1)
}

/// So many uses pass and no more, in a race too; where one name is used up,
/// nothing is taken from the other.
pub(crate) async fn uses_are_counted_together_or_not_at_all(world: &World) -> Checked {
    let until = world.now + MINUTE;
    let named = |limit| Use {
        name: world.bytes(),
        limit,
        until,
    };
    let (few, many) = (named(3), named(5));
    let both = CountUses {
        uses: vec![many, few],
        now: world.now,
    };

    let outs = world.race(vec![both.clone(); RACERS]).await?;

    let counted = outs.iter().filter(|out| **out == Uses::Counted).count();
    same(&counted, &3)?;
    same(&world.store.act(both).await?, &Uses::Spent { which: 1 })?;
    let alone = CountUses {
        uses: vec![many],
        now: world.now,
    };
    let outs = world.race(vec![alone; RACERS]).await?;
    let counted = outs.iter().filter(|out| **out == Uses::Counted).count();
    same(&counted, &2)?;
    let find = |now| FindUses {
        name: many.name,
        now,
    };
    same(&world.store.read(find(world.now)).await?, &5)?;
    same(&world.store.read(find(until)).await?, &0)
}

/// As many as allowed pass, in a race too; a new window begins at none.
pub(crate) async fn attempts_are_limited_until_the_window_ends(world: &World) -> Checked {
    let count = CountAttempt {
        name: world.bytes(),
        window_seconds: 60,
        limit: 5,
        now: world.now,
    };

    let outs = world.race(vec![count.clone(); RACERS]).await?;

    let allowed = outs.iter().filter(|out| **out == Attempt::Allowed).count();
    same(&allowed, &5)?;
    let until = world.now + MINUTE;
    same(
        &world.store.act(count.clone()).await?,
        &Attempt::Limited { until },
    )?;
    world.store.act(ForgiveAttempt { name: count.name }).await?;
    same(&world.store.act(count.clone()).await?, &Attempt::Allowed)?;
    // One was taken back, and no more than one.
    same(
        &world.store.act(count.clone()).await?,
        &Attempt::Limited { until },
    )?;
    let later = CountAttempt {
        now: world.now + Duration::from_secs(60),
        ..count
    };
    same(&world.store.act(later).await?, &Attempt::Allowed)
}
