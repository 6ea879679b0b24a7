//! How keys must behave: one change at a time, whoever asks for it.

use symbolon_token::Digest;

use super::world::{RACERS, World};
use super::{Checked, check, same};
use crate::key::{
    AllKeys, ChangeKeys, Changed, DistrustKey, Distrusted, KeyChange, KeyState, MASTER_KEY,
    RewrapKeys, Rewrapped, WorkingKey, Wrapped,
};
use crate::meta::ClaimMeta;
use crate::revocation::Target;

/// The fingerprint of the master key, put there where there is none.
async fn master(world: &World) -> Result<Digest, super::Broken> {
    let claim = ClaimMeta {
        name: MASTER_KEY,
        value: world.bytes::<32>().to_vec(),
    };
    let stored = world.store.act(claim).await?;
    let stored = stored.try_into().unwrap_or([0; 32]);
    Ok(Digest::from_bytes(stored))
}

fn key(world: &World, purpose: &str, number: i64, state: KeyState) -> WorkingKey {
    WorkingKey {
        id: format!("{purpose}:{}", world.word()),
        purpose: purpose.to_owned(),
        number,
        algorithm: Some("ES256".to_owned()),
        state,
        sealed: world.bytes::<32>().to_vec(),
        public: Some(b"{}".to_vec()),
        created: world.now,
        activated: (state == KeyState::Active).then_some(world.now),
        retires: None,
    }
}

async fn create(world: &World, master: Digest, keys: Vec<WorkingKey>) -> Checked {
    let event = || world.audit("key.create");
    let changes = keys.into_iter().map(KeyChange::Create);
    let act = ChangeKeys {
        changes: changes.map(|change| (change, event())).collect(),
        master,
        now: world.now,
    };
    same(&world.store.act(act).await?, &Changed::Done)
}

async fn of(world: &World, purpose: &str) -> Result<Vec<WorkingKey>, super::Broken> {
    let mut keys = world.store.read(AllKeys).await?;
    keys.retain(|key| key.purpose == purpose);
    Ok(keys)
}

fn in_state(keys: &[WorkingKey], state: KeyState) -> Vec<&WorkingKey> {
    keys.iter().filter(|key| key.state == state).collect()
}

/// The rotation that each of two nodes would make of what it knows.
fn rotation(world: &World, master: Digest, keys: &[WorkingKey]) -> ChangeKeys {
    let id = |state| {
        let found = keys.iter().find(|key| key.state == state);
        found.map(|key| key.id.clone()).unwrap_or_default()
    };
    let purpose = keys.first().map(|key| key.purpose.clone());
    let next = key(
        world,
        &purpose.unwrap_or_default(),
        i64::try_from(keys.len()).unwrap_or(0) + 1,
        KeyState::Next,
    );
    let changes = vec![
        KeyChange::Activate {
            id: id(KeyState::Next),
        },
        KeyChange::Replace {
            id: id(KeyState::Active),
            until: Some(world.horizon()),
        },
        KeyChange::Create(next),
    ];
    let event = || world.audit("key.rotate");
    ChangeKeys {
        changes: changes.into_iter().map(|one| (one, event())).collect(),
        master,
        now: world.now,
    }
}

async fn pair(world: &World, master: Digest) -> Result<String, super::Broken> {
    let purpose = format!("signing:{}", world.word());
    let keys = vec![
        key(world, &purpose, 1, KeyState::Active),
        key(world, &purpose, 2, KeyState::Next),
    ];
    create(world, master, keys).await?;
    Ok(purpose)
}

/// Nodes that start at once end up with one key.
pub(crate) async fn of_parallel_keys_one_is_made(world: &World) -> Checked {
    let (master, purpose) = (master(world).await?, world.word());
    let keys = (0..RACERS).map(|_| ChangeKeys {
        changes: vec![(
            KeyChange::Create(key(world, &purpose, 1, KeyState::Active)),
            world.audit("key.create"),
        )],
        master,
        now: world.now,
    });

    let outs = world.race(keys.collect::<Vec<_>>()).await?;

    let done = outs.iter().filter(|out| **out == Changed::Done).count();
    same(&(done, of(world, &purpose).await?.len()), &(1, 1))
}

/// Nodes that rotate at once make one key.
pub(crate) async fn of_parallel_rotations_one_makes_the_next_key(world: &World) -> Checked {
    let master = master(world).await?;
    let purpose = pair(world, master).await?;
    let known = of(world, &purpose).await?;
    let racers: Vec<_> = (0..RACERS)
        .map(|_| rotation(world, master, &known))
        .collect();

    let outs = world.race(racers).await?;

    let done = outs.iter().filter(|out| **out == Changed::Done).count();
    same(&done, &1)?;
    let keys = of(world, &purpose).await?;
    let states: Vec<_> = keys.iter().map(|key| (key.number, key.state)).collect();
    same(
        &states,
        &vec![
            (1, KeyState::Retiring),
            (2, KeyState::Active),
            (3, KeyState::Next),
        ],
    )
}

