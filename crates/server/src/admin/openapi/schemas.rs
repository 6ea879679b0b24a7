//! The schemas of the OpenAPI document.

use serde_json::{Map, Value, json};
use symbolon_protocol::{
    AssertionAudience, ClientAuthentication, ClientKind, ConsentPolicy, GrantType, MacaroonKeys,
    RefreshRotation, SigningAlgorithm, SubjectType, TakenKeys, TokenFormat, registration,
};

/// All of them by name.
pub(super) fn all() -> Map<String, Value> {
    let mut all = Map::new();
    let mut add = |name: &str, schema: Value| {
        all.insert(name.to_owned(), schema);
    };
    add(
        "Refusal",
        object(
            &["error", "error_description", "request_id"],
            &[
                ("error", text()),
                ("error_description", text()),
                ("request_id", text()),
            ],
        ),
    );
    for (name, plural) in [
        ("Client", "ClientList"),
        ("Resource", "ResourceList"),
        ("User", "UserList"),
        ("Organization", "OrganizationList"),
        ("TrustedIssuer", "TrustedIssuerList"),
        ("Member", "MemberList"),
        ("Grant", "GrantList"),
        ("Session", "SessionList"),
        ("Key", "KeyList"),
        ("ApiKey", "ApiKeyList"),
        ("OutboxLine", "Outbox"),
        ("DeadLetter", "DeadLetterList"),
    ] {
        add(plural, list(name));
    }
    add_clients(&mut add);
    add_resources(&mut add);
    add_people(&mut add);
    add_organizations(&mut add);
    super::exchange::add_trusted_issuers(&mut add);
    add_presence(&mut add);
    super::keys::add(&mut add);
    super::api_keys::add(&mut add);
    add_process(&mut add);
    add_revocation(&mut add);
    super::outbox::add(&mut add);
    super::explanation::add(&mut add);
    super::audit::add(&mut add);
    all
}

fn add_clients(add: &mut impl FnMut(&str, Value)) {
    let fields = client_fields();
    let mut shown = fields.clone();
    shown.extend([
        ("enabled", boolean()), ("created", time()), ("updated", time()),
        ("secrets", json!({ "type": "array", "items": object(&["id", "created"], &[
            ("id", json!({ "type": "integer" })), ("created", time()), ("expires", json!({ "type": ["string", "null"] })),
        ]) })),
        ("secret", json!({ "type": "string", "description": "Shown once, when it was made." })),
    ]);
    let mut new = fields.clone();
    new.extend(client_aliases());
    new.extend([("enabled", boolean()), ("secret", text())]);
    let mut new = localized(object(&[], &new));
    new["anyOf"] = json!([{ "required": ["id"] }, { "required": ["client_id"] }]);
    let patch: Vec<_> = fields
        .into_iter()
        .chain(client_aliases())
        .filter(|(name, _)| !matches!(registration::own_name(name), "id" | "secret"))
        .collect();
    add("Client", localized(object(&["id"], &shown)));
    add("NewClient", new);
    add("ClientPatch", localized(self::patch(&patch)));
    let rotation = [
        ("overlap", span()),
        ("authentication", words(ClientAuthentication::ALL)),
    ];
    add("Rotation", object(&[], &rotation));
}

/// Names of registration that are taken beside ours, and names that are taken
/// as long as they ask for nothing.
fn client_aliases() -> Vec<(&'static str, Value)> {
    let fields = client_fields();
    let same_as = |own: &str| {
        let field = fields.iter().find(|(name, _)| *name == own);
        field.map_or_else(text, |(_, schema)| schema.clone())
    };
    let aliases = registration::ALIASES.map(|(alias, own)| {
        let mut schema = match alias {
            "scope" => text(),
            _ => same_as(own),
        };
        schema["description"] = format!("The same as `{own}` (RFC 7591).").into();
        (alias, schema)
    });
    let idle = registration::names_without_effect().map(|name| {
        let says =
            "Taken where it asks for nothing: `false`, empty, or what a registration answered.";
        (name, json!({ "description": says }))
    });
    aliases.into_iter().chain(idle).collect()
}

