//! Why the feed is not followed, for whoever operates the API: what happened and
//! what would repair it.

use super::{Subscription, lock};

/// The issuer does not know the client, or not by this secret.
pub(super) const CREDENTIALS_REFUSED: &str = "credentials_refused";
/// The client is no introspection client of the API.
pub(super) const NO_RESOURCE_SERVED: &str = "no_resource_served";

/// Why nothing new is known of an issuer's revocation feed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FeedTrouble {
    /// A stable word, as in [`FeedState::last_failure`](crate::FeedState::last_failure).
    pub code: &'static str,
    /// What happened, in a sentence.
    pub cause: String,
    /// What would repair it, in a sentence.
    pub repair: String,
}

impl Subscription {
    /// Why no stream is open, where none is and one was tried.
    pub(crate) fn trouble(&self) -> Option<FeedTrouble> {
        let code = self.failure()?;
        let from = &self.state.from;
        let (issuer, client, resource) = (&from.issuer, &from.credentials.id, &from.resource);
        let words = lock(&self.state.last_failure)
            .as_ref()
            .map(|own| own.words.clone())
            .unwrap_or_default();
        let cause = match code {
            NO_RESOURCE_SERVED => format!(
                "the issuer `{issuer}` does not let client `{client}` read what was taken back for `{resource}`"
            ),
            CREDENTIALS_REFUSED => {
                format!("the issuer `{issuer}` does not take client `{client}` with this secret")
            }
            _ => format!("the revocation feed of `{issuer}` is not followed: {words}"),
        };
        let repair = match code {
            NO_RESOURCE_SERVED => format!(
                "at the issuer, name `{client}` in `introspection_client` of the `[[resource]]` whose identifier is `{resource}`"
            ),
            CREDENTIALS_REFUSED => format!(
                "compare the secret here with that of the `[[client]]` `{client}` at the issuer"
            ),
            "feed_refused" => format!(
                "compare `{issuer}` with the `issuer` of the issuer's own file, to the character, and see whether `{issuer}/.well-known/oauth-authorization-server` answers"
            ),
            _ => format!(
                "see whether this machine reaches `{issuer}/.well-known/oauth-authorization-server`"
            ),
        };
        Some(FeedTrouble {
            code,
            cause,
            repair,
        })
    }
}
