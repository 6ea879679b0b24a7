//! The chain that audit records are linked into, and the anchors that hold it.
//!
//! Each link is a SHA-256 digest over the link before it and the record's own
//! contents, so a record that is changed, removed, put in or moved breaks the
//! link after it. The head of the chain is signed (Ed25519) by a key that does
//! nothing else: who can write to the database, and has no key, cannot make
//! another chain pass for this one. [`ChainCheck`] finds where one breaks.
//!
//! Spec: FIPS 180-4 §6.2
//! Spec: RFC 8032 §5.1

mod check;

pub use self::check::{ChainCheck, Flaw, MAX_FLAWS};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use symbolon_protocol::Timestamp;

use crate::keyring::{Keyring, Purpose, WorkingSecret};

/// What stands before the first link.
pub const GENESIS: LinkHash = [0; 32];

/// What the record is called that tells of a new start of the chain: its detail
/// names the last link that was let go, `through`.
pub const FORGET: &str = "audit.forget";

/// A link's digest.
pub type LinkHash = [u8; 32];

/// The public half of a key that anchors, and its name.
pub type AnchorKey = (String, [u8; 32]);

/// A record in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the chain, from 1 on, without gaps.
    pub link: i64,
    /// Which process wrote it.
    pub node: i64,
    /// The process's own number for it.
    pub counter: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// Whom it was done to.
    pub subject: Option<String>,
    /// The client it was about.
    pub client: Option<String>,
    /// More: the JSON text as it is stored.
    pub detail: String,
    /// The request's id.
    pub request: String,
}

impl Record {
    /// The digest of this link. Numbers are eight bytes, texts their length in
    /// four bytes and themselves, what may be missing a byte that says so;
    /// lengths and numbers have the most significant byte first.
    pub fn hash(&self, before: &LinkHash) -> LinkHash {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(LINK);
        context.update(before);
        for number in [self.link, self.node, self.counter, self.at.millis()] {
            context.update(&number.to_be_bytes());
        }
        let mut text = |text: &str| {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            context.update(&length.to_be_bytes());
            context.update(text.as_bytes());
        };
        text(&self.action);
        text(&self.actor);
        for optional in [&self.subject, &self.client] {
            text(if optional.is_some() { "1" } else { "0" });
            text(optional.as_deref().unwrap_or_default());
        }
        text(&self.detail);
        text(&self.request);
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

/// The head of the chain at a time, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The last link.
    pub link: i64,
    /// Its digest.
    pub hash: LinkHash,
    /// When it was signed.
    pub at: Timestamp,
    /// The name of the key.
    pub key: String,
    /// The signature.
    pub signature: Vec<u8>,
}

impl Anchor {
    /// Whether one of some keys signed it.
    pub fn is_signed_by(&self, keys: &[AnchorKey]) -> bool {
        let signed = signed(self.link, &self.hash, self.at);
        let mut own = keys.iter().filter(|(name, _)| *name == self.key);
        own.any(|(_, public)| {
            let key = UnparsedPublicKey::new(&ED25519, public);
            key.verify(&signed, &self.signature).is_ok()
        })
    }
}

impl Keyring {
    /// Signs the head of the audit chain.
    pub fn anchor(&self, link: i64, hash: LinkHash, at: Timestamp) -> Anchor {
        let secret = self.current(Purpose::Audit);
        let signature = pair(secret).sign(&signed(link, &hash, at));
        Anchor {
            link,
            hash,
            at,
            key: Purpose::Audit.key_name(secret.id),
            signature: signature.as_ref().to_vec(),
        }
    }

    /// The public halves of every key that may have signed an anchor.
    pub fn anchor_keys(&self) -> Vec<AnchorKey> {
        self.all(Purpose::Audit)
            .map(|secret| {
                let mut public = [0; 32];
                public.copy_from_slice(pair(secret).public_key().as_ref());
                (Purpose::Audit.key_name(secret.id), public)
            })
            .collect()
    }
}

#[expect(clippy::expect_used, reason = "any 32 bytes are a seed of Ed25519")]
fn pair(secret: &WorkingSecret) -> Ed25519KeyPair {
    let seed = secret.derive(ANCHOR, b"ed25519 seed");
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes")
}

fn signed(link: i64, hash: &LinkHash, at: Timestamp) -> Vec<u8> {
    [
        ANCHOR,
        &link.to_be_bytes(),
        hash,
        &at.millis().to_be_bytes(),
    ]
    .concat()
}

/// Begins what a link's digest is of.
const LINK: &[u8] = b"symbolon audit link 1";
/// Begins what an anchor's signature is of.
const ANCHOR: &[u8] = b"symbolon audit anchor 1";
