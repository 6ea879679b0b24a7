//! A sequence under way: the nodes, the book beside them, and what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::clock::SystemEntropy;
use symbolon_server::testing::{Answer, ORDERS};
use symbolon_testkit::START;
use symbolon_token::jose::SigningKey;

use super::book::Book;
use super::node::{Peer, Place, TwoHands};
use super::op::{Noun, Op, Step};
use super::proof::{SIGNER, Used, new_key};
use super::setting::{BROWSERS, CLIENTS, PEOPLE, blocks};

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) invariant: &'static str,
    pub(super) why: String,
}

/// What an operation or a check ends with.
pub(super) type Held<T = ()> = Result<T, Broken>;

/// Ends with a broken invariant where a condition does not hold.
macro_rules! hold {
    ($invariant:expr, $condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err($crate::world::Broken {
                invariant: $invariant,
                why: format!($($why)+),
            });
        }
    };
}
pub(super) use hold;

/// How many records of an action an operation may have written.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) action: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
}

/// What was saved, and what was known then.
pub(super) struct Saved {
    pub(super) path: PathBuf,
    pub(super) book: Book,
    /// How much had been used up that is good once.
    pub(super) used: usize,
}

/// Which engine, and how many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    TwoNodes,
    /// The clock of the second is ahead by so many seconds, or behind.
    Apart(i64),
}

impl Engine {
    /// By how many milliseconds the second node is ahead.
    pub(super) fn ahead(self) -> i64 {
        match self {
            Self::Apart(seconds) => seconds * 1000,
            Self::Sqlite | Self::TwoNodes => 0,
        }
    }
}

/// A sequence under way.
pub(super) struct World {
    pub(super) book: Book,
    pub(super) peers: Vec<Peer>,
    pub(super) place: Place,
    pub(super) engine: Engine,
    /// The cookies of each browser.
    pub(super) cookies: Vec<BTreeMap<String, String>>,
    /// The keys that clients hold.
    pub(super) wallets: [SigningKey; 2],
    /// What was accepted, and is good once.
    pub(super) used: Vec<Used>,
    /// What was saved last.
    pub(super) saved: Option<Saved>,
    /// By how much the time in the book is that of a node whose clock is apart.
    offset: i64,
    /// The same when the latest token was issued.
    pub(super) minted: i64,
    /// How far the wall clock is behind what it was, in milliseconds.
    pub(super) behind: i64,
    /// The clients' documents, to make them again.
    pub(super) documents: BTreeMap<&'static str, Value>,
    /// What the operation at hand has to have told.
    pub(super) told: Vec<Told>,
    /// The audit records that were seen, in that order.
    pub(super) records: Vec<Value>,
    /// How many of them were read in another order, after a start.
    pub(super) unordered: usize,
    pub(super) known: BTreeSet<String>,
    /// Tokens that were seen dead when the time was right.
    pub(super) buried: BTreeSet<usize>,
    /// By which name a client's sector knows somebody.
    pub(super) subjects: BTreeMap<String, (super::book::Who, Option<&'static str>)>,
    /// What was ever published under the name of a key.
    pub(super) keys: BTreeMap<String, String>,
    /// When a key was first seen published; nothing where it may sign at once.
    pub(super) published: BTreeMap<String, Option<i64>>,
    /// The latest time that a token says it was issued at, in seconds.
    pub(super) latest: i64,
    /// The highest number that a person of a name has had.
    pub(super) numbers: Vec<u32>,
}

impl World {
    pub(super) async fn begin(engine: Engine) -> Self {
        let store = match engine {
            Engine::Sqlite => "sqlite://symbolon.db".to_owned(),
            Engine::TwoNodes | Engine::Apart(_) => {
                symbolon_store::conformance::postgres_schema(&SystemEntropy)
                    .await
                    .unwrap()
            }
        };
        let place = Place {
            folder: super::node::fresh_folder(),
            store,
            clock: Arc::new(TwoHands::new()),
            ahead: engine.ahead(),
            signer: Arc::new(new_key()),
        };
        let mut peers = vec![place.start(0, &blocks()).await];
        if engine != Engine::Sqlite {
            peers.push(place.start(1, "").await);
        }
        let mut world = Self {
            book: Book::new(START.millis(), PEOPLE.len(), &CLIENTS),
            peers,
            place,
            engine,
            cookies: vec![BTreeMap::new(); BROWSERS.len()],
            wallets: [new_key(), new_key()],
            used: Vec::new(),
            saved: None,
            offset: 0,
            minted: 0,
            behind: 0,
            documents: BTreeMap::new(),
            told: Vec::new(),
            records: Vec::new(),
            unordered: 0,
            known: BTreeSet::new(),
            buried: BTreeSet::new(),
            subjects: BTreeMap::new(),
            keys: BTreeMap::new(),
            published: BTreeMap::new(),
            latest: 0,
            numbers: vec![0; PEOPLE.len()],
        };
        for id in CLIENTS {
            let path = format!("/admin/v1/clients/{id}");
            let document = world.admin(0, Method::GET, &path, None).await.json();
            world.documents.insert(id, document);
        }
        world.make_signer().await;
        world.forget_what_was_told().await;
        world.look_at_keys(true).await;
        world
    }

