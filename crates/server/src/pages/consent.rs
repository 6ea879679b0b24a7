//! The consent page: who gets what, where, and for how long.
//!
//! Spec: OAuth 2.1 §4.1.1
//! Spec: RFC 8707 §2
//! Spec: OpenID Connect Core 1.0 §3.1.2.4

use std::time::Duration;

use askama::Template;

use symbolon_protocol::{Scope, Scopes};

use super::page::Page;
use super::parts::{Account, Client, FormTies, Link, Site};
use super::policy::{FormAction, Policy};
use super::text::{display_name, display_text, duration_words};

/// Asks a person whether a client may act for them.
///
/// The form sends `scope` once for each ticked box. What the client needs
/// ([`ScopeChoice::Needed`]) has no box and is not sent; the server grants it
/// with `allow` and takes a sent scope only if the transaction asked for it.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(crate) struct ConsentPage {
    /// The site.
    pub(crate) site: Site,
    /// The ties of the form.
    pub(crate) ties: FormTies,
    /// Where the form may end.
    pub(crate) form_action: FormAction,
    /// Who asks.
    pub(crate) client: Client,
    /// Who vouches for the client, where nobody here does.
    pub(crate) vouched: Option<Vouched>,
    /// Who is asked.
    pub(crate) account: Account,
    /// A path of this server that lets somebody else sign in, where the client
    /// did not ask for this very person.
    pub(crate) another_account: Option<String>,
    /// The client's own pages about what it does with the data: terms, privacy.
    pub(crate) papers: Vec<Paper>,
    /// The name of the organization that the person acts for, if any.
    pub(crate) organization: Option<String>,
    /// What is asked for, resource by resource.
    pub(crate) resources: Vec<ConsentResource>,
    /// What the client learns about the person, in plain words ("your name").
    pub(crate) claims: Vec<String>,
    /// For how long.
    pub(crate) lasting: Lasting,
    /// For how long where the person takes a tick away that makes it last.
    pub(crate) unticked: Option<Lasting>,
}

/// Who says that a client is what it says, where nobody here looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vouched {
    /// The client itself alone.
    ByItself,
    /// The host of the document that describes it.
    ByHost {
        /// The host.
        host: String,
        /// Whether answers go to this person's own machine alone, where any
        /// program can say that it is this client.
        is_local: bool,
    },
}

/// A page of the client's that a person may want to read first.
#[derive(Debug, Clone)]
pub(crate) struct Paper {
    /// What it is, in plain words.
    pub(crate) title: &'static str,
    /// Where it is.
    pub(crate) link: Link,
}

/// What a client asks for at one resource.
#[derive(Debug, Clone)]
pub(crate) struct ConsentResource {
    /// The name of the API.
    pub(crate) name: String,
    /// Its host.
    pub(crate) host: String,
    /// Whether the scopes' values are shown beside the words: those of OpenID
    /// Connect tell a person nothing.
    pub(crate) shows_values: bool,
    /// The scopes asked for there.
    pub(crate) scopes: Vec<ConsentScope>,
}

/// One scope as a person reads it.
#[derive(Debug, Clone)]
pub(crate) struct ConsentScope {
    /// The scope's value.
    pub(crate) value: String,
    /// What its box sends.
    pub(crate) box_name: String,
    /// What it lets the client do, in plain words; the value, if nobody wrote any.
    pub(crate) description: String,
    /// What the person may decide about it.
    pub(crate) choice: ScopeChoice,
}

/// What a person may decide about a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScopeChoice {
    /// Comes with the consent as a whole.
    Needed,
    /// Ticked at first, can be unticked.
    Ticked,
    /// Named apart as sensitive; can be ticked and never is at first.
    Sensitive,
}

/// How long a consent lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// Cannot be renewed.
    Once(Duration),
    /// Renewed while the person stays signed in.
    Session {
        /// The longest it can last.
        at_most: Duration,
    },
    /// Renewed while the person is away.
    Offline {
        /// The longest it can last, if there is an end.
        at_most: Option<Duration>,
    },
}

impl Lasting {
    /// The same behind a colon.
    pub(crate) fn words_inside(self) -> String {
        let words = self.words();
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_lowercase().chain(letters).collect()
        })
    }

    /// The answer to "for how long?".
    pub(crate) fn words(self) -> String {
        match self {
            Self::Once(lifetime) => format!(
                "For {}. After that it has to ask again.",
                duration_words(lifetime),
            ),
            Self::Session { at_most } => format!(
                "While you stay signed in here, {} at most.",
                duration_words(at_most),
            ),
            Self::Offline {
                at_most: Some(at_most),
            } => format!(
                "For {}, also while you are away, unless you withdraw it sooner.",
                duration_words(at_most),
            ),
            Self::Offline { at_most: None } => {
                "Until you withdraw it, also while you are away.".to_owned()
            }
        }
    }
}

