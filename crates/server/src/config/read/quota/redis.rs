//! Where gateways count together, and how it is reached.

use std::path::PathBuf;

use symbolon_protocol::uri::is_loopback;
use url::Url;

use crate::config::document::Table;
use crate::config::finding::Finding;
use crate::config::quota::GatewayRedis;
use crate::config::read::server::missing_file;
use crate::config::read::{Loading, invalid, needs_feature};
use crate::config::schema::GATEWAY;

impl Loading<'_> {
    /// Where gateways count together: one address, or several of one cluster.
    pub(super) fn redis(&mut self, table: &Table) -> Option<GatewayRedis> {
        let text: Option<String> = self.value(table, &GATEWAY, "redis_url");
        let password = self.secret(table, "redis_password");
        let user: Option<String> = self.value(table, &GATEWAY, "redis_user");
        let authority = self.authority(table);
        let text = text.filter(|own| !own.is_empty())?;
        let at = table.place("redis_url");
        let Some(addresses) = addresses(&text) else {
            let why = "it is `redis://` or `rediss://`, a host and a port, or several of one kind with commas between them; who comes is given as `redis_user` and `redis_password`";
            self.add(invalid(&GATEWAY, "redis_url", at, why));
            return None;
        };
        let has_tls = addresses.iter().all(|own| own.scheme() == "rediss");
        if !has_tls && !addresses.iter().all(is_here) {
            let message = "Redis is reached without TLS";
            self.add(
                Finding::warning("gateway.redis_url.plain", at, message)
                    .because("whoever is in between gives and takes what others may use")
                    .repair("use `rediss://`, or let something on this machine bring TLS"),
            );
        }
        if authority.is_some() && !has_tls {
            let why = "without `rediss://` there is no certificate to check";
            self.add(invalid(&GATEWAY, "redis_ca", table.place("redis_ca"), why));
        }
        if user.is_some() && password.is_none() {
            let why = "it needs `redis_password`";
            let at = table.place("redis_user");
            self.add(invalid(&GATEWAY, "redis_user", at, why));
        }
        if !cfg!(feature = "redis") {
            let part = "counters that gateways share (`redis_url`)";
            self.add(needs_feature("key.not_built", at, part, "redis"));
        }
        Some(GatewayRedis {
            addresses: addresses.iter().map(Url::to_string).collect(),
            user,
            password: password.map(|own| own.secret),
            authority,
        })
    }

    /// Who signs the certificate of Redis.
    fn authority(&mut self, table: &Table) -> Option<PathBuf> {
        let own = self.path(table, &GATEWAY, "redis_ca")?;
        if !own.is_file() {
            self.add(missing_file("redis_ca", table, &own));
        }
        Some(own)
    }
}

/// The addresses of a text: the first says for all of them whether there is TLS.
fn addresses(text: &str) -> Option<Vec<Url>> {
    let mut all: Vec<Url> = Vec::new();
    for own in text.split(',').map(str::trim) {
        let whole = match all.first() {
            Some(first) if !own.contains("://") => format!("{}://{own}", first.scheme()),
            _ => own.to_owned(),
        };
        let url = Url::parse(&whole).ok().filter(is_redis)?;
        if all.first().is_some_and(|own| own.scheme() != url.scheme()) {
            return None;
        }
        all.push(url);
    }
    Some(all)
}

fn is_redis(url: &Url) -> bool {
    matches!(url.scheme(), "redis" | "rediss")
        && url.host_str().is_some_and(|own| !own.is_empty())
        && url.password().is_none()
        && url.username().is_empty()
}

/// Whether an address is on this machine. Hosts are read as such in addresses
/// of the web alone.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    Url::parse(&format!("http://{host}")).is_ok_and(|own| is_loopback(&own))
}
