//! The four forms of a token, and what whoever checks one learns from it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_protocol::{Issuer, Scopes, SigningAlgorithm};
use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::jose::{SigningKey, Unverified, VerifyingKey};
use symbolon_token::jwt::{self, AccessToken, Written};
use symbolon_token::macaroon::{self, Context, Request};
use symbolon_token::revocation::Target;
use symbolon_token::saml::{self, NameFormat, Presented, Rendering, Trusted};
use symbolon_token::seal::Bound;
use symbolon_token::{
    Actor, Ancestor, Authority, Binding, Id, Keyring, Marks, Position, Slot, Subject, Token, act,
    opaque,
};

pub(crate) const ISSUER: &str = "https://as.example.com";

/// How a token is written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    Opaque,
    Jwt,
    Macaroon,
    Saml,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::Opaque, Self::Jwt, Self::Macaroon, Self::Saml];
}

/// What whoever checks a token reads in it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Seen {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) client: String,
    pub(crate) organization: Option<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) scopes: Scopes,
    pub(crate) roles: Vec<String>,
    /// In seconds, as claims say it.
    pub(crate) ends: i64,
    pub(crate) binding: Binding,
    pub(crate) actors: Vec<Actor>,
    pub(crate) may_act: Option<Actor>,
    pub(crate) marks: Marks,
    pub(crate) position: Position,
}

static KEYS: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::new(Keyring::generate(&SeededEntropy::new(1), Vec::new())).unwrap());
static SIGNER: LazyLock<(SigningKey, VerifyingKey)> = LazyLock::new(|| {
    let own = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let own = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &own).unwrap();
    let public = VerifyingKey::from_jwk(own.public_jwk().as_object().unwrap()).unwrap();
    (own, public)
});
static DRAWN: AtomicU64 = AtomicU64::new(0);

pub(crate) fn keys() -> &'static Keyring {
    &KEYS
}

/// Randomness that no other token has.
fn fresh() -> SeededEntropy {
    SeededEntropy::new(DRAWN.fetch_add(1, Ordering::Relaxed))
}

pub(crate) const fn bound(issuer: &str) -> Bound<'_> {
    Bound { issuer, epoch: 1 }
}

/// The subject as every form names it here.
fn subject(authority: &Authority) -> String {
    match authority.subject() {
        Subject::Person(person) => person.to_string(),
        Subject::Client(client) => client.to_string(),
        Subject::Foreign(name) => name.to_string(),
    }
}

/// Writes an authority down; `None` where the form cannot hold it.
pub(crate) fn write(form: Form, authority: &Authority) -> Option<String> {
    write_by(&SIGNER.0, form, authority)
}

/// The same with a key of the caller's.
pub(crate) fn write_by(key: &SigningKey, form: Form, authority: &Authority) -> Option<String> {
    let entropy = fresh();
    match form {
        Form::Opaque => {
            let minted = opaque::mint(keys(), bound(ISSUER), authority, START, &entropy);
            minted.ok().map(|own| own.text)
        }
        Form::Macaroon => {
            let minted = macaroon::mint(keys(), bound(ISSUER), authority, START, &entropy);
            minted.ok().map(|own| own.text)
        }
        Form::Jwt => Some(written(authority, |said| jwt::mint(key, said, authority))),
        Form::Saml => {
            let recipient = authority.audiences()[0].as_str();
            let rendering = Rendering {
                format: NameFormat::Persistent,
                qualifiers: [None; 2],
                recipient,
                in_response_to: None,
                session_index: None,
                attributes: &[],
                certificate: None,
                encrypt_to: None,
            };
            written(authority, |said| {
                saml::mint(key, said, &rendering, authority).ok()
            })
        }
    }
}