/// The same with texts in other languages, as in `client_name#fr` (RFC 7591 §2.2).
fn localized(mut schema: Value) -> Value {
    let names = registration::LOCALIZED.join("|");
    let pattern = format!("^({names})#[A-Za-z0-9-]+$");
    schema["patternProperties"] = json!({ pattern: text() });
    schema
}

/// What a client can be given.
pub(super) fn client_fields() -> Vec<(&'static str, Value)> {
    let mut fields = vec![
        ("id", text()),
        ("name", text()),
        ("kind", words(ClientKind::ALL)),
        ("authentication", words(ClientAuthentication::ALL)),
        ("redirect_uris", texts()),
        ("post_logout_redirect_uris", texts()),
        ("origins", texts()),
        (
            "grants",
            json!({ "type": "array", "items": words(GrantType::ALL) }),
        ),
        ("scopes", texts()),
        ("resources", texts()),
        ("default_resource", text()),
        ("optional_scopes", texts()),
        ("require_pkce", boolean()),
        ("assertion_audience", words(AssertionAudience::ALL)),
        ("refresh_rotation", words(RefreshRotation::ALL)),
        ("organization", text()),
        ("profile", text()),
        ("consent", words(ConsentPolicy::ALL)),
        ("jwks", json!({ "type": "object" })),
        ("jwks_uri", text()),
        ("id_token_signed_response_alg", words(SigningAlgorithm::ALL)),
        ("userinfo_signed_response_alg", words(SigningAlgorithm::ALL)),
        (
            "introspection_signed_response_alg",
            words(SigningAlgorithm::ALL),
        ),
        ("token_endpoint_auth_signing_alg", text()),
        ("dpop_bound_access_tokens", boolean()),
        ("backchannel_logout_uri", text()),
        ("backchannel_logout_session_required", boolean()),
        ("tls_client_certificate_bound_access_tokens", boolean()),
        ("tls_client_auth_subject_dn", text()),
        ("tls_client_auth_san_dns", text()),
        ("tls_client_auth_san_uri", text()),
        ("tls_client_auth_san_ip", text()),
        ("tls_client_auth_san_email", text()),
        ("subject_type", words(SubjectType::ALL)),
        ("sector_identifier_uri", text()),
        (
            "default_max_age",
            json!({ "type": "integer", "minimum": 0 }),
        ),
        ("require_auth_time", boolean()),
        ("default_acr_values", texts()),
        ("access_token_lifetime", span()),
        ("refresh_token_idle", span()),
        ("refresh_token_absolute", span()),
        ("refresh_grace", span()),
        ("exchange", super::exchange::policy()),
        ("application_type", text()),
        ("client_uri", text()),
        ("logo_uri", text()),
        ("policy_uri", text()),
        ("tos_uri", text()),
        ("initiate_login_uri", text()),
        ("contacts", texts()),
        ("software_id", text()),
        ("software_version", text()),
        ("response_types", texts()),
    ];
    fields.extend(super::encryption::of_client());
    fields
}

fn add_resources(add: &mut impl FnMut(&str, Value)) {
    let fields = resource_fields();
    let mut shown = fields.clone();
    shown.extend([("created", time()), ("updated", time())]);
    let patch: Vec<_> = fields
        .iter()
        .filter(|(name, _)| *name != "identifier")
        .cloned()
        .collect();
    add("Resource", object(&["identifier"], &shown));
    add("NewResource", object(&["identifier"], &fields));
    add("ResourcePatch", self::patch(&patch));
    let questions = ["must_die_at_once", "many_services_check", "holder_may_read"];
    add(
        "Questions",
        object(&questions, &questions.map(|name| (name, boolean()))),
    );
    add(
        "Advice",
        object(
            &["token_format", "why"],
            &[("token_format", words(TokenFormat::ALL)), ("why", text())],
        ),
    );
}

