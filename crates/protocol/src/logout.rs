//! Where a client wants to hear that a session has ended.
//!
//! Spec: OpenID Connect Back-Channel Logout 1.0 §2.2

use serde::{Deserialize, Serialize};

use crate::client::Problem;

/// How long the address may be, in bytes.
const MAX_URI_BYTES: usize = 2048;

/// The part of a client's metadata that is about logout behind the browser's
/// back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackchannelLogout {
    /// Where logout tokens are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether a logout token has to name the session. Ours always do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backchannel_logout_session_required: bool,
}

impl BackchannelLogout {
    /// What is wrong with it.
    pub(crate) fn problems(&self) -> Option<Problem> {
        let uri = self.backchannel_logout_uri.as_deref()?;
        let wrong = |why: &str| {
            Some(Problem::new(
                "backchannel_logout_uri",
                format!("{why} (OpenID Connect Back-Channel Logout 1.0 §2.2)"),
            ))
        };
        let Ok(url) = url::Url::parse(uri) else {
            return wrong("is not an absolute URL");
        };
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return wrong("is an https URL");
        }
        if url.scheme() == "http" && !crate::uri::is_loopback(&url) {
            return wrong("is https: a logout token says who was signed in where");
        }
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return wrong("has neither a fragment nor a user in it");
        }
        if uri.len() > MAX_URI_BYTES {
            return wrong("is too long");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(uri: &str) -> bool {
        let logout = BackchannelLogout {
            backchannel_logout_uri: Some(uri.to_owned()),
            backchannel_logout_session_required: false,
        };
        logout.problems().is_some()
    }

    #[test]
    fn logout_tokens_go_to_https_addresses_or_to_this_machine() {
        for uri in [
            "https://shop.example.com/logout",
            "https://shop.example.com/logout?tenant=1",
            "http://127.0.0.1:3000/logout",
        ] {
            assert!(!is_refused(uri), "{uri}");
        }
        for uri in [
            "http://shop.example.com/logout",
            "https://shop.example.com/logout#x",
            "https://user@shop.example.com/logout",
            "javascript:alert(1)",
            "mailto:shop@example.com",
            "/logout",
            "",
        ] {
            assert!(is_refused(uri), "{uri}");
        }
    }
}
