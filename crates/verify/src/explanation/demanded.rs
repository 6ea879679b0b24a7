//! Which setting demanded what was not met.

use serde::Serialize;
use symbolon_token::explain::Refused;
use symbolon_token::jose::{Algorithm, Invalid};

use crate::authentication::Insufficient;
use crate::config::Config;
use crate::refusal::{CannotKnow, Refusal};
use crate::requirement::Requirement;

/// A demand, by the name of its setting in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Demanded {
    /// The setting, as the configuration names it.
    pub setting: &'static str,
    /// What it demands.
    pub value: String,
    /// Where it stands, where a configuration is at hand: file, line, column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl Demanded {
    /// A demand of whoever judges beside this library.
    pub fn new(setting: &'static str, value: impl Into<String>) -> Self {
        Self {
            setting,
            value: super::printable(&value.into()),
            place: None,
        }
    }

    /// The same, with the place where it stands.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Self {
            place: Some(place.into()),
            ..self
        }
    }
}

/// The setting behind a refusal.
pub(super) fn of(
    refusal: &Refusal,
    requirement: &Requirement,
    config: &Config,
) -> Option<Demanded> {
    let audience = || match requirement.own_audience() {
        Some(own) => own.clone(),
        None => config.audiences.join(" "),
    };
    let (setting, value) = match refusal {
        Refusal::Refused(Refused::Signature(Invalid::Algorithm)) => {
            let names = config.algorithms.iter().map(|own| Algorithm::as_str(*own));
            ("resource.signing_alg", names.collect::<Vec<_>>().join(" "))
        }
        Refusal::Refused(Refused::Signature(_) | Refused::Issuer { .. }) => {
            ("issuer", config.issuer.as_str().to_owned())
        }
        Refusal::Refused(Refused::Audience { .. }) => ("resource.identifier", audience()),
        Refusal::Refused(Refused::Expired { .. } | Refused::NotYet { .. }) => {
            ("clock_skew", format!("{}s", config.skew.as_secs()))
        }
        Refusal::Refused(Refused::Scope { needed, .. }) => {
            ("gateway.route.scopes", needed.join(" "))
        }
        Refusal::Binding(_) | Refusal::Proof(_) | Refusal::NonceNeeded => (
            "resource.require_key_binding",
            "the token's own `cnf`".to_owned(),
        ),
        Refusal::Authentication(Insufficient::Age) => {
            ("gateway.route.max_age", requirement.sign_in().in_words())
        }
        Refusal::Authentication(_) => {
            ("gateway.route.acr_values", requirement.sign_in().in_words())
        }
        Refusal::CannotKnow(CannotKnow::NoSource) => ("resource.introspection_client", audience()),
        _ => return None,
    };
    Some(Demanded {
        setting,
        value: super::printable(&value),
        place: None,
    })
}
