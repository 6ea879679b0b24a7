//! Rotation: one conditional update decides; everything else is a retry of the
//! direct predecessor, or theft.
//!
//! Spec: RFC 9700 §4.14.2

use serde_json::Value;
use symbolon_protocol::{ClientId, Timestamp, planted};
use symbolon_token::{Family, Id};

use super::{Digest16, FIND_LOCKED, FamilyAuthority, RefreshFamily, end, read, read_authority};
use crate::act::{Act, Settled, Tx};
use crate::audit::{self, AuditEvent};
use crate::bind::binds;
use crate::fault::Fault;
use crate::revocation::{self, Target};
use crate::spent::SpentProof;
use crate::statement::statements;

/// Rotates a family: the presented refresh token gives way to the next.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The family.
    pub family: Id<Family>,
    /// The generation of the presented token.
    pub generation: u32,
    /// The digest of its secret.
    pub presented: Digest16,
    /// The digest of the next secret.
    pub next: Digest16,
    /// The number of the key that the next secret was derived under.
    pub key: u32,
    /// The client that presents it. Another's harms nobody.
    pub client: ClientId,
    /// When the family then ends where it is not used.
    pub idle_ends: Timestamp,
    /// How long the direct predecessor is answered with the same successor.
    pub grace_ms: i64,
    /// The DPoP proof that came with it.
    pub proof: Option<SpentProof>,
    /// When the last token of the family has expired, should it be stolen.
    pub horizon: Timestamp,
    /// What to write down, should it be stolen.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// Uses a refresh token that does not rotate: its idle end moves, with at most
/// one write a minute.
#[derive(Clone, Debug)]
pub struct Renew {
    /// The family.
    pub family: Id<Family>,
    /// The generation of the presented token.
    pub generation: u32,
    /// The digest of its secret.
    pub presented: Digest16,
    /// The client that presents it.
    pub client: ClientId,
    /// When the family then ends where it is not used.
    pub idle_ends: Timestamp,
    /// How long the direct predecessor is answered with the same successor.
    pub grace_ms: i64,
    /// The DPoP proof that came with it.
    pub proof: Option<SpentProof>,
    /// When the last token of the family has expired, should it be stolen.
    pub horizon: Timestamp,
    /// What to write down, should it be stolen.
    pub audit: AuditEvent,
    /// The time.
    pub now: Timestamp,
}

/// What became of a presented refresh token.
#[derive(Clone, Debug, PartialEq)]
pub enum Rotated {
    /// It was current and has given way to the next.
    To(Live),
    /// The family's current token is the answer: the presented one is its
    /// direct predecessor within grace, or is itself it and does not rotate.
    Same(Live),
    /// A predecessor outside grace, or after its successor was used: the
    /// family has ended.
    Theft {
        /// The family.
        family: Id<Family>,
    },
    /// There is no such family any more, or its grant or session is gone.
    Ended,
    /// It belongs to another client. Nothing was changed.
    OtherClient,
    /// The DPoP proof was used before. Nothing was changed.
    ProofReplayed,
}

/// A family after a refresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The generation of the token that is current now.
    pub generation: u32,
    /// The number of the key under which its secret was derived.
    pub key: u32,
    /// When the family ends where it is not used.
    pub idle_ends: Timestamp,
    /// When it ends in any case.
    pub absolute_ends: Timestamp,
    /// What it may do.
    pub authority: FamilyAuthority,
}

macro_rules! beside {
    ($column:literal) => {
        concat!(
            "(SELECT a.",
            $column,
            " FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id)"
        )
    };
}

