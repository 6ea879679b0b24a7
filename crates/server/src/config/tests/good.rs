//! Configurations that load.

use symbolon_protocol::ClientKind;
#[cfg(feature = "postgres")]
use symbolon_protocol::{ClientAuthentication, GrantType, TokenFormat};

use super::*;

#[test]
fn the_example_has_nothing_to_be_said_about() {
    let folder = Folder::new();
    let loaded = folder.load(example());
    assert_eq!(printed(&loaded), "");
    let (config, _) = loaded.unwrap();
    assert_eq!(config.issuer.as_str(), "http://127.0.0.1:8080");
    assert_eq!(config.clients.len(), 1);
    assert_eq!(config.clients[0].client.kind, ClientKind::Native);
}

#[test]
fn an_issuer_alone_is_a_configuration() {
    let folder = Folder::new();
    let (config, findings) = folder.load("issuer = 'http://localhost:8080'").unwrap();
    assert!(findings.is_empty());
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8090");
    assert_eq!(config.lifetimes, Lifetimes::default());
    assert_eq!(config.clock_skew, Lifetime::seconds(10));
    let key = folder.0.join("data/master.key");
    assert!(matches!(&config.store.master_key, MasterSource::File(path) if *path == key));
    let database = folder.0.join("data/symbolon.db");
    assert!(matches!(&config.store.url, StoreUrl::Sqlite(path) if *path == database));
}

#[cfg(feature = "postgres")]
const WHOLE: &str = r#"
issuer = "https://login.example.com/tenant"
listen = "0.0.0.0:8443"
mtls_listen = ""
trusted_proxies = ["10.1.0.0/16"]
clock_skew = "30s"
outbound_allow = ["keys.internal", "10.2.0.0/24"]
[tls]
certificate = "server.pem"
key = "server.key"
client_ca = ""
[registration]
enabled = false
unused_lifetime = "7d"
[store]
url_env = "DATABASE"
statements = "unnamed"
master_key_env = "MASTER"
[admin]
token_command = "printf an-administrator-has-a-long-token-too"
[lifetimes]
access_token = "5m"
pushed_request = "60s"
device_code = "5m"
[[resource]]
identifier = "https://api.example.com"
aliases = ["https://api.example.com/"]
scopes = ["read:orders", "delete:orders"]
sensitive_scopes = ["delete:orders"]
scope_descriptions = { "read:orders" = "See your orders" }
token_format = "opaque"
macaroon_keys = "server"
api_keys = "any"
introspection_client = "orders-api"
organization = "acme"
[[client]]
client_id = "web"
client_name = "Shop"
token_endpoint_auth_method = "client_secret_post"
grant_types = ["authorization_code", "refresh_token"]
scope = "openid offline_access read:orders"
redirect_uris = ["https://shop.example.com/cb"]
client_uri = "https://shop.example.com"
resources = ["https://api.example.com"]
organization = "acme"
secret_file = "web.secret"
enforce = true
enabled = true
[[client]]
id = "orders-api"
kind = "service"
grants = ["client_credentials"]
secret_env = "ORDERS"
organization = ""
[[organization]]
id = "acme"
name = "Acme"
members = [{ user = "alice", roles = ["buyer"] }]
[[user]]
username = "alice"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
email = "alice@example.com"
email_verified = true
"name#el" = "Αλίκη"
address = { locality = "Athens", country = "GR" }
enabled = false
"#;

#[cfg(feature = "postgres")]
const MASTER: &str = "5f1d3b9a7c02e4866d81f0a39b4c7e2510d9ab63cf7284e1b05c96d83a417efb";

#[cfg(feature = "postgres")]
#[test]
fn a_whole_file_is_read_as_it_is_written() {
    let folder = Folder::new();
    folder.write("server.pem", "");
    folder.write("server.key", "");
    folder.write("web.secret", "0123456789abcdef0123456789abcdef\n");
    let variables = [
        (
            "DATABASE",
            "postgres://sym:pw@db.internal/sym?sslmode=require",
        ),
        ("MASTER", MASTER),
        ("ORDERS", "0123456789abcdef0123456789abcdef"),
    ];

    let loaded = folder.load_with(WHOLE, &variables);

    assert_eq!(printed(&loaded), "");
    let (config, _) = loaded.unwrap();
    assert_eq!(config.tls.unwrap().key, folder.0.join("server.key"));
    assert!(
        matches!(&config.store.url, StoreUrl::Postgres(url) if url.expose_str() == variables[0].1)
    );
    assert_eq!(config.store.statements, Statements::Unnamed);
    assert!(
        matches!(&config.store.master_key, MasterSource::Given(key) if key.matches(MASTER.as_bytes()))
    );
    assert_eq!(config.lifetimes.access_token, Lifetime::seconds(300));
    assert_eq!(config.resources[0].token_format, TokenFormat::Opaque);
    let web = &config.clients[0];
    assert_eq!(web.client.name, "Shop");
    assert_eq!(
        web.client.authentication(),
        ClientAuthentication::ClientSecretPost
    );
    assert_eq!(
        web.client.grants,
        [GrantType::AuthorizationCode, GrantType::RefreshToken]
    );
    assert!(web.client.scopes.contains("read:orders"));
    assert!(
        web.secret
            .as_ref()
            .unwrap()
            .matches(b"0123456789abcdef0123456789abcdef")
    );
    assert!(web.enforce && web.enabled == Some(true));
    assert_eq!(config.clients[1].client.organization, None);
    assert_eq!(config.organizations[0].members[0].roles, ["buyer"]);
    let alice = &config.people[0];
    assert_eq!(alice.enabled, Some(false));
    assert_eq!(alice.claims["address"]["country"], "GR");
    assert_eq!(alice.claims["name#el"], "Αλίκη");
    assert!(!alice.claims.contains_key("username"));
}

