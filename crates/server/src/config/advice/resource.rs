//! What is unwise about a resource.

use symbolon_protocol::{ConsentPolicy, GrantType, Resource, TokenFormat};

use super::super::finding::Finding;
use super::super::read::Read;
use super::{Advice, HOUR, OPENID_SCOPES};

/// Words in a scope that speak of harm.
const SENSITIVE: [&str; 9] = [
    "admin",
    "root",
    "superuser",
    "delete",
    "destroy",
    "impersonate",
    "manage",
    "payments",
    "transfer",
];

impl Advice<'_, '_> {
    pub(super) fn on_resource(&mut self, read: &Read<'_, Resource>) {
        let (resource, table) = (&read.value, read.table);
        self.on_scopes_of(read);
        self.on_words(read);
        self.on_introspection(read);
        self.on_status_list(read);
        if resource.signing_alg.is_experimental() && !self.draft.server.keys.experimental_ml_dsa {
            self.add(
                Finding::error(
                    "resource.signing_alg.experimental",
                    table.place("signing_alg"),
                    format!(
                        "`{}` is an experiment that is switched off",
                        resource.signing_alg
                    ),
                )
                .because("there is no key for it, so no token could be issued")
                .repair("write `experimental_ml_dsa = true` in `[keys]`, or another algorithm"),
            );
        }
        let identifier = &resource.identifier;
        self.on_identifiers(read);
        if identifier.as_str().starts_with("http:") && self.is_off_loopback() {
            self.add(
                Finding::warning(
                    "resource.identifier.http",
                    table.place("identifier"),
                    format!("`{identifier}` is not https"),
                )
                .because("clients send tokens to where the identifier points")
                .repair("serve the API by https and name it so"),
            );
        }
        if let Some(lifetime) = resource.access_token_lifetime {
            let at = table.place("access_token_lifetime");
            if lifetime.as_seconds() > HOUR {
                self.add(
                    Finding::warning("resource.access_token_lifetime.long", at, format!("access tokens for `{identifier}` live {lifetime}"))
                        .because("whoever takes a token has it for that long wherever revocation is not asked")
                        .repair("write `access_token_lifetime = \"10m\"` and let clients refresh"),
                );
            }
            if lifetime.as_seconds() == 0 {
                self.add(
                    Finding::error(
                        "resource.access_token_lifetime.zero",
                        at,
                        "`access_token_lifetime` is nothing at all",
                    )
                    .because("it would be over before it was used")
                    .repair("write `access_token_lifetime = \"10m\"`"),
                );
            }
        }
        if let Some(organization) = &resource.organization
            && !self.has_organization(organization.as_str())
        {
            self.add(unknown_organization(
                "resource.organization.unknown",
                table.place("organization"),
                organization.as_str(),
            ));
        }
    }

    /// Only one format has room for a place in a list.
    fn on_status_list(&mut self, read: &Read<'_, Resource>) {
        let (resource, table) = (&read.value, read.table);
        if resource.status_list && resource.token_format != TokenFormat::Jwt {
            self.add(
                Finding::warning(
                    "resource.status_list.unused",
                    table.place("status_list"),
                    "`status_list` means nothing here",
                )
                .because("only JWTs have a place in a status list")
                .repair("write `token_format = \"jwt\"`, or leave `status_list` out"),
            );
        }
    }

    /// What people are asked about needs words that somebody wrote.
    fn on_words(&mut self, read: &Read<'_, Resource>) {
        let (resource, table) = (&read.value, read.table);
        let asks = |client: &&symbolon_protocol::Client| {
            let mut places = client.resources.iter().chain(&client.default_resource);
            client.consent == ConsentPolicy::Ask
                && client.may_use(GrantType::AuthorizationCode)
                && places.any(|place| resource.is_named(place.as_str()))
        };
        let is_bare = |scope: &str| {
            resource.scopes.contains(scope) && !resource.scope_descriptions.contains_key(scope)
        };
        let mut bare: Vec<String> = self
            .clients()
            .filter(asks)
            .flat_map(|client| client.scopes.iter())
            .map(|scope| scope.as_str())
            .filter(|scope| is_bare(scope))
            .map(|scope| format!("`{scope}`"))
            .collect();
        bare.sort();
        bare.dedup();
        if bare.is_empty() {
            return;
        }
        self.add(
            Finding::warning(
                "resource.scope_descriptions.missing",
                table.place("scopes"),
                format!(
                    "people are asked about {} without words for it",
                    bare.join(", ")
                ),
            )
            .because("the consent page then makes words from the scope's name, which tell little")
            .repair("write `scope_descriptions = { \"read:orders\" = \"See your orders\" }`"),
        );
    }

