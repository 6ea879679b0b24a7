//! A good assertion and whoever made it; each test changes one thing.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_protocol::{Issuer, SigningAlgorithm, Timestamp};
use symbolon_testkit::{START, SeededEntropy, at};
use symbolon_token::authority::Granted;
use symbolon_token::id::Kind as _;
use symbolon_token::jose::{SigningKey, VerifyingKey};
use symbolon_token::jwt::Written;
use symbolon_token::saml::{
    Assertion, Attribute, Expected, NameFormat, Refused, Rendering, Trusted, Unwritable, mint, open,
};
use symbolon_token::{
    Authentication, Authority, Binding, Id, Keyring, Position, Secret, Slot, Subject, Token,
};

pub(crate) const ISSUER: &str = "https://idp.test";
pub(crate) const AUDIENCE: &str = "https://as.test";
pub(crate) const RECIPIENT: &str = "https://as.test/token";
pub(crate) const SUBJECT: &str = "usr_alice";

/// A private key in its stored form, one for each algorithm and run.
pub(crate) fn document(algorithm: SigningAlgorithm) -> &'static Secret {
    static RSA: OnceLock<Secret> = OnceLock::new();
    static EC: OnceLock<Secret> = OnceLock::new();
    let cell = match algorithm {
        SigningAlgorithm::Rs256 => &RSA,
        _ => &EC,
    };
    cell.get_or_init(|| SigningKey::generate(algorithm).unwrap())
}

pub(crate) fn key(algorithm: SigningAlgorithm) -> SigningKey {
    SigningKey::from_pkcs8(algorithm, document(algorithm)).unwrap()
}

pub(crate) fn public(key: &SigningKey) -> VerifyingKey {
    VerifyingKey::from_jwk(key.public_jwk().as_object().unwrap()).unwrap()
}

pub(crate) fn trusted(key: &SigningKey) -> Trusted {
    Trusted::by_keys(ISSUER, [public(key)]).unwrap()
}

pub(crate) fn granted() -> Granted {
    Granted {
        agreement: symbolon_protocol::Agreement::default(),
        subject: Subject::Person(Id::new(
            Slot::of_client(&"web".parse().unwrap()),
            &SeededEntropy::new(3),
        )),
        client: "web".parse().unwrap(),
        audiences: vec![AUDIENCE.parse().unwrap()],
        scopes: "read:orders openid".parse().unwrap(),
        expires: at(300),
        organization: Some("acme".parse().unwrap()),
        roles: vec!["buyer".into(), "a <b> & \"c\"".into()],
        grant: None,
        family: Some(Id::new(
            Slot::of_client(&"web".parse().unwrap()),
            &SeededEntropy::new(4),
        )),
        session: None,
        authentication: Some(Authentication {
            time: at(-60),
            acr: "1".into(),
            amr: vec!["pwd".into(), "otp".into()],
        }),
        binding: Binding::NONE,
        actors: Vec::new(),
        may_act: None,
        lineage: Vec::new(),
        position: Position {
            epoch: 2,
            sequence: 77,
        },
    }
}

pub(crate) fn rendering() -> Rendering<'static> {
    Rendering {
        format: NameFormat::Persistent,
        qualifiers: [None; 2],
        recipient: RECIPIENT,
        in_response_to: None,
        session_index: None,
        attributes: &[],
        certificate: None,
        encrypt_to: None,
    }
}

/// Something to write, and with what.
pub(crate) struct Making<'a> {
    pub(crate) key: SigningKey,
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) issued: Timestamp,
    pub(crate) rendering: Rendering<'a>,
    pub(crate) granted: Granted,
}

impl Making<'_> {
    pub(crate) fn new(algorithm: SigningAlgorithm) -> Self {
        Self {
            key: key(algorithm),
            issuer: ISSUER,
            subject: SUBJECT,
            issued: START,
            rendering: rendering(),
            granted: granted(),
        }
    }

    pub(crate) fn with<T>(&self, make: impl FnOnce(&Written<'_>, &Authority) -> T) -> T {
        let issuer: Issuer = self.issuer.parse().unwrap();
        let keys = Keyring::generate(&SeededEntropy::new(7), Vec::new());
        let keys = Keyring::new(keys).unwrap();
        let written = Written {
            sector: None,
            issuer: &issuer,
            subject: self.subject,
            token: token(),
            issued: self.issued,
            blinding: keys.blinding(),
            claims: &serde_json::Map::new(),
        };
        make(&written, &Authority::granted(self.granted.clone()))
    }

    pub(crate) fn mint(&self) -> Result<String, Unwritable> {
        self.with(|written, authority| mint(&self.key, written, &self.rendering, authority))
    }
}

pub(crate) fn token() -> Id<Token> {
    Id::new(
        Slot::of_client(&"web".parse().unwrap()),
        &SeededEntropy::new(5),
    )
}

/// The XML of a good assertion.
pub(crate) fn good(algorithm: SigningAlgorithm) -> String {
    xml(&Making::new(algorithm).mint().unwrap())
}

pub(crate) fn xml(token: &str) -> String {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap()
}

pub(crate) fn base64url(xml: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(xml)
}

pub(crate) fn expected() -> Expected<'static> {
    Expected {
        audiences: &[AUDIENCE],
        recipients: &[RECIPIENT],
        in_response_to: None,
        longest: Duration::from_secs(600),
        skew: Duration::from_secs(10),
        now: at(1),
    }
}

/// Opens XML that the key of an algorithm signed, or should have.
pub(crate) fn read(xml: &str, algorithm: SigningAlgorithm) -> Result<Assertion, Refused> {
    open(
        &base64url(xml),
        &[],
        &[trusted(&key(algorithm))],
        &expected(),
    )
}

pub(crate) fn attribute(name: &str, values: &[&str]) -> Attribute {
    Attribute {
        name: name.into(),
        format: None,
        values: values.iter().map(|own| (*own).to_owned()).collect(),
    }
}

/// Where a part of the text begins and ends.
pub(crate) fn part<'a>(xml: &'a str, from: &str, to: &str) -> &'a str {
    let start = xml.find(from).unwrap();
    &xml[start..start + xml[start..].find(to).unwrap() + to.len()]
}

/// The kind's mark, so that a test can say what an id looks like.
pub(crate) const TOKEN_PREFIX: &str = Token::PREFIX;
