//! Configurations that nothing starts with.

use super::*;

/// The first line of most files here.
macro_rules! on {
    (loopback $rest:literal) => {
        concat!("issuer = 'http://127.0.0.1:8080'\n", $rest)
    };
    (public $rest:literal) => {
        concat!("issuer = 'https://login.example.com'\n", $rest)
    };
    (client $rest:literal) => {
        concat!("issuer = 'http://127.0.0.1:8080'\n[[client]]\nid = 'app'\nkind = 'native'\nredirect_uris = ['http://127.0.0.1/cb']\n", $rest)
    };
    (service $rest:literal) => {
        concat!("issuer = 'http://127.0.0.1:8080'\n[[client]]\nid = 'app'\nkind = 'service'\ngrants = ['client_credentials']\nsecret = '0123456789abcdef0123456789abcdef'\n", $rest)
    };
    (resource $rest:literal) => {
        concat!("issuer = 'http://127.0.0.1:8080'\n[[resource]]\nidentifier = 'https://api.test'\nscopes = ['read']\n", $rest)
    };
    (user $rest:literal) => {
        concat!("issuer = 'http://127.0.0.1:8080'\n[[user]]\nusername = 'alice'\npassword = 'correct horse battery'\n", $rest)
    };
}

#[rustfmt::skip]
const WORDS: &[(&str, &str, u32)] = &[
    (on!(resource "name = \"sredr\\u202EO\""), "resource.name.invalid", 5),
    (on!(resource "scope_descriptions = { read = \"Re\\u200Bad\" }"), "resource.scope_descriptions.invalid", 5),
    (on!(loopback "[[organization]]\nid = 'acme'\nname = \"A\\u2066cme\""), "organization.name.invalid", 4),
    (on!(loopback "[[user]]\nusername = 'ａｌｉｃｅ'\npassword = 'correct horse battery'"), "user.username.invalid", 3),
    (on!(loopback "[[user]]\nusername = \"ali\\u200Bce\"\npassword = 'correct horse battery'"), "user.username.invalid", 3),
    (on!(user "name = \"Alice\\u202E\""), "user.name.invalid", 5),
];

/// Attack: K299
#[test]
fn names_that_look_like_others_are_refused() {
    check_rows(WORDS, Severity::Error);
}

