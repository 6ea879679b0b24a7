//! `[[gateway.route]]`: what cannot be loaded is what nobody could have meant, a
//! path that is open without being said so first of all.

use http::{HeaderName, Method};
use symbolon_protocol::{Issuer, Lifetime, ResourceIdentifier, Scope};
use symbolon_token::jose::Algorithm;
use symbolon_token::macaroon::PathPattern;

use super::super::document::{Table, Value};
use super::super::finding::Finding;
use super::super::gateway::{GatewayRoute, RouteNeeds, ScopesNeeded};
use super::super::schema::ROUTE;
use super::gateway::{pairs, twice};
use super::{Loading, invalid};

/// How large a body may be unless told otherwise, in bytes.
const MAX_BODY_BYTES: u64 = 10 * 1024 * 1024;
/// How long keys may be kept while their issuer is away, in seconds.
const STALE_IF_ERROR: std::ops::RangeInclusive<u32> = 60..=7 * 24 * 60 * 60;
/// What the gateway answers itself.
const OWN_PATHS: [&str; 2] = [
    "/.well-known/symbolon-gateway/jwks.json",
    "/.well-known/oauth-protected-resource",
];

/// What routes take from what is around them.
pub(super) struct OfGateway<'t> {
    pub(super) issuer: Option<String>,
    /// Whether the file names one, a wrong one too.
    pub(super) names_issuer: bool,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) root: &'t Table,
    pub(super) has_policy: bool,
    pub(super) upstreams: Vec<String>,
}

