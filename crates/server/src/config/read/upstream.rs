//! `[[gateway.upstream]]`: the servers of a service, and how it is seen that
//! they are well.

use http::uri::PathAndQuery;
use symbolon_protocol::Lifetime;
use symbolon_protocol::uri::is_loopback;
use url::Url;

use super::super::document::Table;
use super::super::finding::{Finding, Location};
use super::super::gateway::{GatewayUpstream, HealthCheck};
use super::super::schema::UPSTREAM;
use super::gateway::is_origin;
use super::{Loading, invalid};

/// How long connecting, answering and silence may take unless told otherwise.
const CONNECT: Lifetime = Lifetime::seconds(5);
const RESPONSE: Lifetime = Lifetime::seconds(30);
const IDLE: Lifetime = Lifetime::seconds(300);
/// How often a server is asked whether it is well, how long it may take, and
/// how many answers in a row count, unless told otherwise.
const INTERVAL: Lifetime = Lifetime::seconds(5);
const CHECK: Lifetime = Lifetime::seconds(2);
const HEALTHY: u32 = 2;
const UNHEALTHY: u32 = 3;
/// After how many failures in a row a server is left alone, and for how long.
const FAILURES: u32 = 3;
const REST: Lifetime = Lifetime::seconds(30);
/// How long a name may be, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// How many servers one upstream may have.
const MAX_SERVERS: usize = 64;

impl Loading<'_> {
    /// An upstream. Where other proxies ask, it may be without servers.
    pub(super) fn upstream(&mut self, table: &Table, is_asked: bool) -> Option<GatewayUpstream> {
        self.check_keys(table, &UPSTREAM);
        let has_servers = table.has("url") || table.has("urls");
        for (name, is_there) in [
            ("name", table.has("name")),
            ("url", has_servers || is_asked),
        ] {
            if !is_there {
                self.add(invalid(&UPSTREAM, name, &table.at, "it is missing"));
            }
        }
        let name = self.name_of_upstream(table);
        let urls = self.urls(table);
        let check = self.health_check(table);
        let ejection = self.ejection(table, urls.len() > 1 || check.is_some());
        let (connect, response, idle) = (
            self.span(table, "connect_timeout", CONNECT),
            self.span(table, "response_timeout", RESPONSE),
            self.span(table, "idle_timeout", IDLE),
        );
        let http2 = self.value(table, &UPSTREAM, "http2").unwrap_or(false);
        let balance = self.value(table, &UPSTREAM, "balance");
        Some(GatewayUpstream {
            name: name?,
            urls: match has_servers && urls.is_empty() {
                true => return None,
                false => urls,
            },
            balance: balance.unwrap_or_default(),
            check,
            ejection,
            http2,
            connect_timeout: connect,
            response_timeout: response,
            idle_timeout: idle,
        })
    }

    fn name_of_upstream(&mut self, table: &Table) -> Option<String> {
        let name: String = self.value(table, &UPSTREAM, "name")?;
        let plain = |own: u8| own.is_ascii_alphanumeric() || b"-_.".contains(&own);
        let fits = (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(plain);
        if !fits {
            let why = "a name has letters, digits, `-`, `_` and `.`, and at most 64 of them";
            self.add(invalid(&UPSTREAM, "name", table.place("name"), why));
        }
        fits.then_some(name)
    }

    /// A span of a second or more.
    fn span(&mut self, table: &Table, name: &str, usual: Lifetime) -> Lifetime {
        let given: Option<Lifetime> = self.value(table, &UPSTREAM, name);
        if given.is_some_and(|given| given.as_seconds() == 0) {
            let why = "it is a second or more";
            self.add(invalid(&UPSTREAM, name, table.place(name), why));
        }
        given.unwrap_or(usual)
    }

    /// A number of times, one or more.
    fn times(&mut self, table: &Table, name: &str, usual: u32) -> u32 {
        let given: Option<u32> = self.value(table, &UPSTREAM, name);
        if given == Some(0) {
            let why = "it is one or more";
            self.add(invalid(&UPSTREAM, name, table.place(name), why));
        }
        given.unwrap_or(usual)
    }

    /// What has no effect without another key is a mistake.
    fn check_alone(&mut self, table: &Table, names: &[&str], why: &str) {
        for name in names.iter().filter(|name| table.has(name)) {
            self.add(invalid(&UPSTREAM, name, table.place(name), why));
        }
    }

    fn health_check(&mut self, table: &Table) -> Option<HealthCheck> {
        let Some(path) = self.value::<String>(table, &UPSTREAM, "health_path") else {
            let names = [
                "health_interval",
                "health_timeout",
                "healthy_after",
                "unhealthy_after",
            ];
            self.check_alone(table, &names, "it needs `health_path`");
            return None;
        };
        let target: Option<PathAndQuery> = match path.starts_with('/') {
            true => path.parse().ok(),
            false => None,
        };
        if target.is_none() {
            let why = "it begins with `/`";
            let at = table.place("health_path");
            self.add(invalid(&UPSTREAM, "health_path", at, why));
        }
        Some(HealthCheck {
            target: target?,
            interval: self.span(table, "health_interval", INTERVAL),
            timeout: self.span(table, "health_timeout", CHECK),
            healthy: self.times(table, "healthy_after", HEALTHY),
            unhealthy: self.times(table, "unhealthy_after", UNHEALTHY),
        })
    }

    /// Without a second server or a check, nobody would be asked instead.
    fn ejection(&mut self, table: &Table, is_usual: bool) -> Option<(u32, Lifetime)> {
        if !is_usual {
            let why = "it needs `urls` with several servers, or `health_path`";
            self.check_alone(table, &["eject_after", "eject_for"], why);
            return None;
        }
        let after = self.times(table, "eject_after", FAILURES);
        Some((after, self.span(table, "eject_for", REST)))
    }

    fn urls(&mut self, table: &Table) -> Vec<Url> {
        if table.has("url") && table.has("urls") {
            let why = "`url` names the one server already";
            self.add(invalid(&UPSTREAM, "urls", table.place("urls"), why));
        }
        let one: Option<String> = self.value(table, &UPSTREAM, "url");
        let one = one.map(|text| ("url", table.place("url").clone(), text));
        let several: Vec<String> = self.values(table, &UPSTREAM, "urls");
        let several = several.into_iter();
        let several = several.map(|text| ("urls", table.place_of("urls", &text).clone(), text));
        let all: Vec<(&str, Location, String)> = one.into_iter().chain(several).collect();
        if all.len() > MAX_SERVERS {
            let why = "it has at most 64 servers";
            self.add(invalid(&UPSTREAM, "urls", table.place("urls"), why));
        }
        let mut urls: Vec<Url> = Vec::new();
        for (name, at, text) in all {
            let Some(url) = self.url_of_server(name, &at, &text) else {
                continue;
            };
            if urls.contains(&url) {
                let why = format!("`{text}` is named twice");
                self.add(invalid(&UPSTREAM, name, &at, &why));
            }
            urls.push(url);
        }
        let schemes = |scheme: &str| urls.iter().any(|own| own.scheme() == scheme);
        if schemes("http") && schemes("https") {
            let why = "its servers are all `http://` or all `https://`";
            self.add(invalid(&UPSTREAM, "urls", table.place("urls"), why));
        }
        urls
    }

    fn url_of_server(&mut self, name: &str, at: &Location, text: &str) -> Option<Url> {
        let Some(url) = Url::parse(text).ok().filter(is_origin) else {
            let why = "it is `http://` or `https://`, a host and a port, and nothing behind: what is judged is the path that is sent";
            self.add(invalid(&UPSTREAM, name, at, why));
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
}
