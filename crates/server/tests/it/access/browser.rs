//! What people's browsers call. Each row has a server of its own, because its
//! clock moves past the end of everything.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::{Row, row, with};
use crate::browser::{Browser, encode, hidden, request};
use crate::harness::{Answer, PASSWORD, Server};

/// Longer than a transaction lives, and than a session lives unused.
const TOO_LATE: u64 = 9 * 60 * 60;

async fn ask(
    browser: &mut Browser<'_>,
    method: &Method,
    asked: &BTreeMap<String, String>,
) -> Answer {
    if *method == Method::GET {
        return browser.authorize(asked).await;
    }
    let form: Vec<_> = asked.clone().into_iter().collect();
    let answer = browser.send(Method::POST, "/authorize", Some(&form)).await;
    browser.follow(answer).await
}

async fn sign_out(browser: &mut Browser<'_>) {
    let page = browser.get("/logout").await;
    let bye = browser
        .submit("/logout", &page, &[("confirm", "yes")])
        .await;
    assert_eq!(bye.status, 200, "{}", bye.body);
}

/// A second browser with the cookies of a first.
fn copy<'s>(browser: &Browser<'s>) -> Browser<'s> {
    let mut copy = Browser::new(browser.server);
    copy.cookies.clone_from(&browser.cookies);
    copy
}

pub(super) async fn authorize(server: &Server, method: &Method) -> Row {
    let silent = |pairs: &[(&str, &str)]| with(&[&[("prompt", "none")], pairs].concat());
    let foreign = json!({ "id": "globex", "name": "Globex" });
    let made = server.admin(Method::POST, "/admin/v1/organizations", Some(foreign));
    assert_eq!(made.await.status, 201);
    let mut own = Browser::new(server);
    own.code("alice", &request()).await;
    let right = ask(&mut own, method, &silent(&[])).await;
    let none = ask(&mut Browser::new(server), method, &silent(&[])).await;
    let wrong = ask(&mut own, method, &silent(&[("client_id", "nobody")])).await;
    let narrow = ask(&mut own, method, &silent(&[("scope", "openid admin")])).await;
    let tenant = ask(&mut own, method, &silent(&[("organization", "globex")])).await;
    let mut former = copy(&own);
    sign_out(&mut own).await;
    let replayed = ask(&mut former, method, &silent(&[])).await;
    own.code("alice", &request()).await;
    server.advance(TOO_LATE);
    let expired = ask(&mut own, method, &silent(&[])).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        Some(&narrow),
        Some(&expired),
        Some(&replayed),
        Some(&tenant),
    ])
}

/// Opens the page of a form, or sends the form as it was found there.
async fn bring(
    browser: &mut Browser<'_>,
    (method, path): (&Method, &str),
    page: Option<&Answer>,
    fields: &[(&str, &str)],
) -> Answer {
    let transaction = page.and_then(|page| hidden(&page.body, "transaction"));
    let csrf = page.and_then(|page| hidden(&page.body, "csrf"));
    let own = [("transaction", transaction), ("csrf", csrf)];
    let own = own
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    if *method == Method::GET {
        let own: BTreeMap<_, _> = own.filter(|(name, _)| name == "transaction").collect();
        return browser.get(&format!("{path}?{}", encode(&own))).await;
    }
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let form: Vec<_> = own.chain(fields).collect();
    let answer = browser.send(Method::POST, path, Some(&form)).await;
    browser.follow(answer).await
}

pub(super) async fn login(server: &Server, method: &Method) -> Row {
    let (form, fields) = (
        (method, "/login"),
        [("username", "alice"), ("password", PASSWORD)],
    );
    let mut own = Browser::new(server);
    let page = own.authorize(&request()).await;
    let none = bring(&mut copy(&own), form, None, &fields).await;
    let mut stranger = Browser::new(server);
    stranger.authorize(&request()).await;
    let wrong = bring(&mut stranger, form, Some(&page), &fields).await;
    let right = bring(&mut copy(&own), form, Some(&page), &fields).await;
    server.advance(TOO_LATE);
    let expired = bring(&mut own, form, Some(&page), &fields).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        None,
        None,
    ])
}

