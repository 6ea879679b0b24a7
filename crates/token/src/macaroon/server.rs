//! A macaroon whose root stays with the server: it is checked by introspection.
//!
//! Identifier: kind (1), then a seal (version, key number, salt, ciphertext,
//! tag) over the time of issue and the compact authority. The key of the chain
//! is a MAC over the identifier. The location is the issuer.

use libmacaroon::Macaroon;
use symbolon_protocol::Timestamp;

use super::MAX_IDENTIFIER_BYTES;
use super::agreement::{self, Agreement};
use super::chain;
use super::context::Context;
use super::demands::{Count, Demands};
use super::flaw::Flaw;
use super::form::Bundle;
use super::root::{SERVER, associated, chain_key};
use super::shared::SharedPresented;
use crate::authority::Authority;
use crate::clock::Entropy;
use crate::id::{Id, Token};
use crate::keyring::{Keyring, Purpose, WorkingSecret};
use crate::opaque::{self, TooLarge};
use crate::seal::{self, Bound};
use crate::wire::{Reader, Writer};

/// A macaroon that was just made.
pub struct Minted {
    /// The macaroon.
    pub text: String,
    /// Its identifier (`jti`): everything that is added to it keeps it.
    pub token: Id<Token>,
}

/// Writes an authority as a macaroon.
pub fn mint(
    keys: &Keyring,
    bound: Bound<'_>,
    authority: &Authority,
    issued: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Minted, TooLarge> {
    let mut plain = Writer(Vec::with_capacity(224));
    plain.number(issued.millis().max(0) as u64);
    plain.bytes(&authority.encode());
    let secret = keys.current(Purpose::Macaroon);
    let sealed = seal::seal_bytes(secret, &associated(&[SERVER], bound, ""), &plain.0, entropy);
    let token = opaque::name(seal::token_number(&sealed));
    let identifier = [&[SERVER], &*sealed].concat();
    if identifier.len() > MAX_IDENTIFIER_BYTES {
        return Err(TooLarge);
    }
    let key = chain_key(secret, head(&identifier));
    let root = Macaroon::create(Some(bound.issuer), &(&*key).into(), &identifier);
    let bundle = Bundle::of(&root.map_err(|_| TooLarge)?);
    let text = bundle.and_then(|own| own.write()).map_err(|_| TooLarge)?;
    Ok(Minted { text, token })
}

/// What makes an identifier the only one of its kind: its salt, and what stands
/// before it. The first MAC of the chain covers the rest.
fn head(identifier: &[u8]) -> &[u8] {
    identifier.get(..1 + seal::HEAD).unwrap_or(identifier)
}

/// A macaroon whose chain of MACs was proved. Nothing else is checked yet, and
/// its authority is to be had only together with its conditions.
#[derive(Debug)]
pub struct MacaroonToken {
    token: Id<Token>,
    key: u64,
    issued: Timestamp,
    /// The end of the root, before any caveat.
    ends: Timestamp,
    narrowed: Authority,
    demands: Demands,
    agreements: Vec<Agreement>,
}

impl MacaroonToken {
    /// Its identifier.
    pub fn token(&self) -> Id<Token> {
        self.token
    }

    /// The mark of the key that it is rooted in, by which it dies with that key.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// When it was made.
    pub fn issued(&self) -> Timestamp {
        self.issued
    }

    /// What each of its discharges rests on. Whoever judges a token asks whether
    /// any of it was taken back.
    pub fn agreements(&self) -> &[Agreement] {
        &self.agreements
    }

    /// What it permits in a context, and what has to be counted for it.
    pub fn judge(self, context: &Context<'_>) -> Result<(Authority, Vec<Count>), Flaw> {
        let counts = self.demands.judge(context, self.ends)?;
        Ok((self.narrowed, counts))
    }

    /// What it permits wherever and however often it is used: for what is to
    /// be made of it, which could not carry its conditions on, nor that it is
    /// for one resource only.
    pub fn unconditional(self) -> Result<Authority, Flaw> {
        if self.demands.is_unconditional() {
            Ok(self.narrowed)
        } else {
            Err(Flaw::Unjudged(
                "a caveat that nothing made of it could carry on".into(),
            ))
        }
    }
}

/// Opens a macaroon of this server: identifier, chain and discharges, and what
/// its caveats leave of its authority.
pub fn open(keys: &Keyring, bound: Bound<'_>, text: &str) -> Result<MacaroonToken, Flaw> {
    let bundle = Bundle::parse(text)?;
    let own = Sealed::read(keys, bound, &bundle)?;
    let key = chain_key(own.secret, head(bundle.root.identifier()));
    chain::prove(&bundle, &key)?;
    let demands = Demands::gather(&bundle)?;
    let (issued, authority) = own.open(bound)?;
    Ok(MacaroonToken {
        token: own.token(),
        key: own.key(),
        issued,
        ends: authority.expires(),
        narrowed: demands.narrow(&authority)?,
        demands,
        agreements: agreement::all(&bundle, keys, bound),
    })
}

/// The root as it was minted, before any caveat: its identifier, its whole
/// authority, its key. What was opened with [`name`].
#[derive(Debug)]
pub struct Root {
    /// Its identifier.
    pub token: Id<Token>,
    /// When it was made.
    pub issued: Timestamp,
    /// What it permitted.
    pub authority: Authority,
    /// The mark of its key.
    pub key: u64,
}

/// The identifier and whole authority of the root that a macaroon was made
/// from, whatever was added to it: for taking it back, and nothing else.
///
/// The identifier is sealed, so it is authentic by itself; discharges are not
/// needed to give something up.
pub fn name(keys: &Keyring, bound: Bound<'_>, text: &str) -> Result<Root, Flaw> {
    let bundle = Bundle::parse(text)?;
    let own = Sealed::read(keys, bound, &bundle)?;
    let (issued, authority) = own.open(bound)?;
    Ok(Root {
        token: own.token(),
        issued,
        authority,
        key: own.key(),
    })
}

/// What the revocation feed calls the key that a macaroon of either kind says
/// it is rooted in. Nobody vouches for it: for finding what was said of that
/// key, never for deciding.
pub fn claimed_key(text: &str) -> Option<String> {
    if let Some(shared) = SharedPresented::parse(text).ok()? {
        return shared.key_name();
    }
    let bundle = Bundle::parse(text).ok()?;
    let sealed = bundle.root.identifier().strip_prefix(&[SERVER])?;
    let number = seal::key_number(sealed)?;
    Some(Purpose::Macaroon.key_name(number))
}

struct Sealed<'a> {
    secret: &'a WorkingSecret,
    bytes: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn read(keys: &'a Keyring, bound: Bound<'_>, bundle: &'a Bundle) -> Result<Self, Flaw> {
        let bytes = bundle.root.identifier().strip_prefix(&[SERVER]);
        let bytes = bytes.ok_or(Flaw::Identifier)?;
        // No MAC covers the location, so it is compared.
        if bundle.root.location() != Some(bound.issuer) {
            return Err(Flaw::Location);
        }
        let id = seal::key_number(bytes).ok_or(Flaw::Identifier)?;
        let secret = keys.find(Purpose::Macaroon, id).ok_or(Flaw::Identifier)?;
        Ok(Self { secret, bytes })
    }

    fn key(&self) -> u64 {
        Purpose::Macaroon.key_mark(self.secret.id)
    }

    fn token(&self) -> Id<Token> {
        opaque::name(seal::token_number(self.bytes))
    }

    fn open(&self, bound: Bound<'_>) -> Result<(Timestamp, Authority), Flaw> {
        let data = associated(&[SERVER], bound, "");
        let plain =
            seal::open_bytes(self.secret, &data, self.bytes).map_err(|_| Flaw::Identifier)?;
        let mut from = Reader(&plain);
        let issued = from.number().and_then(|millis| i64::try_from(millis).ok());
        let authority = from.bytes().and_then(Authority::decode);
        match (issued, authority, from.end()) {
            (Some(issued), Some(authority), Some(())) => {
                Ok((Timestamp::from_millis(issued), authority))
            }
            _ => Err(Flaw::Identifier),
        }
    }
}
