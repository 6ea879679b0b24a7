//! What is unwise about a client.

use symbolon_protocol::uri::is_loopback;
use symbolon_protocol::{
    AssertionAudience, Client, ClientKind, ConsentPolicy, GrantType, RefreshRotation,
    RegisteredKeys,
};

use crate::authn::client::lacking;

use super::super::document::Table;
use super::super::finding::Finding;
use super::lifetime::no_grace;
use super::resource::unknown_organization;
use super::{Advice, DAY, HOUR, OPENID_SCOPES};

impl Advice<'_, '_> {
    pub(super) fn on_client(&mut self, client: &Client, table: &Table) {
        let id = &client.id;
        if !client.require_pkce && client.is_confidential() {
            self.add(
                Finding::warning(
                    "client.require_pkce.off",
                    table.place("require_pkce"),
                    format!("client `{id}` needs no PKCE"),
                )
                .because("a code that is injected into another browser is then taken")
                .repair("take `require_pkce = false` out; every maintained library sends S256"),
            );
        }
        if client.assertion_audience == AssertionAudience::IssuerOrTokenEndpoint {
            self.add(
                Finding::warning("client.assertion_audience.legacy", table.place("assertion_audience"), format!("client `{id}` may name the token endpoint as audience"))
                    .because("an assertion made for one endpoint can be carried to another server that knows the same client")
                    .repair("write `assertion_audience = \"issuer\"`"),
            );
        }
        if let Some(lifetime) = client
            .access_token_lifetime
            .filter(|own| own.as_seconds() > HOUR)
        {
            self.add(
                Finding::warning(
                    "client.access_token_lifetime.long",
                    table.place("access_token_lifetime"),
                    format!(
                        "access tokens of client `{id}` live {lifetime} where a resource lets them"
                    ),
                )
                .because(
                    "whoever takes a token has it for that long wherever revocation is not asked",
                )
                .repair("write `access_token_lifetime = \"10m\"` and let the client refresh"),
            );
        }
        if let Some(organization) = &client.organization
            && !self.has_organization(organization.as_str())
        {
            self.add(unknown_organization(
                "client.organization.unknown",
                table.place("organization"),
                organization.as_str(),
            ));
        }
        self.on_origins(client, table);
        self.on_enforce(table);
    }

    fn on_origins(&mut self, client: &Client, table: &Table) {
        for origin in &client.origins {
            let parsed = url::Url::parse(origin).ok();
            let is_origin = parsed.is_some_and(|url| url.origin().ascii_serialization() == *origin);
            if !is_origin {
                self.add(
                    Finding::error(
                        "client.origins.invalid",
                        table.place_of("origins", origin),
                        format!("`{origin}` is no origin"),
                    )
                    .because("browsers send scheme, host and port, and they are compared as text")
                    .repair(
                        "write it as in `https://shop.example.com`, without a path and without `*`",
                    ),
                );
            }
        }
    }

    fn on_enforce(&mut self, table: &Table) {
        let has = |name: &str| {
            table
                .entries
                .iter()
                .any(|entry| entry.name.starts_with(name))
        };
        let enforced = table.find("enforce").map(|node| node.json());
        if enforced == Some(true.into()) && !has("secret") && !has("enabled") {
            self.add(
                Finding::warning(
                    "client.enforce.empty",
                    table.place("enforce"),
                    "`enforce` has nothing to enforce",
                )
                .because("it is about the secret and about `enabled`, and neither stands here")
                .repair("add `enabled = true`, or take the line out"),
            );
        }
    }

