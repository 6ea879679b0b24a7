//! The account page: where a person is signed in, what they allowed, and a
//! button for each to take it back.
//!
//! Every button is a form of its own, tied to the one thing that it is about.
//!
//! Spec: RFC 7009 §1
//! Spec: OpenID Connect Core 1.0 §16.18

use std::time::Duration;

use askama::Template;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::consent::ConsentResource;
use super::login::LoginFailure;
use super::page::Page;
use super::parts::{Account, FormTies, Site};
use super::policy::{FormAction, Policy};
use super::text::{display_name, display_text};

/// Shows a person what is theirs.
#[derive(Debug, Template)]
#[template(path = "account.html")]
pub(crate) struct AccountPage {
    /// The site.
    pub(crate) site: Site,
    /// Whose account it is.
    pub(crate) account: Account,
    /// What has just been done.
    pub(crate) notice: Option<String>,
    /// What was asked for before the person signed in anew.
    pub(crate) again: Option<Again>,
    /// Where they are signed in, this browser first.
    pub(crate) devices: Vec<Device>,
    /// Signs out everywhere but here, where there is anywhere else.
    pub(crate) others: Option<FormTies>,
    /// What they allowed.
    pub(crate) applications: Vec<Application>,
    /// Where the next applications are, where not all fit here.
    pub(crate) next: Option<String>,
    /// How the password is changed here, if it is.
    pub(crate) password: Option<PasswordForm>,
    /// Takes everything back.
    pub(crate) everything: FormTies,
    /// How long after a sign-in no further one is asked for.
    pub(crate) fresh: Duration,
}

/// A wide act that waits for one more press.
#[derive(Debug)]
pub(crate) struct Again {
    /// Which.
    pub(crate) act: WideAct,
    /// The ties of its form.
    pub(crate) ties: FormTies,
}

/// An act that reaches further than one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WideAct {
    /// Signing out everywhere else.
    Others,
    /// Taking everything back.
    Everything,
}

impl WideAct {
    /// The words on its button.
    pub(crate) const fn button(self) -> &'static str {
        match self {
            Self::Others => "Sign out everywhere else",
            Self::Everything => "It was not me: end everything",
        }
    }
}

/// A browser in which the person is signed in.
#[derive(Debug)]
pub(crate) struct Device {
    /// The ties of its form.
    pub(crate) ties: FormTies,
    /// What it is, in words.
    pub(crate) words: String,
    /// Whether it is the one that looks.
    pub(crate) is_here: bool,
    /// The network that it signed in from, in words; empty where nobody knows.
    pub(crate) place: String,
    /// How the person proved who they are.
    pub(crate) proof: String,
    /// When that was.
    pub(crate) authenticated: Moment,
    /// When it was used last.
    pub(crate) seen: Moment,
    /// Whether it has to sign in again: what it let applications do goes on.
    pub(crate) is_idle: bool,
}

/// An application that the person allowed something.
#[derive(Debug)]
pub(crate) struct Application {
    /// The ties of its form.
    pub(crate) ties: FormTies,
    /// Its name, as it claims.
    pub(crate) name: String,
    /// The host that was registered for it, if any.
    pub(crate) host: Option<String>,
    /// For which organization.
    pub(crate) organization: Option<String>,
    /// What it may do, place by place.
    pub(crate) resources: Vec<ConsentResource>,
    /// Since when.
    pub(crate) since: Moment,
    /// When it last renewed its access, if that is known.
    pub(crate) used: Option<Moment>,
}

/// A moment as a person and a program read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// In words.
    pub(crate) words: String,
    /// In the form of RFC 3339.
    pub(crate) exact: String,
}

/// The form that changes a password.
#[derive(Debug)]
pub(crate) struct PasswordForm {
    /// Its ties.
    pub(crate) ties: FormTies,
    /// The name that the person signs in with: for what keeps their passwords.
    pub(crate) username: String,
    /// How many characters it has at least.
    pub(crate) least: usize,
    /// Why nothing was changed.
    pub(crate) failure: Option<PasswordFailure>,
}

/// Why a password was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordFailure {
    /// The old one was not proved.
    Old(LoginFailure),
    /// The new one is too short, or endless.
    Length {
        /// How many characters it has at least.
        least: usize,
    },
    /// The two times that the new one was typed differ.
    Differs,
    /// The new one is the old one.
    Same,
}

