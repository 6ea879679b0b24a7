//! The access table: every route, and what becomes of whoever lacks a right.
//!
//! The golden file is `docs/access-table.md`. `SYMBOLON_UPDATE_GOLDEN=1` writes
//! it anew; a route without a row fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reqwest::Method;

use crate::browser::{Browser, redemption, request};
use crate::harness::{Answer, CALLBACK, Server, VAULT, read};

const COLUMNS: [&str; 6] = [
    "no credential",
    "wrong client",
    "too narrow",
    "expired",
    "replayed",
    "another tenant's",
];
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/access-table.md");

/// What one probe found: a status and a code, or that the question has no
/// meaning for the route.
type Row = [String; 6];

fn told(answer: &Answer) -> String {
    let json = serde_json::from_str::<serde_json::Value>(&answer.body).ok();
    let code = json
        .as_ref()
        .and_then(|json| json["error"].as_str().map(str::to_owned));
    let inactive = json.as_ref().is_some_and(|json| json["active"] == false);
    let page = answer
        .body
        .split(r#"id="error-code">"#)
        .nth(1)
        .and_then(|rest| rest.split('<').next());
    match (code, page) {
        (Some(code), _) => format!("{} {code}", answer.status),
        (None, Some(code)) => format!("{} {code}", answer.status),
        (None, None) if inactive => format!("{} inactive", answer.status),
        (None, None) => answer.status.to_string(),
    }
}

fn row(cells: [Option<&Answer>; 6]) -> Row {
    cells.map(|cell| cell.map_or_else(|| "–".to_owned(), told))
}

/// Everything that the probes need, made once.
struct Probes<'a> {
    server: &'a Server,
    good: Answer,
    revoked: Answer,
    expired: Answer,
    expired_code: String,
    narrow: Answer,
}

impl<'a> Probes<'a> {
    async fn prepare(server: &'a Server) -> Self {
        let mut browser = Browser::new(server);
        let expired = browser.tokens("alice", &request()).await;
        let expired_code = browser.code("alice", &request()).await;
        server.advance(700);
        let revoked = browser.tokens("alice", &request()).await;
        let token = revoked.text("access_token");
        server.form("/revoke", "web", &[("token", &token)]).await;
        let good = browser.tokens("alice", &request()).await;
        let narrow = server
            .token(
                "job",
                &[
                    ("grant_type", "client_credentials"),
                    ("scope", "read:orders"),
                ],
            )
            .await;
        Self {
            server,
            good,
            revoked,
            expired,
            expired_code,
            narrow,
        }
    }

    async fn bare(&self, method: Method, path: &str) -> Answer {
        read(self.server.request(method, path).send().await.unwrap()).await
    }

    async fn form(&self, client: Option<&str>, path: &str, form: &[(&str, &str)]) -> Answer {
        match client {
            Some(client) => self.server.form(path, client, form).await,
            None => {
                read(
                    self.server
                        .request(Method::POST, path)
                        .form(form)
                        .send()
                        .await
                        .unwrap(),
                )
                .await
            }
        }
    }

    async fn token(&self) -> Row {
        let service = [("grant_type", "client_credentials")];
        let code = Browser::new(self.server).code("alice", &request()).await;
        let good = redemption(&code, CALLBACK);
        let none = self.form(None, "/token", &service).await;
        let wrong = self.form(Some("other"), "/token", &good).await;
        let narrow = self
            .form(
                Some("job"),
                "/token",
                &[service[0], ("scope", "write:orders")],
            )
            .await;
        let expired = self
            .form(
                Some("web"),
                "/token",
                &redemption(&self.expired_code, CALLBACK),
            )
            .await;
        self.form(Some("web"), "/token", &good).await;
        let replayed = self.form(Some("web"), "/token", &good).await;
        let foreign = self
            .form(Some("other"), "/token", &[service[0], ("resource", VAULT)])
            .await;
        row([
            Some(&none),
            Some(&wrong),
            Some(&narrow),
            Some(&expired),
            Some(&replayed),
            Some(&foreign),
        ])
    }

    async fn introspect(&self) -> Row {
        let ask = |client, tokens: &Answer| {
            let token = tokens.text("access_token");
            async move { self.form(client, "/introspect", &[("token", &token)]).await }
        };
        let none = ask(None, &self.good).await;
        let wrong = ask(Some("spa"), &self.good).await;
        let narrow = ask(Some("job"), &self.good).await;
        let expired = ask(Some("orders-api"), &self.expired).await;
        let replayed = ask(Some("orders-api"), &self.revoked).await;
        let foreign = ask(Some("vault-api"), &self.good).await;
        row([
            Some(&none),
            Some(&wrong),
            Some(&narrow),
            Some(&expired),
            Some(&replayed),
            Some(&foreign),
        ])
    }

    async fn revoke(&self) -> Row {
        let ask = |client, tokens: &Answer| {
            let token = tokens.text("access_token");
            async move { self.form(client, "/revoke", &[("token", &token)]).await }
        };
        let none = ask(None, &self.good).await;
        let wrong = ask(Some("other"), &self.good).await;
        let expired = ask(Some("web"), &self.expired).await;
        let replayed = ask(Some("web"), &self.revoked).await;
        let foreign = ask(Some("job"), &self.good).await;
        row([
            Some(&none),
            Some(&wrong),
            None,
            Some(&expired),
            Some(&replayed),
            Some(&foreign),
        ])
    }

