//! The key that a text names, and whether it was distrusted.
//!
//! What a distrusted key made proves nothing any more: a signing key is not
//! published, and of a key that sealed nothing is left. So such a token looks
//! like a stranger's, and a record alone tells it apart. Nobody vouches for the
//! text: it is said of the key that it names, and of nothing else in it.

use symbolon_store::{FindRevocations, Target};
use symbolon_token::explain::Refused as Why;
use symbolon_token::jose::{Invalid, Unverified};
use symbolon_token::macaroon::{self, Flaw, is_macaroon};
use symbolon_token::mark::Kind;
use symbolon_token::opaque;

use crate::admin::failed::Failed;
use crate::cx::Cx;

/// What the revocation feed calls the key that a text names.
pub(super) fn of(text: &str) -> Option<String> {
    if is_macaroon(text) {
        return macaroon::claimed_key(text);
    }
    match Kind::claimed_by(text) {
        Some(Kind::AccessToken) => opaque::claimed_key(text),
        Some(_) => None,
        None => Unverified::parse(text)
            .ok()?
            .claimed_kid()
            .map(str::to_owned),
    }
}

/// The same, where nothing here can prove the text and that key is on record.
pub(super) async fn find_distrusted(
    cx: &Cx,
    text: &str,
    why: &Why,
) -> Result<Option<String>, Failed> {
    let is_unproved = matches!(
        why,
        Why::Signature(Invalid::UnknownKey) | Why::Seal | Why::Macaroon(Flaw::Identifier)
    );
    let Some(key) = of(text).filter(|_| is_unproved) else {
        return Ok(None);
    };
    let targets = vec![Target::Key(key.clone())];
    let found = cx.store.read(FindRevocations { targets }).await?;
    Ok((!found.is_empty()).then_some(key))
}
