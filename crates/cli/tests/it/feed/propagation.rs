//! What is taken back on one node is refused by all of them, and by both APIs,
//! within a second.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_testkit::Row;
use symbolon_token::jose::Unverified;
use tokio::time::Instant;

use super::api::Api;
use super::kind::{Held, Kind};
use super::{World, end_sessions, until, withdraw_grants};

const MEMBER: &str = "organizations/acme/members/alice";

/// What can be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Act {
    Token,
    Family,
    Grant,
    Session,
    Subject,
    Client,
    Organization,
    Membership,
    /// A role is taken away that the token carries.
    Role,
    /// A person is given another password.
    Password,
    /// A person is disabled, and a client.
    Disabled,
    Stopped,
    /// A person whom a partner knows by an address.
    Identified,
    Key,
    Issuer,
}

impl Act {
    const ALL: [Self; 15] = [
        Self::Token,
        Self::Family,
        Self::Grant,
        Self::Session,
        Self::Subject,
        Self::Client,
        Self::Organization,
        Self::Membership,
        Self::Role,
        Self::Password,
        Self::Disabled,
        Self::Stopped,
        Self::Identified,
        Self::Key,
        Self::Issuer,
    ];

    /// A token that the act ends.
    async fn prepare(self, world: &mut World, kind: Kind) -> Held {
        match self {
            Self::Issuer => world.import(kind).await,
            // What may be used offline outlives the session.
            Self::Session => world.sign_in(kind, "openid").await,
            _ => world.sign_in(kind, "openid offline_access").await,
        }
    }

    async fn carry_out(self, world: &World, kind: Kind, held: &Held) {
        let document = match self {
            Self::Token => json!({ "token": held.parent.as_ref().unwrap_or(&held.access) }),
            Self::Family => json!({ "token": held.refresh }),
            Self::Grant => {
                withdraw_grants(world).await;
                return;
            }
            Self::Session if kind == Kind::Pairwise => {
                end_sessions(world).await;
                return;
            }
            Self::Session => json!({ "session": held.session }),
            Self::Subject => json!({ "subject": "alice" }),
            Self::Client => json!({ "client": kind.client() }),
            Self::Organization => json!({ "organization": "acme" }),
            Self::Membership => {
                json!({ "membership": { "organization": "acme", "user": "alice" } })
            }
            Self::Issuer => json!({ "issuer": world.partner.issuer }),
            Self::Identified => {
                json!({ "sub_id": { "format": "email", "email": "alice@example.com" } })
            }
            Self::Role => {
                let none = json!({ "roles": [] });
                world.admin(Method::PUT, MEMBER, none).await;
                return;
            }
            Self::Password => {
                let password = json!({ "password": world.first().words.password });
                world
                    .admin(Method::POST, "users/alice/password", password)
                    .await;
                return;
            }
            Self::Disabled => {
                world
                    .admin(Method::POST, "users/alice/disable", Value::Null)
                    .await;
                return;
            }
            Self::Stopped => {
                let path = format!("clients/{}/disable", kind.client());
                world.admin(Method::POST, &path, Value::Null).await;
                return;
            }
            Self::Key => {
                let kid = key_of(world, kind, held).await.replace(':', "%3A");
                let path = format!("keys/{kid}/distrust");
                world.admin(Method::POST, &path, Value::Null).await;
                return;
            }
        };
        world.revoke(document).await;
    }

    /// Brings back whoever was kept out, for the next trial.
    async fn undo(self, world: &World, kind: Kind) {
        match self {
            Self::Membership | Self::Role => {
                let roles = json!({ "roles": ["buyer"] });
                world.admin(Method::PUT, MEMBER, roles).await;
            }
            Self::Disabled => {
                world
                    .admin(Method::POST, "users/alice/enable", Value::Null)
                    .await;
            }
            Self::Stopped => {
                let path = format!("clients/{}/enable", kind.client());
                world.admin(Method::POST, &path, Value::Null).await;
            }
            _ => {}
        }
    }
}

/// The key that a token was made with.
async fn key_of(world: &World, kind: Kind, held: &Held) -> String {
    if let Ok(token) = Unverified::parse(&held.access) {
        return token.claimed_kid().unwrap().to_owned();
    }
    let (purpose, algorithm) = kind.key().unwrap();
    let list = world.admin(Method::GET, "keys", Value::Null).await.json();
    let mut rows = list["items"].as_array().unwrap().iter();
    let active = rows.find(|row| {
        row["purpose"] == purpose
            && row["state"] == "active"
            && algorithm.is_none_or(|own| row["algorithm"] == own)
    });
    active.unwrap()["kid"].as_str().unwrap().to_owned()
}

