//! What a person sees of a device, and what only they can do.

use reqwest::Method;

use super::world::{asked_about, told};
use super::{allow, begin, decide, enter, page_of, poll, sign_in, started};
use crate::browser::{Browser, hidden, request};
use crate::harness::{PASSWORD, Server};
use crate::on_both_engines;

on_both_engines! {
    a_code_in_the_address_is_filled_in_and_decides_nothing
    the_page_says_what_asks_from_where_and_when_to_stop
    nothing_sensitive_is_given_that_was_not_ticked
    whoever_is_our_own_is_asked_about_too
    a_form_that_was_not_shown_decides_nothing
    a_form_of_one_person_is_not_anothers
    what_an_organization_may_is_for_its_members
    a_sealed_thing_of_another_page_is_no_visit
    a_code_is_read_however_it_is_typed
    what_no_person_types_breaks_nothing
}

/// Attack: G205
async fn a_code_in_the_address_is_filled_in_and_decides_nothing(server: Server) {
    let asked = started(&server).await;
    let mut browser = Browser::new(&server);
    let code = asked.text("user_code");

    let page = sign_in(&mut browser, "alice", &page_of(&server, &asked)).await;

    assert!(
        page.body.contains(&format!(r#"value="{code}""#)),
        "{}",
        page.body
    );
    assert!(
        page.body
            .contains("Is this the code that your device shows?")
    );
    assert!(!page.body.contains(r#"id="device-allow""#));
    for query in ["&decision=allow", "&decision=allow&csrf=x"] {
        let path = page_of(&server, &asked) + query;
        browser.get(&path).await;
    }
    assert_eq!(told(&server, &asked).await, "authorization_pending");
    let shown = enter(&mut browser, &page, &code).await;
    assert!(
        shown.body.contains(r#"id="device-allow""#),
        "{}",
        shown.body
    );
    let done = decide(&mut browser, &shown, "allow", &[]).await;
    assert!(done.body.contains("Device connected"));
    assert_eq!(told(&server, &asked).await, "tokens");
}

async fn the_page_says_what_asks_from_where_and_when_to_stop(server: Server) {
    let asked = started(&server).await;
    server.advance(130);
    let mut browser = Browser::new(&server);

    let page = asked_about(&mut browser, "alice", &asked).await;

    for words in [
        "Living Room TV",
        "tv.example.com",
        "Any device can say that it is this application.",
        "127.0.0.x",
        "The same network as this browser.",
        "2 minutes ago",
        &asked.text("user_code"),
        "Only go on if you started this on a device in front of you.",
        "nobody from support will ask you for this code",
        "read:orders",
        "Alice Example",
    ] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"));
}

async fn nothing_sensitive_is_given_that_was_not_ticked(server: Server) {
    let scope = [(
        "scope",
        "openid email offline_access read:orders delete:orders",
    )];
    let first = begin(&server, "tv", &scope).await;
    let mut browser = Browser::new(&server);
    let page = asked_about(&mut browser, "alice", &first).await;
    decide(&mut browser, &page, "allow", &[]).await;
    let without = poll(&server, "tv", &first).await;
    let second = begin(&server, "tv", &scope).await;
    let page = asked_about(&mut browser, "alice", &second).await;
    let ticked = ["delete:orders", "write:orders", "profile"];
    decide(&mut browser, &page, "allow", &ticked).await;

    let with = poll(&server, "tv", &second).await;

    assert_eq!(without.text("scope"), "openid read:orders");
    assert!(without.json().get("refresh_token").is_none());
    assert_eq!(with.text("scope"), "delete:orders openid read:orders");
    let by_default = begin(&server, "tv", &[]).await;
    let page = asked_about(&mut browser, "alice", &by_default).await;
    assert!(!page.body.contains("delete:orders"), "{}", page.body);
}

async fn whoever_is_our_own_is_asked_about_too(server: Server) {
    let asked = begin(&server, "hub", &[("scope", "read:orders")]).await;
    let mut browser = Browser::new(&server);

    let page = asked_about(&mut browser, "alice", &asked).await;

    assert!(
        page.body
            .contains("It has proved that it is this application.")
    );
    assert_eq!(
        poll(&server, "hub", &asked).await.refusal(),
        "authorization_pending"
    );
    decide(&mut browser, &page, "allow", &[]).await;
    assert_eq!(poll(&server, "hub", &asked).await.status, 200);
    let again = begin(&server, "hub", &[("scope", "read:orders")]).await;
    asked_about(&mut browser, "alice", &again).await;
    assert_eq!(
        poll(&server, "hub", &again).await.refusal(),
        "authorization_pending"
    );
}

async fn a_form_that_was_not_shown_decides_nothing(server: Server) {
    let asked = started(&server).await;
    let mut browser = Browser::new(&server);
    let page = asked_about(&mut browser, "alice", &asked).await;
    let field = |name: &str| (name.to_owned(), hidden(&page.body, name).unwrap());
    let allow = ("decision".to_owned(), "allow".to_owned());
    let mut stranger = Browser::new(&server);
    sign_in(&mut stranger, "alice", "/device").await;
    let whole = [field("transaction"), field("csrf"), allow.clone()];
    let bare = [field("transaction"), allow.clone()];
    let forged = ("csrf".to_owned(), "0".repeat(64));
    let forged = [field("transaction"), forged, allow];

    let elsewhere = stranger.send(Method::POST, "/device", Some(&whole)).await;
    let no_token = browser.send(Method::POST, "/device", Some(&bare)).await;
    let wrong_token = browser.send(Method::POST, "/device", Some(&forged)).await;
    let nothing = browser.send(Method::POST, "/device", Some(&[])).await;

    for answer in [elsewhere, no_token, wrong_token, nothing] {
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains(r#"id="error-code""#));
    }
    assert_eq!(told(&server, &asked).await, "authorization_pending");
    let good = browser.send(Method::POST, "/device", Some(&whole)).await;
    assert_eq!(good.status, 303, "{}", good.body);
    assert_eq!(told(&server, &asked).await, "tokens");
}

async fn a_form_of_one_person_is_not_anothers(server: Server) {
    let asked = started(&server).await;
    let mut browser = Browser::new(&server);
    let page = asked_about(&mut browser, "alice", &asked).await;
    let at = page.body.find("/login?transaction=").unwrap();
    let path = page.body[at..].split('"').next().unwrap().to_owned();
    let login = browser.get(&path).await;
    let entered = browser.sign_in(&login, "bob", PASSWORD).await;
    let code = asked.text("user_code");
    assert!(
        entered.body.contains(&format!(r#"value="{code}""#)),
        "the code is kept"
    );

    let answer = decide(&mut browser, &page, "allow", &[]).await;

    assert!(
        answer.body.contains(r#"id="device-submit""#),
        "{}",
        answer.body
    );
    assert_eq!(told(&server, &asked).await, "authorization_pending");
    let page = enter(&mut browser, &answer, &code).await;
    assert!(page.body.contains("bob"), "{}", page.body);
    decide(&mut browser, &page, "allow", &["email"]).await;
    let tokens = poll(&server, "tv", &asked).await;
    let userinfo = server.userinfo(&tokens.text("access_token")).await;
    assert_eq!(userinfo.text("email"), "bob@example.com");
}

async fn what_an_organization_may_is_for_its_members(server: Server) {
    let asked = begin(&server, "tenant-tv", &[]).await;
    assert_eq!(asked.status, 200, "{}", asked.body);

    let strangers = asked_about(&mut Browser::new(&server), "bob", &asked).await;
    let mut browser = Browser::new(&server);
    let page = asked_about(&mut browser, "alice", &asked).await;

    assert_eq!(strangers.status, 403, "{}", strangers.body);
    assert!(page.body.contains("You act for"), "{}", page.body);
    decide(&mut browser, &page, "allow", &[]).await;
    assert_eq!(poll(&server, "tenant-tv", &asked).await.status, 200);
}

async fn a_sealed_thing_of_another_page_is_no_visit(server: Server) {
    let mut browser = Browser::new(&server);
    let login = browser.authorize(&request()).await;
    let of_application = hidden(&login.body, "transaction").unwrap();
    let path = format!("/device?transaction={of_application}");
    let on_device = browser.get(&path).await;
    let page = sign_in(&mut browser, "alice", "/device").await;
    let of_device = hidden(&page.body, "transaction").unwrap();

    for path in ["/login", "/consent"] {
        let path = format!("{path}?transaction={of_device}");
        let answer = browser.get(&path).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    assert_eq!(on_device.status, 400, "{}", on_device.body);
}

async fn a_code_is_read_however_it_is_typed(server: Server) {
    let asked = started(&server).await;
    let code = asked.text("user_code");
    assert_eq!(code.len(), 11, "{code}");
    let mut browser = Browser::new(&server);
    let mut page = sign_in(&mut browser, "alice", "/device").await;
    for typed in [
        code.to_lowercase(),
        code.replace('-', ""),
        format!(" {} ", code.replace('-', " – ")),
        code.chars().map(|letter| format!("{letter}.")).collect(),
    ] {
        let shown = enter(&mut browser, &page, &typed).await;
        assert!(shown.body.contains(r#"id="device-allow""#), "{typed}");
        page = browser.get("/device").await;
    }
    assert_eq!(told(&server, &asked).await, "authorization_pending");
}

async fn what_no_person_types_breaks_nothing(server: Server) {
    let mut browser = Browser::new(&server);
    let mut page = sign_in(&mut browser, "bob", "/device").await;
    for typed in [
        "\0",
        "BCDFG\r\nSet-Cookie: x=1",
        "'; DROP TABLE device_authorization; --",
        &"B".repeat(60_000),
        "\u{202e}\u{feff}ＢＣＤＦＧＨＪＫＬＭ",
    ] {
        page = enter(&mut browser, &page, typed).await;
        assert_eq!(page.status, 422, "{}", page.body);
    }
    let many: Vec<_> = (0..3_000)
        .map(|n| ("scope".to_owned(), n.to_string()))
        .collect();
    let posted = browser.send(Method::POST, "/device", Some(&many)).await;
    assert_eq!(posted.status, 403, "{}", posted.body);
    for query in [
        "transaction=x",
        "transaction=%00",
        "user_code=%ff",
        "user_code=a&user_code=b",
    ] {
        let answer = browser.get(&format!("/device?{query}")).await;
        assert!(answer.status < 500, "{query}: {}", answer.body);
    }
    let scope = "x".repeat(9_000);
    let hostile = begin(&server, "tv", &[("scope", &scope)]).await;
    assert_eq!(hostile.refusal(), "invalid_scope");
    let good = begin(&server, "tv", &[]).await;
    assert_eq!(good.status, 200, "{}", good.body);
}

/// Attack: A032
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_is_not_signed_in_learns_anything_of_a_code() {
    let server = Server::on_sqlite().await;
    let asked = started(&server).await;
    let mut browser = Browser::new(&server);

    let good = browser.get(&page_of(&server, &asked)).await;
    let wrong = Browser::new(&server)
        .get("/device?user_code=BCDFG-HJKLM")
        .await;
    let hostile = Browser::new(&server)
        .get("/device?user_code=%3Cscript%3E")
        .await;

    for page in [good, wrong, hostile] {
        assert_eq!(page.status, 200);
        assert!(page.body.contains(r#"id="login-submit""#), "{}", page.body);
        assert!(!page.body.contains("Living Room") && !page.body.contains("<script"));
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
    }
    allow(&server, "alice", &asked).await;
}
