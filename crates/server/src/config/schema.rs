//! Every key of the configuration file, with an example of its value.

/// What a key takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// A number, a truth value, a table without keys of its own.
    Other,
    /// A text that must not be seen, given in one of four forms.
    Secret,
    /// `[section]`.
    Table(&'static Section),
    /// `[[block]]`.
    Blocks(&'static Section),
}

/// One key.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The code of a finding that says that the value cannot be.
    pub(super) invalid: &'static str,
    /// What may stand after the equals sign.
    pub(super) example: &'static str,
}

/// The keys that stand together.
pub(super) struct Section {
    /// `""` for the top, `[store]`, `[[client]]`.
    pub(super) title: &'static str,
    pub(super) keys: &'static [Key],
}

/// How else a secret can be given.
pub(super) const FORMS: [&str; 3] = ["_file", "_env", "_command"];

impl Section {
    /// The key of a name; the forms of a secret belong to its key.
    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.takes(name))
    }

    /// Every name that may stand here.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.keys.iter().flat_map(|key| {
            let forms: &[&str] = if key.is_secret() { &FORMS } else { &[] };
            let forms = forms.iter().map(|form| format!("{}{form}", key.name));
            std::iter::once(key.name.to_owned()).chain(forms)
        })
    }

    /// The known name that is most like `name`.
    pub(super) fn nearest(&self, name: &str) -> String {
        // What most others call it.
        if name == "type" && self.find("kind").is_some() {
            return "kind".to_owned();
        }
        self.names()
            .min_by_key(|known| distance(known, name))
            .unwrap_or_default()
    }

    /// That name, where it is like what was written at all.
    pub(super) fn near(&self, name: &str) -> Option<String> {
        let nearest = self.nearest(name);
        let is_near = name == "type" || distance(&nearest, name) <= name.len().div_ceil(2);
        is_near.then_some(nearest)
    }

    /// Where the keys stand, in words.
    pub(super) fn place(&self) -> String {
        if self.title.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in `{}`", self.title)
        }
    }
}

impl Key {
    fn takes(&self, name: &str) -> bool {
        let form = |rest: &str| self.is_secret() && FORMS.contains(&rest);
        name == self.name || name.strip_prefix(self.name).is_some_and(form)
    }

    /// Whether its value must not be seen.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}

/// The name that is most like `name`, where any is like it at all.
pub(super) fn nearest_of<'n>(names: impl Iterator<Item = &'n str>, name: &str) -> Option<&'n str> {
    let likely = names.filter(|known| distance(known, name) <= name.len().div_ceil(2));
    likely.min_by_key(|known| distance(known, name))
}

/// How many characters must be changed, added or left out.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let change = corner + usize::from(from != *to);
            corner = *cell;
            left = change.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

macro_rules! section {
    ($name:ident, $title:literal, $prefix:literal, { $($key:literal: $kind:expr, $example:literal;)* }) => {
        pub(super) static $name: Section = Section {
            title: $title,
            keys: &[$(Key {
                name: $key,
                kind: $kind,
                invalid: concat!($prefix, $key, ".invalid"),
                example: $example,
            },)*],
        };
    };
}

use Kind::{Blocks, Other, Secret, Table, Text, Texts};

section!(TOP, "", "", {
    "issuer": Text, r#""https://login.example.com""#;
    "listen": Text, r#""127.0.0.1:8080""#;
    "mtls_listen": Text, r#""127.0.0.1:8443""#;
    "mtls_url": Text, r#""https://mtls.login.example.com""#;
    "bind_native_clients": Other, "false";
    "sensitive_claims": Texts, r#"["birthdate", "address"]"#;
    "trusted_proxies": Texts, r#"["10.0.0.0/8"]"#;
    "forwarded_header": Text, r#""x-forwarded-for""#;
    "clock_skew": Text, r#""10s""#;
    "trust_extra_ca": Texts, r#"["ca.pem"]"#;
    "outbound_allow": Texts, r#"["keys.internal", "10.1.0.0/16"]"#;
    "tls": Table(&TLS), "";
    "registration": Table(&REGISTRATION), "";
    "store": Table(&STORE), "";
    "admin": Table(&ADMIN), "";
    "lifetimes": Table(&LIFETIMES), "";
    "keys": Table(&KEYS), "";
    "audit": Table(&AUDIT), "";
    "resource": Blocks(&RESOURCE), "";
    "client": Blocks(&CLIENT), "";
    "organization": Blocks(&ORGANIZATION), "";
    "user": Blocks(&USER), "";
    "trusted_issuer": Blocks(&TRUSTED_ISSUER), "";
    "signal_source": Blocks(&SIGNAL_SOURCE), "";
    "gateway": Table(&GATEWAY), "";
    "limit": Blocks(&LIMIT), "";
    "plan": Blocks(&PLAN), "";
    "policy": Table(&POLICY), "";
    "risk": Table(&RISK), "";
});

