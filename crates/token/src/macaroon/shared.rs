//! A macaroon that its resource can check by itself.
//!
//! Its root key belongs to one resource and one period, and the resource is
//! given it. What holds a key can also mint, so such a macaroon is good at
//! that resource alone, and inside are the claims that a JWT for the resource
//! would show (blinded marks, the subject as its client is told), not the ids
//! of the server's own authority.
//!
//! Identifier: kind (1), number of the working key (4), number of the period
//! (4), then a seal over the claims. The location is the resource. The key of
//! the chain is a MAC over the identifier under the key of resource and period.
//!
//! The last of the claims is [`SEAL`], a MAC over all before it under a key
//! that no resource has: by it the server knows what it minted itself. A
//! resource reads past it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libmacaroon::Macaroon;
use serde_json::{Map, Value};
use symbolon_protocol::{ResourceIdentifier, Timestamp};

use super::MAX_IDENTIFIER_BYTES;
use super::agreement::{self, Agreement};
use super::chain;
use super::context::Context;
use super::demands::{Count, Demands};
use super::flaw::Flaw;
use super::form::Bundle;
use super::root::{SHARED, associated, chain_key};
use crate::authority::Authority;
use crate::clock::Entropy;
use crate::jose::json;
use crate::jwt::{self, Written};
use crate::keyring::{Keyring, Purpose, WorkingSecret};
use crate::opaque::TooLarge;
use crate::seal::{self, Bound};
use crate::secret::{Digest, Secret, wipe};

/// How long one key is used for new macaroons, in seconds.
pub const SHARED_PERIOD_SECONDS: i64 = 24 * 60 * 60;
/// Kind, working key, period.
const HEAD: usize = 1 + 4 + 4;
/// The claim that tells the server its own from what a resource minted. No
/// mapped claim has such a name.
const SEAL: &str = "rev#";

/// A stretch of time in which one key makes all macaroons of a resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Period(u32);

