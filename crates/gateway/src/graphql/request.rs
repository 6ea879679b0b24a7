//! What a request of HTTP asks for, read once and in one way.
//!
//! Spec: draft-graphql-over-http §5, §6
//!
//! | what is sent | answer |
//! |---|---|
//! | another method than GET and POST | 405 `no-method` |
//! | another content type than `application/json`, in UTF-8; multipart; an encoding | 415 `graphql-media` |
//! | JSON that two programs could read differently | 400 `graphql-json` |
//! | a parameter of the request in the URL of a POST, or twice, or as `query[]` | 400 `graphql-url` |
//! | a body with GET | 400 `graphql-url` |
//! | an array where the route takes none, an empty one, or one of too many | 400 `graphql-batch` |
//!
//! Members that mean nothing here are not sent on, `extensions` among them.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};

use super::json::Json;
use super::settings::Limits;
use crate::problem::Problem;

/// How deep a request may be nested.
const MAX_DEPTH: usize = 64;
/// What a request consists of.
const PARAMETERS: [&str; 5] = [
    "query",
    "operationName",
    "variables",
    "extensions",
    "documentId",
];

/// One operation that is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) query: Option<Arc<str>>,
    /// What it is called instead of being written out.
    pub(crate) name: Option<Name>,
    pub(crate) operation: Option<String>,
    pub(crate) variables: Vec<(String, Json)>,
}

/// What an operation is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// By its place in the manifest.
    Id(String),
    /// By its digest.
    Digest([u8; 32]),
}

/// Everything that a request asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) all: Vec<Asked>,
    pub(crate) is_batch: bool,
}

/// Refuses what cannot be a request by its head.
pub(crate) fn check_head(parts: &Parts) -> Result<(), Problem> {
    let is_get = parts.method == Method::GET;
    if is_get {
        return Ok(());
    }
    if let Some(encoding) = parts.headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(MEDIA);
    }
    match is_json(&parts.headers) {
        true => check_url(parts),
        false => Err(MEDIA),
    }
}

/// Reads a request whose head was checked.
pub(crate) fn read(parts: &Parts, body: &[u8], limits: &Limits) -> Result<Request, Problem> {
    if parts.method == Method::GET {
        if !body.is_empty() {
            return Err(Problem::bad("graphql-url", "a GET has no body here"));
        }
        return Ok(Request {
            all: vec![of_url(parts.uri.query().unwrap_or_default())?],
            is_batch: false,
        });
    }
    match Json::parse(body, MAX_DEPTH).map_err(json)? {
        Json::List(items) => {
            if items.is_empty() || items.len() > limits.max_batch {
                return Err(Problem::bad(
                    "graphql-batch",
                    "the route takes no batch, or none of this size",
                ));
            }
            let all = items.into_iter().map(of_json);
            Ok(Request {
                all: all.collect::<Result<_, _>>()?,
                is_batch: true,
            })
        }
        one => Ok(Request {
            all: vec![of_json(one)?],
            is_batch: false,
        }),
    }
}

/// Reads a request that is JSON, as one of POST has in its body.
pub(crate) fn of_json(whole: Json) -> Result<Asked, Problem> {
    let Json::Object(members) = whole else {
        return Err(SHAPE);
    };
    let mut asked = Asked::default();
    for (name, value) in members {
        asked.take(&name, value)?;
    }
    Ok(asked)
}

impl Asked {
    fn take(&mut self, name: &str, value: Json) -> Result<(), Problem> {
        match (name, value) {
            (_, Json::Null) => {}
            ("query", Json::Text(text)) => self.query = Some(text.into()),
            ("operationName", Json::Text(text)) => self.operation = Some(text),
            ("variables", Json::Object(members)) => self.variables = members,
            ("documentId", Json::Text(id)) => self.call(Name::Id(id))?,
            ("extensions", extensions @ Json::Object(_)) => {
                match extensions.get("persistedQuery") {
                    None | Some(Json::Null) => {}
                    Some(persisted) => self.call(digest(persisted)?)?,
                }
            }
            (name, _) if PARAMETERS.contains(&name) => return Err(SHAPE),
            _ => {}
        }
        Ok(())
    }

