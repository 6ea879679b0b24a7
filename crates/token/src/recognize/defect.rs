//! What happens to a credential on its way: what was put around it, how it was
//! encoded once more, and what was lost.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::jose::json;
use crate::mark::{self, Kind};

/// What was done to a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Defect {
    /// It is the whole answer of a token endpoint.
    Answer,
    /// The name of a header stands before it.
    HeaderName,
    /// The scheme of a header stands before it.
    Scheme,
    /// It stands in quotes.
    Quotes,
    /// Blanks stand around it.
    Blanks,
    /// A line break or a blank stands in it.
    LineBreak,
    /// It is encoded as for a form or an address.
    PercentEncoding,
    /// Its base64url is padded.
    Padding,
    /// It is written in the other alphabet of base64.
    OtherAlphabet,
    /// A full stop stands behind it.
    TrailingDot,
    /// It is written in the standard's JSON form.
    JsonForm,
    /// Two credentials stand one behind the other.
    Two,
    /// Its end is missing.
    CutOff,
    /// It was masked.
    Masked,
    /// Its checksum says that a character was changed or lost.
    Checksum,
    /// It is longer than any credential.
    TooLong,
}

impl Defect {
    /// A stable word for scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Answer => "whole_answer",
            Self::HeaderName => "header_name",
            Self::Scheme => "scheme_twice",
            Self::Quotes => "quotes",
            Self::Blanks => "blanks_around",
            Self::LineBreak => "line_break",
            Self::PercentEncoding => "percent_encoded",
            Self::Padding => "base64_padding",
            Self::OtherAlphabet => "base64_alphabet",
            Self::TrailingDot => "trailing_dot",
            Self::JsonForm => "json_form",
            Self::Two => "two_tokens",
            Self::CutOff => "cut_off",
            Self::Masked => "masked",
            Self::Checksum => "checksum",
            Self::TooLong => "too_long",
        }
    }

    /// What it is, in words that follow a name.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Answer => "the whole answer of the token endpoint was sent, not the token in it",
            Self::HeaderName => "the name of the header stands before the token",
            Self::Scheme => "the scheme (`Bearer`) stands before the token once more",
            Self::Quotes => "the token stands in quotes",
            Self::Blanks => "blanks stand around the token",
            Self::LineBreak => "a line break or a blank stands in the token",
            Self::PercentEncoding => "the token is encoded as for a form or an address",
            Self::Padding => "its base64url is padded with `=`, which tokens have not",
            Self::OtherAlphabet => {
                "it is written with `+` and `/`, tokens are written with `-` and `_`"
            }
            Self::TrailingDot => "a full stop stands behind the token",
            Self::JsonForm => "it is a JWS in its JSON form, tokens have the compact form",
            Self::Two => "two tokens stand one behind the other",
            Self::CutOff => "its end is missing: it was cut off",
            Self::Masked => "it was masked by whoever logged or showed it",
            Self::Checksum => {
                "its checksum does not match: a character was changed, or its end was cut off"
            }
            Self::TooLong => "it is longer than any token",
        }
    }

    /// What would repair it, in one plain sentence.
    pub const fn repair(self) -> &'static str {
        match self {
            Self::Answer => "read `access_token` out of the answer and send that alone",
            Self::HeaderName | Self::Scheme => {
                "send `Authorization: Bearer <access token>`, each word once"
            }
            Self::Quotes => "take the quotes away: a value read from JSON or a file has them still",
            Self::Blanks => "trim it: a value read from a file ends with a line break",
            Self::LineBreak => "join its lines: `base64` and mail wrap what is long",
            Self::PercentEncoding => "decode it once before it goes into the header",
            Self::Padding => "take the `=` away (RFC 7515 §2)",
            Self::OtherAlphabet => "send the token as it was issued, do not encode it again",
            Self::TrailingDot => "take the full stop away: it ended the sentence or the file name",
            Self::JsonForm => "send the compact form: header, payload and signature with dots",
            Self::Two => "send one token: look for a variable or a header that is filled twice",
            Self::CutOff => {
                "send it whole: look for a limit of the column, variable, cookie or header that held it"
            }
            Self::Masked => "take the token from where it is kept; logs hold none",
            Self::Checksum => "send it exactly as it was issued, whole and unchanged",
            Self::TooLong => "send one access token and nothing else",
        }
    }

    /// Whether the credential is whole once this is taken away.
    pub const fn is_undone(self) -> bool {
        !matches!(
            self,
            Self::JsonForm
                | Self::Two
                | Self::CutOff
                | Self::Masked
                | Self::Checksum
                | Self::TooLong
        )
    }
}

/// The outermost defect that can be undone, and the text without it.
pub(super) fn outermost(text: &str) -> Option<(Defect, String)> {
    let trimmed = text.trim();
    if let Some(token) = of_answer(trimmed) {
        return Some((Defect::Answer, token));
    }
    if trimmed.len() < text.len() {
        return Some((Defect::Blanks, trimmed.to_owned()));
    }
    if let Some(rest) = without_word(text, &["Authorization:"]) {
        return Some((Defect::HeaderName, rest.to_owned()));
    }
    if let Some(rest) = without_word(text, &["Bearer ", "DPoP ", "Bearer+", "Bearer%20"]) {
        return Some((Defect::Scheme, rest.to_owned()));
    }
    if let Some(inner) = unquoted(text) {
        return Some((Defect::Quotes, inner.to_owned()));
    }
    if text.contains(char::is_whitespace) && !is_two(text) && !is_markup(text) {
        let joined = text.chars().filter(|own| !own.is_whitespace()).collect();
        return Some((Defect::LineBreak, joined));
    }
    if let Some(decoded) = percent_decoded(text) {
        return Some((Defect::PercentEncoding, decoded));
    }
    encoded_again(text)
}

