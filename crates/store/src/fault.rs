//! What went wrong in the store, without a word of what was being stored.

use std::fmt;

#[cfg(feature = "postgres")]
use deadpool_postgres::{HookError, TimeoutType};

/// A fault: the act was rolled back, or it is unknown whether it was stored.
///
/// It never shows parameters or values: only the engine's own code and text
/// that stands in this program.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {what}")]
pub struct Fault {
    kind: Kind,
    what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unavailable,
    Held,
    Full,
    Retry,
    TurnedAway,
    Lost,
    InDoubt,
    Broken,
    /// The files do not hold what was written.
    Damaged,
    /// This step of several did not end as it had to, so all were undone.
    Undone(usize),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable | Self::Held | Self::Full | Self::TurnedAway => {
                "the store is unavailable"
            }
            Self::Lost => "the store was lost on the way",
            Self::InDoubt => "the store may have done it",
            Self::Retry => "the store saw a conflict",
            Self::Broken => "the store refused",
            Self::Damaged => "the store is damaged",
            Self::Undone(_) => "the store undid what belongs together",
        })
    }
}

impl Fault {
    /// Whether trying again later may help: the database is away, full, locked
    /// or too slow.
    pub fn is_unavailable(&self) -> bool {
        !matches!(self.kind, Kind::Broken | Kind::Damaged)
    }

    /// Whether there is no room for what was to be written.
    pub fn is_full(&self) -> bool {
        self.kind == Kind::Full
    }

    /// Whether the files do not hold what was written: no trying again helps.
    pub fn is_damaged(&self) -> bool {
        self.kind == Kind::Damaged
    }

    /// Whether another process has the database to itself.
    pub fn is_held(&self) -> bool {
        self.kind == Kind::Held
    }

    /// Which of several steps did not end as it had to, where nothing was done
    /// for that alone; see [`AllOrNothing`](crate::AllOrNothing).
    pub fn undone(&self) -> Option<usize> {
        match self.kind {
            Kind::Undone(which) => Some(which),
            _ => None,
        }
    }

    pub(crate) fn undone_at(which: usize) -> Self {
        Self {
            kind: Kind::Undone(which),
            what: format!("step {which}"),
        }
    }

    pub(crate) fn held(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Held,
            what: what.into(),
        }
    }

    pub(crate) fn full(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Full,
            what: what.into(),
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Damaged,
            what: what.into(),
        }
    }

    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Unavailable,
            what: what.into(),
        }
    }

    /// A conflict with another transaction: the act is run again.
    pub(crate) fn retry(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Retry,
            what: what.into(),
        }
    }

    pub(crate) fn broken(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Broken,
            what: what.into(),
        }
    }

    /// The server was not reached, or says that it does nothing for us now.
    #[cfg(feature = "postgres")]
    pub(crate) fn turned_away(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::TurnedAway,
            what: what.into(),
        }
    }

    /// The connection ended while something was under way on it.
    #[cfg(feature = "postgres")]
    pub(crate) fn lost(what: impl Into<String>) -> Self {
        Self {
            kind: Kind::Lost,
            what: what.into(),
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn is_retry(&self) -> bool {
        self.kind == Kind::Retry
    }

    /// Whether a lock was not had in the time that was allowed.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.what.starts_with("postgresql 55P03")
    }

    /// Whether the connection is of no use any more.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self.kind, Kind::TurnedAway | Kind::Lost | Kind::InDoubt)
    }

    /// Whether it is the server that is of no use, as far as one can tell.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_turned_away(&self) -> bool {
        self.kind == Kind::TurnedAway
    }

    /// Whether what was asked for may have been stored.
    #[cfg(feature = "postgres")]
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.kind == Kind::InDoubt
    }

    /// The same fault of what may have been stored when the connection ended.
    #[cfg(feature = "postgres")]
    pub(crate) fn doubted(self) -> Self {
        let kind = match self.kind {
            Kind::Lost => Kind::InDoubt,
            other => other,
        };
        Self { kind, ..self }
    }

    /// Why there is no connection. Not being let in is ours to repair, but
    /// nothing here is wrong; a server that has no room for one more (class
    /// 53) is none that is away.
    #[cfg(feature = "postgres")]
    pub(crate) fn of_connecting(error: &tokio_postgres::Error) -> Self {
        let Some(cause) = error.as_db_error() else {
            return Self::turned_away("postgresql: no connection could be made");
        };
        let code = cause.code().code();
        let what = format!("postgresql {code}");
        if code.starts_with("53") {
            Self::unavailable(what)
        } else {
            Self::turned_away(what)
        }
    }

    pub(crate) fn unreadable(column: usize) -> Self {
        Self::broken(format!("column {column} does not hold what it should"))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        // The engine's own message may quote values, so only its codes are kept.
        let Some(cause) = error.sqlite_error() else {
            return Self::broken("sqlite: the driver could not carry out a statement");
        };
        let what = format!(
            "sqlite code {}: {}",
            cause.extended_code,
            rusqlite::ffi::code_to_str(cause.extended_code)
        );
        match cause.code {
            Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::OutOfMemory
            | Code::ReadOnly
            | Code::OperationInterrupted
            | Code::SystemIoFailure
            | Code::CannotOpen => Self::unavailable(what),
            Code::DiskFull => Self::full(what),
            Code::DatabaseCorrupt | Code::NotADatabase => Self::damaged(what),
            _ => Self::broken(what),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        // `detail` quotes values; the code and the constraint are names.
        let Some(cause) = error.as_db_error() else {
            let lost = error.is_closed() || std::error::Error::source(&error).is_some();
            return if lost {
                Self::lost("postgresql: the connection was lost")
            } else {
                Self::broken("postgresql: the driver could not carry out a statement")
            };
        };
        let code = cause.code().code();
        let what = match cause.constraint() {
            Some(constraint) => format!("postgresql {code} at {constraint}"),
            None => format!("postgresql {code}"),
        };
        match code {
            "40001" | "40P01" => Self::retry(what),
            // A cached plan that a migration made stale: the next run plans anew.
            "0A000" if cause.message().contains("cached plan") => Self::retry(what),
            // A server that only reads: the other one writes.
            "25006" | "57P03" => Self::turned_away(what),
            "55P03" | "57014" => Self::unavailable(what),
            // It ends, or ended the session, maybe after it had committed.
            _ if ["08", "57P", "58"]
                .iter()
                .any(|class| code.starts_with(class)) =>
            {
                Self::lost(what)
            }
            _ if code.starts_with("53") => Self::unavailable(what),
            _ => Self::broken(what),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<deadpool_postgres::PoolError> for Fault {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => Self::of_connecting(&error),
            deadpool_postgres::PoolError::PostCreateHook(HookError::Backend(error)) => {
                Self::of_connecting(&error)
            }
            deadpool_postgres::PoolError::Timeout(TimeoutType::Wait) => {
                Self::unavailable("postgresql: no connection became free in time")
            }
            deadpool_postgres::PoolError::Timeout(_) => {
                Self::turned_away("postgresql: no connection could be made in time")
            }
            _ => Self::unavailable("postgresql: no connection could be had"),
        }
    }
}
