//! Sign-in, sessions and forms: what an attacker tries.

use std::time::Duration;

use reqwest::Method;

use crate::browser::{Browser, hidden, request};
use crate::harness::{PASSWORD, Server, read};
use crate::on_both_engines;

on_both_engines! {
    a_name_that_exists_and_one_that_does_not_look_alike
    guesses_are_limited_by_account_under_every_spelling
    a_name_that_is_guessed_at_too_often_is_told_so_whether_it_exists_or_not
    a_form_without_its_csrf_token_changes_nothing
    a_transaction_is_worth_nothing_in_another_browser
    a_session_cookie_changes_at_sign_in_and_the_old_one_is_dead
    another_host_is_not_answered
    consent_cannot_be_widened_by_its_form
    several_tabs_work_at_once
    whoever_signs_in_while_everything_is_taken_back_is_not_let_in
    pages_carry_the_headers_that_protect_them
}

/// A password is looked at for a while. Whoever guessed it, or stole it, and has
/// sign-ins under way when it is changed or its owner signs out everywhere, is
/// let in by none of them.
async fn whoever_signs_in_while_everything_is_taken_back_is_not_let_in(server: Server) {
    let mut browsers = Vec::new();
    for _ in 0..6 {
        let mut browser = Browser::new(&server);
        let page = browser.get("/account").await;
        browsers.push((browser, page));
    }

    let signing_in = browsers.iter_mut().map(|(browser, page)| async move {
        browser.sign_in(page, "alice", PASSWORD).await;
    });
    let taking_back = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let path = "/admin/v1/users/alice/disable";
        assert_eq!(server.admin(Method::POST, path, None).await.status, 200);
    };
    tokio::join!(futures_util::future::join_all(signing_in), taking_back);
    let path = "/admin/v1/users/alice/enable";
    assert_eq!(server.admin(Method::POST, path, None).await.status, 200);

    for (browser, _) in &mut browsers {
        let page = browser.get("/account").await;
        assert!(page.body.contains(r#"id="login-submit""#), "{}", page.body);
    }
    let mut browser = Browser::new(&server);
    let page = browser.get("/account").await;
    let page = browser.sign_in(&page, "alice", PASSWORD).await;
    assert!(page.body.contains("Your account"), "{}", page.body);
}

fn scrubbed(html: &str) -> String {
    let mut html = html.to_owned();
    for name in ["transaction", "csrf"] {
        while let Some(value) = hidden(&html, name).filter(|value| !value.is_empty()) {
            html = html.replace(&value, "");
        }
    }
    let (before, named) = html.split_once("req_").unwrap_or((&html, ""));
    format!("{before}{}", named.get(16..).unwrap_or_default())
}

/// Attack: K296
async fn a_name_that_exists_and_one_that_does_not_look_alike(server: Server) {
    let mut pages = Vec::new();
    for name in ["alice", "nobody"] {
        let mut browser = Browser::new(&server);
        let page = browser.authorize(&request()).await;
        let answer = browser
            .submit(
                "/login",
                &page,
                &[("username", name), ("password", "wrong password")],
            )
            .await;
        assert!(answer.body.contains(r#"role="alert""#), "{}", answer.body);
        pages.push((answer.status, scrubbed(&answer.body).replace(name, "")));
    }
    assert_eq!(pages[0], pages[1]);
}

/// Attack: K299
async fn guesses_are_limited_by_account_under_every_spelling(server: Server) {
    let spellings = [
        "alice",
        "ALICE",
        " alice",
        "Alice ",
        "alice@example.com",
        "ALICE@EXAMPLE.COM",
    ];
    for n in 0..12 {
        let mut browser = Browser::new(&server);
        let page = browser.authorize(&request()).await;
        let fields = [
            ("username", spellings[n % spellings.len()]),
            ("password", "wrong password"),
        ];
        browser.submit("/login", &page, &fields).await;
    }

    let mut browser = Browser::new(&server);
    let page = browser.authorize(&request()).await;
    let right = browser
        .submit(
            "/login",
            &page,
            &[("username", "alice"), ("password", PASSWORD)],
        )
        .await;

    assert!(
        right.body.contains(r#"id="login-submit""#),
        "the tenth guess was the last"
    );
    assert_eq!(right.status, 422, "two names of one account must not show");
    server.advance(3601);
    let page = browser.authorize(&request()).await;
    let later = browser
        .submit(
            "/login",
            &page,
            &[("username", "alice"), ("password", PASSWORD)],
        )
        .await;
    assert!(
        later.body.contains(r#"id="consent-allow""#),
        "{}",
        later.body
    );
}

async fn a_name_that_is_guessed_at_too_often_is_told_so_whether_it_exists_or_not(server: Server) {
    for name in ["bob", "nobody"] {
        let mut statuses = Vec::new();
        for _ in 0..11 {
            let mut browser = Browser::new(&server);
            let page = browser.authorize(&request()).await;
            let fields = [("username", name), ("password", "wrong password")];
            let answer = browser.submit("/login", &page, &fields).await;
            statuses.push(answer.status);
        }
        assert_eq!(statuses[..10], [422; 10], "{name}");
        assert_eq!(statuses[10], 429, "{name}");
    }
}

/// Attack: A043, K289
async fn a_form_without_its_csrf_token_changes_nothing(server: Server) {
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&request()).await;
    let transaction = hidden(&page.body, "transaction").unwrap();
    let cookies: Vec<_> = browser
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    for (path, form) in [
        (
            "/login",
            vec![
                ("transaction", &*transaction),
                ("username", "alice"),
                ("password", PASSWORD),
            ],
        ),
        (
            "/login",
            vec![
                ("transaction", &*transaction),
                ("csrf", "AAAA"),
                ("username", "alice"),
                ("password", PASSWORD),
            ],
        ),
        (
            "/consent",
            vec![("transaction", &*transaction), ("decision", "allow")],
        ),
    ] {
        let post = server
            .request(Method::POST, path)
            .header("cookie", cookies.join("; "))
            .form(&form);
        let answer = read(post.send().await.unwrap()).await;
        assert!(
            [400, 403].contains(&answer.status),
            "{path} {}",
            answer.status
        );
        assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none());
    }
}

/// Attack: A046
async fn a_transaction_is_worth_nothing_in_another_browser(server: Server) {
    let mut attacker = Browser::new(&server);
    let page = attacker.authorize(&request()).await;
    let mut victim = Browser::new(&server);
    victim.code("alice", &request()).await;
    let transaction = hidden(&page.body, "transaction").unwrap();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("transaction", &transaction)
        .finish();

    for path in ["/login", "/consent"] {
        let answer = victim.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.header("location").is_none());
    }
    let posted = victim
        .submit(
            "/login",
            &page,
            &[("username", "alice"), ("password", PASSWORD)],
        )
        .await;
    assert!([400, 403].contains(&posted.status));
}

fn session_cookie(browser: &Browser<'_>) -> Option<(String, String)> {
    browser
        .cookies
        .iter()
        .find(|(name, _)| name.ends_with("session"))
        .map(|(name, value)| (name.clone(), value.clone()))
}

/// Attack: A047, K290, K292
async fn a_session_cookie_changes_at_sign_in_and_the_old_one_is_dead(server: Server) {
    let mut browser = Browser::new(&server);
    browser.code("alice", &request()).await;
    let (name, first) = session_cookie(&browser).unwrap();
    let mut fresh = request();
    fresh.insert("prompt".into(), "login".into());
    browser.code("alice", &fresh).await;
    let (_, second) = session_cookie(&browser).unwrap();
    assert_ne!(first, second);

    let mut thief = Browser::new(&server);
    thief.cookies.insert(name.clone(), first);
    let page = thief.authorize(&request()).await;
    assert!(
        page.body.contains(r#"id="login-submit""#),
        "the old cookie opens nothing"
    );

    let mut doubled = Browser::new(&server);
    doubled
        .cookies
        .insert(name.clone(), format!("{second}; {name}=tossed"));
    assert!(
        doubled
            .authorize(&request())
            .await
            .body
            .contains(r#"id="login-submit""#)
    );

    browser.code("bob", &fresh).await;
    let mut former = Browser::new(&server);
    former.cookies.insert(name, second);
    assert!(
        former
            .authorize(&request())
            .await
            .body
            .contains(r#"id="login-submit""#),
        "one person per browser"
    );
}

/// Attack: K293
async fn another_host_is_not_answered(server: Server) {
    for (header, value, status) in [
        ("host", "evil.example", 421),
        ("x-forwarded-host", "evil.example", 200),
        ("forwarded", "host=evil.example;proto=https", 200),
    ] {
        let mut request = server.http.get(format!(
            "{}/.well-known/openid-configuration",
            server.issuer
        ));
        if header != "host" {
            request = request.header("host", server.name().trim_start_matches("http://"));
        }
        let answer = read(request.header(header, value).send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{header}");
        assert!(!answer.body.contains("evil"));
    }
}

/// Attack: A044
async fn consent_cannot_be_widened_by_its_form(server: Server) {
    let mut asked = request();
    asked.insert(
        "scope".into(),
        "openid email offline_access read:orders delete:orders".into(),
    );
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&asked).await;
    let page = browser
        .submit(
            "/login",
            &page,
            &[("username", "alice"), ("password", PASSWORD)],
        )
        .await;

    let fields = [
        ("decision", "allow"),
        ("scope", "write:orders"),
        ("scope", "read:vault"),
        ("client_id", "other"),
    ];
    let answer = browser.submit("/consent", &page, &fields).await;

    let code = crate::browser::response(&answer)["code"].clone();
    let tokens = server
        .token(
            "web",
            &crate::browser::redemption(&code, crate::harness::CALLBACK),
        )
        .await;
    let scope = tokens.text("scope");
    assert!(
        scope.contains("read:orders") && scope.contains("openid"),
        "{scope}"
    );
    for never in ["write:orders", "read:vault", "delete:orders", "email"] {
        assert!(!scope.contains(never), "{never} was not agreed to: {scope}");
    }
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&asked).await;
    let page = browser
        .submit(
            "/login",
            &page,
            &[("username", "bob"), ("password", PASSWORD)],
        )
        .await;
    let denied = browser
        .submit("/consent", &page, &[("decision", "deny")])
        .await;
    assert_eq!(crate::browser::response(&denied)["error"], "access_denied");
}

async fn several_tabs_work_at_once(server: Server) {
    let mut browser = Browser::new(&server);
    let one = browser.authorize(&request()).await;
    let two = browser.authorize(&request()).await;
    let fields = [("username", "alice"), ("password", PASSWORD)];

    let first = browser.submit("/login", &one, &fields).await;
    let second = browser.submit("/login", &two, &fields).await;

    for page in [first, second] {
        let answer = browser
            .submit("/consent", &page, &[("decision", "allow")])
            .await;
        assert!(crate::browser::response(&answer).contains_key("code"));
    }
}

/// Attack: A031, A032, O377, O386
async fn pages_carry_the_headers_that_protect_them(server: Server) {
    let page = Browser::new(&server).authorize(&request()).await;
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe-inline"));
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let cross = server
        .request(Method::GET, "/authorize?client_id=web")
        .header("origin", "https://evil.example");
    let cross = read(cross.send().await.unwrap()).await;
    assert!(cross.header("access-control-allow-origin").is_none());
    let preflight = server
        .request(Method::OPTIONS, "/token")
        .header("origin", "https://spa.example.com");
    let preflight = read(preflight.send().await.unwrap()).await;
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        Some("https://spa.example.com")
    );
    let stranger = server
        .request(Method::OPTIONS, "/token")
        .header("origin", "https://evil.example");
    assert!(
        read(stranger.send().await.unwrap())
            .await
            .header("access-control-allow-origin")
            .is_none()
    );
    for hidden in ["/metrics", "/admin/v1/clients", "/debug"] {
        assert_eq!(server.get(hidden).await.status, 404);
    }
}
