//! Passwords: Argon2id behind a bounded queue, the same work for names that
//! exist and names that do not.
//!
//! Spec: RFC 9106 §4

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use symbolon_protocol::ErrorCode;
use symbolon_token::{Entropy, Secret, random};
use tokio::sync::Semaphore;

use crate::failure::{Broken, Failure, Refusal};

/// How long a password may be, in bytes.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;
/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// How long one may wait for a slot.
const PATIENCE: Duration = Duration::from_millis(900);

/// The queue in front of the hash.
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
    most: usize,
    inside: Arc<AtomicUsize>,
    salts: Mutex<Salts>,
    memory: Arc<Memory>,
    /// What a name that does not exist is compared with.
    nobody: String,
}

/// Salts come from one random seed and a counter: unique is all they must be.
struct Salts {
    seed: [u8; 32],
    count: u64,
}

impl Passwords {
    /// One slot for each core; twice as many may wait.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            slots: Arc::new(Semaphore::new(cores)),
            most: cores * 3,
            inside: Arc::default(),
            salts: Mutex::new(Salts {
                seed: random(entropy),
                count: 0,
            }),
            memory: Arc::default(),
            nobody: nobody(entropy),
        }
    }

    /// Hashes a new password into a PHC string.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, Failure> {
        check_length(&password)?;
        let salt = self.salt();
        let work = move |memory: &mut Vec<Block>| hash(password.expose(), &salt, memory);
        let hashed = self.queued(work).await?;
        hashed.ok_or(Broken::Impossible("a password could not be hashed").into())
    }

    /// Whether a password is the one of a PHC string.
    pub(crate) async fn verify(&self, password: Secret, phc: String) -> Result<bool, Failure> {
        if check_length(&password).is_err() {
            return Ok(false);
        }
        let work = move |memory: &mut Vec<Block>| verify(password.expose(), &phc, memory);
        Ok(self.queued(work).await?.unwrap_or(false))
    }

    /// The same work for somebody who has no password.
    pub(crate) async fn verify_nobody(&self, password: Secret) -> Result<bool, Failure> {
        self.verify(password, self.nobody.clone())
            .await
            .map(|_| false)
    }

    fn salt(&self) -> [u8; 16] {
        let mut salts = self.salts.lock().unwrap_or_else(PoisonError::into_inner);
        salts.count += 1;
        let digest =
            symbolon_token::Digest::of(&[&salts.seed[..], &salts.count.to_be_bytes()].concat());
        let mut salt = [0; 16];
        salt.copy_from_slice(&digest.as_bytes()[..16]);
        salt
    }

    /// Does the work in a slot, or turns the caller away at once.
    async fn queued<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let place = Place::take(&self.inside, self.most).ok_or_else(busy)?;
        let slots = Arc::clone(&self.slots);
        let slot = tokio::time::timeout(PATIENCE, slots.acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Err(busy().into());
        };
        let memory = Arc::clone(&self.memory);
        let done = tokio::task::spawn_blocking(move || {
            let mut own = memory.take();
            let done = work(&mut own);
            memory.give_back(own);
            drop((slot, place));
            done
        });
        done.await
            .map_err(|_| Broken::Impossible("a hash did not end").into())
    }
}

/// What hashes are made in: as many pieces as there are slots, used again.
/// Given back to the system each time, they would stay with the thread that
/// freed them, and there are more threads than slots.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    fn take(&self) -> Vec<Block> {
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.pop().unwrap_or_default()
    }

    fn give_back(&self, mut piece: Vec<Block>) {
        // A hash from elsewhere may have needed more.
        piece.truncate(MEMORY_KIB as usize);
        piece.shrink_to_fit();
        let mut pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push(piece);
    }
}

/// One of those inside, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(inside: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(Arc::clone(inside));
        (inside.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn busy() -> Refusal {
    Refusal::new(
        ErrorCode::TemporarilyUnavailable,
        "too many people are signing in; try again in a moment",
    )
    .with_retry_after(1)
}

/// A PHC string that no password has: its hash is random, and looking at it
/// costs what looking at any other does.
fn nobody(entropy: &dyn Entropy) -> String {
    let salt = BASE64_STANDARD_NO_PAD.encode(random::<16>(entropy));
    let hash = BASE64_STANDARD_NO_PAD.encode(random::<32>(entropy));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${salt}${hash}")
}

fn check_length(password: &Secret) -> Result<(), Refusal> {
    if password.is_empty() || password.expose().len() > MAX_PASSWORD_BYTES {
        return Err(Refusal::invalid_request("a password has 1 to 1024 bytes"));
    }
    Ok(())
}

fn hash(password: &[u8], salt: &[u8], memory: &mut Vec<Block>) -> Option<String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    let stored = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).ok()?,
        salt: Some(Salt::new(salt).ok()?),
        hash: None,
    };
    let output = fill(password, &stored, (memory, Params::DEFAULT_OUTPUT_LEN))?;
    let hash = Some(output);
    Some(PasswordHash { hash, ..stored }.to_string())
}

/// Whether a password is the one of a PHC string; nothing where that is none.
fn verify(password: &[u8], phc: &str, memory: &mut Vec<Block>) -> Option<bool> {
    let stored = PasswordHash::new(phc).ok()?;
    let expected = stored.hash?;
    let found = fill(password, &stored, (memory, expected.len()))?;
    Some(Secret::new(expected.as_ref().to_vec()).matches(found.as_ref()))
}

/// Hashes a password as a stored hash says, in memory that is there.
fn fill(
    password: &[u8],
    stored: &PasswordHash,
    (memory, length): (&mut Vec<Block>, usize),
) -> Option<Output> {
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = match stored.version {
        Some(version) => Version::try_from(version).ok()?,
        None => Version::default(),
    };
    let params = Params::try_from(stored).ok()?;
    let blocks = params.block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let (argon, salt) = (Argon2::new(algorithm, version, params), stored.salt?);
    let mut out = [0; Output::MAX_LENGTH];
    let out = out.get_mut(..length)?;
    let filled = argon.hash_password_into_with_memory(password, &salt, out, &mut memory[..]);
    filled.ok()?;
    Output::new(out).ok()
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::SeededEntropy;

    use super::*;

    #[tokio::test]
    async fn a_password_is_verified_against_its_hash_alone() {
        let passwords = Passwords::new(&SeededEntropy::new(1));
        let phc = passwords.hash("right".into()).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify("right".into(), phc.clone()).await.unwrap());
        assert!(!passwords.verify("wrong".into(), phc).await.unwrap());
        assert!(
            !passwords
                .verify_nobody("nobody at all".into())
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        let passwords = Passwords::new(&SeededEntropy::new(1));
        let one = passwords.hash("same".into()).await.unwrap();
        assert_ne!(one, passwords.hash("same".into()).await.unwrap());
    }
}
