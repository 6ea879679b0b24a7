//! Bytes that no honest client sends: too many, too deep, of the wrong kind.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::browser::{Browser, hidden, redemption, request, response};
use crate::harness::{Answer, CALLBACK, Server, read};
use crate::on_both_engines;

on_both_engines! {
    a_state_with_a_line_break_stays_one_header
    a_great_many_scopes_are_refused_before_they_cost_anything
    what_was_made_for_one_use_is_no_code_and_no_code_is_anything_else
    addresses_that_cannot_be_registered_are_refused
    documents_that_are_too_deep_too_wide_or_malformed_are_refused
}

/// How long a refusal may take: what is refused must not have cost work first.
const AT_ONCE: Duration = Duration::from_millis(500);

/// How long something takes at least. Other tests run beside, so what took too
/// long is done again.
async fn least(bound: Duration, work: impl AsyncFn()) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let begin = Instant::now();
        work().await;
        least = least.min(begin.elapsed());
        if least < bound {
            break;
        }
    }
    least
}

/// Attack: A037
async fn a_state_with_a_line_break_stays_one_header(server: Server) {
    for state in [
        "a\r\nSet-Cookie: x=1",
        "a\nLocation: https://evil.example/",
        "a\r\n\r\n<script>alert(1)</script>",
        "a\u{2028}b\u{85}c",
    ] {
        let mut asked = request();
        asked.insert("state".into(), state.into());
        let mut browser = Browser::new(&server);

        let answer = browser.grant("alice", &asked).await;

        assert_eq!(response(&answer)["state"], state);
        assert!(response(&answer).contains_key("code"));
        assert_eq!(answer.headers.get_all("location").iter().count(), 1);
        let location = answer.header("location").unwrap();
        assert!(location.starts_with(CALLBACK), "{location}");
        assert!(
            location.bytes().all(|byte| byte.is_ascii_graphic()),
            "{location}"
        );
        assert!(!browser.cookies.contains_key("x"));
        let mut silent = asked.clone();
        silent.insert("scope".into(), "openid admin".into());
        let refused = response(&browser.authorize(&silent).await);
        assert_eq!(
            (&*refused["state"], &*refused["error"]),
            (state, "invalid_scope")
        );
    }
}

/// Attack: A035
async fn a_great_many_scopes_are_refused_before_they_cost_anything(server: Server) {
    let words = |number: usize| {
        (0..number)
            .map(|n| format!("s{n}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (scope, statuses) in [
        (words(101), &[303, 400][..]),
        (words(1_000), &[303, 400]),
        (words(100_000), &[303, 400, 413, 414, 431]),
        ("x".repeat(9_000), &[303, 400]),
    ] {
        let ask = async || {
            let form = [("grant_type", "client_credentials"), ("scope", &*scope)];
            let token = server.token("job", &form).await;
            assert!([400, 413].contains(&token.status), "{}", token.body);
            assert!(token.refusal().starts_with("invalid_"));
            let mut asked = request();
            asked.insert("scope".into(), scope.clone());
            let form: Vec<_> = asked.into_iter().collect();
            let mut browser = Browser::new(&server);
            let answer = browser.send(Method::POST, "/authorize", Some(&form)).await;
            let answer = browser.follow(answer).await;
            assert!(
                statuses.contains(&answer.status),
                "{} {}",
                answer.status,
                answer.body
            );
            if answer.status == 303 {
                assert_eq!(response(&answer)["error"], "invalid_scope");
            }
        };
        let took = least(AT_ONCE * 4, ask).await;
        assert!(took < AT_ONCE * 4, "{took:?}");
    }
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    assert_eq!(server.token("job", &form).await.status, 200);
}

/// Attack: B064
async fn what_was_made_for_one_use_is_no_code_and_no_code_is_anything_else(server: Server) {
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&request()).await;
    let transaction = hidden(&page.body, "transaction").unwrap();
    let csrf = hidden(&page.body, "csrf").unwrap();
    let tokens = browser.tokens("alice", &request()).await;
    let link = server
        .admin(Method::POST, "/admin/v1/status-links", None)
        .await;
    let link = link.text("url").split("link=").nth(1).unwrap().to_owned();
    let mut others = vec![transaction, csrf, link.clone(), server.admin_token.clone()];
    others.extend(["access_token", "refresh_token", "id_token"].map(|name| tokens.text(name)));
    others.extend(browser.cookies.values().cloned());
    for other in &others {
        let answer = server.token("web", &redemption(other, CALLBACK)).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, "invalid_grant"),
            "{other}"
        );
        let form = [("grant_type", "refresh_token"), ("refresh_token", &**other)];
        let is_own = *other == tokens.text("refresh_token");
        assert_eq!(
            server.token("web", &form).await.status == 200,
            is_own,
            "{other}"
        );
    }
    let code = browser.code("alice", &request()).await;

    let form = [("grant_type", "refresh_token"), ("refresh_token", &*code)];
    assert_eq!(server.token("web", &form).await.refusal(), "invalid_grant");
    assert!(!server.is_active(&code).await);
    assert_eq!(server.userinfo(&code).await.status, 401);
    for path in ["/login", "/consent"] {
        let opened = browser.get(&format!("{path}?transaction={code}")).await;
        assert_eq!(opened.status, 400, "{path}");
    }
    let opened = server
        .http
        .get(format!("{}/status?link={code}", server.admin));
    assert_eq!(read(opened.send().await.unwrap()).await.status, 403);
    let revoked = server.form("/revoke", "web", &[("token", &code)]).await;
    assert_eq!(revoked.status, 200, "not a token: nothing happens");

    let good = server.token("web", &redemption(&code, CALLBACK)).await;
    assert_eq!(good.status, 200, "{}", good.body);
}

