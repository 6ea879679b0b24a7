//! Who calls: a client that proved itself the way it is registered to, or a
//! public one that only said its name.
//!
//! Spec: RFC 6749 §2.3, §3.2.1, §5.2
//! Spec: RFC 7521 §4.2
//! Spec: RFC 7523 §2.2, §3
//! Spec: RFC 7591 §2
//! Spec: RFC 8705 §2
//! Spec: OpenID Connect Core 1.0 §9
//!
//! 1. `presented` reads what the request shows; it is one method or none.
//! 2. The client is looked up; an unknown one costs the same work.
//! 3. `secret`, `assertion` or `certificate` checks the proof. An assertion is
//!    spent last.
//!    What is wrong here may be right since another node has changed it, so that
//!    is looked for first.
//! 4. What is wrong is counted by source and name, known or not. A source that
//!    has guessed too often is not compared with any more, unless it showed the
//!    right secret lately; what is right passes from everywhere else. So nobody
//!    finds a secret by trying, and nobody locks a client out.

mod assertion;
mod certificate;
mod presented;
mod registered;
mod secret;
mod standing;

use std::sync::Arc;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use symbolon_protocol::{Client, ClientAuthentication, ClientId, ErrorCode, Parameters};
use symbolon_store::StoredClient;

use self::presented::{Presented, Proof};
pub(crate) use self::registered::lacking;
pub(crate) use self::secret::{counts, is_right};
pub(crate) use self::standing::Standing;
use crate::client_certificate::ClientCertificate;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::limit::WINDOW;
use crate::received::Received;
use crate::registration::Kind;

/// A client that is what it says, as far as it is registered to prove that.
/// Only [`authenticate`] makes one.
#[derive(Clone)]
pub(crate) struct AuthenticatedClient {
    stored: Arc<StoredClient>,
}

impl AuthenticatedClient {
    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.stored.client
    }

    /// Whether it proved itself at all, and did not only say its name.
    pub(crate) fn is_confidential(&self) -> bool {
        self.client().is_confidential()
    }
}

/// Only the name: what is stored holds digests.
impl std::fmt::Debug for AuthenticatedClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AuthenticatedClient")
            .field(&self.client().id)
            .finish()
    }
}

/// Finds out which client a request comes from.
pub(crate) async fn authenticate(
    cx: &Cx,
    received: &Received,
    form: &Parameters,
) -> Result<AuthenticatedClient, Failure> {
    let outcome = match presented::read(received, form) {
        Ok(presented) => prove(cx, presented, received.certificate.as_deref()).await,
        Err(refusal) => Err(refusal.into()),
    };
    outcome.map_err(|failure| match failure {
        Failure::Refused(refusal) if received.headers.contains_key(AUTHORIZATION) => {
            challenge(refusal, cx.settings.issuer.as_str()).into()
        }
        other => other,
    })
}

async fn prove(
    cx: &Cx,
    presented: Presented<'_>,
    shown: Option<&ClientCertificate>,
) -> Result<AuthenticatedClient, Failure> {
    let is_guess = !matches!(presented.proof, Proof::Nothing);
    let name = presented.client.clone();
    let method = presented.proof.method();
    let mut outcome = look_at(cx, &presented, shown).await;
    // Whatever is wrong with it, known or not: time does not tell which.
    if let Err(Failure::Refused(refusal)) = &outcome
        && *refusal == failed()
        && Box::pin(cx.app.has_news()).await
    {
        outcome = look_at(cx, &presented, shown).await;
    }
    match &outcome {
        Ok(proved) => {
            let own = proved.client();
            let settled = cx.check_settled(&own.id, own.organization.as_ref());
            if settled.is_err() {
                Box::pin(settle(cx, proved)).await?;
            }
            // Whoever proved itself twice in a request is who it was.
            let _ = cx.caller.set(proved.client().id.clone());
        }
        Err(_) => cx
            .recent
            .unproved(cx, &name, Box::pin(why(cx, &name, method)).await),
    }
    outcome.map_err(|failure| match failure {
        Failure::Refused(refusal) if is_guess && refusal == failed() => {
            wrong_guess(cx, name.as_str()).into()
        }
        other => other,
    })
}

