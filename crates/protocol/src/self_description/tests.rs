//! Descriptions that make a client, and those that make none.

use serde_json::json;

use super::*;
use crate::vocabulary::{ClientKind, ConsentPolicy, GrantType};

fn terms() -> Terms {
    Terms {
        scopes: "openid offline_access read:orders".parse().unwrap(),
        resources: vec!["https://api.example.com".parse().unwrap()],
        require_pkce_confidential: true,
        assertion_audience: AssertionAudience::IssuerOrTokenEndpoint,
    }
}

fn said(patch: Value) -> Map<String, Value> {
    let mut whole = json!({
        "client_name": "Assistant",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
    });
    for (name, value) in patch.as_object().unwrap() {
        whole[name] = value.clone();
    }
    whole.as_object().unwrap().clone()
}

fn made(patch: Value, told: Told) -> Result<Client, Unfit> {
    client(&said(patch), "made".parse().unwrap(), (told, &terms()))
}

#[test]
fn a_small_client_gets_what_the_installation_grants() {
    let client = made(json!({"application_type": "native"}), Told::Registration).unwrap();

    assert_eq!(client.kind, ClientKind::Native);
    assert_eq!(client.grants, [GrantType::AuthorizationCode]);
    assert_eq!(client.scopes, terms().scopes);
    assert_eq!(client.resources, terms().resources);
    assert!(client.require_pkce);
}

/// Attack: I238
#[test]
fn what_only_an_operator_may_give_is_not_taken() {
    let greedy = json!({
        "scope": "openid admin read:orders", "grant_types": ["authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"],
        "consent": "first_party", "trusted": true, "kind": "service", "organization": "acme", "require_pkce": false,
        "resources": ["https://vault.example.com"], "exchange": {"from": ["https://vault.example.com"]}, "enabled": true,
        "claims": {"email": "email"}, "refresh_rotation": "never", "access_token_lifetime": "90d", "id": "admin",
        "sector_identifier_uri": "http://127.0.0.1/", "backchannel_logout_uri": "http://169.254.169.254/", "origins": ["https://evil.example"],
        "default_resource": "https://vault.example.com", "secret": "known", "profile": "x", "optional_scopes": ["admin"],
    });

    let client = made(greedy, Told::Registration).unwrap();

    let twin = json!({"scope": "openid", "grant_types": ["authorization_code"]});
    assert_eq!(client, made(twin, Told::Registration).unwrap());
    assert_eq!(client.consent, ConsentPolicy::Ask);
    assert_eq!(client.scopes, terms().scopes);
}

#[test]
fn a_client_that_cannot_be_is_refused_by_the_code_for_it() {
    use Unfit::{Metadata, RedirectUri, Statement};
    let addresses = [
        json!(["http://app.example.com/cb"]),
        json!(["https://app.example.com/cb#f"]),
        json!(["https://a@b@app.example.com/cb"]),
        json!(["https://app.example.com/cb?code=x"]),
        json!(["https://\u{435}xample.com/cb"]),
        json!(["javascript:alert(1)"]),
        json!(["data:text/html,x"]),
        json!([]),
        json!("https://app.example.com/cb"),
        json!(vec!["https://app.example.com/cb"; 21]),
    ];
    for addresses in addresses {
        let patch = json!({ "redirect_uris": addresses });
        let refused = made(patch, Told::Registration).unwrap_err();
        assert!(matches!(refused, RedirectUri(_)), "{addresses} {refused:?}");
    }
    for (patch, code) in [
        (json!({"client_uri": "javascript:alert(1)"}), Metadata("")),
        (json!({"policy_uri": "data:text/html,x"}), Metadata("")),
        (json!({"tos_uri": "file:///etc/passwd"}), Metadata("")),
        (
            json!({"logo_uri": "http://app.example.com/logo"}),
            Metadata(""),
        ),
        (json!({"logo_uri#fr": "javascript:alert(1)"}), Metadata("")),
        (json!({"client_name": "PayPal\u{202e}x"}), Metadata("")),
        (json!({"client_name": "x".repeat(5000)}), Metadata("")),
        (json!({"client_name": 5}), Metadata("")),
        (
            json!({"token_endpoint_auth_method": "tls_client_auth"}),
            Metadata(""),
        ),
        (json!({"token_endpoint_auth_method": "magic"}), Metadata("")),
        (json!({"grant_types": ["client_credentials"]}), Metadata("")),
        (json!({"grant_types": ["implicit"]}), Metadata("")),
        (json!({"response_types": ["token"]}), Metadata("")),
        // Less than was asked for would be missed by nobody until it matters.
        (json!({"subject_type": "pairwise"}), Metadata("")),
        (json!({"subject_type": "x"}), Metadata("")),
        (
            json!({"id_token_encrypted_response_alg": "RSA-OAEP-256"}),
            Metadata(""),
        ),
        (json!({"scope": ["openid"]}), Metadata("")),
        (
            json!({"jwks": {"keys": [{"kty": "EC", "d": "x"}]}}),
            Metadata(""),
        ),
        (
            json!({"token_endpoint_auth_method": "private_key_jwt"}),
            Metadata(""),
        ),
        (json!({"software_statement": "eyJ"}), Statement),
    ] {
        let refused = made(patch.clone(), Told::Registration).unwrap_err();
        let (own, wanted) = (
            std::mem::discriminant(&refused),
            std::mem::discriminant(&code),
        );
        assert_eq!(own, wanted, "{patch} {refused:?}");
    }
}

/// Attack: I235
#[test]
fn no_address_of_a_client_is_one_that_a_browser_runs() {
    for name in ADDRESSES {
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:x",
            "data:text/html,x",
            "vbscript:x",
            "ftp://a.example",
            "//a.example",
            "x",
        ] {
            assert!(
                made(json!({name: bad}), Told::Registration).is_err(),
                "{name} {bad}"
            );
        }
        assert!(made(json!({name: "https://a.example/x"}), Told::Registration).is_ok());
    }
}

#[test]
fn a_document_agrees_on_no_secret() {
    for bad in [
        json!({"token_endpoint_auth_method": "client_secret_basic"}),
        json!({"token_endpoint_auth_method": "client_secret_post"}),
        json!({"client_secret": "x"}),
        json!({"client_secret_expires_at": 0}),
    ] {
        assert!(made(bad.clone(), Told::Document).is_err(), "{bad}");
        assert!(made(bad.clone(), Told::Registration).is_ok(), "{bad}");
    }
    let keys = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}});
    assert!(made(keys, Told::Document).is_ok());
    let nothing = json!({"token_endpoint_auth_method": null});
    let nothing = made(nothing, Told::Document).unwrap();
    assert!(!nothing.is_confidential());
}

#[test]
fn a_program_on_a_persons_machine_with_a_secret_of_its_own_is_confidential() {
    let client = made(
        json!({"token_endpoint_auth_method": "client_secret_post", "application_type": "native"}),
        Told::Registration,
    );

    assert_eq!(client.unwrap().kind, ClientKind::Web);
}
