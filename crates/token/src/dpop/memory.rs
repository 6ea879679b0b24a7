//! What one process remembers of proofs, within a bound: that each is good once.
//!
//! A proof that carries a nonce of this process is remembered for as long as
//! the nonce is taken. Whoever asks for such nonces is safe against a replay on
//! another node and after a restart: there the nonce is not known. One without
//! a nonce is remembered until it is too old, and taken only where it was made
//! after this process began, since before that nobody here remembered anything.
//! Where the memory is full, it does not forget: it asks for a nonce, and nonces
//! change faster.
//!
//! Spec: RFC 9449 §8, §9, §11.1

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_protocol::Timestamp;

use super::check::{Proof, acceptable_span, ahead};
use crate::clock::{Entropy, random};

/// How long a nonce is handed out. It is taken for as long again.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(180);
/// How many proofs one generation remembers; there are four.
const MAX_REMEMBERED: usize = 1 << 18;

/// Why a proof that is good by itself is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unspent {
    /// It was used before (`invalid_dpop_proof`).
    Replayed,
    /// It has to carry a nonce of this process (`use_dpop_nonce`).
    NonceNeeded,
}

/// The memory of one process.
pub struct ProofMemory {
    key: hmac::Key,
    began: Timestamp,
    skew: Duration,
    most: usize,
    held: Mutex<Held>,
}

struct Held {
    /// Proofs with a nonce, by the nonce's number.
    tied: Generations,
    /// Proofs without.
    free: Generations,
}

/// Two generations: what is in the one before the last is forgotten when the
/// next begins.
#[derive(Default)]
struct Generations {
    number: u64,
    began: Option<Timestamp>,
    current: Seen,
    previous: Seen,
}

type Seen = HashSet<[u8; 16]>;

impl ProofMemory {
    /// The memory of a process that begins now.
    pub fn new(entropy: &dyn Entropy, now: Timestamp, skew: Duration) -> Self {
        Self::holding(MAX_REMEMBERED, &random(entropy), now, skew)
    }