    pub(super) fn on_refresh(&mut self, client: &Client, table: &Table) {
        let id = &client.id;
        if !client.may_use(GrantType::RefreshToken) {
            return;
        }
        if client.refresh_rotation == RefreshRotation::Never {
            let is_public = !client.is_confidential();
            let finding = Finding::warning("client.refresh_rotation.never", table.place("refresh_rotation"), format!("refresh tokens of client `{id}` never rotate"))
                .because("a stolen one works as long as the family lives and nobody notices; of public clients that is refused")
                .repair("write `refresh_rotation = \"auto\"`");
            self.add(Finding::error_if(is_public, finding));
        }
        let keeps = matches!(client.kind, ClientKind::Native | ClientKind::Agent);
        if client.scopes.contains("openid") && !client.scopes.contains("offline_access") && !keeps {
            self.add(
                Finding::warning("client.grants.refresh_never", table.place("grants"), format!("client `{id}` will get no refresh tokens with `openid`"))
                    .because("then they are issued for `offline_access` alone, which is not among its scopes")
                    .repair("add `offline_access` to `scopes`, or take `refresh_token` out of `grants`"),
            );
        }
        if client
            .refresh_grace
            .is_some_and(|grace| grace.as_seconds() == 0)
            && !client.is_confidential()
        {
            self.add(no_grace(
                "client.refresh_grace.none",
                table.place("refresh_grace"),
            ));
        }
        let defaults = &self.draft.server.lifetimes;
        let idle = client
            .refresh_token_idle
            .unwrap_or(defaults.refresh_token_idle);
        let absolute = client
            .refresh_token_absolute
            .unwrap_or(defaults.refresh_token_absolute);
        let is_own = client.refresh_token_idle.is_some() || client.refresh_token_absolute.is_some();
        if is_own && idle > absolute {
            self.add(
                Finding::error(
                    "client.refresh_token_idle.exceeds",
                    table.place("refresh_token_idle"),
                    format!("the idle end {idle} is after the absolute end {absolute}"),
                )
                .because(
                    "the idle end would never be reached, so one of the two is not what was meant",
                )
                .repair(format!(
                    "write at most `refresh_token_idle = \"{absolute}\"`"
                )),
            );
        }
        if client
            .refresh_token_absolute
            .is_some_and(|own| own.as_seconds() > 366 * DAY)
        {
            self.add(
                Finding::warning(
                    "client.refresh_token_absolute.long",
                    table.place("refresh_token_absolute"),
                    format!("`refresh_token_absolute` is {absolute}"),
                )
                .because("what a person agreed to so long ago they no longer know of")
                .repair("write `refresh_token_absolute = \"90d\"`"),
            );
        }
    }

    pub(super) fn on_keys(&mut self, client: &Client, table: &Table) {
        let sector = client.sector_identifier_uri.as_deref();
        let code = "client.sector_identifier_uri.http";
        self.on_address((code, "sector_identifier_uri"), sector, table);
        let logout = client.logout.backchannel_logout_uri.as_deref();
        let code = "client.backchannel_logout_uri.http";
        // On one machine nobody is on the way.
        let is_here = |uri: &&str| {
            let url = url::Url::parse(uri);
            self.is_on_loopback == Some(true) && url.is_ok_and(|url| is_loopback(&url))
        };
        let logout = logout.filter(|uri| !is_here(uri));
        self.on_address((code, "backchannel_logout_uri"), logout, table);
        let seen = self.findings.len();
        self.on_key_set(
            (
                "client.jwks_uri.http",
                "client.jwks.invalid",
                "client.jwks.private",
            ),
            client.registered_keys(),
            table,
        );
        if let Some(why) = lacking(client).filter(|_| self.findings.len() == seen) {
            self.add(
                Finding::error("client.jwks.unusable", table.place("jwks"), format!("`jwks` {why}"))
                    .because("whatever the client shows is then refused, and nobody sees why")
                    .repair("write the client's public key: EC on P-256 or P-384, Ed25519, or RSA of 2048 bits or more"),
            );
        }
    }

