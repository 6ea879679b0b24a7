//! `[registration]`.

use symbolon_protocol::{Lifetime, ResourceIdentifier, Scope, Scopes};

use super::super::advice::is_host;
use super::super::document::Table;
use super::super::registration::RegistrationConfig;
use super::super::schema::REGISTRATION;
use super::{Loading, invalid};

/// An unused client is kept at least so long: it has to be possible to begin.
const SHORTEST: Lifetime = Lifetime::seconds(60 * 60);

impl Loading<'_> {
    /// The section; where it stands, what it does not say is allowed.
    pub(super) fn registration(&mut self, root: &Table) -> RegistrationConfig {
        let usual = RegistrationConfig::default();
        let Some(table) = self.section(root, "registration", &REGISTRATION) else {
            return usual;
        };
        let enabled: Option<bool> = self.value(table, &REGISTRATION, "enabled");
        let documents: Option<bool> =
            self.value(table, &REGISTRATION, "client_id_metadata_documents");
        let is_on = enabled.unwrap_or(true);
        let resources: Vec<ResourceIdentifier> = self.values(table, &REGISTRATION, "resources");
        let scopes: Vec<Scope> = self.values(table, &REGISTRATION, "scopes");
        let token = self.secret(table, "initial_access_token");
        if let Some(given) = &token {
            self.check_length(
                &given.secret,
                "registration.initial_access_token.short",
                &given.at,
            );
        }
        let unused: Option<Lifetime> = self.value(table, &REGISTRATION, "unused_lifetime");
        if unused.is_some_and(|own| own < SHORTEST) {
            let at = table.place("unused_lifetime");
            let why = "it is at least `1h`";
            self.add(invalid(&REGISTRATION, "unused_lifetime", at, why));
        }
        RegistrationConfig {
            enabled: is_on,
            documents: documents.unwrap_or(is_on),
            document_hosts: self.hosts(table, "document_hosts"),
            refused_document_hosts: self.hosts(table, "refused_document_hosts"),
            origins: self.origins(table, &REGISTRATION),
            initial_access_token: token.map(|given| given.secret),
            resources,
            scopes: table
                .has("scopes")
                .then(|| scopes.into_iter().collect::<Scopes>()),
            require_pkce_confidential: self
                .value(table, &REGISTRATION, "require_pkce_confidential")
                .unwrap_or(usual.require_pkce_confidential),
            assertion_audience: self
                .value(table, &REGISTRATION, "assertion_audience")
                .unwrap_or(usual.assertion_audience),
            unused_lifetime: unused.unwrap_or(usual.unused_lifetime),
        }
    }

    fn hosts(&mut self, table: &Table, name: &str) -> Vec<String> {
        let hosts: Vec<String> = self.values(table, &REGISTRATION, name);
        for host in hosts.iter().filter(|host| !is_host(host)) {
            let at = table.place_of(name, host);
            let why = "it is a host alone, without scheme, port or wildcard";
            self.add(invalid(&REGISTRATION, name, at, why));
        }
        hosts
            .into_iter()
            .map(|own| own.to_ascii_lowercase())
            .collect()
    }
}