#[rustfmt::skip]
const TOP: &[(&str, &str, u32)] = &[
    ("listen = '127.0.0.1:8080'", "issuer.missing", 0),
    ("\nissuer = 'http://login.example.com'", "issuer.invalid", 2),
    ("issuer = 'https://login.example.com/'", "issuer.invalid", 1),
    ("issuer = 5", "issuer.invalid", 1),
    (on!(loopback "isuer = 'x'"), "key.unknown", 2),
    (on!(loopback "[[resource]]\nidentifier = 'http://127.0.0.1:8080'"), "resource.identifier.issuer", 3),
    (on!(public "[[resource]]\nidentifier = 'https://api.test'\naliases = [\n'https://login.example.com/']"), "resource.identifier.issuer", 5),
    (on!(loopback "listen = 'localhost'"), "listen.invalid", 2),
    (on!(loopback "mtls_listen = '127.0.0.1:9'"), "mtls_listen.tls_missing", 2),
    (on!(loopback "mtls_listen = 'localhost'"), "mtls_listen.invalid", 2),
    (on!(loopback "mtls_url = 'http://mtls.test'"), "mtls_url.invalid", 2),
    (on!(loopback "mtls_url = 'https://mtls.test/path'"), "mtls_url.invalid", 2),
    (on!(loopback "bind_native_clients = 'yes'"), "bind_native_clients.invalid", 2),
    (on!(loopback "[tls]\nclient_ca = 'missing.pem'"), "file.missing", 3),
    (on!(loopback "trusted_proxies = [\n'10.0.0.0/8',\n'ten']"), "trusted_proxies.invalid", 4),
    (on!(loopback "trusted_proxies = ['10.0.0.0/8',\n'0.0.0.0/0']"), "trusted_proxies.everyone", 3),
    (on!(loopback "trusted_proxies = ['::/0']"), "trusted_proxies.everyone", 2),
    (on!(loopback "trusted_proxies = ['0.0.0.0/1', '128.0.0.0/1']"), "trusted_proxies.everyone", 2),
    (on!(loopback "clock_skew = '121s'"), "clock_skew.wide", 2),
    (on!(loopback "clock_skew = '10'"), "clock_skew.invalid", 2),
    (on!(loopback "trust_extra_ca = ['missing.pem']"), "file.missing", 2),
    (on!(loopback "outbound_allow = ['https://keys.test']"), "outbound_allow.invalid", 2),
    (on!(loopback "outbound_allow = ['0.0.0.0/0']"), "outbound_allow.everyone", 2),
    (on!(loopback "[registration]\nunused_lifetime = '5m'"), "registration.unused_lifetime.invalid", 3),
    (on!(loopback "[registration]\ndocument_hosts = ['https://app.test']"), "registration.document_hosts.invalid", 3),
    (on!(loopback "[registration]\nscopes = ['a b']"), "registration.scopes.invalid", 3),
    (on!(loopback "[registration]\nunused_lifetime = 'week'"), "registration.unused_lifetime.invalid", 3),
    (on!(loopback "[admin]\nhosts = ['symbolon.internal',\n'https://admin.test']"), "admin.hosts.invalid", 4),
    (on!(loopback "[store]\nurl = 'mysql://x'"), "store.url.invalid", 3),
    (on!(loopback "[store]\nurl = 'sqlite://'"), "store.url.invalid", 3),
    #[cfg(feature = "postgres")]
    (on!(loopback "[store]\nurl = 'postgres:///'"), "store.url.invalid", 3),
    (on!(loopback "[store]\nstatements = 'some'"), "store.statements.invalid", 3),
    (on!(loopback "[store]\nmaster_key = 'x'"), "store.master_key.inline", 3),
    (on!(loopback "[store]\nmaster_key_file = 'x'\nmaster_key_env = 'X'"), "secret.several", 4),
    (on!(loopback "[store]\nprevious_master_key = 'x'"), "store.master_key.inline", 3),
    #[cfg(feature = "pkcs11")]
    (on!(loopback "[store]\nmaster_key_pkcs11 = 'pkcs11:token=a'"), "store.master_key_pkcs11.invalid", 3),
    #[cfg(not(feature = "pkcs11"))]
    (on!(loopback "[store]\nmaster_key_pkcs11 = 'pkcs11:token=a'"), "key.not_built", 3),
    #[cfg(not(feature = "saml"))]
    (on!(loopback "[keys]\nsaml_decryption = true"), "key.not_built", 3),
    (on!(loopback "[keys]\nkey_set_cache = '59s'"), "keys.key_set_cache.invalid", 3),
    (on!(loopback "[keys]\nkey_set_cache = '25h'"), "keys.key_set_cache.invalid", 3),
    (on!(loopback "[keys]\nrotation = '59m'"), "keys.rotation.invalid", 3),
    (on!(loopback "[keys]\nrotaton = '90d'"), "key.unknown", 3),
    (on!(loopback "[admin]\nlisten = '127.0.0.1:8080'"), "admin.listen.taken", 3),
    (on!(public "[admin]\ntoken = 'short'"), "admin.token.short", 3),
    (on!(loopback "[audit]\nretention = '6d'"), "audit.retention.invalid", 3),
    (on!(loopback "[audit]\nretention = 'long'"), "audit.retention.invalid", 3),
    (on!(loopback "[lifetimes]\naccess_tokn = '5m'"), "key.unknown", 3),
    (on!(loopback "[lifetimes]\nauthorization_code = '11m'"), "lifetimes.authorization_code.long", 3),
    (on!(loopback "[lifetimes]\naccess_token = '2d'"), "lifetimes.access_token.long", 3),
    (on!(loopback "[lifetimes]\nid_token = '0s'"), "lifetimes.zero", 3),
    (on!(loopback "[lifetimes]\nrefresh_grace = '3m'"), "lifetimes.refresh_grace.long", 3),
    (on!(loopback "[lifetimes]\nsession_absolute = '4h'\nsession_idle = '5h'"), "lifetimes.idle.invalid", 4),
    (on!(loopback "[lifetimes]\ndevice_code = 10"), "lifetimes.device_code.invalid", 3),
    (on!(loopback "[[trusted_issuer]]\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'"), "trusted_issuer.resource.invalid", 2),
    (on!(loopback "[[trusted_issuer]]\nissuer = 'http://x.test'\njwks_uri = 'https://x.test/jwks'\nresource = 'https://api.test'"), "trusted_issuer.issuer.invalid", 3),
    (on!(loopback "[[trusted_issuer]]\nissuer = 'http://127.0.0.1:8080'\njwks_uri = 'https://x.test/jwks'\nresource = 'https://api.test'"), "trusted_issuer.issuer.own", 3),
    (on!(public "[[trusted_issuer]]\nissuer = 'https://x.test'\njwks_uri = 'http://x.test/jwks'\nresource = 'https://api.test'"), "trusted_issuer.jwks_uri.http", 4),
    (on!(loopback "[[trusted_issuer]]\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\nresource = 'https://api.test'\nalgorithms = ['HS256']"), "trusted_issuer.algorithms.invalid", 6),
    (on!(loopback "[[trusted_issuer]]\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\nresource = 'https://api.test'\nscope = 'read'"), "key.unknown", 6),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'"), "signal_source.push_secret.invalid", 2),
    (on!(loopback "[[signal_source]]\nid = 'h r'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\npoll_token = 'x'"), "signal_source.id.invalid", 3),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npush_secret = 'short'"), "signal_source.push_secret.invalid", 7),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'"), "signal_source.poll_token.invalid", 2),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'ftp://x.test/poll'\npoll_token = 'x'"), "signal_source.poll_url.invalid", 7),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\npoll_token = 'x'\neffects = ['delete']"), "signal_source.effects.invalid", 9),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\npoll_token = 'x'\nalgorithms = ['none']"), "signal_source.algorithms.invalid", 9),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\ntoken_endpoint = 'https://x.test/token'\nclient_id = 'us'"), "signal_source.client_secret.invalid", 2),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\ntoken_endpoint = 'https://x.test/token'\nclient_secret = 'x'"), "signal_source.client_id.invalid", 2),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\nclient_id = 'us'\nclient_secret = 'x'"), "signal_source.token_endpoint.invalid", 2),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\ntoken_endpoint = 'ftp://x.test/token'\nclient_id = 'us'\nclient_secret = 'x'"), "signal_source.token_endpoint.invalid", 8),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npoll_url = 'https://x.test/poll'\npoll_token = 'x'\ntoken_endpoint = 'https://x.test/token'\nclient_id = 'us'\nclient_secret = 'x'"), "signal_source.poll_token.invalid", 8),
    (on!(loopback "[[signal_source]]\nid = 'hr'\nissuer = 'https://x.test'\njwks_uri = 'https://x.test/jwks'\naudience = 'https://a.test'\npush_secret = 'a bearer of thirty-two characters'\ntoken_endpoint = 'https://x.test/token'\nclient_id = 'us'\nclient_secret = 'x'"), "signal_source.poll_url.invalid", 2),
    (on!(loopback "[client]\nid = 'x'"), "block.invalid", 2),
    (on!(loopback "store = 'sqlite://x'"), "store.invalid", 2),
];