/// Reads what is kept of clients again, since something was taken back of this
/// one lately: it may go on if it is still what it proved to be.
async fn settle(cx: &Cx, proved: &AuthenticatedClient) -> Result<(), Failure> {
    cx.app.follow().await?;
    let settled = cx.directory.settled();
    match cx.find_client(&proved.client().id).await? {
        Some(found) if is_as_before(&found, &proved.stored) => {
            // Whoever was looked up twice is as the later look found it.
            let _ = cx.resettled.set(settled);
            Ok(())
        }
        Some(found) if found.enabled => Err(Broken::Stale.into()),
        _ => Err(failed().into()),
    }
}

/// Whether a client is what it was in all that a request may be decided by: when
/// it was changed last is written by every taking back, too, and decides nothing.
fn is_as_before(now: &StoredClient, before: &StoredClient) -> bool {
    let StoredClient {
        client,
        enabled,
        secrets,
        created: _,
        updated: _,
    } = now;
    *client == before.client && *enabled == before.enabled && *secrets == before.secrets
}

/// Why a client could not prove itself, for administrators alone: the caller is
/// told one text for all of it.
async fn why(cx: &Cx, name: &ClientId, method: Option<ClientAuthentication>) -> &'static str {
    let Ok(found) = cx.find_client(name).await else {
        return "the client could not be looked up";
    };
    match (found, method) {
        (None, _) => "there is no client of that id",
        (Some(own), _) if !own.enabled => "the client is disabled",
        (Some(own), None) if own.client.authentication() != ClientAuthentication::None => {
            "the client has to prove itself, and showed nothing that does"
        }
        (Some(own), Some(shown)) if own.client.authentication() != shown => {
            "the client is registered for another authentication method"
        }
        _ => {
            "what was shown is not the client's: secret, key, certificate or assertion is another, expired, or was used before"
        }
    }
}

async fn look_at(
    cx: &Cx,
    presented: &Presented<'_>,
    shown: Option<&ClientCertificate>,
) -> Result<AuthenticatedClient, Failure> {
    let found = cx.find_client(&presented.client).await?;
    if found.is_none() && matches!(cx.kind_of_client(&presented.client), Kind::Row) {
        // It was given out here, so to say that it has ended tells nobody
        // anything, and a program can help itself.
        return Err(Refusal::invalid_client("this registration has ended: register again").into());
    }
    let registered = |method| registered(found.as_ref(), method);
    let stored = match &presented.proof {
        Proof::Nothing => {
            let by_authority = || registered(ClientAuthentication::TlsClientAuth);
            let by_itself = || registered(ClientAuthentication::SelfSignedTlsClientAuth);
            match (
                registered(ClientAuthentication::None),
                by_authority().or_else(by_itself),
            ) {
                (Some(public), _) => public,
                (None, Some(stored)) => {
                    Box::pin(certificate::prove(cx, &stored, shown)).await?;
                    stored
                }
                (None, None) => return Err(failed().into()),
            }
        }
        Proof::Secret { method, secret } => {
            check_guesses(cx, &presented.client)?;
            let secrets = found.as_deref().map_or(&[][..], |stored| &stored.secrets);
            if !secret::is_right(&cx.keys, secrets, secret, cx.now) {
                return Err(failed().into());
            }
            let stored = registered(*method).ok_or_else(|| otherwise(found.as_deref()))?;
            cx.guesses
                .remember(cx.address, stored.client.id.as_str(), cx.now);
            stored
        }
        Proof::Assertion(unverified) => {
            let by_key = registered(ClientAuthentication::PrivateKeyJwt);
            if let Some(stored) = by_key {
                // Nobody finds a key by trying, so there is nothing to shut out.
                Box::pin(assertion::prove(cx, &stored, unverified)).await?;
                return Ok(AuthenticatedClient { stored });
            }
            check_guesses(cx, &presented.client)?;
            let by_secret = registered(ClientAuthentication::ClientSecretJwt);
            let stored = by_secret.ok_or_else(failed)?;
            Box::pin(assertion::prove(cx, &stored, unverified)).await?;
            cx.guesses
                .remember(cx.address, stored.client.id.as_str(), cx.now);
            stored
        }
    };
    Ok(AuthenticatedClient { stored })
}

