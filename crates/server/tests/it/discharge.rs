//! Third-party caveats: a person signs in again, is a member, or says yes.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_token::Secret;
use symbolon_token::macaroon;

use crate::browser::{Browser, hidden};
use crate::exchange::world::{Asked, EXCHANGE, client};
use crate::harness::{Answer, PASSWORD, Server, read};
use crate::macaroon::{FILES, a_person_asks, asked as introspected, is_good, minted, narrow};
use crate::on_both_engines;

on_both_engines! {
    what_is_asked_is_told_to_the_very_person_alone
    whoever_signed_in_lately_is_discharged_after_saying_so
    an_old_sign_in_is_not_enough
    a_member_is_discharged_at_once_and_nobody_else
    a_person_approves_and_the_discharge_is_had_once
    an_approval_permits_what_was_shown_and_nothing_else
    what_is_to_be_approved_is_some_of_what_there_is
    a_macaroon_without_a_scope_just_now_is_approved_for_nothing
    nobody_is_asked_for_a_client_that_is_gone
    a_denial_is_told_and_final
    only_the_person_who_is_asked_decides
    a_form_that_was_not_shown_decides_nothing
    nobody_waits_for_ever
    a_caveat_is_made_for_the_clients_own_live_macaroon
    a_discharge_is_worth_nothing_at_another_macaroon
    a_membership_that_ended_takes_its_discharge_along
    a_person_who_is_disabled_takes_their_approval_along
    a_distrusted_key_takes_every_discharge_of_it_along
}

pub(crate) struct Caveat {
    root: String,
    id: String,
}

/// A macaroon of alice's with a third-party caveat.
pub(crate) async fn required(server: &Server, form: &[(&str, &str)]) -> Caveat {
    let tokens = Browser::new(server).tokens("alice", &a_person_asks()).await;
    add(server, &tokens.text("access_token"), form).await
}

async fn add(server: &Server, token: &str, form: &[(&str, &str)]) -> Caveat {
    let form = [&[("token", token)], form].concat();
    let made = server.form("/discharge/caveats", "baker", &form).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(made.text(name)).unwrap();
    let (id, key) = (bytes("caveat_id"), Secret::new(bytes("caveat_key")));
    let root = macaroon::require(token, &made.text("location"), &key, &id).unwrap();
    Caveat {
        root,
        id: made.text("caveat_id"),
    }
}

pub(crate) async fn post(server: &Server, path: &str, form: &[(&str, &str)]) -> Answer {
    let request = server.request(reqwest::Method::POST, path).form(form);
    read(request.send().await.unwrap()).await
}

pub(crate) async fn ask(server: &Server, caveat: &Caveat) -> Answer {
    post(server, "/discharge", &[("id", &caveat.id)]).await
}

pub(crate) async fn poll(server: &Server, asked: &Answer) -> Answer {
    let token = asked.text("poll_token");
    post(server, "/discharge/poll", &[("poll_token", &token)]).await
}

/// The page's path and query.
pub(crate) fn page(server: &Server, asked: &Answer) -> String {
    assert_eq!(asked.status, 202, "{}", asked.body);
    let uri = asked.text("interaction_uri");
    uri.strip_prefix(&server.name()).unwrap().to_owned()
}