impl PasswordFailure {
    fn message(self) -> String {
        match self {
            Self::Old(LoginFailure::Mismatch) => "That is not your password.".to_owned(),
            Self::Old(failure) => failure.message(),
            Self::Length { least } => {
                format!("A password has {least} characters or more, and at most 1024 bytes.")
            }
            Self::Differs => "The new password was not typed the same way twice.".to_owned(),
            Self::Same => "That is the password you have. Choose another one.".to_owned(),
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Old(failure) => failure.status(),
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl AccountPage {
    fn failure(&self) -> Option<PasswordFailure> {
        self.password.as_ref().and_then(|form| form.failure)
    }

    fn fresh_words(&self) -> String {
        super::text::duration_words(self.fresh)
    }
}

impl Application {
    fn shown_name(&self) -> String {
        display_name(&self.name)
    }

    fn shown_organization(&self) -> Option<String> {
        self.organization.as_deref().map(display_name)
    }
}

impl PasswordForm {
    fn shown_username(&self) -> String {
        display_text(&self.username, 254)
    }
}

impl Page for AccountPage {
    fn status(&self) -> StatusCode {
        self.failure()
            .map_or(StatusCode::OK, PasswordFailure::status)
    }

    fn policy(&self) -> Policy {
        Policy::new(FormAction::own())
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(PasswordFailure::Old(failure)) = self.failure()
            && let Some(seconds) = failure.retry_after()
        {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// Says that everything of a person has ended.
#[derive(Debug, Template)]
#[template(path = "account_ended.html")]
pub(crate) struct AccountEndedPage {
    /// The site.
    pub(crate) site: Site,
}

impl Page for AccountEndedPage {
    fn policy(&self) -> Policy {
        Policy::new(FormAction::none())
    }
}

#[cfg(test)]
impl AccountPage {
    /// A page with two devices and two applications.
    pub(crate) fn sample() -> Self {
        use super::tests::{account, scope, site, ties};
        use crate::pages::ScopeChoice;

        let moment = |words: &str| Moment {
            words: words.to_owned(),
            exact: "2026-11-28T13:35:00Z".to_owned(),
        };
        let device = |words: &str, is_here| Device {
            ties: ties(),
            words: words.to_owned(),
            is_here,
            place: "203.0.113.x".to_owned(),
            proof: "with a password".to_owned(),
            authenticated: moment("3 hours ago"),
            seen: moment("just now"),
            is_idle: false,
        };
        let application = |name: &str, organization: Option<&str>| Application {
            ties: ties(),
            name: name.to_owned(),
            host: Some("ledger.example.net".to_owned()),
            organization: organization.map(str::to_owned),
            resources: vec![ConsentResource {
                name: "Invoices".to_owned(),
                host: "api.example.com".to_owned(),
                shows_values: true,
                scopes: vec![
                    scope("read:invoices", "Read your invoices", ScopeChoice::Needed),
                    scope("delete:invoices", "Delete invoices", ScopeChoice::Sensitive),
                ],
            }],
            since: moment("12 September 2026"),
            used: organization.is_some().then(|| moment("2 hours ago")),
        };
        Self {
            site: site(),
            account: account(),
            notice: None,
            again: None,
            devices: vec![
                device("Firefox on Linux", true),
                device("Safari on an iPhone", false),
            ],
            others: Some(ties()),
            applications: vec![
                application("Ledger", Some("Analytical Engines Ltd")),
                application("Command line", None),
            ],
            next: None,
            password: Some(PasswordForm {
                ties: ties(),
                username: "ada".to_owned(),
                least: 8,
                failure: None,
            }),
            everything: ties(),
            fresh: Duration::from_secs(600),
        }
    }

    /// The page after a wide act was asked for, with strangers' words on it.
    pub(crate) fn sample_hostile(hostile: &str) -> Self {
        use super::tests::ties;

        let mut page = Self::sample();
        page.notice = Some(hostile.to_owned());
        page.again = Some(Again {
            act: WideAct::Everything,
            ties: ties(),
        });
        page.next = Some(format!("/account?page={hostile}"));
        for device in &mut page.devices {
            hostile.clone_into(&mut device.words);
            hostile.clone_into(&mut device.place);
            hostile.clone_into(&mut device.proof);
        }
        for application in &mut page.applications {
            application.name = format!("{hostile}{}", "W".repeat(400));
            application.host = Some(hostile.to_owned());
            application.organization = Some(hostile.to_owned());
        }
        if let Some(form) = &mut page.password {
            hostile.clone_into(&mut form.username);
            form.failure = Some(PasswordFailure::Old(LoginFailure::Mismatch));
        }
        page
    }
}
