//! What arrives on the wire, before and around a request.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use reqwest::Method;

use crate::browser::{Browser, encode, hidden, request, response};
use crate::harness::{Answer, SECRET, Server, read};
use crate::on_both_engines;

on_both_engines! {
    a_head_that_cannot_be_read_is_answered
    a_form_of_another_site_is_sent_on_with_get
    what_was_posted_does_not_stand_in_the_address
    what_is_carried_is_good_where_it_was_sent_and_for_a_while
    claims_that_are_too_many_or_too_long_are_called_so
    a_query_beside_a_form_is_refused
    a_state_that_would_not_come_back_is_refused
    nothing_of_a_posted_body_reaches_a_header_as_it_came
    a_body_that_says_it_is_not_encoded_is_read
    a_method_that_is_not_taken_says_which_are
    a_body_that_never_comes_holds_no_operator_up
}

/// Sends bytes as they are and reads the status of the answer.
async fn raw(server: &Server, bytes: &[u8]) -> Option<u16> {
    let address = server.issuer.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while answer.len() < 12 {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&part[..read]),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    text.get(9..12)?.parse().ok()
}

/// Attack: N364
async fn a_head_that_cannot_be_read_is_answered(server: Server) {
    let host = server.issuer.trim_start_matches("http://").to_owned();
    let with = |rest: &str| format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{rest}\r\n");
    let many: String = (0..101).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x: {}\r\n", "a".repeat(300_000));

    for (head, status) in [
        (with(""), 200),
        (with(&many), 431),
        (with(&long), 431),
        (
            format!(
                "GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
                "a".repeat(300_000)
            ),
            431,
        ),
        (format!("G@T / HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400),
        (
            format!("GET /healthz HTTP/1.1\r\nHost : {host}\r\n\r\n"),
            400,
        ),
        ("GET /healthz HTTP/9.9\r\n\r\n".to_owned(), 400),
        // No host, and two, though both are ours.
        ("GET /.well-known/oauth-authorization-server HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            format!("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n"),
            400,
        ),
        (
            "GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n".to_owned(),
            421,
        ),
    ] {
        let shown: String = head.chars().take(60).collect();
        assert_eq!(raw(&server, head.as_bytes()).await, Some(status), "{shown}");
    }
}

async fn post(server: &Server, path: &str, body: String) -> Answer {
    let request = server.request(Method::POST, path);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    read(request.body(body).send().await.unwrap()).await
}

/// Attack: K289
async fn a_form_of_another_site_is_sent_on_with_get(server: Server) {
    let answer = post(&server, "/authorize", encode(&request())).await;

    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("set-cookie"),
        None,
        "it would replace that of another tab"
    );
    let location = answer.header("location").unwrap();
    assert!(
        location.contains("/authorize?transaction=sym_tx_"),
        "{location}"
    );
    // A browser that is known is answered itself.
    let mut browser = Browser::new(&server);
    browser.authorize(&request()).await;
    let fields: Vec<(String, String)> = request().into_iter().collect();
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let page = browser.submit("/authorize", &answer, &fields).await;
    assert!(page.body.contains("id=\"username\""), "{}", page.body);
    // Where nobody may be redirected to, nobody is.
    let mut wrong = request();
    wrong.insert("redirect_uri".into(), "https://evil.example/cb".into());
    let refused = post(&server, "/authorize", encode(&wrong)).await;
    assert_eq!((refused.status, refused.header("location")), (400, None));
}

/// The path of a redirect to the server itself.
fn path_of(server: &Server, answer: &Answer) -> String {
    let location = answer.header("location").unwrap();
    location.strip_prefix(&server.name()).unwrap().to_owned()
}

async fn what_was_posted_does_not_stand_in_the_address(server: Server) {
    let mut browser = Browser::new(&server);
    let tokens = browser.tokens("alice", &request()).await.json();
    let hint = tokens["id_token"].as_str().unwrap();
    let mut asked = request();
    asked.insert("login_hint".into(), "alice@example.com".into());
    asked.insert("id_token_hint".into(), hint.into());

    let carried = post(&server, "/authorize", encode(&asked)).await;
    let leaving = format!("id_token_hint={hint}&state=the+state");
    let leaving = post(&server, "/logout", leaving).await;

    for answer in [&carried, &leaving] {
        let location = answer.header("location").unwrap();
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(!location.contains(hint), "{location}");
        // What is sealed may spell any short word by chance.
        let open = location.split("sym_tx_").next().unwrap();
        for posted in ["alice", "web", "state"] {
            assert!(!open.contains(posted), "{location}");
        }
    }
    // The person's browser goes there, with its cookies: both mean what they did.
    let code = browser.get(&path_of(&server, &carried)).await;
    assert!(response(&code).contains_key("code"), "{}", code.body);
    let bye = browser.get(&path_of(&server, &leaving)).await;
    assert_eq!(bye.status, 200, "{}", bye.body);
    let page = browser.authorize(&request()).await;
    assert!(page.body.contains("id=\"username\""), "signed out");
}

async fn what_is_carried_is_good_where_it_was_sent_and_for_a_while(server: Server) {
    let carried = post(&server, "/authorize", encode(&request())).await;
    let path = path_of(&server, &carried);
    let elsewhere = ["/logout", "/login", "/consent"].map(|to| path.replace("/authorize", to));
    for path in elsewhere.iter().chain([&format!("{path}x")]) {
        let mut browser = Browser::new(&server);
        browser.authorize(&request()).await;
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 400, "{path} {}", answer.body);
    }
    // A transaction of a browser is none that was carried here.
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&request()).await;
    let own = hidden(&page.body, "transaction").unwrap();
    let mixed = browser.get(&format!("/authorize?transaction={own}")).await;
    assert_eq!(mixed.status, 400);

    let page = Browser::new(&server).get(&path).await;

    assert!(page.body.contains("id=\"username\""), "{}", page.body);
    let silent = {
        let mut asked = request();
        asked.insert("prompt".into(), "none".into());
        let carried = post(&server, "/authorize", encode(&asked)).await;
        Browser::new(&server).get(&path_of(&server, &carried)).await
    };
    assert_eq!(response(&silent)["error"], "login_required");
    server.advance(31 * 60);
    let late = Browser::new(&server).get(&path).await;
    assert_eq!(late.status, 400, "{}", late.body);
}

