//! Rows of what is about macaroons: keys of resources, and discharges.

use reqwest::Method;

use super::{Row, bare, row};
use crate::browser::Browser;
use crate::discharge::{APPROVAL, ask, page, poll as ask_again, post, required};
use crate::harness::{Answer, Server};
use crate::macaroon::{DESK, a_person_asks};

pub(super) async fn keys(server: &Server) -> Row {
    let form = [("resource", DESK)];
    let right = server.form("/macaroon-keys", "desk-api", &form).await;
    let none = post(server, "/macaroon-keys", &form).await;
    let wrong = server.form("/macaroon-keys", "spa", &form).await;
    let foreign = server.form("/macaroon-keys", "files-api", &form).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        None,
        None,
        Some(&foreign),
    ])
}

pub(super) async fn caveats(server: &Server) -> Row {
    let made = async |client: &str, token: &str| {
        let form = [("token", token), ("require", "sign-in"), ("within", "10m")];
        server.form("/discharge/caveats", client, &form).await
    };
    let mut browser = Browser::new(server);
    let old = browser.tokens("alice", &a_person_asks()).await;
    server.advance(601);
    let tokens = browser.tokens("alice", &a_person_asks()).await;
    let (old, token) = (old.text("access_token"), tokens.text("access_token"));
    let form = [
        ("token", &*token),
        ("require", "sign-in"),
        ("within", "10m"),
    ];
    let right = made("baker", &token).await;
    let none = post(server, "/discharge/caveats", &form).await;
    let wrong = made("other", &token).await;
    let expired = made("baker", &old).await;
    server.form("/revoke", "baker", &[("token", &token)]).await;
    let replayed = made("baker", &token).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        Some(&replayed),
        None,
    ])
}

pub(super) async fn discharge(server: &Server) -> Row {
    let caveat = required(server, &APPROVAL).await;
    let right = ask(server, &caveat).await;
    let none = bare(server, Method::POST, "/discharge").await;
    row([Some(&right), Some(&none), None, None, None, None, None])
}

pub(super) async fn poll(server: &Server) -> Row {
    let caveat = required(server, &APPROVAL).await;
    let asked = ask(server, &caveat).await;
    let right = ask_again(server, &asked).await;
    let none = bare(server, Method::POST, "/discharge/poll").await;
    server.advance(601);
    let expired = ask_again(server, &asked).await;
    with_expired(&right, &none, &expired)
}

pub(super) async fn approve(server: &Server, method: &Method) -> Row {
    let caveat = required(server, &APPROVAL).await;
    let path = page(server, &ask(server, &caveat).await);
    let mut browser = Browser::new(server);
    let shown = browser.get(&path).await;
    let none = bare(server, method.clone(), "/approve").await;
    if *method == Method::GET {
        server.advance(601);
        let expired = browser.get(&path).await;
        return with_expired(&shown, &none, &expired);
    }
    let fields = [("username", "bob"), ("password", crate::harness::PASSWORD)];
    let right = browser.submit("/approve", &shown, &fields).await;
    server.advance(601);
    let expired = browser
        .submit("/approve", &right, &[("decision", "allow")])
        .await;
    with_expired(&right, &none, &expired)
}

fn with_expired(right: &Answer, none: &Answer, expired: &Answer) -> Row {
    row([
        Some(right),
        Some(none),
        None,
        None,
        Some(expired),
        None,
        None,
    ])
}
