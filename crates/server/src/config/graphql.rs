//! What the file says of a graph behind a route. The schema is read by whoever
//! guards by it.

use std::path::PathBuf;

use super::finding::Location;

/// `graphql = { … }` of `[[gateway.route]]`; paths are already absolute.
#[derive(Clone, Debug)]
pub struct RouteGraphql {
    /// The schema.
    pub schema: PathBuf,
    /// Further directives for what is in it.
    pub rules: Option<PathBuf>,
    /// The operations that are known by an id.
    pub manifest: Option<PathBuf>,
    /// What the names in `@policy` mean: a claim, and what it has to hold.
    pub policies: Vec<(String, (String, String))>,
    /// `refuse` or `null`.
    pub on_denied: &'static str,
    /// `enforce` or `shadow`.
    pub mode: &'static str,
    /// The scopes of those who may read the schema, none where all may; nothing
    /// where nobody may.
    pub introspection: Option<Vec<String>>,
    /// `off`, `also` or `only`.
    pub persisted: &'static str,
    /// Whether callers may register operations.
    pub automatic_persisted: bool,
    /// Whether subscriptions pass.
    pub subscriptions: bool,
    /// Limits that are not the usual ones.
    pub limits: Vec<(GraphqlLimit, u64)>,
    /// Where it stands.
    pub at: Location,
}

/// What of there may be only so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the key of its name")]
pub enum GraphqlLimit {
    RequestBytes,
    DocumentBytes,
    Tokens,
    Depth,
    Fields,
    Aliases,
    RootFields,
    Directives,
    Cost,
    Batch,
    ListSize,
    AnswerBytes,
}

impl GraphqlLimit {
    /// Every limit, and its key.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Cost, "max_cost"),
        (Self::ListSize, "list_size"),
        (Self::Depth, "max_depth"),
        (Self::Fields, "max_fields"),
        (Self::Aliases, "max_aliases"),
        (Self::RootFields, "max_root_fields"),
        (Self::Directives, "max_directives"),
        (Self::Tokens, "max_tokens"),
        (Self::DocumentBytes, "max_document_bytes"),
        (Self::RequestBytes, "max_request_bytes"),
        (Self::AnswerBytes, "max_answer_bytes"),
        (Self::Batch, "max_batch"),
    ];
}
