//! The chain of MACs: proves that nothing was changed, moved or taken away,
//! and that each discharge is asked for, bound to this root, and used once.
//!
//! What the caveats mean is not asked here: every predicate passes, and
//! [`Demands`](super::demands::Demands) judges those of the root and of every discharge.
//! No discharge is left over, so there is none whose caveats do not count.
//!
//! Spec: Macaroons NDSS 2014 §3.1

use libmacaroon::{MacaroonError, MacaroonKey, Verifier};

use super::Flaw;
use super::form::Bundle;

/// Proves a bundle under the key of its root.
pub(super) fn prove(bundle: &Bundle, key: &MacaroonKey) -> Result<(), Flaw> {
    let mut names: Vec<&[u8]> = bundle
        .discharges
        .iter()
        .map(|own| own.identifier())
        .collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Flaw::DischargeUnused);
    }
    let mut verifier = Verifier::default();
    verifier.satisfy_general(|_| true);
    let proved = verifier.verify(&bundle.root, key, &bundle.discharges);
    proved.map_err(|error| match error {
        // Of a predicate it cannot come: all of them pass.
        MacaroonError::CaveatNotSatisfied(_) => Flaw::DischargeMissing,
        MacaroonError::DischargeNotUsed => Flaw::DischargeUnused,
        _ => Flaw::Mac,
    })
}