impl Loading<'_> {
    pub(super) fn routes(&mut self, table: &Table, of: &OfGateway<'_>) -> Vec<GatewayRoute> {
        let blocks = self.blocks(table, "route");
        let routes: Vec<GatewayRoute> = blocks
            .into_iter()
            .filter_map(|block| self.route(block, of))
            .collect();
        for (at, own) in routes.iter().enumerate() {
            for other in &routes[..at] {
                let share = own.methods.is_empty()
                    || other.methods.is_empty()
                    || own.methods.iter().any(|one| other.methods.contains(one));
                if share && own.path.is_ambiguous_with(&other.path) {
                    let message = format!(
                        "`{}` takes requests that `{}` at {} takes as well, and neither is narrower",
                        own.path, other.path, other.at
                    );
                    self.add(twice(&own.at, message));
                }
            }
        }
        routes
    }

    fn route(&mut self, table: &Table, of: &OfGateway<'_>) -> Option<GatewayRoute> {
        let seen = self.findings.len();
        self.check_keys(table, &ROUTE);
        for name in ["path", "upstream"] {
            if !table.has(name) {
                self.add(invalid(&ROUTE, name, &table.at, "it is missing"));
            }
        }
        let path = self.path_of_route(table);
        let methods = self.methods(table);
        let upstream: Option<String> = self.value(table, &ROUTE, "upstream");
        if let Some(name) = upstream.as_ref().filter(|own| !of.upstreams.contains(own)) {
            self.unknown_upstream(table, name, &of.upstreams);
        }
        let needs = self.needs(table, of, seen);
        let is_public = matches!(needs, Some(RouteNeeds::Public));
        let runs_on = self.runs_on(table);
        let pass_token: Option<bool> = self.value(table, &ROUTE, "pass_token");
        let claims = self.claims_of_route(table);
        for (name, is_there) in [
            ("pass_token", pass_token == Some(true)),
            ("claims", !claims.is_empty()),
        ] {
            if is_public && is_there {
                let why = "on a public route nobody has checked whose they are";
                self.add(invalid(&ROUTE, name, table.place(name), why));
            }
        }
        let mcp = self.mcp(table, needs.as_ref());
        let quota = self.quota_of_route(table);
        let name: Option<String> = self.value(table, &ROUTE, "name");
        let max_body_bytes: Option<u64> = self.value(table, &ROUTE, "max_body_bytes");
        let path = path?;
        if OWN_PATHS.iter().any(|own| path.matches(own)) && !path.to_string().contains('{') {
            let message = format!("`{path}` is never reached: the gateway answers there itself");
            self.add(
                Finding::warning("gateway.route.unreachable", table.place("path"), message)
                    .because("whoever wrote it believes that it is reached")
                    .repair("take it out, or choose another path"),
            );
        }
        Some(GatewayRoute {
            name: name.unwrap_or_else(|| path.to_string()),
            path,
            methods,
            upstream: upstream?,
            needs: needs?,
            max_body_bytes: max_body_bytes.unwrap_or(MAX_BODY_BYTES),
            runs_on,
            pass_token: pass_token.unwrap_or(false),
            claims,
            browser: self.browser_use(table),
            mcp,
            graphql: self.graphql_of_route(table),
            quota,
            policy: self.policy_of_route(table, of.has_policy),
            at: table.place("path").clone(),
        })
    }

    fn unknown_upstream(&mut self, table: &Table, name: &str, known: &[String]) {
        let known = match known {
            [] => "none".to_owned(),
            all => format!("`{}`", all.join("`, `")),
        };
        let message = format!("there is no upstream `{name}`; the file has {known}");
        let finding = invalid(&ROUTE, "upstream", table.place("upstream"), "");
        let finding = Finding { message, ..finding };
        self.add(
            finding
                .because("a request that leads nowhere was not meant")
                .repair("write the name of a `[[gateway.upstream]]`, or add one"),
        );
    }

    fn path_of_route(&mut self, table: &Table) -> Option<PathPattern> {
        let text: String = self.value(table, &ROUTE, "path")?;
        let read = text.parse();
        if read.is_err() {
            let why = match text.len() > 1 && text.ends_with('/') {
                true => "it ends in a slash, and no request that does gets through",
                false => "it has segments, `{one}`, and at the end `{*rest}`",
            };
            self.add(invalid(&ROUTE, "path", table.place("path"), why));
        }
        read.ok()
    }

    fn methods(&mut self, table: &Table) -> Vec<Method> {
        let names: Vec<String> = self.values(table, &ROUTE, "methods");
        let mut all = Vec::new();
        for name in names {
            let is_capital = name
                .bytes()
                .all(|own| own.is_ascii_uppercase() || own == b'-');
            let is_never = matches!(name.as_str(), "CONNECT" | "TRACE");
            match Method::from_bytes(name.as_bytes()) {
                Ok(method) if is_capital && !is_never => all.push(method),
                _ => {
                    let at = table.place_of("methods", &name);
                    let why = format!("`{name}` is no method in capitals, CONNECT and TRACE apart");
                    self.add(invalid(&ROUTE, "methods", at, &why));
                }
            }
        }
        all
    }

    /// What has to be shown; nothing only where that is written.
    fn needs(&mut self, table: &Table, of: &OfGateway<'_>, seen: usize) -> Option<RouteNeeds> {
        let public: Option<bool> = self.value(table, &ROUTE, "public");
        let said: Vec<&str> = ["scopes", "any_scopes"]
            .into_iter()
            .filter(|name| table.has(name))
            .collect();
        if public == Some(true) {
            for name in said
                .into_iter()
                .chain(["audience"])
                .filter(|name| table.has(name))
            {
                let why = "a public route asks for nothing";
                let finding = invalid(&ROUTE, name, table.place(name), why);
                self.add(finding.repair(format!("take `{name}` out, or `public = true`")));
            }
            self.advise_on_public(table);
            return Some(RouteNeeds::Public);
        }
        let audience = self.audience(table);
        let issuer = self.issuer_of_route(table, of);
        let scopes = match said[..] {
            [] => {
                let why = "it is missing, and so are `any_scopes` and `public = true`: what is open has to be said so";
                self.add(invalid(&ROUTE, "scopes", &table.at, why));
                None
            }
            [name] => self.scopes_of_route(table, name),
            _ => {
                let why = "`scopes` stands there too; a route has one of them";
                let at = table.place("any_scopes");
                self.add(invalid(&ROUTE, "any_scopes", at, why));
                None
            }
        };
        let at_expiry = self.at_expiry(table, of, issuer.as_deref());
        let max_staleness: Option<Lifetime> = self.value(table, &ROUTE, "max_staleness");
        let stale_if_error = self.stale_if_error(table);
        let audience = audience?;
        if self.findings[seen..].iter().any(Finding::is_error) {
            // The rest of it is not compared.
            return None;
        }
        Some(RouteNeeds::Token {
            algorithms: of.algorithms_for(&audience),
            issuer: issuer?,
            audience,
            scopes: scopes?,
            at_expiry,
            max_staleness,
            stale_if_error,
        })
    }

    fn stale_if_error(&mut self, table: &Table) -> Option<Lifetime> {
        let given: Lifetime = self.value(table, &ROUTE, "stale_if_error")?;
        if !STALE_IF_ERROR.contains(&given.as_seconds()) {
            let why = "it is between a minute and a week";
            let at = table.place("stale_if_error");
            self.add(invalid(&ROUTE, "stale_if_error", at, why));
        }
        Some(given)
    }

    fn advise_on_public(&mut self, table: &Table) {
        let path = table.find("path").and_then(|node| node.text());
        let message = format!("`{}` is open to everybody", path.unwrap_or_default());
        self.add(
            Finding::warning("gateway.route.public", table.place("public"), message)
                .because("whoever reaches the gateway reaches what is behind this path")
                .repair("write `audience` and `scopes` instead, where that is not meant"),
        );
    }

    fn audience(&mut self, table: &Table) -> Option<String> {
        if !table.has("audience") {
            let why = "it is missing: a token for another API would do";
            self.add(invalid(&ROUTE, "audience", &table.at, why));
        }
        let read: ResourceIdentifier = self.value(table, &ROUTE, "audience")?;
        Some(read.as_str().to_owned())
    }

    fn issuer_of_route(&mut self, table: &Table, of: &OfGateway<'_>) -> Option<String> {
        if table.has("issuer") {
            let read: Issuer = self.value(table, &ROUTE, "issuer")?;
            return Some(read.as_str().to_owned());
        }
        if !of.names_issuer {
            let why = "it is missing here and in `[gateway]`: anybody's token would do";
            self.add(invalid(&ROUTE, "issuer", &table.at, why));
        }
        of.issuer.clone()
    }

    fn scopes_of_route(&mut self, table: &Table, name: &str) -> Option<ScopesNeeded> {
        let scopes: Vec<Scope> = self.values(table, &ROUTE, name);
        let is_empty = matches!(&table.find(name)?.value, Value::Array(all) if all.is_empty());
        if is_empty {
            let why = "it names none: what any token may do has a scope of its own";
            self.add(invalid(&ROUTE, name, table.place(name), why));
        }
        let scopes: Vec<String> = scopes.iter().map(|own| own.as_str().to_owned()).collect();
        match scopes.is_empty() {
            true => None,
            false if name == "scopes" => Some(ScopesNeeded::All(scopes)),
            false => Some(ScopesNeeded::Any(scopes)),
        }
    }

    /// Whether a token may serve until it ends. Of another issuer nobody could
    /// know more, as the gateway's client is known at one alone; so that has to
    /// be said.
    fn at_expiry(&mut self, table: &Table, of: &OfGateway<'_>, issuer: Option<&str>) -> bool {
        let text: Option<String> = self.value(table, &ROUTE, "revocation");
        match text.as_deref() {
            Some("at_expiry") => return true,
            None | Some("now") => {}
            Some(_) => {
                let why = "it is `now` or `at_expiry`";
                let at = table.place("revocation");
                self.add(invalid(&ROUTE, "revocation", at, why));
            }
        }
        if issuer.is_some() && issuer != of.issuer.as_deref() {
            let why = "the issuer is not the gateway's, so nobody can be asked what was taken back: only `at_expiry` is possible";
            let at = table.place("issuer");
            self.add(invalid(&ROUTE, "revocation", at, why));
        }
        false
    }

    fn runs_on(&mut self, table: &Table) -> bool {
        let text: Option<String> = self.value(table, &ROUTE, "on_expiry");
        match text.as_deref() {
            None | Some("close") => false,
            Some("let_run") => true,
            Some(_) => {
                let why = "it is `close` or `let_run`";
                self.add(invalid(&ROUTE, "on_expiry", table.place("on_expiry"), why));
                false
            }
        }
    }

    fn claims_of_route(&mut self, table: &Table) -> Vec<(HeaderName, String)> {
        let Some(node) = table.find("claims") else {
            return Vec::new();
        };
        let read = pairs(node).and_then(|pairs| {
            let named = |(name, claim): (String, String)| {
                let is_plain = name
                    .bytes()
                    .all(|own| own.is_ascii_alphanumeric() || own == b'-');
                let name: HeaderName = name.parse().ok()?;
                (is_plain && !is_of_message(&name)).then_some((name, claim))
            };
            pairs.into_iter().map(named).collect()
        });
        if read.is_none() {
            let why =
                "it names headers of your own, of letters, digits and `-`, and a claim for each";
            self.add(invalid(&ROUTE, "claims", &node.at, why));
        }
        read.unwrap_or_default()
    }
}

