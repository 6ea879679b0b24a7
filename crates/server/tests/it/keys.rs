//! The life of keys over HTTP: published before they sign, believed while what
//! they made lives, gone at once when somebody else may have them.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::clock::SystemEntropy;
use symbolon_server::keys::{Masters, master_key_from_file, rewrap};
use symbolon_server::launch::open_store;
use symbolon_token::jose::{Algorithm, KeySet, Unverified};
use symbolon_token::{Clock, MasterKey};

use crate::browser::Browser;
use crate::harness::{Answer, ORDERS, Server, VAULT, ahead_of_the_first};
use crate::on_both_engines;

/// How long a key is announced before it signs: an hour of key set cache, ten
/// seconds in which a node may lag, and how far two clocks may be apart.
const ANNOUNCED: u64 = 3600 + 10 + 60;
/// How far two clocks may be apart.
const APART: u64 = 60;
/// How long a token of these APIs lives, and what a key outlives it by.
const OUTLIVED: u64 = 600 + 60 + 70;

async fn keys(server: &Server) -> Vec<Value> {
    let answer = server.admin(Method::GET, "/admin/v1/keys", None).await;
    answer.json()["items"].as_array().unwrap().clone()
}

/// The name of the key of a purpose in a state.
async fn kid(server: &Server, algorithm: &str, state: &str) -> Option<String> {
    let all = keys(server).await;
    let found = all
        .iter()
        .find(|key| key["algorithm"] == algorithm && key["state"] == state)?;
    Some(found["kid"].as_str().unwrap().to_owned())
}

async fn working(server: &Server, purpose: &str, state: &str) -> Option<String> {
    let all = keys(server).await;
    let found = all
        .iter()
        .find(|key| key["purpose"] == purpose && key["state"] == state)?;
    Some(found["kid"].as_str().unwrap().to_owned())
}

async fn rotate(server: &Server, body: Value) -> Value {
    let answer = server
        .admin(Method::POST, "/admin/v1/keys:rotate", Some(body))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["items"].clone()
}

async fn tell(server: &Server, kid: &str, verb: &str) -> u16 {
    let path = format!("/admin/v1/keys/{kid}/{verb}");
    server.admin(Method::POST, &path, None).await.status
}

async fn published(server: &Server) -> KeySet {
    let answer = server.get("/.well-known/jwks.json").await;
    KeySet::parse(answer.body.as_bytes()).unwrap()
}

