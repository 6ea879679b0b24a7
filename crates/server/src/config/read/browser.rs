//! `[gateway.browser]`: people sign in at the gateway, and their tokens stay
//! there.

use symbolon_protocol::{Lifetime, Scope};
use url::Url;

use super::super::document::Table;
use super::super::finding::Finding;
use super::super::gateway::{GatewayBrowser, GatewayRoute, RouteNeeds, ScopesNeeded};
use super::super::schema::{BROWSER, ROUTE};
use super::super::{StoreUrl, gateway::BrowserUse};
use super::gateway::client_block;
use super::server::Server;
use super::{Loading, invalid};

/// How long the path may be, in bytes.
const MAX_PATH_BYTES: usize = 128;

/// What is known of the gateway around it.
pub(super) struct AroundBrowser<'t> {
    pub(super) root: &'t Table,
    pub(super) server: &'t Server,
    pub(super) issuer: Option<&'t str>,
    pub(super) external_url: Option<&'t str>,
    pub(super) routes: &'t [GatewayRoute],
}

impl Loading<'_> {
    /// The back end, where there is one; routes that want one need it.
    pub(super) fn browser(
        &mut self,
        table: &Table,
        around: &AroundBrowser<'_>,
    ) -> Option<GatewayBrowser> {
        let Some(own) = self.section(table, "browser", &BROWSER) else {
            for route in around.routes.iter().filter(|own| own.browser.is_some()) {
                let why = "sessions begin at `[gateway.browser]`, and there is none";
                self.add(invalid(&ROUTE, "browser", &route.at, why));
            }
            return None;
        };
        let resources = self.check_browser_routes(around);
        self.check_browser_store(own, around);
        let external_url = around.external_url.map(str::to_owned);
        if external_url.is_none() && !table.has("external_url") {
            let message = "`[gateway.browser]` needs `external_url` of `[gateway]`";
            self.add(
                Finding::error("gateway.external_url.missing", &own.at, message)
                    .because(
                        "people come back to it from the issuer, and forms are compared with it",
                    )
                    .repair("write `external_url = \"https://…\"`, as browsers see the gateway"),
            );
        }
        let client_id: Option<String> = self.value(own, &BROWSER, "client");
        if client_id.is_none() && !own.has("client") {
            self.add(invalid(&BROWSER, "client", &own.at, "it is missing"));
        }
        let given = self.secret(own, "client_secret").or_else(|| {
            let block = client_block(around.root, client_id.as_deref()?)?;
            self.secret(block, "secret")
        });
        if let (Some(id), None) = (&client_id, &given) {
            let why = format!(
                "no secret of `{id}` is at hand: give `client_secret`, or the `[[client]]` with its secret"
            );
            self.add(invalid(&BROWSER, "client", own.place("client"), &why));
        }
        let path = self.own_path(own, "path", "/auth");
        let after_sign_out = self.own_path(own, "after_sign_out", "/");
        let scopes = self.scopes_of_browser(own, around.routes);
        let (usual_idle, usual_absolute) = (
            around.server.lifetimes.session_idle,
            around.server.lifetimes.session_absolute,
        );
        let mut span = |name: &str, usual: Lifetime| {
            let given: Option<Lifetime> = self.value(own, &BROWSER, name);
            if given.is_some_and(|given| given.as_seconds() < 60) {
                let why = "it is a minute or more";
                self.add(invalid(&BROWSER, name, own.place(name), why));
            }
            given.unwrap_or(usual)
        };
        let session_idle = span("session_idle", usual_idle);
        let session_absolute = span("session_absolute", usual_absolute);
        Some(GatewayBrowser {
            issuer: around.issuer?.to_owned(),
            client_id: client_id?,
            client_secret: given?.secret,
            external_url: external_url?,
            path: path?,
            after_sign_out: after_sign_out?,
            scopes,
            resources,
            session_idle,
            session_absolute,
            store: around.server.store.place(),
        })
    }

    /// The APIs of the routes that sessions are for, each once.
    fn check_browser_routes(&mut self, around: &AroundBrowser<'_>) -> Vec<String> {
        let mut resources = Vec::new();
        for route in around.routes.iter().filter(|own| own.browser.is_some()) {
            match &route.needs {
                RouteNeeds::Token {
                    issuer, audience, ..
                } if Some(issuer.as_str()) == around.issuer => {
                    if !resources.contains(audience) {
                        resources.push(audience.clone());
                    }
                }
                RouteNeeds::Token { .. } => {
                    let why = "sessions hold tokens of the gateway's issuer, and this route takes another's";
                    self.add(invalid(&ROUTE, "browser", &route.at, why));
                }
                RouteNeeds::Public => {
                    let why = "a public route asks for no token, so a session is nothing to it";
                    self.add(invalid(&ROUTE, "browser", &route.at, why));
                }
            }
        }
        resources
    }

    fn check_browser_store(&mut self, own: &Table, around: &AroundBrowser<'_>) {
        let is_sqlite = matches!(around.server.store.url, StoreUrl::Sqlite(_));
        if is_sqlite && around.root.has("issuer") {
            let message = "the server and the gateway cannot share a SQLite database";
            self.add(
                Finding::error("gateway.browser.store", &own.at, message)
                    .because("one process at a time has it open, and sessions of browsers lie in it")
                    .repair("give the gateway a file of its own with a `[store]` of its own, or use PostgreSQL"),
            );
        }
    }

    /// What is asked for: what is written, else what the routes need, and in any
    /// case who it is.
    fn scopes_of_browser(&mut self, own: &Table, routes: &[GatewayRoute]) -> Vec<String> {
        let mut scopes: Vec<String> = self.values(own, &BROWSER, "scopes");
        for name in &scopes {
            if name.parse::<Scope>().is_err() {
                let why = format!("`{name}` is no scope");
                let at = own.place_of("scopes", name);
                self.add(invalid(&BROWSER, "scopes", at, &why));
            }
        }
        if !own.has("scopes") {
            let needed = routes.iter().filter(|own| own.browser.is_some());
            for route in needed {
                if let RouteNeeds::Token { scopes: named, .. } = &route.needs {
                    let (ScopesNeeded::All(names) | ScopesNeeded::Any(names)) = named;
                    scopes.extend(names.iter().cloned());
                }
            }
            scopes.push("offline_access".to_owned());
        }
        scopes.insert(0, "openid".to_owned());
        let mut seen = Vec::new();
        scopes.retain(|name| {
            let is_new = !seen.contains(name);
            seen.push(name.clone());
            is_new
        });
        scopes
    }

    /// A path of the gateway's own.
    fn own_path(&mut self, own: &Table, name: &str, usual: &str) -> Option<String> {
        let text: String = match own.has(name) {
            true => self.value(own, &BROWSER, name)?,
            false => usual.to_owned(),
        };
        let base = Url::parse("https://gateway.example").ok()?;
        let is_kept = base.join(&text).is_ok_and(|url| {
            url.origin() == base.origin() && url.path() == text && url.query().is_none()
        });
        let is_root = text == "/" && name == "after_sign_out";
        let ends_well = is_root || !text.ends_with('/');
        let plain = |own: u8| own.is_ascii_alphanumeric() || b"/-_.".contains(&own);
        let fits = text.len() <= MAX_PATH_BYTES
            && text.starts_with('/')
            && text.bytes().all(plain)
            && !text.contains("//");
        if !(is_kept && ends_well && fits) {
            let why = "it is a path like `/auth`: it begins with `/`, and does not end in one";
            self.add(invalid(&BROWSER, name, own.place(name), why));
            return None;
        }
        Some(text)
    }

    /// Whether a route takes sessions.
    pub(super) fn browser_use(&mut self, table: &Table) -> Option<BrowserUse> {
        let text: String = self.value(table, &ROUTE, "browser")?;
        match text.as_str() {
            "api" => Some(BrowserUse::Api),
            "pages" => Some(BrowserUse::Pages),
            _ => {
                let why = "it is `api` or `pages`";
                self.add(invalid(&ROUTE, "browser", table.place("browser"), why));
                None
            }
        }
    }
}
