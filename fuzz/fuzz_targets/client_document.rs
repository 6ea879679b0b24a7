//! What clients say of themselves: no description gives more than the terms.
#![no_main]

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::self_description::{self, Terms, Told};
use symbolon_protocol::{AssertionAudience, ClientAuthentication, ConsentPolicy, GrantType};
use symbolon_token::jose::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok(said) = json::object(bytes) else {
        return;
    };
    let terms = Terms {
        scopes: "openid read:orders".parse().expect("scopes"),
        resources: Vec::new(),
        require_pkce_confidential: true,
        assertion_audience: AssertionAudience::IssuerOrTokenEndpoint,
    };
    for told in [Told::Registration, Told::Document] {
        let id = "client".parse().expect("an identifier");
        let Ok(client) = self_description::client(&said, id, (told, &terms)) else {
            continue;
        };
        assert!(client.scopes.is_within(&terms.scopes) && client.resources.is_empty());
        assert!(client.require_pkce && client.consent == ConsentPolicy::Ask);
        assert!(client.organization.is_none() && client.exchange.is_none());
        assert!(!client.redirect_uris.is_empty());
        let by_person = [GrantType::AuthorizationCode, GrantType::RefreshToken];
        assert!(client.grants.iter().all(|own| by_person.contains(own)));
        let by_key = [ClientAuthentication::None, ClientAuthentication::PrivateKeyJwt];
        assert!(told == Told::Registration || by_key.contains(&client.authentication()));
    }
});
