//! What the operator says of policy.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use symbolon_token::Secret;
use url::Url;

use super::Policies;
use super::pdp::Pdp;
use super::question::Question;
use super::ruling::{Answer, Ruling};
use crate::upstream::NoUpstream;

/// Whether an answer acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It stands in the log alone.
    Shadow,
}

/// Whether policies are asked at a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watched {
    /// As for all: asked where a token is demanded, and not where the route is
    /// public.
    #[default]
    AsUsual,
    /// They are, in this mode, also where the route is public.
    In(Mode),
    /// They are not.
    Off,
}

/// What the operator says of policy.
#[derive(Debug, Default)]
pub struct PolicySettings {
    /// Policies of the operator's own.
    pub policies: Option<Arc<Policies>>,
    /// Who else is asked; both have to allow it.
    pub decision_point: Option<DecisionPoint>,
    /// Whether answers act where the route does not say.
    pub mode: Mode,
    /// What callers of the gateway's own decision point have to show; without
    /// it there is none.
    pub evaluation_token: Option<Secret>,
    /// The origin under which those callers reach it.
    pub evaluation_url: Option<String>,
}

/// A decision point elsewhere.
#[derive(Debug)]
pub struct DecisionPoint {
    /// Its access evaluation endpoint.
    pub url: Url,
    /// What is shown there as a bearer.
    pub token: Option<Secret>,
    /// How long it may take.
    pub timeout: Duration,
}

/// Policy at work.
pub(crate) struct Policy {
    pub(crate) policies: Option<Arc<Policies>>,
    pub(crate) pdp: Option<Pdp>,
    pub(crate) mode: Mode,
    #[cfg(feature = "cedar")]
    pub(crate) evaluation_token: Option<Secret>,
    #[cfg(feature = "cedar")]
    pub(crate) evaluation_url: Option<String>,
}

impl Policy {
    pub(crate) fn new(settings: PolicySettings, roots: &RootCertStore) -> Result<Self, NoUpstream> {
        let pdp = settings.decision_point;
        Ok(Self {
            policies: settings.policies,
            pdp: pdp.map(|own| Pdp::new(own, roots)).transpose()?,
            mode: settings.mode,
            #[cfg(feature = "cedar")]
            evaluation_token: settings.evaluation_token,
            #[cfg(feature = "cedar")]
            evaluation_url: settings.evaluation_url,
        })
    }

    /// Asks the operator's policies, then the decision point elsewhere: both
    /// have to allow it.
    pub(crate) async fn ask(&self, question: &Question, request_id: &str) -> Ruling {
        let own = self.policies.as_ref().map(|own| own.decide(question));
        let (own, pdp) = match (own, &self.pdp) {
            (Some(own), Some(pdp)) if own.answer == Answer::Allow => (own, pdp),
            (Some(own), _) => return own,
            (None, Some(pdp)) => return pdp.ask(question, request_id).await,
            // Nothing was set up that could allow anything.
            (None, None) => return Ruling::bare(Answer::Deny),
        };
        let mut ruling = pdp.ask(question, request_id).await;
        ruling.policies.extend(own.policies);
        ruling
    }

    /// In which mode policies are asked at a route; not at all where there is
    /// none.
    pub(crate) fn mode_at(&self, watched: Watched, is_public: bool) -> Option<Mode> {
        match watched {
            Watched::Off => None,
            Watched::In(mode) => Some(mode),
            Watched::AsUsual => (!is_public).then_some(self.mode),
        }
    }
}
