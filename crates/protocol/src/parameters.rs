//! The parameters of a request: each at most once, the empty ones as if absent.
//!
//! Spec: RFC 6749 §3.1, §3.2
//! Spec: RFC 8707 §2

/// How many parameters one request may have.
pub const MAX_PARAMETERS: usize = 64;
/// How long the parameters of one request may be together, in bytes.
pub const MAX_PARAMETER_BYTES: usize = 64 * 1024;

/// The names that may stand more than once.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// Why parameters could not be read. No case shows a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidParameters {
    /// A name stands twice that may stand once.
    #[error("parameter `{0}` is repeated")]
    Repeated(String),
    /// A name or value is not UTF-8, or holds a NUL.
    #[error("a parameter is not valid text")]
    Text,
    /// More than [`MAX_PARAMETERS`] or [`MAX_PARAMETER_BYTES`].
    #[error("too many parameters")]
    TooMany,
}

/// Checked parameters, in order.
#[derive(Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string or a form body.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidParameters> {
        if text.len() > MAX_PARAMETER_BYTES {
            return Err(InvalidParameters::TooMany);
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        let parts = text.split(|b| *b == b'&').filter(|part| !part.is_empty());
        for (number, part) in parts.enumerate() {
            if number >= MAX_PARAMETERS {
                return Err(InvalidParameters::TooMany);
            }
            let at = part.iter().position(|b| *b == b'=').unwrap_or(part.len());
            let name = decode(&part[..at])?;
            let value = decode(part.get(at + 1..).unwrap_or_default())?;
            let again = pairs.iter().any(|(other, _)| *other == name);
            if again && !REPEATABLE.contains(&name.as_str()) {
                let shown = name
                    .chars()
                    .filter(char::is_ascii_graphic)
                    .take(40)
                    .collect();
                return Err(InvalidParameters::Repeated(shown));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The value under `name`; an empty one counts as absent.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values under a name that may repeat; empty ones are left out.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(own, _)| own == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// Names and values in order, without the empty ones.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether `name` stands there at all, even empty.
    pub fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }
}

/// Only the names: values may be secrets.
impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// Undoes form encoding, strictly as UTF-8.
fn decode(text: &[u8]) -> Result<String, InvalidParameters> {
    let mut decoded = Vec::with_capacity(text.len());
    for (number, between) in text.split(|b| *b == b'+').enumerate() {
        if number > 0 {
            decoded.push(b' ');
        }
        // Most bytes stand for themselves.
        let plain = between.iter().position(|b| *b == b'%');
        let (before, rest) = between.split_at(plain.unwrap_or(between.len()));
        decoded.extend_from_slice(before);
        decoded.extend(percent_encoding::percent_decode(rest));
    }
    match String::from_utf8(decoded) {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded),
        _ => Err(InvalidParameters::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack: A023
    #[test]
    fn a_repeated_parameter_is_refused_and_resource_is_not() {
        let repeated = Parameters::parse(b"state=a&state=a").unwrap_err();
        assert_eq!(repeated, InvalidParameters::Repeated("state".into()));
        let two = Parameters::parse(b"resource=a&resource=b").unwrap();
        assert_eq!(two.all("resource").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_repetition_in_another_spelling_is_refused() {
        assert!(Parameters::parse(b"client_id=a&client%5Fid=b").is_err());
    }

    #[test]
    fn empty_counts_as_absent() {
        let form = Parameters::parse(b"scope=&code&&x=1").unwrap();
        assert_eq!(form.one("scope"), None);
        assert_eq!(form.one("code"), None);
        assert_eq!(form.one("x"), Some("1"));
    }

    /// Attack: B074
    #[test]
    fn what_is_not_text_is_refused() {
        for bad in [
            &b"code=%00"[..],
            b"code=%ff%fe",
            b"client_id=%c0%ae",
            b"a\xff=1",
        ] {
            assert_eq!(Parameters::parse(bad).unwrap_err(), InvalidParameters::Text);
        }
    }

    #[test]
    fn a_flood_of_parameters_is_refused() {
        let many = (0..65)
            .map(|n| format!("p{n}=1"))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(
            Parameters::parse(many.as_bytes()).unwrap_err(),
            InvalidParameters::TooMany
        );
    }
}
