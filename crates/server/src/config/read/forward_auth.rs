//! `[gateway.forward_auth]`: where other proxies ask about requests, and which.

use ipnet::IpNet;
use symbolon_token::macaroon::PathPattern;

use super::super::advice::{is_everybody, is_wide};
use super::super::document::Table;
use super::super::finding::Finding;
use super::super::gateway::{AskedIn, GatewayForwardAuth};
use super::super::schema::FORWARD_AUTH;
use super::{Loading, invalid};

/// Under which path they ask unless told otherwise.
const PATH: &str = "/.symbolon/forward-auth";
/// Under which path Envoy asks over gRPC, whatever it is told.
const GRPC_PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

impl Loading<'_> {
    pub(super) fn forward_auth(&mut self, gateway: &Table) -> Option<GatewayForwardAuth> {
        let table = self.section(gateway, "forward_auth", &FORWARD_AUTH)?;
        for name in ["dialect", "trusted_proxies"] {
            if !table.has(name) {
                self.add(invalid(&FORWARD_AUTH, name, &table.at, "it is missing"));
            }
        }
        let dialect: Option<AskedIn> = self.value(table, &FORWARD_AUTH, "dialect");
        let trusted_proxies: Vec<IpNet> = self.values(table, &FORWARD_AUTH, "trusted_proxies");
        let at = table.place("trusted_proxies");
        if table.has("trusted_proxies") && trusted_proxies.is_empty() {
            let why = "it names nobody, so nobody could ask";
            self.add(invalid(&FORWARD_AUTH, "trusted_proxies", at, why));
        }
        if is_everybody(&trusted_proxies) {
            let why = "it names everybody: whoever asks says which request is meant";
            self.add(invalid(&FORWARD_AUTH, "trusted_proxies", at, why));
        }
        for network in trusted_proxies.iter().filter(|own| is_wide(own)) {
            let at = table.place_of("trusted_proxies", &network.to_string());
            let message = format!("`{network}` is more than a network of one's own");
            let finding =
                Finding::warning("gateway.forward_auth.trusted_proxies.wide", at, message);
            self.add(
                finding
                    .because("whoever asks says which request is meant")
                    .repair("name the addresses of the proxies alone"),
            );
        }
        let path: Option<String> = self.value(table, &FORWARD_AUTH, "path");
        let is_grpc = dialect == Some(AskedIn::EnvoyGrpc);
        if is_grpc && path.is_some() {
            let why = "over gRPC the path is always the same";
            self.add(invalid(&FORWARD_AUTH, "path", table.place("path"), why));
        }
        let usual = if is_grpc { GRPC_PATH } else { PATH };
        let path = path.unwrap_or_else(|| usual.to_owned());
        let pattern: Option<PathPattern> = path.parse().ok();
        if pattern.is_none() || path == "/" || path.contains(['{', '%']) {
            let why = "it is a path of plain segments";
            self.add(invalid(&FORWARD_AUTH, "path", table.place("path"), why));
        }
        Some(GatewayForwardAuth {
            dialect: dialect?,
            trusted_proxies,
            path,
            listen: self.value(table, &FORWARD_AUTH, "listen"),
        })
    }
}