pub(super) async fn consent(server: &Server, method: &Method) -> Row {
    let (form, fields) = ((method, "/consent"), [("decision", "allow")]);
    let mut own = Browser::new(server);
    let page = own.authorize(&request()).await;
    let page = own.sign_in(&page, "alice", PASSWORD).await;
    let none = bring(&mut copy(&own), form, None, &fields).await;
    let mut stranger = Browser::new(server);
    stranger.code("bob", &request()).await;
    let wrong = bring(&mut stranger, form, Some(&page), &fields).await;
    // The other person signs in within the same browser.
    let mut shared = Browser::new(server);
    let first = shared.authorize(&request()).await;
    let first = shared.sign_in(&first, "alice", PASSWORD).await;
    let again = shared.authorize(&with(&[("prompt", "login")])).await;
    shared.sign_in(&again, "bob", PASSWORD).await;
    let tenant = bring(&mut shared, form, Some(&first), &fields).await;
    let mut former = Browser::new(server);
    let shown = former.authorize(&request()).await;
    let shown = former.sign_in(&shown, "alice", PASSWORD).await;
    let mut thief = copy(&former);
    sign_out(&mut former).await;
    let replayed = bring(&mut thief, form, Some(&shown), &fields).await;
    let right = bring(&mut copy(&own), form, Some(&page), &fields).await;
    server.advance(TOO_LATE);
    let expired = bring(&mut own, form, Some(&page), &fields).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        Some(&replayed),
        Some(&tenant),
    ])
}

async fn leave(browser: &mut Browser<'_>, pairs: &[(&str, &str)]) -> Answer {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    browser.get(&format!("/logout?{query}")).await
}

pub(super) async fn logout(server: &Server) -> Row {
    let mut own = Browser::new(server);
    let hint = own.tokens("alice", &request()).await.text("id_token");
    let bobs = Browser::new(server).tokens("bob", &request()).await;
    let bobs = bobs.text("id_token");
    let none = leave(&mut Browser::new(server), &[]).await;
    let other = [("id_token_hint", &*hint), ("client_id", "other")];
    let wrong = leave(&mut own, &other).await;
    let tenant = leave(&mut own, &[("id_token_hint", &bobs)]).await;
    let bye = ("post_logout_redirect_uri", "https://app.example.com/bye");
    let mut former = copy(&own);
    let right = leave(&mut own, &[("id_token_hint", &hint), bye]).await;
    let replayed = leave(&mut former, &[("id_token_hint", &hint), bye]).await;
    let hint = own.tokens("alice", &request()).await.text("id_token");
    server.advance(TOO_LATE);
    let expired = leave(&mut own, &[("id_token_hint", &hint), bye]).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        Some(&replayed),
        Some(&tenant),
    ])
}

pub(super) async fn confirm_logout(server: &Server) -> Row {
    let (form, fields) = ((&Method::POST, "/logout"), [("confirm", "yes")]);
    let mut own = Browser::new(server);
    own.code("alice", &request()).await;
    let page = own.get("/logout").await;
    let none = bring(&mut copy(&own), form, None, &fields).await;
    let mut stranger = Browser::new(server);
    stranger.code("bob", &request()).await;
    let wrong = bring(&mut stranger, form, Some(&page), &fields).await;
    let mut shared = copy(&own);
    let again = shared.authorize(&with(&[("prompt", "login")])).await;
    let mut thief = copy(&own);
    let right = bring(&mut own, form, Some(&page), &fields).await;
    let replayed = bring(&mut thief, form, Some(&page), &fields).await;
    shared.sign_in(&again, "bob", PASSWORD).await;
    let tenant = bring(&mut shared, form, Some(&page), &fields).await;
    own.code("alice", &request()).await;
    let page = own.get("/logout").await;
    server.advance(TOO_LATE);
    let expired = bring(&mut own, form, Some(&page), &fields).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        Some(&replayed),
        Some(&tenant),
    ])
}

/// The page, or a button of it: signing out everywhere else.
pub(super) async fn account(server: &Server, method: &Method) -> Row {
    let mut own = Browser::new(server);
    own.code("alice", &request()).await;
    Browser::new(server).code("alice", &request()).await;
    let page = own.get("/account").await;
    let at = page.body.find(r#"value="sign-out-others""#).unwrap();
    let form = Answer {
        status: page.status,
        headers: page.headers,
        // From the form's own ties on.
        body: page.body[page.body[..at].rfind("<form").unwrap()..].to_owned(),
    };
    let call = (method, "/account");
    let mut stranger = Browser::new(server);
    let none = bring(&mut stranger, call, Some(&form), &[]).await;
    let mut bobs = Browser::new(server);
    bobs.code("bob", &request()).await;
    let tenant = bring(&mut bobs, call, Some(&form), &[]).await;
    let mut half = copy(&own);
    half.cookies.retain(|name, _| !name.ends_with("browser"));
    let wrong = bring(&mut half, call, Some(&form), &[]).await;
    let right = bring(&mut own, call, Some(&form), &[]).await;
    let mut former = copy(&own);
    sign_out(&mut own).await;
    let replayed = bring(&mut former, call, Some(&form), &[]).await;
    own.code("alice", &request()).await;
    server.advance(TOO_LATE);
    let expired = bring(&mut own, call, Some(&form), &[]).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        Some(&replayed),
        Some(&tenant),
    ])
}
