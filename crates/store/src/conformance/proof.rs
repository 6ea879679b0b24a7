//! How DPoP proofs must behave that an act uses up beside what it is for.
//!
//! Spec: RFC 9449 §11.1

use super::world::{MINUTE, RACERS, World};
use super::{Checked, check, same};
use crate::authorization_code::{RedeemCode, Redeemed};
use crate::refresh_family::{Renew, Rotate, Rotated};
use crate::spent::SpentProof;

fn proof(world: &World) -> Option<SpentProof> {
    Some(SpentProof {
        key: world.bytes(),
        expires: world.now + MINUTE,
    })
}

/// A code is not spent by a proof that was used for another.
pub(crate) async fn a_replayed_proof_leaves_another_code_as_it_was(world: &World) -> Checked {
    let scene = world.scene().await?;
    let first = RedeemCode {
        proof: proof(world),
        ..world.redeem(&scene, Some(world.new_family(&scene)))
    };
    let other = RedeemCode {
        proof: first.proof,
        ..world.redeem(&scene, Some(world.new_family(&scene)))
    };
    world.store.act(first.clone()).await?;

    let replayed = world.store.act(other.clone()).await?;

    same(&replayed, &Redeemed::ProofReplayed)?;
    check(
        world.is_family_live(first.family).await?,
        "the first code's family has ended",
    )?;
    let fresh = RedeemCode {
        proof: proof(world),
        ..other
    };
    check(
        matches!(world.store.act(fresh).await?, Redeemed::First { .. }),
        "the code was spent by a replayed proof",
    )
}

/// Whoever sends a whole request again holds the code too.
pub(crate) async fn a_code_that_returns_with_its_proof_ends_the_family(world: &World) -> Checked {
    let scene = world.scene().await?;
    let redeem = RedeemCode {
        proof: proof(world),
        ..world.redeem(&scene, Some(world.new_family(&scene)))
    };
    let commits = world.store.commits();
    world.store.act(redeem.clone()).await?;
    same(&world.store.commits(), &(commits + 1))?;

    let again = world.store.act(redeem.clone()).await?;

    same(&again, &Redeemed::ProofReplayed)?;
    check(
        !world.is_family_live(redeem.family).await?,
        "the family lives",
    )
}

/// One proof renews once, and what it does not renew is as it was.
pub(crate) async fn of_parallel_rotations_by_one_proof_one_succeeds(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.family(&scene).await?;
    let rotate = Rotate {
        proof: proof(world),
        ..world.rotate(&family)
    };
    let commits = world.store.commits();

    let outs = world.race(vec![rotate.clone(); RACERS]).await?;

    let rotated = outs.iter().filter(|out| matches!(out, Rotated::To(_)));
    same(&rotated.count(), &1)?;
    let replayed = outs.iter().filter(|out| **out == Rotated::ProofReplayed);
    same(&replayed.count(), &(RACERS - 1))?;
    same(&world.store.commits(), &(commits + 1))?;
    let retry = Rotate {
        proof: proof(world),
        ..rotate
    };
    check(
        matches!(world.store.act(retry).await?, Rotated::Same(_)),
        "a retry by a fresh proof was refused",
    )
}

/// A token that does not rotate takes each proof once, for one write.
pub(crate) async fn renewing_by_a_proof_takes_it_once(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.family(&scene).await?;
    let renew = Renew {
        family: family.id,
        generation: crate::FIRST_GENERATION,
        presented: family.current,
        client: family.client.clone(),
        idle_ends: family.idle_ends,
        grace_ms: 90_000,
        proof: proof(world),
        horizon: world.horizon(),
        audit: world.audit("refresh.theft"),
        now: world.now + MINUTE,
    };
    let commits = world.store.commits();

    let first = world.store.act(renew.clone()).await?;
    let second = world.store.act(renew).await?;

    check(matches!(first, Rotated::Same(_)), "a renewal was refused")?;
    same(&second, &Rotated::ProofReplayed)?;
    same(&world.store.commits(), &(commits + 1))
}
