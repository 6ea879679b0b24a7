//! Time and randomness as arguments: the two traits that every flow is handed.

use std::fmt;
use std::time::Duration;

use symbolon_protocol::Timestamp;

/// Tells the time. The real one is made at the edge; tests bring their own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock: what tokens are dated with.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, which never runs backwards: what
    /// durations are measured with.
    fn monotonic(&self) -> Duration;
}

/// Gives random bytes from a source fit for keys.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `bytes`. An implementation that cannot must end the process:
    /// there is no safe answer without randomness.
    fn fill(&self, bytes: &mut [u8]);
}

/// An array of random bytes.
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// The operating system's randomness. Only the edge calls this.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge of each program reaches the library through here"
)]
pub fn system_random(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| NoRandomness)
}

/// The operating system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;