/// What a resource can be given.
pub(super) fn resource_fields() -> Vec<(&'static str, Value)> {
    let mut fields = vec![
        ("identifier", text()),
        ("name", text()),
        ("aliases", texts()),
        ("scopes", texts()),
        ("sensitive_scopes", texts()),
        (
            "scope_descriptions",
            json!({ "type": "object", "additionalProperties": text() }),
        ),
        ("token_format", words(TokenFormat::ALL)),
        ("access_token_lifetime", span()),
        ("access_token_lifetime_reason", text()),
        ("require_key_binding", boolean()),
        ("status_list", boolean()),
        ("signing_alg", words(SigningAlgorithm::ALL)),
        ("macaroon_keys", words(MacaroonKeys::ALL)),
        ("api_keys", words(TakenKeys::ALL)),
        ("introspection_client", text()),
        ("introspection_clients", texts()),
        ("exchange_from", texts()),
        ("organization", text()),
    ];
    fields.extend(super::encryption::of_resource());
    fields
}

fn add_people(add: &mut impl FnMut(&str, Value)) {
    let claims = ["profile", "email", "address", "phone"]
        .into_iter()
        .flat_map(symbolon_protocol::claims::claims_of_scope)
        .map(|claim| {
            (
                *claim,
                match *claim {
                    "email_verified" | "phone_number_verified" => boolean(),
                    "updated_at" => json!({ "type": "integer" }),
                    "address" => json!({ "type": "object" }),
                    _ => text(),
                },
            )
        });
    let mut patch = vec![("username", text())];
    patch.extend(claims);
    let mut shown = patch.clone();
    shown.extend([
        ("id", text()),
        ("enabled", boolean()),
        ("has_password", boolean()),
        ("created", time()),
        ("updated", time()),
    ]);
    let mut new = patch.clone();
    new.extend([
        ("password", text()),
        ("password_hash", text()),
        ("enabled", boolean()),
    ]);
    add("User", open(object(&["id", "username"], &shown)));
    add("NewUser", open(object(&["username"], &new)));
    add("UserPatch", open(self::patch(&patch)));
    add(
        "NewPassword",
        object(&[], &[("password", text()), ("password_hash", text())]),
    );
}

fn add_organizations(add: &mut impl FnMut(&str, Value)) {
    let organization = [("id", text()), ("name", text()), ("enabled", boolean())];
    add(
        "Organization",
        object(&["id", "name", "enabled"], &organization),
    );
    add("NewOrganization", object(&["id"], &organization[..2]));
    add("OrganizationPatch", object(&["name"], &organization[1..2]));
    add("Roles", object(&["roles"], &[("roles", texts())]));
    add(
        "Member",
        object(
            &["user", "username", "roles"],
            &[("user", text()), ("username", text()), ("roles", texts())],
        ),
    );
}

/// The newest live refresh families of a grant; only where one grant is shown.
fn families() -> Value {
    let family = object(
        &["id", "created", "last_used", "generation", "ends"],
        &[
            ("id", text()),
            ("created", time()),
            ("last_used", time()),
            ("generation", json!({ "type": "integer" })),
            ("ends", time()),
        ],
    );
    json!({ "type": "array", "items": family, "maxItems": 100 })
}

fn add_presence(add: &mut impl FnMut(&str, Value)) {
    add(
        "Grant",
        object(
            &["id", "user", "client"],
            &[
                ("id", text()),
                ("user", text()),
                ("client", text()),
                ("organization", maybe_text()),
                ("scopes", texts()),
                ("resources", texts()),
                ("claims", texts()),
                ("agreed", agreement()),
                ("created", time()),
                ("updated", time()),
                ("withdrawn", maybe_text()),
                ("families", families()),
            ],
        ),
    );
    add(
        "Session",
        object(
            &["id", "user"],
            &[
                ("id", text()),
                ("user", text()),
                ("device", text()),
                ("acr", text()),
                ("amr", texts()),
                ("authenticated", time()),
                ("created", time()),
                ("seen", time()),
                ("idle_ends", time()),
                ("absolute_ends", time()),
                ("ended", maybe_text()),
            ],
        ),
    );
}

fn add_process(add: &mut impl FnMut(&str, Value)) {
    add(
        "Status",
        open(object(
            &["version", "issuer"],
            &[("version", text()), ("issuer", text())],
        )),
    );
    add("StatusLink", object(&["url"], &[("url", text())]));
}

