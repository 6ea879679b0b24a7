//! The receiver of shared signals: what configured transmitters say of people
//! here, pushed to `/signals/{id}` or fetched from them.
//!
//! 1. `pace` bounds how much of one source is looked at.
//! 2. `event` checks an event like any JWT of somebody trusted.
//! 3. `effect` finds whom it means and does what it may, once.
//! 4. `fetch` asks those that do not call, and `bearer` has what is shown to them.
//!
//! Spec: RFC 8935 §2
//! Spec: RFC 8936 §2
//! Spec: OpenID Shared Signals Framework 1.0 §4, §8.2

mod bearer;
mod effect;
mod event;
pub(crate) mod fetch;
mod pace;

pub(crate) use self::pace::SignalPace;

use std::time::Duration;

use crate::config::SignalSource;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::metric;

/// The language of [`NotTaken::description`], which has to be told wherever that is
/// (RFC 8935 §2.3, RFC 8936 §2.6).
pub(crate) const LANGUAGE: &str = "en";

/// Why an event is not taken: the codes of RFC 8935 §2.4, and what is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is no event, or none that is understood.
    Request(&'static str),
    /// No key of the source has signed it.
    Key(&'static str),
    /// It is of somebody else.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It cannot be known now whether it is good. Nothing is refused by that: it
    /// has to come again.
    NotNow(&'static str),
}

impl NotTaken {
    /// The code on the wire, or the word for what is no refusal.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Request(_) => "invalid_request",
            Self::Key(_) => "invalid_key",
            Self::Issuer => "invalid_issuer",
            Self::Audience => "invalid_audience",
            Self::NotNow(_) => "not_now",
        }
    }

    /// What is said besides.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Request(why) | Self::Key(why) | Self::NotNow(why) => why,
            Self::Issuer => "iss is not the issuer of this source",
            Self::Audience => "aud is not this receiver",
        }
    }
}

/// Takes an event of a source that arrived at a time. One that was taken before
/// is taken again, and does nothing.
pub(crate) async fn take(
    cx: &Cx,
    source: &SignalSource,
    text: &str,
    arrived: Duration,
) -> Result<Result<(), NotTaken>, Failure> {
    let event = match event::verify(cx, source, text, arrived).await {
        Ok(event) => event,
        Err(not_taken) => {
            let why = not_taken.description();
            tracing::info!(request = %cx.request, source = %source.id, code = not_taken.code(), why, "an event was not taken");
            metric::signal(not_taken.code());
            return Ok(Err(not_taken));
        }
    };
    let done = effect::bring_about(cx, source, &event).await?;
    metric::signal(done.word());
    Ok(Ok(()))
}
