//! Passwords: Argon2id behind a bounded queue, the same work for names that
//! exist and names that do not.
//!
//! Each slot of the queue has its memory once and for all: what many requests
//! ask for at a time never adds up. A refusal costs as much as the costliest
//! hash in use, so that time does not tell whose hash was imported.
//!
//! Spec: RFC 9106 §3.1, §4

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use symbolon_protocol::ErrorCode;
use symbolon_store::{FindMeta, RaiseMeta, Store};
use symbolon_token::{Entropy, Secret, random};
use tokio::sync::Semaphore;

use super::queue::{Place, Queue};
use crate::failure::{Broken, Failure, Refusal};

/// How long a password may be, in bytes.
pub(crate) const MAX_PASSWORD_BYTES: usize = 1024;
/// How long a stored hash may be, in bytes.
const MAX_HASH_BYTES: usize = 1024;
/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// How much memory an imported hash may take, in KiB.
const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// How much work an imported hash may be, in passes over a KiB.
const MAX_COST: u64 = 4 * MAX_MEMORY_KIB as u64;
/// How many lanes it may have.
const MAX_LANES: u32 = 16;
/// How many may wait for each slot: as many as it serves in about a second.
const WAITING: usize = 32;
/// How long one may wait for a slot.
const PATIENCE: Duration = Duration::from_secs(3);
/// Under these names the store keeps what the costliest hash in use needs.
const COST: &str = "password-cost";
const WIDTH: &str = "password-memory";

/// The memory of one hash.
type Memory = Vec<Block>;

/// The queue in front of the hash.
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
    /// How long one may wait for a slot, where a test says so.
    patience: OnceLock<Duration>,
    queue: Queue,
    salts: Mutex<Salts>,
    /// Memory that no slot uses just now.
    resting: Arc<Mutex<Vec<Memory>>>,
    /// What a name that does not exist is compared with.
    nobody: String,
    /// What the costliest hash in use costs, in passes over a KiB.
    cost: AtomicU64,
    /// How much memory the widest hash in use takes, in KiB.
    width: AtomicU32,
}

/// Salts come from one random seed and a counter: unique is all they must be.
struct Salts {
    seed: [u8; 32],
    count: u64,
}