section!(GATEWAY, "[gateway]", "gateway.", {
    "listen": Text, r#""127.0.0.1:8081""#;
    "admin_listen": Text, r#""127.0.0.1:8091""#;
    "issuer": Text, r#""https://login.example.com""#;
    "external_url": Text, r#""https://api.example.com""#;
    "algorithms": Texts, r#"["ES256"]"#;
    "introspection_client": Text, r#""orders-api""#;
    "introspection_secret": Secret, "";
    "assertion_key": Secret, "";
    "assertion_key_other": Secret, "";
    "client_certificates": Other, "false";
    "redis_url": Text, r#""rediss://counts.internal:6379""#;
    "redis_user": Text, r#""gateway""#;
    "redis_password": Secret, "";
    "redis_ca": Text, r#""redis-ca.pem""#;
    "limit_webhook": Other, r#"{ upstream = "billing", path = "/limits" }"#;
    "browser": Table(&BROWSER), "";
    "forward_auth": Table(&FORWARD_AUTH), "";
    "upstream": Blocks(&UPSTREAM), "";
    "route": Blocks(&ROUTE), "";
});

section!(BROWSER, "[gateway.browser]", "gateway.browser.", {
    "client": Text, r#""shop""#;
    "client_secret": Secret, "";
    "path": Text, r#""/auth""#;
    "scopes": Texts, r#"["profile", "read:orders", "offline_access"]"#;
    "session_idle": Text, r#""8h""#;
    "session_absolute": Text, r#""7d""#;
    "after_sign_out": Text, r#""/""#;
});

section!(FORWARD_AUTH, "[gateway.forward_auth]", "gateway.forward_auth.", {
    "dialect": Text, r#""nginx""#;
    "trusted_proxies": Texts, r#"["127.0.0.1/32"]"#;
    "path": Text, r#""/.symbolon/forward-auth""#;
    "listen": Text, r#""127.0.0.1:8082""#;
});

section!(UPSTREAM, "[[gateway.upstream]]", "gateway.upstream.", {
    "name": Text, r#""orders""#;
    "url": Text, r#""http://127.0.0.1:9000""#;
    "urls": Texts, r#"["http://127.0.0.1:9000", "http://127.0.0.1:9001"]"#;
    "balance": Text, r#""round_robin""#;
    "health_path": Text, r#""/healthz""#;
    "health_interval": Text, r#""5s""#;
    "health_timeout": Text, r#""2s""#;
    "healthy_after": Other, "2";
    "unhealthy_after": Other, "3";
    "eject_after": Other, "3";
    "eject_for": Text, r#""30s""#;
    "http2": Other, "false";
    "connect_timeout": Text, r#""5s""#;
    "response_timeout": Text, r#""30s""#;
    "idle_timeout": Text, r#""5m""#;
});

section!(ROUTE, "[[gateway.route]]", "gateway.route.", {
    "path": Text, r#""/orders/{id}""#;
    "methods": Texts, r#"["GET"]"#;
    "upstream": Text, r#""orders""#;
    "issuer": Text, r#""https://login.example.com""#;
    "audience": Text, r#""https://api.example.com""#;
    "scopes": Texts, r#"["read:orders"]"#;
    "any_scopes": Texts, r#"["read:orders", "admin"]"#;
    "public": Other, "true";
    "name": Text, r#""read an order""#;
    "revocation": Text, r#""now""#;
    "max_staleness": Text, r#""2s""#;
    "stale_if_error": Text, r#""1h""#;
    "max_body_bytes": Other, "10485760";
    "on_expiry": Text, r#""close""#;
    "pass_token": Other, "false";
    "claims": Other, r#"{ "X-User" = "sub" }"#;
    "browser": Text, r#""api""#;
    "mcp": Table(&MCP), "";
    "graphql": Table(&GRAPHQL), "";
    "limits": Texts, r#"["burst"]"#;
    "cost": Other, "3";
    "feature": Text, r#""exports""#;
    "policy": Text, r#""shadow""#;
});