    /// Makes the client that signs, which the configuration does not know the key
    /// of.
    async fn make_signer(&self) {
        let document = json!({
            "id": SIGNER, "kind": "service", "authentication": "private_key_jwt",
            "jwks": { "keys": [self.place.signer.public_jwk()] },
            "grants": ["client_credentials"], "scopes": ["read:orders"], "resources": [ORDERS],
        });
        let made = self
            .admin(0, Method::POST, "/admin/v1/clients", Some(document))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        for peer in &self.peers {
            peer.catch_up().await;
        }
    }

    pub(super) async fn end(self) {
        for peer in self.peers {
            peer.node.running.stop().await;
        }
        // What is left of it is in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.place.folder);
    }

    /// Carries out one step, and checks what has to hold after each.
    pub(super) async fn step(&mut self, step: Step) -> Held {
        let node = usize::from(step.node) % self.peers.len();
        self.told.clear();
        self.look_from(node)?;
        self.carry_out(node, step.op).await?;
        self.look_plainly();
        for peer in &self.peers {
            peer.catch_up().await;
        }
        let is_urgent = matches!(step.op, Op::DistrustKey | Op::Restore);
        self.look_at_keys(is_urgent).await;
        self.check(step).await
    }

    /// Has the book show the time that a node tells, from here on: what expires,
    /// expires there by its own clock.
    pub(super) fn look_from(&mut self, node: usize) -> Held {
        self.look_plainly();
        let ahead = self.engine.ahead();
        if ahead == 0 {
            return Ok(());
        }
        let apart = self.peers[node].now() - self.book.now;
        // A node never tells a time before the latest that any has believed.
        let may_be = ahead.min(0)..=ahead.max(0);
        hold!(
            "I34",
            may_be.contains(&apart),
            "node {node} is ahead by {apart} ms"
        );
        self.book.now += apart;
        self.offset = apart;
        Ok(())
    }

    /// Has the book show the right time again.
    pub(super) fn look_plainly(&mut self) {
        self.book.now -= std::mem::take(&mut self.offset);
    }

    /// How far the node is ahead that the book looks from.
    pub(super) fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether a token is dead by every node's clock.
    pub(super) fn is_over(&self, at: usize) -> bool {
        let slowest = self.book.now - self.offset + self.engine.ahead().min(0);
        !self.book.token_stands(at) || slowest >= self.book.tokens[at].expires * 1000
    }