    fn holding(most: usize, secret: &[u8; 32], now: Timestamp, skew: Duration) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            began: now,
            skew,
            most,
            held: Mutex::new(Held {
                tied: Generations::default(),
                free: Generations::default(),
            }),
        }
    }

    /// The nonce for the next proof.
    pub fn nonce(&self, now: Timestamp) -> String {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.tied.turn(now, NONCE_LIFETIME);
        self.nonce_numbered(held.tied.number)
    }

    /// Uses a proof up that carries a nonce of this process.
    pub fn spend_tied(&self, proof: &Proof, now: Timestamp) -> Result<(), Unspent> {
        let presented = proof.nonce().ok_or(Unspent::NonceNeeded)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let tied = &mut held.tied;
        tied.turn(now, NONCE_LIFETIME);
        let is = |number: u64| self.nonce_numbered(number) == presented;
        let is_current = is(tied.number);
        let is_previous = || tied.number > 0 && is(tied.number - 1);
        if !is_current && !is_previous() {
            return Err(Unspent::NonceNeeded);
        }
        if tied.remembers(proof) {
            return Err(Unspent::Replayed);
        }
        let own = if is_current {
            &mut tied.current
        } else {
            &mut tied.previous
        };
        if own.len() >= self.most {
            // INVARIANT: what is forgotten here is refused from now on, because
            // its nonce went with it.
            if is_current {
                tied.begin(now);
            }
            return Err(Unspent::NonceNeeded);
        }
        own.insert(short(proof));
        Ok(())
    }

    /// Uses a proof up, whether it carries a nonce or not.
    pub fn spend(&self, proof: &Proof, now: Timestamp) -> Result<(), Unspent> {
        if proof.nonce().is_some() {
            return self.spend_tied(proof, now);
        }
        // It may have been used where nobody remembers: before the start.
        if proof.issued() <= self.began + ahead(self.skew) {
            return Err(Unspent::NonceNeeded);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let free = &mut held.free;
        free.turn(now, acceptable_span(self.skew));
        if free.remembers(proof) {
            return Err(Unspent::Replayed);
        }
        if free.current.len() >= self.most {
            return Err(Unspent::NonceNeeded);
        }
        free.current.insert(short(proof));
        Ok(())
    }

    /// Looks whether a proof was seen here, and remembers it, for an act that
    /// uses it up over all processes: one that another process or a nonce that
    /// is over has to judge is seen once here all the same.
    pub fn note(&self, proof: &Proof, now: Timestamp) -> Result<(), Unspent> {
        match self.spend(proof, now) {
            Err(Unspent::NonceNeeded) => {}
            outcome => return outcome,
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let free = &mut held.free;
        free.turn(now, acceptable_span(self.skew));
        if free.remembers(proof) {
            return Err(Unspent::Replayed);
        }
        if free.current.len() < self.most {
            free.current.insert(short(proof));
        }
        match proof.nonce() {
            Some(_) => Err(Unspent::NonceNeeded),
            None => Ok(()),
        }
    }

    fn nonce_numbered(&self, number: u64) -> String {
        let tag = hmac::sign(&self.key, &number.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(&tag.as_ref()[..16])
    }
}

impl Generations {
    /// Begins the next generation where the last is old enough.
    fn turn(&mut self, now: Timestamp, lifetime: Duration) {
        let Some(began) = self.began else {
            self.began = Some(now);
            return;
        };
        let age = now.since(began);
        if age >= lifetime {
            self.begin(now);
        }
        if age >= lifetime * 2 {
            // Nobody used the one between.
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Timestamp) {
        self.number += 1;
        self.began = Some(now);
        self.previous = std::mem::take(&mut self.current);
    }

    fn remembers(&self, proof: &Proof) -> bool {
        let own = short(proof);
        self.current.contains(&own) || self.previous.contains(&own)
    }
}

/// Half of the digest: 128 bits are more than anybody finds twice.
fn short(proof: &Proof) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&proof.once()[..16]);
    short
}

impl fmt::Debug for ProofMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofMemory(..)")
    }
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::SigningAlgorithm;
    use symbolon_testkit::at;

    use super::super::{Claims, Expected, check, prove};
    use super::*;
    use crate::jose::SigningKey;

    const SKEW: Duration = Duration::from_secs(10);
    const TARGET: &str = "https://api.example.com/orders";

    fn key() -> SigningKey {
        let own = SigningKey::generate(SigningAlgorithm::EdDsa).unwrap();
        SigningKey::from_pkcs8(SigningAlgorithm::EdDsa, &own).unwrap()
    }

    fn memory(most: usize) -> ProofMemory {
        ProofMemory::holding(most, &[1; 32], at(0), SKEW)
    }

    fn proof(key: &SigningKey, jti: &str, nonce: Option<&str>, seconds: i64) -> Proof {
        let claims = Claims {
            method: "GET",
            target: TARGET,
            jti,
            issued: at(seconds),
            access_token: None,
            nonce,
        };
        let expected = Expected {
            method: "GET",
            target: &TARGET.parse().unwrap(),
            access_token: None,
            now: at(seconds),
            skew: SKEW,
        };
        check(&prove(key, &claims), &expected).unwrap()
    }

    #[test]
    fn a_proof_is_good_once_for_as_long_as_it_would_be_taken() {
        let (memory, key) = (memory(100), key());
        let own = proof(&key, "a", None, 20);

        assert_eq!(memory.spend(&own, at(10)), Ok(()));
        for later in 10..=90 {
            assert_eq!(memory.spend(&own, at(later)), Err(Unspent::Replayed));
        }
        assert_eq!(memory.spend(&proof(&key, "b", None, 20), at(20)), Ok(()));
    }

    #[test]
    fn what_an_act_uses_up_is_seen_once_whatever_its_nonce() {
        let (memory, key) = (memory(100), key());
        let early = proof(&key, "a", None, 1);
        let foreign = proof(&key, "b", Some("of another process"), 20);

        assert_eq!(memory.note(&early, at(1)), Ok(()));
        assert_eq!(memory.note(&foreign, at(20)), Err(Unspent::NonceNeeded));

        assert_eq!(memory.note(&early, at(2)), Err(Unspent::Replayed));
        assert_eq!(memory.note(&foreign, at(21)), Err(Unspent::Replayed));
        let nonce = memory.nonce(at(22));
        let own = proof(&key, "c", Some(&nonce), 22);
        assert_eq!(memory.note(&own, at(22)), Ok(()));
        assert_eq!(memory.note(&own, at(23)), Err(Unspent::Replayed));
    }

    #[test]
    fn another_key_does_not_use_up_a_jti() {
        let (memory, victim, stranger) = (memory(100), key(), key());
        memory
            .spend(&proof(&stranger, "a", None, 20), at(20))
            .unwrap();

        assert_eq!(memory.spend(&proof(&victim, "a", None, 20), at(20)), Ok(()));
    }

    #[test]
    fn a_proof_that_may_be_older_than_the_process_needs_a_nonce() {
        let (memory, key) = (memory(100), key());
        let needed = Err(Unspent::NonceNeeded);

        assert_eq!(memory.spend(&proof(&key, "a", None, 10), at(5)), needed);
        assert_eq!(memory.spend(&proof(&key, "b", None, 11), at(5)), Ok(()));
        let nonce = memory.nonce(at(5));
        let tied = proof(&key, "c", Some(&nonce), 5);
        assert_eq!(memory.spend(&tied, at(5)), Ok(()));
        assert_eq!(memory.spend(&tied, at(5)), Err(Unspent::Replayed));
    }

    #[test]
    fn a_nonce_of_another_process_is_not_known_here() {
        let (one, key) = (memory(100), key());
        let other = ProofMemory::holding(100, &[2; 32], at(0), SKEW);
        let nonce = one.nonce(at(20));
        let own = proof(&key, "a", Some(&nonce), 20);

        assert_eq!(one.spend_tied(&own, at(20)), Ok(()));
        assert_eq!(other.spend_tied(&own, at(20)), Err(Unspent::NonceNeeded));
        assert_eq!(other.spend(&own, at(20)), Err(Unspent::NonceNeeded));
    }

    #[test]
    fn a_nonce_is_taken_for_one_more_lifetime_and_no_longer() {
        let (memory, key) = (memory(100), key());
        let first = memory.nonce(at(0));
        assert_eq!(memory.nonce(at(179)), first);
        let second = memory.nonce(at(180));
        assert_ne!(second, first);

        let spent = memory.spend_tied(&proof(&key, "a", Some(&first), 359), at(359));
        assert_eq!(spent, Ok(()));
        let spent = memory.spend_tied(&proof(&key, "b", Some(&first), 360), at(360));
        assert_eq!(spent, Err(Unspent::NonceNeeded));
        let spent = memory.spend_tied(&proof(&key, "c", Some(&second), 360), at(360));
        assert_eq!(spent, Ok(()));
        // After a long silence no nonce is left.
        let spent = memory.spend_tied(&proof(&key, "d", Some(&second), 9000), at(9000));
        assert_eq!(spent, Err(Unspent::NonceNeeded));
    }

    #[test]
    fn a_full_memory_asks_for_nonces_and_forgets_no_proof_that_it_would_take() {
        let (memory, key) = (memory(3), key());
        let free: Vec<_> = (0..4)
            .map(|n| proof(&key, &format!("free {n}"), None, 20))
            .collect();
        for own in &free[..3] {
            assert_eq!(memory.spend(own, at(20)), Ok(()));
        }
        assert_eq!(memory.spend(&free[3], at(20)), Err(Unspent::NonceNeeded));
        assert_eq!(memory.spend(&free[0], at(20)), Err(Unspent::Replayed));

        let mut used = Vec::new();
        for n in 0..20 {
            let nonce = memory.nonce(at(20));
            let own = proof(&key, &format!("tied {n}"), Some(&nonce), 20);
            match memory.spend_tied(&own, at(20)) {
                Ok(()) => used.push(own),
                Err(refused) => assert_eq!(refused, Unspent::NonceNeeded),
            }
        }
        assert!(used.len() >= 14, "{}", used.len());
        for own in &used {
            assert!(memory.spend_tied(own, at(20)).is_err());
        }
    }

    #[test]
    fn a_proof_needs_a_nonce_where_all_do() {
        let (memory, key) = (memory(3), key());
        let bare = proof(&key, "a", None, 100);

        assert_eq!(memory.spend_tied(&bare, at(100)), Err(Unspent::NonceNeeded));
    }
}
