//! Certificates: of an authority, with the subject that is registered, or of
//! the client's own making, among its registered keys.
//!
//! Spec: RFC 8705 §2.1, §2.2

use symbolon_protocol::{Client, ClientAuthentication};
use symbolon_store::StoredClient;
use symbolon_token::Thumbprint;

use super::failed;
use crate::client_certificate::ClientCertificate;
use crate::cx::Cx;
use crate::failure::Refusal;

/// Checks the certificate of a client that is registered for one. The
/// connection has proved that its key is held.
pub(super) async fn prove(
    cx: &Cx,
    stored: &StoredClient,
    certificate: Option<&ClientCertificate>,
) -> Result<(), Refusal> {
    let client = &stored.client;
    let certificate = certificate.ok_or_else(failed)?;
    let is_its_own = match client.authentication() {
        ClientAuthentication::TlsClientAuth => is_vouched_for(cx, client, certificate),
        ClientAuthentication::SelfSignedTlsClientAuth => {
            is_registered(cx, client, certificate).await
        }
        _ => false,
    };
    if is_its_own { Ok(()) } else { Err(failed()) }
}

fn is_vouched_for(cx: &Cx, client: &Client, certificate: &ClientCertificate) -> bool {
    match (&cx.authorities, client.binding.subject()) {
        (Some(authorities), Some(subject)) => authorities.vouch(certificate, subject, cx.now),
        _ => false,
    }
}

/// Whether the very certificate is among the client's keys. Who made it and
/// until when it says to be valid does not matter: the client takes it out.
async fn is_registered(cx: &Cx, client: &Client, certificate: &ClientCertificate) -> bool {
    let keys = match (&client.jwks, &client.jwks_uri) {
        (Some(document), _) => cx.fetcher.inline_key_set(document),
        (None, Some(uri)) => return is_published(cx, uri, certificate.thumbprint()).await,
        (None, None) => None,
    };
    keys.is_some_and(|keys| keys.certificates().contains(&certificate.thumbprint()))
}

/// A certificate that is not among the keys that are kept is asked for once
/// more, as a key of an unknown name is.
async fn is_published(cx: &Cx, uri: &str, certificate: Thumbprint) -> bool {
    let unknown = certificate.to_string();
    for kid in [None, Some(unknown.as_str())] {
        let keys = cx
            .fetcher
            .key_set(uri, kid, cx.edge.clock.monotonic())
            .await;
        match keys {
            Ok(keys) if keys.certificates().contains(&certificate) => return true,
            Ok(_) => {}
            // Keys that cannot be had are no fault of ours, and the fetcher said so.
            Err(_) => return false,
        }
    }
    false
}
