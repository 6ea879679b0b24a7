//! One message to one receiver: to whom, in which words, and what the answer
//! means.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8
//! Spec: RFC 8935 §2.1, §2.2, §2.3, §2.4

use std::time::Duration;

use serde_json::Value;
use symbolon_protocol::{ClientId, Timestamp};
use symbolon_store::{
    CLIENT, FindClient, FindStream, STREAM, SignalStream, StoredClient, StreamStatus,
    WaitingMessage,
};
use symbolon_token::Secret;

use crate::cx::Cx;
use crate::endpoint::ssf::{MANAGE, READ};
use crate::failure::{Broken, Failure};
use crate::fetch::{FetchError, Outgoing};
use crate::streams::StreamDocument;

use super::{logout_token, security_event};

/// How large an answer may be, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// The receiver has it, or there is nothing to tell any more.
    Taken,
    /// The receiver cannot be told anything now.
    Unreachable(&'static str),
    /// The receiver asks not to be told anything for a time.
    AskedForTime(&'static str, Duration),
    /// The receiver answered, and did not take this message: it may take others.
    Failed(&'static str),
    /// The receiver says that it does not take this message now. The reason is one
    /// of [`REFUSALS`].
    Refused(&'static str),
    /// It will never take it.
    Never(&'static str),
}

impl Sent {
    /// A word for metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Unreachable(_) => "unreachable",
            Self::AskedForTime(..) => "asked_for_time",
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
            Self::Never(_) => "never",
        }
    }

    /// How often a message was tried by now. Where refusals begin the count does,
    /// too: an outage before them says nothing of the message.
    pub(super) fn attempts(self, waiting: &WaitingMessage) -> u32 {
        match self {
            Self::Refused(_) if !is_refusal(&waiting.reason) => 1,
            _ => waiting.attempts.saturating_add(1),
        }
    }
}

/// Why a receiver refuses what it may take another time, as it is stored.
const REFUSALS: [&str; 4] = [CLIENT_400, RECEIVER_400, INVALID_KEY, LONG_ANSWER];
const CLIENT_400: &str = "the client answered 400";
const RECEIVER_400: &str = "the receiver answered 400";
const INVALID_KEY: &str = "invalid_key";
const LONG_ANSWER: &str = "the answer is too large";

/// Whether a reason is that of a refusal, and of nothing else.
fn is_refusal(reason: &str) -> bool {
    REFUSALS.contains(&reason)
}

/// Who is told.
pub(super) enum Receiver {
    /// A client that took part in a session.
    Client {
        client: Box<StoredClient>,
        uri: String,
    },
    /// A stream to which events are pushed.
    Stream {
        client: Box<StoredClient>,
        stream: Box<SignalStream>,
        document: Box<StreamDocument>,
        shown: Option<Secret>,
    },
}

/// Why nobody is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoReceiver {
    /// There is nobody to be told, ever.
    Gone(&'static str),
    /// The stream stands still, or is fetched by now: what waits is kept for it.
    NotCalled,
}

impl Receiver {
    /// The receiver of a name; the error says why there is none.
    pub(super) async fn find(cx: &Cx, name: &str) -> Result<Result<Self, NoReceiver>, Broken> {
        let gone = |why| Ok(Err(NoReceiver::Gone(why)));
        if let Some(id) = name.strip_prefix(CLIENT) {
            let Some(client) = client(cx, id).await? else {
                return gone("the client is gone");
            };
            let Some(uri) = client.client.logout.backchannel_logout_uri.clone() else {
                return gone("the client wants no logout tokens");
            };
            return Ok(Ok(Self::Client { client, uri }));
        }
        let id = name.strip_prefix(STREAM).unwrap_or_default().to_owned();
        let Some(stream) = cx.store.read(FindStream { id }).await? else {
            return gone("the stream is gone");
        };
        let Some(client) = client(cx, stream.client.as_str()).await? else {
            return gone("the client is gone");
        };
        if ![MANAGE, READ]
            .iter()
            .any(|own| client.client.scopes.contains(own))
        {
            return gone("the client may have no streams any more");
        }
        if stream.status != StreamStatus::Enabled || stream.fetches {
            return Ok(Err(NoReceiver::NotCalled));
        }
        let Some(document) = StreamDocument::read(&stream) else {
            return Err(Broken::Impossible("a stream does not read back"));
        };
        let shown = document_secret(cx, &stream)?;
        Ok(Ok(Self::Stream {
            client,
            document: Box::new(document),
            stream: Box::new(stream),
            shown,
        }))
    }

    /// A word for metrics.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Client { .. } => "logout",
            Self::Stream { .. } => "stream",
        }
    }

    /// Sends one message.
    pub(super) async fn send(&self, cx: &Cx, waiting: &WaitingMessage, now: Timestamp) -> Sent {
        let sent = match self {
            Self::Client { client, uri } => log_out(cx, client, uri, (waiting, now)).await,
            Self::Stream {
                client,
                stream,
                document,
                shown,
            } => {
                let event = security_event::mint(cx, &client.client, stream, waiting).await;
                match event {
                    Ok(Some(event)) => Ok(push(cx, document, shown.as_ref(), event).await),
                    Ok(None) => Ok(Sent::Taken),
                    Err(failure) => Err(failure),
                }
            }
        };
        sent.unwrap_or_else(|failure| {
            let cause = match failure {
                Failure::Refused(refusal) => refusal.reason.to_owned(),
                Failure::Broken(broken) => broken.to_string(),
            };
            tracing::warn!(kind = self.kind(), %cause, "a message could not be written");
            Sent::Failed("it could not be written")
        })
    }
}

