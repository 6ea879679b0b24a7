//! Which key a token names, which are known, and which one would have verified
//! it: as it is, with the header that the issuer writes, or without the edit
//! that somebody made.
//!
//! Everybody tries two edits: more scope, and a later end. Both break the
//! signature. Undoing them is a guess that the signature itself confirms, so
//! what is said of an edit is never wrong; where no guess fits, none is named.
//!
//! Spec: RFC 7515 §5.2

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};
use symbolon_token::jose::{KeySet, Unverified, VerifyingKey};

/// Keys, as far as they matter to a token.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct KeyShown {
    /// The key that the token's header names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
    /// The algorithm that it names.
    pub algorithm: String,
    /// The keys that the issuer publishes, with their algorithms.
    pub known: Vec<String>,
    /// The key that verifies the token, or would have but for an edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifies: Option<String>,
}

/// An edit that was made to a token after it was signed, which its signature
/// confirms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    /// The header was another.
    Header,
    /// The header was another, and named another key.
    KeyName,
    /// The scope was this one.
    Scope(String),
    /// The end was this one, in seconds.
    Expiry(i64),
    /// Scope and end were these.
    Both(String, i64),
    /// A claim that names somebody was this one.
    Name(&'static str, String),
    /// The same claims were written in another way.
    Rewritten,
}

/// How many of the known keys are tried.
const MAX_KEYS: usize = 16;
/// How many signatures one search checks at most.
const MAX_TRIES: usize = 2048;
/// How many scopes may be taken away in a search.
const MAX_SCOPES: usize = 6;
/// The kinds of JWTs that this product writes.
const TYPES: [&str; 3] = ["at+jwt", "JWT", "logout+jwt"];
/// How long access tokens usually live, in seconds.
const LIVES: [i64; 18] = [
    30, 60, 120, 180, 240, 300, 420, 600, 900, 1200, 1800, 2700, 3600, 7200, 14_400, 28_800,
    43_200, 86_400,
];

/// What is searched for the key of a token.
pub(super) struct Search<'a> {
    parts: [&'a str; 3],
    signature: Vec<u8>,
    keys: Vec<&'a VerifyingKey>,
    tries: usize,
}

/// What a search found.
pub(super) struct Found {
    pub(super) kid: String,
    pub(super) edit: Option<Edit>,
}

/// The keys that a token names and that are known.
pub(super) fn shown(token: &Unverified<'_>, set: Option<&KeySet>) -> KeyShown {
    let known = set.into_iter().flat_map(KeySet::keys).take(MAX_KEYS);
    let name = |key: &VerifyingKey| format!("{} ({})", name_of(key), key.algorithm().as_str());
    KeyShown {
        named: token.claimed_kid().map(super::printable),
        algorithm: super::printable(token.claimed_algorithm()),
        known: known.map(name).collect(),
        verifies: None,
    }
}

fn name_of(key: &VerifyingKey) -> String {
    super::printable(key.kid().unwrap_or("without a name"))
}

impl<'a> Search<'a> {
    /// Nothing where the text has no signature that could be checked.
    pub(super) fn new(text: &'a str, set: &'a KeySet) -> Option<Self> {
        let mut all = text.split('.');
        let parts = [all.next()?, all.next()?, all.next()?];
        let signature = BASE64_URL_SAFE_NO_PAD.decode(parts[2]).ok()?;
        (!signature.is_empty() && all.next().is_none()).then(|| Self {
            parts,
            signature,
            keys: set.keys().take(MAX_KEYS).collect(),
            tries: 0,
        })
    }

    /// The key that verifies the token, and the edit that has to be undone.
    /// `needed` are the scopes that the API wants, `audiences` its names.
    pub(super) fn run(
        mut self,
        claims: &Map<String, Value>,
        (needed, audiences): (&[String], &[String]),
    ) -> Option<Found> {
        let [header, payload, _] = self.parts;
        if let Some(kid) = self.verifies(header, payload) {
            return Some(Found { kid, edit: None });
        }
        if let Some(found) = self.other_header(payload) {
            return Some(found);
        }
        let text = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
        let text = String::from_utf8(text).ok()?;
        let dense = without_blanks(&text);
        for (base, rewritten) in [(&text, false), (&dense, true)] {
            if rewritten && dense == text {
                break;
            }
            if rewritten && let Some(kid) = self.tried(base) {
                let edit = Some(Edit::Rewritten);
                return Some(Found { kid, edit });
            }
            if let Some(found) = self.other_end(base, claims) {
                return Some(found);
            }
            if let Some(found) = self.other_scope(base, claims, needed) {
                return Some(found);
            }
            if let Some(found) = self.other_name(base, claims, audiences) {
                return Some(found);
            }
            if let Some(found) = self.other_scope_and_end(base, claims, needed) {
                return Some(found);
            }
        }
        None
    }

