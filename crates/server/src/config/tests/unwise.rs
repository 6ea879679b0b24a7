//! Configurations that are allowed and unwise.

use super::*;

macro_rules! on {
    (loopback $rest:literal) => {
        concat!("issuer = 'http://127.0.0.1:8080'\n", $rest)
    };
    (public $rest:literal) => {
        concat!("issuer = 'https://login.example.com'\n", $rest)
    };
    (web $rest:literal) => {
        concat!("issuer = 'https://login.example.com'\n[[client]]\nid = 'web'\nsecret = '0123456789abcdef0123456789abcdef'\nredirect_uris = ['https://shop.example.com/cb']\n", $rest)
    };
    (native $rest:literal) => {
        concat!("issuer = 'https://login.example.com'\n[[client]]\nid = 'app'\nkind = 'native'\nredirect_uris = ['http://127.0.0.1/cb']\n", $rest)
    };
    (resource $rest:literal) => {
        concat!("issuer = 'https://login.example.com'\n[[resource]]\nidentifier = 'https://api.test'\nscopes = ['read']\n", $rest)
    };
}

#[rustfmt::skip]
const ROWS: &[(&str, &str, u32)] = &[
    (on!(loopback "clock_skew = '90s'"), "clock_skew.wide", 2),
    (on!(loopback "listen = '0.0.0.0:8080'"), "listen.exposed", 2),
    (on!(public "listen = '0.0.0.0:8080'"), "listen.plaintext", 2),
    (on!(loopback "listen = '127.0.0.1:8081'"), "listen.port_differs", 2),
    ("issuer = 'http://localhost'", "listen.port_differs", 1),
    ("issuer = 'http://127.0.0.1:8080'\n[tls]\ncertificate = '/etc/hostname'\nkey = '/etc/hostname'", "issuer.plaintext", 1),
    (on!(loopback "trusted_proxies = ['0.0.0.0/1']"), "trusted_proxies.wide", 2),
    (on!(loopback "outbound_allow = ['169.254.0.0/16']"), "outbound_allow.metadata", 2),
    (on!(loopback "[admin]\nlisten = '0.0.0.0:8090'"), "admin.listen.exposed", 3),
    (on!(loopback "[admin]\ntoken = 'short'"), "admin.token.short", 3),
    (on!(public "[admin]\ntoken = '0123456789abcdef0123456789abcdef'"), "admin.token.inline", 3),
    (on!(loopback "[audit]\nretention = '30d'"), "audit.retention.short", 3),
    (on!(loopback "[lifetimes]\naccess_token = '2h'"), "lifetimes.access_token.long", 3),
    (on!(loopback "[lifetimes]\nid_token = '2h'"), "lifetimes.id_token.long", 3),
    (on!(loopback "[lifetimes]\nauthorization_code = '10m'"), "lifetimes.authorization_code.long", 3),
    (on!(loopback "[lifetimes]\nrefresh_token_absolute = '400d'"), "lifetimes.refresh_token_absolute.long", 3),
    (on!(loopback "[lifetimes]\nrefresh_token_idle = '90d'\n\nrefresh_token_absolute = '91d'\nsession_absolute = '31d'"), "lifetimes.session_absolute.long", 6),
    (on!(loopback "[lifetimes]\nrefresh_grace = '0s'\n[[client]]\nid = 'app'\nkind = 'native'\nredirect_uris = ['http://127.0.0.1/']\ngrants = ['authorization_code', 'refresh_token']"), "lifetimes.refresh_grace.none", 3),
    (on!(resource "token_format = 'opaque'"), "resource.introspection.nobody", 5),
    (on!(resource "status_list = true\ntoken_format = 'macaroon'\nmacaroon_keys = 'shared'\nintrospection_client = 'job'\n[[client]]\nid = 'job'\nsecret = '0123456789abcdef0123456789abcdef'\nkind = 'service'"), "resource.status_list.unused", 5),
    (on!(resource "introspection_client = 'nobody'"), "resource.introspection.unknown", 5),
    (on!(resource "introspection_clients = ['one',\n'two']"), "resource.introspection.unknown", 6),
    (on!(resource "access_token_lifetime = '2h'"), "resource.access_token_lifetime.long", 5),
    (on!(resource "[[client]]\nid = 'app'\nkind = 'native'\nredirect_uris = ['http://127.0.0.1/cb']\nscopes = ['read']\nresources = ['https://api.test']"), "resource.scope_descriptions.missing", 4),
    (on!(resource "organization = 'acme'"), "resource.organization.unknown", 5),
    (on!(resource "scope_descriptions = { write = 'Write' }"), "resource.scope_descriptions.unknown", 5),
    (on!(public "[[resource]]\nidentifier = 'https://api.test'\nscopes = ['read',\n'users:admin']"), "resource.scopes.sensitive", 5),
    (on!(public "[[resource]]\nidentifier = 'http://api.test'"), "resource.identifier.http", 3),
    (on!(resource "claims = { mail = 'email' }"), "resource.claims.readable", 5),
    (on!(resource "jwks = { keys = [{ kty = 'EC', crv = 'P-256', x = 'weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ', y = 'e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck' }] }\naccess_token_encrypted_response_alg = 'ECDH-ES'"), "resource.access_token_encrypted_response_enc.default", 6),
    (on!(web "jwks_uri = 'https://a.test/jwks'\nid_token_encrypted_response_alg = 'ECDH-ES'"), "client.id_token_encrypted_response_enc.default", 7),
    (on!(web ""), "client.secret.inline", 4),
    (on!(web "require_pkce = false"), "client.require_pkce.off", 6),
    (on!(web "assertion_audience = 'issuer_or_token_endpoint'"), "client.assertion_audience.legacy", 6),
    (on!(web "refresh_rotation = 'never'\ngrants = ['authorization_code', 'refresh_token']"), "client.refresh_rotation.never", 6),
    (on!(web "scopes = ['openid']\ngrants = ['authorization_code', 'refresh_token']"), "client.grants.refresh_never", 7),
    (on!(web "scopes = ['openid', 'read:all']"), "client.scopes.unknown", 6),
    (on!(web "resources = ['https://api.test']"), "client.resources.unknown", 6),
    (on!(web "resources = ['https://a.test', 'https://b.test']"), "client.default_resource.missing", 6),
    (on!(web "organization = 'acme'"), "client.organization.unknown", 6),
    (on!(web "access_token_lifetime = '2h'"), "client.access_token_lifetime.long", 6),
    (on!(web "grants = ['authorization_code', 'refresh_token']\nrefresh_token_absolute = '500d'"), "client.refresh_token_absolute.long", 7),
    (on!(web "client_uri = 'https://shop.example.net'"), "client.redirect_uris.other_host", 5),
    (on!(web "grants = ['client_credentials']"), "client.redirect_uris.unused", 5),
    (on!(web "authentication = 'none'"), "client.secret.unused", 2),
    (on!(public "[[client]]\nid = 'web'\nkind = 'browser'\nredirect_uris = ['https://a.test/*',\n'http://localhost/cb',\n'com.example.app:/cb']"), "client.redirect_uris.wildcard", 5),
    (on!(public "[[client]]\nid = 'web'\nkind = 'browser'\nredirect_uris = ['https://a.test/*',\n'http://localhost/cb',\n'com.example.app:/cb']"), "client.redirect_uris.loopback", 6),
    (on!(public "[[client]]\nid = 'web'\nkind = 'browser'\nredirect_uris = ['https://a.test/*',\n'http://localhost/cb',\n'com.example.app:/cb']"), "client.redirect_uris.private_scheme", 7),
    (on!(public "[[client]]\nid = 'web'\nkind = 'browser'\nconsent = 'first_party'\nredirect_uris = ['https://elsewhere.test/']"), "client.consent.elsewhere", 5),
    (on!(native "consent = 'first_party'"), "client.consent.public", 6),
    (on!(native "grants = ['authorization_code', 'refresh_token']\nrefresh_grace = '0s'"), "client.refresh_grace.none", 7),
    (on!(native "enforce = true"), "client.enforce.empty", 6),
    (on!(native "scopes = ['wipe']\nresources = ['https://api.test']\nconsent = 'first_party'\n[[resource]]\nidentifier = 'https://api.test'\nscopes = ['wipe']\nsensitive_scopes = ['wipe']"), "client.consent.sensitive", 8),
    (on!(loopback "[[client]]\nid = 'svc'\nkind = 'service'\ngrants = ['client_credentials']\nsecret = 'short'"), "client.secret.short", 6),
    (on!(loopback "[[client]]\nid = 'svc'\nkind = 'service'\ngrants = ['client_credentials']\nauthentication = 'private_key_jwt'\njwks_uri = 'http://localhost/jwks'"), "client.jwks_uri.http", 7),
    (on!(public "[[user]]\nusername = 'alice'\npassword = 'short words'"), "user.password.short", 4),
    (on!(public "[[user]]\nusername = 'alice'\npassword = 'short words'"), "user.password.inline", 4),
    (on!(public "[[user]]\nusername = 'alice'"), "user.password.missing", 2),
    (on!(public "[[organization]]\nid = 'a'\nmembers = [\n{ user = 'bob' }]"), "organization.members.unknown", 5),
];