/// Defects that only whoever wrote the token can undo: at the end, when nothing
/// is left around it.
pub(super) fn lasting(text: &str) -> Option<Defect> {
    if is_masked(text) {
        return Some(Defect::Masked);
    }
    if is_two(text) {
        return Some(Defect::Two);
    }
    if is_json_form(text) {
        return Some(Defect::JsonForm);
    }
    if Kind::claimed_by(text) == Some(Kind::AccessToken) && !mark::is_whole_access_token(text) {
        return Some(Defect::Checksum);
    }
    is_cut_off(text).then_some(Defect::CutOff)
}

fn of_answer(text: &str) -> Option<String> {
    if !text.starts_with('{') {
        return None;
    }
    let object = json::object(text.as_bytes()).ok()?;
    object
        .get("access_token")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

fn without_word<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let found = words.iter().find(|word| {
        let start = text.get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    })?;
    Some(&text[found.len()..])
}

fn unquoted(text: &str) -> Option<&str> {
    [('"', '"'), ('\'', '\''), ('`', '`'), ('<', '>'), ('“', '”')]
        .into_iter()
        .filter(|_| !is_markup(text))
        .find_map(|(open, close)| text.strip_prefix(open)?.strip_suffix(close))
}

/// An assertion in its raw form has blanks and brackets of its own.
fn is_markup(text: &str) -> bool {
    text.starts_with('<') && text.contains("Assertion")
}

fn percent_decoded(text: &str) -> Option<String> {
    let at = text.find('%')?;
    let digits = text.get(at + 1..at + 3)?;
    if !digits.bytes().all(|own| own.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3);
        let value = digits.filter(|_| *byte == b'%');
        let value = value.and_then(|own| u8::from_str_radix(own, 16).ok());
        out.push(value.unwrap_or(*byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok()
}

/// What base64 that is not base64url leaves in a compact form.
fn encoded_again(text: &str) -> Option<(Defect, String)> {
    let is_compact = text.starts_with("eyJ") && text.contains('.');
    if !is_compact && !text.starts_with(mark::MARK) {
        return None;
    }
    let is_stopped = text.ends_with('.') && !text.ends_with("..");
    if is_compact && is_stopped && text.matches('.').count() == 3 {
        return Some((Defect::TrailingDot, text[..text.len() - 1].to_owned()));
    }
    if text.contains(['+', '/']) {
        let other = text.replace('+', "-").replace('/', "_");
        return Some((Defect::OtherAlphabet, other));
    }
    text.contains('=')
        .then(|| (Defect::Padding, text.replace('=', "")))
}

fn is_masked(text: &str) -> bool {
    text.to_ascii_uppercase().contains("REDACTED")
        || text.contains("***")
        || text.contains("xxxxx")
        || text.contains('•')
}

/// A second beginning inside the text, or a separator between two.
fn is_two(text: &str) -> bool {
    let begins = |text: &str| {
        let first = text.split('.').next().unwrap_or_default();
        is_header(first) || Kind::claimed_by(text).is_some()
    };
    let separated = text
        .split(|own: char| own == ',' || own == ';' || own.is_whitespace())
        .filter(|part| begins(part))
        .count();
    if separated > 1 {
        return true;
    }
    // A header begins with `{"`, which no signature does that is not asked to;
    // an encrypted token has five parts of its own.
    let parts: Vec<&str> = text.split('.').collect();
    let follows = |part: &&str| {
        part.match_indices("eyJ")
            .any(|(at, _)| at > 0 && is_header(&part[at..]))
    };
    let joined = parts.len() == 5 && parts.get(2).is_some_and(follows);
    let marked = text.match_indices("sym_").skip(1).any(|(at, _)| {
        let rest = text.get(at..).unwrap_or_default();
        Kind::claimed_by(rest).is_some()
    });
    joined || marked && text.starts_with(mark::MARK)
}

fn is_header(part: &str) -> bool {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part);
    bytes.is_ok_and(|bytes| json::object(&bytes).is_ok_and(|own| own.contains_key("alg")))
}

fn is_json_form(text: &str) -> bool {
    let object = json::object(text.as_bytes());
    object.is_ok_and(|own| own.contains_key("payload") && !own.contains_key("access_token"))
}

/// Whether a compact form ends too early: in fewer than three parts, in a part
/// of which a whole one cannot be, or in a signature shorter than its
/// algorithm's.
fn is_cut_off(text: &str) -> bool {
    if text.ends_with("...") || text.ends_with('…') {
        return true;
    }
    if !text.starts_with("eyJ") {
        return false;
    }
    let parts: Vec<&str> = text.split('.').collect();
    match parts[..] {
        [_] | [_, _] => true,
        [header, _, signature] => {
            signature_length(header).is_some_and(|least| signature.len() < least)
        }
        _ => false,
    }
}

/// How many characters the shortest signature of a header's algorithm has.
fn signature_length(header: &str) -> Option<usize> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(header).ok()?;
    let fields = json::object(&bytes).ok()?;
    Some(match fields.get("alg")?.as_str()? {
        "ES256" | "EdDSA" | "Ed25519" => 86,
        "ES384" => 128,
        "RS256" | "PS256" => 342,
        "ML-DSA-65" => 4412,
        _ => return None,
    })
}
