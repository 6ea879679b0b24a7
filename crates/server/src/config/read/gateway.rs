//! `[gateway]`.

use std::net::SocketAddr;

use serde_json::Value as Json;
use symbolon_protocol::Issuer;
use symbolon_protocol::uri::is_loopback;
use symbolon_token::Secret;
use symbolon_token::jose::Algorithm;
use url::Url;

use super::super::advice::on_trust;
use super::super::document::{Node, Table, Value};
use super::super::finding::{Finding, Location};
use super::super::gateway::{
    GatewayClient, GatewayConfig, GatewayRoute, GatewayUpstream, RouteNeeds,
};
use super::super::quota::GatewayQuotas;
use super::super::schema::{GATEWAY, TOP};
use super::beside_issuer::tables;
use super::browser::AroundBrowser;
use super::route::OfGateway;
use super::server::{Server, on_this_machine};
use super::{Loading, invalid};

impl Loading<'_> {
    /// The gateway of a file that may hold nothing else.
    pub(in super::super) fn gateway_alone(&mut self, root: &Table) -> Option<GatewayConfig> {
        self.check_keys(root, &TOP);
        let issuer: Option<Issuer> = self.value(root, &TOP, "issuer");
        let named = issuer.map(|own| own.as_str().to_owned()).or_else(|| {
            let Value::Table(table) = &root.find("gateway")?.value else {
                return None;
            };
            Some(table.find("issuer")?.text()?.to_owned())
        });
        let url = named.and_then(|text| Url::parse(&text).ok());
        self.is_on_loopback = url.map(|url| is_loopback(&url));
        let server = self.server(root);
        self.findings.extend(on_trust(root, &server));
        self.gateway(root, &server)
    }

    /// The gateway, where the file has one.
    pub(super) fn gateway(&mut self, root: &Table, server: &Server) -> Option<GatewayConfig> {
        self.check_watched(root);
        let Some(table) = self.section(root, "gateway", &GATEWAY) else {
            self.check_no_quotas(root);
            return None;
        };
        let forward_auth = self.forward_auth(table);
        let is_asked = table.has("forward_auth");
        let upstreams: Vec<&Table> = self.blocks(table, "upstream");
        let upstreams: Vec<(GatewayUpstream, &Table)> = upstreams
            .into_iter()
            .filter_map(|block| Some((self.upstream(block, is_asked)?, block)))
            .collect();
        self.check_names(&upstreams);
        let of = OfGateway {
            issuer: self.issuer_of_gateway(root, table),
            names_issuer: root.has("issuer") || table.has("issuer"),
            algorithms: self.algorithms(table),
            root,
            has_policy: root.has("policy"),
            upstreams: names_of_upstreams(table),
        };
        let quotas = self.quotas(root, table, &of.upstreams);
        let routes = self.routes(table, &of);
        self.check_routes(table, &quotas, &routes);
        self.advise_on_paths(table);
        // Of a route with a mistake nobody knows where it leads.
        if routes.len() == tables(table, "route").len() {
            self.advise_on_unused(&upstreams, &routes, &quotas);
        }
        let introspection = self.introspection((root, table), of.issuer.as_deref(), &routes);
        let listen: Option<SocketAddr> = self.value(table, &GATEWAY, "listen");
        let external_url = self.external_url(table);
        let around = AroundBrowser {
            root,
            server,
            issuer: of.issuer.as_deref(),
            external_url: external_url.as_deref(),
            routes: &routes,
        };
        let browser = self.browser(table, &around);
        let own = GatewayConfig {
            browser,
            listen: listen.unwrap_or_else(|| on_this_machine(8081)),
            admin_listen: self.admin_listen(table),
            external_url,
            introspection,
            assertion_key: self.assertion_key(table, "assertion_key"),
            assertion_key_other: self.other_assertion_key(table),
            forward_auth,
            upstreams: upstreams.into_iter().map(|(own, _)| own).collect(),
            routes,
            quotas,
            clock_skew: server.clock_skew,
            trusted_proxies: server.trusted_proxies.clone(),
            forwarded_header: server.forwarded_header,
            trust_extra_ca: server.trust_extra_ca.clone(),
            tls: server.tls.clone(),
            client_certificates: self.client_certificates(table, server),
            policy: self.policy(root),
            risk: self.risk(root),
        };
        self.compare_with_issuer((root, table), server, &own);
        Some(own)
    }

    fn client_certificates(&mut self, table: &Table, server: &Server) -> bool {
        let asks: Option<bool> = self.value(table, &GATEWAY, "client_certificates");
        if asks == Some(true) && server.tls.is_none() && server.trusted_proxies.is_empty() {
            let why = "certificates are shown in a handshake: it needs `[tls]`, or `trusted_proxies` that say what they saw";
            let at = table.place("client_certificates");
            self.add(invalid(&GATEWAY, "client_certificates", at, why));
        }
        asks.unwrap_or(false)
    }

    fn issuer_of_gateway(&mut self, root: &Table, table: &Table) -> Option<String> {
        let own: Option<Issuer> = match table.has("issuer") {
            true => self.value(table, &GATEWAY, "issuer"),
            // A wrong one is noted where it stands.
            false => root.find("issuer")?.text()?.parse().ok(),
        };
        own.map(|issuer| issuer.as_str().to_owned())
    }

    fn algorithms(&mut self, table: &Table) -> Vec<Algorithm> {
        let names: Vec<String> = self.values(table, &GATEWAY, "algorithms");
        let mut all = Vec::new();
        for name in names {
            match Algorithm::named(&name) {
                Some(own) => all.push(own),
                None => {
                    let at = table.place_of("algorithms", &name);
                    let why = format!("`{name}` is no algorithm of signatures");
                    self.add(invalid(&GATEWAY, "algorithms", at, &why));
                }
            }
        }
        all
    }

    fn admin_listen(&mut self, table: &Table) -> Option<SocketAddr> {
        match table.find("admin_listen").and_then(Node::text) {
            None => Some(on_this_machine(8091)),
            Some("") => None,
            Some(_) => self.value(table, &GATEWAY, "admin_listen"),
        }
    }

    fn external_url(&mut self, table: &Table) -> Option<String> {
        let text: String = self.value(table, &GATEWAY, "external_url")?;
        let origin = Url::parse(&text).ok().filter(is_origin);
        if origin.is_none() {
            let why = "it is `https://`, a host, and a port where it is not the usual one";
            let at = table.place("external_url");
            self.add(invalid(&GATEWAY, "external_url", at, why));
        }
        Some(origin?.origin().ascii_serialization())
    }

    fn other_assertion_key(&mut self, table: &Table) -> Option<Secret> {
        const NAME: &str = "assertion_key_other";
        let other = self.assertion_key(table, NAME)?;
        // Under whichever of its names.
        let names = ["", "_file", "_env", "_command"];
        if !names
            .iter()
            .any(|end| table.has(&format!("assertion_key{end}")))
        {
            let why = "it stands beside `assertion_key`, which is missing: a key that is drawn is nobody else's";
            let at = table.place(NAME);
            self.add(invalid(&GATEWAY, NAME, at, why));
        }
        Some(other)
    }

    fn assertion_key(&mut self, table: &Table, name: &'static str) -> Option<Secret> {
        use symbolon_protocol::SigningAlgorithm;
        use symbolon_token::jose::SigningKey;

        let given = self.secret(table, name)?;
        let document = pkcs8(given.secret.expose_str());
        let is_key = |own: &Secret| SigningKey::from_pkcs8(SigningAlgorithm::Es256, own).is_ok();
        let document = document.filter(is_key);
        if document.is_none() {
            let why = "it is a private key for ES256, PKCS#8 in PEM";
            self.add(invalid(&GATEWAY, name, &given.at, why));
        }
        document
    }

    fn check_names(&mut self, upstreams: &[(GatewayUpstream, &Table)]) {
        for (at, (own, table)) in upstreams.iter().enumerate() {
            let same = |(other, _): &&(GatewayUpstream, &Table)| other.name == own.name;
            if let Some((_, first)) = upstreams[..at].iter().find(same) {
                let message = format!(
                    "`{}` is an upstream already, at {}",
                    own.name,
                    first.place("name")
                );
                self.add(twice(table.place("name"), message));
            }
        }
    }

    /// As whom the gateway's issuer is asked: every route needs somebody that
    /// lets no token serve until its end.
    fn introspection(
        &mut self,
        (root, table): (&Table, &Table),
        issuer: Option<&str>,
        routes: &[GatewayRoute],
    ) -> Option<GatewayClient> {
        let Some(id) = self.value::<String>(table, &GATEWAY, "introspection_client") else {
            let asks = |own: &GatewayRoute| {
                let needs = &own.needs;
                matches!(
                    needs,
                    RouteNeeds::Token {
                        at_expiry: false,
                        ..
                    }
                )
            };
            if routes.iter().any(asks) && !table.has("introspection_client") {
                let why = "it is missing: nobody could know what was taken back";
                let at = &table.at;
                self.add(invalid(&GATEWAY, "introspection_client", at, why));
            }
            return None;
        };
        let own = self.secret(table, "introspection_secret");
        let given = own.or_else(|| {
            let block = client_block(root, &id)?;
            self.secret(block, "secret")
        });
        if given.is_none() {
            let why = format!(
                "no secret of `{id}` is at hand: give `introspection_secret`, or the `[[client]]` with its secret"
            );
            let at = table.place("introspection_client");
            self.add(invalid(&GATEWAY, "introspection_client", at, &why));
        }
        Some(GatewayClient {
            issuer: issuer?.to_owned(),
            secret: given?.secret,
            id,
        })
    }

    fn advise_on_unused(
        &mut self,
        upstreams: &[(GatewayUpstream, &Table)],
        routes: &[GatewayRoute],
        quotas: &GatewayQuotas,
    ) {
        for (own, table) in upstreams {
            let is_told = quotas
                .webhook
                .as_ref()
                .is_some_and(|to| to.upstream == own.name);
            if !is_told && !routes.iter().any(|route| route.upstream == own.name) {
                let message = format!("no route leads to `{}`", own.name);
                self.add(
                    Finding::warning("gateway.upstream.unused", table.place("name"), message)
                        .because("whoever wrote it believes that it is reached")
                        .repair("write a route to it, or take it out"),
                );
            }
        }
    }
}

