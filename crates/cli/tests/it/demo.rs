//! The demo API of `dev`: its part of the access table, and what its log says.
//!
//! `SYMBOLON_UPDATE_GOLDEN=1` writes its part of `docs/access-table.md` anew.

use std::fmt::Write as _;

use reqwest::Method;
use serde_json::json;
use symbolon_server::testing::{Answer, http, read};
use tokio::time::{Duration, Instant};

use crate::dev::Dev;
use crate::leak;
use crate::program::{Folder, PATIENCE};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access-table.md");
const HEAD: &str = "
## The demo API

What `verify` answers in front of the API that `symbolon dev` shows: *wrong client* is a token of
another kind, *replayed* one that was taken back, *another tenant's* one of another installation.

| route | the right credential | no credential | wrong client | too narrow | expired | replayed | another tenant's |
|---|---|---|---|---|---|---|---|
";
const READ: &str = "read:invoices";
const DELETE: &str = "delete:invoices";

impl Dev {
    /// A token for the demo API.
    async fn issue(&self, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", scope),
            ("resource", self.text("gateway")),
        ];
        let request = http().post(format!("{}/token", self.text("issuer")));
        let request = request.basic_auth(self.text("client_id"), Some(self.text("client_secret")));
        let answer = read(request.form(&form).send().await.unwrap()).await;
        answer.text("access_token")
    }

    async fn call(&self, method: &Method, token: Option<&str>) -> Answer {
        let url = format!("{}/invoices/17", self.text("gateway"));
        let mut request = http().request(method.clone(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        read(request.send().await.unwrap()).await
    }

    /// A call of the admin API, whose token stands in the data folder.
    async fn admin(&self, folder: &Folder, method: Method, path: &str, body: serde_json::Value) {
        let token = std::fs::read_to_string(folder.join("data/admin.token")).unwrap();
        let base = self.text("admin_url").split("/status").next().unwrap();
        let request = http().request(method, format!("{base}/admin/v1/{path}"));
        let request = request.bearer_auth(token.trim()).json(&body);
        let answer = read(request.send().await.unwrap()).await;
        assert!(answer.status < 300, "{path}: {}", answer.body);
    }

    /// A token that has ended: this API's clock is the machine's.
    async fn issue_expired(&self, folder: &Folder, scope: &str) -> String {
        let api = self.text("gateway").replace('/', "%2F");
        let path = format!("resources/{api}");
        let short = json!({ "access_token_lifetime": "1s" });
        self.admin(folder, Method::PATCH, &path, short).await;
        let token = self.issue(scope).await;
        let long = json!({ "access_token_lifetime": null });
        self.admin(folder, Method::PATCH, &path, long).await;
        let begin = Instant::now();
        while self.call(&Method::GET, Some(&token)).await.status != 401 {
            assert!(begin.elapsed() < PATIENCE, "it does not end");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        token
    }
}

/// A status, and the code of the challenge.
fn told(answer: &Answer) -> String {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let code = challenge.split("error=\"").nth(1);
    match code.and_then(|rest| rest.split('"').next()) {
        Some(code) => format!("{} {code}", answer.status),
        None => answer.status.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_api_is_in_the_access_table() {
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    let dev = Dev::start(&folder.join("data")).await;
    let other = Dev::start(&elsewhere.join("data")).await;
    let both = format!("{READ} {DELETE}");
    let expired = dev.issue_expired(&folder, &both).await;
    let revoked = dev.issue(&both).await;
    let document = json!({ "token": revoked });
    dev.admin(&folder, Method::POST, "revoke", document).await;
    let foreign = other.issue(READ).await;
    let mut table = HEAD.to_owned();
    for (method, own, less) in [(Method::GET, READ, DELETE), (Method::DELETE, DELETE, READ)] {
        let (right, narrow) = (dev.issue(own).await, dev.issue(less).await);
        let mut cells = Vec::new();
        for token in [
            Some(&*right),
            None,
            Some("sym_rt_AAAA"),
            Some(&*narrow),
            Some(&*expired),
            Some(&*revoked),
            Some(&*foreign),
        ] {
            cells.push(told(&dev.call(&method, token).await));
        }
        writeln!(
            table,
            "| `/invoices/{{id}} {method}` | {} |",
            cells.join(" | ")
        )
        .unwrap();
    }
    let metadata = format!(
        "{}/.well-known/oauth-protected-resource",
        dev.text("gateway")
    );
    let metadata = read(http().get(metadata).send().await.unwrap()).await;
    writeln!(
        table,
        "| `/.well-known/oauth-protected-resource GET` | {} | – | – | – | – | – | – |",
        metadata.status
    )
    .unwrap();
    assert_eq!((dev.end().await, other.end().await), (Some(0), Some(0)));

    let file = std::fs::read_to_string(GOLDEN).unwrap();
    let begin = file.find("\n## The demo API").unwrap_or(file.len());
    if std::env::var_os("SYMBOLON_UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, [&file[..begin], &table].concat()).unwrap();
        return;
    }
    assert_eq!(&file[begin..], table);
}

/// Standard output is what shows the secrets; the log shows none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_dev_holds_no_secret() {
    let folder = Folder::new();
    let log = folder.join("log");
    let dev = Dev::start_logging(&folder.join("data"), &log).await;
    let names = ["client_secret", "password", "access_token"];
    let mut secrets: Vec<_> = names.map(|name| dev.text(name).to_owned()).into();
    let link = dev.text("admin_url").rsplit("link=").next().unwrap();
    secrets.push(link.to_owned());
    for file in ["data/admin.token", "data/demo-api.secret"] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        secrets.push(text.trim().to_owned());
    }
    let token = dev.text("access_token");
    assert_eq!(dev.call(&Method::GET, Some(token)).await.status, 200);
    assert_eq!(dev.call(&Method::DELETE, Some(token)).await.status, 403);
    dev.call(&Method::GET, Some(&format!("{token}x"))).await;
    for _ in 0..2 {
        http().get(dev.text("admin_url")).send().await.unwrap();
    }

    assert_eq!(dev.end().await, Some(0));

    let printed = std::fs::read_to_string(&log).unwrap();
    assert!(printed.lines().count() > 3, "{printed}");
    assert_eq!(leak::found(&printed, &secrets), Vec::<String>::new());
}
