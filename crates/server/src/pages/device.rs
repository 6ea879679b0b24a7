//! The pages of a device: its code, what it asks for, what was decided.
//!
//! Whoever can get a person to open a link can bring them here, so the page says
//! what asks, from where and since when, and when to stop.
//!
//! Spec: RFC 8628 §3.3, §3.3.1, §5.4, §5.5

use std::time::Duration;

use askama::Template;
use http::StatusCode;

use super::consent::{ConsentResource, Lasting, Paper};
use super::page::Page;
use super::parts::{Account, FormTies, Site};
use super::policy::{FormAction, Policy};
use super::text::{display_name, display_text, duration_words};

/// Asks a person about a device.
#[derive(Debug, Template)]
#[template(path = "device.html")]
pub(crate) struct DevicePage {
    /// The site.
    pub(crate) site: Site,
    /// The ties of the form.
    pub(crate) ties: FormTies,
    /// Who is signed in.
    pub(crate) account: Account,
    /// Where somebody else can sign in.
    pub(crate) another_account: String,
    /// What the person can do now.
    pub(crate) step: DeviceStep,
}

/// What the person can do on the page.
#[derive(Debug)]
pub(crate) enum DeviceStep {
    /// Type a code.
    Enter {
        /// What to fill in.
        user_code: String,
        /// Why the page is shown again.
        failure: Option<CodeFailure>,
        /// How long to wait, where there were too many codes.
        wait: Duration,
    },
    /// Say yes or no.
    Confirm(Box<AskingDevice>),
    /// Nothing more: it was allowed.
    Allowed {
        /// The client's name.
        client: String,
    },
    /// Nothing more: it was denied.
    Denied {
        /// The client's name.
        client: String,
    },
}

/// Why a code led nowhere. Whether it ever was one is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeFailure {
    /// Nothing waits under it.
    Unknown,
    /// There were too many wrong ones.
    Throttled,
}

/// A device that asks, as a person should see it.
#[derive(Debug)]
pub(crate) struct AskingDevice {
    /// The name of the client, as it calls itself.
    pub(crate) client: String,
    /// The host that it is registered with.
    pub(crate) host: Option<String>,
    /// Whether it proved that it is that client.
    pub(crate) proof: Proof,
    /// The code that it shows.
    pub(crate) user_code: String,
    /// The network that it asked from.
    pub(crate) place: String,
    /// Whether that is the network of this browser.
    pub(crate) is_near: bool,
    /// How long ago it asked.
    pub(crate) ago: Duration,
    /// The name of the organization that the person acts for, if any.
    pub(crate) organization: Option<String>,
    /// What is asked for, resource by resource.
    pub(crate) resources: Vec<ConsentResource>,
    /// For how long.
    pub(crate) lasting: Lasting,
    /// For how long where the person takes a tick away that makes it last.
    pub(crate) unticked: Option<Lasting>,
    /// The client's own pages.
    pub(crate) papers: Vec<Paper>,
}

/// Whether a client proved that it is itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It did.
    Given,
    /// It only said its name.
    None,
}

impl DevicePage {
    fn has_failed(&self) -> bool {
        let failure = |step: &DeviceStep| match step {
            DeviceStep::Enter { failure, .. } => *failure,
            _ => None,
        };
        failure(&self.step).is_some()
    }
}

impl CodeFailure {
    fn message(self, wait: &Duration) -> String {
        match self {
            Self::Unknown => {
                "No device waits under this code. It may be mistyped, used or too old.".to_owned()
            }
            Self::Throttled => format!(
                "Too many wrong codes. Wait {}, then try again.",
                duration_words(*wait),
            ),
        }
    }
}

impl AskingDevice {
    fn shown_client(&self) -> String {
        display_name(&self.client)
    }

    fn shown_host(&self) -> Option<String> {
        let host = self.host.as_deref()?;
        Some(display_text(host, 300))
    }

    fn shown_organization(&self) -> Option<String> {
        self.organization.as_deref().map(display_name)
    }

    fn is_proved(&self) -> bool {
        self.proof == Proof::Given
    }

    /// When it asked, no finer than a person thinks.
    fn shown_ago(&self) -> String {
        let minutes = self.ago.as_secs() / 60;
        match minutes {
            0 => "less than a minute ago".to_owned(),
            _ => format!("{} ago", duration_words(Duration::from_secs(minutes * 60))),
        }
    }
}

impl Page for DevicePage {
    fn status(&self) -> StatusCode {
        match &self.step {
            DeviceStep::Enter {
                failure: Some(CodeFailure::Unknown),
                ..
            } => StatusCode::UNPROCESSABLE_ENTITY,
            DeviceStep::Enter {
                failure: Some(CodeFailure::Throttled),
                ..
            } => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::OK,
        }
    }

    fn policy(&self) -> Policy {
        Policy::new(FormAction::own())
    }
}

#[cfg(test)]
impl DevicePage {
    /// A page that asks about a device.
    pub(crate) fn sample() -> Self {
        use super::consent::ConsentPage;
        use super::tests::{account, site, ties};

        let consent = ConsentPage::sample();
        Self {
            site: site(),
            ties: ties(),
            account: account(),
            another_account: "/login?transaction=t1".to_owned(),
            step: DeviceStep::Confirm(Box::new(AskingDevice {
                client: "Living Room TV".to_owned(),
                host: Some("tv.example.net".to_owned()),
                proof: Proof::None,
                user_code: "BCDFG-HJKLM".to_owned(),
                place: "203.0.113.x".to_owned(),
                is_near: false,
                ago: Duration::from_secs(130),
                organization: None,
                resources: consent.resources,
                lasting: consent.lasting,
                unticked: consent.unticked,
                papers: Vec::new(),
            })),
        }
    }

    /// A page on which a code is typed.
    pub(crate) fn sample_enter(failure: Option<CodeFailure>) -> Self {
        Self {
            step: DeviceStep::Enter {
                user_code: String::new(),
                failure,
                wait: Duration::from_secs(600),
            },
            ..Self::sample()
        }
    }
}
