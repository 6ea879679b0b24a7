//! A gateway beside the blocks of its issuer: what routes ask for and the issuer
//! does not know can only be refused, and what nobody may read nobody can know.

use std::net::SocketAddr;

use super::super::advice::OPENID_SCOPES;
use super::super::document::{Table, Value};
use super::super::finding::Finding;
use super::super::gateway::GatewayConfig;
use super::super::schema::nearest_of;
use super::Loading;
use super::gateway::client_block;
use super::server::Server;

/// The lists of an MCP server that name scopes.
const MCP_LISTS: [&str; 3] = ["tool", "prompt", "resource"];

impl Loading<'_> {
    /// Compares a gateway with the issuer whose file it stands in.
    pub(super) fn compare_with_issuer(
        &mut self,
        (root, table): (&Table, &Table),
        server: &Server,
        own: &GatewayConfig,
    ) {
        if !root.has("issuer") {
            return;
        }
        self.compare_routes(root, table, own);
        self.compare_browser(root, table, own);
        self.compare_listeners(table, server, own);
    }

    fn compare_routes(&mut self, root: &Table, table: &Table, own: &GatewayConfig) {
        let resources = tables(root, "resource");
        if resources.is_empty() {
            // They are created otherwise, and nothing is known of them here.
            return;
        }
        let issuer = text(root, "issuer");
        let client = text(table, "introspection_client");
        let mut strangers = Vec::new();
        // Of one with a mistake of its own that is told first.
        let is_read = |route: &&Table| own.routes.iter().any(|one| one.at == *route.place("path"));
        for route in tables(table, "route").into_iter().filter(is_read) {
            let named = text(route, "issuer").or(text(table, "issuer")).or(issuer);
            let Some(audience) = text(route, "audience").filter(|_| named == issuer) else {
                continue;
            };
            let known = resources
                .iter()
                .find(|own| text(own, "identifier") == Some(audience));
            let Some(known) = known else {
                self.unknown_audience(route, audience, &resources);
                continue;
            };
            self.compare_scopes(route, known);
            let asks = text(route, "revocation") != Some("at_expiry");
            let Some(client) = client.filter(|_| asks && !strangers.contains(&audience)) else {
                continue;
            };
            if text(known, "introspection_client") != Some(client)
                && !texts(known, "introspection_clients").contains(&client)
            {
                strangers.push(audience);
                let message = format!(
                    "client `{client}` is no introspection client of the resource `{audience}` at {}",
                    known.place("identifier")
                );
                let at = table.place("introspection_client");
                self.add(
                    Finding::error("gateway.introspection_client.stranger", at, message)
                        .because("the issuer lets it know nothing of that API's tokens, so every one of them would be refused with 503")
                        .repair(format!("write `introspection_client = \"{client}\"` into that `[[resource]]`, or `introspection_clients` where it has others")),
                );
            }
        }
    }

    fn unknown_audience(&mut self, route: &Table, audience: &str, resources: &[&Table]) {
        let names = resources.iter().filter_map(|own| text(own, "identifier"));
        let alias = resources
            .iter()
            .find(|own| texts(own, "aliases").contains(&audience));
        let (message, repair) = match alias.and_then(|own| text(own, "identifier")) {
            Some(identifier) => (
                format!("`{audience}` is another name of the resource `{identifier}`"),
                format!("write `audience = \"{identifier}\"`: that is what tokens carry"),
            ),
            None => (
                format!("no block of this file is resource `{audience}`"),
                match nearest_of(names, audience) {
                    Some(near) => format!(
                        "write `audience = \"{near}\"`, or add the `[[resource]]` `{audience}`"
                    ),
                    None => format!("add the `[[resource]]` `{audience}`"),
                },
            ),
        };
        let at = route.place("audience");
        self.add(
            Finding::warning("gateway.route.audience.unknown", at, message)
                .because(
                    "unless it was created otherwise, no token is for it, and everybody is refused",
                )
                .repair(repair),
        );
    }

    fn compare_scopes(&mut self, route: &Table, resource: &Table) {
        let known = texts(resource, "scopes");
        let mut lists = vec![(route, "scopes"), (route, "any_scopes")];
        if let Some(Value::Table(mcp)) = route.find("mcp").map(|node| &node.value) {
            let rules = MCP_LISTS.iter().flat_map(|name| tables(mcp, name));
            lists.extend(rules.map(|rule| (rule, "scopes")));
        }
        for (table, key) in lists {
            for scope in texts(table, key) {
                if known.contains(&scope) || OPENID_SCOPES.contains(&scope) {
                    continue;
                }
                let identifier = text(resource, "identifier").unwrap_or_default();
                let at = table.place_of(key, scope);
                let message =
                    format!("`{scope}` is no scope of the resource `{identifier}` of this file");
                let near = nearest_of(known.iter().copied(), scope);
                let near = near.map_or_else(String::new, |near| format!("write `{near}`, or "));
                self.add(
                    Finding::warning("gateway.route.scopes.unknown", at, message)
                        .because("no token has it, so everybody gets 403")
                        .repair(format!("{near}add it to `scopes` of that `[[resource]]`")),
                );
            }
        }
    }

    fn compare_browser(&mut self, root: &Table, table: &Table, own: &GatewayConfig) {
        let Some(browser) = &own.browser else {
            return;
        };
        let Some(client) = client_block(root, &browser.client_id) else {
            return;
        };
        let Some(Value::Table(section)) = table.find("browser").map(|node| &node.value) else {
            return;
        };
        let id = &browser.client_id;
        let base = format!("{}{}", browser.external_url, browser.path);
        let back = format!("{base}/callback");
        let after = format!("{}{}", browser.external_url, browser.after_sign_out);
        let told = format!("{base}/back-channel-logout");
        let is_told = text(client, "backchannel_logout_uri") == Some(&*told);
        let rows = [
            (
                texts(client, "redirect_uris").contains(&&*back),
                format!("`redirect_uris` of client `{id}` has not `{back}`"),
                "nobody could sign in: people come back there from the issuer",
                format!("write `redirect_uris = [\"{back}\"]`"),
            ),
            (
                texts(client, "post_logout_redirect_uris").contains(&&*after),
                format!("`post_logout_redirect_uris` of client `{id}` has not `{after}`"),
                "who signs out is shown an error by the issuer, and stays signed in there",
                format!("write `post_logout_redirect_uris = [\"{after}\"]`"),
            ),
            (
                is_told,
                format!("`backchannel_logout_uri` of client `{id}` is not `{told}`"),
                "the issuer does not tell the gateway who has signed out",
                format!("write `backchannel_logout_uri = \"{told}\"`"),
            ),
        ];
        for (fits, message, why, repair) in rows {
            if !fits {
                let at = section.place("client");
                let code = "gateway.browser.client.addresses";
                let finding = Finding::warning(code, at, message);
                self.add(finding.because(why).repair(repair));
            }
        }
        self.compare_rights(client, section, browser);
    }

    /// Whether the client may have what is asked for.
    fn compare_rights(
        &mut self,
        client: &Table,
        section: &Table,
        browser: &super::super::GatewayBrowser,
    ) {
        let wanted = [
            ("grants", vec!["authorization_code", "refresh_token"]),
            (
                "scopes",
                browser.scopes.iter().map(String::as_str).collect(),
            ),
            (
                "resources",
                browser.resources.iter().map(String::as_str).collect(),
            ),
        ];
        for (key, wanted) in wanted {
            let had = texts(client, key);
            let lacking: Vec<&str> = wanted
                .into_iter()
                .filter(|own| !had.contains(own))
                .collect();
            if lacking.is_empty() {
                continue;
            }
            let id = &browser.client_id;
            let lacking = lacking.join("`, `");
            let message = format!("client `{id}` has not `{lacking}` among its `{key}`");
            self.add(
                Finding::warning(
                    "gateway.browser.client.rights",
                    section.place("client"),
                    message,
                )
                .because("sessions ask for it, and the issuer refuses what a client may not have")
                .repair(format!("add `{lacking}` to `{key}` of the `[[client]]`")),
            );
        }
    }

    fn compare_listeners(&mut self, table: &Table, server: &Server, own: &GatewayConfig) {
        let servers = [
            ("listen", server.listen),
            ("admin.listen", server.admin.listen),
        ];
        let asked = own.forward_auth.as_ref().and_then(|asked| asked.listen);
        let gateways = [
            ("listen", Some(own.listen)),
            ("admin_listen", own.admin_listen),
            ("forward_auth.listen", asked),
        ];
        for (name, address) in gateways {
            let Some(address) = address else {
                continue;
            };
            if let Some((taken, _)) = servers.iter().find(|(_, other)| collide(*other, address)) {
                let message = format!(
                    "`gateway.{name}` is `{address}`, where the server listens by `{taken}`"
                );
                self.add(
                    Finding::warning("gateway.listen.taken", table.place(name), message)
                        .because("on one machine the second of the two does not start")
                        .repair("give one of them another port"),
                );
            }
        }
    }

    /// Looks for what means something elsewhere and nothing here.
    pub(super) fn advise_on_paths(&mut self, table: &Table) {
        for route in tables(table, "route") {
            let Some(path) = text(route, "path") else {
                continue;
            };
            let is_foreign =
                |own: &str| own.starts_with(':') || own.contains('*') && !own.starts_with('{');
            let Some(segment) = path.split('/').find(|own| is_foreign(own)) else {
                continue;
            };
            let meant = match segment.contains('*') {
                true => "{*rest}".to_owned(),
                false => format!("{{{}}}", segment.trim_start_matches(':')),
            };
            let message = format!("`{segment}` in `{path}` stands for itself alone");
            self.add(
                Finding::warning("gateway.route.path.literal", route.place("path"), message)
                    .because("elsewhere it means any segment, and here a request has to hold just these characters")
                    .repair(format!("write `{meant}` in its place")),
            );
        }
    }
}

/// Whether two listeners want the same.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let overlap =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && overlap
}

fn text<'t>(table: &'t Table, name: &str) -> Option<&'t str> {
    table.find(name)?.text()
}

fn texts<'t>(table: &'t Table, name: &str) -> Vec<&'t str> {
    match table.find(name).map(|node| &node.value) {
        Some(Value::Array(all)) => all.iter().filter_map(|own| own.text()).collect(),
        _ => Vec::new(),
    }
}

/// The blocks of a name.
pub(super) fn tables<'t>(table: &'t Table, name: &str) -> Vec<&'t Table> {
    let Some(Value::Array(blocks)) = table.find(name).map(|node| &node.value) else {
        return Vec::new();
    };
    let own = blocks.iter().filter_map(|block| match &block.value {
        Value::Table(own) => Some(own),
        _ => None,
    });
    own.collect()
}
