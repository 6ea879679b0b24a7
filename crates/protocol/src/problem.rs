//! What does not fit together about a client, a resource or a partner, for
//! whoever wrote it.
//!
//! Spec: RFC 7591 §3.2.2

/// Something about a client that does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Problem {
    /// The key it is about.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem of a key.
    pub fn new(field: &str, message: String) -> Self {
        Self {
            field: field.to_owned(),
            message,
        }
    }

    /// A key that asks for a part which no binary has yet.
    pub fn not_built(field: &str, part: &str) -> Self {
        Self::new(
            field,
            format!("asks for `{part}`, which is {NOT_BUILT_YET}"),
        )
    }

    /// Whether it is about a part which no binary has yet.
    pub fn is_not_built(&self) -> bool {
        self.message.contains(NOT_BUILT_YET)
    }
}

/// The words by which a missing part is told.
pub(crate) const NOT_BUILT_YET: &str = "not built yet";
