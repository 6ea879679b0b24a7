//! `/sign-in`: sends a person to the issuer. It writes no row: what it has to
//! know when they are back, their browser keeps, sealed.
//!
//! Spec: RFC 10017 §6.1.2
//! Spec: OpenID Connect Core 1.0 §3.1.2.1

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use symbolon_client::sign_in::{Asked, Begun, Failed};

use super::{Browser, SIGN_IN, forgery, one, page, query, redirect, with_cookie};
use crate::body::Body;
use crate::problem::Problem;

/// How many sign-ins a browser may have under way.
const MAX_UNDER_WAY: usize = 5;
/// How long an address to return to may be, in bytes.
const MAX_RETURN_BYTES: usize = 2048;
/// How long another parameter may be, in bytes.
const MAX_PARAMETER_BYTES: usize = 512;
/// What a page may ask of the issuer besides.
const BESIDES: [&str; 5] = [
    "prompt",
    "acr_values",
    "max_age",
    "login_hint",
    "ui_locales",
];

/// What a page is shown of a person, by the scope that lets it.
const CLAIMS: [(&str, &[&str]); 2] = [
    (
        "profile",
        &[
            "name",
            "given_name",
            "family_name",
            "preferred_username",
            "picture",
            "locale",
            "zoneinfo",
        ],
    ),
    ("email", &["email", "email_verified"]),
];

/// What a browser keeps of a sign-in.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) begun: Begun,
    pub(super) return_to: String,
    /// When it is over, in milliseconds.
    pub(super) ends: i64,
}

impl Browser {
    pub(super) async fn sign_in(
        &self,
        parts: &Parts,
        request_id: &str,
    ) -> Result<Response<Body>, Problem> {
        if forgery::is_embedded(&parts.headers) {
            return Err(forgery::FORGED);
        }
        let query = query(parts);
        let return_to = one(&query, "return_to")?.unwrap_or_else(|| "/".to_owned());
        if !self.is_own_page(&return_to) {
            return Err(Problem::bad(
                "return-to",
                "`return_to` is a path of this site: it begins with one `/`",
            ));
        }
        let mut besides = Vec::new();
        for name in BESIDES {
            match one(&query, name)? {
                Some(value) if value.len() <= MAX_PARAMETER_BYTES => besides.push((name, value)),
                Some(_) => {
                    return Err(Problem::bad("parameter-long", "a parameter is too long"));
                }
                None => {}
            }
        }
        let settings = &self.0.settings;
        let has = |scope: &str| settings.scopes.iter().any(|own| own == scope);
        let mut claims = Vec::new();
        for (scope, of_scope) in CLAIMS {
            if has(scope) {
                claims.extend_from_slice(of_scope);
            }
        }
        let asked = Asked {
            claims: &claims,
            scopes: &settings.scopes,
            resources: &settings.resources,
            besides: &besides,
        };
        let (address, begun) = match self.0.provider.begin(&asked).await {
            Ok(begun) => begun,
            Err(why) => return Ok(self.not_signed_in(&why, &return_to, request_id)),
        };
        let ends = self.0.edge.clock.now() + SIGN_IN;
        let state = begun.state.clone();
        let kept = Kept {
            begun,
            return_to,
            ends: ends.millis(),
        };
        let mut response = redirect(StatusCode::FOUND, address.as_str())?;
        let cookie = self.0.names.keep(&state, &self.seal(&kept), SIGN_IN);
        response = with_cookie(response, cookie);
        let others = self.0.names.sign_ins(&parts.headers);
        if others.len() >= MAX_UNDER_WAY {
            for name in others {
                response = with_cookie(response, self.0.names.clear(&name));
            }
        }
        Ok(response)
    }

    /// The answer to a person whom the issuer did not sign in.
    pub(super) fn not_signed_in(
        &self,
        why: &Failed,
        return_to: &str,
        request_id: &str,
    ) -> Response<Body> {
        tracing::warn!(request = request_id, cause = %why, "nobody was signed in");
        page::failed(why, &self.sign_in_address(return_to), request_id)
    }

    /// The answer to a person who comes back to a sign-in that is not there: it
    /// was another browser's, is done, or waited too long.
    pub(super) fn lost(&self, request_id: &str) -> Response<Body> {
        page::lost(&self.sign_in_address("/"), request_id)
    }

    /// Where a person signs in, to be back at a page of ours.
    pub(super) fn sign_in_address(&self, return_to: &str) -> String {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", return_to)
            .finish();
        format!("{}/sign-in?{query}", self.0.settings.path)
    }

    /// Whether an address is a page of this site, whoever reads it.
    pub(super) fn is_own_page(&self, path: &str) -> bool {
        let plain = |own: u8| own.is_ascii_graphic() && own != b'\\';
        if path.len() > MAX_RETURN_BYTES || !path.starts_with('/') || !path.bytes().all(plain) {
            return false;
        }
        self.0.origin.join(path).is_ok_and(|joined| {
            let written = &joined[url::Position::BeforePath..];
            joined.origin() == self.0.origin.origin() && written == path
        })
    }

    fn seal(&self, kept: &Kept) -> String {
        let plain = serde_json::to_vec(kept).unwrap_or_default();
        let sealed = self
            .0
            .during
            .seal(kept.begun.state.as_bytes(), &plain, &*self.0.edge.entropy);
        BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }

    /// What was kept under a state, while it is not over.
    pub(super) fn unseal(&self, text: &str, state: &str) -> Option<Kept> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let plain = self.0.during.open(state.as_bytes(), &sealed).ok()?;
        let kept: Kept = serde_json::from_slice(plain.expose()).ok()?;
        (self.0.edge.clock.now().millis() < kept.ends).then_some(kept)
    }
}
