//! What whoever holds a macaroon can do with it, without asking anyone: read
//! its caveats, add to them, and bind discharges.
//!
//! Spec: Macaroons NDSS 2014 §2.1, §2.2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libmacaroon::MacaroonKey;

use super::binary::{Binary, Field};
use super::caveat::Caveat;
use super::flaw::Flaw;
use super::form::Bundle;
use super::root::{SERVER, SHARED};
use crate::secret::Secret;

/// Adds caveats. The macaroon that comes out permits what the one that went in
/// did, as far as the caveats leave it.
///
/// ```
/// use symbolon_token::macaroon::{Caveat, attenuate};
///
/// let handed_over = "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";
/// let caveat: Caveat = "scope = read:orders".parse().unwrap();
/// let narrower = attenuate(handed_over, &[caveat]).unwrap();
/// assert!(narrower.starts_with("AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAhNzY29wZ"));
/// ```
pub fn attenuate(text: &str, caveats: &[Caveat]) -> Result<String, Flaw> {
    let mut root = alone(text)?.to_library()?;
    for caveat in caveats {
        let added = root.add_first_party_caveat(caveat.to_string());
        added.map_err(|_| Flaw::Limit("the caveats"))?;
    }
    Bundle::of(&root)?.write()
}

/// Adds a third-party caveat: somebody else has to agree to each use, with a
/// discharge made under `key` and named `id`.
pub fn require(text: &str, location: &str, key: &Secret, id: &[u8]) -> Result<String, Flaw> {
    let mut root = alone(text)?.to_library()?;
    let key = MacaroonKey::generate(key.expose());
    let added = root.add_third_party_caveat(location, &key, id);
    added.map_err(|_| Flaw::Limit("the caveats"))?;
    Bundle::of(&root)?.write()
}

/// Binds discharges to a macaroon, and writes them down together: what is sent
/// to whoever checks.
pub fn present<S: AsRef<str>>(text: &str, discharges: &[S]) -> Result<String, Flaw> {
    let root = alone(text)?.to_library()?;
    let mut bundle = Bundle::of(&root)?;
    for discharge in discharges {
        let mut discharge = alone(discharge.as_ref())?.to_library()?;
        root.bind(&mut discharge);
        bundle.discharges.push(Binary::of(&discharge)?);
    }
    bundle.write()
}

/// A macaroon without discharges: those are bound to it as it is, so a caveat
/// more would make them worthless.
fn alone(text: &str) -> Result<Binary, Flaw> {
    let bundle = Bundle::parse(text)?;
    if bundle.discharges.is_empty() {
        Ok(bundle.root)
    } else {
        Err(Flaw::Bound)
    }
}

/// What a macaroon says to whoever holds it. Nothing of it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Where it says that it is good.
    pub location: Option<String>,
    /// Who can check it, as far as its identifier tells.
    pub checked_by: &'static str,
    /// Its caveats, in order.
    pub caveats: Vec<ShownCaveat>,
    /// The caveats of each discharge.
    pub discharges: Vec<Vec<ShownCaveat>>,
}

/// One caveat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownCaveat {
    /// A condition in words.
    FirstParty {
        /// The text.
        text: String,
        /// Why it is not understood, where it is not.
        flaw: Option<String>,
    },
    /// Somebody else has to agree.
    ThirdParty {
        /// Where they are asked.
        location: String,
        /// What they know it by, in base64url.
        id: String,
    },
}

/// Reads a macaroon as whoever holds it can.
pub fn inspect(text: &str) -> Result<Contents, Flaw> {
    let bundle = Bundle::parse(text)?;
    let checked_by = match bundle.root.identifier().first() {
        Some(&SERVER) => "the issuer",
        Some(&SHARED) => "the resource",
        _ => "unknown",
    };
    Ok(Contents {
        location: bundle.root.location().map(str::to_owned),
        checked_by,
        caveats: shown(&bundle.root),
        discharges: bundle.discharges.iter().map(shown).collect(),
    })
}

fn shown(macaroon: &Binary) -> Vec<ShownCaveat> {
    let each = macaroon.caveats().map(|caveat| match caveat {
        Field::Third { location, id, .. } => ShownCaveat::ThirdParty {
            location: String::from_utf8_lossy(location).into_owned(),
            id: BASE64_URL_SAFE_NO_PAD.encode(id),
        },
        Field::First(text) => {
            let text = String::from_utf8_lossy(text).into_owned();
            let flaw = text.parse::<Caveat>().err().map(|why| why.to_string());
            ShownCaveat::FirstParty { text, flaw }
        }
    });
    each.collect()
}
