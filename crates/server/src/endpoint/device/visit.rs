//! Where a person is on their way through the pages of a device: sealed, bound
//! to one browser, no row anywhere.
//!
//! Spec: RFC 9700 §4.7

use serde::{Deserialize, Serialize};
use symbolon_protocol::{Timestamp, UserCode};
use symbolon_token::mark::Kind;
use symbolon_token::{DeviceAuthorization, Id, Person};

use crate::authn::transaction::{Browser, LIFETIME_SECONDS};
use crate::cx::Cx;
use crate::failure::Refusal;

/// One page of the way, for one browser.
#[derive(Serialize, Deserialize)]
pub(crate) struct Visit {
    /// Where the person is.
    pub(crate) device: Step,
    began: Timestamp,
    browser: String,
}

/// Where a person is.
#[derive(Serialize, Deserialize)]
pub(crate) enum Step {
    /// Nobody is signed in.
    SignIn {
        /// The code to fill in afterwards.
        typed: Option<String>,
    },
    /// A code can be typed.
    Enter {
        /// By whom.
        person: Id<Person>,
    },
    /// A device is shown, and a decision asked for.
    Question(Question),
    /// A decision was made.
    Over {
        /// Whether the device may have what it asked for.
        allowed: bool,
        /// The client's name.
        client: String,
    },
}

/// What was shown, and to whom.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) id: Id<DeviceAuthorization>,
    /// The code by which it was found.
    pub(crate) typed: String,
    pub(crate) person: Id<Person>,
    /// Stands for what is asked, once it is on the page.
    pub(crate) shown: Option<String>,
}

impl Visit {
    /// Seals a step for one browser.
    pub(crate) fn seal(cx: &Cx, browser: &Browser, device: Step) -> String {
        let own = Self {
            device,
            began: cx.now,
            browser: browser.digest(),
        };
        // Strings and numbers always serialise.
        let plain = serde_json::to_vec(&own).unwrap_or_default();
        cx.keys
            .seal(Kind::Transaction, cx.bound(), &plain, cx.entropy())
            .text
    }

    /// Opens a presented step. Expired, foreign and forged are one answer, and so
    /// is a sealed thing that is no step of a device.
    pub(crate) fn open(cx: &Cx, browser: &Browser, sealed: &str) -> Result<Self, Refusal> {
        Self::find(cx, browser, sealed).ok_or_else(|| {
            Refusal::invalid_request(
                "this page was opened elsewhere or too long ago; type the code of your device again",
            )
        })
    }

    /// The same where it may be something else.
    pub(crate) fn find(cx: &Cx, browser: &Browser, sealed: &str) -> Option<Self> {
        let opened = cx.keys.open(Kind::Transaction, cx.bound(), sealed).ok()?;
        let own: Self = serde_json::from_slice(&opened.plain).ok()?;
        let age = cx.now.millis() - own.began.millis();
        let is_own = !browser.is_new() && own.browser == browser.digest();
        (is_own && age <= LIFETIME_SECONDS * 1000).then_some(own)
    }
}

/// The address of a step of its own.
pub(crate) fn address(cx: &Cx, name: &str, value: &str) -> String {
    format!("{}?{name}={value}", cx.settings.issuer.endpoint("/device"))
}

/// Where a person goes who has just signed in for a device.
pub(crate) fn after_sign_in(cx: &Cx, typed: Option<&str>) -> String {
    // Only letters and one hyphen: what it was parsed into.
    match typed.and_then(|typed| typed.parse::<UserCode>().ok()) {
        Some(code) => address(cx, "user_code", &code.to_string()),
        None => cx.settings.issuer.endpoint("/device"),
    }
}