    /// Another API, subject or client: the names that belong here, and whoever
    /// acts for itself, whose two names are the same.
    fn other_name(
        &mut self,
        text: &str,
        claims: &Map<String, Value>,
        audiences: &[String],
    ) -> Option<Found> {
        let of = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let own = audiences.iter().map(|own| ("aud", own.clone()));
        let subject = of("client_id").map(|was| ("sub", was));
        let client = of("sub").map(|was| ("client_id", was));
        for (name, was) in own.chain(subject).chain(client) {
            let Some(now) = claims.get(name).filter(|now| **now != was) else {
                continue;
            };
            let before = replaced(text, (name, now), &Value::from(was.as_str()));
            if let Some(kid) = before.and_then(|before| self.tried(&before)) {
                let edit = Some(Edit::Name(name, was));
                return Some(Found { kid, edit });
            }
        }
        None
    }

    /// Both edits that everyone tries, made together.
    fn other_scope_and_end(
        &mut self,
        text: &str,
        claims: &Map<String, Value>,
        needed: &[String],
    ) -> Option<Found> {
        let scope = claims.get("scope")?;
        let (issued, end) = (claims.get("iat")?.as_i64()?, claims.get("exp")?);
        let guesses = scopes_before(scope.as_str()?, needed);
        for was in guesses.into_iter().filter(|own| !own.is_empty()) {
            let text = replaced(text, ("scope", scope), &Value::from(was.as_str()))?;
            for life in LIVES {
                let ended = issued.checked_add(life)?;
                let before = replaced(&text, ("exp", end), &Value::from(ended))?;
                if let Some(kid) = self.tried(&before) {
                    let edit = Some(Edit::Both(was, ended));
                    return Some(Found { kid, edit });
                }
            }
        }
        None
    }

    /// The name of a known key whose signature it is.
    fn verifies(&mut self, header: &str, payload: &str) -> Option<String> {
        let signed = format!("{header}.{payload}");
        for key in &self.keys {
            if self.tries == MAX_TRIES {
                return None;
            }
            self.tries += 1;
            if key.verifies(signed.as_bytes(), &self.signature) {
                return Some(name_of(key));
            }
        }
        None
    }

    fn tried(&mut self, payload: &str) -> Option<String> {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(payload);
        self.verifies(self.parts[0], &payload)
    }

