//! A client that describes itself anew: what it may say is as it says, and all
//! else is as it was.
//!
//! Spec: RFC 7592 §2.2

use crate::client::{Client, Described};
use crate::key_binding::KeyBinding;
use crate::vocabulary::GrantType;

/// The grants that a client may ask for by itself.
const SAYABLE: [GrantType; 2] = [GrantType::AuthorizationCode, GrantType::RefreshToken];

impl Client {
    /// This client with what it says of itself now. Scopes, resources and
    /// whatever else is not its own to say stay as they are.
    pub fn described_anew(&self, said: Self) -> Self {
        let is_sayable = |own: &GrantType| SAYABLE.contains(own);
        let given = self.grants.iter().copied().filter(|own| !is_sayable(own));
        let grants = said.grants.into_iter().filter(is_sayable);
        Self {
            name: said.name,
            kind: said.kind,
            redirect_uris: said.redirect_uris,
            post_logout_redirect_uris: said.post_logout_redirect_uris,
            grants: grants.chain(given).collect(),
            jwks: said.jwks,
            jwks_uri: said.jwks_uri,
            id_token_signed_response_alg: said.id_token_signed_response_alg,
            // What is not said stays (RFC 7592 §2.2): an administrator may have
            // set it before it was the client's to say.
            token_endpoint_auth_signing_alg: said
                .token_endpoint_auth_signing_alg
                .or_else(|| self.token_endpoint_auth_signing_alg.clone()),
            binding: KeyBinding {
                dpop_bound_access_tokens: said.binding.dpop_bound_access_tokens,
                ..self.binding.clone()
            },
            described: Described {
                initiate_login_uri: self.described.initiate_login_uri.clone(),
                response_types: self.described.response_types.clone(),
                ..said.described
            },
            ..self.clone()
        }
    }

    /// Whether what it says of itself is another thing in `other`.
    pub fn is_described_otherwise(&self, other: &Self) -> bool {
        self.described_anew(other.clone()) != self.described_anew(self.clone())
    }

    /// Whether it says of itself what stands in `before`, or less.
    pub fn says_no_more_than(&self, before: &Self) -> bool {
        let mut addresses = self.redirect_uris.iter();
        let mut after_logout = self.post_logout_redirect_uris.iter();
        let is_bound = |client: &Self| client.binding.dpop_bound_access_tokens;
        let rest = Self {
            kind: before.kind,
            redirect_uris: before.redirect_uris.clone(),
            post_logout_redirect_uris: before.post_logout_redirect_uris.clone(),
            grants: before.grants.clone(),
            binding: before.binding.clone(),
            ..self.clone()
        };
        addresses.all(|uri| before.redirect_uris.contains(uri))
            && after_logout.all(|uri| before.post_logout_redirect_uris.contains(uri))
            && self.grants.iter().all(|grant| before.may_use(*grant))
            && (is_bound(self) || !is_bound(before))
            && !before.is_described_otherwise(&rest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn client(patch: Value) -> Client {
        let mut whole = json!({
            "id": "shop", "name": "Shop", "kind": "web",
            "redirect_uris": ["https://shop.example.net/a", "https://shop.example.net/b"],
            "grants": ["authorization_code", "refresh_token"],
        });
        for (name, value) in patch.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn what_only_an_operator_may_give_or_take_stays_as_it_was() {
        let before = client(json!({
            "scopes": ["read:orders"], "organization": "acme", "access_token_lifetime": "1m",
            "require_auth_time": true, "consent": "first_party",
            "grants": ["authorization_code", "client_credentials"],
        }));
        let said = client(json!({ "name": "Shop 2", "scopes": ["read:orders", "write:orders"] }));

        let anew = before.described_anew(said);

        let wanted = json!(["authorization_code", "refresh_token", "client_credentials"]);
        assert_eq!(json!(anew.grants), wanted);
        let but = Client {
            name: before.name.clone(),
            grants: before.grants.clone(),
            ..anew
        };
        assert_eq!(but, before);
    }

    #[test]
    fn how_assertions_are_signed_stays_until_it_is_said_otherwise() {
        let keyed = |patch: Value| {
            let mut whole = json!({
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks_uri": "https://shop.example.net/jwks",
            });
            let more = patch.as_object().unwrap().clone();
            whole.as_object_mut().unwrap().extend(more);
            client(whole)
        };
        let before = keyed(json!({ "token_endpoint_auth_signing_alg": "PS256" }));
        let after = |said: Value| {
            let anew = before.described_anew(keyed(said));
            anew.token_endpoint_auth_signing_alg
        };

        assert_eq!(after(json!({})).as_deref(), Some("PS256"));
        let other = json!({ "token_endpoint_auth_signing_alg": "ES256" });
        assert_eq!(after(other).as_deref(), Some("ES256"));
    }

    #[test]
    fn less_is_no_more_and_anything_else_is() {
        let before = client(json!({}));
        for less in [
            json!({}),
            json!({ "redirect_uris": ["https://shop.example.net/b"] }),
            json!({ "grants": ["authorization_code"] }),
            json!({ "dpop_bound_access_tokens": true }),
        ] {
            assert!(client(less.clone()).says_no_more_than(&before), "{less}");
        }
        for more in [
            json!({ "name": "Bank" }),
            json!({ "redirect_uris": ["https://shop.example.net/c"] }),
            json!({ "post_logout_redirect_uris": ["https://shop.example.net/c"] }),
            json!({ "jwks_uri": "https://shop.example.net/jwks" }),
            json!({ "id_token_signed_response_alg": "ES256" }),
            json!({ "client_uri": "https://shop.example.net/" }),
        ] {
            assert!(!client(more.clone()).says_no_more_than(&before), "{more}");
        }
        let bound = client(json!({ "dpop_bound_access_tokens": true }));
        assert!(!before.says_no_more_than(&bound));
    }
}
