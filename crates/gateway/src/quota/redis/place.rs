//! A place of those that run at the same time, asked for again as long as
//! somebody holds it.

use std::sync::Arc;
use std::time::Duration;

use symbolon_token::{Entropy, random};
use tokio::sync::oneshot;

use super::wire::{Want, hex};
use crate::quota::bank::Bank;
use crate::quota::charge::Charge;

/// How often a place is asked for again; it is lost after three such spans.
const RENEW: Duration = Duration::from_secs(10);

/// Keeps a place for as long as somebody holds it.
pub(super) async fn keep(
    bank: Arc<Bank>,
    charge: Charge,
    place: String,
    mut gone: oneshot::Receiver<()>,
) {
    let Some(together) = &bank.together else {
        return;
    };
    let ask = async |act: &str| {
        let want = Want {
            known: &charge.limit,
            need: 0,
            want: 0,
            place: Some(&place),
            tick: 0,
        };
        // What fails is tried again at the next turn, or ends by itself.
        let _ = together.run(act, charge.subject, [want].into_iter()).await;
    };
    loop {
        tokio::select! {
            _ = &mut gone => break,
            () = tokio::time::sleep(RENEW) => ask("renew").await,
        }
    }
    ask("leave").await;
}

/// A name that no other place has.
pub(super) fn place(entropy: &dyn Entropy) -> String {
    hex(&random::<12>(entropy))
}
