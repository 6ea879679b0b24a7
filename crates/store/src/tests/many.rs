//! What has a great many families ends in parts, so that no act of anybody else
//! waits for it, and it can be taken back however many there are.

use symbolon_token::Slot;

use super::steps::each_engine;
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::client::{CreateClient, RevokeClient, Updated};
use crate::conformance::{Scene, World};
use crate::dialect::Engine;
use crate::ending::{EndPart, HasLeft, HasMany, MANY, Whole};
use crate::fault::Fault;
use crate::feed::Position;
use crate::grant::Consented;
use crate::statement::Sql;

const PLANTED: u32 = MANY + 200;
/// In how many slots they are.
const SLOTS_PLANTED: u64 = 8;

/// Sixteen bytes for each number.
macro_rules! planted {
    ($into:literal, $rest:literal) => {
        [
            planted!($into, "CAST(printf('%016d', i) AS BLOB)", $rest),
            planted!(
                $into,
                "convert_to(lpad(CAST(i AS TEXT), 16, '0'), 'UTF8')",
                $rest
            ),
        ]
    };
    ($into:literal, $id:literal, $rest:literal) => {
        Sql::new(
            concat!(
                "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL
                    SELECT i + 1 FROM n WHERE i < ?1),
                made (slot, id) AS (SELECT i % 8, ",
                $id,
                " FROM n)
                INSERT INTO ",
                $into,
                " SELECT slot, id, ",
                $rest,
                " FROM made"
            ),
            None,
        )
    };
}

#[rustfmt::skip]
static GRANTS: [Sql; 2] = planted!(
    "grants (slot, id, person, client, organization, agreement, created, updated, epoch, sequence)",
    "id, ?2, '', '{}', 0, 0, 1, 0"
);
#[rustfmt::skip]
static AUTHORITIES: [Sql; 2] = planted!(
    "family_authority (slot, id, grant_id, client, person, created, document, epoch, sequence)",
    "id, ?2, id, 0, id, 1, 0"
);
#[rustfmt::skip]
static FAMILIES: [Sql; 2] = planted!(
    "family (slot, id, generation, current_secret, working_key, rotated, idle_ends, absolute_ends)",
    "1, id, 1, 0, 9000000000000, 9000000000000"
);
#[rustfmt::skip]
static KEYS: [Sql; 2] = planted!(
    "api_key (slot, id, client, organization, document, digest, mark, enabled, created, updated, epoch, sequence)",
    "?2, '', '{}', id, id, 1, 0, 0, 1, 0"
);
static FORGET_KEYS: Sql = Sql::new("DELETE FROM api_key WHERE revoked IS NOT NULL", None);
static KEYS_LIVING: Sql = Sql::new("SELECT count(*) FROM api_key WHERE revoked IS NULL", None);
static LIVING: Sql = Sql::new("SELECT count(*) FROM family WHERE ended IS NULL", None);
static AGREED: Sql = Sql::new("SELECT count(*) FROM grants WHERE withdrawn IS NULL", None);

/// Many people have let a client do something, and signed in.
struct Plant(String);

impl Act for Plant {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let of = |all: &'static [Sql; 2]| match tx.engine() {
            Engine::Sqlite => &all[0],
            Engine::Postgres => &all[1],
        };
        let [grants, authorities, families] = [&GRANTS, &AUTHORITIES, &FAMILIES].map(of);
        tx.run(grants, binds![PLANTED, &self.0]).await?;
        tx.run(authorities, binds![PLANTED, &self.0]).await?;
        tx.run(families, binds![PLANTED]).await?;
        Ok(())
    }
}

/// Many keys act for a client, and nobody else does.
struct PlantKeys(String);

impl Act for PlantKeys {
    type Out = ();

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let keys = match tx.engine() {
            Engine::Sqlite => &KEYS[0],
            Engine::Postgres => &KEYS[1],
        };
        tx.run(keys, binds![PLANTED, &self.0]).await?;
        Ok(())
    }
}

/// A month goes by, and how many keys live.
struct ForgetEnded;

impl Act for ForgetEnded {
    type Out = i64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<i64, Fault> {
        tx.run(&FORGET_KEYS, &[]).await?;
        tx.one(&KEYS_LIVING, &[]).await?.unwrap().number(0)
    }
}

/// How many families live, and how many grants.
struct Left;

