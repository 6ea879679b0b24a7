//! The `form_post` response: a form that sends itself to the client, and a button for it.
//!
//! Spec: OAuth 2.0 Form Post Response Mode §2

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use symbolon_token::Digest;
use url::Url;

use super::page::Page;
use super::parts::{Client, Site};
use super::policy::{FormAction, Policy};

/// The one script of all pages.
///
/// The prototype's method is called because a field named `submit` would hide
/// the form's own.
pub(crate) const SUBMIT_SCRIPT: &str = "HTMLFormElement.prototype.submit.call(document.forms[0])";

/// The source expression that allows [`SUBMIT_SCRIPT`] and no other script.
pub(crate) fn submit_script_source() -> &'static str {
    static SOURCE: LazyLock<String> = LazyLock::new(|| {
        let digest = Digest::of(SUBMIT_SCRIPT.as_bytes());
        format!("'sha256-{}'", STANDARD.encode(digest.as_bytes()))
    });
    &SOURCE
}

/// Carries an authorization response to the client.
#[derive(Debug, Template)]
#[template(path = "form_post.html")]
pub(crate) struct FormPostPage {
    site: Site,
    client: Client,
    action: Url,
    fields: Vec<(String, String)>,
}

impl FormPostPage {
    /// A page that sends `fields` to the client's redirect URI.
    pub(crate) fn new(
        site: Site,
        client_name: &str,
        redirect_uri: Url,
        fields: Vec<(String, String)>,
    ) -> Self {
        Self {
            site,
            client: Client::new(client_name, &redirect_uri),
            action: redirect_uri,
            fields,
        }
    }

    fn script(&self) -> &'static str {
        SUBMIT_SCRIPT
    }
}

impl Page for FormPostPage {
    fn policy(&self) -> Policy {
        Policy::new(FormAction::none().reaching(&self.action)).with_script(submit_script_source())
    }
}

#[cfg(test)]
impl FormPostPage {
    /// A page that carries a code.
    pub(crate) fn sample() -> Self {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self::new(
            super::tests::site(),
            "Ledger",
            super::tests::url("https://ledger.example.net/callback"),
            vec![
                field("code", "sample-code"),
                field("state", "sample-state"),
                field("iss", "https://id.example.com"),
            ],
        )
    }
}
