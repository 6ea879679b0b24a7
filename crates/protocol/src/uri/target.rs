//! The address that a request goes to, in the form in which two are compared:
//! without query and fragment, and the same for every spelling of one address.
//!
//! Spec: RFC 9449 §4.2, §4.3
//! Spec: RFC 3986 §6.2.2, §6.2.3

use std::fmt;
use std::str::FromStr;

use super::{InvalidUri, authority, is_written_plainly};
use url::Url;

/// The address of a request, normalised.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TargetUri(String);

impl TargetUri {
    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` is a spelling of this address.
    pub fn is_spelled(&self, text: &str) -> bool {
        // Most callers write it as we do, and then nothing has to be parsed.
        text == self.0 || text.parse::<Self>().is_ok_and(|other| other == *self)
    }
}

impl FromStr for TargetUri {
    type Err = InvalidUri;

    fn from_str(text: &str) -> Result<Self, InvalidUri> {
        if text.is_empty() || text.len() > super::MAX_URI_BYTES {
            return Err(InvalidUri("a URI has 1 to 2048 characters"));
        }
        let (scheme, _) = text
            .split_once("://")
            .ok_or(InvalidUri("not an absolute URI"))?;
        let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        if !is_web || !is_written_plainly(text) {
            return Err(InvalidUri("not a web address that needs no repair"));
        }
        let url = Url::parse(text).map_err(|_| InvalidUri("not an absolute URI"))?;
        if authority(text).contains('@') {
            return Err(InvalidUri("a URI must not carry a user name"));
        }
        let path =
            decode_unreserved(url.path()).ok_or(InvalidUri("a percent sign without two digits"))?;
        // The parser has brought scheme, host, port and dot segments to one form.
        Ok(Self(format!(
            "{}{path}",
            url.origin().ascii_serialization()
        )))
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Decodes what needs no encoding, and writes the rest in capitals.
fn decode_unreserved(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        rest = &after[2..];
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> TargetUri {
        "https://api.example.com/orders/7~a".parse().unwrap()
    }

    #[test]
    fn every_spelling_of_one_address_is_that_address() {
        for spelling in [
            "https://api.example.com/orders/7~a",
            "HTTPS://API.Example.COM/orders/7~a",
            "https://api.example.com:443/orders/7~a",
            "https://api.example.com/orders/7~a?page=2#top",
            "https://api.example.com/orders/%37%7ea",
            "https://api.example.com/x/../orders/./7~a",
        ] {
            assert!(target().is_spelled(spelling), "{spelling}");
        }
        let root: TargetUri = "https://api.example.com".parse().unwrap();
        assert!(root.is_spelled("https://api.example.com/"));
        let encoded: TargetUri = "https://api.example.com/a%2fb".parse().unwrap();
        assert!(encoded.is_spelled("https://api.example.com/a%2Fb"));
    }

    #[test]
    fn another_address_is_another_address() {
        for other in [
            "",
            "/orders/7~a",
            "https:api.example.com/orders/7~a",
            "http://api.example.com/orders/7~a",
            "http://api.example.com:443/orders/7~a",
            "https://api.example.com:8443/orders/7~a",
            "https://api.example.com./orders/7~a",
            "https://api.example.com.evil.test/orders/7~a",
            "https://user@api.example.com/orders/7~a",
            "https://@api.example.com/orders/7~a",
            "https://api.example.com/orders/7~A",
            "https://api.example.com/orders/7~a/",
            "https://api.example.com//orders/7~a",
            "https://api.example.com/orders%2F7~a",
            "https://api.example.com/orders/7~a%",
            "https://api.example.com\\orders/7~a",
            " https://api.example.com/orders/7~a",
            "https://api.example.com/orders/7~a\n",
            "ftp://api.example.com/orders/7~a",
        ] {
            assert!(!target().is_spelled(other), "{other}");
        }
    }
}
