//! Files of policies, schemas and entities, and where in them a mistake is.

use std::fmt;
use std::path::Path;

use miette::Diagnostic;

/// How large a file may be, in bytes.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// How many mistakes of a file are told.
const MAX_MISTAKES: usize = 50;

/// Something that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1; 0 where the file is meant as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 with line 0.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// Whether nothing works with it; otherwise it is unwise alone.
    pub is_error: bool,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

/// A file that was read.
pub(super) struct Read {
    pub(super) name: String,
    pub(super) text: String,
}

impl Read {
    /// Reads a file, within a limit.
    pub(super) fn of(path: &Path) -> Result<Self, Mistake> {
        let name = path.display().to_string();
        let failed = |message: String| Mistake {
            file: name.clone(),
            line: 0,
            column: 0,
            message,
            is_error: true,
        };
        let known = std::fs::metadata(path);
        let known = known.map_err(|error| failed(format!("could not be read: {error}")))?;
        if known.len() > MAX_FILE_BYTES {
            return Err(failed("it is larger than 4 MiB".into()));
        }
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| failed(format!("could not be read: {error}")))?;
        Ok(Self { name, text })
    }

    /// A mistake at a byte of the text.
    pub(super) fn mistake(&self, at: Option<usize>, message: impl Into<String>) -> Mistake {
        let (line, column) = at.map_or((0, 0), |at| place(&self.text, at));
        Mistake {
            file: self.name.clone(),
            line,
            column,
            message: message.into(),
            is_error: true,
        }
    }

    /// A mistake where a diagnostic says that it is.
    pub(super) fn diagnosed(&self, found: &dyn Diagnostic) -> Mistake {
        let help = found.help().map(|own| format!(" ({own})"));
        let message = format!("{}{}", causes(found), help.unwrap_or_default());
        self.mistake(offset(found), message)
    }

    /// The same for all that belong together.
    pub(super) fn all_diagnosed(&self, found: &dyn Diagnostic) -> Vec<Mistake> {
        let mut all = vec![self.diagnosed(found)];
        if let Some(related) = found.related() {
            all.extend(related.take(MAX_MISTAKES).map(|own| self.diagnosed(own)));
        }
        all.dedup();
        all
    }
}

/// A message with its causes, each once.
fn causes(found: &dyn Diagnostic) -> String {
    let mut said = found.to_string();
    let mut cause = found.source();
    while let Some(own) = cause {
        let text = own.to_string();
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = own.source();
    }
    said.replace('\n', " ")
}

fn offset(found: &dyn Diagnostic) -> Option<usize> {
    let own = found.labels().and_then(|mut labels| labels.next());
    let own = own.map(|label| label.offset());
    own.or_else(|| found.diagnostic_source().and_then(offset))
}

/// Line and column of a byte, from 1.
fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let begin = before.rfind('\n').map_or(0, |own| own + 1);
    let column = before[begin..].chars().count() + 1;
    let number = |own: usize| u32::try_from(own).unwrap_or(u32::MAX);
    (number(line), number(column))
}
