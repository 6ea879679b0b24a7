//! Guesses: how many anybody has, and that nobody uses up another's.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use symbolon_server::testing::{self, Site, http_from};
use symbolon_testkit::Row;
use tokio::time::Instant;

use crate::browser::request;
use crate::harness::{Answer, PASSWORD, SECRET, Server, read};

/// Somebody with an address of their own.
struct Caller<'s> {
    server: &'s Server,
    http: reqwest::Client,
}

impl<'s> Caller<'s> {
    fn at(server: &'s Server, address: &str) -> Self {
        let address: IpAddr = address.parse().unwrap();
        Self {
            server,
            http: http_from(Some(address)),
        }
    }

    async fn try_secret(&self, client: &str, secret: &str) -> Answer {
        let form = [("grant_type", "client_credentials")];
        let request = self.request(Method::POST, "/token").form(&form);
        let request = request.basic_auth(client, Some(secret));
        read(request.send().await.unwrap()).await
    }

    fn browser(&self) -> testing::Browser<'_, Self> {
        testing::Browser::new(self)
    }

    /// One try in a browser that was never here.
    async fn try_password(&self, username: &str, password: &str) -> Answer {
        let mut browser = self.browser();
        let page = browser.authorize(&request()).await;
        browser.sign_in(&page, username, password).await
    }
}

impl Site for Caller<'_> {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let host = self.server.name().replace("http://", "");
        self.http
            .request(method, format!("{}{path}", self.server.issuer))
            .header("host", host)
    }

    fn issuer(&self) -> String {
        self.server.name()
    }

    fn password(&self) -> &str {
        PASSWORD
    }

    fn secret(&self, client: &str) -> Option<&str> {
        Site::secret(self.server, client)
    }
}

