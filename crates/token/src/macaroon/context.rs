//! What is known where a macaroon is used, and whether a condition is met
//! there: a pure function of both.

use std::net::IpAddr;
use std::time::Duration;

use symbolon_protocol::Timestamp;

use super::caveat::Caveat;
use super::flaw::Flaw;

/// What is known of the request that a macaroon is used for. What is not
/// known leaves the conditions about it unmet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method.
    pub method: Option<&'a str>,
    /// The path as it was sent, without the query.
    pub path: Option<&'a str>,
    /// The address that it comes from.
    pub address: Option<IpAddr>,
}

/// Where and when a macaroon is used.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What time it is.
    pub now: Timestamp,
    /// How far clocks may differ.
    pub skew: Duration,
    /// The request.
    pub request: Request<'a>,
}

impl Caveat {
    /// Refuses a condition that is not met, or that nobody here can judge.
    /// What narrows an authority or is counted passes: it is asked elsewhere.
    pub(super) fn judge(&self, context: &Context<'_>) -> Result<(), Flaw> {
        let (now, request) = (context.now, context.request);
        let met = match self {
            Self::After(begins) => Some(*begins <= now + context.skew),
            Self::Hours(hours) => Some(hours.contain(now)),
            Self::Days(days) => Some(days.contain(now)),
            Self::Method(methods) => request
                .method
                .map(|method| methods.iter().any(|own| own == method)),
            Self::Path(pattern) => request.path.map(|path| pattern.matches(path)),
            Self::Network(networks) => request.address.map(|address| {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }),
            Self::Before(_)
            | Self::Scope(_)
            | Self::Audience(_)
            | Self::Jkt(_)
            | Self::Budget(_)
            | Self::SingleUse(_) => Some(true),
        };
        match met {
            Some(true) => Ok(()),
            Some(false) => Err(Flaw::Unmet(self.to_string())),
            None => Err(Flaw::Unjudged(self.to_string())),
        }
    }
}