async fn claims_that_are_too_many_or_too_long_are_called_so(server: Server) {
    let many: Vec<String> = (0..51).map(|n| format!("\"c{n}\":null")).collect();
    let many = format!("{{\"userinfo\":{{{}}}}}", many.join(","));
    let long = format!("{{\"userinfo\":{{\"{}\":null}}}}", "c".repeat(13_000));
    for (claims, said) in [
        (many.as_str(), Some("claims names more than 50 claims")),
        (&long, Some("claims is longer than 4096 bytes")),
        ("[]", Some("claims is not a JSON object of requests")),
        ("{\"userinfo\":{\"email\":null}}", None),
    ] {
        let mut asked = request();
        asked.insert("claims".into(), claims.into());
        let mut known = Browser::new(&server);
        known.authorize(&request()).await;
        let form: Vec<_> = asked.clone().into_iter().collect();

        let posted = post(&server, "/authorize", encode(&asked)).await;
        let at_once = known.send(Method::POST, "/authorize", Some(&form)).await;

        for answer in [posted, at_once] {
            match said {
                Some(said) => {
                    let told = &response(&answer)["error_description"];
                    assert!(told.starts_with(said), "{told}");
                }
                None => assert!(path_of(&server, &answer).contains("transaction=")),
            }
        }
    }
}

async fn a_query_beside_a_form_is_refused(server: Server) {
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&request()).await;
    let page = browser
        .sign_in(&page, "alice", crate::harness::PASSWORD)
        .await;
    let allow = [("decision", "allow")];

    let refused = browser.submit("/consent?x=y", &page, &allow).await;

    assert_eq!(refused.status, 400, "{}", refused.body);
    let authorize = post(&server, "/authorize?x=y", encode(&request())).await;
    assert_eq!(authorize.status, 400, "{}", authorize.body);
    let taken = browser.submit("/consent", &page, &allow).await;
    assert!(response(&taken).contains_key("code"), "{}", taken.body);
}

/// Attack: A037
async fn a_state_that_would_not_come_back_is_refused(server: Server) {
    let with = |length: usize| {
        let mut request = request();
        request.insert("state".into(), "s".repeat(length));
        format!("/authorize?{}", encode(&request))
    };

    let refused = server.get(&with(2049)).await;

    let location = refused.header("location").unwrap();
    assert!(location.contains("error=invalid_request"), "{location}");
    assert!(!location.contains("state="), "{location}");
    let taken = server.get(&with(2048)).await;
    assert!(taken.header("location").unwrap().contains("/login"));
    let logout = server
        .get(&format!("/logout?state={}", "s".repeat(2049)))
        .await;
    assert_eq!(logout.status, 400);
}

/// Attack: A037
async fn nothing_of_a_posted_body_reaches_a_header_as_it_came(server: Server) {
    for body in [
        "a=\u{1}",
        "state=%0d%0aSet-Cookie:x",
        "state=\u{e9}",
        "a=%41\u{7f}",
    ] {
        for path in ["/logout", "/authorize"] {
            let answer = post(&server, path, body.to_owned()).await;
            assert!(answer.status < 500, "{path} {body:?} {}", answer.status);
            let location = answer.header("location").unwrap_or_default();
            assert!(
                location.is_ascii() && !location.contains(['\r', '\n']),
                "{location}"
            );
        }
    }
    let long = format!("state={}", "a".repeat(40_000));
    assert_eq!(post(&server, "/logout", long).await.status, 400);
}

async fn a_body_that_says_it_is_not_encoded_is_read(server: Server) {
    for (codings, status) in [
        (&["identity"][..], 200),
        (&["Identity"], 200),
        (&["gzip"], 415),
        (&["identity", "gzip"], 415),
        (&["identity, gzip"], 415),
    ] {
        let mut request = server
            .request(Method::POST, "/token")
            .basic_auth("job", Some(SECRET))
            .form(&[("grant_type", "client_credentials")]);
        for coding in codings {
            request = request.header("content-encoding", *coding);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{codings:?}");
    }
}

/// Attack: N364
async fn a_method_that_is_not_taken_says_which_are(server: Server) {
    let answer = server.get("/token").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, Some("POST, OPTIONS"))
    );
    let head = server
        .request(Method::HEAD, "/healthz")
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
}

async fn a_body_that_never_comes_holds_no_operator_up(server: Server) {
    let address = server.admin.trim_start_matches("http://").to_owned();
    let head = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nContent-Length: 100\r\n\r\n");
    let mut silent = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        silent.push(stream);
    }

    let mut answer = Vec::new();
    let first = silent[0].read_to_end(&mut answer);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), first).await;

    assert!(ended.is_ok(), "it holds its place for ever");
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    let read = async {
        loop {
            let health = format!("{}/healthz", server.admin);
            if reqwest::get(health)
                .await
                .is_ok_and(|own| own.status() == 200)
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let read = tokio::time::timeout(std::time::Duration::from_secs(20), read).await;
    assert!(read.is_ok(), "an operator gets in again");
}