async fn token(server: &Server, resource: &str) -> String {
    let scope = match resource {
        VAULT => "read:vault",
        _ => "read:orders",
    };
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", resource),
        ("scope", scope),
    ];
    let answer = server.token("job", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

fn signer(token: &str) -> String {
    let token = Unverified::parse(token).unwrap();
    token.claimed_kid().unwrap().to_owned()
}

async fn a_key_is_published_before_it_signs_and_after(server: Server) {
    let (first, next) = (
        kid(&server, "ES256", "active").await.unwrap(),
        kid(&server, "ES256", "next").await.unwrap(),
    );
    assert!(published(&server).await.names(&first) && published(&server).await.names(&next));

    let asked = rotate(&server, json!({"algorithm": "ES256"})).await;
    assert_eq!(asked[0]["rotated"], false, "not announced long enough yet");
    let early = token(&server, ORDERS).await;
    assert_eq!(signer(&early), first);

    server.advance(ANNOUNCED);
    let rotated = rotate(&server, json!({"algorithm": "ES256"})).await;
    assert_eq!(rotated[0]["active"], next);
    let early = token(&server, ORDERS).await;
    assert_eq!(signer(&early), next);
    let set = published(&server).await;
    assert!(set.names(&first), "what it signed may still live");
    assert_eq!(kid(&server, "ES256", "retiring").await, Some(first.clone()));

    server.advance(OUTLIVED);
    settle(&server).await;
    assert!(!published(&server).await.names(&first));
}

async fn a_key_that_is_retired_hands_over_and_what_it_made_counts(server: Server) {
    let (first, next) = (
        kid(&server, "ES256", "active").await.unwrap(),
        kid(&server, "ES256", "next").await.unwrap(),
    );
    server.advance(ANNOUNCED);
    let old = token(&server, ORDERS).await;

    assert_eq!(tell(&server, &next, "retire").await, 409);
    assert_eq!(tell(&server, &first, "retire").await, 200);

    assert_eq!(tell(&server, &first, "retire").await, 409);
    let new = token(&server, ORDERS).await;
    assert_eq!((signer(&old), signer(&new)), (first, next));
    assert!(server.is_active(&old).await && server.is_active(&new).await);
}

/// Waits for the job that looks after the keys.
async fn settle(server: &Server) {
    // Asking for what was asked for changes nothing but what is due.
    rotate(server, json!({"algorithm": "ES256"})).await;
}

async fn the_key_set_may_be_kept_for_less_than_a_key_is_announced(server: Server) {
    let answer = server.get("/.well-known/jwks.json").await;
    let kept = answer.header("cache-control").unwrap();
    let seconds: u64 = kept.rsplit_once('=').unwrap().1.parse().unwrap();

    let asked = rotate(&server, json!({"algorithm": "ES256"})).await;

    let all = keys(&server).await;
    let next = all
        .iter()
        .find(|key| key["kid"] == asked[0]["next"])
        .unwrap();
    assert_eq!(next["activated"], asked[0]["takes_over"]);
    assert!(seconds < ANNOUNCED, "{kept}");
    server.advance(seconds);
    settle(&server).await;
    assert_eq!(
        kid(&server, "ES256", "next").await.as_deref(),
        next["kid"].as_str(),
        "a set that was kept that long knows the key before it signs"
    );
}

async fn a_plan_changes_nothing_and_says_when(server: Server) {
    let before = keys(&server).await;

    let plan = rotate(&server, json!({"algorithm": "ES256", "plan": true})).await;

    assert_eq!(keys(&server).await, before);
    let does: Vec<_> = plan.as_array().unwrap().iter().collect();
    let step = |verb: &str| {
        let found = does.iter().find(|step| step["does"] == verb).unwrap();
        found["at"].as_str().unwrap().to_owned()
    };
    let (activate, retire, delete) = (step("activate"), step("retire"), step("delete"));
    assert_eq!(activate, "2026-01-01T01:01:10Z");
    assert_eq!(retire, "2026-01-01T01:13:20Z");
    assert!(delete > retire);
}

async fn a_distrusted_key_is_dead_with_all_that_it_signed(server: Server) {
    let compromised = kid(&server, "ES256", "active").await.unwrap();
    let next = kid(&server, "ES256", "next").await.unwrap();
    let bad = token(&server, ORDERS).await;
    let other = token(&server, VAULT).await;
    assert!(server.is_active(&bad).await);

    assert_eq!(tell(&server, &compromised, "distrust").await, 200);

    assert!(!server.is_active(&bad).await);
    assert!(server.is_active(&other).await, "another key's token lives");
    let set = published(&server).await;
    assert!(!set.names(&compromised) && set.names(&next));
    let good = token(&server, ORDERS).await;
    assert_eq!(signer(&good), next, "what was announced takes over at once");
    assert!(server.is_active(&good).await);
    assert_eq!(tell(&server, &compromised, "distrust").await, 409);
    let log = server
        .admin(Method::GET, "/admin/v1/audit?action=key.distrust", None)
        .await;
    assert_eq!(log.json()["items"][0]["detail"]["kid"], compromised);
}

async fn a_distrusted_key_is_dead_on_the_other_node_too(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    let compromised = kid(&server, "ES256", "active").await.unwrap();
    let bad = token(&server, ORDERS).await;
    assert!(other.is_active(&bad).await);

    assert_eq!(tell(&server, &compromised, "distrust").await, 200);

    other.catch_up().await;
    assert!(!other.is_active(&bad).await);
    assert!(!published(&other).await.names(&compromised));
    let good = token(&other, ORDERS).await;
    assert!(server.is_active(&good).await && other.is_active(&good).await);
}

/// What an answer warns of.
fn warnings(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["warnings"].to_string()
}

async fn distrust(server: &Server, kid: &str) -> Answer {
    let path = format!("/admin/v1/keys/{kid}/distrust");
    server.admin(Method::POST, &path, None).await
}

async fn two_keys_distrusted_in_a_row_are_dead_and_the_answer_says_what_signs(server: Server) {
    server.advance(ANNOUNCED);
    let first = kid(&server, "ES256", "active").await.unwrap();
    let second = kid(&server, "ES256", "next").await.unwrap();

    let one = distrust(&server, &first).await;
    let bad = token(&server, ORDERS).await;
    assert_eq!(signer(&bad), second);
    let two = distrust(&server, &second).await;

    assert_eq!(warnings(&one), "[]", "what was announced signs");
    assert!(!server.is_active(&bad).await, "dead at once");
    let good = token(&server, ORDERS).await;
    let third = signer(&good);
    assert!(third != first && third != second);
    assert!(server.is_active(&good).await);
    let set = published(&server).await;
    assert!(set.names(&third) && !set.names(&second) && !set.names(&first));
    let told = warnings(&two);
    assert!(
        told.contains("no announced key was left") && told.contains(&third),
        "{told}"
    );
    assert!(
        kid(&server, "ES256", "next").await.is_some(),
        "the next is announced"
    );
    server.advance(ANNOUNCED);
    let three = distrust(&server, &third).await;
    assert_eq!(warnings(&three), "[]", "and was known by now");
}

async fn a_node_that_lacks_the_master_key_distrusts_all_the_same(server: Server) {
    if !server.carries_nodes() {
        return;
    }
    server.advance(ANNOUNCED);
    let config = server.changed(|text| text);
    let store = open_store(&config, &SystemEntropy).await.unwrap();
    let old = master_key_from_file(&server.folder.join("master.key"), &SystemEntropy).unwrap();
    let masters = Masters {
        current: MasterKey::generate(&SystemEntropy),
        previous: Some(old),
    };
    rewrap(&store, &masters, server.clock.now(), &SystemEntropy)
        .await
        .unwrap();
    store.close().await;
    let compromised = kid(&server, "ES256", "active").await.unwrap();
    let next = kid(&server, "ES256", "next").await.unwrap();
    let bad = token(&server, ORDERS).await;
    assert!(
        server.is_active(&bad).await,
        "it goes on with the keys it has"
    );

    let answer = distrust(&server, &compromised).await;

    let told = warnings(&answer);
    assert!(
        told.contains("the key is dead") && told.contains("master key"),
        "{told}"
    );
    assert!(!server.is_active(&bad).await);
    assert!(!published(&server).await.names(&compromised));
    let good = token(&server, ORDERS).await;
    assert_eq!(
        signer(&good),
        next,
        "what was announced takes over here, too"
    );
    assert!(server.is_active(&good).await);
    assert_eq!(distrust(&server, &compromised).await.status, 409);
}

async fn what_a_distrusted_sealing_key_made_does_not_open(server: Server) {
    let compromised = working(&server, "access-token", "active").await.unwrap();
    let bad = token(&server, VAULT).await;
    assert!(server.is_active(&bad).await);

    assert_eq!(tell(&server, &compromised, "distrust").await, 200);

    assert!(!server.is_active(&bad).await);
    let good = token(&server, VAULT).await;
    assert!(server.is_active(&good).await);
}

/// A thief of the key who has a spent refresh token makes the one that follows.
async fn what_a_distrusted_key_renewed_is_dead_on_every_node(server: Server) {
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &crate::browser::request()).await;
    let (first, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let renewed = server.token("web", &form).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    let (bad, next) = (renewed.text("access_token"), renewed.text("refresh_token"));
    assert!(server.is_active(&bad).await);
    let other = server.second_node().await;
    let compromised = working(&server, "refresh-token", "active").await.unwrap();

    assert_eq!(tell(&server, &compromised, "distrust").await, 200);

    assert!(!server.is_active(&bad).await);
    assert!(server.is_active(&first).await, "it came of a code");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*next)];
    assert_eq!(server.token("web", &form).await.refusal(), "invalid_grant");
    if let Some(other) = other {
        let app = &other.running.as_ref().unwrap().app;
        app.catch_up().await.unwrap();
        assert!(!other.is_active(&bad).await);
        assert_eq!(other.token("web", &form).await.refusal(), "invalid_grant");
    }
    let again = browser.tokens("alice", &crate::browser::request()).await;
    let refresh = again.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let renewed = server.token("web", &form).await;
    assert!(
        server.is_active(&renewed.text("access_token")).await,
        "the twin"
    );
}

