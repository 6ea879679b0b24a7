//! A client that stands in its own identifier: public, small, and without a row
//! anywhere.
//!
//! The same description gives the same identifier, so a program that registers
//! at every start, on every machine, is one client. Only what decides anything
//! stands in it: name, redirect URIs, and whether it may refresh.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use symbolon_protocol::self_description::{self, Terms, Told};
use symbolon_protocol::{
    Client, ClientAuthentication, ClientId, ClientKind, GrantType, RedirectUri,
};

/// How much an identifier can hold is known by who writes it; no client that
/// says more than this is tried.
const MAX_BYTES: usize = 256;

/// What stands in the identifier. Names are short, since all of it has to fit.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inside {
    /// Its name.
    n: String,
    /// Its redirect URIs.
    r: Vec<String>,
    /// Whether it may refresh.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    f: bool,
    /// Whether it said that it is native.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    a: bool,
}

/// What stands in the identifier of a client, where such a one is enough: it
/// proves nothing, and said nothing that has to be kept besides.
pub(crate) fn write(client: &Client, said: &Map<String, Value>) -> Option<Vec<u8>> {
    let is_public = client.authentication() == ClientAuthentication::None;
    // People are shown these, so they are kept; a logo is never loaded.
    let has_more = ["policy_uri", "tos_uri", "client_uri", "jwks", "jwks_uri"]
        .iter()
        .any(|name| {
            said.get(*name)
                .is_some_and(|own| !own.is_null() && own != "")
        });
    let changes = client.binding != symbolon_protocol::KeyBinding::default()
        || !client.post_logout_redirect_uris.is_empty()
        || said.keys().any(|name| name.contains('#'))
        || said.contains_key("id_token_signed_response_alg");
    if !is_public || has_more || changes {
        return None;
    }
    // A program listens on another port each time, and stays one client.
    let is_native = client.kind == ClientKind::Native;
    let written = |own: &RedirectUri| match is_native {
        true => own.with_any_port().to_string(),
        false => own.to_string(),
    };
    let inside = Inside {
        n: client.name.clone(),
        r: client.redirect_uris.iter().map(written).collect(),
        f: client.may_use(GrantType::RefreshToken),
        a: client.described.application_type.as_deref() == Some("native"),
    };
    let bytes = serde_json::to_vec(&inside).ok()?;
    (bytes.len() <= MAX_BYTES).then_some(bytes)
}

/// The client of an identifier that was opened, on the terms of today.
pub(crate) fn read(inside: &[u8], id: ClientId, terms: &Terms) -> Option<Client> {
    let inside: Inside = serde_json::from_slice(inside).ok()?;
    let mut said = json!({
        "client_name": inside.n,
        "redirect_uris": inside.r,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
    });
    if inside.f {
        said["grant_types"] = json!(["authorization_code", "refresh_token"]);
    }
    if inside.a {
        said["application_type"] = "native".into();
    }
    let told = (Told::Registration, terms);
    self_description::client(said.as_object()?, id, told).ok()
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::AssertionAudience;

    use super::*;

    fn terms() -> Terms {
        Terms {
            scopes: "openid read:orders".parse().unwrap(),
            resources: Vec::new(),
            require_pkce_confidential: true,
            assertion_audience: AssertionAudience::IssuerOrTokenEndpoint,
        }
    }

    fn made(said: &Value) -> (Client, Map<String, Value>) {
        let said = said.as_object().unwrap().clone();
        let id: ClientId = "made".parse().unwrap();
        let client = self_description::client(&said, id, (Told::Registration, &terms()));
        (client.unwrap(), said)
    }

    fn small() -> Value {
        json!({
            "client_name": "Assistant", "redirect_uris": ["http://localhost:6274/oauth/callback"],
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
            "scope": "read:orders", "application_type": "native",
        })
    }

    #[test]
    fn a_client_is_read_out_of_its_identifier_as_it_was_written() {
        let (client, said) = made(&small());

        let inside = write(&client, &said).unwrap();

        let read = read(&inside, "made".parse().unwrap(), &terms()).unwrap();
        assert_eq!(
            read.redirect_uris[0].as_str(),
            "http://localhost/oauth/callback"
        );
        let redirect_uris = client.redirect_uris.clone();
        assert_eq!(
            Client {
                redirect_uris,
                ..read
            },
            client
        );
    }

    #[test]
    fn terms_that_became_fewer_hold_at_once() {
        let (client, said) = made(&small());
        let inside = write(&client, &said).unwrap();
        let fewer = Terms {
            scopes: "openid".parse().unwrap(),
            ..terms()
        };

        let client = read(&inside, "made".parse().unwrap(), &fewer).unwrap();

        assert_eq!(client.scopes, fewer.scopes);
    }

    #[test]
    fn what_proves_itself_or_says_more_gets_a_row() {
        for (name, value) in [
            ("token_endpoint_auth_method", json!("client_secret_post")),
            ("policy_uri", json!("https://app.example.com/privacy")),
            ("client_name", json!("x".repeat(200))),
            ("dpop_bound_access_tokens", json!(true)),
        ] {
            let mut said = small();
            said[name] = value;
            let (client, said) = made(&said);
            assert!(
                write(&client, &said).is_none_or(|own| own.len() > 166),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_not_ours_is_no_client() {
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"n":"a","r":[]}"#,
            r#"{"n":"a","r":["javascript:x"]}"#,
            r#"{"n":"a","r":["http://127.0.0.1/"],"k":1}"#,
        ] {
            assert!(
                read(bad.as_bytes(), "made".parse().unwrap(), &terms()).is_none(),
                "{bad}"
            );
        }
    }
}
