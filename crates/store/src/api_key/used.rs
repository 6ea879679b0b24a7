//! When API keys were used last: written in batches, beside the checks, and at
//! most once a minute for each key, however many nodes see it.

use symbolon_protocol::Timestamp;
use symbolon_token::{ApiKey as Key, Id};

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// How long a use that was written stands for those that follow.
const MINUTE: i64 = 60 * 1000;

/// Writes when keys were used.
#[derive(Clone, Debug)]
pub struct NoteApiKeyUses {
    /// Each key, and when it was used last.
    pub uses: Vec<(Id<Key>, Timestamp)>,
}

statements! {
    NOTE = "UPDATE api_key SET last_used = ?3
        WHERE slot = ?1 AND id = ?2 AND (last_used IS NULL OR last_used <= ?4)";
}

impl Act for NoteApiKeyUses {
    /// For how many it was written.
    type Out = u64;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let mut written = 0;
        for (id, at) in &self.uses {
            let before = Timestamp::from_millis(at.millis() - MINUTE);
            written += tx.run(&NOTE, binds![id.slot(), id, *at, before]).await?;
        }
        Ok(written)
    }
}
