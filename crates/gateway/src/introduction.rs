//! How a caller is introduced to a service: the assertion, and the claims that
//! its route asks for, in headers that only the gateway writes.
//!
//! Spec: RFC 9110 §5.5
//! Spec: RFC 3986 §2.1

use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use crate::assertion::{ASSERTION, Said};
use crate::gateway::Shared;
use crate::judge::Judged;
use crate::plan::Plan;

/// What an introduction is about, besides who calls.
pub(crate) struct Introduction<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) plan: &'a Plan,
    pub(crate) request_id: &'a str,
    pub(crate) method: &'a Method,
}

impl Introduction<'_> {
    /// Writes who calls into the headers; nothing where nobody was asked.
    /// `None` where what has to be said cannot be.
    pub(crate) fn write(&self, judged: &Judged, headers: &mut HeaderMap) -> Option<()> {
        let Some(principal) = &judged.principal else {
            return Some(());
        };
        let route = &judged.ready.route;
        let said = Said {
            upstream: &route.upstream,
            request_id: self.request_id,
            method: self.method,
            path_and_query: judged.target.path_and_query().as_str(),
        };
        let edge = &self.shared.edge;
        let key = &self.plan.key;
        let assertion = key.say(principal, &said, edge.clock.now(), &*edge.entropy)?;
        headers.insert(ASSERTION, assertion);
        for (name, claim) in &route.claims {
            if let Some(value) = principal.claim(claim).and_then(plain) {
                headers.insert(name, value);
            }
        }
        Some(())
    }
}

/// A claim as the value of a header: texts, numbers and truth values as they
/// are, a list with blanks between; what may not stand in a header is
/// percent-encoded, so that nothing in it begins another one.
fn plain(claim: &Value) -> Option<HeaderValue> {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const KEPT: &AsciiSet = &CONTROLS.add(b'%');

    let text = match claim {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => claim.to_string(),
        Value::Array(all) => {
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            texts?.join(" ")
        }
        Value::Null | Value::Object(_) => return None,
    };
    let encoded = utf8_percent_encode(&text, KEPT).to_string();
    HeaderValue::from_str(&encoded).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_stands_in_one_header_whatever_it_says() {
        let of = |claim: Value| plain(&claim).map(|own| own.to_str().unwrap().to_owned());
        assert_eq!(of(json!("usr_1")).as_deref(), Some("usr_1"));
        assert_eq!(of(json!(["a", "b"])).as_deref(), Some("a b"));
        assert_eq!(of(json!(7)).as_deref(), Some("7"));
        assert_eq!(
            of(json!("é%\r\nX: 1")).as_deref(),
            Some("%C3%A9%25%0D%0AX: 1")
        );
        assert_eq!(of(json!({ "a": 1 })), None);
        assert_eq!(of(json!([1])), None);
    }
}