/// The client as it is stored: what a node keeps in memory may be older than
/// what another one took from it.
async fn client(cx: &Cx, id: &str) -> Result<Option<Box<StoredClient>>, Broken> {
    let Ok(id) = id.parse::<ClientId>() else {
        return Ok(None);
    };
    let found = cx.store.read(FindClient { id }).await?;
    Ok(found.filter(|found| found.enabled).map(Box::new))
}

fn document_secret(cx: &Cx, stream: &SignalStream) -> Result<Option<Secret>, Broken> {
    let Some(sealed) = &stream.secret else {
        return Ok(None);
    };
    let opened = cx.keys.open_secret(&stream.id, sealed);
    let opened = opened.map_err(|_| Broken::Impossible("what a stream is shown does not open"))?;
    Ok(Some(opened))
}

async fn log_out(
    cx: &Cx,
    client: &StoredClient,
    uri: &str,
    (waiting, now): (&WaitingMessage, Timestamp),
) -> Result<Sent, Failure> {
    let Some(token) = logout_token::mint(cx, &client.client, waiting, now).await? else {
        return Ok(Sent::Never("it names nobody"));
    };
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("logout_token", &token)
        .finish();
    let outgoing = Outgoing {
        url: uri,
        content_type: "application/x-www-form-urlencoded",
        content_language: None,
        accept: "*/*",
        authorization: None,
        body,
        limit_bytes: MAX_ANSWER_BYTES,
    };
    Ok(match cx.fetcher.post(&outgoing).await {
        // Some frameworks answer 204 (§2.8).
        Ok(answer) if matches!(answer.status, 200 | 204) => Sent::Taken,
        // Logging out failed there, or the token was not understood.
        Ok(answer) if answer.status == 400 => Sent::Refused(CLIENT_400),
        Ok(answer) => of_status(answer.status, answer.retry_after.as_deref()),
        Err(error) => of_fault(error),
    })
}

async fn push(cx: &Cx, document: &StreamDocument, shown: Option<&Secret>, event: String) -> Sent {
    let Some(url) = document.endpoint() else {
        return Sent::Never("the stream has no address");
    };
    let outgoing = Outgoing {
        url,
        content_type: "application/secevent+jwt",
        content_language: None,
        accept: "application/json",
        authorization: shown,
        body: event,
        limit_bytes: MAX_ANSWER_BYTES,
    };
    match cx.fetcher.post(&outgoing).await {
        Ok(answer) if matches!(answer.status, 200 | 202 | 204) => Sent::Taken,
        Ok(answer) if answer.status == 400 => of_error(&answer.body),
        Ok(answer) => of_status(answer.status, answer.retry_after.as_deref()),
        Err(error) => of_fault(error),
    }
}

/// What a receiver says of an event that it did not take (RFC 8935 §2.4). Keys
/// and permissions may be put right; a whole event will not become another one.
fn of_error(body: &[u8]) -> Sent {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    match body.as_ref().and_then(|body| body["err"].as_str()) {
        Some("invalid_request") => Sent::Never("invalid_request"),
        Some("invalid_issuer") => Sent::Never("invalid_issuer"),
        Some("invalid_audience") => Sent::Never("invalid_audience"),
        Some("invalid_key") => Sent::Refused(INVALID_KEY),
        Some("authentication_failed") => Sent::Failed("authentication_failed"),
        Some("access_denied") => Sent::Failed("access_denied"),
        _ => Sent::Refused(RECEIVER_400),
    }
}

/// What a status says that is neither a success nor 400. Whoever answers can be
/// reached: of others, only the wish for time says anything.
fn of_status(answered: u16, retry_after: Option<&str>) -> Sent {
    match (answered, retry_after) {
        (429, _) | (503, Some(_)) => {
            // A date is not read: then it is left alone as who cannot be reached.
            let seconds = retry_after.and_then(|text| text.trim().parse().ok());
            let asked = Duration::from_secs(seconds.unwrap_or(0));
            Sent::AskedForTime(status(answered), asked)
        }
        _ => Sent::Failed(status(answered)),
    }
}