section!(GRAPHQL, "[gateway.route.graphql]", "gateway.route.graphql.", {
    "schema": Text, r#""schema.graphql""#;
    "rules": Text, r#""rules.graphql""#;
    "on_denied": Text, r#""refuse""#;
    "mode": Text, r#""enforce""#;
    "introspection": Other, r#"["read:schema"]"#;
    "policies": Other, r#"{ staff = "roles = staff" }"#;
    "subscriptions": Other, "false";
    "persisted": Text, r#""off""#;
    "manifest": Text, r#""operations.json""#;
    "automatic_persisted": Other, "false";
    "max_cost": Other, "10000";
    "list_size": Other, "10";
    "max_depth": Other, "20";
    "max_fields": Other, "1000";
    "max_aliases": Other, "50";
    "max_root_fields": Other, "20";
    "max_directives": Other, "50";
    "max_tokens": Other, "8000";
    "max_document_bytes": Other, "65536";
    "max_request_bytes": Other, "1048576";
    "max_answer_bytes": Other, "4194304";
    "max_batch": Other, "0";
});

section!(MCP, "[gateway.route.mcp]", "gateway.route.mcp.", {
    "origins": Texts, r#"["https://app.example.com"]"#;
    "unlisted": Text, r#""refuse""#;
    "tool": Blocks(&MCP_TOOL), "";
    "prompt": Blocks(&MCP_PROMPT), "";
    "resource": Blocks(&MCP_RESOURCE), "";
});

section!(MCP_TOOL, "[[gateway.route.mcp.tool]]", "gateway.route.mcp.tool.", {
    "name": Text, r#""transfer""#;
    "scopes": Texts, r#"["write:payments"]"#;
    "arguments": Other, r#"{ amount = { max = 100 } }"#;
    "cost": Other, "1";
});

section!(MCP_PROMPT, "[[gateway.route.mcp.prompt]]", "gateway.route.mcp.prompt.", {
    "name": Text, r#""greet""#;
    "scopes": Texts, r#"["read:prompts"]"#;
    "arguments": Other, r#"{ language = ["en", "fr"] }"#;
    "cost": Other, "1";
});

section!(MCP_RESOURCE, "[[gateway.route.mcp.resource]]", "gateway.route.mcp.resource.", {
    "uri": Text, r#""file:///public/*""#;
    "scopes": Texts, r#"["read:files"]"#;
    "cost": Other, "1";
});

section!(LIMIT, "[[limit]]", "limit.", {
    "name": Text, r#""monthly""#;
    "per": Text, r#""client""#;
    "rate": Other, "100";
    "burst": Other, "20";
    "quota": Other, "10000";
    "period": Text, r#""month""#;
    "window": Text, r#""30d""#;
    "credits": Other, "1000";
    "refill": Other, "100";
    "every": Text, r#""1d""#;
    "concurrency": Other, "10";
    "mode": Text, r#""strict""#;
    "lease": Other, "50";
    "on_error": Text, r#""refuse""#;
    "give_back": Other, "false";
});

section!(PLAN, "[[plan]]", "plan.", {
    "name": Text, r#""pro""#;
    "limits": Texts, r#"["monthly"]"#;
    "features": Texts, r#"["exports"]"#;
    "clients": Texts, r#"["web"]"#;
    "organizations": Texts, r#"["acme"]"#;
    "default": Other, "false";
});

