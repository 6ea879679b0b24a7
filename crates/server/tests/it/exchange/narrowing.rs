//! Any chain of exchange, delegation, attenuation and refresh, over HTTP and
//! through all four formats: none of its tokens permits what the one before
//! does not, and all end with each link above them.
//!
//! What holds for the engine by itself is listed in `crates/token/tests/invariants`;
//! here the policies, proofs and formats of the server come in between.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use symbolon_testkit::Row;

use super::table::{CELLAR, furnish_macaroons, permit};
use super::world::{Asked, SAFE, STOCK, furnish, own_token, urn};
use crate::dpop::{Wallet, proved, web_tokens};
use crate::harness::{Answer, ORDERS, Server};
use crate::macaroon::narrow;
use crate::on_both_engines;

on_both_engines! {
    i05_to_i16_no_chain_over_http_permits_more_and_each_dies_with_its_links
}

const TARGETS: [&str; 4] = [ORDERS, STOCK, SAFE, CELLAR];

/// Whose proof comes along.
#[derive(Clone, Copy, Debug)]
enum Key {
    /// That of the key which the last token is bound to, if to any.
    Own,
    /// One of the two, whichever that is.
    Either(usize),
    Nobodys,
}

/// What somebody does with the last token.
#[derive(Clone, Debug)]
enum Step {
    Exchange {
        kind: &'static str,
        target: Option<&'static str>,
        scope: Option<&'static str>,
        by_actor: bool,
        key: Key,
    },
    Attenuate(&'static str),
    Refresh {
        scope: Option<&'static str>,
        key: Key,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop::sample::select(vec!["access_token", "access_token", "jwt", "saml2"]);
    let target = prop::option::of(prop::sample::select(TARGETS.to_vec()));
    let scope = || {
        let some = [
            "read:orders",
            "read:orders write:orders",
            "delete:orders",
            "openid",
        ];
        prop::option::weighted(0.3, prop::sample::select(some.to_vec()))
    };
    let key = || {
        let either = (0..2_usize).prop_map(Key::Either);
        prop_oneof![8 => Just(Key::Own), 1 => either, 1 => Just(Key::Nobodys)]
    };
    let caveat = prop::sample::select(vec![
        "scope = read:orders",
        "scope = write:orders",
        "before = 2026-01-01T00:05:00Z",
        "before = 2027-01-01T00:00:00Z",
        "jkt = 0",
        "jkt = 1",
    ]);
    prop_oneof![
        6 => (kind, target, scope(), any::<bool>(), key()).prop_map(
            |(kind, target, scope, by_actor, key)| Step::Exchange { kind, target, scope, by_actor, key }
        ),
        2 => caveat.prop_map(Step::Attenuate),
        1 => (scope(), key()).prop_map(|(scope, key)| Step::Refresh { scope, key }),
    ]
}

/// A token, and what introspection says of it; an assertion is not asked about,
/// so what it was made of stands for it.
#[derive(Clone)]
struct Link {
    kind: &'static str,
    text: String,
    told: Value,
    from: Option<usize>,
}

impl Link {
    fn holder(&self) -> &str {
        self.told["client_id"].as_str().unwrap()
    }
}

async fn told(server: &Server, token: &str) -> Value {
    for api in ["orders-api", "vault-api"] {
        let told = server.introspect(api, token).await;
        if told["active"] == true {
            return told;
        }
    }
    panic!("a token that was just made is not active: {token}");
}

struct World {
    server: Server,
    keys: [Wallet; 2],
    actor: String,
    /// What a person granted, bound to the first key and to none.
    roots: [Answer; 2],
}

impl World {
    async fn new(server: Server) -> Self {
        furnish(&server).await;
        furnish_macaroons(&server).await;
        permit(&server, "https://partner.example.net").await;
        let keys = [Wallet::new(), Wallet::new()];
        let roots = [
            web_tokens(&server, Some(&keys[0])).await,
            web_tokens(&server, None).await,
        ];
        let actor = own_token(&server, "orders-api").await;
        Self {
            server,
            keys,
            actor,
            roots,
        }
    }

    /// Sends a form to the token endpoint, for a token that says `told`.
    async fn send(&self, who: &str, form: &[(&str, &str)], (key, told): (Key, &Value)) -> Answer {
        let is_bound_to = |at: &usize| told["cnf"]["jkt"] == self.keys[*at].thumbprint();
        let at = match key {
            Key::Own => (0..2).find(is_bound_to),
            Key::Either(at) => Some(at),
            Key::Nobodys => None,
        };
        match at {
            Some(at) => proved(&self.server, who, form, &self.keys[at]).await,
            None => self.server.token(who, form).await,
        }
    }

    /// What comes of a step, where it is allowed.
    async fn take(
        &self,
        root: &Answer,
        last: &Link,
        step: &Step,
    ) -> Option<(&'static str, String)> {
        match step {
            Step::Attenuate(caveat) => {
                let is_one = symbolon_token::macaroon::is_macaroon(&last.text);
                let caveat = match caveat.strip_prefix("jkt = ") {
                    Some(at) => {
                        let at: usize = at.parse().unwrap();
                        format!("jkt = {}", self.keys[at].thumbprint())
                    }
                    None => (*caveat).to_owned(),
                };
                let text = is_one.then(|| narrow(&last.text, &[&caveat]))?;
                // Two keys, or no scope left: such a one is nobody's.
                self.server
                    .is_active(&text)
                    .await
                    .then_some(("access_token", text))
            }
            Step::Refresh { scope, key } => {
                let refresh = root.text("refresh_token");
                let mut form = vec![
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &*refresh),
                ];
                form.extend(scope.map(|scope| ("scope", scope)));
                let answer = self.send("web", &form, (*key, &last.told)).await;
                (answer.status == 200).then(|| ("access_token", answer.text("access_token")))
            }
            Step::Exchange {
                kind,
                target,
                scope,
                by_actor,
                key,
            } => {
                let mut asked =
                    Asked::of(last.kind, &last.text).with("requested_token_type", &urn(kind));
                if let Some(target) = target {
                    asked = asked.with("resource", target);
                }
                if let Some(scope) = scope {
                    asked = asked.with("scope", scope);
                }
                let who = if *by_actor {
                    "orders-api"
                } else {
                    last.holder()
                };
                if *by_actor {
                    asked = asked.acting("access_token", &self.actor);
                }
                let answer = self.send(who, &asked.form(), (*key, &last.told)).await;
                let kind = if *kind == "saml2" {
                    "saml2"
                } else {
                    "access_token"
                };
                (answer.status == 200).then(|| (kind, answer.text("access_token")))
            }
        }
    }
}

fn words<'a>(told: &'a Value, name: &str) -> Vec<&'a str> {
    told[name]
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .collect()
}

