//! What may be shown of a token: its rendering, and its claims without any
//! credential that somebody put into one.

use serde_json::{Map, Value};
use symbolon_token::explain::Refused;
use symbolon_token::jose::Unverified;
use symbolon_token::jose::jwe::is_encrypted;
use symbolon_token::macaroon::{SharedPresented, ShownCaveat, inspect};
use symbolon_token::recognize::{Recognized, What};

use crate::rendering::Rendering;
use crate::requirement::{Requirement, Revocation};

pub(super) fn rendering(token: &str) -> &'static str {
    match Rendering::of(token) {
        Ok(Rendering::Jwt) if is_encrypted(token) => "jwe",
        Ok(Rendering::Jwt) if Unverified::parse(token).is_ok() => "jwt",
        Ok(Rendering::Opaque) | Err(Refused::Seal) => "opaque",
        Ok(Rendering::Macaroon) => "macaroon",
        Ok(Rendering::ApiKey) => "api_key",
        _ => "other",
    }
}

/// Whether nobody is asked about revocation. Of an opaque token the issuer is
/// asked in any case.
pub(super) fn is_unasked(token: &str, rendering: &str, requirement: &Requirement) -> bool {
    let is_read_here = match rendering {
        "macaroon" => matches!(SharedPresented::parse(token), Ok(Some(_))),
        rendering => matches!(rendering, "jwt" | "jwe"),
    };
    is_read_here && requirement.freshness() == Revocation::AtExpiry
}

/// Claims in which no credential is left: somebody may have put one there.
pub(super) fn masked(claims: Map<String, Value>) -> Map<String, Value> {
    let entries = claims.into_iter();
    entries.map(|(name, value)| (name, mask(value))).collect()
}

fn mask(value: Value) -> Value {
    match value {
        Value::String(text) => match Recognized::of(&text).what {
            What::Nothing | What::OtherMark => Value::String(text),
            what => Value::String(format!("[REDACTED: {}]", what.words())),
        },
        Value::Array(all) => all.into_iter().map(mask).collect(),
        Value::Object(own) => Value::Object(masked(own)),
        other => other,
    }
}

/// What whoever holds a macaroon sees of it.
pub(super) fn caveats(token: &str) -> Map<String, Value> {
    let mut shown = Map::new();
    let Ok(contents) = inspect(token) else {
        return shown;
    };
    shown.insert("location".to_owned(), contents.location.into());
    let discharges = contents.discharges.iter().flatten();
    let all = contents.caveats.iter().chain(discharges);
    let all = all.map(|own| match own {
        ShownCaveat::FirstParty { text, .. } => Value::from(text.as_str()),
        ShownCaveat::ThirdParty { location, .. } => format!("discharged by {location}").into(),
    });
    shown.insert("caveats".to_owned(), all.collect());
    shown
}
