//! DPoP: the proof that whoever sends a request holds a key, and the memory in
//! which a proof is good once.
//!
//! A proof that [`check()`] let through is good by itself. Its caller has three
//! things left to do: take exactly one `DPoP` header, compare [`Proof::key`]
//! with the key that the token is bound to, and use the proof up, in
//! [`ProofMemory`] or in a store.
//!
//! Spec: RFC 9449 §4, §7, §8, §9, §11.1

mod check;
mod claims;
mod memory;

pub use check::{Expected, InvalidProof, MAX_PROOF_BYTES, Proof, acceptable_span, check};
pub use claims::{Claims, prove};
pub use memory::{NONCE_LIFETIME, ProofMemory, Unspent};

use crate::jose::Algorithm;

/// The `typ` of a proof.
pub const PROOF_TYPE: &str = "dpop+jwt";

/// The algorithms of proofs, as challenges and metadata name them.
pub const ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
    Algorithm::Ed25519,
    Algorithm::Rs256,
    Algorithm::Ps256,
];

/// Their names with a space between, for the `algs` of a challenge.
pub fn algorithm_names() -> String {
    ALGORITHMS.map(Algorithm::as_str).join(" ")
}

#[cfg(test)]
mod tests;