    fn on_address(&mut self, (code, name): (&'static str, &str), uri: Option<&str>, table: &Table) {
        let Some(uri) = uri.filter(|uri| !uri.starts_with("https://")) else {
            return;
        };
        let is_url = url::Url::parse(uri).is_ok_and(|url| url.scheme() == "http");
        let finding = Finding::warning(code, table.place(name), format!("`{name}` is not https"))
            .because("whoever is on the way could answer with keys or hosts of their own")
            .repair(format!("write `{name} = \"https://…\"`"));
        self.add(Finding::error_if(
            !is_url || self.is_off_loopback(),
            finding,
        ));
    }

    /// Looks over public keys and their address, with the codes of what may be
    /// wrong: the address is not https, there are no keys, one is private.
    pub(super) fn on_key_set(
        &mut self,
        (http, invalid, is_private): (&'static str, &'static str, &'static str),
        registered: RegisteredKeys<'_>,
        table: &Table,
    ) {
        self.on_address((http, "jwks_uri"), registered.jwks_uri, table);
        let Some(jwks) = registered.jwks else {
            return;
        };
        let keys = jwks.get("keys").and_then(|keys| keys.as_array());
        let private = |key: &serde_json::Value| {
            ["d", "k", "p", "q"]
                .iter()
                .any(|name| key.get(name).is_some())
        };
        let at = table.place("jwks");
        match keys {
            None => self.add(
                Finding::error(invalid, at, "`jwks` is no key set")
                    .because("without keys nothing can be proved or encrypted")
                    .repair("write `jwks = { keys = [{ kty = \"EC\", … }] }`"),
            ),
            Some(keys) if keys.iter().any(private) => self.add(
                Finding::error(is_private, at, "`jwks` holds a private or a symmetric key")
                    .because(
                        "only its owner may have it; whoever reads this file could be the owner",
                    )
                    .repair("take `d`, `k`, `p` and `q` out, and have the owner make a new key"),
            ),
            Some(_) => {}
        }
    }

    pub(super) fn on_resources_of(&mut self, client: &Client, table: &Table) {
        let id = &client.id;
        for resource in &client.resources {
            let at = table.place_of("resources", resource.as_str());
            let Some(known) = self.find_resource(resource.as_str()) else {
                self.add(
                    Finding::warning(
                        "client.resources.unknown",
                        at,
                        format!("no block of this file is resource `{resource}`"),
                    )
                    .because("unless it was created otherwise, the client is refused there")
                    .repair("add the `[[resource]]`, or correct the spelling"),
                );
                continue;
            };
            let owner = known.organization.clone();
            if owner.is_some() && owner != client.organization {
                self.add(
                    Finding::error("client.organization.mismatch", at, format!("`{resource}` belongs to an organization that client `{id}` does not belong to"))
                        .because("a token carries at most one organization, so the two can never meet")
                        .repair("write the same `organization` in both blocks, or take the resource out"),
                );
            }
        }
        if client.resources.len() > 1 && client.default_resource.is_none() {
            self.add(
                Finding::warning(
                    "client.default_resource.missing",
                    table.place("resources"),
                    format!("client `{id}` has several resources and no default"),
                )
                .because("a request that names none may get a token for the issuer alone")
                .repair("write `default_resource = \"…\"`"),
            );
        }
        self.on_scopes_asked(client, table);
    }

    fn on_scopes_asked(&mut self, client: &Client, table: &Table) {
        let known: Vec<_> = client
            .resources
            .iter()
            .map(|resource| self.find_resource(resource.as_str()))
            .collect();
        // What was created otherwise may know any scope.
        let is_whole = known.iter().all(Option::is_some);
        let known: Vec<_> = known.into_iter().flatten().collect();
        let mut findings = Vec::new();
        for scope in client.scopes.iter().map(|scope| scope.as_str()) {
            let at = table.place_of("scopes", scope);
            let is_known = known.iter().any(|resource| resource.scopes.contains(scope));
            if is_whole && !is_known && !OPENID_SCOPES.contains(&scope) {
                findings.push(
                    Finding::warning(
                        "client.scopes.unknown",
                        at,
                        format!(
                            "`{scope}` is a scope of no resource of client `{}`",
                            client.id
                        ),
                    )
                    .because("it can be asked for and means nothing anywhere")
                    .repair("add it to a resource, add the resource, or correct the spelling"),
                );
            }
            let is_sensitive = known
                .iter()
                .any(|resource| resource.sensitive_scopes.contains(scope));
            if is_sensitive && client.consent == ConsentPolicy::FirstParty {
                findings.push(
                    Finding::warning(
                        "client.consent.sensitive",
                        table.place("consent"),
                        format!(
                            "client `{}` gets `{scope}` without anybody being asked",
                            client.id
                        ),
                    )
                    .because("a sensitive scope is one that a person should see by name")
                    .repair("write `consent = \"ask\"`"),
                );
            }
        }
        self.findings.extend(findings);
    }
}
