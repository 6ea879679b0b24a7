//! What every flow is handed: the application, the time, and who is calling.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use symbolon_protocol::{ClientId, OrganizationId, Timestamp};
use symbolon_store::APART;
use symbolon_token::revocation::Target;
use symbolon_token::seal::Bound;
use symbolon_token::{Keyring, Marks, Position};

use crate::app::App;
use crate::failure::Broken;
use crate::holder::{Holder, NOBODY};
use crate::settings::Settings;

/// Names one request in answers, logs and the audit trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RequestId(u64);

impl RequestId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req_{:016x}", self.0)
    }
}

/// The context of one request.
///
/// The time is read once, so that all checks of a request agree; the keys and
/// the settings are taken once, so that a change in between changes nothing.
#[derive(Clone)]
pub(crate) struct Cx {
    pub(crate) app: Arc<App>,
    pub(crate) keys: Arc<Keyring>,
    /// What the configuration settled when the request began.
    pub(crate) settings: Arc<Settings>,
    pub(crate) now: Timestamp,
    /// How long past its end a token is still read: not at all, but to take it
    /// back.
    pub(crate) past_end: Duration,
    /// Where the revocation feed stood before anything of this request was
    /// checked: what is taken back later kills what is minted from it.
    pub(crate) position: Position,
    /// Up to which place of the feed the clients, organizations and trusted
    /// issuers that this node keeps were known to be right then.
    pub(crate) settled: Position,
    /// The same of a later place, where the client was looked up again since.
    pub(crate) resettled: Arc<OnceLock<Position>>,
    pub(crate) request: RequestId,
    /// The address that the request came from, a trusted proxy's word included.
    pub(crate) address: IpAddr,
    /// What the caller was shown to hold, where that was asked.
    pub(crate) held: Option<Arc<Holder>>,
    /// The client that proved itself, once it has.
    pub(crate) caller: Arc<OnceLock<ClientId>>,
}

impl Cx {
    /// What the caller was shown to hold.
    pub(crate) fn holder(&self) -> &Holder {
        self.held.as_deref().unwrap_or(&NOBODY)
    }

    /// The same, where it is known what the caller holds.
    pub(crate) fn held_by(mut self, holder: Arc<Holder>) -> Self {
        self.held = Some(holder);
        self
    }

    /// The same, knowing no more of the feed than up to a place: what is minted
    /// dies by whatever was recorded after it.
    pub(crate) fn as_of(&self, position: Position) -> Self {
        Self {
            position: self.position.min(position),
            ..self.clone()
        }
    }

    /// The same, for taking back: what has ended by this clock may be good by
    /// that of another node or of a verifier, for a while or for as long as this
    /// one has jumped ahead.
    pub(crate) fn taking_back(&self) -> Self {
        Self {
            past_end: self.now.since(self.sure()) + APART,
            ..self.clone()
        }
    }

    /// Whether a token that ends then has ended.
    pub(crate) fn is_past(&self, end: Timestamp) -> bool {
        end + self.past_end <= self.now
    }

    /// Refuses to decide about a client, and the organization it acts for, of
    /// which something was taken back that what is kept of them may not show
    /// yet. Otherwise a token would be made behind that record, by what was so
    /// before it, and live on.
    pub(crate) fn check_settled(
        &self,
        client: &ClientId,
        organization: Option<&OrganizationId>,
    ) -> Result<(), Broken> {
        let name = |target, id: &str| self.keys.blinding().name(target, id.as_bytes());
        let marks = Marks {
            client: Some(name(Target::Client, client.as_str())),
            organization: organization.map(|own| name(Target::Organization, own.as_str())),
            ..Marks::default()
        };
        let settled = self.resettled.get().unwrap_or(&self.settled);
        match self.feed.hit(&marks, *settled) {
            Some(_) => Err(Broken::Stale),
            None => Ok(()),
        }
    }

    /// What seals of this installation are tied to.
    pub(crate) fn bound(&self) -> Bound<'_> {
        Bound {
            issuer: self.settings.issuer.as_str(),
            epoch: self.position.epoch,
        }
    }
}

impl Deref for Cx {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}
