//! `serve` as an operator runs it: over TLS and below a path, with a file that
//! changes while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Method, Version};
use rustix::process::Signal;
use serde_json::json;
use symbolon_testkit::Row;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::browser::{Browser, request};
use crate::configuration::secret;
use crate::program::{Engine, PATIENCE, Plan, Site};

const TLS: &str = "\n[tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";

/// An installation with a certificate of its own.
async fn over_tls(engine: Engine, path: &str) -> Site {
    let plan = Plan::new(engine);
    let site = Site::planned(Plan {
        scheme: "https",
        path,
        ..plan
    })
    .await;
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]);
    openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]);
    openssl.arg(site.folder.join("server.key"));
    openssl.arg("-out").arg(site.folder.join("server.pem"));
    let made = openssl.output().await.unwrap();
    assert!(made.status.success(), "{made:?}");
    site.configure("", TLS);
    site
}

/// Metadata is found in both orders of path and well-known name.
async fn check_well_known(site: &Site) {
    for address in [
        "tenant/.well-known/openid-configuration",
        ".well-known/openid-configuration/tenant",
        "tenant/.well-known/oauth-authorization-server",
        ".well-known/oauth-authorization-server/tenant",
    ] {
        let url = format!("https://{}/{address}", site.listen);
        let told: serde_json::Value = site
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(told["issuer"], json!(site.issuer), "{address}");
        assert_eq!(
            told["token_endpoint"],
            json!(format!("{}/token", site.issuer))
        );
    }
}

/// HTTP/2, both orders of the well-known addresses, and cookies that no
/// sibling host can set.
///
/// Attack: K292
async fn a_person_signs_in_over_tls_below_a_path(engine: Engine) {
    let site = over_tls(engine, "/tenant").await;
    let program = site.start().await;
    let spoken = site.request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(spoken.version(), Version::HTTP_2);
    check_well_known(&site).await;
    let outside = format!("https://{}/token", site.listen);
    assert_eq!(site.http.post(outside).send().await.unwrap().status(), 404);

    let mut browser = Browser::new(&site);
    let asked = request(&site, "web", "openid offline_access read:orders");
    let page = browser.send(Method::GET, &asked.path(), None).await;
    let mut lines: Vec<_> = page.headers.get_all("set-cookie").iter().cloned().collect();
    let page = browser.follow(page).await;
    let fields = [("username", "alice"), ("password", &*site.words.password)];
    let form: Vec<_> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain(["transaction", "csrf"].map(|name| {
            let value = symbolon_server::testing::hidden(&page.body, name).unwrap();
            (name.to_owned(), value)
        }))
        .collect();
    let signed_in = browser.send(Method::POST, "/login", Some(&form)).await;
    lines.extend(signed_in.headers.get_all("set-cookie").iter().cloned());
    assert!(lines.len() >= 3, "{lines:?}");
    for line in &lines {
        let line = line.to_str().unwrap();
        assert!(line.starts_with("__Host-sym-"), "{line}");
        for part in ["; Path=/;", "; HttpOnly", "; Secure", "; SameSite=Lax"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("Domain"), "{line}");
    }
    let tokens = browser.tokens("alice", &asked).await;
    let access = tokens.text("access_token");
    assert_eq!(site.introspect(&access).await["iss"], json!(site.issuer));
    let session = browser
        .cookies
        .iter()
        .find(|(name, _)| name.ends_with("session"));
    let (name, value) = session
        .map(|(name, value)| (name.clone(), value.clone()))
        .unwrap();
    let mut tossed = Browser::new(&site);
    tossed.cookies.insert(name.replace("__Host-", ""), value);
    let page = tossed.authorize(&asked).await;
    assert!(
        page.body.contains(r#"id="login-submit""#),
        "another name is no session"
    );
    assert!(program.end().await.success());
}

on_both_engines! { a_person_signs_in_over_tls_below_a_path }

/// The first message of a TLS client, at most of a version, with these suites.
fn client_hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let with_length = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length[..], bytes].concat()
    };
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &with_length(body)].concat();
    let groups = extension(10, &with_length(&[0x00, 0x1d, 0x00, 0x17]));
    let signatures = extension(13, &with_length(&[0x04, 0x03, 0x08, 0x04, 0x02, 0x03]));
    let points = extension(11, &[1, 0]);
    let body = [
        &version.to_be_bytes()[..],
        &[7; 32],
        &[0],
        &with_length(&suites),
        &[1, 0],
        &with_length(&[groups, signatures, points].concat()),
    ]
    .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    [&[0x16, 0x03, 0x01][..], &with_length(&message)].concat()
}

/// The kind of the record that answers, and the last byte of an alert.
async fn answer_to(address: SocketAddr, hello: &[u8]) -> (u8, u8) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(hello).await.unwrap();
    let mut record = [0; 7];
    let read = timeout(PATIENCE, stream.read_exact(&mut record)).await;
    read.expect("no answer").expect("a record");
    (record[0], record[6])
}

