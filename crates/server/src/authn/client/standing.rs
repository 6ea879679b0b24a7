//! What a client proved itself by, for answers that last: they end where it is
//! not the client's any more.

use std::sync::Arc;

use symbolon_protocol::{ClientAuthentication, Timestamp};
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
    /// The keys at its `jwks_uri`, where it proves itself by one.
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
    pub(crate) fn lasts(&self, app: &App, now: Timestamp) -> bool {
        self.secrets.iter().all(|own| secret::counts(own, now)) && self.is_published(app)
    }

    /// Whether its keys are published still, as far as that is known here: nobody
    /// is waited for.
    fn is_published(&self, app: &App) -> bool {
        let (Some(was), Some(uri)) = (&self.published, &self.stored.client.jwks_uri) else {
            return true;
        };
        let known = app.fetcher.kept_key_set(uri, app.edge.clock.monotonic());
        known.is_none_or(|is| Arc::ptr_eq(was, &is) || is_kept(was, &is))
    }
}

/// The keys at a client's own address, as far as they can be had, where it
/// proves itself by one of them.
async fn published(app: &App, stored: &StoredClient) -> Option<Arc<KeySet>> {
    let client = &stored.client;
    let is_by_key = matches!(
        client.authentication(),
        ClientAuthentication::PrivateKeyJwt | ClientAuthentication::SelfSignedTlsClientAuth
    );
    let uri = client.jwks_uri.as_ref();
    let uri = uri.filter(|_| is_by_key && client.jwks.is_none())?;
    let now = app.edge.clock.monotonic();
    app.fetcher.key_set(uri, None, now).await.ok()
}

/// Whether every key of a set is in another.
fn is_kept(was: &KeySet, is: &KeySet) -> bool {
    let mut keys = was.keys();
    let mut certificates = was.certificates().iter();
    keys.all(|own| is.keys().any(|other| other.is_same_as(own)))
        && certificates.all(|own| is.certificates().contains(own))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn set(keys: &[&Value]) -> KeySet {
        KeySet::from_json(json!({ "keys": keys }).as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_kept_by_itself_and_not_by_its_name() {
        let named = json!({"kty": "EC", "crv": "P-256", "kid": "a",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        let of_that_name = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let unnamed = |key: &Value| {
            let mut key = key.clone();
            key.as_object_mut().unwrap().remove("kid");
            key
        };
        let (nameless, other_nameless) = (unnamed(&named), unnamed(&of_that_name));

        assert!(is_kept(&set(&[&named]), &set(&[&nameless, &named])));
        assert!(!is_kept(&set(&[&named]), &set(&[&of_that_name])));
        assert!(is_kept(&set(&[&nameless]), &set(&[&nameless])));
        assert!(!is_kept(&set(&[&nameless]), &set(&[&other_nameless])));
    }
}