#[rustfmt::skip]
const BLOCKS: &[(&str, &str, u32)] = &[
    (on!(resource "scops = []"), "key.unknown", 5),
    (on!(resource "token_format = 'saml'"), "resource.token_format.invalid", 5),
    (on!(resource "require_key_binding = 'yes'"), "resource.require_key_binding.invalid", 5),
    (on!(resource "macaroon_keys = 'mine'"), "resource.macaroon_keys.invalid", 5),
    (on!(resource "api_keys = 'some'"), "resource.api_keys.invalid", 5),
    (on!(resource "token_format = 'macaroon'\nmacaroon_keys = 'shared'"), "resource.macaroon_keys.invalid", 6),
    (on!(resource "sensitive_scopes = ['write']"), "resource.sensitive_scopes.invalid", 5),
    (on!(resource "access_token_lifetime = '2d'"), "resource.access_token_lifetime.invalid", 5),
    (on!(resource "aliases = ['https://api.test']"), "resource.identifier.twice", 5),
    (on!(resource "[[resource]]\nidentifier = 'https://api.test'"), "resource.identifier.twice", 6),
    (on!(resource "[[resource]]\nscopes = []"), "resource.identifier.invalid", 5),
    (on!(resource "[[resource]]\nidentifier = 'api'"), "resource.identifier.invalid", 6),
    (on!(loopback "[[resource]]\nidentifier = 'https://api.test'\nscopes = ['email']"), "resource.scopes.reserved", 4),
    (on!(resource "introspection_client = 'app'\n[[client]]\nid = 'app'\nkind = 'native'\nredirect_uris = ['http://127.0.0.1/']"), "resource.introspection.public", 5),
    (on!(resource "access_token_encrypted_response_alg = 'RSA1_5'"), "resource.access_token_encrypted_response_alg.invalid", 5),
    (on!(resource "access_token_encrypted_response_alg = 'ECDH-ES'"), "resource.access_token_encrypted_response_alg.invalid", 5),
    (on!(resource "access_token_encrypted_response_enc = 'A256GCM'"), "resource.access_token_encrypted_response_enc.invalid", 5),
    (on!(resource "jwks = { keys = [] }\naccess_token_encrypted_response_alg = 'ECDH-ES'"), "resource.access_token_encrypted_response_alg.no_key", 6),
    (on!(resource "jwks = { keys = [{ kty = 'EC', d = 'x' }] }"), "resource.jwks.private", 5),
    (on!(resource "jwks_uri = 'ftp://a.test'"), "resource.jwks_uri.http", 5),
    (on!(resource "token_format = 'opaque'\njwks_uri = 'https://a.test/jwks'\naccess_token_encrypted_response_alg = 'ECDH-ES'"), "resource.access_token_encrypted_response_alg.invalid", 7),
    (on!(resource "\nclaims = { mail = 'mail' }"), "resource.claims.invalid", 6),
    (on!(resource "\nclaims = { sub = 'email' }"), "resource.claims.invalid", 6),
    (on!(resource "claims = { apiKey = { value = 'x' } }"), "resource.claims.invalid", 5),
    (on!(resource "claims = { note = { value = 'Bearer x' } }"), "resource.claims.invalid", 5),
    (on!(resource "claims = { email_verified = { value = true } }"), "resource.claims.invalid", 5),
    (on!(loopback "sensitive_claims = ['email']\n[[resource]]\nidentifier = 'https://api.test'\nclaims = { mail = 'email' }"), "resource.claims.sensitive", 5),
    (on!(loopback "sensitive_claims = 'email'"), "sensitive_claims.invalid", 2),
    (on!(client "redirect_uri = 'x'"), "key.unknown", 6),
    (on!(client "claims = { iss = 'name' }"), "client.claims.invalid", 6),
    (on!(client "id_token_encrypted_response_alg = 'RSA1_5'"), "client.id_token_encrypted_response_alg.invalid", 6),
    (on!(client "userinfo_encrypted_response_enc = 'A128CBC-HS256'"), "client.userinfo_encrypted_response_enc.invalid", 6),
    (on!(client "introspection_encrypted_response_alg = 'ECDH-ES'"), "client.introspection_encrypted_response_alg.invalid", 6),
    (on!(client "jwks = { keys = [{ kty = 'EC', crv = 'P-256', x = 'weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ', y = 'e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck' }] }\nid_token_encrypted_response_alg = 'RSA-OAEP-256'"), "client.id_token_encrypted_response_alg.no_key", 7),
    (on!(client "scopes = ['ok', 'not ok']"), "client.scopes.invalid", 6),
    (on!(client "post_logout_redirect_uris = ['https://a.test/',\n'http://a.test/']"), "client.post_logout_redirect_uris.invalid", 7),
    (on!(client "grants = ['authorization_code', 'password']"), "client.grants.invalid", 6),
    (on!(client "grants = ['authorization_code', 'urn:openid:params:grant-type:ciba']"), "key.not_built", 6),
    (on!(client "exchange = { public = true }"), "client.exchange.invalid", 6),
    (on!(client "exchange = { form = ['https://api.test'] }"), "client.exchange.invalid", 6),
    (on!(service "exchange = { to = ['https://api.test'] }"), "client.exchange.invalid", 7),
    (on!(client "client_id = 'app2'"), "client.key.twice", 6),
    (on!(client "dpop_bound_access_tokens = 'yes'"), "client.dpop_bound_access_tokens.invalid", 6),
    (on!(client "frontchannel_logout_uri = 'https://a.test'"), "key.not_built", 6),
    (on!(client "'contacts#fr' = 'x'"), "key.unknown", 6),
    (on!(client "'client_name#fr' = 5"), "key.invalid", 6),
    (on!(client "client_secret_expires_at = 5"), "key.invalid", 6),
    (on!(client "initiate_login_uri = 'http://a.test/'"), "client.initiate_login_uri.invalid", 6),
    (on!(client "authentication = 'tls_client_auth'"), "client.authentication.invalid", 6),
    (on!(client "authentication = 'tls_client_auth'\ntls_client_auth_san_dns = 'a.test'\ntls_client_auth_san_uri = 'a:b'"), "client.tls_client_auth_san_uri.invalid", 8),
    (on!(client "tls_client_auth_san_dns = 'a.test'"), "client.tls_client_auth_san_dns.invalid", 6),
    (on!(client "authentication = 'self_signed_tls_client_auth'"), "client.jwks.invalid", 2),
    (on!(client "profile = 'fapi2'"), "key.not_built", 6),
    (on!(client "require_pkce = false"), "client.require_pkce.invalid", 6),
    (on!(client "refresh_rotation = 'never'\ngrants = ['authorization_code', 'refresh_token']"), "client.refresh_rotation.never", 6),
    (on!(client "default_resource = 'https://api.test'"), "client.default_resource.invalid", 6),
    (on!(client "optional_scopes = ['email']"), "client.optional_scopes.invalid", 6),
    (on!(client "refresh_grace = '121s'"), "client.refresh_grace.invalid", 6),
    (on!(client "origins = ['https://a.test/x']"), "client.origins.invalid", 6),
    (on!(client "jwks_uri = 'ftp://a.test'"), "client.jwks_uri.http", 6),
    (on!(client "jwks = { keys = [{ kty = 'EC', d = 'x' }] }"), "client.jwks.private", 6),
    (on!(client "jwks = 'x'"), "client.jwks.invalid", 6),
    (on!(client "authentication = 'private_key_jwt'\njwks = { keys = [] }"), "client.jwks.unusable", 7),
    (on!(client "authentication = 'private_key_jwt'\njwks = { keys = [{ kty = 'RSA', n = 'gAAB', e = 'AQAB' }] }"), "client.jwks.unusable", 7),
    (on!(client "authentication = 'self_signed_tls_client_auth'\njwks = { keys = [{ kty = 'EC' }] }"), "client.jwks.unusable", 7),
    (on!(client "client_uri = 'javascript:alert(1)'"), "client.client_uri.invalid", 6),
    (on!(client "'tos_uri#fr' = 'data:text/html,x'"), "key.invalid", 6),
    (on!(client "kind = 'web'"), "file.syntax", 6),
    (on!(client "enabled = 'yes'"), "client.enabled.invalid", 6),
    (on!(client "[[client]]\nid = 'app'\nkind = 'native'\nredirect_uris = ['http://127.0.0.1/']"), "client.id.twice", 7),
    (on!(client "[[client]]\nkind = 'native'"), "client.id.invalid", 6),
    (on!(client "[[client]]\nid = 'usr_x'\nkind = 'native'"), "client.id.invalid", 7),
    (on!(loopback "[[client]]\nid = 'web'\nredirect_uris = ['http://a.test/cb', 'https://a.test/cb']\nsecret = '0123456789abcdef0123456789abcdef'"), "client.redirect_uris.invalid", 4),
    (on!(loopback "[[client]]\nid = 'web'\nsecret = '0123456789abcdef0123456789abcdef'"), "client.redirect_uris.invalid", 2),
    (on!(loopback "[[client]]\nid = 'web'\nredirect_uris = ['https://a.test/cb']"), "client.secret.missing", 2),
    (on!(public "[[client]]\nid = 'web'\nredirect_uris = ['https://a.test/cb']\nsecret = 'short'"), "client.secret.short", 5),
    (on!(public "[[client]]\nid = 'web'\nredirect_uris = ['https://a.test/cb']\nauthentication = 'private_key_jwt'\njwks_uri = 'http://a.test'"), "client.jwks_uri.http", 6),
    (on!(service "secret_env = 'X'"), "secret.several", 7),
    (on!(service "grants = ['refresh_token']"), "file.syntax", 7),
    (on!(service "refresh_token_idle = 'x'"), "client.refresh_token_idle.invalid", 7),
    (on!(service "resources = ['https://api.test']\n[[resource]]\nidentifier = 'https://api.test'\norganization = 'acme'\n[[organization]]\nid = 'acme'"), "client.organization.mismatch", 7),
    (on!(loopback "[[organization]]\nid = 'a b'"), "organization.id.invalid", 3),
    (on!(loopback "[[organization]]\nid = 'a'\n[[organization]]\nid = 'a'"), "organization.id.twice", 5),
    (on!(loopback "[[organization]]\nid = 'a'\nmembers = ['alice']"), "organization.members.invalid", 4),
    (on!(loopback "[[organization]]\nid = 'a'\nmembers = [{ usr = 'alice', user = 'bob' }]"), "key.unknown", 4),
    (on!(user "[[user]]\nusername = 'Alice'\npassword = 'correct horse battery'"), "user.username.twice", 6),
    (on!(loopback "[[user]]\nusername = 'alice@a.test'\npassword = 'correct horse battery'"), "user.username.invalid", 3),
    (on!(public "[[user]]\nusername = 'alice'\npassword = 'short'"), "user.password.short", 4),
    (on!(user "sub = 'root'"), "user.claim.reserved", 5),
    (on!(user "nick_name = 'Al'"), "key.unknown", 5),
    (on!(user "email = 'alice'"), "user.email.invalid", 5),
    (on!(user "email_verified = 'yes'"), "user.email_verified.invalid", 5),
    (on!(user "address = { town = 'Athens' }"), "user.address.invalid", 5),
    (on!(user "password_hash = '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo'"), "user.password.twice", 5),
    (on!(loopback "[[user]]\nusername = 'alice'\npassword_hash = '$2b$12$xyz'"), "user.password_hash.invalid", 4),
];

