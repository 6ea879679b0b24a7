//! Where a person is on their way through the account page: sealed, bound to one
//! browser, no row anywhere.
//!
//! Spec: RFC 9700 §4.7

use serde::{Deserialize, Serialize};
use symbolon_protocol::Timestamp;
use symbolon_token::mark::Kind;

use crate::authn::transaction::{Browser, LIFETIME_SECONDS};
use crate::cx::Cx;
use crate::pages::WideAct;

/// One step, for one browser.
#[derive(Serialize, Deserialize)]
pub(crate) struct Visit {
    /// Where the person is.
    pub(crate) account: Step,
    began: Timestamp,
    browser: String,
}

/// Where a person is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Nobody is signed in, or not lately enough for what is wished.
    SignIn(Option<Wish>),
    /// They have just signed in for this: it waits for one more press.
    Again(Wish),
    /// Something was done.
    Done(Done),
}

/// A wide act that somebody wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wish {
    /// Signing out everywhere else.
    Others,
    /// Taking everything back.
    Everything,
}

impl Wish {
    /// The same as the page calls it.
    pub(super) const fn shown(self) -> WideAct {
        match self {
            Self::Others => WideAct::Others,
            Self::Everything => WideAct::Everything,
        }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Done {
    /// An application lost its access.
    Withdrawn {
        /// Its name.
        client: String,
    },
    /// One other session ended.
    SignedOut,
    /// All other sessions ended.
    Others {
        /// How many there were.
        count: u32,
    },
    /// There is another password.
    Password,
}

impl Done {
    /// What the person is told.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Withdrawn { client } => {
                format!("{client} has no access any more.")
            }
            Self::SignedOut => "That device is signed out.".to_owned(),
            Self::Others { count: 0 } => "You were signed in nowhere else.".to_owned(),
            Self::Others { count: 1 } => "One other device is signed out.".to_owned(),
            Self::Others { count } => format!("{count} other devices are signed out."),
            Self::Password => {
                "You have a new password. You are signed in here and nowhere else.".to_owned()
            }
        }
    }
}

impl Visit {
    /// Seals a step for one browser.
    pub(crate) fn seal(cx: &Cx, browser: &Browser, account: Step) -> String {
        let own = Self {
            account,
            began: cx.now,
            browser: browser.digest(),
        };
        // Strings and numbers always serialise.
        let plain = serde_json::to_vec(&own).unwrap_or_default();
        cx.keys
            .seal(Kind::Transaction, cx.bound(), &plain, cx.entropy())
            .text
    }

    /// Opens a presented step, if it is one of this browser and not too old.
    pub(crate) fn find(cx: &Cx, browser: &Browser, sealed: &str) -> Option<Step> {
        let opened = cx.keys.open(Kind::Transaction, cx.bound(), sealed).ok()?;
        let own: Self = serde_json::from_slice(&opened.plain).ok()?;
        let age = cx.now.millis() - own.began.millis();
        let is_own = !browser.is_new() && own.browser == browser.digest();
        (is_own && age <= LIFETIME_SECONDS * 1000).then_some(own.account)
    }
}

/// The address of the page, with a step where there is one to tell.
pub(crate) fn address(cx: &Cx, browser: &Browser, step: Option<Step>) -> String {
    let page = cx.settings.issuer.endpoint("/account");
    match step {
        None => page,
        Some(step) => format!("{page}?transaction={}", Visit::seal(cx, browser, step)),
    }
}

/// Where a person signs in for the page.
pub(super) fn sign_in_address(cx: &Cx, browser: &Browser, wish: Option<Wish>) -> String {
    let sealed = Visit::seal(cx, browser, Step::SignIn(wish));
    let login = cx.settings.issuer.endpoint("/login");
    format!("{login}?transaction={sealed}")
}

/// Where a person goes who has just signed in for the page.
pub(crate) fn after_sign_in(cx: &Cx, browser: &Browser, wish: Option<Wish>) -> String {
    address(cx, browser, wish.map(Step::Again))
}
