//! What a client or an organization has, where that is a great many: slot by
//! slot, in acts that keep nobody waiting.
//!
//! 1. The act that takes it all back writes its record, and leaves the rows: the
//!    record hits whatever began before it, so nothing that came of them lives.
//! 2. Whoever carried it out ends the rows, part by part, and answers then. Who
//!    is interrupted has not answered, and asks again: then what lives of it is
//!    asked, as little may be left of what was a great many.

use symbolon_protocol::{ClientId, OrganizationId, Timestamp};
use symbolon_token::Slot;

use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::feed::Position;
use crate::revocation::Target;
use crate::statement::{Sql, statements};

/// How many grants or API keys may end in the act itself.
pub const MANY: u32 = 1000;
/// How many clients in sessions one act may look through.
const LISTENING: u32 = 20_000;

/// Whose grants, families and API keys end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// A client's.
    Client(ClientId),
    /// What acts for an organization.
    Organization(OrganizationId),
}

impl Whole {
    /// What a record of it hits.
    pub fn target(&self) -> Target {
        match self {
            Self::Client(id) => Target::Client(id.clone()),
            Self::Organization(id) => Target::Organization(id.clone()),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Client(id) => id.as_str(),
            Self::Organization(id) => id.as_str(),
        }
    }

    /// One of two statements.
    const fn of(&self, client: &'static Sql, organization: &'static Sql) -> &'static Sql {
        match self {
            Self::Client(_) => client,
            Self::Organization(_) => organization,
        }
    }
}

/// Whether one has so many that its rows are ended part by part.
#[derive(Clone, Debug)]
pub struct HasMany {
    /// Whose.
    pub of: Whole,
    /// Whether it is noted in sessions whose end it wants to hear of, as are so
    /// many clients that they are not looked through in one act.
    pub listens: bool,
}

/// Whether something may be left of what a record took back: one has a great
/// many, or some of the few live.
#[derive(Clone, Debug)]
pub struct HasLeft {
    /// Whose.
    pub of: Whole,
    /// Where the record stands that took it back: what began later lives.
    pub before: Position,
    /// Whether the grants are withdrawn as well.
    pub withdraws: bool,
    /// As in [`HasMany`].
    pub listens: bool,
}

/// Ends what one has in a slot.
#[derive(Clone, Debug)]
pub struct EndPart {
    /// Whose.
    pub of: Whole,
    /// The slot.
    pub slot: Slot,
    /// Where the record stands that took it back: what began later lives.
    pub before: Position,
    /// Whether the grants are withdrawn as well.
    pub withdraws: bool,
    /// Whether a client is told of no session's end any more.
    pub forgets: bool,
    /// The time.
    pub now: Timestamp,
    /// At most how many of each.
    pub limit: u32,
}

macro_rules! has_many {
    ($table:literal, $is_own:literal) => {
        concat!(
            "SELECT 1 FROM ",
            $table,
            " WHERE ",
            $is_own,
            " LIMIT 1 OFFSET ?2"
        )
    };
}

macro_rules! end_rows {
    ($table:literal, $ended:literal, $column:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET ",
            $ended,
            " = ?3 WHERE slot = ?1 AND id IN
                (SELECT i.id FROM ",
            $table,
            " i WHERE i.slot = ?1 AND i.",
            $column,
            " = ?2
                    AND i.",
            $ended,
            " IS NULL
                    AND (i.epoch < ?5 OR i.epoch = ?5 AND i.sequence < ?6) LIMIT ?4)"
        )
    };
}

macro_rules! left_rows {
    ($table:literal, $ended:literal, $is_own:literal) => {
        concat!(
            "SELECT 1 FROM ",
            $table,
            " WHERE ",
            $is_own,
            " AND ",
            $ended,
            " IS NULL AND (epoch < ?2 OR epoch = ?2 AND sequence < ?3) LIMIT 1"
        )
    };
}

macro_rules! left_families {
    ($is_own:literal) => {
        concat!(
            "SELECT 1 FROM grants g
                JOIN family_authority a ON a.slot = g.slot AND a.grant_id = g.id
                JOIN family f ON f.slot = a.slot AND f.id = a.id
            WHERE ",
            $is_own,
            " AND f.ended IS NULL
                AND (a.epoch < ?2 OR a.epoch = ?2 AND a.sequence < ?3) LIMIT 1"
        )
    };
}

macro_rules! end_families {
    ($column:literal) => {
        concat!(
            "UPDATE family SET ended = ?3 WHERE slot = ?1 AND id IN
                (SELECT a.id FROM grants g
                    JOIN family_authority a {by_grant} ON a.slot = g.slot AND a.grant_id = g.id
                    JOIN family f ON f.slot = a.slot AND f.id = a.id
                    WHERE g.slot = ?1 AND g.",
            $column,
            " = ?2 AND f.ended IS NULL
                        AND (a.epoch < ?5 OR a.epoch = ?5 AND a.sequence < ?6) LIMIT ?4)"
        )
    };
}