section!(POLICY, "[policy]", "policy.", {
    "files": Texts, r#"["orders.cedar"]"#;
    "schemas": Texts, r#"["own.cedarschema"]"#;
    "entities": Texts, r#"["groups.json"]"#;
    "mode": Text, r#""enforce""#;
    "authzen_url": Text, r#""https://pdp.example.com/access/v1/evaluation""#;
    "authzen_token": Secret, "";
    "authzen_timeout": Text, r#""1s""#;
    "evaluation_token": Secret, "";
    "evaluation_url": Text, r#""https://pdp.example.com""#;
});

section!(RISK, "[risk]", "risk.", {
    "mode": Text, r#""enforce""#;
    "weights": Other, r#"{ "new_network" = 20, "new_user_agent" = 0 }"#;
    "step_up": Other, "40";
    "step_up_acr": Texts, r#"["phr"]"#;
    "step_up_max_age": Text, r#""5m""#;
    "refuse": Other, "70";
    "revoke": Other, "90";
    "revoke_url": Text, r#""http://127.0.0.1:8090""#;
    "revoke_token": Secret, "";
    "places": Text, r#""places.csv""#;
    "familiar_after": Text, r#""1h""#;
    "failures": Other, "5";
    "failures_within": Text, r#""5m""#;
    "max_speed_kmh": Other, "1000";
});

section!(TLS, "[tls]", "tls.", {
    "certificate": Text, r#""server.pem""#;
    "key": Text, r#""server.key""#;
    "client_ca": Text, r#""clients.pem""#;
});

section!(REGISTRATION, "[registration]", "registration.", {
    "enabled": Other, "true";
    "client_id_metadata_documents": Other, "true";
    "document_hosts": Texts, r#"["app.example.com"]"#;
    "refused_document_hosts": Texts, r#"["bad.example.com"]"#;
    "origins": Texts, r#"["https://inspector.example.com"]"#;
    "initial_access_token": Secret, "";
    "resources": Texts, r#"["https://api.example.com"]"#;
    "scopes": Texts, r#"["openid", "read:orders"]"#;
    "require_pkce_confidential": Other, "true";
    "assertion_audience": Text, r#""issuer_or_token_endpoint""#;
    "unused_lifetime": Text, r#""7d""#;
});

section!(STORE, "[store]", "store.", {
    "url": Secret, r#""sqlite://data/symbolon.db""#;
    "statements": Text, r#""named""#;
    "master_key": Secret, "";
    "master_key_pkcs11": Text, r#""pkcs11:token=symbolon;object=master?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/symbolon/pin""#;
    "previous_master_key": Secret, "";
    "previous_master_key_pkcs11": Text, r#""pkcs11:…""#;
});

section!(ADMIN, "[admin]", "admin.", {
    "listen": Text, r#""127.0.0.1:8090""#;
    "hosts": Texts, r#"["symbolon.internal"]"#;
    "token": Secret, "";
});

section!(LIFETIMES, "[lifetimes]", "lifetimes.", {
    "authorization_code": Text, r#""60s""#;
    "access_token": Text, r#""10m""#;
    "id_token": Text, r#""10m""#;
    "refresh_token_idle": Text, r#""14d""#;
    "refresh_token_absolute": Text, r#""90d""#;
    "refresh_grace": Text, r#""90s""#;
    "pushed_request": Text, r#""90s""#;
    "device_code": Text, r#""10m""#;
    "session_idle": Text, r#""8h""#;
    "session_absolute": Text, r#""7d""#;
});

section!(KEYS, "[keys]", "keys.", {
    "rotation": Text, r#""90d""#;
    "key_set_cache": Text, r#""1h""#;
    "experimental_ml_dsa": Other, "false";
    "saml_decryption": Other, "false";
});

section!(AUDIT, "[audit]", "audit.", {
    "retention": Text, r#""400d""#;
});

