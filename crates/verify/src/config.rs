//! What a verifier was told.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use symbolon_protocol::{Issuer, ResourceIdentifier};
use symbolon_token::jose::Algorithm;
use symbolon_token::jose::jwe::DecryptionKey;
use symbolon_token::macaroon::Count;
use symbolon_token::{Clock, Entropy};

use crate::decision::Hook;
use crate::fetch::Http;
use crate::introspection::Credentials;
use crate::revocations::Revocations;
use crate::uses::SharedUses;
use crate::verifier::Verifier;

/// How far clocks may differ unless told otherwise, and at most.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(10);
pub(crate) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(120);
/// How old the issuer's keys may be while it is away, unless told otherwise,
/// and within which limits.
pub(crate) const STALE_IF_ERROR: Duration = Duration::from_secs(24 * 3600);
pub(crate) const MIN_STALE_IF_ERROR: Duration = Duration::from_secs(60);
pub(crate) const MAX_STALE_IF_ERROR: Duration = Duration::from_secs(7 * 24 * 3600);

/// What counts uses of macaroons, and says whether there was one left.
pub(crate) type Counter = Arc<dyn Fn(&[Count]) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) issuer: Issuer,
    pub(crate) resource: ResourceIdentifier,
    /// The resource and what else it is known as.
    pub(crate) audiences: Vec<String>,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) credentials: Option<Arc<Credentials>>,
    /// What opens tokens; where there is any, none is taken in the open.
    pub(crate) decryption: Vec<Arc<DecryptionKey>>,
    pub(crate) scopes: Vec<String>,
    /// Where API keys are taken besides the usual header.
    pub(crate) key_header: Option<HeaderName>,
    pub(crate) foreign_keys: ForeignKeys,
    pub(crate) skew: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) hook: Option<Hook>,
    pub(crate) counter: Option<Counter>,
    /// What remembers uses for several processes.
    pub(crate) uses: Option<Arc<dyn SharedUses>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) http: Http,
    pub(crate) revocations: Revocations,
    pub(crate) following: Following,
    /// The origin under which callers reach the API.
    pub(crate) origin: Option<String>,
    pub(crate) nonces: Nonces,
    /// Those of the other issuers, none of which has others.
    pub(crate) others: Vec<Verifier>,
}

/// Whether the issuer's revocation feed is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Following {
    /// It is not.
    Nothing,
    /// It is, as the client that asks.
    Feed,
}

/// Whether a bearer token that is nothing else may be an API key from
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForeignKeys {
    /// It is refused without asking anyone.
    Refused,
    /// The issuer is asked.
    Taken,
}

/// Which proofs have to carry a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nonces {
    /// Those that this process could have forgotten.
    WhereNeeded,
    /// All.
    Always,
}