async fn a_key_that_never_changes_is_not_distrusted(server: Server) {
    for purpose in ["pairwise", "blinding"] {
        let own = working(&server, purpose, "active").await.unwrap();
        assert_eq!(tell(&server, &own, "distrust").await, 409, "{purpose}");
        let body = json!({ "purpose": purpose });
        let answer = server
            .admin(Method::POST, "/admin/v1/keys:rotate", Some(body))
            .await;
        assert_eq!(answer.status, 400, "{purpose}");
    }
    assert_eq!(tell(&server, "nobody", "distrust").await, 404);
}

async fn whatever_was_sealed_before_a_rotation_opens_after_it(server: Server) {
    let mut browser = Browser::new(&server);
    let request = crate::browser::request();
    let tokens = browser.tokens("alice", &request).await;
    let (refresh, opaque) = (tokens.text("refresh_token"), token(&server, VAULT).await);
    let purposes = [
        "access-token",
        "authorization-code",
        "transaction",
        "refresh-token",
        "secret-digest",
        "client-secret",
    ];
    server.advance(71);

    for purpose in purposes {
        let before = working(&server, purpose, "active").await;
        let rotated = rotate(&server, json!({ "purpose": purpose })).await;
        assert_eq!(rotated[0]["rotated"], true, "{purpose}");
        assert_eq!(working(&server, purpose, "retiring").await, before);
    }

    assert!(server.is_active(&opaque).await);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
    let renewed = server.token("web", &form).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    let newest = renewed.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &newest)];
    assert_eq!(server.token("web", &form).await.status, 200);
    assert!(
        browser.authorize(&request).await.status < 400,
        "the browser is still known"
    );
}

