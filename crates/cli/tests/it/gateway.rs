//! `symbolon gateway` as a process: in front of a service, through a changed
//! file and a bad one, to its end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use rustix::process::Signal;
use symbolon_server::testing::http;
use tokio::process::Child;
use tokio::time::{Instant, timeout};

use crate::configuration::ORDERS;
use crate::program::{Engine, PATIENCE, Plan, Site, command, free_port, send};

/// A gateway that runs before a service that says what it heard.
struct Guard {
    child: Child,
    file: PathBuf,
    log: PathBuf,
    text: String,
    address: SocketAddr,
}

impl Guard {
    async fn start(site: &Site) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = listener.local_addr().unwrap();
        let router = Router::new().fallback(async |headers: HeaderMap| {
            let asserted = headers.contains_key("symbolon-assertion");
            let bearer = headers.contains_key("authorization");
            format!("asserted {asserted}, bearer {bearer}")
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (listen, admin) = (free_port(), free_port());
        let text = format!(
            r#"[gateway]
listen = "127.0.0.1:{listen}"
admin_listen = "127.0.0.1:{admin}"
issuer = "{}"
introspection_client = "orders-api"
introspection_secret = "{}"
[[gateway.upstream]]
name = "orders"
url = "http://{service}"
[[gateway.route]]
path = "/orders/{{id}}"
upstream = "orders"
audience = "{ORDERS}"
scopes = ["read:orders"]
"#,
            site.issuer, site.words.api
        );
        let (file, log) = (
            site.folder.join("gateway.toml"),
            site.folder.join("gateway.log"),
        );
        std::fs::write(&file, &text).unwrap();
        let mut command = command();
        command.args(["gateway", "--config"]).arg(&file);
        command.stdout(std::fs::File::create(&log).unwrap());
        let errors = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
        let child = command.stderr(errors).spawn().unwrap();
        let own = Self {
            child,
            file,
            log,
            text,
            address: SocketAddr::from(([127, 0, 0, 1], listen)),
        };
        let ready = format!("http://127.0.0.1:{admin}/readyz");
        let begin = Instant::now();
        while !http()
            .get(&ready)
            .send()
            .await
            .is_ok_and(|own| own.status() == 200)
        {
            assert!(begin.elapsed() < PATIENCE, "not ready: {}", own.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let metrics = http().get(ready.replace("readyz", "metrics"));
        assert!(
            metrics
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap()
                .contains("revocations_age")
        );
        own
    }

    fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> (u16, String) {
        let request = http().get(format!("http://{}{path}", self.address));
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Changes the file, says so, and waits for a line of the log.
    async fn change(&self, text: &str, line: &str) {
        std::fs::write(&self.file, text).unwrap();
        let before = self.printed().matches(line).count();
        send(&self.child, Signal::HUP);
        let begin = Instant::now();
        while self.printed().matches(line).count() == before {
            assert!(begin.elapsed() < PATIENCE, "{}", self.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_guards_a_service_through_good_files_and_bad_ones() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let mut guard = Guard::start(&site).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let request = http().post(format!("{}/token", site.issuer)).form(&form);
    let answer = request
        .basic_auth("job", Some(&site.words.job))
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();

    let good = (200, "asserted true, bearer false".to_owned());
    assert_eq!(guard.get("/orders/7", &token).await, good);
    assert_eq!(guard.get("/orders/7", "nonsense").await.0, 401);
    assert_eq!(guard.get("/new", &token).await.0, 404);

    let bad = guard.text.replace("scopes = [\"read:orders\"]\n", "");
    guard.change(&bad, "the old one stays").await;
    assert!(
        guard.printed().contains("gateway.toml:10:"),
        "{}",
        guard.printed()
    );
    assert_eq!(guard.get("/orders/7", &token).await, good);
    let new = format!(
        "{}[[gateway.route]]\npath = \"/new\"\nupstream = \"orders\"\npublic = true\n",
        guard.text
    );
    guard.change(&new, "configuration applied").await;
    let open = (200, "asserted false, bearer false".to_owned());
    assert_eq!(guard.get("/new", &token).await, open);

    let printed = guard.printed();
    assert!(
        printed.contains("insufficient") || printed.contains("refused"),
        "{printed}"
    );
    assert!(!printed.contains(&token) && !printed.contains(&site.words.api));
    send(&guard.child, Signal::TERM);
    let status = timeout(PATIENCE, guard.child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(server.end().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_what_is_open_and_a_file_without_scopes_does_not_start() {
    use crate::program::{Folder, Said};

    let folder = Folder::new();
    let file = folder.join("gateway.toml");
    let run = async |verb: &str, text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = command();
        command.args([verb, "--config"]).arg(&file);
        Said::of(command.output().await.unwrap())
    };
    let head = "[gateway]\nissuer = 'http://127.0.0.1:1'\nintrospection_client = 'a'\nintrospection_secret = 'b'\n[[gateway.upstream]]\nname = 'a'\nurl = 'http://127.0.0.1:1'\n[[gateway.route]]\npath = '/a'\nupstream = 'a'\n";

    let open = run("check", &format!("{head}public = true\n")).await;
    let unsaid = run("check", &format!("{head}audience = 'https://a.test'\n")).await;
    let started = run("gateway", &format!("{head}audience = 'https://a.test'\n")).await;

    assert_eq!(open.code, Some(0), "{open:?}");
    let named = open.lines.iter().any(|line| {
        line.contains(":11:") && line.contains("gateway.route.public") && line.contains("`/a`")
    });
    assert!(named, "{open:?}");
    assert_eq!(unsaid.code, Some(1), "{unsaid:?}");
    assert!(
        unsaid
            .lines
            .iter()
            .any(|line| line.contains("gateway.toml:8:"))
    );
    assert_eq!(started.code, Some(1), "{started:?}");
    assert!(started.errors.contains("gateway.route.scopes.invalid"));
}
