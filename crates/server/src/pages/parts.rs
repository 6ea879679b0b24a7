//! What several pages show or carry: the site, the client, the account, the ties of a form.

use url::{Host, Url};

use super::assets::{icon_path, stylesheet_path};
use super::text::{display_name, display_text};

/// The authorization server as a page names it.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The path of the issuer without a closing slash, before every address of ours.
    pub(crate) base: String,
    /// The issuer's host, with its port if it is not the usual one.
    pub(crate) host: String,
}

impl Site {
    /// The site of an issuer.
    pub(crate) fn new(issuer: &Url) -> Self {
        Self {
            base: issuer.path().trim_end_matches('/').to_owned(),
            host: authority(issuer),
        }
    }

    /// The address of the stylesheet.
    pub(crate) fn stylesheet(&self) -> String {
        format!("{}{}", self.base, stylesheet_path())
    }

    /// The address of the icon.
    pub(crate) fn icon(&self) -> String {
        format!("{}{}", self.base, icon_path())
    }
}

/// What ties a form to its transaction and to the browser that was shown it.
#[derive(Debug, Clone)]
pub(crate) struct FormTies {
    /// The transaction, opaque to the page.
    pub(crate) transaction: String,
    /// The proof that the form came from this browser.
    pub(crate) csrf: String,
}

/// A client as a person should see it: never a name without a place.
///
/// The name is the client's own claim. The place is where the answer goes,
/// taken from the redirect URI that was checked.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    name: String,
    place: Place,
}

/// Where an answer to a client goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A site.
    Web(String),
    /// A program that listens on the person's own machine.
    Loopback(String),
    /// A program that took over a scheme on the person's own machine.
    App(String),
}

impl Client {
    /// A client by its name and the redirect URI of this request.
    pub(crate) fn new(name: &str, redirect_uri: &Url) -> Self {
        Self {
            name: display_name(name),
            place: Place::of(redirect_uri),
        }
    }

    /// The name to show.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The place to show.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl Place {
    fn of(url: &Url) -> Self {
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
            None => false,
        };
        match url.scheme() {
            "http" | "https" if loopback => Self::Loopback(authority(url)),
            "http" | "https" => Self::Web(authority(url)),
            scheme => Self::App(scheme.to_owned()),
        }
    }
}

/// The account that is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    name: String,
    login: String,
}

impl Account {
    /// An account by the person's name and the name they sign in with.
    pub(crate) fn new(name: &str, login: &str) -> Self {
        Self {
            name: display_name(name),
            login: display_text(login, 254),
        }
    }

    /// The person's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The user name or e-mail address.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }

    /// The first letter of the name.
    pub(crate) fn initial(&self) -> String {
        let first = self.name.chars().find(|c| c.is_alphanumeric());
        first.unwrap_or('?').to_uppercase().collect()
    }
}

/// A link to a site elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    client: Client,
    href: String,
}

impl Link {
    /// A link to a client's page; `None` where following it could run something.
    pub(crate) fn new(name: &str, url: &Url) -> Option<Self> {
        matches!(url.scheme(), "http" | "https").then(|| Self {
            client: Client::new(name, url),
            href: url.to_string(),
        })
    }

    /// Whose page it is.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The address.
    pub(crate) fn href(&self) -> &str {
        &self.href
    }
}

/// Host and port of a URL. A host with other scripts stays in its ASCII form,
/// which cannot look like another one.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
