//! Operations that are known by a name: those of the manifest, and those that
//! callers registered under their digest.
//!
//! Spec: draft-graphql-over-http §B
//!
//! A manifest is the one that Apollo's tools write (`format`, `version`,
//! `operations` with `id` and `body`), or an object of ids and texts as Relay's
//! compiler writes it. What is called by its id is judged like any other
//! operation, and sent on as text.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use quick_cache::sync::Cache;
use symbolon_token::Digest;

use super::declined::Declined;
use super::graph::Graph;
use super::json::Json;
use super::request::{Asked, Name};
use super::settings::{Mistake, Persisted, Source};

/// How deep a manifest may be nested.
const MAX_DEPTH: usize = 8;
/// How many operations callers may register, and how many bytes of them.
const MAX_REGISTERED: usize = 1_000;
const MAX_REGISTERED_BYTES: u64 = 4 * 1024 * 1024;

/// Operations that are known by a name.
pub(crate) struct Known {
    listed: HashMap<String, Arc<str>>,
    texts: HashSet<[u8; 32]>,
    registered: Cache<[u8; 32], Arc<str>, Length>,
}

#[derive(Clone)]
struct Length;

impl quick_cache::Weighter<[u8; 32], Arc<str>> for Length {
    fn weight(&self, _key: &[u8; 32], text: &Arc<str>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).max(1)
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            listed: HashMap::new(),
            texts: HashSet::new(),
            registered: Cache::with_weighter(MAX_REGISTERED, MAX_REGISTERED_BYTES, Length),
        }
    }
}

impl Known {
    /// Reads a manifest; every operation in it has to fit the schema.
    pub(crate) fn read(manifest: &Source, graph: &Graph) -> Result<Self, Vec<Mistake>> {
        let mistake = |message: String| Mistake {
            file: manifest.name.clone(),
            line: 0,
            column: 0,
            message,
        };
        let whole = Json::parse(manifest.text.as_bytes(), MAX_DEPTH)
            .map_err(|why| vec![mistake(why.into())])?;
        let pairs = pairs(&whole).ok_or_else(|| {
            vec![mistake(
                "it has to be a manifest of Apollo's, or an object of ids and texts".into(),
            )]
        })?;
        let mut own = Self::default();
        let mut mistakes = Vec::new();
        for (id, text) in pairs {
            if let Err(declined) = graph.read(text) {
                mistakes.push(mistake(format!("operation `{id}`: {}", declined.cause())));
                continue;
            }
            own.texts.insert(*Digest::of(text.as_bytes()).as_bytes());
            let before = own.listed.insert(id.to_owned(), text.into());
            if before.is_some_and(|before| *before != *text) {
                mistakes.push(mistake(format!("operation `{id}` stands there twice")));
            }
        }
        match mistakes.is_empty() {
            true => Ok(own),
            false => Err(mistakes),
        }
    }

    /// The text of an operation.
    pub(crate) fn text(&self, asked: &Asked, graph: &Graph) -> Result<Arc<str>, Declined> {
        let settings = &graph.settings;
        match (&asked.query, &asked.name) {
            (None, None) => Err(Declined::request("the request has no `query`")),
            (None, Some(name)) => self.named(name, graph),
            (Some(text), name) => {
                let digest = *Digest::of(text.as_bytes()).as_bytes();
                match name {
                    None => {}
                    Some(Name::Id(_)) => {
                        let why = "the request has `query` and `documentId`";
                        return Err(Declined::request(why));
                    }
                    Some(Name::Digest(named)) if *named != digest => {
                        let why = "the digest is not that of the query";
                        return Err(Declined::request(why));
                    }
                    Some(Name::Digest(_))
                        if !settings.automatic_persisted
                            && settings.persisted == Persisted::Off =>
                    {
                        return Err(not_supported());
                    }
                    Some(Name::Digest(_)) => {}
                }
                if settings.persisted == Persisted::Only && !self.texts.contains(&digest) {
                    return Err(not_listed());
                }
                Ok(text.clone())
            }
        }
    }

    fn named(&self, name: &Name, graph: &Graph) -> Result<Arc<str>, Declined> {
        let settings = &graph.settings;
        if settings.persisted != Persisted::Off {
            let listed = match name {
                Name::Id(id) => self.listed.get(id),
                Name::Digest(digest) => self.listed.get(&hexadecimal(digest)),
            };
            if let Some(text) = listed {
                return Ok(Arc::clone(text));
            }
            if settings.persisted == Persisted::Only {
                return Err(not_listed());
            }
        }
        match name {
            Name::Digest(digest) if settings.automatic_persisted => {
                let text = self.registered.get(digest);
                text.ok_or_else(|| {
                    Declined::persisted("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
                })
            }
            _ if settings.persisted == Persisted::Off => Err(not_supported()),
            _ => Err(not_listed()),
        }
    }

    /// Registers an operation under its digest, once it has been judged.
    pub(crate) fn register(&self, asked: &Asked, graph: &Graph) {
        if let (Some(text), Some(Name::Digest(digest)), true) = (
            &asked.query,
            &asked.name,
            graph.settings.automatic_persisted,
        ) {
            self.registered.insert(*digest, Arc::clone(text));
        }
    }
}

fn pairs(whole: &Json) -> Option<Vec<(&str, &str)>> {
    let of_apollo = match whole.get("operations") {
        Some(Json::List(items)) => Some(items),
        _ => None,
    };
    if let Some(items) = of_apollo {
        let format = whole.get("format")?.text()?;
        let pairs = items
            .iter()
            .map(|own| Some((own.get("id")?.text()?, own.get("body")?.text()?)));
        return (format == "apollo-persisted-query-manifest")
            .then(|| pairs.collect())
            .flatten();
    }
    let Json::Object(members) = whole else {
        return None;
    };
    let pairs = members
        .iter()
        .map(|(id, text)| Some((id.as_str(), text.text()?)));
    pairs.collect()
}

fn hexadecimal(digest: &[u8; 32]) -> String {
    use std::fmt::Write as _;

    let mut text = String::with_capacity(64);
    for byte in digest {
        // Writing into a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn not_listed() -> Declined {
    let why = "the operation is not among those that are known";
    Declined::persisted("PERSISTED_QUERY_NOT_IN_LIST", why)
}

fn not_supported() -> Declined {
    Declined::persisted(
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "PersistedQueryNotSupported",
    )
}