impl Passwords {
    /// One slot for each core.
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            slots: Arc::new(Semaphore::new(cores)),
            patience: OnceLock::new(),
            queue: Queue::new(cores * (WAITING + 1)),
            salts: Mutex::new(Salts {
                seed: random(entropy),
                count: 0,
            }),
            resting: Arc::default(),
            nobody: nobody(entropy),
            cost: AtomicU64::new(cost(MEMORY_KIB, PASSES)),
            width: AtomicU32::new(MEMORY_KIB),
        }
    }

    /// Lets whoever waits for a slot wait longer: machines that test are busy.
    #[cfg(feature = "testing")]
    pub(crate) fn be_patient(&self, patience: Duration) {
        let _ = self.patience.set(patience);
    }

    /// A place in the queue for somebody who signs in from an address.
    pub(crate) fn place(&self, from: IpAddr) -> Result<Place, Busy> {
        self.queue.enter(Some(from)).ok_or(Busy)
    }

    fn own_place(&self) -> Result<Place, Busy> {
        self.queue.enter(None).ok_or(Busy)
    }

    /// Hashes a new password into a PHC string.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, Failure> {
        check_length(&password)?;
        let salt = self.salt();
        let work = move |memory: &mut Memory| hash(password.expose(), &salt, memory);
        let hashed = self.queued(self.own_place()?, work).await??;
        hashed.ok_or(Broken::Impossible("a password could not be hashed").into())
    }

    /// Whether a password is the one of a PHC string.
    pub(crate) async fn verify(&self, password: Secret, phc: String) -> Result<bool, Failure> {
        if check_length(&password).is_err() {
            return Ok(false);
        }
        let work = move |memory: &mut Memory| verify(password.expose(), &phc, memory);
        Ok(self.queued(self.own_place()?, work).await??)
    }

    /// Whether a password lets somebody in. Whatever the reason that it does
    /// not, wrong or nobody's (no PHC string), it takes the same work.
    pub(crate) async fn admits(
        &self,
        place: Place,
        password: Secret,
        phc: Option<String>,
    ) -> Result<Result<bool, Busy>, Broken> {
        if check_length(&password).is_err() {
            return Ok(Ok(false));
        }
        let phc = phc.unwrap_or_else(|| self.nobody.clone());
        let own = self.note(&phc);
        let left = self.cost.load(Ordering::Relaxed).saturating_sub(own);
        let width = self.width.load(Ordering::Relaxed);
        let work = move |memory: &mut Memory| {
            let good = verify(password.expose(), &phc, memory);
            if !good {
                pass_time(left, width, memory);
            }
            good
        };
        self.queued(place, work).await
    }

    /// Takes notice of a hash that is in use, and says what it costs.
    fn note(&self, phc: &str) -> u64 {
        let Some(params) = params(phc) else {
            return 0;
        };
        let own = cost(params.m_cost(), params.t_cost());
        self.cost.fetch_max(own, Ordering::Relaxed);
        self.width.fetch_max(params.m_cost(), Ordering::Relaxed);
        own
    }

    /// Notes for all nodes and for ever that an imported hash will be in use.
    pub(crate) async fn import(&self, store: &Store, phc: &str) -> Result<(), Broken> {
        self.note(phc);
        let cost = self.cost.load(Ordering::Relaxed);
        let width = u64::from(self.width.load(Ordering::Relaxed));
        for (name, value) in [(COST, cost), (WIDTH, width)] {
            let value = value.to_be_bytes().to_vec();
            store.act(RaiseMeta { name, value }).await?;
        }
        Ok(())
    }

    /// Learns which hashes other nodes, or this one before it started, noted.
    pub(crate) async fn learn(&self, store: &Store) -> Result<(), Broken> {
        let noted = async |name| {
            let found = store.read(FindMeta { name }).await?;
            let bytes = found.and_then(|bytes| bytes.try_into().ok());
            Ok::<_, Broken>(bytes.map_or(0, u64::from_be_bytes))
        };
        self.cost.fetch_max(noted(COST).await?, Ordering::Relaxed);
        let width = u32::try_from(noted(WIDTH).await?).unwrap_or(MAX_MEMORY_KIB);
        self.width.fetch_max(width, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back the memory that no slot uses just now.
    pub(crate) fn rest(&self) {
        self.resting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
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

    /// Does the work in a slot, or turns the caller away.
    async fn queued<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<Result<T, Busy>, Broken> {
        let slots = Arc::clone(&self.slots);
        let patience = *self.patience.get().unwrap_or(&PATIENCE);
        let slot = tokio::time::timeout(patience, slots.acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            return Ok(Err(Busy));
        };
        let resting = Arc::clone(&self.resting);
        // INVARIANT: memory is taken and put back while a slot is held, so
        // there is never more of it than there are slots.
        let done = tokio::task::spawn_blocking(move || {
            let mut memory = lock(&resting).pop().unwrap_or_default();
            let done = work(&mut memory);
            lock(&resting).push(memory);
            drop((slot, place));
            done
        });
        let done = done.await.map(Ok);
        done.map_err(|_| Broken::Impossible("a hash did not end"))
    }
}

fn lock(resting: &Mutex<Vec<Memory>>) -> std::sync::MutexGuard<'_, Vec<Memory>> {
    resting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There is no room in the queue, or it took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

impl From<Busy> for Refusal {
    fn from(Busy: Busy) -> Self {
        let why = "too many people are signing in; try again in a moment";
        Self::new(ErrorCode::TemporarilyUnavailable, why).with_retry_after(1)
    }
}

impl From<Busy> for Failure {
    fn from(busy: Busy) -> Self {
        Refusal::from(busy).into()
    }
}

/// Whether a hash is one that this server computes, and costs no more than a
/// sign-in may.
pub(crate) fn is_affordable(phc: &str) -> bool {
    params(phc).is_some_and(|params| {
        params.m_cost() <= MAX_MEMORY_KIB
            && params.p_cost() <= MAX_LANES
            && cost(params.m_cost(), params.t_cost()) <= MAX_COST
    })
}

fn cost(memory: u32, passes: u32) -> u64 {
    u64::from(memory) * u64::from(passes)
}

/// The parameters of a PHC string that is whole.
fn params(phc: &str) -> Option<Params> {
    if phc.len() > MAX_HASH_BYTES {
        return None;
    }
    let read = PasswordHash::new(phc).ok()?;
    let known = matches!(read.algorithm.as_str(), "argon2id" | "argon2i");
    // What the text leaves out would be whatever a library takes for it.
    let says = |name: &str| read.params.iter().any(|(own, _)| own.as_str() == name);
    let whole = read.salt.is_some() && read.hash.is_some() && ["m", "t", "p"].into_iter().all(says);
    Params::try_from(&read).ok().filter(|_| known && whole)
}

/// A PHC string that no password has: its hash is random, and looking at it
/// costs what looking at any other does.
fn nobody(entropy: &dyn Entropy) -> String {
    phc(&random::<16>(entropy), &random::<32>(entropy))
}

fn phc(salt: &[u8], hash: &[u8]) -> String {
    let salt = BASE64_STANDARD_NO_PAD.encode(salt);
    let hash = BASE64_STANDARD_NO_PAD.encode(hash);
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${salt}${hash}")
}

fn check_length(password: &Secret) -> Result<(), Refusal> {
    if password.is_empty() || password.expose().len() > MAX_PASSWORD_BYTES {
        return Err(Refusal::invalid_request("a password has 1 to 1024 bytes"));
    }
    Ok(())
}

/// Room for a hash of these parameters; it grows only where it has to.
fn room<'m>(params: &Params, memory: &'m mut Memory) -> &'m mut [Block] {
    let blocks = params.block_count();
    if memory.len() < blocks {
        // What is too small goes first, so that both never stand at once.
        *memory = Vec::new();
        *memory = vec![Block::new(); blocks];
    }
    memory
}