fn is_consent(answer: &Answer) -> bool {
    answer.body.contains(r#"id="consent-allow""#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_a_secret_count_by_address_and_client_and_lock_nobody_out() {
    let server = Server::on_sqlite().await;
    let (thief, owner) = (
        Caller::at(&server, "127.0.0.1"),
        Caller::at(&server, "127.0.0.2"),
    );
    for _ in 0..20 {
        let wrong = thief.try_secret("job", "wrong").await;
        assert_eq!((wrong.status, &*wrong.refusal()), (401, "invalid_client"));
    }

    let limited = thief.try_secret("job", "wrong").await;

    assert_eq!(
        (limited.status, &*limited.refusal()),
        (429, "invalid_client")
    );
    assert!(limited.header("retry-after").is_some());
    let found = thief.try_secret("job", SECRET).await;
    assert_eq!(
        (found.status, &*found.refusal()),
        (429, "invalid_client"),
        "the right one is not told from the wrong ones"
    );
    assert_eq!(owner.try_secret("job", "wrong").await.status, 401);
    assert_eq!(owner.try_secret("job", SECRET).await.status, 200);
    assert_eq!(thief.try_secret("other", SECRET).await.status, 200);
    for _ in 0..20 {
        assert_eq!(thief.try_secret("nobody", "wrong").await.status, 401);
    }
    let unknown = thief.try_secret("nobody", "wrong").await;
    assert_eq!(unknown.status, 429, "an unknown client looks the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_knew_the_secret_is_not_locked_out_by_its_neighbours() {
    let server = Server::on_sqlite().await;
    let (shared, elsewhere) = (
        Caller::at(&server, "127.0.0.1"),
        Caller::at(&server, "127.0.0.2"),
    );
    assert_eq!(shared.try_secret("job", SECRET).await.status, 200);
    for caller in [&shared, &elsewhere] {
        for _ in 0..20 {
            assert_eq!(caller.try_secret("job", "wrong").await.status, 401);
        }
        assert_eq!(caller.try_secret("job", "wrong").await.status, 429);
    }

    let running = shared.try_secret("job", SECRET).await;

    assert_eq!(running.status, 200);
    assert_eq!(elsewhere.try_secret("job", SECRET).await.status, 429);
    assert_eq!(elsewhere.try_secret("other", SECRET).await.status, 200);
}

/// What a proxy says of the caller counts if it is trusted, and as far as the
/// next hop is.
///
/// Attack: K293
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_a_header_counts_from_a_trusted_proxy_alone() {
    let ask = async |server: &Server, (name, value): (&str, &str), secret: &str| {
        let form = [("grant_type", "client_credentials")];
        let request = server.request(Method::POST, "/token").form(&form);
        let request = request.header(name, value).basic_auth("job", Some(secret));
        request.send().await.unwrap().status().as_u16()
    };
    let alone = Server::on_sqlite().await;
    for number in 0..20 {
        let value = format!("192.0.2.{number}");
        assert_eq!(ask(&alone, ("x-forwarded-for", &value), "wrong").await, 401);
    }
    assert_eq!(
        ask(&alone, ("x-forwarded-for", "198.51.100.1"), "wrong").await,
        429
    );

    let behind = Server::on_sqlite_with("trusted_proxies = [\"127.0.0.1/32\"]").await;
    for _ in 0..20 {
        // The caller wrote the first hop; the proxy wrote the last.
        let value = "198.51.100.1, 192.0.2.1";
        assert_eq!(ask(&behind, ("x-forwarded-for", value), "wrong").await, 401);
    }

    for (header, status) in [
        (("x-forwarded-for", "192.0.2.1"), 429),
        (("forwarded", "for=192.0.2.1;proto=https"), 429),
        (("x-forwarded-for", "198.51.100.1"), 401),
        (("forwarded", "for=\"[2001:db8::1]:4711\""), 401),
    ] {
        assert_eq!(ask(&behind, header, "wrong").await, status, "{header:?}");
    }
}

/// Attack: K298
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_has_a_hundred_guesses_and_a_known_device_its_own() {
    let server = Server::on_sqlite().await;
    let (near, far) = (
        Caller::at(&server, "127.0.0.1"),
        Caller::at(&server, "127.0.1.1"),
    );
    let mut known = near.browser();
    let page = known.authorize(&request()).await;
    assert!(is_consent(&known.sign_in(&page, "alice", PASSWORD).await));
    known.cookies.retain(|name, _| !name.ends_with("session"));
    for number in 0..100 {
        let name = format!("nobody{number}");
        let answer = near.try_password(&name, "wrong password").await;
        assert_eq!(answer.status, 422, "guess {number}");
    }

    let limited = near.try_password("alice", PASSWORD).await;

    assert_eq!(limited.status, 429, "{}", limited.body);
    let neighbour = Caller::at(&server, "127.0.0.77");
    assert_eq!(neighbour.try_password("bob", PASSWORD).await.status, 429);
    assert!(is_consent(&far.try_password("bob", PASSWORD).await));
    let page = known.authorize(&request()).await;
    let again = known.sign_in(&page, "alice", PASSWORD).await;
    assert!(is_consent(&again), "{}", again.body);
    server.advance(3601);
    assert!(is_consent(&near.try_password("bob", PASSWORD).await));
}

/// Attack: K296
/// Attack: K298
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_name_of_an_account_is_limited_as_a_name_that_nobody_has() {
    let server = Server::on_sqlite().await;
    let guesser = Caller::at(&server, "127.0.0.1");
    for name in ["alice", "alice@example.com", "nobody@example.com"] {
        let mut statuses = Vec::new();
        for _ in 0..14 {
            let answer = guesser.try_password(name, "wrong password").await;
            statuses.push(answer.status);
        }

        assert_eq!(statuses[..10], [422; 10], "{name}");
        assert_eq!(statuses[10..], [429; 4], "{name}");
    }
    for number in 30..100 {
        let name = format!("nobody{number}");
        let answer = guesser.try_password(&name, "wrong password").await;
        assert_eq!(answer.status, 422, "guess {number}");
    }
    let next = guesser.try_password("somebody", "wrong password").await;
    assert_eq!(next.status, 429, "each of them counted in the network");
    let elsewhere = Caller::at(&server, "127.0.1.1");
    assert!(is_consent(&elsewhere.try_password("bob", PASSWORD).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_use_up_an_account_keep_its_owner_out_of_no_known_device() {
    let server = Server::on_sqlite().await;
    let owner = Caller::at(&server, "127.0.0.1");
    let mut known = owner.browser();
    let page = known.authorize(&request()).await;
    assert!(is_consent(&known.sign_in(&page, "alice", PASSWORD).await));
    known.cookies.retain(|name, _| !name.ends_with("session"));
    for number in 0..12 {
        let stranger = Caller::at(&server, &format!("127.0.{}.1", 10 + number));
        let answer = stranger.try_password("alice", "wrong password").await;
        assert_eq!(
            answer.status,
            if number < 10 { 422 } else { 429 },
            "{number}"
        );
    }

    let page = known.authorize(&request()).await;
    let right = known.sign_in(&page, "alice", PASSWORD).await;

    assert!(is_consent(&right), "{}", right.body);
    let elsewhere = Caller::at(&server, "127.0.99.1");
    assert_eq!(elsewhere.try_password("alice", PASSWORD).await.status, 429);
}

/// Whoever is limited already costs others nothing: no place in front of the
/// hash, and no write.
///
/// Attack: K298
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_is_limited_keeps_nobody_from_signing_in() {
    let server = Server::on_sqlite().await;
    let owner = Caller::at(&server, "127.0.7.1");
    let mut known = owner.browser();
    let page = known.authorize(&request()).await;
    assert!(is_consent(&known.sign_in(&page, "alice", PASSWORD).await));
    known.cookies.retain(|name, _| !name.ends_with("session"));
    let stranger = Caller::at(&server, "127.0.0.1");
    for _ in 0..11 {
        stranger.try_password("alice", "wrong password").await;
    }
    let before = server.commits();
    assert_eq!(stranger.try_password("alice", "wrong").await.status, 429);
    assert_eq!(server.commits(), before, "it is known without a write");
    let end = Instant::now() + Duration::from_secs(2);
    let flood = (0..12).map(|_| async {
        while Instant::now() < end {
            let answer = stranger.try_password("alice", "wrong").await;
            assert_eq!(answer.status, 429, "{}", answer.body);
        }
    });
    let people = async {
        for _ in 0..8 {
            let page = known.authorize(&request()).await;
            let right = known.sign_in(&page, "alice", PASSWORD).await;
            assert!(is_consent(&right), "{}: {}", right.status, right.body);
            known.cookies.retain(|name, _| !name.ends_with("session"));
        }
        let other = owner.try_password("bob", PASSWORD).await;
        assert!(is_consent(&other), "{}: {}", other.status, other.body);
    };

    tokio::join!(futures_util::future::join_all(flood), people);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_sign_in_at_once_wait_and_none_is_turned_away() {
    let server = Server::on_sqlite().await;
    testing::be_patient(&server.running.as_ref().unwrap().app);
    let all = (1..=16).map(|number| {
        let server = &server;
        async move {
            let address = format!("127.0.{number}.1");
            let caller = Caller::at(server, &address);
            let name = ["alice", "bob"][number % 2];
            caller.try_password(name, PASSWORD).await
        }
    });

    for answer in futures_util::future::join_all(all).await {
        assert!(is_consent(&answer), "{}: {}", answer.status, answer.body);
    }
}

/// Welch's t of two samples, and the difference of their medians.
fn compare(one: &[f64], two: &[f64]) -> (f64, f64) {
    let count = |own: &[f64]| f64::from(u32::try_from(own.len()).unwrap());
    let mean = |own: &[f64]| own.iter().sum::<f64>() / count(own);
    let spread = |own: &[f64]| {
        let mean = mean(own);
        own.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count(own) - 1.0) / count(own)
    };
    let middle = |own: &[f64]| own[own.len() / 2];
    let t = (mean(one) - mean(two)) / (spread(one) + spread(two)).sqrt();
    (t, (middle(one) - middle(two)).abs())
}

/// An unknown client and a wrong secret, in turn, each from an address of its
/// own: what takes longest, when something else ran, is left out.
async fn measured(server: &Server, number: u32) -> (f64, f64) {
    let mut times = [Vec::new(), Vec::new()];
    for at in 0..2 * number {
        let client = if at % 2 == 0 { "job" } else { "nobody" };
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + at);
        let form = [("grant_type", "client_credentials")];
        let request = server
            .request(Method::POST, "/token")
            .form(&form)
            .header("x-forwarded-for", address.to_string())
            .basic_auth(client, Some("a secret that nobody has at all!"));
        let begin = Instant::now();
        let status = request.send().await.unwrap().status();
        let side = usize::try_from(at % 2).unwrap();
        times[side].push(begin.elapsed().as_secs_f64());
        assert_eq!(status, 401);
    }
    for own in &mut times {
        own.sort_by(f64::total_cmp);
        own.truncate(own.len() * 9 / 10);
    }
    compare(&times[0], &times[1])
}

/// Attack: D123
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_client_takes_as_long_as_a_wrong_secret() {
    let server = Server::on_sqlite_with("trusted_proxies = [\"127.0.0.1/32\"]").await;
    measured(&server, 50).await;
    let mut found = Vec::new();
    for _ in 0..3 {
        let (t, medians) = measured(&server, Row::D123.size(300, 10_000)).await;
        if t.abs() < 4.5 && medians < Duration::from_millis(1).as_secs_f64() {
            return;
        }
        found.push((t, medians));
    }
    panic!("told apart three times: {found:?}");
}
