//! A failover to a standby that had not received everything: the head of the
//! revocation feed falls below what nodes and APIs have seen.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_server::testing::read;
use symbolon_token::{Id, Token};
use symbolon_verify::{Algorithm, Requirement, Verifier};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

use crate::browser::http;
use crate::configuration::ORDERS;
use crate::feed::kind::claim;
use crate::program::{Engine, PATIENCE, Plan, Site};

/// What the standby has not received.
const LOSE: &str = "BEGIN;
    DELETE FROM revocation WHERE sequence > (SELECT sequence - 11 FROM feed_head);
    UPDATE feed_head SET sequence = sequence - 11;
    COMMIT";
/// How old an API's knowledge may get over it: it hears of a head each second, and
/// a busy machine adds what it adds.
const FRESH: Duration = Duration::from_secs(9);

async fn database(site: &Site) -> Client {
    let (client, connection) = tokio_postgres::connect(&site.store, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn head(client: &Client) -> i64 {
    let row = client.query_one("SELECT sequence FROM feed_head", &[]);
    row.await.unwrap().get(0)
}

async fn token(site: &Site) -> String {
    let form = [("grant_type", "client_credentials")];
    let answer = site.form("/token", "job", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

async fn admin(site: &Site, method: Method, path: &str, body: Value) -> String {
    let request = http().request(method, format!("{}{path}", site.admin));
    let request = request.bearer_auth(site.admin_token()).json(&body);
    let answer = read(request.send().await.unwrap()).await;
    assert!(answer.status < 300, "{} {}", answer.status, answer.body);
    answer.body
}

/// How often one of two nodes found that the head had fallen.
async fn told(first: &Site, second: &Site) -> usize {
    let mut sum = 0;
    for site in [first, second] {
        let numbers = admin(site, Method::GET, "/metrics", Value::Null).await;
        let named = |line: &str| {
            line.strip_prefix("symbolon_feed_head_fell_total ")?
                .parse()
                .ok()
        };
        sum += numbers.lines().find_map(named).unwrap_or(0);
    }
    sum
}

async fn take_back(site: &Site, token: &str) {
    let body = json!({ "token": token });
    admin(site, Method::POST, "/admin/v1/revoke", body).await;
}

async fn verifier(site: &Site) -> Verifier {
    let new = Verifier::new(&site.issuer, ORDERS, [Algorithm::Es256]).unwrap();
    let new = new.introspect_as("orders-api", site.words.api.as_str());
    let verifier = new.unwrap().subscribe().unwrap();
    let ready = tokio::time::timeout(PATIENCE, verifier.ready());
    ready.await.unwrap().unwrap();
    verifier
}

async fn takes(verifier: &Verifier, token: &str) -> bool {
    let requirement = Requirement::all(["read:orders"]).max_staleness(PATIENCE);
    verifier.check(token, &requirement).await.is_ok()
}

/// Waits until something is so, while the API's knowledge stays fresh.
async fn until(what: &str, verifier: &Verifier, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        let age = verifier.feed().unwrap().age().unwrap();
        assert!(age < FRESH, "{what}: {age:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// R12, of an asynchronous standby: what is taken back afterwards hits tokens
/// that were issued before, APIs that follow the feed go on, and what nodes
/// still know of what was lost stays dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_after_a_lossy_failover_hits_what_was_issued_before() {
    let first = Site::planned(Plan::new(Engine::Postgres)).await;
    let second = first.node();
    let programs = [first.start().await, second.start().await];
    let (api, client) = (verifier(&first).await, database(&first).await);
    // One time nodes read the head before anything is taken back, one time not.
    for waits in [true, false] {
        let lost = token(&first).await;
        take_back(&second, &lost).await;
        let mut dead = vec![lost];
        for _ in 0..10 {
            dead.push(token(&first).await);
            take_back(&first, &dead[dead.len() - 1]).await;
        }
        let seen = head(&client).await;
        let reached = async || api.feed().unwrap().sequence >= seen;
        until("the API has read it", &api, reached).await;
        let (one, two) = (token(&first).await, token(&second).await);
        assert!(takes(&api, &one).await && takes(&api, &two).await);

        client.batch_execute(LOSE).await.unwrap();
        if waits {
            let is_raised = async || head(&client).await >= seen;
            until("the head is raised", &api, is_raised).await;
        }
        take_back(&first, &one).await;
        take_back(&second, &two).await;
        dead.extend([one, two]);

        for token in &dead {
            for site in [&first, &second] {
                let is_dead = async || site.introspect(token).await["active"] == false;
                until("a node refuses it", &api, is_dead).await;
            }
            let is_refused = async || !takes(&api, token).await;
            until("an API refuses it", &api, is_refused).await;
        }
        let again = verifier(&second).await;
        for token in &dead {
            let is_refused = async || !takes(&again, token).await;
            until("an API that has just begun refuses it", &again, is_refused).await;
        }
        // Longer than it may be silent.
        let begin = Instant::now();
        let is_later = async || begin.elapsed() > FRESH + Duration::from_secs(2);
        until("it goes on", &api, is_later).await;
        assert!(head(&client).await >= seen + 2);
    }
    assert!(told(&first, &second).await > 0, "nobody was told");
    for program in programs {
        assert!(program.end().await.success());
    }
}

/// Another node was quicker: it took something back under a number that the
/// database had lost, before anybody saw a head that was lower.
const REUSE: &str = "UPDATE revocation SET target = $1
    WHERE sequence = (SELECT sequence FROM feed_head)";

/// R12: the head stands where it stood, and the last number means something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_given_out_again_after_a_lossy_failover_is_found_out() {
    let first = Site::planned(Plan::new(Engine::Postgres)).await;
    let second = first.node();
    let programs = [first.start().await, second.start().await];
    let (api, client) = (verifier(&first).await, database(&first).await);
    let (lost, other) = (token(&first).await, token(&first).await);
    take_back(&first, &lost).await;
    let seen = head(&client).await;
    let reached = async || api.feed().unwrap().sequence >= seen;
    until("the API has read it", &api, reached).await;
    let is_dead = async || second.introspect(&lost).await["active"] == false;
    until("the other node has read it", &api, is_dead).await;
    assert_eq!(first.introspect(&other).await["active"], true);

    let id: Id<Token> = claim(&other, "jti").unwrap().parse().unwrap();
    let bytes: &[u8] = id.as_bytes();
    assert_eq!(client.execute(REUSE, &[&bytes]).await.unwrap(), 1);

    for token in [&other, &lost] {
        for site in [&first, &second] {
            let is_dead = async || site.introspect(token).await["active"] == false;
            until("a node refuses it", &api, is_dead).await;
        }
        let is_refused = async || !takes(&api, token).await;
        until("an API refuses it", &api, is_refused).await;
    }
    let again = verifier(&second).await;
    let is_refused = async || !takes(&again, &lost).await && !takes(&again, &other).await;
    until(
        "an API that has just begun refuses both",
        &again,
        is_refused,
    )
    .await;
    // Whichever node mends it is told, and the other need not see it any more.
    let once = told(&first, &second).await;
    assert!(once > 0, "nobody was told");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        told(&first, &second).await,
        once,
        "it is found out again and again"
    );
    for program in programs {
        assert!(program.end().await.success());
    }
}
