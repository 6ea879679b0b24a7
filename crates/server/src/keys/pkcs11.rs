//! The master key in a PKCS#11 token: an AES key that never leaves it, and
//! does nothing but wrap.
//!
//! Layout of what it seals: version (1), nonce (12), ciphertext and tag.
//!
//! Spec: RFC 5116 §5.1
//! Spec: RFC 7512 §2.3, §2.4

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use symbolon_token::master::Wraps;
use symbolon_token::{Digest, Entropy, MasterKey, Secret, random};

use super::KeysError;
use super::uri::TokenUri;
use super::worker::Worker;

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG_BITS: u64 = 128;

/// How long the token may take for one answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Opens the token that a URI names.
pub(super) fn open(uri: &TokenUri) -> Result<MasterKey, KeysError> {
    let pin = std::fs::read_to_string(&uri.pin).map_err(|cause| KeysError::File {
        path: uri.pin.display().to_string(),
        cause,
    })?;
    let token = Token::open(uri, Secret::from(pin.trim_end_matches(['\r', '\n'])))?;
    let place: Arc<dyn Wraps> = Arc::new(token);
    MasterKey::elsewhere(place).map_err(|error| KeysError::Token(error.to_string()))
}

/// A token whose library is called in a thread of its own: where it hangs, it
/// hangs alone, and whoever asked is told so after the deadline.
struct Token {
    held: Worker<Held>,
    uri: TokenUri,
}

/// An open session with the token.
struct Held {
    session: Session,
    key: ObjectHandle,
    /// Keeps the library loaded.
    _context: Pkcs11,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} {})", self.uri.token, self.uri.object)
    }
}

fn failed(what: &str) -> impl Fn(Error) -> KeysError + '_ {
    move |error| KeysError::Token(format!("{what}: {error}"))
}

impl Token {
    fn open(uri: &TokenUri, pin: Secret) -> Result<Self, KeysError> {
        let named = uri.clone();
        let held = Worker::start("pkcs11", DEADLINE, move || Held::open(&named, &pin));
        let late = || KeysError::Token("it did not answer in ten seconds".to_owned());
        Ok(Self {
            held: held.ok_or_else(late)??,
            uri: uri.clone(),
        })
    }

    fn encrypt(&self, nonce: [u8; NONCE], associated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let (associated, plain) = (associated.to_vec(), Secret::new(plain.to_vec()));
        self.held
            .call(move |held| held.encrypt(nonce, &associated, plain.expose()))
            .flatten()
    }

    fn decrypt(&self, nonce: [u8; NONCE], associated: &[u8], sealed: &[u8]) -> Option<Secret> {
        let (associated, sealed) = (associated.to_vec(), sealed.to_vec());
        self.held
            .call(move |held| held.decrypt(nonce, &associated, &sealed))
            .flatten()
    }
}

impl Held {
    fn open(uri: &TokenUri, pin: &Secret) -> Result<Self, KeysError> {
        let context = Pkcs11::new(&uri.module).map_err(failed("could not load its library"))?;
        let flags = CInitializeFlags::OS_LOCKING_OK;
        match context.initialize(CInitializeArgs::new(flags)) {
            // Another part of this process uses the same library.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed("could not initialise it")(error)),
        }
        let slot = slot(&context, &uri.token)?;
        let session = context
            .open_ro_session(slot)
            .map_err(failed("could not open a session"))?;
        let pin = AuthPin::from(pin.expose_str().to_owned());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(failed("could not sign in with the PIN")(error)),
        }
        let key = key(&session, &uri.object)?;
        Ok(Self {
            session,
            key,
            _context: context,
        })
    }

    fn encrypt(&self, mut nonce: [u8; NONCE], associated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let parameters = GcmParams::new(&mut nonce, associated, TAG_BITS.into()).ok()?;
        let mechanism = Mechanism::AesGcm(parameters);
        let sealed = self.session.encrypt(&mechanism, self.key, plain);
        sealed.inspect_err(log).ok()
    }

    fn decrypt(&self, mut nonce: [u8; NONCE], associated: &[u8], sealed: &[u8]) -> Option<Secret> {
        let parameters = GcmParams::new(&mut nonce, associated, TAG_BITS.into()).ok()?;
        let mechanism = Mechanism::AesGcm(parameters);
        let plain = self.session.decrypt(&mechanism, self.key, sealed);
        plain.inspect_err(log).ok().map(Secret::new)
    }
}

fn log(error: &Error) {
    tracing::debug!(cause = %error, "the PKCS#11 token refused");
}

fn slot(context: &Pkcs11, label: &str) -> Result<Slot, KeysError> {
    let slots = context
        .get_slots_with_token()
        .map_err(failed("could not list its slots"))?;
    let is_named = |slot: &Slot| {
        let found = context.get_token_info(*slot);
        found.is_ok_and(|found| found.label().trim_end() == label)
    };
    let mut found = slots.into_iter().filter(is_named);
    match (found.next(), found.next()) {
        (Some(slot), None) => Ok(slot),
        (None, _) => Err(KeysError::Token(format!("there is no token `{label}`"))),
        _ => Err(KeysError::Token(format!(
            "there are several tokens `{label}`"
        ))),
    }
}

fn key(session: &Session, label: &str) -> Result<ObjectHandle, KeysError> {
    let wanted = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let found = session
        .find_objects(&wanted)
        .map_err(failed("could not look for the key"))?;
    match &found[..] {
        [key] => Ok(*key),
        [] => Err(KeysError::Token(format!("it has no AES key `{label}`"))),
        _ => Err(KeysError::Token(format!(
            "it has several AES keys `{label}`"
        ))),
    }
}

impl Wraps for Token {
    fn seal(&self, associated: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE] = random(entropy);
        let sealed = self.encrypt(nonce, associated, plain)?;
        Some([&[VERSION][..], &nonce, &sealed].concat())
    }

    fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Secret> {
        let (head, sealed) = sealed.split_at_checked(1 + NONCE)?;
        let nonce: [u8; NONCE] = head.get(1..)?.try_into().ok()?;
        (head[0] == VERSION)
            .then(|| self.decrypt(nonce, associated, sealed))
            .flatten()
    }

    /// One fixed text under one fixed nonce, which seals nothing else: a
    /// random nonce meets it once in 2^96.
    fn fingerprint(&self) -> Option<Digest> {
        let sealed = self.encrypt([0; NONCE], b"symbolon fingerprint", &[0; 32])?;
        Some(Digest::of(&sealed))
    }
}
