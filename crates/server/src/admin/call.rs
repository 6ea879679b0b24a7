//! A request to the administration listener, as an operation sees it.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::Path;
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use symbolon_protocol::Parameters;
use symbolon_token::jose::json;

use crate::cx::Cx;
use crate::received::{BODY_TIMEOUT, Received};

use super::body;
use super::failed::{Outcome, Refused};
use super::routes::Route;

/// How large a body may be, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// One call of an operation.
pub(crate) struct Call {
    /// The variable parts of the path, decoded.
    parts: BTreeMap<String, String>,
    /// The request.
    pub(super) received: Received,
    /// The names that its query may hold.
    queries: &'static [&'static str],
}

/// Carries out the operation of a route.
pub(super) async fn operate(
    cx: &Cx,
    route: &Route,
    parts: Option<Path<BTreeMap<String, String>>>,
    request: Request<Body>,
) -> Outcome {
    let Some(Path(parts)) = parts else {
        return Err(Refused::not_found("there is nothing at this address").into());
    };
    let received = receive(request).await?;
    let call = Call {
        parts,
        received,
        queries: route.queries,
    };
    call.check_queries()?;
    (route.handler)(cx.clone(), call).await
}

/// Reads the body. Compressed bodies are not taken, so nothing inflates.
async fn receive(request: Request<Body>) -> Result<Received, Refused> {
    let (parts, body) = request.into_parts();
    if parts.headers.contains_key(CONTENT_ENCODING) {
        return Err(Refused::unsupported("compressed bodies are not taken"));
    }
    let read = Limited::new(body, MAX_BODY_BYTES).collect();
    // A body that never comes would hold the connection of an operator who has
    // something to take back.
    let body = match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Err(_) => return Err(Refused::late()),
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refused::too_large()),
        Ok(Err(_)) => return Err(Refused::invalid("the body could not be read")),
    };
    Ok(Received {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        certificate: None,
    })
}

impl Call {
    /// A variable part of the path. What cannot name anything names nothing.
    pub(super) fn part<T: FromStr>(&self, name: &str, noun: &str) -> Result<T, Refused> {
        let text = self.text_part(name);
        text.parse()
            .map_err(|_| Refused::not_found(format!("there is no {noun} `{text}`")))
    }

    /// A variable part of the path, as it stands there.
    pub(super) fn text_part(&self, name: &str) -> &str {
        self.parts.get(name).map_or("", String::as_str)
    }

    /// Refuses a query with names that mean nothing here.
    fn check_queries(&self) -> Result<(), Refused> {
        let query = self.received.uri.query().unwrap_or_default();
        let mut names = form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
        match names.find(|name| !self.queries.contains(&name.as_ref())) {
            Some(name) => Err(Refused::member(
                &name,
                "is not a parameter of this operation",
            )),
            None => Ok(()),
        }
    }

    /// The parameters of the query.
    pub(super) fn query(&self) -> Result<Parameters, Refused> {
        let query = self.received.uri.query().unwrap_or_default();
        Parameters::parse(query.as_bytes()).map_err(|invalid| Refused::invalid(invalid.to_string()))
    }

    /// The document of the body.
    pub(super) fn object(&self) -> Result<Map<String, Value>, Refused> {
        let kind = self.received.header(&CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let taken = ["application/json", "application/merge-patch+json"];
        if !taken.iter().any(|own| kind.eq_ignore_ascii_case(own)) {
            return Err(Refused::unsupported("the body must be application/json"));
        }
        let object = json::object(&self.received.body).map_err(|_| {
            Refused::invalid("the body must be one JSON object, not too deep, with no member twice")
        })?;
        body::check_size(&object)?;
        Ok(object)
    }

    /// The document of the body, read into what it means.
    pub(super) fn document<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        body::read(&self.object()?)
    }

    /// The document of a body that may be left out.
    pub(super) fn optional_document<T: DeserializeOwned + Default>(&self) -> Result<T, Refused> {
        if self.received.body.is_empty() {
            return Ok(T::default());
        }
        self.document()
    }
}
