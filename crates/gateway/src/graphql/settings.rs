//! What a route that guards GraphQL is told.
//!
//! Spec: GraphQL September 2025 §3.13

use std::collections::BTreeMap;

/// A file that was read: its name for messages, and its text.
#[derive(Debug, Clone)]
pub struct Source {
    /// What messages call it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Something that is wrong with one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as [`Source::name`] calls it.
    pub file: String,
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// The column, from 1; 0 with line 0.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

/// Everything that a [`Graph`](super::Graph) is made from.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// The schema, in the schema definition language.
    pub schema: Source,
    /// Further directives for what is in the schema; they add to its own.
    pub rules: Option<Source>,
    /// The operations that are known by an id.
    pub manifest: Option<Source>,
    /// What the names in `@policy` mean.
    pub policies: BTreeMap<String, ClaimHas>,
    /// What becomes of an operation that asks for what its caller may not see.
    pub on_denied: OnDenied,
    /// Whether refusals are made, or only told.
    pub mode: Mode,
    /// Who may read the schema.
    pub introspection: Introspection,
    /// Whether operations have to be in the manifest.
    pub persisted: Persisted,
    /// Whether callers may register operations under their digest.
    pub automatic_persisted: bool,
    /// Whether subscriptions pass, as server-sent events.
    pub subscriptions: bool,
    /// How much of everything there may be.
    pub limits: Limits,
}

/// A claim of the token that holds a value, alone or in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHas {
    /// The claim.
    pub claim: String,
    /// The value.
    pub value: String,
}

/// What becomes of an operation that asks for what its caller may not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDenied {
    /// The operation is refused.
    #[default]
    Refuse,
    /// What may not be seen is not asked for; the answer has null in its place,
    /// and an error that says so.
    Null,
}

/// Whether refusals are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// They are.
    #[default]
    Enforce,
    /// They are told in the log, and the request goes on as it came.
    Shadow,
}

/// Who may read the schema by asking for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Introspection {
    /// Nobody.
    #[default]
    Off,
    /// Everybody whom the route lets in.
    Open,
    /// Whoever has these scopes.
    Scopes(Vec<String>),
}

/// Whether operations have to be in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persisted {
    /// There is none.
    #[default]
    Off,
    /// They may be called by their id; others are judged as they come.
    Also,
    /// No other operation passes.
    Only,
}

/// How much of everything there may be. Each is checked before the work that it
/// bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub max_request_bytes: u64,
    /// Bytes of a document.
    pub max_document_bytes: usize,
    /// Tokens of a document.
    pub max_tokens: usize,
    /// Fields below each other, fragments expanded.
    pub max_depth: u64,
    /// Fields of an operation, fragments expanded.
    pub max_fields: u64,
    /// Aliases of an operation, fragments expanded.
    pub max_aliases: u64,
    /// Fields at the root of an operation, fragments expanded.
    pub max_root_fields: u64,
    /// Directives of an operation, fragments expanded.
    pub max_directives: u64,
    /// What a request may cost, a batch as a whole.
    pub max_cost: u64,
    /// Operations of a batch; 0 where there are no batches.
    pub max_batch: usize,
    /// How long a list is taken to be where nothing says so.
    pub list_size: u64,
    /// Bytes of an answer that has to be read whole.
    pub max_answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: 1024 * 1024,
            max_document_bytes: 64 * 1024,
            max_tokens: 8_000,
            max_depth: 20,
            max_fields: 1_000,
            max_aliases: 50,
            max_root_fields: 20,
            max_directives: 50,
            max_cost: 10_000,
            max_batch: 0,
            list_size: 10,
            max_answer_bytes: 4 * 1024 * 1024,
        }
    }
}