fn hash(password: &[u8], salt: &[u8], memory: &mut Memory) -> Option<String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok()?;
    let room = room(&params, memory);
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, &mut out, room)
        .ok()?;
    Some(phc(salt, &out))
}

fn verify(password: &[u8], phc: &str, memory: &mut Memory) -> bool {
    let mut computed = || {
        let params = params(phc)?;
        let read = PasswordHash::new(phc).ok()?;
        let (salt, expected) = (read.salt?, read.hash?);
        let algorithm = match read.algorithm.as_str() {
            "argon2id" => Algorithm::Argon2id,
            _ => Algorithm::Argon2i,
        };
        let version = match read.version {
            None => Version::default(),
            Some(version) => Version::try_from(version).ok()?,
        };
        let mut out = vec![0; expected.as_ref().len()];
        let room = room(&params, memory);
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password, &salt, &mut out, room)
            .ok()?;
        Some(Secret::new(out).matches(expected.as_ref()))
    };
    computed().unwrap_or(false)
}

/// Does work that leads nowhere: as many passes over a KiB as are left.
fn pass_time(mut left: u64, width: u32, memory: &mut Memory) {
    while let Ok(wide) = u32::try_from(left.min(u64::from(width)))
        && wide >= Params::MIN_M_COST
    {
        let passes = u32::try_from(left / u64::from(wide)).unwrap_or(u32::MAX);
        let Ok(params) = Params::new(wide, passes, 1, None) else {
            return;
        };
        let room = room(&params, memory);
        let idle = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // Only the time matters.
        let _ = idle.fill_memory(b"nobody", b"no salt at all", room);
        left -= cost(wide, passes);
    }
}