impl Period {
    /// The period of an instant.
    pub fn of(instant: Timestamp) -> Self {
        let number = instant.seconds().max(0) / SHARED_PERIOD_SECONDS;
        Self(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// When it begins.
    pub fn begins(self) -> Timestamp {
        Timestamp::from_seconds(i64::from(self.0) * SHARED_PERIOD_SECONDS)
    }

    /// When the next one begins.
    pub fn ends(self) -> Timestamp {
        self.next().begins()
    }

    /// The one behind it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Every period from this one to another, both included.
    pub fn to(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

/// The key of one resource and one period.
#[derive(Debug)]
pub struct SharedKey {
    working: u32,
    period: Period,
    secret: WorkingSecret,
}

impl SharedKey {
    fn derive(working: &WorkingSecret, bound: Bound<'_>, audience: &str, period: Period) -> Self {
        let mut salt = Vec::with_capacity(12 + audience.len());
        salt.extend_from_slice(&bound.epoch.to_be_bytes());
        salt.extend_from_slice(&period.0.to_be_bytes());
        salt.extend_from_slice(audience.as_bytes());
        let mut bytes = working.derive(b"symbolon shared macaroon", &salt);
        let secret = WorkingSecret::new(working.id, bytes);
        wipe(&mut bytes);
        Self {
            working: working.id,
            period,
            secret,
        }
    }

    /// Takes a key back from how it was handed over.
    pub fn from_secret(id: &str, secret: &Secret) -> Option<Self> {
        let (working, period) = id.split_once('-')?;
        let number = |text: &str| {
            let plain = text.len() == 8 && text.bytes().all(|own| own.is_ascii_hexdigit());
            plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
        };
        let working = number(working)?;
        Some(Self {
            working,
            period: Period(number(period)?),
            secret: WorkingSecret::from_secret(working, secret)?,
        })
    }

    /// The bytes, for the resource alone.
    pub fn to_secret(&self) -> Secret {
        self.secret.to_secret()
    }

    /// Its name: the same in every macaroon that it roots.
    pub fn id(&self) -> String {
        format!("{:08x}-{:08x}", self.working, self.period.0)
    }

    /// The period in which it makes macaroons.
    pub fn period(&self) -> Period {
        self.period
    }

    /// Writes claims as a macaroon, as whoever holds the key can: one that is
    /// good at its resource alone, `aud`, and is nothing to the server.
    pub fn mint(
        &self,
        bound: Bound<'_>,
        claims: &Map<String, Value>,
        entropy: &dyn Entropy,
    ) -> Result<String, TooLarge> {
        let audience = claims.get("aud").and_then(Value::as_str);
        let plain = serde_json::to_vec(claims).map_err(|_| TooLarge)?;
        self.write(bound, audience.ok_or(TooLarge)?, &plain, entropy)
    }

    fn write(
        &self,
        bound: Bound<'_>,
        audience: &str,
        claims: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<String, TooLarge> {
        let head = self.head();
        let data = associated(&head, bound, audience);
        let sealed = seal::seal_bytes(&self.secret, &data, claims, entropy);
        let identifier = [&head, &*sealed].concat();
        if identifier.len() > MAX_IDENTIFIER_BYTES {
            return Err(TooLarge);
        }
        let chain = chain_key(&self.secret, &identifier);
        let root = Macaroon::create(Some(audience), &(&*chain).into(), &identifier);
        let bundle = Bundle::of(&root.map_err(|_| TooLarge)?);
        bundle.and_then(|own| own.write()).map_err(|_| TooLarge)
    }

    fn head(&self) -> [u8; HEAD] {
        let mut head = [SHARED; HEAD];
        head[1..5].copy_from_slice(&self.working.to_be_bytes());
        head[5..].copy_from_slice(&self.period.0.to_be_bytes());
        head
    }
}

/// The keys of a resource for the periods from `first` to `last`: one of each
/// working key that may have rooted something then.
pub fn shared_keys(
    keys: &Keyring,
    bound: Bound<'_>,
    audience: &ResourceIdentifier,
    (first, last): (Period, Period),
) -> Vec<SharedKey> {
    let each = |period| {
        let all = keys.all(Purpose::Macaroon);
        all.map(move |working| SharedKey::derive(working, bound, audience.as_str(), period))
    };
    first.to(last).flat_map(each).collect()
}

/// Writes an authority of one audience as a macaroon that this audience can
/// check.
pub fn mint_shared(
    keys: &Keyring,
    bound: Bound<'_>,
    written: &Written<'_>,
    authority: &Authority,
    entropy: &dyn Entropy,
) -> Result<String, TooLarge> {
    let audience = authority.audiences().first().ok_or(TooLarge)?.as_str();
    let period = Period::of(written.issued);
    let working = keys.current(Purpose::Macaroon);
    let key = SharedKey::derive(working, bound, audience, period);
    let data = associated(&key.head(), bound, audience);
    let claims = jwt::payload(written, authority);
    let own = OwnSeal::over(working, &data, &claims);
    let claims = own.append_to(claims).ok_or(TooLarge)?;
    key.write(bound, audience, &claims, entropy)
}

/// The server's own word on claims that it minted.
struct OwnSeal(String);

impl OwnSeal {
    /// What `data` ties is tied by it, too: issuer, epoch, resource and keys.
    fn over(working: &WorkingSecret, data: &[u8], claims: &[u8]) -> Self {
        let mac = working.mac("symbolon shared macaroon of ours", &[data, claims]);
        Self(format!(
            r#","{SEAL}":"{}"}}"#,
            BASE64_URL_SAFE_NO_PAD.encode(mac)
        ))
    }

    /// The object with one member more, at its end.
    fn append_to(&self, mut object: Vec<u8>) -> Option<Vec<u8>> {
        (object.pop()? == b'}').then_some(())?;
        object.extend_from_slice(self.0.as_bytes());
        Some(object)
    }

    /// Whether claims are those that this server minted, byte for byte.
    fn is_on(working: &WorkingSecret, data: &[u8], plain: &[u8]) -> bool {
        let length = Self::over(working, data, b"{}").0.len();
        let Some((before, found)) = plain.len().checked_sub(length).map(|at| plain.split_at(at))
        else {
            return false;
        };
        let own = Self::over(working, data, &[before, b"}"].concat());
        Digest::of(found).matches(&Digest::of(own.0.as_bytes()))
    }
}

/// A shared macaroon of which nothing is proved yet.
#[derive(Debug)]
pub struct SharedPresented(Bundle);

impl SharedPresented {
    /// Reads one; `None` is the answer to a macaroon of another kind.
    pub fn parse(text: &str) -> Result<Option<Self>, Flaw> {
        let bundle = Bundle::parse(text)?;
        let is_shared = bundle.root.identifier().first() == Some(&SHARED);
        Ok(is_shared.then_some(Self(bundle)))
    }

    /// The resource that it says it is for.
    pub fn claimed_audience(&self) -> &str {
        self.0.root.location().unwrap_or_default()
    }

    /// The name of the key that it says it is rooted in.
    pub fn claimed_key(&self) -> Option<String> {
        let (working, period) = self.numbers()?;
        Some(format!("{working:08x}-{period:08x}"))
    }

    /// What the revocation feed calls the working key behind it: what is rooted
    /// in a key dies with it. Good once the macaroon was opened.
    pub fn key_name(&self) -> Option<String> {
        let (working, _) = self.numbers()?;
        Some(Purpose::Macaroon.key_name(working))
    }

    fn numbers(&self) -> Option<(u32, u32)> {
        let identifier = self.0.root.identifier();
        let number = |at: usize| {
            let bytes = identifier.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(bytes))
        };
        Some((number(1)?, number(5)?))
    }

    /// Opens it with the key that a resource was given.
    pub fn open(self, key: &SharedKey, bound: Bound<'_>) -> Result<SharedToken, Flaw> {
        let identifier = self.0.root.identifier();
        if !identifier.starts_with(&key.head()) {
            return Err(Flaw::Identifier);
        }
        chain::prove(&self.0, &chain_key(&key.secret, identifier))?;
        let plain = self.unseal(key, bound)?;
        self.proved(&plain)
    }

    /// What is left of claims by the caveats, once the chain was proved.
    fn proved(self, plain: &[u8]) -> Result<SharedToken, Flaw> {
        let mut claims = self.claims(plain)?;
        let ends = claims
            .get("exp")
            .and_then(Value::as_i64)
            .map(Timestamp::from_seconds);
        let demands = Demands::gather(&self.0)?;
        demands.narrow_claims(&mut claims)?;
        Ok(SharedToken {
            ends: ends.ok_or(Flaw::Identifier)?,
            claims,
            demands,
            keys: agreement::keys(&self.0),
            agreements: Vec::new(),
        })
    }

    fn unseal(&self, key: &SharedKey, bound: Bound<'_>) -> Result<Vec<u8>, Flaw> {
        let head = key.head();
        let sealed = self.0.root.identifier().strip_prefix(&head);
        let sealed = sealed.ok_or(Flaw::Identifier)?;
        let data = associated(&head, bound, self.claimed_audience());
        seal::open_bytes(&key.secret, &data, sealed).map_err(|_| Flaw::Identifier)
    }

    fn claims(&self, plain: &[u8]) -> Result<Map<String, Value>, Flaw> {
        let audience = self.claimed_audience();
        let mut claims = json::object(plain).map_err(|_| Flaw::Identifier)?;
        claims.remove(SEAL);
        // INVARIANT: `associated` ties the seal to the location, and the mint
        // makes the location the audience.
        if claims.get("aud").and_then(Value::as_str) != Some(audience) {
            return Err(Flaw::Location);
        }
        Ok(claims)
    }

    /// Opens it with the server's own keys. One that the resource minted by
    /// itself is refused: it is good there alone, and here in nobody's name.
    pub fn open_as_server(self, keys: &Keyring, bound: Bound<'_>) -> Result<SharedToken, Flaw> {
        let (working, key) = self.key(keys, bound)?;
        let identifier = self.0.root.identifier();
        chain::prove(&self.0, &chain_key(&key.secret, identifier))?;
        let plain = self.own(working, &key, bound)?;
        let agreements = agreement::all(&self.0, keys, bound);
        Ok(SharedToken {
            agreements,
            ..self.proved(&plain)?
        })
    }

    /// The claims of the root that it was made from, whatever was added: for
    /// taking it back, and nothing else. The server's own seal makes them
    /// authentic.
    pub fn name(self, keys: &Keyring, bound: Bound<'_>) -> Result<Map<String, Value>, Flaw> {
        let (working, key) = self.key(keys, bound)?;
        let plain = self.own(working, &key, bound)?;
        self.claims(&plain)
    }

    /// The working key that it is rooted in, and the one of resource and period.
    fn key<'k>(
        &self,
        keys: &'k Keyring,
        bound: Bound<'_>,
    ) -> Result<(&'k WorkingSecret, SharedKey), Flaw> {
        let (working, period) = self.numbers().ok_or(Flaw::Identifier)?;
        let working = keys
            .find(Purpose::Macaroon, working)
            .ok_or(Flaw::Identifier)?;
        let audience = self.claimed_audience();
        let key = SharedKey::derive(working, bound, audience, Period(period));
        Ok((working, key))
    }

    /// What is inside, if this server put it there.
    fn own(
        &self,
        working: &WorkingSecret,
        key: &SharedKey,
        bound: Bound<'_>,
    ) -> Result<Vec<u8>, Flaw> {
        let plain = self.unseal(key, bound)?;
        let data = associated(&key.head(), bound, self.claimed_audience());
        match OwnSeal::is_on(working, &data, &plain) {
            true => Ok(plain),
            false => Err(Flaw::NotMintedHere),
        }
    }
}

/// A shared macaroon whose chain of MACs was proved. Its claims are those of a
/// JWT, to be checked like those, and to be had only with the conditions.
#[derive(Debug)]
pub struct SharedToken {
    /// The end of the root, before any caveat.
    ends: Timestamp,
    claims: Map<String, Value>,
    demands: Demands,
    keys: Vec<u64>,
    agreements: Vec<Agreement>,
}

impl SharedToken {
    /// The marks of the keys behind its discharges: it dies with any of them.
    pub fn discharge_keys(&self) -> &[u64] {
        &self.keys
    }

    /// What each of its discharges rests on, as the server alone can read it.
    pub fn agreements(&self) -> &[Agreement] {
        &self.agreements
    }

    /// Whether uses are counted.
    pub fn is_counted(&self) -> bool {
        self.demands.is_counted()
    }

    /// What it says in a context, and what has to be counted for it.
    pub fn judge(self, context: &Context<'_>) -> Result<(Map<String, Value>, Vec<Count>), Flaw> {
        let counts = self.demands.judge(context, self.ends)?;
        Ok((self.claims, counts))
    }
}
