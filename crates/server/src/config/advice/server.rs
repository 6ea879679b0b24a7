//! Addresses, networks, the store and the way in.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::StoreUrl;
use super::super::document::Table;
use super::super::finding::Finding;
use super::super::read::Server;
use super::super::schema::TOP;
use super::Advice;

/// From where clouds hand out credentials to whoever asks.
const METADATA: [&str; 3] = [
    "169.254.169.254",
    "fd00:ec2::254",
    "metadata.google.internal",
];

/// Whose clocks and whose word are believed: the same for the server and for a
/// gateway with a file of its own.
pub(in super::super) fn on_trust(root: &Table, server: &Server) -> Vec<Finding> {
    let mut findings: Vec<Finding> = on_clock_skew(root, server).into_iter().collect();
    findings.extend(on_proxies(root, &server.trusted_proxies));
    findings
}

fn on_clock_skew(root: &Table, server: &Server) -> Option<Finding> {
    let skew = server.clock_skew;
    if skew.as_seconds() <= 60 {
        return None;
    }
    let at = root.place("clock_skew");
    let finding = Finding::warning("clock_skew.wide", at, format!("`clock_skew` is {skew}"))
        .because("what has expired is taken for that much longer; over `120s` is refused")
        .repair("keep the clocks right and write `clock_skew = \"10s\"`");
    Some(Finding::error_if(skew.as_seconds() > 120, finding))
}

fn on_proxies(root: &Table, networks: &[IpNet]) -> Vec<Finding> {
    let told = |code, at, what: String| {
        Finding::warning(code, at, format!("{what} trusts more than a network of one's own"))
            .because("whoever is trusted chooses the address that guesses are counted under, and the certificate that is believed")
            .repair("name the addresses of the proxies alone")
    };
    if is_everybody(networks) && !networks.iter().any(|own| own.prefix_len() == 0) {
        // Said in parts, so no part of it is the one that is wrong.
        let at = root.place("trusted_proxies");
        let finding = told("trusted_proxies.everyone", at, "all of it together".into());
        return vec![Finding::error_if(true, finding)];
    }
    let wide = networks.iter().filter(|own| is_wide(own));
    let one = |network: &IpNet| {
        let at = root.place_of("trusted_proxies", &network.to_string());
        let everyone = network.prefix_len() == 0;
        let code = match everyone {
            true => "trusted_proxies.everyone",
            false => "trusted_proxies.wide",
        };
        Finding::error_if(everyone, told(code, at, format!("`{network}`")))
    };
    wide.map(one).collect()
}

/// Whether a network is larger than anybody's own.
pub(in super::super) const fn is_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(own) => own.prefix_len() < 8,
        IpNet::V6(own) => own.prefix_len() < 7,
    }
}

/// Whether networks leave nobody out, of one version or the other.
pub(in super::super) fn is_everybody(networks: &[IpNet]) -> bool {
    let whole: Vec<IpNet> = networks.iter().map(IpNet::trunc).collect();
    IpNet::aggregate(&whole)
        .iter()
        .any(|own| own.prefix_len() == 0)
}

impl Advice<'_, '_> {
    pub(super) fn on_server(&mut self) {
        self.findings
            .extend(on_trust(self.root, &self.draft.server));
        self.on_outbound();
        self.on_listeners();
        self.on_store();
    }

    fn on_outbound(&mut self) {
        for allowed in &self.draft.server.outbound_allow {
            let at = self.root.place_of("outbound_allow", allowed);
            let network = allowed.parse::<IpNet>().ok();
            let network = network.or_else(|| allowed.parse::<IpAddr>().ok().map(IpNet::from));
            if network.is_none() && !is_host(allowed) {
                self.findings.push(
                    Finding::error("outbound_allow.invalid", at, format!("`{allowed}` is no host and no network"))
                        .because("an entry that matches nothing allows nothing")
                        .repair("write a host without scheme, port or wildcard, or a network as in `10.1.0.0/16`"),
                );
                continue;
            }
            if network.is_some_and(|network| network.prefix_len() == 0) {
                self.findings.push(
                    Finding::error(
                        "outbound_allow.everyone",
                        at,
                        format!("`{allowed}` allows every address"),
                    )
                    .because("a client could make this server call whatever it reaches")
                    .repair("name the hosts that are needed"),
                );
                continue;
            }
            let reaches = |address: &str| {
                allowed == address
                    || address.parse().is_ok_and(|address: IpAddr| {
                        network.is_some_and(|network| network.contains(&address))
                    })
            };
            if METADATA.iter().any(|address| reaches(address)) {
                self.findings.push(
                    Finding::warning(
                        "outbound_allow.metadata",
                        at,
                        format!("`{allowed}` reaches a cloud's metadata service"),
                    )
                    .because("that service hands out the machine's own credentials")
                    .repair("name the hosts that are needed"),
                );
            }
        }
    }