section!(RESOURCE, "[[resource]]", "resource.", {
    "identifier": Text, r#""https://api.example.com""#;
    "name": Text, r#""Orders""#;
    "aliases": Texts, r#"["https://api.example.com/"]"#;
    "scopes": Texts, r#"["read:orders"]"#;
    "sensitive_scopes": Texts, r#"["delete:orders"]"#;
    "scope_descriptions": Other, r#"{ "read:orders" = "See your orders" }"#;
    "token_format": Text, r#""jwt""#;
    "access_token_lifetime": Text, r#""10m""#;
    "access_token_lifetime_reason": Text, r#""a nightly job runs that long""#;
    "require_key_binding": Other, "false";
    "status_list": Other, "false";
    "signing_alg": Text, r#""ES256""#;
    "macaroon_keys": Text, r#""server""#;
    "api_keys": Text, r#""live""#;
    "introspection_client": Text, r#""orders-api""#;
    "introspection_clients": Texts, r#"["orders-api"]"#;
    "exchange_from": Texts, r#"["https://shop.example.com", "shop-api"]"#;
    "jwks": Other, r#"{ keys = [{ kty = "EC", … }] }"#;
    "jwks_uri": Text, r#""https://api.example.com/jwks.json""#;
    "access_token_encrypted_response_alg": Text, r#""ECDH-ES+A256KW""#;
    "access_token_encrypted_response_enc": Text, r#""A256GCM""#;
    "claims": Other, r#"{ email = "email", department = { value = "sales" } }"#;
    "organization": Text, r#""acme""#;
});

section!(CLIENT, "[[client]]", "client.", {
    "id": Text, r#""web""#;
    "name": Text, r#""Example Shop""#;
    "kind": Text, r#""web""#;
    "secret": Secret, "";
    "authentication": Text, r#""client_secret_basic""#;
    "redirect_uris": Texts, r#"["https://shop.example.com/callback"]"#;
    "post_logout_redirect_uris": Texts, r#"["https://shop.example.com/"]"#;
    "origins": Texts, r#"["https://shop.example.com"]"#;
    "grants": Texts, r#"["authorization_code", "refresh_token"]"#;
    "scopes": Texts, r#"["openid", "profile"]"#;
    "resources": Texts, r#"["https://api.example.com"]"#;
    "default_resource": Text, r#""https://api.example.com""#;
    "optional_scopes": Texts, r#"["email"]"#;
    "require_pkce": Other, "true";
    "assertion_audience": Text, r#""issuer""#;
    "refresh_rotation": Text, r#""auto""#;
    "organization": Text, r#""acme""#;
    "profile": Text, r#""""#;
    "consent": Text, r#""ask""#;
    "enabled": Other, "true";
    "enforce": Other, "false";
    "jwks": Other, r#"{ keys = [{ kty = "EC", … }] }"#;
    "jwks_uri": Text, r#""https://shop.example.com/jwks.json""#;
    "id_token_signed_response_alg": Text, r#""RS256""#;
    "userinfo_signed_response_alg": Text, r#""RS256""#;
    "introspection_signed_response_alg": Text, r#""RS256""#;
    "id_token_encrypted_response_alg": Text, r#""ECDH-ES+A256KW""#;
    "id_token_encrypted_response_enc": Text, r#""A256GCM""#;
    "userinfo_encrypted_response_alg": Text, r#""ECDH-ES+A256KW""#;
    "userinfo_encrypted_response_enc": Text, r#""A256GCM""#;
    "introspection_encrypted_response_alg": Text, r#""ECDH-ES+A256KW""#;
    "introspection_encrypted_response_enc": Text, r#""A256GCM""#;
    "claims": Other, r#"{ mail = "email", team = "organization" }"#;
    "token_endpoint_auth_signing_alg": Text, r#""ES256""#;
    "dpop_bound_access_tokens": Other, "false";
    "tls_client_certificate_bound_access_tokens": Other, "false";
    "tls_client_auth_subject_dn": Text, r#""CN=orders,O=Example""#;
    "tls_client_auth_san_dns": Text, r#""orders.example.com""#;
    "tls_client_auth_san_uri": Text, r#""spiffe://example.com/orders""#;
    "tls_client_auth_san_ip": Text, r#""192.0.2.7""#;
    "tls_client_auth_san_email": Text, r#""orders@example.com""#;
    "subject_type": Text, r#""public""#;
    "sector_identifier_uri": Text, r#""https://shop.example.com/sector.json""#;
    "default_max_age": Other, "3600";
    "require_auth_time": Other, "false";
    "default_acr_values": Texts, r#"["1"]"#;
    "access_token_lifetime": Text, r#""10m""#;
    "refresh_token_idle": Text, r#""14d""#;
    "refresh_token_absolute": Text, r#""90d""#;
    "refresh_grace": Text, r#""90s""#;
    "exchange": Other, r#"{ from = ["https://shop.example.com"], to = ["https://api.example.com"] }"#;
    "application_type": Text, r#""web""#;
    "client_uri": Text, r#""https://shop.example.com""#;
    "logo_uri": Text, r#""https://shop.example.com/logo.png""#;
    "policy_uri": Text, r#""https://shop.example.com/privacy""#;
    "tos_uri": Text, r#""https://shop.example.com/terms""#;
    "backchannel_logout_uri": Text, r#""https://shop.example.com/logout""#;
    "backchannel_logout_session_required": Other, "true";
    "initiate_login_uri": Text, r#""https://shop.example.com/login""#;
    "contacts": Texts, r#"["security@example.com"]"#;
    "software_id": Text, r#""shop""#;
    "software_version": Text, r#""1.0""#;
    "response_types": Texts, r#"["code"]"#;
});