#[test]
fn what_is_wrong_at_the_top_is_said_with_its_line() {
    check_rows(TOP, Severity::Error);
}

#[test]
fn what_is_wrong_in_a_block_is_said_with_its_line() {
    check_rows(BLOCKS, Severity::Error);
}

#[test]
fn a_certificate_without_a_key_file_is_refused() {
    let loaded = Folder::new().load(on!(loopback "[tls]\nkey = 'x.key'"));
    assert_eq!(
        marks(&loaded),
        ["tls.certificate.invalid:2", "file.missing:3"]
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = Folder::new();
    let text = r#"issuer = "http://login.example.com"
listen = "nowhere"
colour = "blue"
[store]
url = "mysql://x"
[lifetimes]
access_token = "long"
[[resource]]
identifier = "https://api.test"
scopes = ["ok", "not ok"]
[[client]]
id = "app"
kind = "natve"
redirect_uris = ["http://a.test/cb", "https://a.test/../cb"]
secret_env = "NOT_SET"
[[user]]
username = "alice@a.test"
"#;

    let loaded = folder.load(text);

    assert_eq!(
        marks(&loaded),
        [
            "issuer.invalid:1",
            "listen.invalid:2",
            "key.unknown:3",
            "store.url.invalid:5",
            "lifetimes.access_token.invalid:7",
            "resource.scopes.invalid:10",
            "client.kind.invalid:13",
            "client.redirect_uris.invalid:14",
            "client.redirect_uris.invalid:14",
            "secret.env.missing:15",
            "user.password.missing:16",
            "user.username.invalid:17",
        ],
        "{}",
        printed(&loaded)
    );
}

#[test]
fn every_mistake_of_form_is_said() {
    let loaded = Folder::new().load("issuer = \n[store\nurl = 'x'\n");
    let marks = marks(&loaded);
    assert!(marks.contains(&"file.syntax:1".to_owned()), "{marks:?}");
    assert!(marks.contains(&"file.syntax:2".to_owned()), "{marks:?}");
}

#[test]
fn a_finding_reads_as_file_line_column_and_code() {
    let folder = Folder::new();
    let loaded = folder.load("issuer = 'http://127.0.0.1:8080'\n\n  lisen = 'x'");
    let path = folder.0.join("symbolon.toml");
    assert_eq!(
        printed(&loaded),
        format!(
            "{}:3:3: error[key.unknown]: `lisen` is not a key at the top of the file; the nearest is `listen`\n  \
             reason: a key that nobody reads changes nothing, and whoever wrote it believes that it does\n  \
             repair: write `listen`, or take the line out",
            path.display()
        )
    );
}

#[test]
fn a_part_that_no_binary_has_is_said_to_be_not_built_yet() {
    let folder = Folder::new();
    for (text, part) in [
        (on!(client "profile = 'fapi2'"), "fapi2"),
        (
            on!(client "frontchannel_logout_uri = 'https://a.test'"),
            "frontchannel-logout",
        ),
    ] {
        let loaded = folder.load(text);
        let finding = &findings(&loaded)[0];
        assert!(finding.message.contains("not built yet"), "{finding}");
        assert!(finding.message.contains(&format!("`{part}`")), "{finding}");
        let whole = finding.to_string();
        assert!(!whole.contains("feature"), "no such feature: {whole}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_part_that_this_binary_lacks_is_named_by_its_feature() {
    let loaded = Folder::new().load(on!(loopback "[store]\nurl = 'postgres://h/d'"));
    assert_eq!(marks(&loaded), ["store.url.not_built:3"]);
    assert!(printed(&loaded).contains("--features postgres"));
}

#[test]
fn a_file_that_is_not_there_is_said() {
    let folder = Folder::new();
    let loaded = Config::load(&folder.0.join("none.toml"), []);
    assert_eq!(marks(&loaded), ["file.unreadable:0"]);
}
