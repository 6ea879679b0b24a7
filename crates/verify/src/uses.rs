//! What may be used so many times: a DPoP proof once, a macaroon's `budget` and
//! `single-use` as often as they say. Uses are counted last of all: what is
//! refused for another reason is no use.
//!
//! Several processes can remember together; else each does for itself.
//!
//! Spec: RFC 9449 §11.1

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use serde_json::Value;
use symbolon_protocol::Timestamp;
use symbolon_token::dpop::{InvalidProof, Proof};
use symbolon_token::explain::Refused;
use symbolon_token::macaroon::{Count, Flaw, Request};

use crate::introspection::{Counting, Question};
use crate::refusal::{CannotKnow, Refusal};
use crate::verifier::Verifier;

/// How many uses are left, in the answer to a question that counts none.
pub(crate) const USES_LEFT: &str = "uses_left";

/// One use of something that may be used so many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Names it, for everybody who counts.
    pub name: [u8; 32],
    /// How often it may be used.
    pub limit: u32,
    /// Until when that has to be remembered.
    pub until: Timestamp,
}

/// Nobody can say how often something was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody can say how often it was used")]
pub struct Unremembered;

/// What a memory says: whether all had a use left, and have now been used.
pub type Remembered<'a> = Pin<Box<dyn Future<Output = Result<bool, Unremembered>> + Send + 'a>>;

/// A memory of uses that several processes share ([`Verifier::share_uses`]).
pub trait SharedUses: Send + Sync + fmt::Debug {
    /// Takes one use of each, or none of any.
    fn take<'a>(&'a self, uses: &'a [Use]) -> Remembered<'a>;
}

/// Uses of a macaroon that are to be counted once everything else is known to be
/// good.
#[must_use]
#[derive(Debug)]
pub(crate) enum Due {
    /// None.
    Nothing,
    /// By this API.
    Here(Vec<Count>),
    /// By the issuer, which counts when it is asked once more.
    AtIssuer {
        /// How many there were before, where it has said so.
        left: Option<u64>,
    },
}

impl Due {
    /// What is counted here.
    pub(crate) fn here(counts: Vec<Count>) -> Self {
        match counts.is_empty() {
            true => Self::Nothing,
            false => Self::Here(counts),
        }
    }

    /// What is left to be counted after an answer of the issuer, which says how
    /// many uses are left where it counted none.
    pub(crate) fn said(left: Option<&Value>) -> Self {
        match left {
            Some(left) => Self::AtIssuer {
                left: left.as_u64(),
            },
            None => Self::Nothing,
        }
    }

    /// How many uses are left, where somebody has said so.
    pub(crate) fn left(&self) -> Option<u64> {
        match self {
            Self::AtIssuer { left } => *left,
            Self::Nothing | Self::Here(_) => None,
        }
    }
}

impl Verifier {
    /// Counts the uses that are due. Whoever has a principal in hand comes here
    /// before it is given to anybody.
    pub(crate) async fn settle(
        &self,
        due: Due,
        token: &str,
        request: Request<'_>,
    ) -> Result<(), Refusal> {
        match due {
            Due::Nothing => Ok(()),
            Due::Here(counts) => self.count(&counts).await,
            Due::AtIssuer { .. } => {
                let credentials = self.inner.config.credentials.as_ref();
                let credentials = credentials.ok_or(Refusal::CannotKnow(CannotKnow::NoSource))?;
                let question = Question {
                    token,
                    request,
                    resource: None,
                    counting: Counting::Use,
                    is_for_once: true,
                };
                self.ask_active(credentials, &question).await.map(drop)
            }
        }
    }

    /// Refuses uses that are counted here where nobody would count them.
    pub(crate) fn check_counted(&self, due: &Due) -> Result<(), Refusal> {
        let config = &self.inner.config;
        match due {
            Due::Here(counts) if config.uses.is_none() && config.counter.is_none() => {
                let caveats = counts.first().map(|own| own.caveat.clone());
                Err(Refused::Macaroon(Flaw::Unjudged(caveats.unwrap_or_default())).into())
            }
            _ => Ok(()),
        }
    }

    /// Uses a proof up for all processes.
    pub(crate) async fn use_up_together(&self, proof: &Proof) -> Result<(), Refusal> {
        let once = [Use {
            name: *proof.once(),
            limit: 1,
            until: proof.acceptable_until(),
        }];
        match self.take(&once).await? {
            Some(false) => Err(Refusal::Proof(InvalidProof::Replayed)),
            Some(true) | None => Ok(()),
        }
    }

    /// Counts uses of a macaroon: for all processes, else as somebody said how.
    async fn count(&self, counts: &[Count]) -> Result<(), Refusal> {
        let Some(first) = counts.first() else {
            return Ok(());
        };
        let use_of = |own: &Count| Use {
            name: *own.name.as_bytes(),
            limit: own.limit,
            until: own.until,
        };
        let uses: Vec<Use> = counts.iter().map(use_of).collect();
        let counter = self.inner.config.counter.as_ref();
        let has_some = match self.take(&uses).await? {
            Some(has_some) => Some(has_some),
            None => counter.map(|counter| counter(counts)),
        };
        let flaw = match has_some {
            Some(true) => return Ok(()),
            Some(false) => Flaw::Spent(first.caveat.clone()),
            None => Flaw::Unjudged(first.caveat.clone()),
        };
        Err(Refused::Macaroon(flaw).into())
    }

    /// Nothing where no memory is shared.
    async fn take(&self, uses: &[Use]) -> Result<Option<bool>, Refusal> {
        let Some(shared) = &self.inner.config.uses else {
            return Ok(None);
        };
        let taken = shared.take(uses).await;
        let taken = taken.map_err(|Unremembered| Refusal::CannotKnow(CannotKnow::Uses))?;
        Ok(Some(taken))
    }
}