section!(TRUSTED_ISSUER, "[[trusted_issuer]]", "trusted_issuer.", {
    "issuer": Text, r#""https://partner.example.net""#;
    "jwks_uri": Text, r#""https://partner.example.net/jwks""#;
    "saml_certificate": Secret, "";
    "resource": Text, r#""https://api.example.com""#;
    "organization": Text, r#""acme""#;
    "scopes": Texts, r#"["read:orders"]"#;
    "algorithms": Texts, r#"["ES256"]"#;
    "audiences": Texts, r#"["https://api.partner.example.net"]"#;
    "enabled": Other, "true";
    "enforce": Other, "false";
});

section!(SIGNAL_SOURCE, "[[signal_source]]", "signal_source.", {
    "id": Text, r#""directory""#;
    "issuer": Text, r#""https://directory.example.net""#;
    "jwks_uri": Text, r#""https://directory.example.net/jwks""#;
    "audience": Text, r#""https://login.example.com""#;
    "algorithms": Texts, r#"["RS256"]"#;
    "push_secret": Secret, "";
    "poll_url": Text, r#""https://directory.example.net/ssf/poll/1""#;
    "poll_token": Secret, "";
    "token_endpoint": Text, r#""https://directory.example.net/token""#;
    "client_id": Text, r#""login""#;
    "client_secret": Secret, "";
    "scope": Text, r#""ssf.read""#;
    "resource": Text, r#""https://directory.example.net""#;
    "subjects": Texts, r#"["own_subject", "email"]"#;
    "effects": Texts, r#"["sign_out"]"#;
    "organization": Text, r#""acme""#;
});

section!(ORGANIZATION, "[[organization]]", "organization.", {
    "id": Text, r#""acme""#;
    "name": Text, r#""Acme""#;
    "members": Other, r#"[{ user = "alice", roles = ["buyer"] }]"#;
});

section!(MEMBER, "members", "organization.members.", {
    "user": Text, r#""alice""#;
    "roles": Texts, r#"["buyer"]"#;
});

section!(USER, "[[user]]", "user.", {
    "username": Text, r#""alice""#;
    "password": Secret, "";
    "password_hash": Secret, "";
    "enabled": Other, "true";
    "enforce": Other, "false";
    "name": Text, r#""Alice Example""#;
    "family_name": Text, r#""Example""#;
    "given_name": Text, r#""Alice""#;
    "middle_name": Text, r#""B.""#;
    "nickname": Text, r#""Al""#;
    "preferred_username": Text, r#""alice""#;
    "profile": Text, r#""https://example.com/alice""#;
    "picture": Text, r#""https://example.com/alice.png""#;
    "website": Text, r#""https://example.com""#;
    "email": Text, r#""alice@example.com""#;
    "email_verified": Other, "true";
    "gender": Text, r#""female""#;
    "birthdate": Text, r#""1990-01-31""#;
    "zoneinfo": Text, r#""Europe/Athens""#;
    "locale": Text, r#""en-GB""#;
    "phone_number": Text, r#""+30 21 0123 4567""#;
    "phone_number_verified": Other, "true";
    "address": Other, r#"{ locality = "Athens", country = "GR" }"#;
    "updated_at": Other, "1767225600";
});
