//! Other credentials where an access token belongs.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Case, Given, encoded, unsigned as case};

fn id_token(g: &Given, typ: &str) -> String {
    let claims = json!({ "iss": g.url, "sub": "usr_1", "aud": "web", "exp": g.now.seconds() + 600, "iat": g.now.seconds(), "nonce": "n" });
    g.key.sign(typ, claims.to_string().as_bytes())
}

/// Five parts of the right form under a header; nobody can open it.
fn encrypted(header: &Value) -> String {
    let part = BASE64_URL_SAFE_NO_PAD.encode([7; 16]);
    format!("{}.{part}.{part}.{part}.{part}", encoded(header))
}

#[rustfmt::skip]
pub(super) fn all() -> Vec<Case> {
    vec![
        case("an ID token", |g| id_token(g, "JWT"), "id_token", "`access_token` of the same answer"),
        case("a logout token", |g| id_token(g, "logout+jwt"), "logout_token", "send an access token"),
        case("a logout token without its type", |g| g.key.sign("JWT", json!({ "iss": g.url, "aud": "web", "sid": "s", "events": {} }).to_string().as_bytes()), "logout_token", "send an access token"),
        case("a JWT of another profile", |g| g.key.sign("JWT", g.claims().to_string().as_bytes()), "plain_jwt", "`access_token` of this issuer"),
        case("a JWT without a type", |g| g.under(&g.key, &json!({ "alg": "ES256", "kid": g.key.kid() })), "plain_jwt", "`access_token` of this issuer"),
        case("a client assertion", |g| id_token(g, "client-authentication+jwt"), "client_assertion", "at the token endpoint"),
        case("a DPoP proof", |g| id_token(g, "dpop+jwt"), "dpop_proof", "the header `DPoP`"),
        case("a signed answer", |g| id_token(g, "token-introspection+jwt"), "signed_response", "the access token itself"),
        case("a signed request", |g| id_token(g, "oauth-authz-req+jwt"), "signed_request", "authorization endpoint"),
        case("a security event", |g| id_token(g, "secevent+jwt"), "security_event", "send an access token"),
        case("a JWT of a kind of its own", |g| id_token(g, "x+jwt"), "other_jwt", "ask the issuer"),
        case("a refresh token", |_| "sym_rt_4f8aQ1".into(), "refresh_token", "for the token endpoint alone"),
        case("an authorization code", |_| "sym_ac_4f8aQ1".into(), "authorization_code", "redeem it"),
        case("a client secret", |_| "sym_cs_4f8aQ1".into(), "client_secret", "replace this secret"),
        case("an API key", |_| "sym_key_4f8aQ1".into(), "api_key", "takes no API keys"),
        case("a session cookie", |_| "sym_ss_4f8aQ1".into(), "session_cookie", "the browser"),
        case("an administration token", |_| "sym_adm_4f8aQ1".into(), "administration_token", "replace the administration token"),
        case("a sign-in under way", |_| "sym_tx_4f8aQ1".into(), "transaction", "finish the sign-in"),
        case("another installation's token", |_| "acme_at_4f8aQ1b3c5".into(), "other_mark", "this issuer"),
        case("another service's token", |_| "ghp_4f8aQ1b3c5d7e9".into(), "other_service", "replace that credential"),
        case("a SAML assertion", |_| BASE64_URL_SAFE_NO_PAD.encode("<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>"), "saml_assertion", "exchange it"),
        case("the XML of a SAML assertion", |_| "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>".into(), "saml_xml", "base64url"),
        case("encrypted under an algorithm that nobody takes", |_| encrypted(&json!({ "alg": "RSA1_5", "enc": "A256GCM", "cty": "JWT" })), "encrypted_algorithm", "RSA-OAEP-256"),
        case("content encrypted under an algorithm that nobody takes", |_| encrypted(&json!({ "alg": "RSA-OAEP-256", "enc": "A128CBC-HS256", "cty": "JWT" })), "encrypted_content", "A256GCM"),
        case("encrypted and compressed", |_| encrypted(&json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT", "zip": "DEF" })), "encrypted_compressed", "without compression"),
        case("encrypted and not signed inside", |_| encrypted(&json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM" })), "encrypted_not_nested", "sign first"),
        case("encrypted, where nobody has the key", |_| encrypted(&json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT" })), "encrypted", "decrypt it"),
        case("an encrypted token in six parts", |_| encrypted(&json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT" })) + ".AAAA", "encrypted_parts", "send it whole"),
        case("a word", |_| "hello".into(), "not_a_token", "ask the issuer"),
    ]
}