async fn a_logout_hint_is_recognised_after_its_key_is_published_no_more(server: Server) {
    let request = crate::browser::request();
    let mut browser = Browser::new(&server);
    let hint = browser.tokens("alice", &request).await.text("id_token");
    let algorithm = Unverified::parse(&hint)
        .unwrap()
        .claimed_algorithm()
        .to_owned();
    let first = signer(&hint);
    server.advance(ANNOUNCED);
    rotate(&server, json!({ "algorithm": algorithm })).await;
    server.advance(OUTLIVED);
    rotate(&server, json!({ "algorithm": algorithm })).await;
    assert!(!published(&server).await.names(&first));
    assert_eq!(
        kid(&server, &algorithm, "retired").await,
        Some(first.clone())
    );

    let path = format!("/logout?id_token_hint={hint}");
    let own = server.get(&path).await;
    assert!(own.status < 400, "{}", own.body);

    assert_eq!(tell(&server, &first, "distrust").await, 200);
    assert_eq!(server.get(&path).await.status, 400, "nobody vouches for it");
}

async fn a_logout_hint_is_recognised_for_as_long_as_the_longest_family_lives(server: Server) {
    let path = "/admin/v1/clients/web";
    let longer = json!({ "refresh_token_absolute": "400d" });
    let changed = server.admin(Method::PATCH, path, Some(longer)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let request = crate::browser::request();
    let hint = Browser::new(&server).tokens("alice", &request).await;
    let hint = hint.text("id_token");
    let body = || json!({ "algorithm": "RS256" });
    server.advance(ANNOUNCED);
    rotate(&server, body()).await;
    server.advance(OUTLIVED);
    rotate(&server, body()).await;
    let kid_of_hint = signer(&hint);
    assert_eq!(kid(&server, "RS256", "retired").await, Some(kid_of_hint));

    // Longer than families live where a client says nothing.
    server.advance(200 * 24 * 60 * 60);
    rotate(&server, body()).await;

    let own = server.get(&format!("/logout?id_token_hint={hint}")).await;
    assert!(own.status < 400, "{}", own.body);
}

async fn two_nodes_that_rotate_at_once_make_one_key(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    for round in 0..5 {
        // By either clock, whichever node made the key that comes next.
        server.advance(ANNOUNCED + APART);
        other.believe();
        let before: Vec<String> = es256(&server).await;
        let body = || json!({"algorithm": "ES256"});

        let (one, two) = tokio::join!(rotate(&server, body()), rotate(&other, body()));

        // A node whose clock is behind waits for the time at which the other asked,
        // and may answer before that one is done.
        if ahead_of_the_first() == 0 {
            assert_eq!(one[0]["active"], two[0]["active"], "round {round}");
        }
        let after = es256(&server).await;
        assert_eq!(after, es256(&other).await, "round {round}");
        let active = [
            kid(&server, "ES256", "active").await,
            kid(&other, "ES256", "active").await,
        ];
        assert_eq!(active[0], active[1], "round {round}");
        let new = after.iter().filter(|kid| !before.contains(kid)).count();
        assert_eq!(new, 1, "round {round}: {before:?} {after:?}");
    }
}

/// Every ES256 key that there is, in whatever state.
async fn es256(server: &Server) -> Vec<String> {
    server.catch_up().await;
    let all = keys(server).await;
    let own = all.iter().filter(|key| key["algorithm"] == "ES256");
    own.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

async fn a_schedule_that_was_missed_is_made_up_for(server: Server) {
    let first = kid(&server, "ES256", "active").await.unwrap();
    server.advance(91 * 24 * 3600);

    let server = server.restart().await;

    assert_ne!(kid(&server, "ES256", "active").await.unwrap(), first);
    let good = token(&server, ORDERS).await;
    assert!(server.is_active(&good).await);
}

async fn each_algorithm_has_a_key_of_its_own(server: Server) {
    let set = published(&server).await;
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
        Algorithm::Ed25519,
        Algorithm::Rs256,
        Algorithm::Ps256,
    ] {
        assert_eq!(set.candidates(None, algorithm).count(), 2, "{algorithm:?}");
    }
    assert_eq!(set.candidates(None, Algorithm::MlDsa65).count(), 0);
    assert_eq!(set.skipped(), 0);
    let off = server.get("/.well-known/jwks-ml-dsa.json").await;
    assert_eq!(off.status, 400);
    let counted = server.admin(Method::GET, "/metrics", None).await.body;
    let age = r#"symbolon_key_active_age_seconds{purpose="signing:ES256"}"#;
    assert!(counted.contains(age), "{counted}");
}

on_both_engines! {
    a_key_is_published_before_it_signs_and_after
    a_key_that_is_retired_hands_over_and_what_it_made_counts
    the_key_set_may_be_kept_for_less_than_a_key_is_announced
    a_plan_changes_nothing_and_says_when
    a_distrusted_key_is_dead_with_all_that_it_signed
    a_distrusted_key_is_dead_on_the_other_node_too
    two_keys_distrusted_in_a_row_are_dead_and_the_answer_says_what_signs
    a_node_that_lacks_the_master_key_distrusts_all_the_same
    what_a_distrusted_sealing_key_made_does_not_open
    what_a_distrusted_key_renewed_is_dead_on_every_node
    a_key_that_never_changes_is_not_distrusted
    whatever_was_sealed_before_a_rotation_opens_after_it
    a_logout_hint_is_recognised_after_its_key_is_published_no_more
    a_logout_hint_is_recognised_for_as_long_as_the_longest_family_lives
    two_nodes_that_rotate_at_once_make_one_key
    a_schedule_that_was_missed_is_made_up_for
    each_algorithm_has_a_key_of_its_own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_signs_from_a_key_set_of_its_own() {
    let server = Server::on_sqlite_with("keys = { experimental_ml_dsa = true }\n").await;
    let resource = json!({"signing_alg": "ML-DSA-65"});
    let path = format!(
        "/admin/v1/resources/{}",
        ORDERS.replace(':', "%3A").replace('/', "%2F")
    );
    let answer = server.admin(Method::PATCH, &path, Some(resource)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);

    let good = token(&server, ORDERS).await;

    assert!(!published(&server).await.names(&signer(&good)));
    let own = server.get("/.well-known/jwks-ml-dsa.json").await;
    let own = KeySet::parse(own.body.as_bytes()).unwrap();
    let token = Unverified::parse(&good).unwrap();
    let key = own
        .candidates(token.claimed_kid(), Algorithm::MlDsa65)
        .next()
        .unwrap();
    assert!(token.verify(key).is_ok());
    assert!(server.is_active(&good).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_that_is_off_is_refused_where_it_is_asked_for() {
    let server = Server::on_sqlite().await;
    let path = format!(
        "/admin/v1/resources/{}",
        ORDERS.replace(':', "%3A").replace('/', "%2F")
    );
    let patch = |algorithm: &str| Some(json!({ "signing_alg": algorithm }));

    let refused = server.admin(Method::PATCH, &path, patch("ML-DSA-65")).await;
    let taken = server.admin(Method::PATCH, &path, patch("ES384")).await;

    assert_eq!((refused.status, taken.status), (400, 200));
    let good = token(&server, ORDERS).await;
    assert_eq!(
        Unverified::parse(&good).unwrap().claimed_algorithm(),
        "ES384"
    );
    assert!(server.is_active(&good).await);
}
