//! What a look at the configuration found: where, what, why, and how to repair it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing starts with this.
    Error,
    /// Allowed, and unwise.
    Warning,
}

/// A place in the file, or the variable that stands for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Location {
    /// The file as it was named, or `$NAME` for a variable.
    pub file: Arc<str>,
    /// The line, from 1; 0 where a file or a variable is meant as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 with line 0.
    pub column: u32,
}

impl Location {
    /// A file as a whole.
    pub(super) fn whole(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }

    /// An environment variable.
    pub(super) fn variable(name: &str) -> Self {
        Self::whole(&format!("${name}"))
    }

    /// Whether this is an environment variable.
    pub(super) fn is_variable(&self) -> bool {
        self.line == 0 && self.file.starts_with('$')
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// One thing that is wrong, or allowed and unwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A name for it that stays the same across versions.
    pub code: &'static str,
    /// Where it stands, where it stands anywhere.
    pub location: Option<Location>,
    /// What is wrong.
    pub message: String,
    /// Why that matters.
    pub reason: Cow<'static, str>,
    /// What would be right.
    pub repair: Cow<'static, str>,
}

impl Finding {
    /// Something with which nothing starts.
    pub(super) fn error(code: &'static str, at: &Location, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            location: Some(at.clone()),
            message: message.into(),
            reason: Cow::Borrowed(""),
            repair: Cow::Borrowed(""),
        }
    }

    /// Something that is allowed and unwise.
    pub(super) fn warning(code: &'static str, at: &Location, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, at, message)
        }
    }

    /// Something that is wrong with a file that the configuration names: where,
    /// with a line from 1, or 0 where it is wrong as a whole.
    pub fn of_file(code: &'static str, at: Location, message: impl Into<String>) -> Self {
        Self::error(code, &at, message)
            .because("what a file says wrong would guard nothing")
            .repair("change the file where the message says")
    }

    /// What is wrong with a file that the configuration names.
    pub fn in_file(
        code: &'static str,
        (file, line, column): (&str, u32, u32),
        message: String,
    ) -> Self {
        let at = Location {
            file: file.into(),
            line,
            column,
        };
        Self::error(code, &at, message)
            .because("a file that cannot be read whole is not read at all: what it was to refuse would be allowed")
            .repair("change the file as the message says")
    }

    /// The same as a warning.
    #[must_use]
    pub fn as_warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    /// An error where `wrong`, otherwise a warning.
    pub(super) fn error_if(wrong: bool, finding: Self) -> Self {
        let severity = if wrong {
            Severity::Error
        } else {
            Severity::Warning
        };
        Self {
            severity,
            ..finding
        }
    }

    /// Says why it matters.
    pub(super) fn because(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            ..self
        }
    }

    /// Says what would be right.
    pub(super) fn repair(self, repair: impl Into<Cow<'static, str>>) -> Self {
        Self {
            repair: repair.into(),
            ..self
        }
    }

    /// Whether nothing starts with it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}[{}]: {}", self.code, self.message)?;
        writeln!(f, "  reason: {}", self.reason)?;
        write!(f, "  repair: {}", self.repair)
    }
}