fn add_revocation(add: &mut impl FnMut(&str, Value)) {
    let mut one_of: Vec<_> = [
        "token",
        "family",
        "grant",
        "session",
        "subject",
        "client",
        "organization",
        "issuer",
    ]
    .map(|name| (name, text()))
    .into();
    one_of.push((
        "membership",
        object(
            &["organization", "user"],
            &[("organization", text()), ("user", text())],
        ),
    ));
    one_of.push(("sub_id", json!({ "type": "object" })));
    let mut revocation = object(&[], &one_of);
    revocation["minProperties"] = json!(1);
    revocation["maxProperties"] = json!(1);
    add("Revocation", revocation);
}

pub(super) fn object(required: &[&str], fields: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// An object whose members take something else's place: null takes one away.
pub(super) fn patch(fields: &[(&str, Value)]) -> Value {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, schema)| (*name, or_null(schema.clone())))
        .collect();
    object(&[], &fields)
}

fn or_null(mut schema: Value) -> Value {
    if schema.get("enum").is_some() || schema.get("$ref").is_some() {
        return json!({ "anyOf": [schema, { "type": "null" }] });
    }
    if let Some(own) = schema.get_mut("type") {
        match own {
            Value::Array(all) if !all.contains(&"null".into()) => all.push("null".into()),
            Value::String(one) => *own = json!([one, "null"]),
            _ => {}
        }
    }
    schema
}

/// The same with members that the schema does not name, such as claims in a language.
fn open(mut schema: Value) -> Value {
    schema["additionalProperties"] = true.into();
    schema
}

fn list(name: &str) -> Value {
    let reference = format!("#/components/schemas/{name}");
    object(
        &["items"],
        &[
            (
                "items",
                json!({ "type": "array", "items": { "$ref": reference } }),
            ),
            (
                "next",
                json!({ "type": "string", "description": "Give it as `after` for the next page." }),
            ),
        ],
    )
}

pub(super) fn words<W: std::fmt::Display>(all: &[W]) -> Value {
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    json!({ "type": "string", "enum": all })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}
pub(super) fn maybe_text() -> Value {
    json!({ "type": ["string", "null"] })
}
pub(super) fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}
fn agreement() -> Value {
    let by_resource = json!({ "type": "object", "additionalProperties": texts() });
    let members = [
        ("everywhere", texts()),
        ("places", by_resource),
        ("claims", texts()),
    ];
    object(&[], &members)
}
pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}
pub(super) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}
pub(super) fn span() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]+[smhd]$", "examples": ["10m"] })
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::{Client, Resource};

    use super::super::super::body::object_of;
    use super::*;

    #[test]
    fn what_is_stored_of_a_client_and_a_resource_is_described() {
        let client = Client::new("web".parse().unwrap(), ClientKind::Web);
        for name in object_of(&client).keys() {
            assert!(client_fields().iter().any(|(own, _)| own == name), "{name}");
        }
        let resource = Resource::new("https://api.example".parse().unwrap());
        for name in object_of(&resource).keys() {
            assert!(
                resource_fields().iter().any(|(own, _)| own == name),
                "{name}"
            );
        }
    }

    #[test]
    fn every_name_that_the_api_takes_stands_in_the_document() {
        let new = &all()["NewClient"];
        let names = registration::ALIASES.iter().map(|(alias, _)| *alias);
        for name in names.chain(registration::names_without_effect()) {
            assert!(new["properties"].get(name).is_some(), "{name}");
        }
        assert_eq!(new["required"], json!([]));
        assert!(
            all()["ClientPatch"]["properties"]
                .get("client_id")
                .is_none()
        );
    }

    #[test]
    fn what_is_described_of_a_client_is_none_of_the_unknown() {
        for (name, _) in client_fields()
            .into_iter()
            .filter(|(name, _)| *name != "id")
        {
            let text = format!("{{\"id\":\"web\",\"{name}\":null}}");
            if let Ok(client) = serde_json::from_str::<Client>(&text) {
                assert!(client.described.other.is_empty(), "{name}");
            }
        }
    }
}
