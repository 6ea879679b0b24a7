//! R03: the power goes at any operation of the disk. What was answered is
//! there, the database opens, and nothing can be used twice. A disk that only
//! says that it has synced is found out by the same questions.

use std::sync::Arc;

use symbolon_faultdisk::{Disk, Luck, Syncs};
use symbolon_testkit::{Row, START, SeededEntropy};
use symbolon_token::clock::random;

use super::{Folder, audit};
use crate::authorization_code::{RedeemCode, Redeemed};
use crate::conformance::World;
use crate::refresh_family::{FindFamily, NewFamily, Rotate, Rotated};
use crate::revocation::{RevokeToken, Target};
use crate::spent::{CLIENT_ASSERTION, SpendOnce};
use crate::store::{Options, Store};

/// More than any power lasts.
const MOST: u32 = 4_000;
/// How many operations of the disk making the schema takes, about.
const SCHEMA: u64 = 1_500;
/// How many operations more there are, about, before the power goes.
const WORK: u64 = 5_000;

/// What callers were answered before the power was gone.
#[derive(Default)]
struct Answered {
    family: Option<(NewFamily, u32)>,
    codes: Vec<RedeemCode>,
    spent: Vec<SpendOnce>,
    revoked: Vec<RevokeToken>,
}

fn world(store: &Store, seed: u64) -> World {
    World::new(store.clone(), Arc::new(SeededEntropy::new(seed)), START)
}

fn secret(generation: u32) -> [u8; 16] {
    u128::from(generation).to_be_bytes()
}

fn rotation(world: &World, family: &NewFamily, generation: u32) -> Rotate {
    Rotate {
        generation,
        presented: secret(generation),
        next: secret(generation + 1),
        ..world.rotate(family)
    }
}

/// Renews one token again and again.
async fn renew(world: World, disk: &Disk) -> Option<(NewFamily, u32)> {
    let scene = world.scene().await.unwrap();
    let mut family = world.new_family(&scene);
    family.current = secret(1);
    let redeem = world.redeem(&scene, Some(family.clone()));
    world.store.act(redeem).await.unwrap();
    let mut answered = None;
    for generation in 1..MOST {
        if disk.is_cut() {
            return answered;
        }
        answered = Some((family.clone(), generation));
        let rotate = rotation(&world, &family, generation);
        let out = world.store.act(rotate).await.unwrap();
        assert!(matches!(out, Rotated::To(_)), "{out:?}");
    }
    panic!("the power lasts for ever")
}

/// Uses up, takes back and redeems, each time something else; now and then the
/// trail is linked.
async fn work(world: World, disk: &Disk) -> Answered {
    let scene = world.scene().await.unwrap();
    let mut answered = Answered::default();
    for number in 0..MOST {
        let spend = SpendOnce {
            kind: CLIENT_ASSERTION,
            slot: world.slot(),
            key: world.bytes(),
            expires: world.horizon(),
        };
        let redeem = world.redeem(&scene, Some(world.new_family(&scene)));
        let revoke = RevokeToken {
            token: world.id(scene.person.slot()),
            client: scene.client.clone(),
            subject: format!("usr_{number}"),
            expires: world.horizon(),
            horizon: world.horizon(),
            now: world.now,
            audit: Some(world.audit("token.revoke")),
        };
        let out = tokio::join!(
            world.store.act(spend.clone()),
            world.store.act(redeem.clone()),
            world.store.act(revoke.clone()),
        );
        assert!(out.0.unwrap());
        assert!(matches!(out.1.unwrap(), Redeemed::First { .. }));
        out.2.unwrap();
        if number % 8 == 0 {
            audit::link(&world.store, world.now).await;
        }
        if disk.is_cut() {
            return answered;
        }
        answered.spent.push(spend);
        answered.codes.push(redeem);
        answered.revoked.push(revoke);
    }
    panic!("the power lasts for ever")
}

/// Works until the power is gone.
async fn live(folder: &Folder, disk: &Disk, seed: u64) -> Answered {
    let store = Store::open(&Options::new(folder.url(), 1)).await.unwrap();
    store.migrate().await.unwrap();
    let (one, two) = (world(&store, 10 * seed + 1), world(&store, 10 * seed + 2));
    let (family, mut answered) = tokio::join!(renew(one, disk), work(two, disk));
    answered.family = family;
    store.close().await;
    answered
}

/// What the database says of itself.
fn integrity(folder: &Folder) -> Result<(), String> {
    let path = folder.path().join("symbolon.db");
    if !path.exists() {
        return Ok(());
    }
    let told = rusqlite::Connection::open(path).and_then(|connection| {
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
    });
    match told {
        Ok(told) if told == "ok" => Ok(()),
        told => Err(format!("integrity: {told:?}")),
    }
}

