//! Numbered migrations, embedded in the binary.

use crate::act::{Act, Tx};
use crate::fault::Fault;
use crate::statement::statements;

/// One step of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number: they run in this order.
    pub number: i64,
    /// What it does, in a few words.
    pub name: &'static str,
    pub(crate) text: &'static str,
}

impl Migration {
    /// Whether PostgreSQL runs it outside of a transaction.
    pub(crate) fn is_concurrent(&self) -> bool {
        self.text.contains("{concurrently}")
    }
}

/// What a call of `migrate` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were run; none where the schema was up to date.
    pub run: Vec<Migration>,
}

/// Every migration, in order. One that was released is never changed.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "first tables",
        text: include_str!("migrations/0001_first_tables.sql"),
    },
    Migration {
        number: 2,
        name: "trusted issuers",
        text: include_str!("migrations/0002_trusted_issuers.sql"),
    },
    Migration {
        number: 3,
        name: "discharges",
        text: include_str!("migrations/0003_discharges.sql"),
    },
    Migration {
        number: 4,
        name: "device authorizations",
        text: include_str!("migrations/0004_device_authorizations.sql"),
    },
    Migration {
        number: 6,
        name: "outbox",
        text: include_str!("migrations/0006_outbox.sql"),
    },
    Migration {
        number: 7,
        name: "audit chain and fillings",
        text: include_str!("migrations/0007_audit_chain.sql"),
    },
    Migration {
        number: 8,
        name: "jobs and days",
        text: include_str!("migrations/0008_jobs_and_days.sql"),
    },
    Migration {
        number: 10,
        name: "status lists",
        text: include_str!("migrations/0010_status_lists.sql"),
    },
    Migration {
        number: 11,
        name: "places of sessions and the start of the audit trail",
        text: include_str!("migrations/0011_places_and_audit_start.sql"),
    },
    Migration {
        number: 12,
        name: "API keys",
        text: include_str!("migrations/0012_api_keys.sql"),
    },
    Migration {
        number: 13,
        name: "receivers that have too many messages",
        text: include_str!("migrations/0013_full_receivers.sql"),
    },
    Migration {
        number: 14,
        name: "clients that registered themselves",
        text: include_str!("migrations/0014_registered_clients.sql"),
    },
    Migration {
        number: 16,
        name: "browser sessions of the gateway",
        text: include_str!("migrations/0016_browser_sessions.sql"),
    },
    Migration {
        number: 17,
        name: "since where in the feed there is a resource",
        text: include_str!("migrations/0017_places_of_resources.sql"),
    },
    Migration {
        number: 18,
        name: "grants of a client in order",
        text: include_str!("migrations/0018_grants_of_a_client_in_order.sql"),
    },
    Migration {
        number: 19,
        name: "changes of people, apart from others",
        text: include_str!("migrations/0019_changes_of_people.sql"),
    },
];

/// The table that remembers which ran.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration (
    number {integer} PRIMARY KEY,
    name TEXT NOT NULL
) {strict}";

statements! {
    APPLIED = "SELECT number FROM migration ORDER BY number";
    ENTER = "INSERT INTO migration (number, name) VALUES (?1, ?2)";
}

/// Finds the numbers of migrations that this binary does not know: a newer
/// version has been here.
#[derive(Clone, Copy, Debug)]
pub struct NewerMigrations;

impl Act for NewerMigrations {
    type Out = Vec<i64>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<i64>, Fault> {
        let applied = tx.all(&APPLIED, &[], |row| row.number(0)).await?;
        Ok(newer(&applied))
    }
}

/// Those among the numbers of what ran that this binary does not know.
pub(crate) fn newer(applied: &[i64]) -> Vec<i64> {
    let last = MIGRATIONS.last().map_or(0, |migration| migration.number);
    let all = applied.iter().copied();
    all.filter(|number| *number > last).collect()
}

/// Those that did not run yet. A number that this binary does not know means
/// that a newer one has been here; it is not this function's to refuse.
pub(crate) fn pending(applied: &[i64]) -> Vec<Migration> {
    let is_new = |migration: &&Migration| !applied.contains(&migration.number);
    MIGRATIONS.iter().filter(is_new).copied().collect()
}