#[test]
fn a_registered_native_application_is_native() {
    let folder = Folder::new();
    let text = "issuer = 'http://localhost:8080'\n[[client]]\nid = 'app'\napplication_type = 'native'\nredirect_uris = ['com.example.app:/cb']\n";
    let (config, findings) = folder.load(text).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(config.clients[0].client.kind, ClientKind::Native);
    assert_eq!(config.clients[0].client.name, "app");
}

#[test]
fn an_exported_registration_is_read_as_it_is() {
    let folder = Folder::new();
    let text = r#"issuer = "http://localhost:8080"
[[client]]
client_id = "app"
client_name = "Application"
"client_name#fr" = "Appli"
client_id_issued_at = 1767225600
client_secret_expires_at = 0
token_endpoint_auth_method = "none"
kind = "native"
redirect_uris = ["com.example.app:/cb"]
initiate_login_uri = "https://app.example.com/login"
userinfo_signed_response_alg = "none"
dpop_bound_access_tokens = false
require_pushed_authorization_requests = false
tls_client_certificate_bound_access_tokens = false
backchannel_logout_session_required = false
frontchannel_logout_session_required = false
request_uris = []
id_token_encrypted_response_alg = ""
"#;

    let loaded = folder.load(text);

    assert_eq!(printed(&loaded), "");
    let (config, _) = loaded.unwrap();
    let client = &config.clients[0].client;
    assert_eq!(client.described.other["client_name#fr"], "Appli");
    assert_eq!(client.userinfo_signed_response_alg, None);
}

#[test]
fn every_key_of_the_schema_is_a_key_of_the_type() {
    let any = |needed: (&str, &str), name: &str, example: &str| {
        let at = Location::whole("");
        let value = document::parse_value(example, &at).map(|node| node.json());
        serde_json::json!({ needed.0: needed.1, name: value })
    };
    for key in schema::CLIENT.keys {
        if key.is_secret() || ["id", "enabled", "enforce", "jwks"].contains(&key.name) {
            continue;
        }
        let client = serde_json::from_value::<Client>(any(("id", "x"), key.name, key.example));
        let other = client
            .unwrap_or_else(|error| panic!("{}: {error}", key.name))
            .described
            .other;
        assert!(other.is_empty(), "{}", key.name);
    }
    for key in schema::RESOURCE.keys.iter().skip(1) {
        let resource = any(("identifier", "https://a.test"), key.name, key.example);
        let read = serde_json::from_value::<Resource>(resource);
        assert!(read.is_ok(), "{}: {read:?}", key.name);
    }
}

#[test]
fn every_key_of_the_types_is_a_key_of_the_schema() {
    let client = Client::new("x".parse().unwrap(), ClientKind::Web);
    let resource = Resource::new("https://a.test".parse().unwrap());
    let pairs = [
        (serde_json::to_value(client).unwrap(), &schema::CLIENT),
        (serde_json::to_value(resource).unwrap(), &schema::RESOURCE),
    ];
    for (value, section) in pairs {
        for name in value.as_object().unwrap().keys() {
            assert!(section.find(name).is_some(), "{name}");
        }
    }
}

#[test]
fn encryption_and_claims_are_read_and_nothing_is_said_of_a_whole_block() {
    let text = r#"
issuer = "http://127.0.0.1:8080"
sensitive_claims = ["birthdate"]
[[resource]]
identifier = "https://api.test"
scopes = ["read"]
jwks = { keys = [{ kty = "EC", crv = "P-256", x = "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ", y = "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck" }] }
access_token_encrypted_response_alg = "ECDH-ES+A256KW"
access_token_encrypted_response_enc = "A128GCM"
[resource.claims]
email = "email"
department = { value = "sales" }
"#;
    let loaded = Folder::new().load(text);
    assert_eq!(printed(&loaded), "");
    let (config, _) = loaded.unwrap();
    assert_eq!(config.sensitive_claims, ["birthdate"]);
    let resource = &config.resources[0];
    assert!(resource.encryption().is_some() && resource.claims.is_personal());
}
