//! What is unwise about a trusted issuer.

use super::super::ConfiguredTrustedIssuer;
use super::super::finding::Finding;
use super::super::read::Read;
use super::Advice;
use super::resource::unknown_organization;

impl Advice<'_, '_> {
    pub(super) fn on_trusted_issuer(&mut self, read: &Read<'_, ConfiguredTrustedIssuer>) {
        let (issuer, table) = (&read.value.issuer, read.table);
        let own = self.draft.issuer.as_ref();
        if own.is_some_and(|own| own.as_str() == issuer.issuer.as_str()) {
            self.add(
                Finding::error(
                    "trusted_issuer.issuer.own",
                    table.place("issuer"),
                    "the trusted issuer is this server itself",
                )
                .because("its tokens would be read by two rules, and the weaker one would win")
                .repair("take the block out: what this server issued is exchanged without one"),
            );
        }
        if let Some(uri) = issuer.jwks_uri.as_deref()
            && !uri.starts_with("https://")
        {
            let is_url = url::Url::parse(uri).is_ok_and(|url| url.scheme() == "http");
            let finding = Finding::warning(
                "trusted_issuer.jwks_uri.http",
                table.place("jwks_uri"),
                "`jwks_uri` is not https",
            )
            .because("whoever is on the way could answer with keys of their own")
            .repair("write `jwks_uri = \"https://…\"`");
            let is_wrong = !is_url || self.is_off_loopback();
            self.add(Finding::error_if(is_wrong, finding));
        }
        if issuer.scopes.is_empty() {
            self.add(
                Finding::warning(
                    "trusted_issuer.scopes.none",
                    table.place("scopes"),
                    format!("`{}` gives no scope", issuer.issuer),
                )
                .because("its JWTs become tokens that open only what needs no scope")
                .repair("write `scopes = [\"…\"]`"),
            );
        }
        if let Some(organization) = &issuer.organization
            && !self.has_organization(organization.as_str())
        {
            self.add(unknown_organization(
                "trusted_issuer.organization.unknown",
                table.place("organization"),
                organization.as_str(),
            ));
        }
        self.on_resource_of_issuer(read);
    }

    fn on_resource_of_issuer(&mut self, read: &Read<'_, ConfiguredTrustedIssuer>) {
        let (issuer, table) = (&read.value.issuer, read.table);
        let Some(resource) = self.find_resource(issuer.resource.as_str()) else {
            self.add(
                Finding::warning(
                    "trusted_issuer.resource.unknown",
                    table.place("resource"),
                    format!("no block of this file is resource `{}`", issuer.resource),
                )
                .because("unless it was created otherwise, the issuer's JWTs open nothing")
                .repair("add the `[[resource]]`, or correct the spelling"),
            );
            return;
        };
        let extra = issuer.scopes.without(&resource.scopes);
        if !extra.is_empty() {
            self.add(
                Finding::warning(
                    "trusted_issuer.scopes.unknown",
                    table.place("scopes"),
                    format!("`{extra}` is not among the scopes of `{}`", issuer.resource),
                )
                .because("a scope that the resource does not know is never given")
                .repair("take it out, or add it to the `[[resource]]`"),
            );
        }
    }
}
