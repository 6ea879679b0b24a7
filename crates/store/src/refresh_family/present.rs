//! A refresh token that is shown without being spent, as when it is exchanged:
//! it was presented all the same.
//!
//! Spec: RFC 9700 §4.14.2

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::{Family, Id};

use super::Digest16;
use super::rotation::{Judged, Presented, Theft};
use crate::act::{Act, Tx};
use crate::audit::AuditEvent;
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// Notes that a refresh token was presented: its predecessor has no grace left.
#[derive(Clone, Debug)]
pub struct Present {
    /// The family.
    pub family: Id<Family>,
    /// The generation of the presented token.
    pub generation: u32,
    /// The digest of its secret.
    pub presented: Digest16,
    /// The client that presents it. Another's harms nobody.
    pub client: ClientId,
    /// How long the direct predecessor may still be shown.
    pub grace_ms: i64,
    /// When the last token of the family has expired, should it be stolen.
    pub horizon: Timestamp,
    /// What to write down, should it be stolen.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// What a presented refresh token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresentedAs {
    /// The current one.
    Current,
    /// The direct predecessor of one that nobody has presented yet, within
    /// grace. Nothing was changed.
    Predecessor,
    /// Any other predecessor: the family has ended.
    Theft,
    /// There is no such family any more, or its grant or session is gone.
    Ended,
    /// It belongs to another client. Nothing was changed.
    OtherClient,
}

statements! {
    PRESENTED = "UPDATE family SET previous_secret = NULL WHERE slot = ?1 AND id = ?2";
}

impl Act for Present {
    type Out = PresentedAs;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<PresentedAs, Fault> {
        let presented = Presented {
            family: &self.family,
            generation: self.generation,
            secret: &self.presented,
            client: &self.client,
            grace_ms: self.grace_ms,
            now: self.now,
        };
        Ok(match presented.judge(tx).await? {
            Judged::Current(family) => {
                if family.previous.is_some() {
                    let binds = binds![self.family.slot(), &self.family];
                    tx.run(&PRESENTED, binds).await?;
                }
                PresentedAs::Current
            }
            Judged::Predecessor(_) => PresentedAs::Predecessor,
            Judged::Stolen(family) => {
                let theft = Theft {
                    horizon: self.horizon,
                    audit: &self.audit,
                    now: self.now,
                };
                theft.end(tx, &family).await?;
                PresentedAs::Theft
            }
            Judged::Ended => PresentedAs::Ended,
            Judged::OtherClient => PresentedAs::OtherClient,
        })
    }
}
