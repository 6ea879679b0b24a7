//! What was issued under a longer lifetime lives on when it is lowered: keys are
//! believed, and what was taken back is remembered, until its end.

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::testing::purge;
use symbolon_token::Clock;
use symbolon_token::jose::{KeySet, Unverified};

use crate::harness::{Answer, ORDERS, Server, VAULT};
use crate::macaroon::{DESK, FILES, keys_of, minted, opens};
use crate::on_both_engines;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// How long a key is announced before it signs.
const ANNOUNCED: u64 = HOUR + 70;
/// How long a key is believed after its last token of ten minutes was made.
const OUTLIVED: u64 = 10 * MINUTE + 130;
/// How much longer than a day what was issued for a day may be counted.
const NOTED_AHEAD: u64 = HOUR;

on_both_engines! {
    what_was_issued_is_good_to_its_end_after_its_lifetime_was_lowered
    a_lifetime_that_was_lowered_and_raised_within_its_life_counts_from_its_last_day
    what_another_node_issued_outlives_a_rotation_here
    the_keys_of_a_resource_are_listed_until_what_they_made_has_ended
    once_what_lived_long_has_ended_the_short_life_counts
    what_was_taken_back_stays_so_until_the_longest_token_has_ended
}

async fn set_lifetime(server: &Server, resource: &str, lifetime: &str) {
    let escaped = resource.replace(':', "%3A").replace('/', "%2F");
    let body = json!({
        "access_token_lifetime": lifetime,
        "access_token_lifetime_reason": "a job runs that long",
    });
    admin(server, Method::PATCH, &format!("resources/{escaped}"), body).await;
}

async fn admin(server: &Server, method: Method, path: &str, body: Value) -> Answer {
    let path = format!("/admin/v1/{path}");
    let answer = server.admin(method, &path, Some(body)).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
    answer
}

