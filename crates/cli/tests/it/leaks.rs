//! The runbook `docs/leaks.md`, rehearsed: its blocks are run as they stand in
//! the page, in its order. What the thief has works before and is dead after,
//! and honest people go on.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Answer, Browser, http, read, request};
use crate::configuration::{ORDERS, VAULT};
use crate::page::{Shell, kid, page, rehearsed};
use crate::program::{Engine, Program, Site, command};

const CALLBACK: &str = "http://127.0.0.1:3000/callback";

/// The blocks of the page; each is to be run once.
struct Runbook(BTreeMap<String, String>);

impl Runbook {
    fn new() -> Self {
        let blocks = rehearsed(&page("leaks.md"));
        assert_eq!(
            blocks.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
            [
                "signing key",
                "database",
                "another master key",
                "every key",
                "client secrets",
                "another token",
                "what was done",
                "undo",
            ],
            "each block of the page is rehearsed here"
        );
        Self(blocks.into_iter().collect())
    }

    async fn run(&self, shell: &Shell, block: &str) -> Vec<String> {
        shell.run(&self.0[block]).await.lines
    }
}

/// Honest people, before something leaks.
struct Honest<'s> {
    site: &'s Site,
    browser: Browser<'s>,
    tokens: Answer,
    opaque: String,
}

impl<'s> Honest<'s> {
    async fn new(site: &'s Site) -> Self {
        let mut browser = Browser::new(site);
        let asked = request(site, "shop", "openid offline_access read:orders");
        let tokens = browser.tokens("alice", &asked).await;
        let opaque = machine(site, &site.words.job, VAULT).await;
        let opaque = opaque.text("access_token");
        Self {
            site,
            browser,
            tokens,
            opaque,
        }
    }

    /// Whether the refresh token still gives one that APIs take.
    async fn renews(&mut self) -> bool {
        let token = self.tokens.text("refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        let renewed = self.site.form("/token", "shop", &form).await;
        if renewed.status != 200 {
            return false;
        }
        self.tokens = renewed;
        is_active(self.site, &self.tokens.text("access_token")).await
    }

    async fn is_signed_in(&mut self) -> bool {
        let page = self.browser.get("/account").await;
        page.body.contains("end-everything")
    }
}

async fn is_active(site: &Site, token: &str) -> bool {
    site.introspect(token).await["active"] == true
}

/// A token of the client `job` for itself.
async fn machine(site: &Site, secret: &str, resource: &str) -> Answer {
    let scope = if resource == VAULT {
        "read:vault"
    } else {
        "read:orders"
    };
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", resource),
        ("scope", scope),
    ];
    let request = site.request(Method::POST, "/token");
    let request = request.basic_auth("job", Some(secret)).form(&form);
    read(request.send().await.unwrap()).await
}

/// Whoever has the database, and the master key with it: a server of their own,
/// under the name of the real one.
struct Thief {
    site: Site,
    program: Program,
    secret: String,
}

impl Thief {
    async fn break_in(real: &Site) -> Self {
        let copy = real.folder.join("stolen.db");
        let _ = std::fs::remove_file(&copy);
        let database = rusqlite::Connection::open(real.folder.join("symbolon.db")).unwrap();
        let path = copy.to_str().unwrap();
        database.execute("VACUUM INTO ?1", [path]).unwrap();
        let site = real.node_by("sqlite://stolen.db");
        let program = site.start().await;
        // No secret can be read there, so the thief makes one.
        let file = real.folder.join("stolen.secret");
        let _ = std::fs::remove_file(&file);
        let make = [
            "client",
            "secret",
            "job",
            "--secret-to",
            file.to_str().unwrap(),
        ];
        let made = site.administer(&make).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let secret = std::fs::read_to_string(file).unwrap().trim().to_owned();
        Self {
            site,
            program,
            secret,
        }
    }

