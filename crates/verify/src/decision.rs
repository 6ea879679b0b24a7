//! What an operator learns of each decision.

use std::sync::Arc;

use symbolon_token::explain::Check;

use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::subscription::FeedState;

/// What is called with each decision of a layer.
pub(crate) type Hook = Arc<dyn Fn(&Decision<'_>) + Send + Sync>;

/// One decision about one request. Nothing in it is the token.
#[derive(Debug)]
pub struct Decision<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) outcome: Result<&'a Principal, &'a Refusal>,
    pub(crate) feed: Option<FeedState>,
}

impl<'a> Decision<'a> {
    /// The request's id: the caller sees it in a refusal too.
    pub fn request_id(&self) -> &'a str {
        self.request_id
    }

    /// Who was let in, or why nobody was.
    pub fn outcome(&self) -> Result<&'a Principal, &'a Refusal> {
        self.outcome
    }

    /// What was known of the revocation feed, where it is followed: a decision
    /// on old knowledge says how old it was.
    pub fn feed(&self) -> Option<&FeedState> {
        self.feed.as_ref()
    }

    /// The check that failed or could not be made.
    pub fn check(&self) -> Option<Check> {
        self.outcome.err().and_then(Refusal::check)
    }

    /// A stable word: `allowed`, or the refusal's.
    pub fn code(&self) -> &'static str {
        match self.outcome {
            Ok(_) => "allowed",
            Err(refusal) => refusal.code(),
        }
    }

    /// The cause of a refusal in one plain sentence.
    pub fn cause(&self) -> Option<String> {
        self.outcome.err().map(Refusal::cause)
    }

    /// What would repair it, in one plain sentence.
    pub fn repair(&self) -> Option<String> {
        self.outcome.err().map(Refusal::repair)
    }
}