    async fn userinfo(&self, method: Method) -> Row {
        let ask = |token: String| {
            let request = self
                .server
                .request(method.clone(), "/userinfo")
                .bearer_auth(token);
            async move { read(request.send().await.unwrap()).await }
        };
        let none = self.bare(method.clone(), "/userinfo").await;
        let wrong = ask(self.good.text("id_token")).await;
        let narrow = ask(self.narrow.text("access_token")).await;
        let expired = ask(self.expired.text("access_token")).await;
        let replayed = ask(self.revoked.text("access_token")).await;
        row([
            Some(&none),
            Some(&wrong),
            Some(&narrow),
            Some(&expired),
            Some(&replayed),
            None,
        ])
    }

    /// A page of a sign-in: without its transaction, with another browser's,
    /// and with one that is too old.
    async fn page(&self, method: Method, path: &str) -> Row {
        let mut owner = Browser::new(self.server);
        let page = owner.authorize(&request()).await;
        let transaction = crate::browser::hidden(&page.body, "transaction").unwrap();
        let with = |browser: Option<&Browser<'_>>| {
            let cookies = browser
                .map(|browser| browser.cookies.clone())
                .unwrap_or_default();
            let cookies: Vec<_> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("transaction", &transaction)
                .finish();
            let request = if method == Method::GET {
                self.server
                    .request(method.clone(), &format!("{path}?{query}"))
            } else {
                self.server
                    .request(method.clone(), path)
                    .form(&[("transaction", &transaction)])
            };
            let request = request.header("cookie", cookies.join("; "));
            async move { read(request.send().await.unwrap()).await }
        };
        let none = self.bare(method.clone(), path).await;
        let stranger = Browser::new(self.server);
        let wrong = with(Some(&stranger)).await;
        self.server.advance(31 * 60);
        let expired = with(Some(&owner)).await;
        row([Some(&none), Some(&wrong), None, Some(&expired), None, None])
    }

    async fn of(&self, method: &Method, path: &str) -> Option<Row> {
        Some(match path {
            "/token" if *method == Method::POST => self.token().await,
            "/introspect" => self.introspect().await,
            "/revoke" if *method == Method::POST => self.revoke().await,
            "/userinfo" if *method != Method::OPTIONS => self.userinfo(method.clone()).await,
            // A server of its own: the probe moves the clock past every token's end.
            "/login" | "/consent" => {
                let server = Server::on_sqlite().await;
                Probes::prepare(&server)
                    .await
                    .page(method.clone(), path)
                    .await
            }
            "/assets/{name}" => row([
                Some(&self.bare(method.clone(), "/assets/none.css").await),
                None,
                None,
                None,
                None,
                None,
            ]),
            "/authorize"
            | "/logout"
            | "/token"
            | "/revoke"
            | "/userinfo"
            | "/healthz"
            | "/readyz"
            | "/.well-known/openid-configuration"
            | "/.well-known/oauth-authorization-server"
            | "/.well-known/jwks.json" => row([
                Some(&self.bare(method.clone(), path).await),
                None,
                None,
                None,
                None,
                None,
            ]),
            _ => return None,
        })
    }

    async fn of_admin(&self, method: &Method, path: &str) -> Row {
        let path = path.replace(['{', '}'], "");
        let ask = |bearer: Option<String>| {
            let request = self
                .server
                .http
                .request(method.clone(), format!("{}{path}", self.server.admin));
            let request = match bearer {
                Some(bearer) => request.bearer_auth(bearer),
                None => request,
            };
            async move { read(request.send().await.unwrap()).await }
        };
        let none = ask(None).await;
        let wrong = ask(Some("sym_adm_wrong".to_owned())).await;
        let access = ask(Some(self.good.text("access_token"))).await;
        row([Some(&none), Some(&wrong), Some(&access), None, None, None])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_table_is_what_the_golden_file_says() {
    let server = Server::on_sqlite().await;
    let probes = Probes::prepare(&server).await;
    let mut rows = BTreeMap::new();
    for route in symbolon_server::routes::table() {
        let found = probes.of(&route.method, route.path).await;
        let found = found
            .unwrap_or_else(|| panic!("{} {} has no row: add a probe", route.method, route.path));
        rows.insert(format!("{} {}", route.path, route.method), found);
    }
    for route in symbolon_server::admin::table() {
        let found = probes.of_admin(&route.method, route.path).await;
        rows.insert(format!("admin {} {}", route.path, route.method), found);
    }
    let mut table = String::from(
        "# Access table\n\nWhat each route answers to whoever lacks a right. Generated by the tests; a route\nwithout a row fails them.\n\n",
    );
    writeln!(table, "| route | {} |", COLUMNS.join(" | ")).unwrap();
    writeln!(table, "|---|{}", "---|".repeat(COLUMNS.len())).unwrap();
    for (route, cells) in rows {
        writeln!(table, "| `{route}` | {} |", cells.join(" | ")).unwrap();
    }

    if std::env::var_os("SYMBOLON_UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(GOLDEN).unwrap_or_default(), table);
}
