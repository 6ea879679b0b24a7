//! Of whom a stream tells: of everybody who let its client do something, besides
//! those whom the receiver takes out.
//!
//! Whether anybody is known is not told: the answer is the same for all. A session
//! is nobody to be taken out.
//!
//! Spec: OpenID Shared Signals Framework 1.0 §8.1.3, §9.1

use axum::response::Response;
use http::StatusCode;
use symbolon_protocol::SubjectIdentifier;
use symbolon_store::SetSubject;

use super::{Right, body, find, receiver, stream_id, written};
use crate::cx::Cx;
use crate::endpoint::bearer::with_nonce;
use crate::failure::{Failure, Refusal};
use crate::received::Received;
use crate::respond;
use crate::subject_identifier;

/// Answers `POST /ssf/subjects/add`.
pub(crate) async fn add(cx: Cx, received: Received) -> Result<Response, Failure> {
    set(&cx, &received, true).await?;
    let response = respond::empty(StatusCode::OK);
    Ok(with_nonce(&cx, &received, response))
}

/// Answers `POST /ssf/subjects/remove`.
pub(crate) async fn remove(cx: Cx, received: Received) -> Result<Response, Failure> {
    set(&cx, &received, false).await?;
    let response = respond::empty(StatusCode::NO_CONTENT);
    Ok(with_nonce(&cx, &received, response))
}

async fn set(cx: &Cx, received: &Received, told: bool) -> Result<(), Failure> {
    let client = receiver(cx, received, Right::Manage).await?;
    let body = body(received)?;
    let (stream, _) = find(cx, &client, stream_id(&body)?).await?;
    let subject = body.get("subject");
    let subject = subject.ok_or(Refusal::invalid_request("subject is missing"))?;
    let subject = SubjectIdentifier::read(subject)
        .map_err(|_| Refusal::invalid_request("subject has a format that is not known here"))?;
    // A session is less than a person: whoever means it would silence the whole.
    if let SubjectIdentifier::Complex {
        session: Some(_), ..
    } = &subject
    {
        let why = "subject names a session, and a stream tells of people";
        return Err(Refusal::invalid_request(why).into());
    }
    let found = subject_identifier::find(cx, &client.client, &subject).await?;
    let Some(person) = found else {
        return Ok(());
    };
    let act = SetSubject {
        stream: stream.id,
        person: person.id,
        told,
    };
    Ok(written(cx.store.act(act).await?)?)
}