/// Whether a hash is as strong as one that would be made today. One that costs
/// more stays: nothing is gained by making it cheaper.
pub(crate) fn is_strong(phc: &str) -> bool {
    let cost = || {
        let costs = phc.strip_prefix("$argon2id$v=19$")?.split('$').next()?;
        let number = |name: &str| {
            let mut costs = costs.split(',');
            costs.find_map(|cost| {
                cost.strip_prefix(name)?
                    .strip_prefix('=')?
                    .parse::<u64>()
                    .ok()
            })
        };
        number("m")?.checked_mul(number("t")?)
    };
    cost().is_some_and(|cost| cost >= u64::from(MEMORY_KIB) * u64::from(PASSES))
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::SeededEntropy;

    use super::*;

    /// `password` by another program: 64 MiB, three passes, four lanes.
    const WIDE: &str = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[tokio::test]
    async fn a_password_is_verified_against_its_hash_alone() {
        let passwords = Passwords::new(&SeededEntropy::new(1));
        let phc = passwords.hash("right".into()).await.unwrap();
        let admits = async |password: &str, phc: Option<&String>| {
            let place = passwords.own_place().unwrap();
            let phc = phc.cloned();
            let admitted = passwords.admits(place, password.into(), phc).await;
            admitted.unwrap().unwrap()
        };
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify("right".into(), phc.clone()).await.unwrap());
        assert!(admits("right", Some(&phc)).await && !admits("wrong", Some(&phc)).await);
        assert!(!passwords.verify("wrong".into(), phc).await.unwrap());
        assert!(!admits("nobody at all", None).await);
    }

    #[tokio::test]
    async fn a_hash_made_today_is_strong_and_a_cheaper_one_is_not() {
        let passwords = Passwords::new(&SeededEntropy::new(1));
        assert!(is_strong(&passwords.hash("right".into()).await.unwrap()));
        assert!(is_strong("$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"));
        for weak in [
            "$argon2id$v=19$m=19456,t=1,p=1$c2FsdA$aGFzaA",
            "$argon2id$v=16$m=19456,t=2,p=1$c2FsdA$aGFzaA",
            "$argon2i$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA",
            "$argon2id$v=19$c2FsdA$aGFzaA",
            "",
        ] {
            assert!(!is_strong(weak), "{weak}");
        }
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        let passwords = Passwords::new(&SeededEntropy::new(1));
        let one = passwords.hash("same".into()).await.unwrap();
        assert_ne!(one, passwords.hash("same".into()).await.unwrap());
    }

    #[tokio::test]
    async fn many_at_once_share_the_memory_of_the_slots() {
        let passwords = Passwords::new(&SeededEntropy::new(1));
        let slots = std::thread::available_parallelism().map_or(2, usize::from);

        let all = (0..slots * 3).map(|_| passwords.hash("same".into()));
        futures_util::future::join_all(all).await;

        let resting = lock(&passwords.resting);
        assert!((1..=slots).contains(&resting.len()), "{}", resting.len());
        let blocks = resting.iter().map(Vec::len).max();
        assert_eq!(blocks, Some(MEMORY_KIB as usize));
        drop(resting);
        passwords.rest();
        assert!(lock(&passwords.resting).is_empty());
    }

    #[test]
    fn a_hash_of_other_programs_is_taken_within_limits() {
        assert!(is_affordable(WIDE));
        for bad in [
            &WIDE.replace("m=65536", "m=65537"),
            &WIDE.replace("t=3", "t=5"),
            &WIDE.replace("p=4", "p=17"),
            &WIDE.replace("argon2id", "argon2d"),
            &WIDE.replace("argon2id", "scrypt"),
            &WIDE.replace("$AAAAAA", "$"),
            &WIDE[..60],
            "",
        ] {
            assert!(!is_affordable(bad), "{bad}");
        }
        let params = Params::new(MEMORY_KIB, PASSES, 1, Some(32)).unwrap();
        let mut out = [0; 32];
        let argon = Argon2::new(Algorithm::Argon2i, Version::V0x10, params);
        argon
            .hash_password_into(b"password", b"somesaltsomesalt", &mut out)
            .unwrap();
        let old = phc(b"somesaltsomesalt", &out)
            .replace("argon2id", "argon2i")
            .replace("v=19", "v=16");

        assert!(verify(b"password", &old, &mut Memory::new()));
        assert!(!verify(b"Password", &old, &mut Memory::new()));
    }

    #[test]
    fn whoever_is_refused_waits_as_long_as_the_costliest_hash_takes() {
        let passwords = Passwords::new(&SeededEntropy::new(1));
        let own = passwords.note(&passwords.nobody.clone());

        let wide = passwords.note(WIDE);

        assert_eq!(own, 2 * 19 * 1024);
        assert_eq!(wide, 3 * 64 * 1024);
        assert_eq!(passwords.cost.load(Ordering::Relaxed), wide);
        let mut memory = Memory::new();
        pass_time(wide - own, MAX_MEMORY_KIB, &mut memory);
        assert_eq!(memory.len(), MAX_MEMORY_KIB as usize);
        pass_time(7, MAX_MEMORY_KIB, &mut memory);
        pass_time(0, MAX_MEMORY_KIB, &mut memory);
    }
}