async fn sign_in(browser: &mut Browser<'_>, username: &str, path: &str) -> Answer {
    let page = browser.get(path).await;
    assert!(page.body.contains(r#"id="login-submit""#), "{}", page.body);
    let fields = [("username", username), ("password", PASSWORD)];
    browser.submit("/approve", &page, &fields).await
}

async fn decide(browser: &mut Browser<'_>, page: &Answer, decision: &str) -> Answer {
    assert!(page.body.contains(r#"id="consent-allow""#), "{}", page.body);
    browser
        .submit("/approve", page, &[("decision", decision)])
        .await
}

async fn is_good_with(server: &Server, root: &str, discharge: &str) -> bool {
    let sent = macaroon::present(root, &[discharge]).unwrap();
    is_good(server, &sent, &[]).await
}

const SIGN_IN: [(&str, &str); 2] = [("require", "sign-in"), ("within", "10m")];
pub(crate) const APPROVAL: [(&str, &str); 3] = [
    ("require", "approval"),
    ("person", "Bob"),
    ("purpose", "Pay <b>invoice</b> 7"),
];

async fn whoever_signed_in_lately_is_discharged_after_saying_so(server: Server) {
    let mut browser = Browser::new(&server);
    let token = browser
        .tokens("alice", &a_person_asks())
        .await
        .text("access_token");
    let caveat = add(&server, &token, &SIGN_IN).await;
    assert!(
        !is_good(&server, &caveat.root, &[]).await,
        "not without a discharge"
    );
    server.advance(60);
    let asked = ask(&server, &caveat).await;
    assert_eq!(poll(&server, &asked).await.status, 202);

    let shown = browser.get(&page(&server, &asked)).await;
    assert_eq!(
        poll(&server, &asked).await.status,
        202,
        "opening the page decides nothing"
    );
    let done = decide(&mut browser, &shown, "allow").await;

    assert!(done.body.contains("Done"), "{}", done.body);
    let discharge = poll(&server, &asked).await.text("discharge");
    assert!(is_good_with(&server, &caveat.root, &discharge).await);
    let contents = macaroon::inspect(&discharge).unwrap();
    assert_eq!(
        format!("{:?}", contents.caveats)
            .matches("before = 2026-01-01T00:10:00Z")
            .count(),
        1
    );
    assert!(
        is_good_with(
            &server,
            &narrow(&caveat.root, &["scope = openid"]),
            &discharge
        )
        .await
    );
    server.advance(9 * 60);
    assert!(!is_good_with(&server, &caveat.root, &discharge).await);
}

async fn an_old_sign_in_is_not_enough(server: Server) {
    let mut browser = Browser::new(&server);
    let token = browser
        .tokens("alice", &a_person_asks())
        .await
        .text("access_token");
    let caveat = add(&server, &token, &[("require", "sign-in"), ("within", "1m")]).await;
    server.advance(61);
    let asked = ask(&server, &caveat).await;
    let path = page(&server, &asked);

    let wrong = browser.get(&path).await;
    let wrong = browser
        .submit(
            "/approve",
            &wrong,
            &[("username", "alice"), ("password", "guess")],
        )
        .await;
    assert_eq!(wrong.status, 422);
    assert_eq!(poll(&server, &asked).await.status, 202);
    let shown = sign_in(&mut browser, "alice", &path).await;
    decide(&mut browser, &shown, "allow").await;

    let discharge = poll(&server, &asked).await.text("discharge");
    assert!(is_good_with(&server, &caveat.root, &discharge).await);
    server.advance(60);
    assert!(!is_good_with(&server, &caveat.root, &discharge).await);
}

async fn a_member_is_discharged_at_once_and_nobody_else(server: Server) {
    let member = [("require", "membership"), ("organization", "acme")];
    let caveat = required(&server, &member).await;
    let elsewhere = required(&server, &[member[0], ("organization", "other")]).await;
    let bob = Browser::new(&server).tokens("bob", &a_person_asks()).await;
    let bobs = add(&server, &bob.text("access_token"), &member).await;

    let discharge = ask(&server, &caveat).await.text("discharge");

    assert!(is_good_with(&server, &caveat.root, &discharge).await);
    assert!(!is_good_with(&server, &bobs.root, &discharge).await);
    for other in [&elsewhere, &bobs] {
        let refused = ask(&server, other).await;
        assert_eq!(
            (refused.status, &*refused.refusal()),
            (403, "access_denied")
        );
    }
}

async fn a_person_approves_and_the_discharge_is_had_once(server: Server) {
    let caveat = required(&server, &APPROVAL).await;
    let asked = ask(&server, &caveat).await;
    let mut browser = Browser::new(&server);

    let shown = sign_in(&mut browser, "bob", &page(&server, &asked)).await;
    assert!(shown.body.contains("Bakery") && shown.body.contains("alice"));
    assert!(
        !shown.body.contains("<b>invoice"),
        "the words of a stranger are text"
    );
    assert_eq!(
        poll(&server, &asked).await.status,
        202,
        "a password is no approval"
    );
    decide(&mut browser, &shown, "allow").await;

    let discharge = poll(&server, &asked).await.text("discharge");
    assert!(is_good_with(&server, &caveat.root, &discharge).await);
    assert_eq!(poll(&server, &asked).await.refusal(), "invalid_grant");
    let again = browser
        .submit("/approve", &shown, &[("decision", "allow")])
        .await;
    assert_eq!(again.status, 400);
}

/// Whoever asks chooses the words of the purpose: what a yes permits stands on
/// the page, and in the discharge.
async fn an_approval_permits_what_was_shown_and_nothing_else(server: Server) {
    let token = minted(&server, &[("scope", "read:files write:files")]).await;
    let cases = [
        (None, "read:files write:files", ""),
        (Some("read:files"), "read:files", "write:files"),
    ];
    for (scope, permitted, other) in cases {
        let form: Vec<_> = APPROVAL
            .into_iter()
            .chain(scope.map(|scope| ("scope", scope)))
            .collect();
        let caveat = add(&server, &token, &form).await;
        let asked = ask(&server, &caveat).await;
        let mut browser = Browser::new(&server);

        let before = browser.get(&page(&server, &asked)).await;
        let shown = sign_in(&mut browser, "bob", &page(&server, &asked)).await;
        decide(&mut browser, &shown, "allow").await;
        let discharge = poll(&server, &asked).await.text("discharge");

        let said = |text: &str| format!("<code>{text}</code>");
        for scope in permitted.split(' ') {
            assert!(!before.body.contains(scope), "{}", before.body);
            assert!(shown.body.contains(&said(scope)), "{}", shown.body);
        }
        assert!(other.is_empty() || !shown.body.contains(other));
        assert!(shown.body.contains("files.example.com"), "{}", shown.body);
        let sent = macaroon::present(&caveat.root, &[&discharge]).unwrap();
        let told = introspected(&server, "files-api", &sent, &[]).await;
        assert_eq!(
            (&told["scope"], &told["aud"]),
            (&json!(permitted), &json!(FILES))
        );
    }
}

async fn what_is_to_be_approved_is_some_of_what_there_is(server: Server) {
    let token = minted(&server, &[("scope", "read:files")]).await;
    for scope in [
        "write:files",
        "read:files write:files",
        "read:desk",
        " ",
        "\u{7}",
    ] {
        let form = [&[("token", &*token), ("scope", scope)], &APPROVAL[..]].concat();
        let refused = server.form("/discharge/caveats", "baker", &form).await;
        assert_eq!(refused.refusal(), "invalid_scope", "{scope:?}");
    }
}

/// Scopes that come back after the caveat was made were never shown.
async fn a_macaroon_without_a_scope_just_now_is_approved_for_nothing(server: Server) {
    let token = minted(&server, &[("scope", "read:files")]).await;
    let path = "/admin/v1/resources/https%3A%2F%2Ffiles.example.com";
    let none = json!({ "scopes": [] });
    let taken = server.admin(Method::PATCH, path, Some(none)).await;
    assert_eq!(taken.status, 200, "{}", taken.body);

    let form = [&[("token", &*token)], &APPROVAL[..]].concat();
    let refused = server.form("/discharge/caveats", "baker", &form).await;

    assert_eq!(refused.refusal(), "invalid_scope");
}

/// A client that is gone is told nothing, and nobody is asked for it.
async fn nobody_is_asked_for_a_client_that_is_gone(server: Server) {
    let caveat = required(&server, &APPROVAL).await;
    let asked = ask(&server, &caveat).await;
    let path = "/admin/v1/clients/baker";
    let gone = server.admin(Method::DELETE, path, None).await;
    assert_eq!(gone.status, 204, "{}", gone.body);

    let shown = Browser::new(&server).get(&page(&server, &asked)).await;

    assert_eq!(shown.status, 400, "{}", shown.body);
}

async fn a_denial_is_told_and_final(server: Server) {
    let caveat = required(&server, &APPROVAL).await;
    let asked = ask(&server, &caveat).await;
    let mut browser = Browser::new(&server);
    let shown = sign_in(&mut browser, "bob", &page(&server, &asked)).await;

    let done = decide(&mut browser, &shown, "deny").await;

    assert!(done.body.contains("Denied"));
    let late = browser
        .submit("/approve", &shown, &[("decision", "allow")])
        .await;
    assert_eq!(late.status, 400);
    let told = poll(&server, &asked).await;
    assert_eq!((told.status, &*told.refusal()), (403, "access_denied"));
    assert_eq!(poll(&server, &asked).await.refusal(), "invalid_grant");
}

async fn only_the_person_who_is_asked_decides(server: Server) {
    let caveat = required(&server, &APPROVAL).await;
    let asked = ask(&server, &caveat).await;
    let mut alice = Browser::new(&server);

    let shown = sign_in(&mut alice, "alice", &page(&server, &asked)).await;
    assert_eq!(shown.status, 403);
    let forced = alice
        .submit("/approve", &shown, &[("decision", "allow")])
        .await;

    assert!(!forced.body.contains("Done"));
    assert_eq!(poll(&server, &asked).await.status, 202);
    let nobody = [APPROVAL[0], ("person", "nobody@example.com"), APPROVAL[2]];
    let caveat = required(&server, &nobody).await;
    assert_eq!(
        ask(&server, &caveat).await.status,
        202,
        "who exists is not told"
    );
}

async fn a_form_that_was_not_shown_decides_nothing(server: Server) {
    let caveat = required(&server, &APPROVAL).await;
    let asked = ask(&server, &caveat).await;
    let mut browser = Browser::new(&server);
    let shown = sign_in(&mut browser, "bob", &page(&server, &asked)).await;
    let csrf = hidden(&shown.body, "csrf").unwrap();
    let request = hidden(&shown.body, "transaction").unwrap();
    let other = ask(&server, &caveat).await;
    let other_page = browser.get(&page(&server, &other)).await;
    let other_csrf = hidden(&other_page.body, "csrf").unwrap();
    assert_ne!(csrf, other_csrf);
    let cookies: Vec<_> = browser
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let send = |csrf: Option<String>, cookies: String| {
        let mut form = vec![
            ("transaction", request.clone()),
            ("decision", "allow".to_owned()),
        ];
        form.extend(csrf.map(|csrf| ("csrf", csrf)));
        let sent = server
            .request(reqwest::Method::POST, "/approve")
            .form(&form);
        let sent = sent.header("cookie", cookies);
        async move { read(sent.send().await.unwrap()).await }
    };

    for (csrf, cookies) in [
        (None, cookies.join("; ")),
        (Some(other_csrf), cookies.join("; ")),
        (Some("0".repeat(64)), cookies.join("; ")),
        (Some(csrf.clone()), String::new()),
    ] {
        assert_eq!(send(csrf, cookies).await.status, 403);
        assert_eq!(poll(&server, &asked).await.status, 202);
    }
    assert_eq!(send(Some(csrf), cookies.join("; ")).await.status, 200);
    assert_eq!(poll(&server, &asked).await.status, 200);
}

async fn nobody_waits_for_ever(server: Server) {
    let caveat = required(&server, &APPROVAL).await;
    let asked = ask(&server, &caveat).await;
    let path = page(&server, &asked);
    server.advance(601);

    assert_eq!(poll(&server, &asked).await.refusal(), "invalid_grant");
    assert_eq!(Browser::new(&server).get(&path).await.status, 400);
    assert_eq!(
        Browser::new(&server)
            .get("/approve?request=dis_x")
            .await
            .status,
        400
    );
    for forged in ["", "sym_tx_abc", "x"] {
        let answer = post(&server, "/discharge/poll", &[("poll_token", forged)]).await;
        assert_eq!(answer.refusal(), "invalid_grant");
        let answer = post(&server, "/discharge", &[("id", forged)]).await;
        assert_eq!(answer.refusal(), "invalid_request");
    }
    let mut limited = false;
    for _ in 0..10 {
        limited |= ask(&server, &caveat).await.status == 429;
    }
    assert!(limited, "a person is not asked without end");
}

/// Asks for a caveat: who, about what, requiring what, with one thing more.
async fn make(server: &Server, client: &str, token: &str, asked: [&str; 3]) -> Answer {
    let [require, name, value] = asked;
    let form = [("token", token), ("require", require), (name, value)];
    server.form("/discharge/caveats", client, &form).await
}

async fn a_caveat_is_made_for_the_clients_own_live_macaroon(server: Server) {
    let tokens = Browser::new(&server)
        .tokens("alice", &a_person_asks())
        .await;
    let token = &*tokens.text("access_token");
    let own = &*minted(&server, &[]).await;
    let good = ["sign-in", "within", "10m"];
    let cases = [
        ("web", token, good, "invalid_grant"),
        ("baker", "sym_at_x", good, "invalid_grant"),
        (
            "baker",
            token,
            ["sign-in", "within", "2h"],
            "invalid_request",
        ),
        (
            "baker",
            token,
            ["sign-in", "within", "soon"],
            "invalid_request",
        ),
        (
            "baker",
            token,
            ["membership", "organization", ""],
            "invalid_request",
        ),
        (
            "baker",
            token,
            ["approval", "purpose", "x"],
            "invalid_request",
        ),
        (
            "baker",
            token,
            ["magic", "within", "10m"],
            "invalid_request",
        ),
        ("baker", own, good, "invalid_request"),
    ];

    for (client, token, asked, error) in cases {
        let refused = make(&server, client, token, asked).await;
        assert_eq!(refused.refusal(), error, "{client} {asked:?}");
    }
    assert_eq!(make(&server, "baker", token, good).await.status, 200);
    server.form("/revoke", "baker", &[("token", token)]).await;
    let dead = make(&server, "baker", token, good).await;
    assert_eq!(dead.refusal(), "invalid_grant");
}

async fn a_discharge_is_worth_nothing_at_another_macaroon(server: Server) {
    let member = [("require", "membership"), ("organization", "acme")];
    let caveat = required(&server, &member).await;
    let other = required(&server, &member).await;
    let discharge = ask(&server, &caveat).await.text("discharge");
    let sent = macaroon::present(&caveat.root, &[&discharge]).unwrap();
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    let bound = bytes(&sent)[bytes(&caveat.root).len()..].to_vec();
    let write = |parts: [Vec<u8>; 2]| BASE64_URL_SAFE_NO_PAD.encode(parts.concat());

    let child = narrow(&caveat.root, &["scope = openid"]);
    assert!(
        !is_good(&server, &write([bytes(&child), bound]), &[]).await,
        "bound to its parent"
    );
    assert!(
        !is_good(
            &server,
            &write([bytes(&caveat.root), bytes(&discharge)]),
            &[]
        )
        .await,
        "unbound"
    );
    assert!(!is_good_with(&server, &other.root, &discharge).await);
    assert!(!is_good(&server, &discharge, &[]).await, "alone");
    assert!(is_good(&server, &sent, &[]).await);
}

const MEMBER: [(&str, &str); 2] = [("require", "membership"), ("organization", "acme")];

/// Lets the client of macaroons exchange its own.
async fn let_exchange(server: &Server) {
    let grants = json!({ "grants": ["client_credentials", "authorization_code", EXCHANGE] });
    client(server, "baker", grants).await;
}

async fn approved(server: &Server, caveat: &Caveat) -> String {
    let asked = ask(server, caveat).await;
    let mut browser = Browser::new(server);
    let shown = sign_in(&mut browser, "bob", &page(server, &asked)).await;
    decide(&mut browser, &shown, "allow").await;
    let discharge = poll(server, &asked).await.text("discharge");
    macaroon::present(&caveat.root, &[&discharge]).unwrap()
}

async fn act(server: &Server, method: Method, path: &str) {
    let done = server.admin(method, path, None).await;
    assert!(done.status < 300, "{path}: {}", done.body);
}

async fn a_membership_that_ended_takes_its_discharge_along(server: Server) {
    let_exchange(&server).await;
    let caveat = required(&server, &MEMBER).await;
    let approval = approved(&server, &required(&server, &APPROVAL).await).await;
    let discharge = ask(&server, &caveat).await.text("discharge");
    let sent = macaroon::present(&caveat.root, &[&discharge]).unwrap();
    let derived = Asked::of("access_token", &sent)
        .token(&server, "baker")
        .await;
    assert!(is_good(&server, &sent, &[]).await && is_good(&server, &derived, &[]).await);

    let member = "/admin/v1/organizations/acme/members/alice";
    act(&server, Method::DELETE, member).await;

    assert!(!is_good(&server, &sent, &[]).await);
    assert!(
        !is_good(&server, &derived, &[]).await,
        "and what came of it"
    );
    assert!(is_good(&server, &approval, &[]).await, "bob's word stands");
    assert_eq!(ask(&server, &caveat).await.refusal(), "access_denied");
}

async fn a_person_who_is_disabled_takes_their_approval_along(server: Server) {
    let_exchange(&server).await;
    let caveat = required(&server, &APPROVAL).await;
    let sent = approved(&server, &caveat).await;
    let waiting = ask(&server, &caveat).await;
    // What was approved was approved there: nothing else is made of it.
    let exchanged = Asked::of("access_token", &sent).by(&server, "baker").await;
    assert_eq!(exchanged.refusal(), "invalid_request");
    assert!(is_good(&server, &sent, &[]).await);

    act(&server, Method::POST, "/admin/v1/users/bob/disable").await;

    assert!(!is_good(&server, &sent, &[]).await);
    act(&server, Method::POST, "/admin/v1/users/bob/enable").await;
    assert!(
        !is_good(&server, &sent, &[]).await,
        "a word is taken back once"
    );
    assert_eq!(poll(&server, &waiting).await.status, 202);
    let again = approved(&server, &required(&server, &APPROVAL).await).await;
    assert!(is_good(&server, &again, &[]).await);
}

async fn a_distrusted_key_takes_every_discharge_of_it_along(server: Server) {
    let_exchange(&server).await;
    let caveat = required(&server, &MEMBER).await;
    let discharge = ask(&server, &caveat).await.text("discharge");
    let sent = macaroon::present(&caveat.root, &[&discharge]).unwrap();
    let bare = minted(&server, &[]).await;
    let derived = Asked::of("access_token", &sent)
        .token(&server, "baker")
        .await;
    assert!(is_good(&server, &sent, &[]).await);
    let keys = server
        .admin(Method::GET, "/admin/v1/keys", None)
        .await
        .json();
    let mut keys = keys["items"].as_array().unwrap().iter();
    let of_discharges = |key: &&Value| key["purpose"] == "discharge" && key["state"] == "active";
    let kid = keys.find(of_discharges).unwrap()["kid"].as_str().unwrap();

    let path = format!("/admin/v1/keys/{kid}/distrust");
    act(&server, Method::POST, &path).await;

    assert!(!is_good(&server, &sent, &[]).await);
    assert!(
        !is_good(&server, &derived, &[]).await,
        "and what came of it"
    );
    assert!(is_good(&server, &bare, &[]).await, "others live");
    let caveat = required(&server, &MEMBER).await;
    let discharge = ask(&server, &caveat).await.text("discharge");
    assert!(is_good_with(&server, &caveat.root, &discharge).await);
}

async fn what_is_asked_is_told_to_the_very_person_alone(server: Server) {
    let caveat = required(&server, &APPROVAL).await;
    let asked = ask(&server, &caveat).await;
    let path = page(&server, &asked);
    let told = |page: &Answer| {
        let words = ["invoice", "Bakery", "alice", "The question came from"];
        words.map(|word| page.body.contains(word))
    };
    let mut stranger = Browser::new(&server);

    let before = stranger.get(&path).await;
    let fields = [("username", "bob"), ("password", "guess")];
    let wrong = stranger.submit("/approve", &before, &fields).await;
    let mut alice = Browser::new(&server);
    let elsewhere = sign_in(&mut alice, "alice", &path).await;
    let mut bob = Browser::new(&server);
    let after = sign_in(&mut bob, "bob", &path).await;

    assert_eq!(told(&before), [false; 4], "{}", before.body);
    assert_eq!(told(&wrong), [false; 4], "{}", wrong.body);
    assert!(!elsewhere.body.contains("invoice") && !elsewhere.body.contains("Bakery"));
    assert_eq!(elsewhere.status, 403);
    assert!(after.body.contains("invoice") && after.body.contains("Bakery"));
    let done = decide(&mut bob, &after, "allow").await;
    assert!(done.body.contains("Done"), "{}", done.body);
}