/// The client that was found, if it is enabled and registered for this method
/// and no other: one that can keep a secret is never believed without it.
fn registered(
    found: Option<&Arc<StoredClient>>,
    method: ClientAuthentication,
) -> Option<Arc<StoredClient>> {
    let stored = found?;
    let usable = stored.enabled && stored.client.authentication() == method;
    usable.then(|| Arc::clone(stored))
}

/// Refuses a source that has guessed too often, before anything is compared
/// and whatever name it was.
fn check_guesses(cx: &Cx, client: &ClientId) -> Result<(), Refusal> {
    if cx.guesses.is_shut_out(cx.address, client.as_str(), cx.now) {
        return Err(too_many());
    }
    Ok(())
}

/// Counts a wrong guess and refuses it; whoever has guessed too often is told
/// so, whatever name it was.
fn wrong_guess(cx: &Cx, client: &str) -> Refusal {
    if cx.guesses.is_exhausted(cx.address, client) {
        return too_many();
    }
    cx.guesses.count(cx.address, client);
    failed()
}

fn too_many() -> Refusal {
    let seconds = u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX);
    Refusal::invalid_client("too many wrong guesses from this network")
        .with_status(429)
        .with_retry_after(seconds)
}

/// One text for unknown, disabled, registered otherwise and wrong: the answer
/// does not tell which clients there are.
fn failed() -> Refusal {
    Refusal::invalid_client("client authentication failed")
}

/// Whoever knows the secret may know why it was not enough.
fn otherwise(found: Option<&StoredClient>) -> Refusal {
    if found.is_some_and(|stored| stored.enabled) {
        return Refusal::invalid_client(
            "the client is registered for another authentication method",
        );
    }
    failed()
}

/// Adds the challenge that belongs to an attempt by `Authorization`.
fn challenge(refusal: Refusal, issuer: &str) -> Refusal {
    if refusal.code != ErrorCode::InvalidClient || refusal.status.is_some() {
        return refusal;
    }
    match HeaderValue::from_str(&format!("Basic realm=\"{issuer}\"")) {
        Ok(value) => refusal.with_challenge(value),
        Err(_) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::{ClientKind, Timestamp};

    use super::*;

    fn stored(method: ClientAuthentication) -> StoredClient {
        let mut client = Client::new("partner".parse().unwrap(), ClientKind::Web);
        client.authentication = Some(method);
        StoredClient {
            client,
            enabled: true,
            secrets: Vec::new(),
            created: Timestamp::EPOCH,
            updated: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_client_is_taken_by_the_method_it_is_registered_for_and_no_other() {
        for own in ClientAuthentication::ALL {
            let stored = Arc::new(stored(*own));
            for method in ClientAuthentication::ALL {
                assert_eq!(registered(Some(&stored), *method).is_some(), own == method);
            }
        }
    }

    #[test]
    fn an_unknown_or_disabled_client_is_taken_by_no_method() {
        for method in ClientAuthentication::ALL {
            let mut disabled = stored(*method);
            disabled.enabled = false;
            assert!(registered(Some(&Arc::new(disabled)), *method).is_none());
            assert!(registered(None, *method).is_none());
        }
    }

    #[test]
    fn only_a_401_is_challenged() {
        let challenged =
            |refusal: Refusal| challenge(refusal, "https://auth.example.com").challenge;

        assert_eq!(
            challenged(failed()).unwrap(),
            "Basic realm=\"https://auth.example.com\""
        );
        assert_eq!(challenged(failed().with_status(429)), None);
        assert_eq!(challenged(Refusal::invalid_request("x")), None);
    }
}