/// Who acts, the latest first.
fn actors(told: &Value) -> Vec<&Value> {
    let mut all = Vec::new();
    let mut next = &told["act"];
    while next.is_object() {
        all.push(&next["sub"]);
        next = &next["act"];
    }
    all
}

fn check_narrower(parent: &Value, child: &Value) {
    let pair = format!("{parent}\n{child}");
    // I05
    assert_eq!(child["iss"], parent["iss"], "{pair}");
    assert_eq!(child["sub"], parent["sub"], "{pair}");
    assert_eq!(child["organization"], parent["organization"], "{pair}");
    // I06
    let whole = words(parent, "scope");
    assert!(
        words(child, "scope").iter().all(|own| whole.contains(own)),
        "{pair}"
    );
    // I07
    assert!(child["exp"].as_i64() <= parent["exp"].as_i64(), "{pair}");
    // I14
    for (name, own) in parent["cnf"].as_object().into_iter().flatten() {
        assert_eq!(&child["cnf"][name], own, "{pair}");
    }
    // I15: the policies let a token move to the three, and to no other.
    let moved = child["aud"] != parent["aud"];
    assert!(
        !moved || [STOCK, SAFE, CELLAR].contains(&child["aud"].as_str().unwrap()),
        "{pair}"
    );
    // I16
    assert!(actors(child).ends_with(&actors(parent)), "{pair}");
    assert!(actors(child).len() <= 8, "{pair}");
}

