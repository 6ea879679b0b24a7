//! Looks an installation over and says what to repair: its files, its
//! certificates, its database. What answers over HTTP is asked by the command.

mod certificates;
mod files;
mod metrics;
mod store;

use serde::Serialize;

use crate::app::Edge;
use crate::config::Config;

pub use self::metrics::counted;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It is as it should be.
    Good,
    /// It works, and may not do so for long.
    Warning,
    /// It has to be repaired.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Symptom {
    /// How bad it is.
    pub health: Health,
    /// A name for it that stays the same across versions.
    pub code: &'static str,
    /// What was seen.
    pub message: String,
    /// What to do, where something is to be done.
    pub repair: &'static str,
}

impl Symptom {
    /// Something that is as it should be.
    pub fn good(code: &'static str, message: impl Into<String>) -> Self {
        Self::of(Health::Good, code, message, "")
    }

    /// Something that works, and may not do so for long.
    pub fn warning(code: &'static str, message: impl Into<String>, repair: &'static str) -> Self {
        Self::of(Health::Warning, code, message, repair)
    }

    /// Something that has to be repaired.
    pub fn error(code: &'static str, message: impl Into<String>, repair: &'static str) -> Self {
        Self::of(Health::Error, code, message, repair)
    }

    fn of(
        health: Health,
        code: &'static str,
        message: impl Into<String>,
        repair: &'static str,
    ) -> Self {
        Self {
            health,
            code,
            message: message.into(),
            repair,
        }
    }
}

/// Looks at all that a configuration names on this machine, and at its
/// database. Nothing is made and nothing changed.
pub async fn look_over(config: &Config, edge: &Edge) -> Vec<Symptom> {
    let mut found = files::look(config);
    found.extend(certificates::look(config, edge.clock.now()));
    found.extend(store::look(config, edge).await);
    found
}
