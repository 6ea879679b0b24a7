//! The logout token: tells a client which session of which person has ended.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.4

use serde_json::{Value, json};
use std::time::Duration;
use symbolon_protocol::{Client, EncryptedAnswer, Timestamp};
use symbolon_store::WaitingMessage;

use crate::cx::Cx;
use crate::encryption;
use crate::failure::{Broken, Failure};
use crate::grant::subject;

/// The `typ` of a logout token.
pub(crate) const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";

/// What says that a session has ended.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// How long a logout token is good: each attempt makes its own.
const LIFETIME: Duration = Duration::from_secs(2 * 60);

/// Writes a message as the client reads it: signed as its ID tokens are, and
/// encrypted where they are. Nothing where the message names nobody.
pub(super) async fn mint(
    cx: &Cx,
    client: &Client,
    waiting: &WaitingMessage,
    now: Timestamp,
) -> Result<Option<String>, Failure> {
    let (Some(person), Some(session)) = (waiting.message.person, waiting.message.session) else {
        return Ok(None);
    };
    let claims: Value = json!({
        "iss": cx.settings.issuer.as_str(),
        "sub": subject::of_person(&cx.keys, client, person),
        "aud": client.id.as_str(),
        "iat": now.seconds(),
        "exp": (now + LIFETIME).seconds(),
        "jti": waiting.id.to_string(),
        "sid": subject::session(&cx.keys, client, session),
        "events": { EVENT: {} },
    });
    let key = cx
        .keys
        .signer(client.id_token_signed_response_alg)
        .ok_or(Broken::Impossible("no key for a signing algorithm"))?;
    let signed = key.sign(LOGOUT_TOKEN_TYPE, claims.to_string().as_bytes());
    let text = encryption::to_client(cx, client, EncryptedAnswer::IdToken, signed).await?;
    Ok(Some(text))
}
