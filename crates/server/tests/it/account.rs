//! The account page: people see what is theirs, and each button takes back what
//! it names and nothing else.

use reqwest::Method;
use serde_json::Value;

use crate::browser::{Browser, request};
use crate::harness::{Answer, PASSWORD, Server};
use crate::on_both_engines;

on_both_engines! {
    people_see_what_is_theirs_and_nobody_elses
    an_application_whose_access_is_taken_away_is_dead_and_others_go_on
    a_device_is_signed_out_and_the_others_stay
    signing_out_everywhere_else_asks_for_a_sign_in_of_the_last_minutes
    everything_ends_where_it_was_not_me
    another_password_ends_all_but_this_browser
    a_password_is_changed_by_who_has_the_old_one_alone
    what_is_another_persons_is_answered_as_what_there_is_not
    a_button_works_in_its_browser_and_its_session_alone
    more_applications_than_fit_are_on_the_next_page
}

/// A password that nobody has yet.
const ANOTHER: &str = "another horse battery";
/// Longer than a sign-in counts as one of the last minutes.
const TOO_LONG_AGO: u64 = 11 * 60;

/// The forms of a page: what each is for, and what ties it.
fn forms(page: &Answer) -> Vec<(String, String)> {
    let value = |rest: &str| {
        Some(
            rest.split(r#"value=""#)
                .nth(1)?
                .split('"')
                .next()?
                .to_owned(),
        )
    };
    let forms = page.body.split(r#"name="transaction""#).skip(1);
    forms
        .map(|form| {
            let transaction = value(form).unwrap();
            let csrf = form.split(r#"name="csrf""#).nth(1).and_then(value);
            (transaction, csrf.unwrap())
        })
        .collect()
}

/// The forms whose purpose begins with a word.
fn forms_for(page: &Answer, word: &str) -> Vec<(String, String)> {
    let mut forms = forms(page);
    forms.retain(|(transaction, _)| transaction.starts_with(word));
    forms
}

/// A browser with somebody at their account page.
async fn at_home<'s>(server: &'s Server, who: &str) -> (Browser<'s>, Answer) {
    let mut browser = Browser::new(server);
    let login = browser.get("/account").await;
    assert!(
        login.body.contains(r#"id="login-submit""#),
        "{}",
        login.body
    );
    let page = browser.sign_in(&login, who, PASSWORD).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("Your account"), "{}", page.body);
    (browser, page)
}

/// Presses a button; the answer is where that leads.
async fn press(browser: &mut Browser<'_>, form: &(String, String)) -> Answer {
    press_with(browser, form, &[]).await
}

async fn press_with(
    browser: &mut Browser<'_>,
    (transaction, csrf): &(String, String),
    fields: &[(&str, &str)],
) -> Answer {
    let own = [("transaction", &**transaction), ("csrf", csrf)];
    let pairs = own.iter().chain(fields);
    let form: Vec<(String, String)> = pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let answer = browser.send(Method::POST, "/account", Some(&form)).await;
    browser.follow(answer).await
}

/// Whether a client's refresh token still works; where it does, the answer is
/// put in its place.
async fn renews(server: &Server, client: &str, tokens: &mut Answer) -> bool {
    let token = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    let renewed = server.token(client, &form).await;
    let works = renewed.status == 200;
    if works {
        *tokens = renewed;
    }
    works
}

async fn lives(server: &Server, tokens: &Answer) -> bool {
    let access = tokens.text("access_token");
    let is_active = server.is_active(&access).await;
    assert_eq!(server.userinfo(&access).await.status == 200, is_active);
    is_active
}

/// What the audit trail has of an action.
async fn told(server: &Server, action: &str) -> Vec<Value> {
    let path = format!("/admin/v1/audit?action={action}");
    let list = server.admin(Method::GET, &path, None).await.json();
    list["items"].as_array().unwrap().clone()
}

async fn id_of(server: &Server, who: &str) -> String {
    let path = format!("/admin/v1/users/{who}");
    server.admin(Method::GET, &path, None).await.text("id")
}

fn of_other() -> std::collections::BTreeMap<String, String> {
    let mut asked = request();
    asked.insert("client_id".into(), "other".into());
    let uri = "https://other.example.com/callback";
    asked.insert("redirect_uri".into(), uri.into());
    asked
}

async fn people_see_what_is_theirs_and_nobody_elses(server: Server) {
    let mut asked = request();
    asked.insert("organization".into(), "acme".into());
    Browser::new(&server).tokens("alice", &asked).await;
    server.advance(3 * 60 * 60);
    Browser::new(&server).tokens("bob", &of_other()).await;

    let (mut alice, page) = at_home(&server, "alice").await;
    let (_, bobs) = at_home(&server, "bob").await;

    for said in [
        "Alice Example",
        "Example Shop",
        "for-acme",
        "See your orders",
        "read:orders",
        "This browser",
        "with a password",
        "127.0.0.x",
        "3 hours ago",
        "Last renewed",
    ] {
        let said = said.replace("for-acme", "It acts for <bdi>Acme</bdi>");
        assert!(page.body.contains(&said), "{said}: {}", page.body);
    }
    assert_eq!(forms_for(&page, "sign-out ").len(), 2);
    assert_eq!(forms_for(&page, "withdraw ").len(), 1);
    assert!(!page.body.contains("Another Shop"));
    assert!(bobs.body.contains("Another Shop") && !bobs.body.contains("Example Shop"));
    let none = |own: &(String, String)| !bobs.body.contains(&own.0);
    assert!(forms_for(&page, "withdraw ").iter().all(none));
    // Looking changes nothing.
    let before = server.commits();
    alice.get("/account").await;
    assert_eq!(server.commits(), before);
}

async fn an_application_whose_access_is_taken_away_is_dead_and_others_go_on(server: Server) {
    let mut shop = Browser::new(&server).tokens("alice", &request()).await;
    let mut other = Browser::new(&server).tokens("alice", &of_other()).await;
    let mut bobs = Browser::new(&server).tokens("bob", &request()).await;
    let nodes = server.second_node().await;
    let (mut browser, page) = at_home(&server, "alice").await;
    let path = "/admin/v1/grants?user=alice";
    let grants = server.admin(Method::GET, path, None).await.json();
    let grant = grants["items"].as_array().unwrap();
    let grant = grant.iter().find(|own| own["client"] == "web").unwrap();
    let grant = grant["id"].as_str().unwrap();
    let form = forms_for(&page, &format!("withdraw {grant}"));

    let done = press(&mut browser, &form[0]).await;

    assert!(
        done.body.contains("Example Shop has no access any more."),
        "{}",
        done.body
    );
    assert_eq!(forms_for(&done, "withdraw ").len(), 1);
    assert!(!lives(&server, &shop).await && !renews(&server, "web", &mut shop).await);
    assert!(lives(&server, &other).await && renews(&server, "other", &mut other).await);
    assert!(lives(&server, &bobs).await && renews(&server, "web", &mut bobs).await);
    if let Some(node) = nodes {
        let deadline = tokio::time::Instant::now() + crate::withdrawal::soon();
        while node.is_active(&shop.text("access_token")).await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the other node goes on"
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let told = told(&server, "grant.withdraw").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let alice = id_of(&server, "alice").await;
    let said = |name: &str| told[0][name].as_str().unwrap().to_owned();
    assert_eq!((said("actor"), said("subject")), (alice.clone(), alice));
    assert_eq!(said("client"), "web");
    assert_eq!(told[0]["detail"]["grant"], grant);
    // A second press says the same and writes nothing.
    let before = server.commits();
    let again = press(&mut browser, &form[0]).await;
    assert_eq!((again.status, server.commits()), (200, before));
}

async fn a_device_is_signed_out_and_the_others_stay(server: Server) {
    let mut phone = Browser::new(&server);
    let mut online = request();
    online.insert("client_id".into(), "cli".into());
    online.insert("redirect_uri".into(), "http://127.0.0.1/callback".into());
    online.insert("scope".into(), "openid read:orders".into());
    let mut while_there = phone.tokens("alice", &online).await;
    server.advance(5);
    let mut tablet = Browser::new(&server);
    let mut offline = tablet.tokens("alice", &request()).await;
    let (mut browser, page) = at_home(&server, "alice").await;
    let sessions = server
        .admin(Method::GET, "/admin/v1/sessions?user=alice", None)
        .await
        .json();
    let sessions = sessions["items"].as_array().unwrap();
    let first = sessions.iter().min_by_key(|own| own["created"].to_string());
    let first = first.unwrap()["id"].as_str().unwrap();
    let form = forms_for(&page, &format!("sign-out {first}"));

    let done = press(&mut browser, &form[0]).await;

    assert!(
        done.body.contains("That device is signed out."),
        "{}",
        done.body
    );
    assert!(!renews(&server, "cli", &mut while_there).await);
    assert!(!lives(&server, &while_there).await);
    assert!(
        renews(&server, "web", &mut offline).await,
        "it may work while they are away"
    );
    assert!(phone.get("/account").await.body.contains("login-submit"));
    assert_eq!(
        forms_for(&tablet.get("/account").await, "sign-out ").len(),
        2
    );
    // The one that looks signs itself out, and loses its cookie.
    let page = browser.get("/account").await;
    let here = page.body.split("This browser").nth(1).unwrap();
    let here = here.split(r#"name="transaction" value=""#).nth(1).unwrap();
    let here = here.split('"').next().unwrap();
    let bye = press(&mut browser, &forms_for(&page, here)[0]).await;
    assert!(bye.body.contains("You are signed out"), "{}", bye.body);
    assert!(!browser.cookies.keys().any(|name| name.ends_with("session")));
    assert!(browser.get("/account").await.body.contains("login-submit"));
    let told = told(&server, "session.end").await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["detail"]["session"], first);
}

async fn signing_out_everywhere_else_asks_for_a_sign_in_of_the_last_minutes(server: Server) {
    let (mut browser, _) = at_home(&server, "alice").await;
    let mut phone = Browser::new(&server);
    phone.tokens("alice", &request()).await;
    let mut bobs = at_home(&server, "bob").await.0;
    server.advance(TOO_LONG_AGO);
    let page = browser.get("/account").await;
    let form = forms_for(&page, "sign-out-others");

    let login = press(&mut browser, &form[0]).await;

    assert!(
        login.body.contains(r#"id="login-submit""#),
        "{}",
        login.body
    );
    assert!(phone.get("/account").await.body.contains("Your account"));
    let again = browser.sign_in(&login, "alice", PASSWORD).await;
    assert!(
        again.body.contains(r#"id="account-again""#),
        "{}",
        again.body
    );
    assert!(again.body.contains("Sign out everywhere else</button>"));
    assert!(
        phone.get("/account").await.body.contains("Your account"),
        "not yet"
    );
    let done = press(&mut browser, &forms_for(&again, "sign-out-others")[0]).await;
    assert!(
        done.body.contains("One other device is signed out."),
        "{}",
        done.body
    );
    assert!(phone.get("/account").await.body.contains("login-submit"));
    assert!(browser.get("/account").await.body.contains("This browser"));
    assert!(bobs.get("/account").await.body.contains("Your account"));
    let told = told(&server, "session.end_others").await;
    assert_eq!(told.len(), 1, "{told:?}");
}

async fn everything_ends_where_it_was_not_me(server: Server) {
    let mut shop = Browser::new(&server).tokens("alice", &request()).await;
    let mut bobs = Browser::new(&server).tokens("bob", &request()).await;
    let mut thief = Browser::new(&server);
    thief.tokens("alice", &of_other()).await;
    let (mut browser, page) = at_home(&server, "alice").await;

    let over = press(&mut browser, &forms_for(&page, "everything")[0]).await;

    assert!(over.body.contains("Everything has ended"), "{}", over.body);
    assert!(!lives(&server, &shop).await && !renews(&server, "web", &mut shop).await);
    assert!(lives(&server, &bobs).await && renews(&server, "web", &mut bobs).await);
    for former in [&mut browser, &mut thief] {
        assert!(former.get("/account").await.body.contains("login-submit"));
    }
    // Whoever comes back is asked for everything anew, and may begin again.
    let mut again = Browser::new(&server);
    let login = again.authorize(&request()).await;
    let consent = again.sign_in(&login, "alice", PASSWORD).await;
    assert!(
        consent.body.contains(r#"id="consent-allow""#),
        "{}",
        consent.body
    );
    let fresh = again.tokens("alice", &request()).await;
    assert!(lives(&server, &fresh).await);
    assert_eq!(told(&server, "user.take_all_back").await.len(), 1);
    // A sign-in of long ago is not enough.
    server.advance(TOO_LONG_AGO);
    let page = again.get("/account").await;
    let login = press(&mut again, &forms_for(&page, "everything")[0]).await;
    assert!(login.body.contains(r#"id="login-submit""#));
    assert!(renews(&server, "web", &mut { fresh }).await);
}

/// The fields of the form that changes a password.
fn passwords<'f>(old: &'f str, new: &'f str) -> [(&'f str, &'f str); 3] {
    [
        ("password", old),
        ("new_password", new),
        ("repeated_password", new),
    ]
}

async fn another_password_ends_all_but_this_browser(server: Server) {
    let mut shop = Browser::new(&server).tokens("alice", &request()).await;
    let mut phone = at_home(&server, "alice").await.0;
    let (mut browser, page) = at_home(&server, "alice").await;
    let mut copy = Browser::new(&server);
    copy.cookies.clone_from(&browser.cookies);
    let form = forms_for(&page, "password");

    let done = press_with(&mut browser, &form[0], &passwords(PASSWORD, ANOTHER)).await;

    assert_eq!(done.status, 200);
    assert!(
        done.body.contains("You have a new password."),
        "{}",
        done.body
    );
    assert_eq!(forms_for(&done, "sign-out ").len(), 1);
    assert!(!lives(&server, &shop).await && !renews(&server, "web", &mut shop).await);
    for former in [&mut phone, &mut copy] {
        assert!(former.get("/account").await.body.contains("login-submit"));
    }
    assert!(browser.get("/account").await.body.contains("This browser"));
    let mut fresh = Browser::new(&server);
    let login = fresh.get("/account").await;
    let old = fresh.sign_in(&login, "alice", PASSWORD).await;
    assert_eq!(old.status, 422, "{}", old.body);
    let new = fresh.sign_in(&old, "alice", ANOTHER).await;
    assert!(new.body.contains("Your account"), "{}", new.body);
    assert_eq!(told(&server, "user.change_password").await.len(), 1);
}

async fn a_password_is_changed_by_who_has_the_old_one_alone(server: Server) {
    let (mut browser, page) = at_home(&server, "alice").await;
    let form = forms_for(&page, "password").remove(0);
    let cases = [
        (passwords(PASSWORD, "short"), "8 characters or more"),
        (passwords(PASSWORD, PASSWORD), "the password you have"),
        (
            [
                ("password", PASSWORD),
                ("new_password", ANOTHER),
                ("repeated_password", PASSWORD),
            ],
            "not typed the same way twice",
        ),
        (passwords("", ANOTHER), "That is not your password."),
        (passwords("wrong", ANOTHER), "That is not your password."),
    ];
    for (fields, said) in cases {
        let refused = press_with(&mut browser, &form, &fields).await;
        assert_eq!(refused.status, 422, "{said}");
        assert!(refused.body.contains(said), "{said}: {}", refused.body);
        assert!(refused.body.contains("Nothing was changed."));
        assert!(!refused.body.contains(ANOTHER) && !refused.body.contains(PASSWORD));
    }

    // Guesses count as they do at sign-in, and end there, too.
    let mut last = 0;
    for _ in 0..12 {
        last = press_with(&mut browser, &form, &passwords("wrong", ANOTHER))
            .await
            .status;
    }
    assert_eq!(last, 429);
    let right = press_with(&mut browser, &form, &passwords(PASSWORD, ANOTHER)).await;
    assert_eq!(right.status, 429, "{}", right.body);
    assert!(right.header("retry-after").is_some());

    assert!(told(&server, "user.change_password").await.is_empty());
    server.advance(61 * 60);
    let done = press_with(&mut browser, &form, &passwords(PASSWORD, ANOTHER)).await;
    assert!(
        done.body.contains("You have a new password."),
        "{}",
        done.body
    );
}

/// How a form with another purpose than its own is answered, but for the id.
async fn told_of(browser: &mut Browser<'_>, transaction: &str, csrf: &str) -> (u16, String) {
    let answer = press(browser, &(transaction.to_owned(), csrf.to_owned())).await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    (answer.status, answer.body.replace(&id, ""))
}

async fn what_is_another_persons_is_answered_as_what_there_is_not(server: Server) {
    let mut asked = request();
    asked.insert("organization".into(), "acme".into());
    let mut tokens = Browser::new(&server).tokens("alice", &asked).await;
    let (_, alices) = at_home(&server, "alice").await;
    let (mut bob, own) = at_home(&server, "bob").await;
    let csrf = forms_for(&own, "sign-out ")[0].1.clone();
    let nobodys = [
        "withdraw grt_0123456789abcdefghijkl",
        "sign-out ses_0123456789abcdefghijkl",
    ];
    let unknown = told_of(&mut bob, nobodys[0], &csrf).await;
    assert_eq!(unknown, told_of(&mut bob, nobodys[1], &csrf).await);

    for word in ["withdraw ", "sign-out "] {
        for (transaction, alices_csrf) in forms_for(&alices, word) {
            assert_eq!(told_of(&mut bob, &transaction, &csrf).await, unknown);
            let both = (transaction, alices_csrf);
            assert_eq!(press(&mut bob, &both).await.status, unknown.0);
        }
    }

    assert_eq!(unknown.0, 403);
    assert!(lives(&server, &tokens).await && renews(&server, "web", &mut tokens).await);
}

/// Attack: A043
async fn a_button_works_in_its_browser_and_its_session_alone(server: Server) {
    let (mut alice, page) = at_home(&server, "alice").await;
    let form = forms_for(&page, "everything").remove(0);
    let bare = (form.0.clone(), String::new());
    assert_eq!(press(&mut alice, &bare).await.status, 403);
    let (mut stranger, _) = at_home(&server, "bob").await;
    assert_eq!(press(&mut stranger, &form).await.status, 403);
    // Cookies of a session alone, as another site of the same machine could
    // have them sent, do not press anything either.
    let mut half = Browser::new(&server);
    half.cookies.clone_from(&alice.cookies);
    half.cookies.retain(|name, _| !name.ends_with("browser"));
    assert_eq!(press(&mut half, &form).await.status, 403);
    // Another button's ties are not this one's.
    let crossed = (
        "everything".to_owned(),
        forms_for(&page, "password")[0].1.clone(),
    );
    assert_eq!(press(&mut alice, &crossed).await.status, 403);
    let nobody = press(&mut Browser::new(&server), &form).await;
    assert!(nobody.body.contains(r#"id="login-submit""#));
    // Bob signs in where the page of alice stands open.
    let shared_login = {
        let mut asked = request();
        asked.insert("prompt".into(), "login".into());
        alice.authorize(&asked).await
    };
    let mut shared = Browser::new(&server);
    shared.cookies.clone_from(&alice.cookies);
    shared.sign_in(&shared_login, "bob", PASSWORD).await;
    assert_eq!(press(&mut shared, &form).await.status, 403);

    assert!(told(&server, "user.take_all_back").await.is_empty());
    let (mut own, page) = at_home(&server, "alice").await;
    let over = press(&mut own, &forms_for(&page, "everything")[0]).await;
    assert!(over.body.contains("Everything has ended"), "{}", over.body);
}

async fn more_applications_than_fit_are_on_the_next_page(server: Server) {
    let (mut browser, page) = at_home(&server, "alice").await;
    assert!(!page.body.contains(r#"id="account-next""#));
    assert!(page.body.contains("No application has access"));
    browser.tokens("alice", &request()).await;

    let beyond = browser.get("/account?page=1").await;
    let wild = browser.get("/account?page=18446744073709551615").await;
    let wrong = browser.get("/account?page=-1&transaction=nonsense").await;

    assert!(forms_for(&beyond, "withdraw ").is_empty());
    assert!(forms_for(&wild, "withdraw ").is_empty());
    assert_eq!(forms_for(&wrong, "withdraw ").len(), 1);
}