statements! {
    ROTATE = concat!("UPDATE family SET generation = generation + 1,
            previous_secret = current_secret, current_secret = ?5, working_key = ?6,
            rotated = ?7, idle_ends = {least}(?8, absolute_ends)
        WHERE slot = ?1 AND id = ?2 AND generation = ?3 AND current_secret = ?4
            AND ended IS NULL AND idle_ends > ?7 AND absolute_ends > ?7
            AND EXISTS (SELECT 1 FROM family_authority a
                JOIN grants g ON g.slot = a.slot AND g.id = a.grant_id
                LEFT JOIN session s ON s.slot = a.slot AND s.id = a.session_id
                WHERE a.slot = ?1 AND a.id = ?2 AND a.client = ?9
                    AND g.withdrawn IS NULL AND s.ended IS NULL)
        RETURNING generation, working_key, idle_ends, absolute_ends, ",
        beside!("grant_id"), ", ", beside!("session_id"), ", ", beside!("client"), ", ",
        beside!("person"), ", ", beside!("document"), ", ", beside!("epoch"), ", ",
        beside!("sequence"), ", ", beside!("created"));
    RENEW = "UPDATE family SET idle_ends = {least}(?3, absolute_ends), previous_secret = NULL
        WHERE slot = ?1 AND id = ?2";
}

/// Less than this is not worth a write.
const MINUTE_MS: i64 = 60_000;

impl Rotate {
    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Option<Rotated>, Fault> {
        let binds = binds![
            self.family.slot(),
            &self.family,
            self.generation,
            &self.presented,
            &self.next,
            self.key,
            self.now,
            self.idle_ends,
            self.client.as_str(),
        ];
        let Some(row) = tx.one(&ROTATE, binds).await? else {
            return Ok(None);
        };
        Ok(Some(Rotated::To(Live {
            generation: row.count(0)?,
            key: row.count(1)?,
            idle_ends: row.time(2)?,
            absolute_ends: row.time(3)?,
            authority: read_authority(&row, 4)?,
        })))
    }
}

impl Act for Rotate {
    type Out = Rotated;

    async fn first(&self, tx: &mut Tx<'_>) -> Result<Option<Rotated>, Fault> {
        // A proof is one more statement, so the first alone decides nothing.
        match self.proof {
            None => self.decide(tx).await,
            Some(_) => Ok(None),
        }
    }

    /// The row stays locked by whoever rotates it, so looking waits for them.
    /// The next secret is derived from the presented one: where it stands in
    /// the row, this rotation was stored, by this attempt or by another's.
    async fn settled(&self, tx: &mut Tx<'_>) -> Result<Settled<Rotated>, Fault> {
        let binds = binds![self.family.slot(), &self.family];
        let Some(row) = tx.one(&FIND_LOCKED, binds).await? else {
            return Ok(Settled::Undone);
        };
        let family = read(&row)?;
        let is_next = Some(family.generation) == self.generation.checked_add(1)
            && family.current == self.next
            && family.previous == Some(self.presented);
        if is_next && family.is_live(self.now) && family.authority.client == self.client {
            return Ok(Settled::Done(Rotated::To(live(family))));
        }
        Ok(Settled::Undone)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Rotated, Fault> {
        if let Some(proof) = &self.proof
            && !proof.spend(tx, self.family.slot()).await?
        {
            return Ok(Rotated::ProofReplayed);
        }
        if let Some(rotated) = self.decide(tx).await? {
            return Ok(rotated);
        }
        let presented = Presented {
            family: &self.family,
            generation: self.generation,
            secret: &self.presented,
            client: &self.client,
            grace_ms: self.grace_ms,
            now: self.now,
        };
        match presented.judge(tx).await? {
            Judged::Predecessor(family) => Ok(Rotated::Same(live(family))),
            // Current all the same: another transaction has given it back its
            // life, or taken it, since the statement above looked.
            Judged::Current(_) => Err(Fault::retry("a family changed under a refresh")),
            Judged::Ended => Ok(Rotated::Ended),
            Judged::OtherClient => Ok(Rotated::OtherClient),
            Judged::Stolen(family) => {
                let theft = Theft {
                    horizon: self.horizon,
                    audit: &self.audit,
                    now: self.now,
                };
                theft.end(tx, &family).await
            }
        }
    }
}

impl Act for Renew {
    type Out = Rotated;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Rotated, Fault> {
        if let Some(proof) = &self.proof
            && !proof.spend(tx, self.family.slot()).await?
        {
            return Ok(Rotated::ProofReplayed);
        }
        let presented = Presented {
            family: &self.family,
            generation: self.generation,
            secret: &self.presented,
            client: &self.client,
            grace_ms: self.grace_ms,
            now: self.now,
        };
        match presented.judge(tx).await? {
            Judged::Predecessor(family) => Ok(Rotated::Same(live(family))),
            Judged::Current(mut family) => {
                let idle_ends = self.idle_ends.min(family.absolute_ends);
                let gained = idle_ends.millis().saturating_sub(family.idle_ends.millis());
                // The successor was presented, so its predecessor has no grace
                // left: a family that rotated until now has one.
                if family.previous.is_some() || gained >= MINUTE_MS {
                    let binds = binds![self.family.slot(), &self.family, idle_ends];
                    tx.run(&RENEW, binds).await?;
                    family.idle_ends = idle_ends;
                }
                Ok(Rotated::Same(live(family)))
            }
            Judged::Ended => Ok(Rotated::Ended),
            Judged::OtherClient => Ok(Rotated::OtherClient),
            Judged::Stolen(family) => {
                let theft = Theft {
                    horizon: self.horizon,
                    audit: &self.audit,
                    now: self.now,
                };
                theft.end(tx, &family).await
            }
        }
    }
}

/// A refresh token as it was shown, its MAC verified.
pub(super) struct Presented<'a> {
    pub(super) family: &'a Id<Family>,
    pub(super) generation: u32,
    pub(super) secret: &'a Digest16,
    pub(super) client: &'a ClientId,
    pub(super) grace_ms: i64,
    pub(super) now: Timestamp,
}