/// Headers that mean something else already.
fn is_of_message(name: &HeaderName) -> bool {
    use http::header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, FORWARDED, HOST,
        TE, TRANSFER_ENCODING, UPGRADE,
    };
    let own = [
        AUTHORIZATION,
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        COOKIE,
        EXPECT,
        FORWARDED,
        HOST,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    own.contains(name)
        || name.as_str().starts_with("x-forwarded-")
        || matches!(
            name.as_str(),
            "x-request-id" | "symbolon-assertion" | "dpop"
        )
}

impl OfGateway<'_> {
    /// What signs tokens for an API: as the file says of it, else what the
    /// gateway was told, else ES256.
    fn algorithms_for(&self, audience: &str) -> Vec<Algorithm> {
        if !self.algorithms.is_empty() {
            return self.algorithms.clone();
        }
        let blocks = match self.root.find("resource").map(|node| &node.value) {
            Some(Value::Array(blocks)) => &blocks[..],
            _ => &[],
        };
        let named = blocks.iter().find_map(|block| match &block.value {
            Value::Table(table) if table.find("identifier")?.text() == Some(audience) => {
                Algorithm::named(table.find("signing_alg")?.text()?)
            }
            _ => None,
        });
        vec![named.unwrap_or(Algorithm::Es256)]
    }
}