    /// The issuer is an audience of its own: that of tokens which name no API.
    fn on_identifiers(&mut self, read: &Read<'_, Resource>) {
        let (resource, table) = (&read.value, read.table);
        let issuer = self.draft.issuer.as_ref().map(|issuer| issuer.as_str());
        let Some(issuer) = issuer.map(str::to_owned) else {
            return;
        };
        let mut all = std::iter::once(&resource.identifier).chain(&resource.aliases);
        let is_issuer = |own: &&_| {
            let own: &symbolon_protocol::ResourceIdentifier = own;
            own.as_str().trim_end_matches('/') == issuer
        };
        if let Some(own) = all.find(is_issuer) {
            let at = match resource.aliases.contains(own) {
                true => table.place_of("aliases", own.as_str()),
                false => table.place("identifier"),
            };
            self.add(
                Finding::error(
                    "resource.identifier.issuer",
                    at,
                    format!("`{own}` is the issuer itself"),
                )
                .because("tokens for no API in particular carry the issuer as audience: this API would take them, and its settings and its end would be theirs")
                .repair("name the API by an address of its own"),
            );
        }
    }

    fn on_scopes_of(&mut self, read: &Read<'_, Resource>) {
        let (resource, table) = (&read.value, read.table);
        for scope in resource.scopes.iter().map(|scope| scope.as_str()) {
            let at = table.place_of("scopes", scope);
            if OPENID_SCOPES.contains(&scope) {
                self.add(
                    Finding::error(
                        "resource.scopes.reserved",
                        at,
                        format!("`{scope}` belongs to OpenID Connect"),
                    )
                    .because("one word would mean a claim about a person and a right at an API")
                    .repair("name the scope otherwise, as in `read:profile`"),
                );
            }
            if looks_sensitive(scope) && !resource.sensitive_scopes.contains(scope) {
                self.add(
                    Finding::warning("resource.scopes.sensitive", at, format!("`{scope}` sounds like harm and is not among `sensitive_scopes`"))
                        .because("sensitive scopes are named apart on the consent page and are never granted by default")
                        .repair(format!("write `sensitive_scopes = [\"{scope}\"]`")),
                );
            }
        }
        for scope in resource.scope_descriptions.keys() {
            if !resource.scopes.contains(scope) {
                self.add(
                    Finding::warning(
                        "resource.scope_descriptions.unknown",
                        table.place("scope_descriptions"),
                        format!("`{scope}` is described and is not among `scopes`"),
                    )
                    .because("people will never be shown the words")
                    .repair("add the scope, or correct its spelling"),
                );
            }
        }
    }

    fn on_introspection(&mut self, read: &Read<'_, Resource>) {
        let (resource, table) = (&read.value, read.table);
        let named: Vec<_> = resource
            .introspection_client
            .iter()
            .chain(&resource.introspection_clients)
            .collect();
        let readable = resource.token_format == TokenFormat::Jwt;
        if !readable && named.is_empty() {
            self.add(
                Finding::warning(
                    "resource.introspection.nobody",
                    table.place("token_format"),
                    format!(
                        "nobody can check the {} tokens of `{}`",
                        resource.token_format, resource.identifier
                    ),
                )
                .because("such a token says nothing to whoever may not ask about it")
                .repair("add `introspection_client = \"…\"`, the client that the API is"),
            );
        }
        for id in named {
            let at = if resource.introspection_client.as_ref() == Some(id) {
                table.place("introspection_client")
            } else {
                table.place_of("introspection_clients", id.as_str())
            };
            let known = self.clients().find(|client| client.id == *id);
            let is_public = known.is_some_and(|client| !client.is_confidential());
            if is_public {
                self.add(
                    Finding::error("resource.introspection.public", at, format!("`{id}` is a public client"))
                        .because("introspection says what a token opens, and is said only to who proved who they are")
                        .repair("name a client of kind `service`"),
                );
            } else if known.is_none() {
                self.add(
                    Finding::warning(
                        "resource.introspection.unknown",
                        at,
                        format!("no block of this file is client `{id}`"),
                    )
                    .because("unless it was created otherwise, start fails")
                    .repair("add the `[[client]]`, or correct the spelling"),
                );
            }
        }
    }

    pub(super) fn has_organization(&self, id: &str) -> bool {
        let mut organizations = self.draft.organizations.iter();
        organizations.any(|read| read.value.id.as_str() == id)
    }
}

pub(super) fn unknown_organization(
    code: &'static str,
    at: &super::super::Location,
    id: &str,
) -> Finding {
    Finding::warning(
        code,
        at,
        format!("no block of this file is organization `{id}`"),
    )
    .because("unless it was created otherwise, start fails")
    .repair("add the `[[organization]]`, or correct the spelling")
}

pub(super) fn looks_sensitive(scope: &str) -> bool {
    let lower = scope.to_ascii_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| SENSITIVE.contains(&word))
}
