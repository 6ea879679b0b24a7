//! Claims that were mapped, beside what the token says itself.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use symbolon_protocol::{Issuer, SigningAlgorithm};
use symbolon_testkit::{START, SeededEntropy, at};
use symbolon_token::jose::{SigningKey, Unverified};
use symbolon_token::jwt::{self, Written};
use symbolon_token::{Authority, Granted, Id, Keyring, Position, Slot};

fn authority() -> Authority {
    Authority::granted(Granted {
        organization: Some("acme".parse().unwrap()),
        roles: vec!["buyer".to_owned()],
        ..Granted::to_client(
            "job".parse().unwrap(),
            "https://api.example.com".parse().unwrap(),
            "read:orders".parse().unwrap(),
            at(600),
            Position {
                epoch: 1,
                sequence: 4,
            },
        )
    })
}

/// What a token says with these claims mapped.
fn told(claims: &Map<String, Value>) -> Map<String, Value> {
    let entropy = SeededEntropy::new(4);
    let keys = Keyring::new(Keyring::generate(&SeededEntropy::new(1), Vec::new())).unwrap();
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
    let issuer: Issuer = "https://as.example.com".parse().unwrap();
    let written = Written {
        issuer: &issuer,
        subject: "job",
        token: Id::new(Slot::random(&entropy), &entropy),
        issued: START,
        blinding: keys.blinding(),
        claims,
        sector: None,
    };
    let token = jwt::mint(&key, &written, &authority());
    let token = Unverified::parse(&token).unwrap();
    token.dangerous_claims_without_key().unwrap()
}

/// Attack: C105
#[test]
fn what_the_token_says_itself_stays_whatever_is_mapped() {
    let plain = told(&Map::new());
    for name in plain.keys() {
        let mapped = json!({ name: "evil", "department": "sales" });

        let told = told(mapped.as_object().unwrap());

        assert_eq!(told[name], plain[name], "{name}");
        assert_eq!(told["department"], "sales");
        assert_eq!(told.len(), plain.len() + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mapping_adds_and_changes_nothing(names in proptest::collection::btree_set("[a-z_]{2,6}", 0..8)) {
        let plain = told(&Map::new());
        let mapped: Map<String, Value> = names.iter().map(|name| (name.clone(), json!(1))).collect();

        let told = told(&mapped);

        for (name, value) in &plain {
            prop_assert_eq!(&told[name], value);
        }
        let free = names.iter().filter(|name| !plain.contains_key(*name)).count();
        prop_assert_eq!(told.len(), plain.len() + free);
    }
}
