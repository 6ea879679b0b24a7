//! What went wrong in the store, without a word of what was being stored.

use std::fmt;

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
    Retry,
    Broken,
    /// This step of several did not end as it had to, so all were undone.
    Undone(usize),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable | Self::Held => "the store is unavailable",
            Self::Retry => "the store saw a conflict",
            Self::Broken => "the store refused",
            Self::Undone(_) => "the store undid what belongs together",
        })
    }
}

impl Fault {
    /// Whether trying again later may help: the database is away, full, locked
    /// or too slow.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.kind, Kind::Unavailable | Kind::Held | Kind::Retry)
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

    #[cfg(feature = "postgres")]
    pub(crate) fn is_retry(&self) -> bool {
        self.kind == Kind::Retry
    }

    /// Whether a lock was not had in the time that was allowed.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.what.starts_with("postgresql 55P03")
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
            | Code::DiskFull
            | Code::CannotOpen => Self::unavailable(what),
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
                Self::unavailable("postgresql: the connection was lost or not made")
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
            "25006" | "55P03" | "57014" => Self::unavailable(what),
            _ if ["08", "53", "57", "58"]
                .iter()
                .any(|class| code.starts_with(class)) =>
            {
                Self::unavailable(what)
            }
            _ => Self::broken(what),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<deadpool_postgres::PoolError> for Fault {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => {
                let fault = Self::from(error);
                // Not being let in is ours to repair, but nothing here is wrong.
                Self::unavailable(fault.what)
            }
            deadpool_postgres::PoolError::Timeout(_) => {
                Self::unavailable("postgresql: no connection became free in time")
            }
            _ => Self::unavailable("postgresql: no connection could be had"),
        }
    }
}