statements! {
    LISTENERS = "SELECT 1 FROM session_client LIMIT 1 OFFSET ?1";
    FORGET_LISTENER = "DELETE FROM session_client WHERE slot = ?1 AND client = ?2";
    GRANTS_OF_CLIENT = has_many!("grants", "client = ?1");
    KEYS_OF_CLIENT = has_many!("api_key", "client = ?1");
    GRANTS_OF_ORGANIZATION = has_many!("grants", "organization = ?1 AND organization <> ''");
    KEYS_OF_ORGANIZATION = has_many!("api_key", "organization = ?1 AND organization <> ''");
    LEFT_FAMILIES_OF_CLIENT = left_families!("g.client = ?1");
    LEFT_FAMILIES_OF_ORGANIZATION = left_families!("g.organization = ?1 AND g.organization <> ''");
    LEFT_KEYS_OF_CLIENT = left_rows!("api_key", "revoked", "client = ?1");
    LEFT_KEYS_OF_ORGANIZATION = left_rows!("api_key", "revoked",
        "organization = ?1 AND organization <> ''");
    LEFT_GRANTS_OF_CLIENT = left_rows!("grants", "withdrawn", "client = ?1");
    LEFT_GRANTS_OF_ORGANIZATION = left_rows!("grants", "withdrawn",
        "organization = ?1 AND organization <> ''");
    END_FAMILIES_OF_CLIENT = end_families!("client");
    END_FAMILIES_OF_ORGANIZATION = end_families!("organization");
    END_KEYS_OF_CLIENT = end_rows!("api_key", "revoked", "client");
    END_KEYS_OF_ORGANIZATION = end_rows!("api_key", "revoked", "organization");
    END_GRANTS_OF_CLIENT = end_rows!("grants", "withdrawn", "client");
    END_GRANTS_OF_ORGANIZATION = end_rows!("grants", "withdrawn", "organization");
}

/// Whether sessions have too many clients for one act to look through them.
pub(crate) async fn many_listen(tx: &mut Tx<'_>) -> Result<bool, Fault> {
    Ok(tx.one(&LISTENERS, binds![LISTENING]).await?.is_some())
}

/// Whether one has more than may end in the act itself.
pub(crate) async fn has_many(tx: &mut Tx<'_>, of: &Whole) -> Result<bool, Fault> {
    let tables = [
        of.of(&GRANTS_OF_CLIENT, &GRANTS_OF_ORGANIZATION),
        of.of(&KEYS_OF_CLIENT, &KEYS_OF_ORGANIZATION),
    ];
    for sql in tables {
        if tx.one(sql, binds![of.name(), MANY]).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Act for HasMany {
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        Ok(has_many(tx, &self.of).await? || self.listens && many_listen(tx).await?)
    }
}

impl HasLeft {
    async fn lives(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        let (of, before) = (&self.of, self.before);
        let tables = [
            of.of(&LEFT_FAMILIES_OF_CLIENT, &LEFT_FAMILIES_OF_ORGANIZATION),
            of.of(&LEFT_KEYS_OF_CLIENT, &LEFT_KEYS_OF_ORGANIZATION),
            of.of(&LEFT_GRANTS_OF_CLIENT, &LEFT_GRANTS_OF_ORGANIZATION),
        ];
        let asked = if self.withdraws { 3 } else { 2 };
        for sql in &tables[..asked] {
            let binds = binds![of.name(), before.epoch, before.sequence];
            if tx.one(sql, binds).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Act for HasLeft {
    type Out = bool;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        Ok(has_many(tx, &self.of).await?
            || self.listens && many_listen(tx).await?
            || self.lives(tx).await?)
    }
}

impl Act for EndPart {
    /// How many rows there were, of whichever there were most.
    type Out = u64;
    const FREES: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Fault> {
        let (of, before) = (&self.of, self.before);
        let binds = binds![
            self.slot,
            of.name(),
            self.now,
            self.limit,
            before.epoch,
            before.sequence,
        ];
        let families = of.of(&END_FAMILIES_OF_CLIENT, &END_FAMILIES_OF_ORGANIZATION);
        let keys = of.of(&END_KEYS_OF_CLIENT, &END_KEYS_OF_ORGANIZATION);
        let grants = of.of(&END_GRANTS_OF_CLIENT, &END_GRANTS_OF_ORGANIZATION);
        let ended = tx.run(families, binds).await?;
        let most = ended.max(tx.run(keys, binds).await?);
        if self.forgets {
            let binds = binds![self.slot, of.name()];
            tx.run(&FORGET_LISTENER, binds).await?;
        }
        // Families are found by their grants, so those go last: a grant that is
        // withdrawn is forgotten a day later.
        if !self.withdraws || ended >= u64::from(self.limit) {
            return Ok(most);
        }
        Ok(most.max(tx.run(grants, binds).await?))
    }
}