fn of_fault(error: FetchError) -> Sent {
    match error {
        // A long page behind a success is not read, and is none of ours.
        FetchError::TooLarge(200..=299 | 400) => Sent::Refused(LONG_ANSWER),
        FetchError::TooLarge(answered) => of_status(answered, None),
        _ => Sent::Unreachable(cause(error)),
    }
}

const fn status(status: u16) -> &'static str {
    match status {
        300..=399 => "the receiver answered a redirect, which is not followed",
        401 | 403 => "the receiver does not let this server in",
        404 | 410 => "there is nothing at the receiver's address",
        429 | 503 => "the receiver asks for time",
        500..=599 => "the receiver answered that it is broken",
        _ => "the receiver answered with a status that means nothing here",
    }
}

const fn cause(error: FetchError) -> &'static str {
    match error {
        FetchError::Address => "the address may not be called",
        FetchError::TooSlow => "the receiver took too long",
        FetchError::Trust => "no trusted certificate authorities could be loaded",
        _ => "the receiver could not be reached",
    }
}

#[cfg(test)]
mod tests {
    use symbolon_store::{Event, Initiator, Message, MessageId};

    use super::*;

    fn waiting(attempts: u32, reason: &str) -> WaitingMessage {
        WaitingMessage {
            number: 1,
            id: MessageId::parse(&"a7".repeat(16)).unwrap(),
            message: Message {
                event: Event::Logout,
                person: None,
                session: None,
                by: Initiator::User,
                words: Vec::new(),
            },
            attempts,
            created: Timestamp::EPOCH,
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn refusals_are_counted_in_a_row() {
        let (refused, away) = (Sent::Refused(CLIENT_400), "the receiver took too long");
        for (attempts, reason, sent, wanted) in [
            (0, "", refused, 1),
            (1, CLIENT_400, refused, 2),
            (7, LONG_ANSWER, refused, 8),
            (7, away, refused, 1),
            (7, "authentication_failed", refused, 1),
            (3, CLIENT_400, Sent::Unreachable(away), 4),
            (3, away, Sent::Failed(status(500)), 4),
            (0, "", Sent::Taken, 1),
        ] {
            let counted = sent.attempts(&waiting(attempts, reason));
            assert_eq!(counted, wanted, "{attempts} {reason:?} {sent:?}");
        }
    }

    #[test]
    fn a_reason_is_that_of_a_refusal_or_of_something_else() {
        let sent = [
            of_error(br#"{"err":"invalid_key"}"#),
            of_error(br#"{"err":"access_denied"}"#),
            of_error(br#"{"err":"authentication_failed"}"#),
            of_error(b""),
            of_status(429, None),
            of_status(404, None),
            of_status(500, None),
            of_fault(FetchError::TooLarge(200)),
            of_fault(FetchError::TooSlow),
            of_fault(FetchError::Address),
        ];
        for sent in sent {
            match sent {
                Sent::Refused(reason) => assert!(is_refusal(reason), "{reason}"),
                Sent::Unreachable(reason)
                | Sent::AskedForTime(reason, _)
                | Sent::Failed(reason) => assert!(!is_refusal(reason), "{reason}"),
                Sent::Taken | Sent::Never(_) => panic!("{sent:?}"),
            }
        }
        assert!(!is_refusal(""));
    }

    #[test]
    fn only_what_can_never_be_taken_is_given_up_at_once() {
        for (body, wanted) in [
            (r#"{"err":"invalid_request"}"#, "never"),
            (r#"{"err":"invalid_audience","description":"x"}"#, "never"),
            (r#"{"err":"invalid_key"}"#, "refused"),
            (r#"{"err":"authentication_failed"}"#, "failed"),
            (r#"{"err":7}"#, "refused"),
            ("<html>", "refused"),
            ("", "refused"),
        ] {
            assert_eq!(of_error(body.as_bytes()).word(), wanted, "{body}");
        }
    }

    #[test]
    fn only_who_asks_for_time_or_cannot_be_reached_is_left_alone_at_once() {
        for (status, retry_after, wanted) in [
            (500, None, "failed"),
            (503, None, "failed"),
            (302, None, "failed"),
            (403, None, "failed"),
            (404, Some("7"), "failed"),
            (429, None, "asked_for_time"),
            (503, Some("Wed, 21 Oct 2026 07:28:00 GMT"), "asked_for_time"),
        ] {
            assert_eq!(of_status(status, retry_after).word(), wanted, "{status}");
        }
        let Sent::AskedForTime(_, asked) = of_status(503, Some("7")) else {
            panic!("it did not ask");
        };
        assert_eq!(asked, Duration::from_secs(7));
        assert_eq!(of_fault(FetchError::TooSlow).word(), "unreachable");
        assert_eq!(of_fault(FetchError::TooLarge(200)).word(), "refused");
        assert_eq!(of_fault(FetchError::TooLarge(500)).word(), "failed");
    }
}