    fn on_listeners(&mut self) {
        let server = &self.draft.server;
        let (listen, admin) = (server.listen, server.admin.listen);
        let ends_tls = server.tls.is_some() || !server.trusted_proxies.is_empty();
        if !admin.ip().is_loopback() {
            let at = self.place_in("admin", "listen");
            self.add(
                Finding::warning("admin.listen.exposed", &at, format!("the admin listener is on `{admin}`"))
                    .because("it speaks plain http, and whoever reads the token there can change everything")
                    .repair("write `listen = \"127.0.0.1:8090\"` below `[admin]`, and reach it through a tunnel"),
            );
        }
        if admin == listen && listen.port() != 0 {
            let at = self.place_in("admin", "listen");
            self.add(
                Finding::error(
                    "admin.listen.taken",
                    &at,
                    format!("`{admin}` is the server's own address"),
                )
                .because("administration is never where strangers are")
                .repair("write `listen = \"127.0.0.1:8090\"` below `[admin]`"),
            );
        }
        self.on_port();
        self.on_tls();
        if listen.ip().is_loopback() {
            return;
        }
        let at = self.root.place("listen");
        if self.is_on_loopback == Some(true) {
            self.add(
                Finding::warning("listen.exposed", at, format!("`{listen}` is reached from elsewhere, the issuer is not"))
                    .because("whoever comes from elsewhere would send passwords in clear, and be sent back to their own machine")
                    .repair("write `listen = \"127.0.0.1:8080\"`, or an https issuer"),
            );
        } else if self.is_off_loopback() && !ends_tls {
            self.add(
                Finding::warning(
                    "listen.plaintext",
                    at,
                    format!("nothing before `{listen}` is named that ends TLS"),
                )
                .because("the issuer is https and this listener is not")
                .repair("add `[tls]`, or the proxy's network to `trusted_proxies`"),
            );
        }
    }

    /// Where the listener speaks TLS and the issuer says http, nobody who goes
    /// where the issuer says is understood, unless a proxy stands between them.
    fn on_tls(&mut self) {
        let server = &self.draft.server;
        let Some(issuer) = &self.draft.issuer else {
            return;
        };
        let speaks_tls = server.tls.is_some() && server.trusted_proxies.is_empty();
        if !speaks_tls || !issuer.as_str().starts_with("http:") {
            return;
        }
        let at = self.root.place("issuer");
        self.add(
            Finding::warning(
                "issuer.plaintext",
                at,
                format!(
                    "the issuer is `{issuer}`, and `[tls]` makes `{}` speak TLS",
                    server.listen
                ),
            )
            .because("clients go where the issuer says, speak http there, and are not understood")
            .repair("write the issuer with `https`, or leave `[tls]` out on one machine"),
        );
    }

    /// On one machine there is nobody between issuer and listener, unless a
    /// proxy is named.
    fn on_port(&mut self) {
        let server = &self.draft.server;
        let Some(issuer) = &self.draft.issuer else {
            return;
        };
        let Ok(url) = url::Url::parse(issuer.as_str()) else {
            return;
        };
        let (listens, named) = (server.listen.port(), url.port_or_known_default());
        let has_proxy = !server.trusted_proxies.is_empty();
        if self.is_on_loopback != Some(true) || has_proxy || listens == 0 || named == Some(listens)
        {
            return;
        }
        let at = self.root.place(if self.root.has("listen") {
            "listen"
        } else {
            "issuer"
        });
        self.add(
            Finding::warning(
                "listen.port_differs",
                at,
                format!("the issuer is `{issuer}`, and `{}` is listened on", server.listen),
            )
            .because("whoever goes where the issuer says finds nobody")
            .repair(format!("write the issuer with port {listens}, or name the proxy between them in `trusted_proxies`")),
        );
    }

    fn on_store(&mut self) {
        let StoreUrl::Postgres(url) = &self.draft.server.store.url else {
            return;
        };
        let Ok(url) = url::Url::parse(&of_one_host(url.expose_str())) else {
            return;
        };
        let at = self.place_in("store", "url");
        let store = self.draft_table("store");
        let is_inline = store.is_some_and(|table| table.has("url")) && !at.is_variable();
        if is_inline && url.password().is_some() && self.is_off_loopback() {
            self.add(
                Finding::warning(
                    "store.url.password",
                    &at,
                    "the database's password stands in the file",
                )
                .because(
                    "configuration is copied, backed up and checked in, and the password with it",
                )
                .repair("use `url_file`, `url_env` or `url_command`"),
            );
        }
        // Without a word on it the store encrypts whatever leaves the machine.
        let is_weak = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
            name == "sslmode" && matches!(&*value, "disable" | "allow" | "prefer")
        };
        if !is_near(&url) && url.query_pairs().any(is_weak) {
            self.add(
                Finding::warning(
                    "store.url.plaintext",
                    &at,
                    "the way to the database may be in clear",
                )
                .because("sealed keys, digests and the database's password travel on it")
                .repair("write `sslmode=verify-full` in the URL, or leave `sslmode` out"),
            );
        }
    }

    fn draft_table(&self, name: &str) -> Option<&super::Table> {
        match &self.root.find(name)?.value {
            super::super::document::Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Where a key of a section stands, in whichever form.
    pub(super) fn place_in(&self, section: &str, name: &str) -> super::super::Location {
        debug_assert!(TOP.find(section).is_some());
        let table = self.draft_table(section).unwrap_or(self.root);
        let form = |own: &str| own == name || own.starts_with(&format!("{name}_"));
        let entry = table.entries.iter().find(|entry| form(&entry.name));
        entry.map_or(&table.at, |entry| &entry.node.at).clone()
    }
}

/// Whether the database is on this machine, or is reached by a socket.
fn is_near(url: &url::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse();
    host.is_empty() || host == "localhost" || address.is_ok_and(|own: IpAddr| own.is_loopback())
}

/// Whether a text is the name of a host, or its address of version 4.
pub(in super::super) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// The address with the first of its hosts alone: the rules of URLs know of no
/// second one.
fn of_one_host(text: &str) -> String {
    let begin = text.find("://").map_or(0, |at| at + 3);
    let end = text[begin..]
        .find(['/', '?'])
        .map_or(text.len(), |at| begin + at);
    let (authority, rest) = (&text[begin..end], &text[end..]);
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let first = authority[host..].split(',').next().unwrap_or_default();
    format!("{}{}{first}{rest}", &text[..begin], &authority[..host])
}