    fn call(&mut self, name: Name) -> Result<(), Problem> {
        match self.name.replace(name) {
            None => Ok(()),
            Some(_) => Err(Problem::bad(
                "graphql-shape",
                "the operation is called by two names",
            )),
        }
    }
}

fn digest(persisted: &Json) -> Result<Name, Problem> {
    let is_first = matches!(persisted.get("version"), Some(Json::Number(own)) if own == "1");
    let text = persisted.get("sha256Hash").and_then(Json::text);
    let text = text.filter(|text| text.len() == 64 && text.is_ascii() && is_first);
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        let pair = text.and_then(|text| text.get(at * 2..at * 2 + 2));
        let pair = pair.filter(|pair| pair.bytes().all(|own| own.is_ascii_hexdigit()));
        let value = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        *byte = value.ok_or(SHAPE)?;
    }
    Ok(Name::Digest(digest))
}

/// Reads a request that stands in a URL. Parameters of others are left out, and
/// what is empty says nothing.
fn of_url(query: &str) -> Result<Asked, Problem> {
    let mut asked = Asked::default();
    for (name, value) in pairs(query)? {
        let value = match &*name {
            "variables" | "extensions" | "operationName" if value.is_empty() => Json::Null,
            "variables" | "extensions" => Json::parse(value.as_bytes(), MAX_DEPTH).map_err(json)?,
            _ if value.contains('\0') => return Err(json("a text holds NUL")),
            _ => Json::Text(value),
        };
        asked.take(&name, value)?;
    }
    Ok(asked)
}

/// A request that is in the body is in the body alone.
fn check_url(parts: &Parts) -> Result<(), Problem> {
    match pairs(parts.uri.query().unwrap_or_default())?.is_empty() {
        true => Ok(()),
        false => Err(URL),
    }
}

/// The parameters in a URL that could be a part of the request: each once, in
/// the one way of writing it, in UTF-8.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut found: Vec<(String, String)> = Vec::new();
    for pair in query.split(['&', ';']) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded(name)?;
        let plain = name.split(['[', '.']).next().unwrap_or_default().trim();
        let Some(known) = PARAMETERS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(plain))
        else {
            continue;
        };
        if **known != *name || found.iter().any(|(own, _)| *own == name) {
            return Err(URL);
        }
        found.push((name, decoded(value)?));
    }
    Ok(found)
}

fn decoded(text: &str) -> Result<String, Problem> {
    let text = text.replace('+', " ");
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|own| own.iter().all(u8::is_ascii_hexdigit))
    };
    let has_broken = bytes
        .iter()
        .enumerate()
        .any(|(at, own)| *own == b'%' && !is_escape(at));
    if has_broken {
        return Err(URL);
    }
    let decoded = percent_encoding::percent_decode(bytes).decode_utf8();
    decoded.map(|own| own.into_owned()).map_err(|_| URL)
}

/// Whether the one content type is JSON in UTF-8.
fn is_json(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return false;
    };
    let Ok(text) = one.to_str() else {
        return false;
    };
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|own| own.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |own: &str| {
        let own = own.to_ascii_lowercase();
        matches!(own.as_str(), "" | "charset=utf-8" | "charset=\"utf-8\"")
    };
    is_json && parts.all(is_utf8)
}

fn json(why: &'static str) -> Problem {
    Problem::bad("graphql-json", why)
}

const MEDIA: Problem = Problem::new(
    415,
    "graphql-media",
    "a request of GraphQL is `application/json` in UTF-8, without an encoding",
);
const SHAPE: Problem = Problem::bad(
    "graphql-shape",
    "the request is an object with `query`, `operationName`, `variables` and `extensions`",
);
const URL: Problem = Problem::bad(
    "graphql-url",
    "the request stands in the URL and in the body, or twice, or in no plain way",
);