impl Act for Left {
    type Out = (i64, i64);

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(i64, i64), Fault> {
        let families = tx.one(&LIVING, &[]).await?.unwrap().number(0)?;
        let grants = tx.one(&AGREED, &[]).await?.unwrap().number(0)?;
        Ok((families, grants))
    }
}

/// Ends all in the slots of those who were planted, and in one more.
async fn end_all(world: &World, of: &Whole, before: Position, more: (Slot, bool)) {
    let (other, withdraws) = more;
    for slot in (0..SLOTS_PLANTED).map(Slot::of_turn).chain([other]) {
        let act = EndPart {
            of: of.clone(),
            slot,
            before,
            withdraws,
            forgets: withdraws,
            now: world.now,
            limit: 40,
        };
        while world.store.act(act.clone()).await.unwrap() >= 40 {}
    }
}

/// One more person signs in to a client; their slot.
async fn sign_in(world: &World, client: &CreateClient) -> Slot {
    let scene = world.scene().await.unwrap();
    let consent = world.consent(scene.person, &client.client.id, "openid");
    let Consented::Granted(grant) = world.store.act(consent).await.unwrap() else {
        panic!("nobody agreed before");
    };
    let client = client.client.id.clone();
    let scene = Scene {
        grant,
        client,
        ..scene
    };
    world.family(&scene).await.unwrap();
    scene.person.slot()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_very_many_is_taken_back_at_once_and_ends_in_parts() {
    each_engine("many", async |world: &World| {
        let client = world.client().unwrap();
        let of = Whole::Client(client.client.id.clone());
        world.store.act(client.clone()).await.unwrap();
        let has_many = HasMany {
            of: of.clone(),
            listens: true,
        };
        assert!(!world.store.read(has_many.clone()).await.unwrap());
        let plant = Plant(client.client.id.to_string());
        world.store.act(plant).await.unwrap();
        assert!(world.store.read(has_many).await.unwrap());
        let revoke = RevokeClient {
            id: client.client.id.clone(),
            audit: world.audit("client.revoke"),
            now: world.now,
            horizon: world.horizon(),
        };

        let revoked = world.store.act(revoke).await.unwrap();

        assert_eq!(revoked, Updated::Updated);
        let record = world.records(&of.target()).await.unwrap().remove(0);
        let all = i64::from(PLANTED);
        let left = async || world.store.read(Left).await.unwrap();
        assert_eq!(left().await, (all, all), "the act keeps nobody waiting");
        let slot = sign_in(world, &client).await;
        // The scene of whoever signs in has a grant to a client of its own.
        end_all(world, &of, record.position, (slot, false)).await;
        assert_eq!(left().await, (1, all + 2), "who came later stays");
        end_all(world, &of, record.position, (slot, true)).await;
        assert_eq!(left().await, (1, 2));
    })
    .await;
}

/// Whoever goes on finds what is left, although by now that is little.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_keys_alone_whose_end_was_interrupted_ends_whole() {
    each_engine("many_keys", async |world: &World| {
        let client = world.client().unwrap();
        let of = Whole::Client(client.client.id.clone());
        world.store.act(client.clone()).await.unwrap();
        let plant = PlantKeys(client.client.id.to_string());
        world.store.act(plant).await.unwrap();
        let revoke = RevokeClient {
            id: client.client.id.clone(),
            audit: world.audit("client.revoke"),
            now: world.now,
            horizon: world.horizon(),
        };
        world.store.act(revoke).await.unwrap();
        let record = world.records(&of.target()).await.unwrap().remove(0);
        let part = |slot, limit| EndPart {
            of: of.clone(),
            slot: Slot::of_turn(slot),
            before: record.position,
            withdraws: false,
            forgets: false,
            now: world.now,
            limit,
        };
        for slot in 1..SLOTS_PLANTED {
            world.store.act(part(slot, 1000)).await.unwrap();
        }
        let left = world.store.act(ForgetEnded).await.unwrap();
        assert!((1..i64::from(MANY)).contains(&left), "{left}");
        let has_many = HasMany {
            of: of.clone(),
            listens: false,
        };
        assert!(!world.store.read(has_many).await.unwrap());
        let has_left = HasLeft {
            of: of.clone(),
            before: record.position,
            withdraws: false,
            listens: false,
        };

        assert!(world.store.read(has_left.clone()).await.unwrap());
        while world.store.act(part(0, 40)).await.unwrap() >= 40 {}

        assert!(!world.store.read(has_left).await.unwrap());
        assert_eq!(world.store.act(ForgetEnded).await.unwrap(), 0);
    })
    .await;
}