/// All combinations that there are.
fn combinations() -> Vec<(Act, Kind)> {
    let of = |act| Kind::ALL.into_iter().map(move |kind| (act, kind));
    let all = Act::ALL.into_iter().flat_map(of);
    let is_there = |(act, kind): &(Act, Kind)| match (act, kind) {
        // A partner vouches for one API, whose tokens are JWTs.
        (Act::Issuer, kind) => matches!(kind, Kind::Jwt | Kind::Bound | Kind::Exchanged),
        // It is shown to no API, so nobody takes one back.
        (Act::Token, Kind::Id) => false,
        // A key is made for a person, and comes of no sign-in.
        (Act::Family | Act::Grant | Act::Session | Act::Key, Kind::ApiKey) => false,
        // Without offline access a web application gets none.
        (Act::Key | Act::Session, Kind::Refresh) => false,
        _ => true,
    };
    all.filter(is_there).collect()
}

/// How long it takes until every node and both APIs refuse.
async fn refused_by_all(world: &World, apis: &[Api; 2], kind: Kind, held: &Held) -> Duration {
    let begin = Instant::now();
    let key = held.key.as_ref();
    for api in apis.iter().filter(|_| kind.is_for_apis()) {
        until("an API refuses", async || {
            !api.takes(kind, &held.access, key).await
        })
        .await;
    }
    for node in 0..world.nodes.len() {
        let good = async || world.is_good(node, kind, &held.access).await;
        until("a node refuses", async || good().await == Some(false)).await;
    }
    begin.elapsed()
}

/// Row R13 of the reliability catalogue, with an unrelated transaction that
/// stays open for the whole run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_takes_back_all_nodes_and_both_apis_refuse() {
    let mut world = World::start(|_, _| ()).await;
    let mut apis = world.apis().await;
    let noise = super::faults::unrelated_transaction().await;
    let mut took = Vec::new();
    let all = combinations();
    let count = Row::R13.size(all.len(), 1_000);
    for (number, (act, kind)) in all.into_iter().cycle().take(count).enumerate() {
        world.move_house(number / 50);
        let held = act.prepare(&mut world, kind).await;
        let key = held.key.as_ref();
        for api in apis.iter().filter(|_| kind.is_for_apis()) {
            until("an API takes it", async || {
                api.takes(kind, &held.access, key).await
            })
            .await;
        }
        for node in 0..world.nodes.len() {
            let good = async || world.is_good(node, kind, &held.access).await;
            until("a node takes it", async || good().await == Some(true)).await;
        }

        act.carry_out(&world, kind, &held).await;
        let span = refused_by_all(&world, &apis, kind, &held).await;

        // Five seconds at most; the short form runs beside other tests.
        let at_most = Row::R13.size(Duration::from_secs(15), Duration::from_secs(5));
        assert!(span <= at_most, "{act:?} {kind:?}: {span:?}");
        for api in apis.iter().filter(|_| kind.is_for_apis()) {
            assert!(
                !api.takes(kind, &held.access, key).await,
                "{act:?} {kind:?}"
            );
        }
        took.push(span);
        act.undo(&world, kind).await;
        // What is there again gives nothing back.
        let node = number % world.nodes.len();
        let mut again = None;
        until("a node knows", async || {
            again = world.is_good(node, kind, &held.access).await;
            again.is_some()
        })
        .await;
        assert_eq!(again, Some(false), "{act:?} {kind:?}");
        // An API asks for unknown keys once in ten seconds.
        if act == Act::Key {
            apis = world.apis().await;
        }
    }
    noise.end().await;
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
    let (half, most, all) = (at(50), at(99), took[took.len() - 1]);
    eprintln!(
        "R13: {} trials: p50 {half:?}, p90 {:?}, p99 {most:?}, at most {all:?}",
        took.len(),
        at(90)
    );
    let (span, promised) = Row::R13.size(
        (at(90), Duration::from_secs(5)),
        (most, Duration::from_secs(1)),
    );
    assert!(span <= promised, "{span:?}");
    world.end().await;
}