    /// The header as this product writes it for each known key.
    fn other_header(&mut self, payload: &str) -> Option<Found> {
        let named = header_of(self.parts[0]);
        let named = named.get("kid").and_then(Value::as_str);
        for key in self.keys.clone() {
            let Some(kid) = key.kid() else { continue };
            for typ in TYPES {
                let algorithm = key.algorithm().as_str();
                let header = format!(r#"{{"alg":"{algorithm}","typ":"{typ}","kid":"{kid}"}}"#);
                let header = BASE64_URL_SAFE_NO_PAD.encode(header);
                let signed = format!("{header}.{payload}");
                if !key.verifies(signed.as_bytes(), &self.signature) {
                    continue;
                }
                let (kid, is_name) = (super::printable(kid), named == Some(kid));
                let edit = if is_name { Edit::Header } else { Edit::KeyName };
                return Some(Found {
                    kid,
                    edit: Some(edit),
                });
            }
        }
        None
    }

    fn other_end(&mut self, text: &str, claims: &Map<String, Value>) -> Option<Found> {
        let number = |name: &str| claims.get(name).and_then(Value::as_i64);
        let (issued, end) = (number("iat")?, number("exp")?);
        let written = format!("\"exp\":{end}");
        let at = text.find(&written)?;
        for life in LIVES {
            let was = issued.checked_add(life)?;
            let before = format!(
                "{}\"exp\":{was}{}",
                &text[..at],
                &text[at + written.len()..]
            );
            if let Some(kid) = self.tried(&before) {
                let edit = Some(Edit::Expiry(was));
                return Some(Found { kid, edit });
            }
        }
        None
    }

    /// The scope without some of its words; or one in whose place another
    /// stood that begins or ends alike.
    fn other_scope(
        &mut self,
        text: &str,
        claims: &Map<String, Value>,
        needed: &[String],
    ) -> Option<Found> {
        let now = claims.get("scope").and_then(Value::as_str)?;
        let written = format!("\"scope\":{}", Value::from(now));
        let at = text.find(&written)?;
        for was in scopes_before(now, needed) {
            let before = match &*was {
                "" => continue,
                own => format!(
                    "{}\"scope\":{}{}",
                    &text[..at],
                    Value::from(own),
                    &text[at + written.len()..]
                ),
            };
            if let Some(kid) = self.tried(&before) {
                let edit = Some(Edit::Scope(was));
                return Some(Found { kid, edit });
            }
        }
        None
    }
}

/// The text with another value of a member; nothing where it is not found.
fn replaced(text: &str, (name, now): (&str, &Value), was: &Value) -> Option<String> {
    let written = format!("\"{name}\":{now}");
    let at = text.find(&written)?;
    let behind = &text[at + written.len()..];
    Some(format!("{}\"{name}\":{was}{behind}", &text[..at]))
}

/// What a scope may have been before somebody edited it.
fn scopes_before(now: &str, needed: &[String]) -> Vec<String> {
    let words: Vec<&str> = now.split(' ').filter(|own| !own.is_empty()).collect();
    let mut before = Vec::new();
    if words.len() <= MAX_SCOPES {
        for kept in 1..(1_u32 << words.len()) - 1 {
            let own = words.iter().enumerate();
            let own = own.filter(|(at, _)| kept & (1 << at) != 0);
            before.push(own.map(|(_, word)| *word).collect::<Vec<_>>().join(" "));
        }
    } else {
        for gone in 0..words.len() {
            let own = words.iter().enumerate().filter(|(at, _)| *at != gone);
            before.push(own.map(|(_, word)| *word).collect::<Vec<_>>().join(" "));
        }
    }
    before.extend(whole_before(&words, needed));
    if words.len() > MAX_SCOPES {
        return before;
    }
    for (at, word) in words.iter().enumerate() {
        for other in siblings(word, needed) {
            let mut own = words.clone();
            own[at] = &other;
            before.push(own.join(" "));
        }
    }
    before
}

/// What may have stood in the place of all of it: what the API needs, one word
/// alone or all of them, or what every sign-in asks for.
fn whole_before(words: &[&str], needed: &[String]) -> Vec<String> {
    const USUAL: [&str; 4] = [
        "openid",
        "openid profile",
        "openid profile email",
        "openid email",
    ];
    let mut all: Vec<String> = needed.to_vec();
    all.push(needed.join(" "));
    for usual in USUAL {
        all.push(usual.to_owned());
        all.push(format!("{usual} {}", needed.join(" ")));
    }
    let now = words.join(" ");
    all.retain(|own| !own.trim().is_empty() && *own != now);
    all.dedup();
    all
}

/// The same resource under another verb, `read:orders` for `write:orders`.
fn siblings(word: &str, needed: &[String]) -> Vec<String> {
    const VERBS: [&str; 8] = [
        "read", "write", "list", "view", "create", "update", "delete", "admin",
    ];
    let mut all: Vec<String> = Vec::new();
    for sign in [':', '.'] {
        if let Some((first, second)) = word.split_once(sign) {
            all.extend(VERBS.map(|verb| format!("{verb}{sign}{second}")));
            all.extend(VERBS.map(|verb| format!("{first}{sign}{verb}")));
        }
    }
    all.extend(needed.iter().cloned());
    all.retain(|own| own != word);
    all
}

fn header_of(part: &str) -> Map<String, Value> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// JSON without the blanks between its words, in its own order.
fn without_blanks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut is_inside, mut is_escaped) = (false, false);
    for one in text.chars() {
        if is_inside || !one.is_whitespace() {
            out.push(one);
        }
        match one {
            '"' if !is_escaped => is_inside = !is_inside,
            _ => {}
        }
        is_escaped = is_inside && one == '\\' && !is_escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_strings_stay() {
        let text = "{ \"a\" : \"b \\\" c\" ,\n \"d\": [1, 2] }";
        assert_eq!(without_blanks(text), "{\"a\":\"b \\\" c\",\"d\":[1,2]}");
    }

    #[test]
    fn a_search_for_scopes_is_bounded_and_finds_what_was_added() {
        let before = scopes_before("read:a write:a admin", &[]);
        assert!(before.iter().any(|own| own == "read:a"));
        assert!(before.iter().any(|own| own == "read:a write:a"));
        let whole = scopes_before("admin root", &["read:a".to_owned()]);
        assert!(whole.iter().any(|own| own == "read:a"));
        assert!(whole.iter().any(|own| own == "openid profile read:a"));
        let replaced = scopes_before("write:a", &[]);
        assert!(replaced.iter().any(|own| own == "read:a"));
        let many = vec!["x"; 500].join(" ");
        assert!(scopes_before(&many, &[]).len() <= 520);
    }
}