    async fn forge(&self, resource: &str) -> String {
        let forged = machine(&self.site, &self.secret, resource).await;
        assert_eq!(forged.status, 200, "{}", forged.body);
        forged.text("access_token")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_signing_key_signs_nothing_that_counts() {
    let runbook = Runbook::new();
    let site = Site::new(Engine::Sqlite, CALLBACK).await;
    let program = site.start().await;
    let mut honest = Honest::new(&site).await;
    let thief = Thief::break_in(&site).await;
    let forged = thief.forge(ORDERS).await;
    assert!(is_active(&site, &forged).await, "nobody can tell it");
    let mut shell = Shell::at(&site);
    shell.set("KID", &kid(&forged));
    shell.set("SINCE", "2020-01-01T00:00:00Z");

    let said = runbook.run(&shell, "signing key").await;

    assert!(!is_active(&site, &forged).await);
    assert!(!is_active(&site, &thief.forge(ORDERS).await).await);
    assert!(
        said.iter().any(|line| line.contains("key.distrust")),
        "{said:?}"
    );
    let set = site.get("/.well-known/jwks.json").await;
    assert!(!set.body.contains(&kid(&forged)), "{}", set.body);
    // What was signed honestly is dead, too, and is made anew without anybody.
    assert!(!is_active(&site, &honest.tokens.text("access_token")).await);
    assert!(honest.renews().await && honest.is_signed_in().await);
    assert!(
        is_active(&site, &honest.opaque).await,
        "no other key leaked"
    );
    let fresh = machine(&site, &site.words.job, ORDERS).await;
    assert!(is_active(&site, &fresh.text("access_token")).await);
    assert!(thief.program.end().await.success());
    assert!(program.end().await.success());
}

/// Serves a stolen database with a master key that is not its own.
async fn serve_without_the_master_key(real: &Site) -> String {
    let copy = real.folder.join("stolen.db");
    let database = rusqlite::Connection::open(real.folder.join("symbolon.db")).unwrap();
    let path = copy.to_str().unwrap();
    database.execute("VACUUM INTO ?1", [path]).unwrap();
    let site = real.node_by("sqlite://stolen.db");
    let mut serve = command();
    serve.args(["serve", "--config"]).arg(site.configuration());
    serve.env("SYMBOLON_STORE__MASTER_KEY_FILE", "another.key");
    let output = serve.output().await.unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_database_opens_nothing_and_with_its_master_key_nothing_for_long() {
    let runbook = Runbook::new();
    let site = Site::new(Engine::Sqlite, CALLBACK).await;
    let program = site.start().await;
    let mut honest = Honest::new(&site).await;
    let mut shell = Shell::at(&site);
    let said = serve_without_the_master_key(&site).await;
    assert!(said.contains("another master key"), "{said}");
    runbook.run(&shell, "database").await;
    assert!(honest.renews().await && honest.is_signed_in().await);

    // The master key leaked with it.
    let thief = Thief::break_in(&site).await;
    let forged = [thief.forge(ORDERS).await, thief.forge(VAULT).await];
    for token in &forged {
        assert!(is_active(&site, token).await, "nobody can tell it");
    }
    assert!(program.end().await.success());
    let said = runbook.run(&shell, "another master key").await;
    assert!(
        said.iter()
            .any(|line| line.contains("under the new master key")),
        "{said:?}"
    );
    let program = site.start().await;
    assert!(
        is_active(&site, &forged[0]).await,
        "what was read is still known"
    );
    runbook.run(&shell, "every key").await;
    shell.set("CLIENT", "job");
    runbook.run(&shell, "client secrets").await;

    for token in &forged {
        assert!(!is_active(&site, token).await);
    }
    for resource in [ORDERS, VAULT] {
        assert!(
            !is_active(&site, &thief.forge(resource).await).await,
            "{resource}"
        );
    }
    assert_eq!(machine(&site, &thief.secret, VAULT).await.status, 401);
    assert_eq!(machine(&site, &site.words.job, VAULT).await.status, 401);
    let new = std::fs::read_to_string(site.folder.join("job.secret")).unwrap();
    let fresh = machine(&site, new.trim(), VAULT).await;
    assert!(is_active(&site, &fresh.text("access_token")).await);
    // People sign in anew, and go on.
    assert!(!honest.renews().await);
    let mut again = Honest::new_of(&site).await;
    assert!(again.renews().await && again.is_signed_in().await);
    assert!(thief.program.end().await.success());
    assert!(program.end().await.success());
}

impl<'s> Honest<'s> {
    /// Somebody who has signed in anew, where `job` has another secret by now.
    async fn new_of(site: &'s Site) -> Self {
        let mut browser = Browser::new(site);
        let asked = request(site, "shop", "openid offline_access read:orders");
        let tokens = browser.tokens("alice", &asked).await;
        Self {
            site,
            browser,
            opaque: String::new(),
            tokens,
        }
    }
}

/// A call of administration by whoever has a token.
async fn administer(site: &Site, token: &str, path: &str, body: &Value) -> Answer {
    let url = format!("{}/admin/v1/{path}", site.admin);
    let request = http().post(url).bearer_auth(token).json(body);
    read(request.send().await.unwrap()).await
}

async fn token_of(site: &Site, client: &str, secret: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let request = site.request(Method::POST, "/token");
    let request = request.basic_auth(client, Some(secret)).form(&form);
    read(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_administration_token_is_replaced_while_the_server_runs() {
    let runbook = Runbook::new();
    let site = Site::new(Engine::Sqlite, CALLBACK).await;
    let program = site.start().await;
    let mut honest = Honest::new(&site).await;
    let stolen = site.admin_token();
    let backdoor = json!({
        "id": "backdoor", "kind": "service", "grants": ["client_credentials"],
        "scopes": ["read:orders"], "resources": [ORDERS],
    });
    let made = administer(&site, &stolen, "clients", &backdoor).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let secret = made.text("secret");
    let inside = token_of(&site, "backdoor", &secret).await;
    let inside = inside.text("access_token");
    assert!(is_active(&site, &inside).await);
    let mut shell = Shell::at(&site);
    shell.set("PID", &program.id().to_string());
    shell.set("SINCE", "2020-01-01T00:00:00Z");
    shell.set("CLIENT", "backdoor");

    runbook.run(&shell, "another token").await;

    assert_ne!(site.admin_token(), stolen);
    let late = administer(&site, &stolen, "clients", &backdoor).await;
    assert_eq!(late.status, 401, "{}", late.body);
    let done = runbook.run(&shell, "what was done").await;
    let told = |line: &String| line.contains("client.create") && line.contains("backdoor");
    assert!(done.iter().any(told), "{done:?}");
    runbook.run(&shell, "undo").await;
    assert!(!is_active(&site, &inside).await);
    assert_eq!(token_of(&site, "backdoor", &secret).await.status, 401);
    assert!(honest.renews().await && honest.is_signed_in().await);
    assert!(is_active(&site, &honest.opaque).await);
    let new = site.admin_token();
    let organization = json!({ "id": "acme", "name": "Acme" });
    let made = administer(&site, &new, "organizations", &organization).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(program.end().await.success());
}
