//! The fetcher against servers on this machine.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::resolver::Found;
use super::*;

/// What a stub server does with every connection.
#[derive(Clone)]
enum Behaviour {
    Answer(Arc<std::sync::Mutex<String>>),
    /// Sends `length` bytes of body without saying how many.
    Endless,
    Silent,
    /// Says nothing where the path is `/hangs`.
    HangsInPart(Arc<std::sync::Mutex<String>>),
}

struct Stub {
    port: u16,
    connections: Arc<AtomicUsize>,
    text: Arc<std::sync::Mutex<String>>,
}

impl Stub {
    async fn start(behaviour: fn(Arc<std::sync::Mutex<String>>) -> Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let text: Arc<std::sync::Mutex<String>> = Arc::default();
        let (count, behaviour) = (Arc::clone(&connections), behaviour(Arc::clone(&text)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, behaviour.clone()));
            }
        });
        Self {
            port,
            connections,
            text,
        }
    }

    async fn answering(text: String) -> Self {
        let stub = Self::start(Behaviour::Answer).await;
        stub.answer(text);
        stub
    }

    fn answer(&self, text: String) {
        *self.text.lock().unwrap() = text;
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/jwks?secret=1", self.port)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: tokio::net::TcpStream, behaviour: Behaviour) {
    let mut buffer = [0; 4096];
    let _ = stream.read(&mut buffer).await;
    match behaviour {
        Behaviour::Answer(text) => {
            let text = text.lock().unwrap().clone();
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Behaviour::Endless => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                .await;
            while stream.write_all(&[b'a'; 1024]).await.is_ok() {}
        }
        Behaviour::HangsInPart(text) => {
            if buffer.starts_with(b"POST /hangs") {
                std::future::pending::<()>().await;
            }
            let text = text.lock().unwrap().clone();
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Behaviour::Silent => std::future::pending().await,
    }
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

fn key_set(kid: &str) -> String {
    let body = format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}]}}"#
    );
    http("200 OK", "Cache-Control: max-age=600\r\n", &body)
}

/// Names that stand for fixed addresses.
struct Names(&'static [(&'static str, &'static str)], Arc<AtomicUsize>);

impl Lookup for Names {
    fn lookup(&self, host: String) -> Found {
        self.1.fetch_add(1, Ordering::SeqCst);
        let own = self.0.iter().filter(|(name, _)| *name == host);
        let found: Vec<IpAddr> = own.map(|(_, address)| address.parse().unwrap()).collect();
        Box::pin(std::future::ready(if found.is_empty() {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Ok(found)
        }))
    }
}

const NAMES: &[(&str, &str)] = &[
    ("inside.test", "127.0.0.1"),
    ("mixed.test", "8.8.8.8"),
    ("mixed.test", "127.0.0.1"),
    ("mapped.test", "::ffff:127.0.0.1"),
    ("keys.internal", "127.0.0.1"),
];

/// Longer than a busy machine lets anybody wait for an answer.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(20),
    total: Duration::from_secs(20),
    cooldown: Duration::from_secs(60),
    calls: 4,
    sends: 4,
};

fn fetcher(issuer: &str, allow: &[&str]) -> (Fetcher, Arc<AtomicUsize>) {
    fetcher_within(LIMITS, issuer, allow)
}

fn fetcher_within(limits: Limits, issuer: &str, allow: &[&str]) -> (Fetcher, Arc<AtomicUsize>) {
    let allow: Vec<String> = allow.iter().map(|text| (*text).to_owned()).collect();
    let lookups = Arc::new(AtomicUsize::new(0));
    let names = Arc::new(Names(NAMES, Arc::clone(&lookups)));
    (
        Fetcher::with(
            Reach::new(&issuer.parse().unwrap(), &allow),
            Vec::new(),
            names,
            limits,
        ),
        lookups,
    )
}

const LOCAL: &str = "http://localhost:8080";

fn local() -> Fetcher {
    fetcher(LOCAL, &[]).0
}

const PUBLIC: &str = "https://auth.example.com";

