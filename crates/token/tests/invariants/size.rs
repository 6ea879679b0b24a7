//! How long a token is in each form, as the guide says it.

use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::{SeededEntropy, at};
use symbolon_token::jose::SigningKey;
use symbolon_token::{Authentication, Authority, Binding, Granted, Id, Position, Slot, Subject};

use crate::form::{Form, write_by};

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats.md");

/// The authority of the guide.
fn authority() -> Authority {
    let entropy = SeededEntropy::new(1);
    let slot = Slot::random(&entropy);
    Authority::granted(Granted {
        subject: Subject::Person(Id::new(slot, &entropy)),
        client: "web".parse().unwrap(),
        audiences: vec!["https://api.example.com".parse().unwrap()],
        scopes: "read:orders write:orders".parse().unwrap(),
        agreement: symbolon_protocol::Agreement::default(),
        expires: at(600),
        organization: None,
        roles: Vec::new(),
        grant: Some(Id::new(slot, &entropy)),
        family: Some(Id::new(slot, &entropy)),
        session: Some(Id::new(slot, &entropy)),
        authentication: Some(Authentication {
            time: at(-5),
            acr: "1".into(),
            amr: vec!["pwd".into()],
        }),
        binding: Binding::NONE,
        actors: Vec::new(),
        may_act: None,
        lineage: Vec::new(),
        position: Position {
            epoch: 1,
            sequence: 77,
        },
    })
}

/// The key that the server signs with.
fn key(form: Form) -> SigningKey {
    let algorithm = match form {
        Form::Saml => SigningAlgorithm::Rs256,
        _ => SigningAlgorithm::Es256,
    };
    let own = SigningKey::generate(algorithm).unwrap();
    SigningKey::from_pkcs8(algorithm, &own).unwrap()
}

#[test]
fn the_guide_says_how_long_tokens_are() {
    let guide = std::fs::read_to_string(GUIDE).unwrap();
    let row = guide
        .lines()
        .find(|line| line.starts_with("| bytes"))
        .unwrap();
    let cells: Vec<&str> = row.split('|').skip(2).collect();

    let is = Form::ALL.map(|form| write_by(&key(form), form, &authority()).unwrap().len());

    for (cell, own) in cells.into_iter().zip(is) {
        let number = cell.split_whitespace().next().unwrap();
        let said: usize = number.replace(',', "").parse().unwrap();
        // Identifiers and signatures differ by a few characters.
        assert!(said.abs_diff(own) * 50 <= said, "{is:?}");
    }
}
