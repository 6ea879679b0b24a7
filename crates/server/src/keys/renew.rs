//! Keys for a store that begins a new epoch: of every purpose that makes what
//! a restore voids, one that is used and one that is next.

use std::sync::Arc;

use symbolon_store::{KeyState, WorkingKey};
use symbolon_token::MasterKey;

use super::KeysError;
use super::fresh::Maker;
use super::policy::KeyPurpose;
use crate::app::Edge;
use crate::settings::KeySettings;

/// Draws them, sealed under the master key. They have no numbers yet.
pub(crate) async fn renewed(
    master: &MasterKey,
    settings: &KeySettings,
    edge: &Edge,
) -> Result<Vec<WorkingKey>, KeysError> {
    let maker = Maker {
        master: master.clone(),
        entropy: Arc::clone(&edge.entropy),
        now: edge.clock.now(),
    };
    // What others keep (secrets of clients, subjects, names, an audit trail)
    // stays as it is.
    let all = KeyPurpose::all(settings).into_iter();
    let scheduled = all.filter(|purpose| purpose.is_scheduled());
    let mut keys = Vec::new();
    for purpose in scheduled {
        for state in [KeyState::Active, KeyState::Next] {
            let key = maker.make(purpose, 0).await?;
            keys.push(WorkingKey { state, ..key });
        }
    }
    Ok(keys)
}