/// Whether a link is the token of an id, or was made of it.
fn comes_of(links: &[Link], mut at: usize, id: &Value) -> bool {
    loop {
        if links[at].kind != "saml2" && links[at].told["jti"] == *id {
            return true;
        }
        match links[at].from {
            Some(from) => at = from,
            None => return false,
        }
    }
}

/// What the chains of a run came to.
#[derive(Default)]
struct Came {
    steps: usize,
    formats: HashSet<(&'static str, String)>,
}

async fn i05_to_i16_no_chain_over_http_permits_more_and_each_dies_with_its_links(server: Server) {
    let world = World::new(server).await;
    let mut runner = TestRunner::deterministic();
    let chains = (
        0..2_usize,
        prop::collection::vec(step(), 3..9),
        any::<Index>(),
    );
    let mut came = Came::default();
    for _ in 0..Row::I06.size(16, 80) {
        let (root, steps, which) = chains.new_tree(&mut runner).unwrap().current();
        let links = walk(&world, &world.roots[root], &steps, &mut came).await;
        take_back(&world.server, &links, which).await;
    }
    let Came { steps, formats } = came;
    assert!(steps >= 30, "only {steps} steps were allowed");
    assert!(
        formats.len() >= 4,
        "not all formats came along: {formats:?}"
    );
}

/// Takes the steps that the server allows, and compares each token with what
/// it was made of. The first is one of its own for each chain.
async fn walk(world: &World, root: &Answer, steps: &[Step], came: &mut Came) -> Vec<Link> {
    let whole = Link {
        kind: "access_token",
        text: String::new(),
        told: told(&world.server, &root.text("access_token")).await,
        from: None,
    };
    let begin = Step::Refresh {
        scope: None,
        key: Key::Own,
    };
    let mut links: Vec<Link> = Vec::new();
    for step in std::iter::once(&begin).chain(steps) {
        let last = links.last().unwrap_or(&whole);
        let Some((kind, text)) = world.take(root, last, step).await else {
            continue;
        };
        let is_anew = matches!(step, Step::Refresh { .. });
        let parent = if is_anew { &whole.told } else { &last.told };
        let told = match kind {
            "saml2" => parent.clone(),
            _ => told(&world.server, &text).await,
        };
        check_refreshed_or_narrower(is_anew, parent, &told);
        came.steps += 1;
        let begins = text.get(..3).unwrap_or_default().to_owned();
        came.formats.insert((kind, begins));
        let from = links.len().checked_sub(1).filter(|_| !is_anew);
        links.push(Link {
            kind,
            text,
            told,
            from,
        });
    }
    links
}

/// Takes one token back: it dies with all that was made of it, and nothing else.
async fn take_back(server: &Server, links: &[Link], which: Index) {
    let tokens: Vec<usize> = (0..links.len())
        .filter(|at| links[*at].kind != "saml2")
        .collect();
    let revoked = &links[*which.get(&tokens)];
    let form = [("token", &*revoked.text)];
    let done = server.form("/revoke", revoked.holder(), &form).await;
    assert_eq!(done.status, 200, "{}", done.body);
    for at in tokens {
        let is_dead = !server.is_active(&links[at].text).await;
        let told = &links[at].told;
        assert_eq!(is_dead, comes_of(links, at, &revoked.told["jti"]), "{told}");
    }
}

/// A token of a refresh begins its life anew, within what the family has; the
/// key of a client that proves itself may be another.
fn check_refreshed_or_narrower(is_anew: bool, parent: &Value, child: &Value) {
    if !is_anew {
        return check_narrower(parent, child);
    }
    let mut whole = parent.clone();
    whole["exp"] = child["exp"].clone();
    if child["cnf"].is_object() {
        whole["cnf"] = child["cnf"].clone();
    }
    check_narrower(&whole, child);
}
