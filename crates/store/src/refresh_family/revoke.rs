//! Takes a family back by its id alone: one that was opened without a refresh
//! token has no row, and its access tokens carry the id all the same.

use symbolon_protocol::Timestamp;
use symbolon_token::{Family, Id};

use super::end;
use crate::act::{Act, Tx};
use crate::audit::{self, AuditEvent};
use crate::fault::Fault;
use crate::revocation::{self, Target};
use crate::session::Ended;

/// Takes back all that came of a family, whether or not it has a refresh token.
/// Whether there was ever one of that id cannot be known where it has none.
#[derive(Clone, Debug)]
pub struct RevokeFamily {
    /// The family.
    pub id: Id<Family>,
    /// The time.
    pub now: Timestamp,
    /// When the last token of it has expired.
    pub horizon: Timestamp,
    /// What to write down.
    pub audit: AuditEvent,
}

impl Act for RevokeFamily {
    type Out = Ended;

    /// A second time finds the record of the first and writes nothing.
    async fn run(&self, tx: &mut Tx<'_>) -> Result<Ended, Fault> {
        let target = Target::Family(self.id);
        let lived = end(tx, &self.id, self.now).await?;
        if !lived && revocation::is_recorded(tx, &target, self.now).await? {
            return Ok(Ended::Missing);
        }
        audit::write(tx, &self.audit, self.now).await?;
        revocation::record(tx, &[(target, self.horizon)], self.now).await?;
        Ok(Ended::Ended)
    }
}