    async fn carry_out(&mut self, node: usize, op: Op) -> Held {
        match op {
            Op::Ask {
                browser,
                want,
                terms,
            } => self.ask(node, (browser, want), terms).await,
            Op::Redeem { code, shown, key } => self.redeem(node, code, shown, key).await,
            Op::Machine { want, key } => self.machine(node, want, key).await,
            Op::Refresh {
                family,
                back,
                wished,
                by,
                key,
            } => self.refresh(node, (family, back), (wished, key), by).await,
            Op::Exchange { token, to, key } => self.exchange(node, (token, to), key).await,
            Op::Replay { used } => self.replay(node, used).await,
            Op::Guess { tries, right } => self.guess(node, tries, right).await,
            Op::Attenuate { token, how } => self.attenuate(token, how),
            Op::RevokeToken { token, by } => self.revoke_token(node, token, by).await,
            Op::RevokeRefresh { family, by } => self.revoke_refresh(node, family, by).await,
            Op::TakeBack { what, which } => self.take_back(node, what, which).await,
            Op::Logout { browser } => self.log_out(node, browser).await,
            Op::SetPassword { person } => self.set_password(node, person).await,
            Op::Switch(noun) => self.switch(node, noun).await,
            Op::Recreate(Noun::Person(person)) => self.recreate_person(node, person).await,
            Op::Recreate(Noun::Client(client)) => self.recreate_client(node, client).await,
            Op::Recreate(Noun::Organization) => self.recreate_organization(node).await,
            Op::Pass { span } => self.pass(span).await,
            Op::JumpBack => self.jump_back().await,
            Op::JumpAhead { crash, taken } => self.jump_ahead(node, crash, taken).await,
            Op::Crash => self.crash(node).await,
            Op::BackUp => self.back_up(node).await,
            Op::Restore => self.restore().await,
            Op::RotateKeys => self.rotate_keys(node).await,
            Op::DistrustKey => self.distrust_key(node).await,
        }
    }

    /// Says that the operation at hand tells of something once.
    pub(super) fn tells(&mut self, action: &'static str) {
        self.tells_between(action, 1, 1);
    }

    pub(super) fn tells_between(&mut self, action: &'static str, least: usize, most: usize) {
        self.told.push(Told {
            action,
            least,
            most,
        });
    }

    pub(super) async fn admin(
        &self,
        node: usize,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        self.peers[node].admin(method, path, body).await
    }

    /// The items of a list of the admin API.
    pub(super) async fn list(&self, path: &str) -> Vec<Value> {
        let answer = self.admin(0, Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()["items"].as_array().unwrap().clone()
    }

    /// Notes since when each key is published. At a start, and where a key was
    /// lost, one signs at once.
    async fn look_at_keys(&mut self, may_sign_at_once: bool) {
        let published = self.peers[0].get("/.well-known/jwks.json").await.json();
        for key in published["keys"].as_array().unwrap() {
            let kid = key["kid"].as_str().unwrap().to_owned();
            self.published.entry(kid).or_insert(Some(self.book.now));
        }
        if may_sign_at_once {
            let all = self.list("/admin/v1/keys").await;
            for key in all.iter().filter(|own| own["state"] == "active") {
                let kid = key["kid"].as_str().unwrap().to_owned();
                self.published.insert(kid, None);
            }
        }
    }

    /// Takes the audit records that there are as seen.
    pub(super) async fn forget_what_was_told(&mut self) {
        self.records = self.list("/admin/v1/audit?limit=1000").await;
        self.known = self.records.iter().map(place_of).collect();
        self.unordered = self.records.len();
    }
}

/// Where an audit record stands.
pub(super) fn place_of(record: &Value) -> String {
    record["place"].as_str().unwrap().to_owned()
}

/// An answer that the book did not expect: good where it has to be refused, bad
/// where it has to be good, or none of both.
pub(super) fn as_expected(invariant: &'static str, answer: &Answer, is_good: bool) -> Held {
    let (status, body) = (answer.status, &answer.body);
    hold!(
        invariant,
        (status == 200) == is_good && [200, 400, 401].contains(&status),
        "{status} {body}, and {} was expected",
        if is_good { "200" } else { "a refusal" }
    );
    Ok(())
}

/// One of those that there are; nothing where there are none.
pub(super) fn pick(byte: u8, count: usize) -> Option<usize> {
    usize::from(byte).checked_rem(count)
}
