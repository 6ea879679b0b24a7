//! Places in status lists: reserved by the block, given out in no order, and
//! written down for each token before it leaves.
//!
//! Spec: draft-ietf-oauth-status-list-21 §6.2, §12.2

use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use symbolon_protocol::{Resource, TokenFormat};
use symbolon_store::{EnterStatus, ReserveStatusBlock, STATUS_BLOCK, StatusEntry};
use symbolon_token::status_list::status_claim;
use symbolon_token::{Authority, Entropy, Id, Token, random};

use crate::cx::Cx;
use crate::failure::Broken;
use crate::settings::Settings;

/// The places that this node may give out. What it has not given out when it
/// ends, or when another epoch begins, is nobody's.
#[derive(Debug, Default)]
pub(crate) struct StatusPlaces(Mutex<Reserved>);

#[derive(Debug, Default)]
struct Reserved {
    /// The epoch in which they were reserved: another one has other lists.
    epoch: i64,
    places: Vec<StatusPlace>,
}

/// A place that is one token's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusPlace {
    list: i64,
    place: u32,
}

/// Where a list is, exactly as tokens name it.
pub(crate) fn uri(settings: &Settings, list: i64) -> String {
    settings.issuer.endpoint(&format!("/status/{list}"))
}

/// Whether tokens of a resource have places.
pub(crate) fn is_asked_for(resource: Option<&Resource>) -> bool {
    resource.is_some_and(|own| own.status_list && own.token_format == TokenFormat::Jwt)
}

impl StatusPlaces {
    /// A place that nobody has.
    pub(crate) async fn take(&self, cx: &Cx) -> Result<StatusPlace, Broken> {
        loop {
            if let Some(place) = self.of(cx).places.pop() {
                return Ok(place);
            }
            let block = cx.store.act(ReserveStatusBlock).await?;
            let places = shuffled(cx.entropy()).into_iter();
            self.of(cx).places.extend(places.map(|own| StatusPlace {
                list: block.list,
                place: block.first + own,
            }));
        }
    }

    /// What was reserved in the epoch of a request.
    fn of(&self, cx: &Cx) -> std::sync::MutexGuard<'_, Reserved> {
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = cx.position.epoch;
        if own.epoch != epoch {
            *own = Reserved {
                epoch,
                places: Vec::new(),
            };
        }
        own
    }
}

impl StatusPlace {
    /// The claim that names it.
    pub(crate) fn claim(self, cx: &Cx) -> Value {
        status_claim(&uri(&cx.settings, self.list), self.place)
    }

    /// Writes down whose it is. Only then may the token leave.
    pub(crate) async fn enter(
        self,
        cx: &Cx,
        (token, kid): (Id<Token>, String),
        authority: &Authority,
    ) -> Result<(), Broken> {
        let entry = StatusEntry {
            place: self.place.into(),
            token,
            kid,
            authority: authority.encode(),
            expires: authority.expires(),
        };
        let list = self.list;
        cx.store.act(EnterStatus { list, entry }).await?;
        Ok(())
    }
}

/// The numbers of a block in an order that tells nobody when each was given.
fn shuffled(entropy: &dyn Entropy) -> Vec<u32> {
    let mut all: Vec<u32> = (0..STATUS_BLOCK).collect();
    for last in (1..all.len()).rev() {
        // Of 2^64 the rest is too small to matter.
        let drawn = u64::from_be_bytes(random(entropy)) % (last as u64 + 1);
        all.swap(last, usize::try_from(drawn).unwrap_or(0));
    }
    all
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::SeededEntropy;

    use super::*;

    #[test]
    fn a_block_has_each_of_its_places_once_in_no_order() {
        let drawn = shuffled(&SeededEntropy::new(7));
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..STATUS_BLOCK).collect::<Vec<_>>());
        assert_ne!(drawn, sorted);
    }
}