#[tokio::test]
async fn nothing_connects_to_a_forbidden_address() {
    let stub = Stub::answering(http("200 OK", "", "{}")).await;
    let (fetcher, _) = fetcher(PUBLIC, &[]);
    let port = stub.port;

    #[rustfmt::skip]
    let hosts = [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "[::1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "0.0.0.0", "[::]", "localhost", "LOCALHOST", "inside.test", "mixed.test", "mapped.test",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
    ];
    for host in hosts {
        for scheme in ["https", "http"] {
            let outcome = fetcher
                .get(&format!("{scheme}://{host}:{port}/"), 100, "*/*")
                .await;
            assert_eq!(
                outcome.unwrap_err(),
                FetchError::Address,
                "{scheme}://{host}"
            );
        }
    }
    assert_eq!(stub.connections(), 0);
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    let stub = Stub::answering(String::new()).await;
    let (fetcher, lookups) = fetcher(PUBLIC, &["keys.internal"]);

    let outcome = fetcher
        .get(&format!("https://keys.internal:{}/", stub.port), 100, "*/*")
        .await;

    // The stub speaks no TLS, so all that can be seen is that it was reached.
    assert_eq!(outcome.unwrap_err(), FetchError::Unreachable);
    assert_eq!((stub.connections(), lookups.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_good_answer_is_handed_over_whole() {
    let stub = Stub::answering(http("200 OK", "Cache-Control: max-age=60\r\n", "hello")).await;

    let fetched = local().get(&stub.url(), 5, "text/plain").await.unwrap();

    assert_eq!((fetched.status, &fetched.body[..]), (200, &b"hello"[..]));
    assert_eq!(fetched.cache_control.as_deref(), Some("max-age=60"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Stub::answering(http("200 OK", "", "{}")).await;
    let location = format!("Location: {}\r\n", target.url());
    let stub = Stub::answering(http("302 Found", &location, "")).await;

    let fetched = local().get(&stub.url(), 100, "*/*").await.unwrap();

    assert_eq!((fetched.status, target.connections()), (302, 0));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut_off() {
    let declared = Stub::answering(http("200 OK", "", "123456")).await;
    let endless = Stub::start(|_| Behaviour::Endless).await;

    assert_eq!(
        local().get(&declared.url(), 5, "*/*").await.unwrap_err(),
        FetchError::TooLarge(200)
    );
    assert_eq!(
        local().get(&endless.url(), 5000, "*/*").await.unwrap_err(),
        FetchError::TooLarge(200)
    );
}

#[tokio::test]
async fn a_silent_host_is_given_up_and_left_alone_for_a_while() {
    let stub = Stub::start(|_| Behaviour::Silent).await;
    let limits = Limits {
        total: Duration::from_millis(500),
        ..LIMITS
    };
    let (fetcher, _) = fetcher_within(limits, LOCAL, &[]);

    let first = fetcher.get(&stub.url(), 100, "*/*").await.unwrap_err();
    let second = fetcher.get(&stub.url(), 100, "*/*").await.unwrap_err();

    assert_eq!(
        (first, second),
        (FetchError::TooSlow, FetchError::CoolingDown)
    );
    assert_eq!(stub.connections(), 1);
}

#[tokio::test]
async fn a_receiver_that_hangs_keeps_no_other_of_its_host_from_being_told() {
    let stub = Stub::start(Behaviour::HangsInPart).await;
    stub.answer(http("202 Accepted", "", ""));
    let limits = Limits {
        total: Duration::from_secs(2),
        ..LIMITS
    };
    let (fetcher, _) = fetcher_within(limits, LOCAL, &[]);
    let send = async |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", stub.port);
        let outgoing = Outgoing {
            url: &url,
            content_type: "application/json",
            content_language: None,
            accept: "*/*",
            authorization: None,
            body: String::new(),
            limit_bytes: 100,
        };
        fetcher.post(&outgoing).await.map(|answer| answer.status)
    };

    let first = send("/hangs").await;
    let mut other = send("/answers").await;
    // A machine that stands still for so long is no fault of the host.
    for again in ["/answers/2", "/answers/3"] {
        if other == Err(FetchError::TooSlow) {
            other = send(again).await;
        }
    }
    let second = send("/hangs").await;

    assert_eq!(first, Err(FetchError::TooSlow));
    assert_eq!(other, Ok(202));
    assert_eq!(second, Err(FetchError::CoolingDown));
}

#[tokio::test]
async fn a_known_key_is_served_from_memory_and_an_unknown_one_asks_once_in_a_while() {
    let stub = Stub::answering(key_set("a")).await;
    let fetcher = local();
    let at = Duration::from_secs;
    let url = stub.url();

    assert!(
        fetcher
            .key_set(&url, Some("a"), at(100))
            .await
            .unwrap()
            .names("a")
    );
    assert!(
        fetcher
            .key_set(&url, Some("a"), at(101))
            .await
            .unwrap()
            .names("a")
    );
    assert!(
        !fetcher
            .key_set(&url, Some("b"), at(129))
            .await
            .unwrap()
            .names("b")
    );
    assert_eq!(stub.connections(), 1);

    stub.answer(key_set("b"));
    assert!(
        fetcher
            .key_set(&url, Some("b"), at(130))
            .await
            .unwrap()
            .names("b")
    );
    assert_eq!(stub.connections(), 2);

    for second in 131..159 {
        assert!(
            !fetcher
                .key_set(&url, Some("c"), at(second))
                .await
                .unwrap()
                .names("c")
        );
    }
    assert_eq!(stub.connections(), 2);
}

#[tokio::test]
async fn what_is_kept_waits_for_nobody_and_is_renewed_meanwhile() {
    let stub = Stub::answering(key_set("a")).await;
    let fetcher = local();
    let at = Duration::from_secs;
    let url = stub.url();
    assert!(fetcher.kept_key_set(&url, at(1)).is_none());
    fetcher.key_set(&url, None, at(1)).await.unwrap();
    assert!(fetcher.kept_key_set(&url, at(2)).unwrap().names("a"));
    assert_eq!(stub.connections(), 1);
    stub.answer(key_set("b"));

    assert!(fetcher.kept_key_set(&url, at(1000)).unwrap().names("a"));

    // Whoever can wait is answered by the question that was asked then.
    let renewed = fetcher.key_set(&url, Some("b"), at(1000)).await;
    assert!(renewed.unwrap().names("b"));
    assert!(fetcher.kept_key_set(&url, at(1001)).unwrap().names("b"));
    assert_eq!(stub.connections(), 2);
}

#[tokio::test]
async fn many_callers_share_one_question() {
    let stub = Stub::answering(key_set("a")).await;
    let fetcher = local();
    let callers = (0..32).map(|_| {
        let (fetcher, url) = (fetcher.clone(), stub.url());
        tokio::spawn(async move {
            fetcher
                .key_set(&url, Some("a"), Duration::from_secs(1))
                .await
        })
    });

    for caller in callers.collect::<Vec<_>>() {
        assert!(caller.await.unwrap().unwrap().names("a"));
    }

    assert_eq!(stub.connections(), 1);
}

#[tokio::test]
async fn a_kept_set_serves_on_for_a_day_where_its_address_fails() {
    let stub = Stub::answering(key_set("a")).await;
    let fetcher = local();
    let url = stub.url();
    let at = Duration::from_secs;
    fetcher.key_set(&url, Some("a"), at(0)).await.unwrap();
    stub.answer(http("500 Internal Server Error", "", ""));

    let unknown = fetcher.key_set(&url, Some("b"), at(1000)).await.unwrap();
    let within = fetcher.key_set(&url, Some("a"), at(86_400)).await;
    let waited = fetcher.key_set(&url, Some("b"), at(86_400)).await;
    let after = fetcher.key_set(&url, Some("a"), at(86_420)).await;

    assert!(!unknown.names("b") && within.unwrap().names("a") && waited.unwrap().names("a"));
    assert_eq!(after.unwrap_err(), FetchError::Status(500));
}

#[tokio::test]
async fn what_is_no_key_set_is_refused_and_not_asked_for_at_once_again() {
    let stub = Stub::answering(http("200 OK", "", "<html>")).await;
    let fetcher = local();

    for second in 0..5 {
        let outcome = fetcher
            .key_set(&stub.url(), None, Duration::from_secs(second))
            .await;
        assert_eq!(outcome.unwrap_err(), FetchError::Content);
    }

    assert_eq!(stub.connections(), 1);
}
