//! Headers that repeat arguments of a call: something in front of the server may
//! choose by them, so they say what is in the body. Which argument one of them
//! is for, the server's schema knows alone; that it says what no argument says
//! is enough to refuse it.
//!
//! Spec: MCP 2026-07-28 Streamable HTTP

use http::HeaderMap;
use serde_json::Value;

use super::{Bad, HEADER_MISMATCH, decoded, one};

/// What the names of such headers begin with.
const PREFIX: &str = "mcp-param-";
/// How many of them there may be: each is looked for in all that was sent.
const MOST: usize = 32;

/// Refuses headers that say what no argument says.
pub(super) fn check(headers: &HeaderMap, arguments: Option<&Value>) -> Result<(), Bad> {
    let own = headers
        .keys()
        .filter(|own| own.as_str().starts_with(PREFIX));
    for (at, name) in own.enumerate() {
        if at == MOST {
            let why = "there are too many headers Mcp-Param";
            return Err(Bad::new(HEADER_MISMATCH, why));
        }
        let said = one(headers, name)?.unwrap_or_default();
        let said = decoded(said)?;
        if !arguments.is_some_and(|own| says(own, &said)) {
            let why = "a header Mcp-Param says what no argument says";
            return Err(Bad::new(HEADER_MISMATCH, why));
        }
    }
    Ok(())
}

/// Whether something in a value is written like this.
fn says(value: &Value, said: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(own) => said == if *own { "true" } else { "false" },
        Value::Number(own) => own.to_string() == said,
        Value::String(own) => own == said,
        Value::Array(all) => all.iter().any(|own| says(own, said)),
        Value::Object(all) => all.values().any(|own| says(own, said)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_header_says_what_an_argument_says_or_the_call_goes_nowhere() {
        let arguments =
            json!({ "region": "eu", "where": { "shelf": 7 }, "fast": true, "note": "\u{e4}" });
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(value).unwrap();
            headers.insert("mcp-param-region", value);
            headers
        };
        for good in ["eu", "7", "true", "=?base64?w6Q=?="] {
            assert!(check(&with(good), Some(&arguments)).is_ok(), "{good}");
        }
        for bad in ["us", "EU", "", "7.0", "false", "null", "=?base64?!?="] {
            assert!(check(&with(bad), Some(&arguments)).is_err(), "{bad}");
        }
        assert!(check(&with("eu"), None).is_err());
        assert!(check(&HeaderMap::new(), None).is_ok());
        let mut twice = with("eu");
        twice.append("mcp-param-region", HeaderValue::from_static("eu"));
        assert!(check(&twice, Some(&arguments)).is_err());
    }
}