/// What a presented refresh token turns out to be. The row stays locked.
pub(super) enum Judged {
    Current(RefreshFamily),
    Predecessor(RefreshFamily),
    Stolen(RefreshFamily),
    Ended,
    OtherClient,
}

impl Presented<'_> {
    pub(super) async fn judge(&self, tx: &mut Tx<'_>) -> Result<Judged, Fault> {
        let binds = binds![self.family.slot(), self.family];
        let Some(row) = tx.one(&FIND_LOCKED, binds).await? else {
            return Ok(Judged::Ended);
        };
        let family = read(&row)?;
        if family.authority.client != *self.client {
            return Ok(Judged::OtherClient);
        }
        // A generation that never was: the database is older than the token.
        if !family.is_live(self.now) || self.generation > family.generation {
            return Ok(Judged::Ended);
        }
        if self.generation == family.generation && *self.secret == family.current {
            return Ok(Judged::Current(family));
        }
        // The row still names its predecessor as long as the successor was
        // not presented; presenting it would have rotated the row again.
        let is_direct = Some(self.generation) == family.generation.checked_sub(1)
            && Some(*self.secret) == family.previous
            || planted(2);
        let age = self.now.millis().saturating_sub(family.rotated.millis());
        if is_direct && (age < self.grace_ms || planted(3)) {
            return Ok(Judged::Predecessor(family));
        }
        if planted(4) {
            return Ok(Judged::Ended);
        }
        Ok(Judged::Stolen(family))
    }
}

pub(super) struct Theft<'a> {
    pub(super) horizon: Timestamp,
    pub(super) audit: &'a AuditEvent,
    pub(super) now: Timestamp,
}

impl Theft<'_> {
    pub(super) async fn end(
        &self,
        tx: &mut Tx<'_>,
        family: &RefreshFamily,
    ) -> Result<Rotated, Fault> {
        end(tx, &family.id, self.now).await?;
        let mut event = self.audit.clone();
        if let Value::Object(detail) = &mut event.detail {
            let gap = self.now.millis().saturating_sub(family.rotated.millis());
            detail.insert("since_rotation_ms".to_owned(), Value::from(gap));
            detail.insert("generation".to_owned(), Value::from(family.generation));
        }
        audit::write(tx, &event, self.now).await?;
        let record = (Target::Family(family.id), self.horizon);
        revocation::record(tx, &[record], self.now).await?;
        Ok(Rotated::Theft { family: family.id })
    }
}

fn live(family: RefreshFamily) -> Live {
    Live {
        generation: family.generation,
        key: family.key,
        idle_ends: family.idle_ends,
        absolute_ends: family.absolute_ends,
        authority: family.authority,
    }
}