/// Attack: A010, A017, A022, A025, A050, A040
async fn addresses_that_cannot_be_registered_are_refused(server: Server) {
    let client = |number: usize, name: &str, value: serde_json::Value| {
        let mut client = json!({
            "id": format!("made{number}"), "name": "Made", "grants": ["authorization_code"],
            "redirect_uris": ["https://made.example.com/callback"], "scopes": ["openid"],
        });
        client[name] = value;
        client
    };
    let uris = [
        "http://app.example.com/callback",
        "https://app.example.com/callback#fragment",
        "https://a@b@app.example.com/callback",
        "https://user:word@app.example.com/callback",
        "https://ехample.org/callback",
        "https://app.example.com/callback?code=x",
        "https://app.example.com/callback?state=x",
        "https://app.example.com/callback?iss=x",
        "https://app.example.com/callback?error=x",
        "https://app.example.com/callback?response=x",
        "javascript:alert(1)",
        "https:app.example.com",
        "/callback",
        "",
    ];
    let names = [
        "PayPal\u{202e}lap",
        "Pay\u{200b}Pal",
        "Pay\nPal",
        &"x".repeat(5_000),
    ];
    let bad = uris.iter().map(|uri| ("redirect_uris", json!([uri])));
    let bad = bad.chain(names.iter().map(|name| ("name", json!(name))));
    for (number, (name, value)) in bad.enumerate() {
        let document = client(number, name, value.clone());
        let refused = server
            .admin(Method::POST, "/admin/v1/clients", Some(document))
            .await;
        assert_eq!(refused.status, 400, "{value}: {}", refused.body);
        let found = server.get(&format!("/admin/v1/clients/made{number}")).await;
        assert_eq!(found.status, 404);
    }
    let good = client(99, "name", json!("Εφαρμογή"));
    let made = server
        .admin(Method::POST, "/admin/v1/clients", Some(good))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// Attack: N368
async fn documents_that_are_too_deep_too_wide_or_malformed_are_refused(server: Server) {
    let send = async |body: String| {
        let url = format!("{}/admin/v1/users", server.admin);
        let request = server.http.post(url).bearer_auth(&server.admin_token);
        let request = request
            .header("content-type", "application/json")
            .body(body);
        read(request.send().await.unwrap()).await
    };
    let wide: Vec<_> = (0..5_000).map(|n| format!("\"m{n}\":1")).collect();
    for (body, statuses) in [
        (
            format!(
                "{{\"username\":{}1{}}}",
                "[".repeat(10_000),
                "]".repeat(10_000)
            ),
            &[400][..],
        ),
        (
            format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)),
            &[400],
        ),
        (format!("{{{}}}", wide.join(",")), &[400]),
        (format!("{{\"username\":{}}}", "9".repeat(100_000)), &[400]),
        ("{\"username\":1e400}".to_owned(), &[400]),
        ("{\"username\":NaN}".to_owned(), &[400]),
        ("{\"username\":\"a\",\"username\":\"b\"}".to_owned(), &[400]),
        ("{\"username\":\"a\\u0000b\"}".to_owned(), &[400]),
        ("{\"username\":\"a\\ud800b\"}".to_owned(), &[400]),
        ("{\"username\":\"a\u{7}b\"}".to_owned(), &[400]),
        ("[]".to_owned(), &[400]),
        ("{".to_owned(), &[400]),
        (
            format!("{{\"username\":\"{}\"}}", "x".repeat(300_000)),
            &[400, 413],
        ),
    ] {
        let shown: String = body.chars().take(60).collect();
        let ask = async || {
            let answer = send(body.clone()).await;
            assert!(
                statuses.contains(&answer.status),
                "{shown}: {} {}",
                answer.status,
                answer.body
            );
        };
        let took = least(AT_ONCE, ask).await;
        assert!(took < AT_ONCE, "{shown}: {took:?}");
    }

    let good = send("{\"username\":\"\\u0065ve\"}".to_owned()).await;

    assert_eq!(
        (good.status, &*good.text("username")),
        (201, "eve"),
        "{}",
        good.body
    );
}

