//! The access token in a request: one header, one scheme, one space.
//!
//! Spec: RFC 6750 §2.1
//! Spec: RFC 9449 §7.1

use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::refusal::{Malformed, Refusal};

/// What was presented: a request, its headers alone, or a token already taken
/// out of one. A token that is bound to a key or a certificate is good only in
/// a whole request: without method and address no proof can be checked.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// A request.
    Request(&'a Parts),
    /// The headers of a request.
    Headers(&'a HeaderMap),
    /// A token.
    Token(&'a str),
}

impl<'a> From<&'a Parts> for Presented<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self::Request(parts)
    }
}

impl<'a> From<&'a HeaderMap> for Presented<'a> {
    fn from(headers: &'a HeaderMap) -> Self {
        Self::Headers(headers)
    }
}

impl<'a> From<&'a str> for Presented<'a> {
    fn from(token: &'a str) -> Self {
        Self::Token(token)
    }
}

impl<'a> From<&'a String> for Presented<'a> {
    fn from(token: &'a String) -> Self {
        Self::Token(token)
    }
}

impl<'a> Presented<'a> {
    /// The token as text and how it was sent. Nothing of it is checked.
    pub(crate) fn sent(self) -> Result<Sent<'a>, Refusal> {
        match self {
            Self::Token(token) => Ok(Sent {
                scheme: Scheme::Bearer,
                token,
                parts: None,
                purpose: Purpose::Decide,
            }),
            Self::Headers(headers) => read(headers, None),
            Self::Request(parts) => {
                let sent = read(&parts.headers, Some(parts))?;
                match is_in_query(parts.uri.query()) {
                    true => Err(Refusal::Malformed(Malformed::TwoWays)),
                    false => Ok(sent),
                }
            }
        }
    }
}

/// How a token was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// For whoever has it.
    Bearer,
    /// With the proof of a key.
    Dpop,
    /// In a header for API keys alone.
    ApiKey,
}

/// What a request is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To let it through or not.
    Decide,
    /// To say why it was decided so, perhaps in another process: that one could
    /// have forgotten a proof is no matter then.
    Explain,
}

/// A token, how it was sent, and the request around it where there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'a str,
    pub(crate) parts: Option<&'a Parts>,
    pub(crate) purpose: Purpose,
}

fn read<'a>(headers: &'a HeaderMap, parts: Option<&'a Parts>) -> Result<Sent<'a>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Refusal::Missing),
        (Some(_), Some(_)) => return Err(Refusal::Malformed(Malformed::Repeated)),
        (Some(value), None) => value.as_bytes(),
    };
    let at = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(at);
    let known = if scheme.eq_ignore_ascii_case(b"DPoP") {
        Some(Scheme::Dpop)
    } else if scheme.eq_ignore_ascii_case(b"Bearer") {
        Some(Scheme::Bearer)
    } else {
        None
    };
    let Some(known) = known else {
        // Another scheme is another way to prove who one is, which was not asked for.
        return Err(match scheme.is_ascii() && !scheme.contains(&b',') {
            true => Refusal::Missing,
            false => Refusal::Malformed(Malformed::Form),
        });
    };
    let token = rest.strip_prefix(b" ").unwrap_or_default();
    if !is_b64token(token) {
        return Err(Refusal::Malformed(Malformed::Form));
    }
    let token = std::str::from_utf8(token).map_err(|_| Refusal::Malformed(Malformed::Form))?;
    Ok(Sent {
        scheme: known,
        token,
        parts,
        purpose: Purpose::Decide,
    })
}

/// What stands where the token belongs, however it was sent: for explaining why
/// it is none.
pub(crate) fn shown_in(presented: Presented<'_>) -> &str {
    let headers = match presented {
        Presented::Token(token) => return token,
        Presented::Headers(headers) => headers,
        Presented::Request(parts) => &parts.headers,
    };
    let value = headers.get(AUTHORIZATION).map(|own| own.as_bytes());
    let value = std::str::from_utf8(value.unwrap_or_default()).unwrap_or_default();
    value.split_once(' ').map_or(value, |(_, rest)| rest)
}

/// RFC 6750 §2.1 `b64token`.
fn is_b64token(token: &[u8]) -> bool {
    let end = token
        .iter()
        .rposition(|b| *b != b'=')
        .map_or(0, |at| at + 1);
    end > 0
        && token[..end].iter().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
        })
}

/// Whether a query carries an access token, which is never read.
fn is_in_query(query: Option<&str>) -> bool {
    query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .any(|part| part.split('=').next() == Some("access_token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                AUTHORIZATION,
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        let sent = Presented::from(&headers).sent()?;
        assert_eq!(sent.scheme, Scheme::Bearer);
        Ok(sent.token.to_owned())
    }

    #[test]
    fn one_header_one_scheme_one_space_one_token() {
        for good in [
            "Bearer abc.d-e_f~+/=",
            "bearer abc.d-e_f~+/=",
            "BEARER abc.d-e_f~+/=",
        ] {
            assert_eq!(read(&[good]).unwrap(), "abc.d-e_f~+/=");
        }
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "Bearer a,b",
            "Bearer a, Bearer b",
            "Bearer =",
            "Bearer a=b",
            "Bearer é",
            "Bearer \"a\"",
            "Bearer\ta",
            "é a",
            "Basic,Bearer a",
        ] {
            let refused = read(&[bad]);
            let is_form = refused == Err(Refusal::Malformed(Malformed::Form));
            assert!(is_form || bad == "Bearer\ta", "{bad}: {refused:?}");
        }
        assert_eq!(read(&["Bearer\ta"]), Err(Refusal::Missing));
    }

    #[test]
    fn none_is_missing_two_are_malformed_and_other_schemes_are_told_apart() {
        assert_eq!(read(&[]), Err(Refusal::Missing));
        assert_eq!(read(&["Basic YTpi"]), Err(Refusal::Missing));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, http::HeaderValue::from_static("dpop abc"));
        let sent = Presented::from(&headers).sent().unwrap();
        assert_eq!((sent.scheme, sent.token), (Scheme::Dpop, "abc"));
        let twice = Err(Refusal::Malformed(Malformed::Repeated));
        assert_eq!(read(&["Bearer a", "Bearer a"]), twice);
        assert_eq!(read(&["Bearer a", "Basic YTpi"]), twice);
    }

    #[test]
    fn a_token_in_the_query_is_seen_and_only_by_its_whole_name() {
        assert!(is_in_query(Some("a=1&access_token=x")));
        assert!(is_in_query(Some("access_token")));
        assert!(!is_in_query(Some("my_access_token=x&access_tokens=1")));
        assert!(!is_in_query(None));
    }
}
