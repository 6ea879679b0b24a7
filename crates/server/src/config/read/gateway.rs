//! `[gateway]` and its upstreams.

use std::net::SocketAddr;

use serde_json::Value as Json;
use symbolon_protocol::uri::is_loopback;
use symbolon_protocol::{Issuer, Lifetime};
use symbolon_token::Secret;
use symbolon_token::jose::Algorithm;
use url::Url;

use super::super::document::{Node, Table, Value};
use super::super::finding::{Finding, Location};
use super::super::gateway::{
    GatewayClient, GatewayConfig, GatewayRoute, GatewayUpstream, RouteNeeds,
};
use super::super::schema::{GATEWAY, TOP, UPSTREAM};
use super::route::OfGateway;
use super::server::{Server, on_this_machine};
use super::{Loading, invalid, not_built};

/// How long connecting, answering and silence may take unless told otherwise.
const CONNECT: Lifetime = Lifetime::seconds(5);
const RESPONSE: Lifetime = Lifetime::seconds(30);
const IDLE: Lifetime = Lifetime::seconds(300);
/// How long a name may be, in bytes.
const MAX_NAME_BYTES: usize = 64;

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
        self.gateway(root, &server)
    }

    /// The gateway, where the file has one.
    pub(super) fn gateway(&mut self, root: &Table, server: &Server) -> Option<GatewayConfig> {
        let table = self.section(root, "gateway", &GATEWAY)?;
        self.check_redis(table);
        let upstreams: Vec<&Table> = self.blocks(table, "upstream");
        let upstreams: Vec<(GatewayUpstream, &Table)> = upstreams
            .into_iter()
            .filter_map(|block| Some((self.upstream(block)?, block)))
            .collect();
        self.check_names(&upstreams);
        let of = OfGateway {
            issuer: self.issuer_of_gateway(root, table),
            algorithms: self.algorithms(table),
            root,
            upstreams: upstreams.iter().map(|(own, _)| own.name.clone()).collect(),
        };
        let routes = self.routes(table, &of);
        self.advise_on_unused(&upstreams, &routes);
        let introspection = self.introspection((root, table), of.issuer.as_deref(), &routes);
        let listen: Option<SocketAddr> = self.value(table, &GATEWAY, "listen");
        Some(GatewayConfig {
            listen: listen.unwrap_or_else(|| on_this_machine(8081)),
            admin_listen: self.admin_listen(table),
            external_url: self.external_url(table),
            introspection,
            assertion_key: self.assertion_key(table),
            upstreams: upstreams.into_iter().map(|(own, _)| own).collect(),
            routes,
            clock_skew: server.clock_skew,
            trusted_proxies: server.trusted_proxies.clone(),
            forwarded_header: server.forwarded_header,
            trust_extra_ca: server.trust_extra_ca.clone(),
            tls: server.tls.clone(),
            client_certificates: self.client_certificates(table, server),
        })
    }

    fn check_redis(&mut self, table: &Table) {
        let url: Option<String> = self.value(table, &GATEWAY, "redis_url");
        if url.is_some_and(|url| !url.is_empty()) {
            let at = table.place("redis_url");
            let message = "asks for `redis_url`: counters that gateways share are not built yet";
            self.add(not_built("key.not_built", at, message));
        }
    }

    fn client_certificates(&mut self, table: &Table, server: &Server) -> bool {
        let asks: Option<bool> = self.value(table, &GATEWAY, "client_certificates");
        if asks == Some(true) && server.tls.is_none() {
            let why = "certificates are shown in a handshake: it needs `[tls]`";
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

    fn assertion_key(&mut self, table: &Table) -> Option<Secret> {
        use symbolon_protocol::SigningAlgorithm;
        use symbolon_token::jose::SigningKey;

        let given = self.secret(table, "assertion_key")?;
        let document = pkcs8(given.secret.expose_str());
        let is_key = |own: &Secret| SigningKey::from_pkcs8(SigningAlgorithm::Es256, own).is_ok();
        let document = document.filter(is_key);
        if document.is_none() {
            let why = "it is a private key for ES256, PKCS#8 in PEM";
            self.add(invalid(&GATEWAY, "assertion_key", &given.at, why));
        }
        document
    }

    fn upstream(&mut self, table: &Table) -> Option<GatewayUpstream> {
        self.check_keys(table, &UPSTREAM);
        for name in ["name", "url"] {
            if !table.has(name) {
                self.add(invalid(&UPSTREAM, name, &table.at, "it is missing"));
            }
        }
        let name: Option<String> = self.value(table, &UPSTREAM, "name");
        let name = name.filter(|name| {
            let plain = |own: u8| own.is_ascii_alphanumeric() || b"-_.".contains(&own);
            let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(plain);
            if !fits {
                let why = "a name has letters, digits, `-`, `_` and `.`, and at most 64 of them";
                self.add(invalid(&UPSTREAM, "name", table.place("name"), why));
            }
            fits
        });
        let url = self.upstream_url(table);
        let span = |own: &mut Self, name: &str, usual: Lifetime| {
            let given: Option<Lifetime> = own.value(table, &UPSTREAM, name);
            if given.is_some_and(|given| given.as_seconds() == 0) {
                let why = "it is a second or more";
                own.add(invalid(&UPSTREAM, name, table.place(name), why));
            }
            given.unwrap_or(usual)
        };
        let (connect, response, idle) = (
            span(self, "connect_timeout", CONNECT),
            span(self, "response_timeout", RESPONSE),
            span(self, "idle_timeout", IDLE),
        );
        let http2 = self.value(table, &UPSTREAM, "http2").unwrap_or(false);
        Some(GatewayUpstream {
            name: name?,
            url: url?,
            http2,
            connect_timeout: connect,
            response_timeout: response,
            idle_timeout: idle,
        })
    }

    fn upstream_url(&mut self, table: &Table) -> Option<Url> {
        let text: String = self.value(table, &UPSTREAM, "url")?;
        let at = table.place("url");
        let Some(url) = Url::parse(&text).ok().filter(is_origin) else {
            let why = "it is `http://` or `https://`, a host and a port, and nothing behind: what is judged is the path that is sent";
            self.add(invalid(&UPSTREAM, "url", at, why));
            return None;
        };
        if url.scheme() == "http" && !is_loopback(&url) {
            let message = format!("`{text}` is reached without TLS");
            self.add(
                Finding::warning("gateway.upstream.plain", at, message)
                    .because("whoever is between gateway and service reads and writes for both")
                    .repair("use `https://`, or let something on this machine bring TLS"),
            );
        }
        Some(url)
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
    ) {
        for (own, table) in upstreams {
            if !routes.iter().any(|route| route.upstream == own.name) {
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

/// Something that there may be once.
pub(super) fn twice(at: &Location, message: String) -> Finding {
    Finding::error("gateway.twice", at, message)
        .because("nobody can tell which of them holds")
        .repair("keep one of them, or make one narrower than the other")
}

/// The block of a client, as it stands.
fn client_block<'t>(root: &'t Table, id: &str) -> Option<&'t Table> {
    let Value::Array(blocks) = &root.find("client")?.value else {
        return None;
    };
    blocks.iter().find_map(|block| match &block.value {
        Value::Table(table) if table.find("id")?.text() == Some(id) => Some(table),
        _ => None,
    })
}

/// Whether an address is scheme, host and port, and nothing else.
fn is_origin(url: &Url) -> bool {
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
