//! How devices that wait for a person must behave.
//!
//! Spec: RFC 8628 §3.3, §3.5

use symbolon_token::{Digest, Id, Slot};

use super::world::{DAY, MINUTE, RACERS, World};
use super::{Broken, Checked, check, same};
use crate::authorization_code::{CodeKind, RedeemCode, Redeemed};
use crate::device_authorization::{
    DecideDeviceAuthorization, DeviceDecision, FindByUserCode, FindDeviceAuthorization,
    OpenDeviceAuthorization, Opened, WaitingDevice,
};
use crate::purge::PurgeExpired;
use crate::revocation::Target;
use crate::uses::Use;

fn open(world: &World) -> OpenDeviceAuthorization {
    let user_code: [u8; 32] = world.bytes();
    OpenDeviceAuthorization {
        id: world.id(Slot::of_bytes(&user_code)),
        secret: Digest::from_bytes(world.bytes()),
        user_code,
        request: b"what it asks for".to_vec(),
        expires: world.now + MINUTE * 10,
        uses: Vec::new(),
        now: world.now,
    }
}

fn decide(
    world: &World,
    waiting: &OpenDeviceAuthorization,
    allowed: Option<Vec<u8>>,
) -> DecideDeviceAuthorization {
    DecideDeviceAuthorization {
        id: waiting.id,
        allowed,
        audit: world.audit("device.allow"),
        now: world.now,
    }
}

async fn by_user_code(
    world: &World,
    waiting: &OpenDeviceAuthorization,
) -> Result<Option<WaitingDevice>, Broken> {
    let find = FindByUserCode {
        slot: waiting.id.slot(),
        user_code: waiting.user_code,
        now: world.now,
    };
    Ok(world.store.read(find).await?)
}

async fn decided(
    world: &World,
    id: Id<symbolon_token::DeviceAuthorization>,
) -> Result<DeviceDecision, Broken> {
    let found = world.store.read(FindDeviceAuthorization { id }).await?;
    let found = found.ok_or_else(|| Broken::from("a device that waits is gone"))?;
    Ok(found.decided)
}

/// Allowed or denied, and never both or twice.
pub(crate) async fn of_parallel_decisions_on_a_device_one_decides(world: &World) -> Checked {
    let waiting = open(world);
    let opened = world.store.act(waiting.clone()).await?;
    same(&opened, &Opened::Waiting)?;
    check(
        by_user_code(world, &waiting).await?.is_some(),
        "what waits is not found by its code",
    )?;
    let allow = decide(world, &waiting, Some(b"this".to_vec()));
    let deny = decide(world, &waiting, None);
    let acts = (0..RACERS).map(|n| {
        if n % 2 == 0 {
            allow.clone()
        } else {
            deny.clone()
        }
    });

    let outs = world.race(acts.collect::<Vec<_>>()).await?;

    same(&outs.iter().filter(|own| **own).count(), &1)?;
    let what = decided(world, waiting.id).await?;
    check(what != DeviceDecision::Waiting, "it still waits")?;
    check(
        by_user_code(world, &waiting).await?.is_none(),
        "what is decided is found by its code",
    )
}

/// Nobody decides on what nobody waits for.
pub(crate) async fn a_device_that_stopped_waiting_is_not_decided_on(world: &World) -> Checked {
    let mut waiting = open(world);
    waiting.expires = world.now;
    world.store.act(waiting.clone()).await?;

    let late = world.store.act(decide(world, &waiting, None)).await?;

    check(!late, "it was decided on")?;
    check(
        by_user_code(world, &waiting).await?.is_none(),
        "it is found by its code",
    )
}

/// Two devices never show one code.
pub(crate) async fn of_parallel_devices_with_one_code_one_waits(world: &World) -> Checked {
    let first = open(world);
    let acts = (0..RACERS).map(|_| OpenDeviceAuthorization {
        id: world.id(first.id.slot()),
        ..first.clone()
    });

    let outs = world.race(acts.collect::<Vec<_>>()).await?;

    let waiting = outs.iter().filter(|own| **own == Opened::Waiting).count();
    let taken = outs.iter().filter(|own| **own == Opened::Taken).count();
    same(&(waiting, taken), &(1, RACERS - 1))
}

/// A stranger cannot fill the table.
pub(crate) async fn no_more_devices_wait_than_are_let(world: &World) -> Checked {
    let until = world.now + MINUTE * 10;
    let uses = vec![Use {
        name: world.bytes(),
        limit: 5,
        until,
    }];
    let acts = (0..RACERS).map(|_| OpenDeviceAuthorization {
        uses: uses.clone(),
        ..open(world)
    });

    let outs = world.race(acts.collect::<Vec<_>>()).await?;

    let waiting = outs.iter().filter(|own| **own == Opened::Waiting).count();
    let refused = outs.iter().filter(|own| **own == Opened::TooMany).count();
    same(&(waiting, refused), &(5, RACERS - 5))
}

/// One presentation gets tokens; many who hold the code lose them.
pub(crate) async fn of_parallel_polls_for_an_allowed_device_one_succeeds(world: &World) -> Checked {
    let scene = world.scene().await?;
    let family = world.new_family(&scene);
    let redeem = RedeemCode {
        kind: CodeKind::Device,
        ..world.redeem(&scene, Some(family.clone()))
    };
    // The same bytes as a code of the other sort are another code.
    let other = world.redeem(&scene, None);
    let other = RedeemCode {
        code: redeem.code,
        ..other
    };

    let outs = world.race(vec![redeem; RACERS]).await?;

    let is_first = |out: &&Redeemed| matches!(out, Redeemed::First { .. });
    same(&outs.iter().filter(is_first).count(), &1)?;
    let records = world.records(&Target::Family(family.id)).await?;
    same(&records.len(), &1)?;
    let other = world.store.act(other).await?;
    check(
        matches!(other, Redeemed::First { .. }),
        "kinds are mixed up",
    )
}

/// A device that comes late is told so for an hour, then forgotten.
pub(crate) async fn a_device_is_forgotten_a_day_after_it_stopped_waiting(world: &World) -> Checked {
    let waiting = open(world);
    world.store.act(waiting.clone()).await?;
    let purge = |minutes| PurgeExpired {
        now: world.now + DAY + MINUTE * minutes,
        limit: 1000,
    };

    world.store.act(purge(9)).await?;
    let kept = decided(world, waiting.id).await.is_ok();
    let late = world.store.act(purge(11)).await?;

    check(kept, "it was forgotten too early")?;
    check(late.devices > 0, "nothing was forgotten")?;
    check(
        decided(world, waiting.id).await.is_err(),
        "it is still there",
    )
}
