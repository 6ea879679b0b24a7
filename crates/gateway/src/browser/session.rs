//! `/session`: says to a page who is signed in. It shows no token, and asking
//! keeps no session alive.
//!
//! Spec: RFC 10017 §6.1

use http::Response;
use http::request::Parts;
use serde_json::{Map, Value, json};

use super::{Browser, NO_SESSION, forgery, json as answer};
use crate::body::Body;
use crate::problem::Problem;
use crate::settings::BrowserUse;

/// What a page may know of the person; the rest is for the protocol.
const SHOWN: [&str; 12] = [
    "sub",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "email",
    "email_verified",
    "picture",
    "locale",
    "zoneinfo",
    "acr",
    "auth_time",
];

impl Browser {
    pub(super) async fn session(&self, parts: &Parts) -> Result<Response<Body>, Problem> {
        forgery::check(parts, BrowserUse::Api, &self.0.settings.external_url)?;
        let (_, row, held) = self.find(parts).await?.ok_or(NO_SESSION)?;
        let known = |name: &&str| Some(((*name).to_owned(), held.claims.get(*name)?.clone()));
        let claims: Map<String, Value> = SHOWN.iter().filter_map(known).collect();
        let now = self.0.edge.clock.now();
        Ok(answer(&json!({
            "claims": claims,
            "idle_ends_in": row.idle_ends.since(now).as_secs(),
            "ends_in": row.absolute_ends.since(now).as_secs(),
        })))
    }
}