/// Attack: N373
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_versions_of_tls_and_weak_suites_are_refused() {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const STRONG: u16 = 0xc02b;
    let site = over_tls(Engine::Sqlite, "").await;
    let program = site.start().await;
    let ask = async |version, suite| answer_to(site.listen, &client_hello(version, &[suite])).await;

    assert_eq!(ask(0x0303, STRONG).await.0, HANDSHAKE, "TLS 1.2");
    for (old, name) in [(0x0302, "TLS 1.1"), (0x0301, "TLS 1.0"), (0x0300, "SSL 3")] {
        assert_eq!(ask(old, 0xc009).await.0, ALERT, "{name}");
    }
    for weak in [0xc009, 0x002f, 0x000a, 0x0005] {
        assert_eq!(ask(0x0303, weak).await, (ALERT, 40), "{weak:#06x}");
    }
    assert_eq!(site.get("/readyz").await.status, 200);
    assert!(program.end().await.success());
}

/// A block of a client that may have tokens for itself.
fn client(id: &str, secret: &str, more: &str) -> String {
    format!(
        "\n[[client]]\nid = \"{id}\"\nkind = \"service\"\nsecret = \"{secret}\"\ngrants = [\"client_credentials\"]\nscopes = [\"read:orders\"]\nresources = [\"https://orders.example.com\"]\n{more}\n"
    )
}

impl Site {
    /// The status that a client's secret gets.
    async fn try_secret(&self, id: &str, secret: &str) -> u16 {
        let form = [("grant_type", "client_credentials")];
        let request = self.request(Method::POST, "/token").form(&form);
        let request = request.basic_auth(id, Some(secret));
        request.send().await.unwrap().status().as_u16()
    }

    /// Whether a password signs alice in.
    async fn try_password(&self, password: &str) -> bool {
        let mut browser = Browser::new(self);
        let page = browser.authorize(&request(self, "web", "openid")).await;
        let page = browser.sign_in(&page, "carol", password).await;
        page.body.contains(r#"id="consent-allow""#)
    }

    /// Waits until a client's secret gets a status.
    async fn until_secret_gets(&self, id: &str, secret: &str, status: u16) {
        let begin = Instant::now();
        while self.try_secret(id, secret).await != status {
            assert!(begin.elapsed() < PATIENCE, "{}", self.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What stands in the file is used when a block creates something, and
/// afterwards where the block says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_secret_or_password_counts_only_where_it_is_enforced() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let (old, new) = (secret(), secret());
    let file = |secret: &str, more: &str, marker: &str| {
        let user = format!("\n[[user]]\nusername = \"carol\"\npassword = \"{secret}\"\n{more}\n");
        let last = client(marker, &new, "");
        site.configure("", &[client("late", secret, more), user, last].concat());
    };
    file(&old, "", "marker-one");
    let program = site.start().await;
    assert_eq!(site.try_secret("late", &old).await, 200);
    assert!(site.try_password(&old).await);

    file(&new, "", "marker-two");
    program.signal(Signal::HUP);
    site.until_secret_gets("marker-two", &new, 200).await;

    assert_eq!(site.try_secret("late", &old).await, 200);
    assert_eq!(site.try_secret("late", &new).await, 401);
    assert!(site.try_password(&old).await);

    file(&new, "enforce = true", "marker-three");
    program.signal(Signal::HUP);
    site.until_secret_gets("late", &new, 200).await;
    site.until_secret_gets("marker-three", &new, 200).await;

    assert_eq!(site.try_secret("late", &old).await, 401);
    let begin = Instant::now();
    while !site.try_password(&new).await {
        assert!(begin.elapsed() < PATIENCE, "{}", site.printed());
    }
    assert!(!site.try_password(&old).await);
    assert!(program.end().await.success());
}

/// Asks for tokens on one connection until told to stop; how often it was
/// answered otherwise than well.
async fn load(site: Arc<Site>, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) -> u64 {
    let mut failed = 0;
    while !stop.load(Ordering::Relaxed) {
        let status = site.try_secret("job", &site.words.job).await;
        failed += u64::from(status != 200);
        answered.fetch_add(1, Ordering::Relaxed);
    }
    failed
}

/// Row R40 of the reliability catalogue: good and bad files in turn, and no
/// request notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_read_again_fails_no_request_and_a_bad_one_changes_nothing() {
    let site = Arc::new(Site::planned(Plan::new(Engine::Sqlite)).await);
    let program = site.start().await;
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let client_task = tokio::spawn(load(
        Arc::clone(&site),
        Arc::clone(&stop),
        Arc::clone(&answered),
    ));
    let word = secret();
    let bad = [
        "\n[[client]\n".to_owned(),
        client("bad", &word, "unknown = 1"),
        client("bad", &word, "resources = [\"nowhere\"]"),
        [client("bad", &word, ""), client("bad", &word, "")].concat(),
    ];
    for round in 0..Row::R40.size(5, 50) {
        let wrong = &bad[round % bad.len()];
        site.configure("", wrong);
        let before = site.printed().matches("\"level\":\"ERROR\"").count();
        program.signal(Signal::HUP);
        let begin = Instant::now();
        while site.printed().matches("\"level\":\"ERROR\"").count() == before {
            assert!(begin.elapsed() < PATIENCE, "{wrong}: {}", site.printed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Whoever asks as nobody again and again is told to wait.
        let refused = site.try_secret("bad", &word).await;
        assert!(matches!(refused, 401 | 429), "{refused}: {wrong}");

        let good = format!("good-{round}");
        site.configure("", &client(&good, &word, ""));
        program.signal(Signal::HUP);
        site.until_secret_gets(&good, &word, 200).await;
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(client_task.await.unwrap(), 0);
    assert!(answered.load(Ordering::Relaxed) > 10);
    assert_eq!(site.try_secret("job", &site.words.job).await, 200);
    assert!(program.end().await.success());
}