/// A token of a client that acts for itself.
async fn issued(server: &Server, client: &str, (resource, scope): (&str, &str)) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", resource),
        ("scope", scope),
    ];
    let answer = server.token(client, &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

/// A JWT, an opaque token and a macaroon.
async fn one_of_each(server: &Server) -> [(&'static str, String); 3] {
    let jwt = issued(server, "job", (ORDERS, "read:orders")).await;
    let opaque = issued(server, "job", (VAULT, "read:vault")).await;
    assert!(Unverified::parse(&jwt).is_ok() && Unverified::parse(&opaque).is_err());
    let macaroon = minted(server, &[("resource", FILES)]).await;
    [
        ("orders-api", jwt),
        ("vault-api", opaque),
        ("files-api", macaroon),
    ]
}

async fn are_good(server: &Server, tokens: &[(&str, String)]) -> Vec<bool> {
    let mut good = Vec::new();
    for (api, token) in tokens {
        good.push(server.introspect(api, token).await["active"] == true);
    }
    good
}

async fn set_all(server: &Server, lifetime: &str) {
    for resource in [ORDERS, VAULT, FILES] {
        set_lifetime(server, resource, lifetime).await;
    }
}

/// Rotates whatever makes tokens; whether each was replaced.
async fn rotate(server: &Server) -> bool {
    let mut is_done = true;
    for body in [
        json!({ "purpose": "signing" }),
        json!({ "purpose": "access-token" }),
        json!({ "purpose": "macaroon" }),
    ] {
        let answer = admin(server, Method::POST, "keys:rotate", body).await;
        let items = answer.json()["items"].as_array().unwrap().clone();
        is_done &= items.iter().all(|item| item["rotated"] == true);
    }
    is_done
}

/// How many keys that make tokens are believed still, and make none.
async fn retiring(server: &Server) -> usize {
    let answer = server.admin(Method::GET, "/admin/v1/keys", None).await;
    let items = answer.json()["items"].as_array().unwrap().clone();
    let own = |key: &&Value| {
        let purpose = key["purpose"].as_str().unwrap();
        ["signing", "access-token", "macaroon"].contains(&purpose) && key["state"] == "retiring"
    };
    items.iter().filter(own).count()
}

async fn what_was_issued_is_good_to_its_end_after_its_lifetime_was_lowered(server: Server) {
    set_all(&server, "24h").await;
    server.advance(ANNOUNCED);
    let tokens = one_of_each(&server).await;
    set_all(&server, "10m").await;
    let server = server.restart().await;
    assert!(rotate(&server).await);
    let replaced = retiring(&server).await;

    server.advance(OUTLIVED + MINUTE);
    let server = server.restart().await;

    assert_eq!(are_good(&server, &tokens).await, [true; 3]);
    server.advance(DAY - OUTLIVED - 2 * MINUTE);
    let server = server.restart().await;
    assert_eq!(are_good(&server, &tokens).await, [true; 3]);
    assert_eq!(retiring(&server).await, replaced);
    server.advance(MINUTE + 1);
    assert_eq!(are_good(&server, &tokens).await, [false; 3]);
    server.advance(NOTED_AHEAD + 130);
    let server = server.restart().await;
    assert_eq!(retiring(&server).await, 0, "nothing is left to be believed");
}

/// A day's token is made, the life is a moment long, half a day's token is made
/// near the end of the first, and the life is a moment long again.
async fn a_lifetime_that_was_lowered_and_raised_within_its_life_counts_from_its_last_day(
    server: Server,
) {
    set_all(&server, "24h").await;
    set_all(&server, "10m").await;
    server.advance(20 * HOUR);
    set_all(&server, "12h").await;
    let tokens = one_of_each(&server).await;
    set_all(&server, "10m").await;
    let server = server.restart().await;
    assert!(rotate(&server).await);

    server.advance(12 * HOUR - MINUTE);
    let server = server.restart().await;

    assert_eq!(are_good(&server, &tokens).await, [true; 3]);
}

async fn what_another_node_issued_outlives_a_rotation_here(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    server.advance(ANNOUNCED + MINUTE);
    other.believe();
    set_all(&other, "24h").await;
    let tokens = one_of_each(&other).await;
    set_all(&other, "10m").await;
    assert!(rotate(&server).await);

    server.advance(OUTLIVED + 2 * MINUTE);
    other.believe();
    let server = server.restart().await;

    assert_eq!(are_good(&server, &tokens).await, [true; 3]);
}

async fn the_keys_of_a_resource_are_listed_until_what_they_made_has_ended(server: Server) {
    set_lifetime(&server, DESK, "24h").await;
    let of_day = server.clock.now().seconds().unsigned_abs() % DAY;
    server.advance(2 * DAY - of_day - 10 * MINUTE);
    let late = minted(&server, &[("resource", DESK)]).await;
    set_lifetime(&server, DESK, "10m").await;
    let server = server.restart().await;

    server.advance(25 * MINUTE);

    let keys = keys_of(&server, "desk-api", DESK).await.json();
    assert!(opens(&keys, &late));
    assert_eq!(server.introspect("desk-api", &late).await["active"], true);
    server.advance(DAY - 26 * MINUTE);
    let keys = keys_of(&server, "desk-api", DESK).await.json();
    assert!(opens(&keys, &late));
    server.advance(DAY);
    let keys = keys_of(&server, "desk-api", DESK).await.json();
    assert!(
        !opens(&keys, &late),
        "nothing that it made is good any more"
    );
}

async fn once_what_lived_long_has_ended_the_short_life_counts(server: Server) {
    set_all(&server, "24h").await;
    set_all(&server, "10m").await;
    server.advance(DAY + NOTED_AHEAD);
    assert!(rotate(&server).await);
    assert!(retiring(&server).await > 0);

    server.advance(OUTLIVED);
    let server = server.restart().await;

    assert_eq!(retiring(&server).await, 0);
}

/// Sessions and refresh tokens that live shorter than a token that is left.
const SHORT: &str = "lifetimes = { refresh_token_idle = \"1d\", refresh_token_absolute = \"1d\", session_idle = \"8h\", session_absolute = \"1d\" }\n";

async fn what_was_taken_back_stays_so_until_the_longest_token_has_ended(server: Server) {
    set_lifetime(&server, ORDERS, "30d").await;
    let orders = (ORDERS, "read:orders");
    let (token, twin) = (
        issued(&server, "job", orders).await,
        issued(&server, "other", orders).await,
    );
    set_lifetime(&server, ORDERS, "10m").await;
    let server = server.restart_with(SHORT).await;
    let everything = json!({ "client": "job" });
    admin(&server, Method::POST, "revoke", everything).await;
    assert!(!server.is_active(&token).await);

    server.advance(30 * DAY - MINUTE);
    purge(&server.running.as_ref().unwrap().app).await;
    let server = server.restart().await;

    assert!(server.is_active(&twin).await, "it would live still");
    assert!(!server.is_active(&token).await);
}

/// The same of the lifetime for APIs that have none of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lifetime_that_the_file_lowers_is_remembered_over_the_start() {
    let day = "lifetimes = { access_token = \"24h\" }\n";
    let server = Server::on_sqlite_with(day).await;
    let tokens = one_of_each(&server).await;
    let server = server.restart_with("").await;
    server.advance(ANNOUNCED);
    assert!(rotate(&server).await);

    server.advance(DAY - ANNOUNCED - MINUTE);
    let server = server.restart().await;

    assert_eq!(are_good(&server, &tokens).await, [true; 3]);
    let set = server.get("/.well-known/jwks.json").await;
    let set = KeySet::parse(set.body.as_bytes()).unwrap();
    let (_, jwt) = &tokens[0];
    let signer = Unverified::parse(jwt).unwrap();
    assert!(set.names(signer.claimed_kid().unwrap()));
}
