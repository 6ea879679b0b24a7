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
use tokio::time::Instant;

use crate::configuration::ORDERS;
use crate::program::{Engine, PATIENCE, Plan, Site, command, ended, free_port, send};

/// A gateway that runs before a service that says what it heard.
pub(crate) struct Guard {
    pub(crate) child: Child,
    pub(crate) file: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) text: String,
    pub(crate) address: SocketAddr,
    /// Where its health, its numbers and its decision point are.
    pub(crate) admin: SocketAddr,
}

impl Guard {
    async fn start(site: &Site) -> Self {
        Self::with(site, "").await
    }

    /// The same with more in its file.
    pub(crate) async fn with(site: &Site, more: &str) -> Self {
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
{more}"#,
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
            admin: SocketAddr::from(([127, 0, 0, 1], admin)),
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

    pub(crate) fn printed(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (u16, String) {
        let request = http().get(format!("http://{}{path}", self.address));
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Changes the file, says so, and waits for a line of the log.
    pub(crate) async fn change(&self, text: &str, line: &str) {
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

/// A token of the client `job` that reads orders.
pub(crate) async fn token(site: &Site) -> String {
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
    answer["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_read_again_and_one_with_a_mistake_changes_nothing() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let guard = Guard::start(&site).await;
    let token = token(&site).await;
    let schema = |text: &str| std::fs::write(site.folder.join("schema.graphql"), text).unwrap();
    let ask = async |query: &str| {
        let request = http().post(format!("http://{}/graph", guard.address));
        let request = request.json(&serde_json::json!({ "query": query }));
        let answer = request.bearer_auth(&token).send().await.unwrap();
        answer.status().as_u16()
    };
    let text = format!(
        "{}[[gateway.route]]\npath = \"/graph\"\nupstream = \"orders\"\naudience = \"{ORDERS}\"\nscopes = [\"read:orders\"]\n[gateway.route.graphql]\nschema = \"schema.graphql\"\n",
        guard.text
    );
    schema("type Query {\n open: Int\n secret: Int @requiresScopes(scopes: [[\"x\"]])\n}");
    guard.change(&text, "configuration applied").await;
    assert_eq!((ask("{ open }").await, ask("{ secret }").await), (200, 403));

    schema("type Query {\n open: Int\n secret: Int @requireScopes(scopes: [[\"x\"]])\n}");
    guard.change(&text, "the old one stays").await;

    assert!(
        guard.printed().contains("schema.graphql:3:"),
        "{}",
        guard.printed()
    );
    assert_eq!((ask("{ open }").await, ask("{ secret }").await), (200, 403));
    schema("type Query {\n secret: Int\n}");
    guard.change(&text, "configuration applied").await;
    assert_eq!((ask("{ open }").await, ask("{ secret }").await), (400, 200));
    ended(guard.child).await;
    assert!(server.end().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_guards_a_service_through_good_files_and_bad_ones() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let guard = Guard::start(&site).await;
    let token = token(&site).await;

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

    let waits = "takes effect at the next start";
    assert!(!guard.printed().contains(waits), "{}", guard.printed());
    let moved = new.replace(&guard.admin.to_string(), "127.0.0.1:1");
    guard.change(&moved, "configuration applied").await;
    let printed = guard.printed();
    let mut told = printed.lines().filter(|line| line.contains(waits));
    assert!(told.next().unwrap().contains("gateway.admin_listen"));
    assert_eq!(told.next(), None, "and nothing else");

    assert!(
        printed.contains("insufficient") || printed.contains("refused"),
        "{printed}"
    );
    assert!(!printed.contains(&token) && !printed.contains(&site.words.api));
    ended(guard.child).await;
    assert!(server.end().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_a_key_holds_and_a_downgrade_acts_within_a_second() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let guard = Guard::start(&site).await;
    let text = format!(
        "{}feature = \"orders\"\n[[limit]]\nname = \"few\"\nper = \"key\"\nquota = 4\nperiod = \"year\"\n[[plan]]\nname = \"pro\"\nfeatures = [\"orders\"]\nlimits = [\"few\"]\n[[plan]]\nname = \"free\"\ndefault = true\n",
        guard.text
    );
    guard.change(&text, "configuration applied").await;
    let create = [
        "apikey",
        "create",
        "app",
        "--client",
        "job",
        "--scope",
        "read:orders",
        "--resource",
        ORDERS,
        "--plan",
    ];
    let made = site.done(&[&create[..], &["pro"]].concat()).await;
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    for status in [200, 200, 200, 200, 429] {
        assert_eq!(guard.get("/orders/7", key).await.0, status);
    }
    let made = site.done(&[&create[..], &["unheard-of"]].concat()).await;
    let (status, said) = guard.get("/orders/7", made["key"].as_str().unwrap()).await;
    assert!(status == 503 && said.contains("plan-unknown"), "{said}");

    site.done(&["apikey", "update", id, "--plan", "free"]).await;

    // Five times as much, on a machine that runs other tests.
    let begin = Instant::now();
    while guard.get("/orders/7", key).await.0 != 403 {
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "a downgrade came late"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (_, said) = guard.get("/orders/7", key).await;
    assert!(said.contains("feature-not-in-plan"), "{said}");
    ended(guard.child).await;
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
