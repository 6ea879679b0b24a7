//! `[[trusted_issuer]]`.

use symbolon_protocol::{OrganizationId, Scope, TrustedIssuer};

use super::super::ConfiguredTrustedIssuer;
use super::super::document::Table;
use super::super::schema::TRUSTED_ISSUER;
use super::{Block, Loading, invalid};

/// The keys without which an issuer means nothing.
const NEEDED: [&str; 3] = ["issuer", "jwks_uri", "resource"];

impl Loading<'_> {
    pub(super) fn trusted_issuer(&mut self, table: &Table) -> Option<ConfiguredTrustedIssuer> {
        let section = &TRUSTED_ISSUER;
        let block = Block {
            table,
            section,
            seen: self.findings.len(),
        };
        self.check_keys(table, section);
        for name in NEEDED {
            if !table.has(name) {
                self.add(invalid(section, name, &table.at, "it is missing"));
            }
        }
        let issuer = self.value(table, section, "issuer");
        let jwks_uri = self.value(table, section, "jwks_uri");
        let resource = self.value(table, section, "resource");
        let organization: Option<String> = self.value(table, section, "organization");
        let organization = organization.filter(|text| !text.is_empty());
        let organization = organization.map(|text| text.parse::<OrganizationId>());
        let organization = organization.transpose().unwrap_or_else(|error| {
            let at = table.place("organization");
            self.add(invalid(section, "organization", at, &error.to_string()));
            None
        });
        let read = TrustedIssuer {
            scopes: self
                .values::<Scope>(table, section, "scopes")
                .into_iter()
                .collect(),
            algorithms: self.values(table, section, "algorithms"),
            audiences: self.values(table, section, "audiences"),
            issuer: issuer?,
            jwks_uri: jwks_uri?,
            resource: resource?,
            organization,
        };
        for problem in read.problems() {
            self.problem(block, &problem);
        }
        Some(ConfiguredTrustedIssuer {
            issuer: read,
            enabled: self.value(table, section, "enabled"),
            enforce: self.value(table, section, "enforce").unwrap_or(false),
            at: table.at.clone(),
        })
    }
}