#[test]
fn what_is_unwise_is_said_with_its_line() {
    check_rows(ROWS, Severity::Warning);
}

#[test]
fn words_are_needed_only_where_somebody_is_asked() {
    let with = |words: &str, client: &str| {
        let text = format!(
            "issuer = 'https://login.example.com'\n[[resource]]\nidentifier = 'https://api.test'\nscopes = ['read']\n{words}\n[[client]]\nid = 'app'\nscopes = ['read']\nresources = ['https://api.test']\nsecret_env = 'SECRET'\n{client}"
        );
        let secret = ("SECRET", "0123456789abcdef0123456789abcdef");
        marks(&Folder::new().load_with(&text, &[secret]))
    };
    let web = "redirect_uris = ['https://login.example.com/cb']";
    let first_party = format!("{web}\nconsent = 'first_party'");
    let service = "kind = 'service'\ngrants = ['client_credentials']";

    assert_eq!(with("", web), ["resource.scope_descriptions.missing:4"]);
    assert!(with("scope_descriptions = { read = 'See it' }", web).is_empty());
    assert!(with("", &first_party).is_empty());
    assert!(with("", service).is_empty());
}

#[test]
fn a_port_may_differ_where_a_proxy_is_between_or_the_system_picks_it() {
    for text in [
        on!(loopback "listen = '127.0.0.1:8081'\ntrusted_proxies = ['127.0.0.1/32']"),
        on!(loopback "listen = '127.0.0.1:0'"),
        on!(loopback "listen = '127.0.0.1:8080'"),
        on!(public "listen = '127.0.0.1:8081'"),
    ] {
        assert_eq!(printed(&Folder::new().load(text)), "");
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_database_password_in_the_file_and_on_the_wire_is_unwise() {
    let text = on!(public "[store]\nurl = 'postgres://u:hunter22@db.internal/x?sslmode=prefer'");
    let loaded = Folder::new().load(text);
    assert_eq!(
        marks(&loaded),
        ["store.url.password:3", "store.url.plaintext:3"]
    );
    assert!(!format!("{loaded:?}").contains("hunter22"));
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_database_that_is_not_built_in_is_named() {
    let text = on!(public "[store]\nurl = 'postgres://db.internal/x'");
    let loaded = Folder::new().load(text);
    assert_eq!(marks(&loaded), ["store.url.not_built:3"]);
    assert!(printed(&loaded).contains("the feature `postgres`"));
}
