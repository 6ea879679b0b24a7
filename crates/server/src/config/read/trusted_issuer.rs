//! `[[trusted_issuer]]`.

use symbolon_protocol::{OrganizationId, Scope, TrustedIssuer};

use super::super::ConfiguredTrustedIssuer;
use super::super::document::Table;
use super::super::schema::TRUSTED_ISSUER;
use super::{Block, Loading, invalid};
use crate::grant::partner_certificates as certificates;

/// The keys without which an issuer means nothing.
const NEEDED: [&str; 2] = ["issuer", "resource"];

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
        // Nothing secret, and as long as what usually stands in a file.
        let certificate = self.secret(table, certificates::MEMBER);
        let certificate = certificate.map(|given| given.secret.expose_str().to_owned());
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
            jwks_uri,
            saml_certificate: certificate,
            resource: resource?,
            organization,
        };
        for problem in read.name_problem().into_iter().chain(read.problems()) {
            self.problem(block, &problem);
        }
        if let Err(why) = certificates::check(&read) {
            let at = table.place(certificates::MEMBER);
            self.add(invalid(section, certificates::MEMBER, at, why));
        }
        Some(ConfiguredTrustedIssuer {
            issuer: read,
            enabled: self.value(table, section, "enabled"),
            enforce: self.value(table, section, "enforce").unwrap_or(false),
            at: table.at.clone(),
        })
    }
}