fn written<T>(authority: &Authority, write: impl FnOnce(&Written<'_>) -> T) -> T {
    let issuer: Issuer = ISSUER.parse().unwrap();
    write(&Written {
        issuer: &issuer,
        subject: &subject(authority),
        token: Id::new(Slot::of_client(authority.client()), &fresh()),
        issued: START,
        blinding: keys().blinding(),
        claims: &serde_json::Map::new(),
        sector: None,
    })
}

/// Reads a token as whoever checks it.
pub(crate) fn read(form: Form, text: &str) -> Option<Seen> {
    read_of(ISSUER, form, text)
}

/// The same by somebody who trusts another issuer and the same keys.
pub(crate) fn read_of(issuer: &str, form: Form, text: &str) -> Option<Seen> {
    match form {
        Form::Opaque => {
            let token = opaque::open(keys(), bound(issuer), text).ok()?;
            Some(Seen::named(&token.authority, token.token))
        }
        Form::Macaroon => {
            let token = macaroon::open(keys(), bound(issuer), text).ok()?;
            let id = token.token();
            let (authority, _) = token.judge(&anywhere()).ok()?;
            Some(Seen::named(&authority, id))
        }
        Form::Jwt => {
            let token = Unverified::parse(text).ok()?;
            jwt::check_type(&token).ok()?;
            let claims = token.verify(&SIGNER.1).ok()?;
            of_claims(issuer, claims)
        }
        Form::Saml => {
            let presented = Presented::parse(text, &[]).ok()?;
            let trusted = Trusted::by_keys(issuer, [SIGNER.1.clone()]).unwrap();
            let assertion = presented.reopen(&trusted, START).ok()?;
            of_claims(issuer, assertion.claims())
        }
    }
}

/// What a macaroon leaves of its authority.
pub(crate) fn opened(text: &str) -> Option<Authority> {
    let token = macaroon::open(keys(), bound(ISSUER), text).ok()?;
    token
        .judge(&anywhere())
        .ok()
        .map(|(authority, _)| authority)
}

fn anywhere() -> Context<'static> {
    Context {
        now: START,
        skew: Duration::ZERO,
        request: Request {
            method: Some("GET"),
            path: Some("/a/1"),
            address: Some("10.0.0.1".parse().unwrap()),
        },
    }
}

fn of_claims(issuer: &str, claims: serde_json::Map<String, serde_json::Value>) -> Option<Seen> {
    let audience = claims.get("aud")?.as_str()?.to_owned();
    let expected = jwt::Expected {
        issuer,
        audiences: &[audience],
        skew: Duration::ZERO,
        now: START,
    };
    let token = jwt::check_claims(claims, None, expected).ok()?;
    Seen::told(&token)
}

impl Seen {
    /// What is to be read of an authority.
    pub(crate) fn of(authority: &Authority) -> Self {
        Self::named(
            authority,
            Id::new(Slot::of_client(authority.client()), &fresh()),
        )
    }

    pub(crate) fn named(authority: &Authority, token: Id<Token>) -> Self {
        Self {
            issuer: ISSUER.to_owned(),
            subject: subject(authority),
            client: authority.client().to_string(),
            organization: authority.organization().map(ToString::to_string),
            audiences: authority
                .audiences()
                .iter()
                .map(ToString::to_string)
                .collect(),
            scopes: authority.scopes().clone(),
            roles: authority.roles().to_vec(),
            ends: authority.expires().seconds(),
            binding: *authority.binding(),
            actors: authority.actors().to_vec(),
            may_act: authority.may_act().cloned(),
            marks: jwt::marks(authority, Some(token), keys().blinding()),
            position: authority.position(),
        }
    }

    fn told(token: &AccessToken) -> Option<Self> {
        let text = |name: &str| token.claims.get(name).and_then(|own| own.as_str());
        let roles = token.claims.get("roles").and_then(|own| own.as_array());
        let roles = roles.into_iter().flatten().map(|own| own.as_str());
        let (marks, position) = token.rev.clone()?;
        Some(Self {
            issuer: text("iss")?.to_owned(),
            subject: token.subject.clone(),
            client: token.client.clone(),
            organization: text("organization").map(str::to_owned),
            audiences: vec![text("aud")?.to_owned()],
            scopes: token.scopes.clone(),
            roles: roles
                .map(|own| own.map(str::to_owned))
                .collect::<Option<_>>()?,
            ends: token.expires.seconds(),
            binding: token.binding,
            actors: act::chain(&token.claims).ok()?,
            may_act: act::may_act(&token.claims).ok()?,
            marks: Marks { key: None, ..marks },
            position,
        })
    }

    /// Without the name of the token itself, which each writing has anew.
    pub(crate) fn alone(mut self) -> Self {
        self.marks.token = None;
        self
    }

    /// Whether something is on record as what this came from.
    pub(crate) fn names(&self, target: Target, name: u64) -> bool {
        self.marks.lineage.contains(&Ancestor { target, name })
    }
}

pub(crate) fn decoded(text: &str) -> String {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

pub(crate) fn encoded(xml: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(xml)
}