/// Every upstream that is named, one with a mistake too.
fn names_of_upstreams(table: &Table) -> Vec<String> {
    let blocks = tables(table, "upstream").into_iter();
    let names = blocks.filter_map(|own| Some(own.find("name")?.text()?.to_owned()));
    names.collect()
}

/// Something that there may be once.
pub(super) fn twice(at: &Location, message: String) -> Finding {
    Finding::error("gateway.twice", at, message)
        .because("nobody can tell which of them holds")
        .repair("keep one of them, or make one narrower than the other")
}

/// The block of a client, as it stands.
pub(super) fn client_block<'t>(root: &'t Table, id: &str) -> Option<&'t Table> {
    let Value::Array(blocks) = &root.find("client")?.value else {
        return None;
    };
    blocks.iter().find_map(|block| match &block.value {
        Value::Table(table) if table.find("id")?.text() == Some(id) => Some(table),
        _ => None,
    })
}

/// Whether an address is scheme, host and port, and nothing else.
pub(super) fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
}

/// The document inside a PEM text.
fn pkcs8(text: &str) -> Option<Secret> {
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use rustls_pki_types::pem::PemObject;

    let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok()?;
    Some(Secret::new(key.secret_pkcs8_der().to_vec()))
}

/// The claims of a route as pairs of texts.
pub(super) fn pairs(node: &Node) -> Option<Vec<(String, String)>> {
    let Json::Object(object) = node.json() else {
        return None;
    };
    let pair = |(name, value): (String, Json)| Some((name, value.as_str()?.to_owned()));
    object.into_iter().map(pair).collect()
}