/// Whether all of it is there, on what the power left.
async fn check(folder: &Folder, answered: Answered, seed: u64) -> Result<(), String> {
    integrity(folder)?;
    let store = Store::open(&Options::new(folder.url(), 2)).await;
    let store = store.map_err(|fault| format!("open: {fault}"))?;
    let migrated = store.migrate().await;
    migrated.map_err(|fault| format!("schema: {fault}"))?;
    let world = world(&store, 10 * seed + 3);
    let checked = async {
        if let Some((family, generation)) = &answered.family {
            check_family(&world, family, *generation).await?;
        }
        check_uses(&world, &answered).await?;
        check_trail(&world, answered.revoked.len()).await
    };
    let checked = checked.await;
    store.close().await;
    checked
}

/// The token that was given last is good, and so is its successor; then, and
/// only then, is it spent.
async fn check_family(world: &World, family: &NewFamily, answered: u32) -> Result<(), String> {
    let act = async |generation: u32| {
        let rotate = rotation(world, family, generation);
        world
            .store
            .act(rotate)
            .await
            .map_err(|fault| fault.to_string())
    };
    let find = FindFamily { id: family.id };
    let found = world
        .store
        .read(find)
        .await
        .map_err(|fault| fault.to_string())?;
    let stored = found.map_or(0, |found| found.generation);
    if stored != answered && stored != answered + 1 {
        return Err(format!("generation {stored} after {answered} was answered"));
    }
    for generation in [answered, answered + 1] {
        let out = act(generation).await?;
        let next = generation + 1;
        if !matches!(&out, Rotated::To(live) | Rotated::Same(live) if live.generation == next) {
            return Err(format!("generation {generation} of {answered}: {out:?}"));
        }
    }
    match act(answered).await? {
        Rotated::Theft { .. } => Ok(()),
        out => Err(format!("two live tokens: {out:?}")),
    }
}

/// What was used cannot be used again, and what was taken back stays so.
async fn check_uses(world: &World, answered: &Answered) -> Result<(), String> {
    let feed = world
        .feed(None)
        .await
        .map_err(|broken| format!("{broken:?}"))?;
    let mut sequences = feed.revocations.iter().map(|own| own.position.sequence);
    if !(1..=feed.head.sequence).eq(sequences.by_ref()) {
        return Err("the feed has a gap".to_owned());
    }
    for revoke in &answered.revoked {
        let target = Target::Token(revoke.token);
        if !feed.revocations.iter().any(|own| own.target == target) {
            return Err("a token lives again".to_owned());
        }
    }
    for spend in &answered.spent {
        match world.store.act(spend.clone()).await {
            Ok(false) => {}
            other => return Err(format!("something is used twice: {other:?}")),
        }
    }
    for redeem in &answered.codes {
        match world.store.act(redeem.clone()).await {
            Ok(Redeemed::Again) => {}
            other => return Err(format!("a code is used twice: {other:?}")),
        }
    }
    Ok(())
}

async fn check_trail(world: &World, revoked: usize) -> Result<(), String> {
    while audit::link(&world.store, world.now).await.rows > 0 {}
    let (flaws, strays) = audit::flaws(&world.store).await;
    if !flaws.is_empty() || strays > 0 {
        return Err(format!("the trail: {flaws:?}, {strays} strays"));
    }
    let actions = audit::actions(&world.store).await;
    let told = actions.iter().filter(|own| *own == "token.revoke").count();
    match told >= revoked {
        true => Ok(()),
        false => Err(format!("{told} rows of {revoked}")),
    }
}

/// One life of a database, until its power goes, and what is found after it.
/// How much was answered before.
async fn one_life(seed: u64, syncs: Syncs) -> (usize, Result<(), String>) {
    let entropy = SeededEntropy::new(seed);
    let mut luck = |below: u64| u64::from_be_bytes(random(&entropy)) % below;
    let luck: &mut Luck<'_> = &mut luck;
    let (before, after) = (Folder::new(), Folder::new());
    let disk = Disk::under(before.path(), syncs);
    disk.cut_at(match seed % 5 {
        0 => 1 + luck(SCHEMA),
        _ => SCHEMA + luck(WORK),
    });

    let answered = live(&before, &disk, seed).await;
    disk.leave(luck, after.path()).unwrap();
    drop(disk);

    let number = answered.spent.len();
    (number, check(&after, answered, seed).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_a_power_cut() {
    let (mut acts, lives) = (0, Row::R03.size(50, 500));
    for seed in 0..lives {
        let (answered, outcome) = one_life(seed, Syncs::Kept).await;

        acts += answered;
        assert_eq!(outcome, Ok(()), "seed {seed}, after {answered} rounds");
    }

    eprintln!("R03: {acts} rounds of acts in {lives} lives");
    assert!(acts > 5 * usize::try_from(lives).unwrap(), "{acts}");
}

/// The same on a disk whose syncs do nothing, as with `synchronous = OFF`: it
/// has to be seen, or the test above shows nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_sync_is_found_out() {
    let mut found = Vec::new();
    for seed in 100..110 {
        let (answered, outcome) = one_life(seed, Syncs::Ignored).await;
        if let (1.., Err(why)) = (answered, outcome) {
            found.push(why);
        }
    }

    assert!(found.len() >= 4, "{found:?}");
}
