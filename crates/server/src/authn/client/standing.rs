//! What a client proved itself by, for answers that last: they end where it is
//! not the client's any more.

use std::sync::Arc;

use symbolon_protocol::Timestamp;
use symbolon_store::{ClientSecret, StoredClient};
use symbolon_token::jose::KeySet;

use super::{AuthenticatedClient, secret};
use crate::app::App;
use crate::cx::Cx;

/// What stood in the registration when a client proved itself. Which of several
/// secrets or keys it showed is not kept, so none of them may go.
pub(crate) struct Standing {
    stored: Arc<StoredClient>,
    secrets: Vec<ClientSecret>,
    /// The keys at its `jwks_uri`.
    published: Option<Arc<KeySet>>,
}

impl AuthenticatedClient {
    /// What it stands on from now.
    pub(crate) async fn standing(&self, cx: &Cx) -> Standing {
        let all = self.stored.secrets.iter();
        let counting = all.filter(|own| secret::counts(own, cx.now));
        Standing {
            secrets: counting.cloned().collect(),
            published: published(cx, &self.stored).await,
            stored: Arc::clone(&self.stored),
        }
    }
}

impl Standing {
    /// Whether it is there in a client as it is registered now. What became of
    /// its secrets is taken in.
    pub(crate) fn is_in(&mut self, now: &StoredClient) -> bool {
        let (was, is) = (&self.stored.client, &now.client);
        let of_now = |own: &ClientSecret| {
            let mut all = now.secrets.iter();
            all.find(|other| (other.id, other.digest) == (own.id, own.digest))
                .cloned()
        };
        let Some(secrets) = self.secrets.iter().map(of_now).collect() else {
            return false;
        };
        self.secrets = secrets;
        now.enabled
            && was.authentication() == is.authentication()
            && (&was.jwks, &was.jwks_uri) == (&is.jwks, &is.jwks_uri)
            && was.binding.subject() == is.binding.subject()
    }

    /// Whether none of it has ended by itself: a secret that is due, a key that
    /// is published no more.
    pub(crate) async fn lasts(&self, app: &App, now: Timestamp) -> bool {
        let keys = match &self.published {
            None => None,
            Some(was) => published(app, &self.stored).await.map(|is| (was, is)),
        };
        self.secrets.iter().all(|own| secret::counts(own, now))
            && keys.is_none_or(|(was, is)| is_kept(was, &is))
    }
}

/// The keys at a client's own address, as far as they can be had.
async fn published(app: &App, stored: &StoredClient) -> Option<Arc<KeySet>> {
    let client = &stored.client;
    let uri = client.jwks_uri.as_ref().filter(|_| client.jwks.is_none())?;
    let now = app.edge.clock.monotonic();
    app.fetcher.key_set(uri, None, now).await.ok()
}

/// Whether every key of a set is in another.
fn is_kept(was: &Arc<KeySet>, is: &Arc<KeySet>) -> bool {
    let mut keys = was.keys();
    let mut certificates = was.certificates().iter();
    Arc::ptr_eq(was, is)
        || was.len() <= is.len()
            && keys.all(|own| own.kid().is_none_or(|kid| is.names(kid)))
            && certificates.all(|own| is.certificates().contains(own))
}