/// Sends bytes as they are, and reads what comes until the other side ends.
async fn raw(server: &Server, bytes: &[u8]) -> String {
    let address = server.issuer.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be refused before all of it is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    let _ = read.expect("it hangs");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request of HTTP/1.1 whose answer is the last of its connection.
fn head(server: &Server, first: &str, more: &str) -> String {
    let host = server.name().replace("http://", "");
    format!("{first} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

/// Attack: N364
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_bodies_and_chunks_that_are_too_large_or_of_another_kind_are_refused() {
    let server = Server::on_sqlite().await;
    let good = raw(&server, head(&server, "GET /healthz", "").as_bytes()).await;
    assert_eq!(status(&good), "200", "{good}");
    for (name, line) in [
        ("one long line", format!("X: {}\r\n", "a".repeat(150_000))),
        ("a megabyte", format!("X: {}\r\n", "a".repeat(1_000_000))),
        ("many lines", "X: a\r\n".repeat(200)),
    ] {
        let large = raw(&server, head(&server, "GET /healthz", &line).as_bytes()).await;
        assert_eq!(status(&large), "431", "{name}: {large}");
    }
    let path = format!("GET /authorize?x={}", "a".repeat(70_000));
    let long = raw(&server, head(&server, &path, "").as_bytes()).await;
    assert!(["414", "431"].contains(&status(&long)), "{long}");

    let multipart = "--b\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--b--\r\n";
    let typed = format!(
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n",
        multipart.len()
    );
    let typed = head(&server, "POST /token", &typed) + multipart;
    assert_eq!(status(&raw(&server, typed.as_bytes()).await), "415");

    let basic = "Authorization: Basic am9iOmEgc2VjcmV0IG9mIHRoaXJ0eS10d28gY2hhcmFjdGVycw==\r\n";
    let chunked = |extension: &str, last: &str| {
        let lines = format!(
            "{basic}Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n"
        );
        let body = format!("1d{extension}\r\ngrant_type=client_credentials\r\n0\r\n{last}\r\n");
        head(&server, "POST /token", &lines) + &body
    };
    assert_eq!(
        status(&raw(&server, chunked("", "").as_bytes()).await),
        "200"
    );
    assert_eq!(
        status(&raw(&server, chunked(";a=b", "").as_bytes()).await),
        "200"
    );
    let large = format!(";a={}", "b".repeat(100_000));
    let lines = "X: a\r\n".repeat(20_000);
    for (name, bad) in [
        ("a large extension", chunked(&large, "")),
        ("no number", chunked("x", "")),
        ("many trailers", chunked("", &lines)),
        (
            "a number too large",
            chunked("", "").replace("1d\r\n", "ffffffffffffffffff\r\n"),
        ),
    ] {
        let answer = raw(&server, bad.as_bytes()).await;
        let shown: String = answer.chars().take(200).collect();
        assert!(
            ["400", "none"].contains(&status(&answer)),
            "{name}: {shown}"
        );
    }
    let after: Answer = server.get("/healthz").await;
    assert_eq!(after.status, 200);
}