impl ConsentResource {
    pub(super) fn shown_name(&self) -> String {
        display_name(&self.name)
    }

    pub(super) fn shown_host(&self) -> String {
        display_text(&self.host, 300)
    }

    /// Whether the host says more than the name.
    pub(super) fn shows_host(&self) -> bool {
        self.shown_host() != self.shown_name()
    }

    pub(super) fn shows_value(&self, scope: &ConsentScope) -> bool {
        self.shows_values && scope.shows_value()
    }

    pub(super) fn needed(&self) -> impl Iterator<Item = &ConsentScope> {
        let needed = |scope: &&ConsentScope| scope.choice == ScopeChoice::Needed;
        self.scopes.iter().filter(needed)
    }

    pub(super) fn optional(&self) -> impl Iterator<Item = &ConsentScope> {
        self.scopes
            .iter()
            .filter(|scope| scope.choice == ScopeChoice::Ticked)
    }

    pub(super) fn sensitive(&self) -> impl Iterator<Item = &ConsentScope> {
        let sensitive = |scope: &&ConsentScope| scope.choice == ScopeChoice::Sensitive;
        self.scopes.iter().filter(sensitive)
    }

    /// What may be learned about somebody else than who reads the page.
    pub(crate) fn about_another(scopes: &Scopes) -> Self {
        let words = |value: &str| match value {
            "openid" => "Who that is",
            "profile" => "Their name and profile",
            "email" => "Their e-mail address",
            "address" => "Their postal address",
            "phone" => "Their phone number",
            "offline_access" => "All of it while they are away",
            _ => "",
        };
        let scope = |value: &Scope| ConsentScope {
            value: value.as_str().to_owned(),
            box_name: String::new(),
            description: words(value.as_str()).to_owned(),
            choice: ScopeChoice::Needed,
        };
        Self {
            name: String::new(),
            host: String::new(),
            shows_values: false,
            scopes: scopes.iter().map(scope).collect(),
        }
    }

    /// All that may be done there, whatever was chosen.
    pub(super) fn granted(&self) -> impl Iterator<Item = &ConsentScope> {
        self.scopes.iter()
    }

    /// Whether there is anything to list beside what is sensitive. A resource
    /// is named even where nothing may be done there: it gets a token.
    pub(super) fn has_usual(&self) -> bool {
        self.scopes.is_empty() || self.needed().next().is_some() || self.optional().next().is_some()
    }
}

impl ConsentScope {
    pub(super) fn words(&self) -> String {
        let words = display_text(&self.description, 200);
        if words.is_empty() {
            return self.value.clone();
        }
        words
    }

    /// Whether the value says more than the words.
    pub(super) fn shows_value(&self) -> bool {
        self.words() != self.value
    }
}

/// Everything that is sensitive, and where.
pub(super) fn sensitive(resources: &[ConsentResource]) -> Vec<(&ConsentResource, &ConsentScope)> {
    let of_resource = |resource| ConsentResource::sensitive(resource).map(move |s| (resource, s));
    resources.iter().flat_map(of_resource).collect()
}

impl ConsentPage {
    fn shown_organization(&self) -> Option<String> {
        self.organization.as_deref().map(display_name)
    }
}

impl Page for ConsentPage {
    fn policy(&self) -> Policy {
        Policy::new(self.form_action.clone())
    }
}

#[cfg(test)]
impl ConsentPage {
    /// A page with every kind of scope.
    pub(crate) fn sample() -> Self {
        use super::tests::{account, client, form_action, scope, site, ties};

        Self {
            site: site(),
            ties: ties(),
            form_action: form_action(),
            client: client(),
            vouched: Some(Vouched::ByHost {
                host: "ledger.example.net".to_owned(),
                is_local: true,
            }),
            account: account(),
            another_account: Some("/login?transaction=t1&account=other".to_owned()),
            papers: vec![Paper {
                title: "Privacy policy",
                link: super::tests::link("https://ledger.example.net/privacy"),
            }],
            organization: Some("Analytical Engines Ltd".to_owned()),
            resources: vec![ConsentResource {
                name: "Invoices".to_owned(),
                host: "api.example.com".to_owned(),
                shows_values: true,
                scopes: vec![
                    scope("read:invoices", "Read your invoices", ScopeChoice::Needed),
                    scope(
                        "read:customers",
                        "Read the list of your customers",
                        ScopeChoice::Ticked,
                    ),
                    scope(
                        "delete:invoices",
                        "Delete invoices for good",
                        ScopeChoice::Sensitive,
                    ),
                ],
            }],
            claims: vec!["Your name".to_owned(), "Your e-mail address".to_owned()],
            lasting: Lasting::Offline {
                at_most: Some(Duration::from_secs(90 * 86_400)),
            },
            unticked: Some(Lasting::Once(Duration::from_secs(600))),
        }
    }
}
