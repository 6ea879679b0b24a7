//! `[policy]`.

use std::path::PathBuf;

use symbolon_protocol::Lifetime;
use symbolon_protocol::uri::is_loopback;
use url::Url;

use super::super::document::Table;
use super::super::policy::{PolicyConfig, RoutePolicy};
use super::super::schema::{POLICY, ROUTE, Section, TOP};
use super::{Loading, invalid, needs_feature};

/// How long a decision point elsewhere may take unless told otherwise.
const TIMEOUT: Lifetime = Lifetime::seconds(1);
/// How short the bearer of the gateway's own decision point may be, in bytes.
const MIN_TOKEN_BYTES: usize = 32;

impl Loading<'_> {
    pub(super) fn policy(&mut self, root: &Table) -> Option<PolicyConfig> {
        let table = self.section(root, "policy", &POLICY)?;
        let files = self.files(table, "files");
        let (schemas, entities) = (self.files(table, "schemas"), self.files(table, "entities"));
        for (name, is_there) in [
            ("files", !files.is_empty()),
            ("schemas", !schemas.is_empty()),
            ("entities", !entities.is_empty()),
        ] {
            if is_there && !cfg!(feature = "cedar") {
                let at = table.place(name);
                self.add(needs_feature(
                    "key.not_built",
                    at,
                    "policies in Cedar",
                    "cedar",
                ));
            }
        }
        let authzen_url = self.service(table, &POLICY, "authzen_url");
        if files.is_empty() && !table.has("authzen_url") {
            let why = "there is neither `files` nor `authzen_url`: nothing could allow anything";
            self.add(invalid(&POLICY, "files", table.place("files"), why));
        }
        let evaluation_token = self.secret(table, "evaluation_token");
        if let Some(given) = &evaluation_token
            && given.secret.expose().len() < MIN_TOKEN_BYTES
        {
            let why = "whoever guesses it learns who may do what: it has 32 characters or more";
            self.add(invalid(&POLICY, "evaluation_token", &given.at, why));
        }
        if evaluation_token.is_some() && files.is_empty() {
            let why = "the gateway decides for others by `files`, and there are none";
            let at = table.place("evaluation_token");
            self.add(invalid(&POLICY, "evaluation_token", at, why));
        }
        let url = self.service(table, &POLICY, "evaluation_url");
        let timeout: Option<Lifetime> = self.value(table, &POLICY, "authzen_timeout");
        if timeout.is_some_and(|own| own.as_seconds() == 0) {
            let at = table.place("authzen_timeout");
            self.add(invalid(
                &POLICY,
                "authzen_timeout",
                at,
                "it is a second or more",
            ));
        }
        Some(PolicyConfig {
            files,
            schemas,
            entities,
            is_shadow: self.is_shadow(table, &POLICY),
            authzen_url,
            authzen_token: self.secret(table, "authzen_token").map(|own| own.secret),
            authzen_timeout: timeout.unwrap_or(TIMEOUT),
            evaluation_token: evaluation_token.map(|own| own.secret),
            evaluation_url: url.map(|own| own.origin().ascii_serialization()),
            at: table.place("files").clone(),
        })
    }

    /// Policy and risk are the gateway's: without one nobody would ask them.
    pub(super) fn check_watched(&mut self, root: &Table) {
        for name in ["policy", "risk"] {
            if root.has(name) && !root.has("gateway") {
                let why = "there is no `[gateway]` that could ask it";
                self.add(invalid(&TOP, name, root.place(name), why));
            }
        }
    }

    fn files(&mut self, table: &Table, name: &str) -> Vec<PathBuf> {
        let names: Vec<String> = self.values(table, &POLICY, name);
        names.iter().map(|own| self.folder.join(own)).collect()
    }

    /// Whether answers stand in the log alone.
    pub(super) fn is_shadow(&mut self, table: &Table, section: &'static Section) -> bool {
        let text: Option<String> = self.value(table, section, "mode");
        match text.as_deref() {
            None | Some("enforce") => false,
            Some("shadow") => true,
            Some(_) => {
                let why = "it is `enforce` or `shadow`";
                self.add(invalid(section, "mode", table.place("mode"), why));
                false
            }
        }
    }

    /// The address of something that is shown secrets and believed: https, or
    /// on this machine.
    pub(super) fn service(
        &mut self,
        table: &Table,
        section: &'static Section,
        name: &str,
    ) -> Option<Url> {
        let text: String = self.value(table, section, name)?;
        let url = Url::parse(&text).ok().filter(|url| {
            let is_bare = url.username().is_empty() && url.password().is_none();
            let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_loopback(url);
            is_bare && is_safe && url.host().is_some() && url.fragment().is_none()
        });
        if url.is_none() {
            let why = "it is `https://`, or `http://` on this machine, without a password in it";
            self.add(invalid(section, name, table.place(name), why));
        }
        url
    }

    /// What a route says of policies.
    pub(super) fn policy_of_route(&mut self, table: &Table, has_policy: bool) -> RoutePolicy {
        let text: Option<String> = self.value(table, &ROUTE, "policy");
        let (read, why) = match text.as_deref() {
            None => return RoutePolicy::AsUsual,
            Some("enforce") => (RoutePolicy::Enforce, ""),
            Some("shadow") => (RoutePolicy::Shadow, ""),
            Some("off") => (RoutePolicy::Off, ""),
            Some(_) => (RoutePolicy::AsUsual, "it is `enforce`, `shadow` or `off`"),
        };
        if !why.is_empty() {
            self.add(invalid(&ROUTE, "policy", table.place("policy"), why));
        } else if !has_policy {
            let why = "there is no `[policy]` that could be asked";
            self.add(invalid(&ROUTE, "policy", table.place("policy"), why));
        }
        read
    }
}