/// What signs no more cannot sign any more.
pub(crate) async fn a_key_that_is_replaced_loses_its_private_half(world: &World) -> Checked {
    let master = master(world).await?;
    let purpose = pair(world, master).await?;
    let known = of(world, &purpose).await?;

    world.store.act(rotation(world, master, &known)).await?;

    let keys = of(world, &purpose).await?;
    let old = in_state(&keys, KeyState::Retiring);
    check(
        old.iter()
            .all(|key| key.sealed.is_empty() && key.public.is_some()),
        "the private half is still there, or the public one is not",
    )
}

fn distrust(world: &World, master: Digest, of: &WorkingKey) -> DistrustKey {
    let spare = || key(world, &of.purpose, 0, KeyState::Next);
    DistrustKey {
        id: of.id.clone(),
        name: of.id.clone(),
        spares: [spare(), spare()],
        master,
        horizon: world.horizon(),
        now: world.now,
        audit: world.audit("key.distrust"),
    }
}

/// The record, the new active key and the erased old one are one commit.
pub(crate) async fn of_parallel_distrusts_one_puts_another_key_in_its_place(
    world: &World,
) -> Checked {
    let master = master(world).await?;
    let purpose = pair(world, master).await?;
    let known = of(world, &purpose).await?;
    let Some(active) = known.iter().find(|key| key.state == KeyState::Active) else {
        return check(false, "there is no active key");
    };
    let racers: Vec<_> = (0..RACERS)
        .map(|_| distrust(world, master, active))
        .collect();

    let outs = world.race(racers).await?;

    let now = outs.iter().filter(|out| **out == Distrusted::Now).count();
    same(&now, &1)?;
    let keys = of(world, &purpose).await?;
    let states: Vec<_> = keys.iter().map(|key| (key.number, key.state)).collect();
    same(
        &states,
        &vec![
            (1, KeyState::Distrusted),
            (2, KeyState::Active),
            (3, KeyState::Next),
        ],
    )?;
    check(
        in_state(&keys, KeyState::Distrusted)
            .iter()
            .all(|key| key.sealed.is_empty() && key.public.is_none()),
        "the distrusted key is still there",
    )?;
    let records = world.records(&Target::Key(active.id.clone())).await?;
    same(&records.len(), &1)
}

/// Whichever comes first, exactly one key is active and one is next.
pub(crate) async fn a_distrust_and_a_rotation_at_once_leave_one_active_key(
    world: &World,
) -> Checked {
    let master = master(world).await?;
    for doomed in [KeyState::Active, KeyState::Next] {
        let purpose = pair(world, master).await?;
        let known = of(world, &purpose).await?;
        let Some(doomed) = known.iter().find(|key| key.state == doomed) else {
            return check(false, "a key is missing");
        };
        let (one, other) = tokio::join!(
            world.store.act(rotation(world, master, &known)),
            world.store.act(distrust(world, master, doomed)),
        );
        one?;
        same(&other?, &Distrusted::Now)?;

        let keys = of(world, &purpose).await?;
        same(&in_state(&keys, KeyState::Active).len(), &1)?;
        same(&in_state(&keys, KeyState::Next).len(), &1)?;
    }
    Ok(())
}

/// The keys that a new master key must wrap, as `wrapped` would wrap them.
async fn wrapped(world: &World) -> Result<Vec<Wrapped>, super::Broken> {
    let keys = world.store.read(AllKeys).await?;
    let sealed = keys.into_iter().filter(|key| !key.sealed.is_empty());
    Ok(sealed
        .map(|key| Wrapped {
            id: key.id,
            after: [&key.sealed[..], &[1]].concat(),
            before: key.sealed,
        })
        .collect())
}

async fn rewrap(world: &World, keys: Vec<Wrapped>, from: Digest, to: Digest) -> RewrapKeys {
    RewrapKeys {
        keys,
        from,
        to,
        now: world.now,
        audit: world.audit("key.rewrap"),
    }
}

/// A node that still has the old master key writes nothing under it.
pub(crate) async fn nothing_is_sealed_under_a_master_key_that_was_replaced(
    world: &World,
) -> Checked {
    let old = master(world).await?;
    let new = Digest::from_bytes(world.bytes());
    let keys = wrapped(world).await?;
    let act = rewrap(world, keys, old, new).await;

    same(&world.store.act(act.clone()).await?, &Rewrapped::Done)?;
    same(&world.store.act(act).await?, &Rewrapped::Changed)?;

    let purpose = world.word();
    let late = ChangeKeys {
        changes: vec![(
            KeyChange::Create(key(world, &purpose, 1, KeyState::Active)),
            world.audit("key.create"),
        )],
        master: old,
        now: world.now,
    };
    same(&world.store.act(late).await?, &Changed::OtherMaster)?;
    same(&of(world, &purpose).await?.len(), &0)
}

/// All or nothing: a key that was made meanwhile is not left behind.
pub(crate) async fn keys_that_changed_meanwhile_are_not_wrapped_anew(world: &World) -> Checked {
    let own = master(world).await?;
    let keys = wrapped(world).await?;
    pair(world, own).await?;
    let before = world.store.read(AllKeys).await?;

    let act = rewrap(world, keys, own, Digest::from_bytes(world.bytes())).await;

    same(&world.store.act(act).await?, &Rewrapped::Changed)?;
    same(&world.store.read(AllKeys).await?, &before)
}
