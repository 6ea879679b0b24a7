//! Pages to look at and to test: every one, and some that a stranger filled in.

use std::time::Duration;

use axum::response::Response;
use http::StatusCode;
use url::Url;

use super::super::*;

pub(super) const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'";

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

pub(crate) fn site() -> Site {
    Site::new(&url("https://id.example.com"))
}

pub(crate) fn ties() -> FormTies {
    FormTies {
        transaction: "sample-transaction".to_owned(),
        csrf: "sample-csrf".to_owned(),
    }
}

pub(crate) fn client() -> Client {
    Client::new("Ledger", &url("https://ledger.example.net/callback"))
}

pub(crate) fn link(text: &str) -> Link {
    Link::new("Ledger", &url(text)).unwrap()
}

pub(crate) fn account() -> Account {
    Account::new("Ada Lovelace", "ada@example.com")
}

pub(crate) fn form_action() -> FormAction {
    FormAction::own().reaching(&url("https://ledger.example.net/callback"))
}

pub(crate) fn scope(value: &str, description: &str, choice: ScopeChoice) -> ConsentScope {
    ConsentScope {
        value: value.to_owned(),
        box_name: value.to_owned(),
        description: description.to_owned(),
        choice,
    }
}

/// A page: its name, its HTML, its response, and the ids it must have.
type Sample = (&'static str, String, Response, &'static [&'static str]);

fn sample<P: Page>(name: &'static str, page: &P, ids: &'static [&'static str]) -> Sample {
    (name, page.render().unwrap(), page.response(), ids)
}

/// The pages of somebody's own account.
fn account_samples() -> [Sample; 3] {
    let account = &["sign-out-others", "password-submit", "end-everything"];
    [
        sample("account", &AccountPage::sample(), account),
        sample(
            "account-hostile",
            &AccountPage::sample_hostile(HOSTILE),
            &["account-again", "account-notice", "end-everything"],
        ),
        sample(
            "account-ended",
            &AccountEndedPage { site: site() },
            &["account-back"],
        ),
    ]
}

/// Every page.
pub(super) fn samples() -> Vec<Sample> {
    let failed = LoginPage {
        username: "ada".to_owned(),
        failure: Some(LoginFailure::Mismatch),
        ..LoginPage::sample()
    };
    let ours = ErrorPage {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "server_error".to_owned(),
        description: "The request could not be completed.".to_owned(),
        ..ErrorPage::sample()
    };
    let login = &["username", "password", "login-submit"];
    let error = &["error-code", "error-description", "request-id"];
    let mut all = vec![
        sample("login", &LoginPage::sample(), login),
        sample("login-failed", &failed, login),
        sample("login-hostile", &hostile_login(), login),
        sample(
            "consent",
            &ConsentPage::sample(),
            &["consent-allow", "consent-deny"],
        ),
        sample(
            "consent-hostile",
            &hostile_consent(),
            &["consent-allow", "consent-deny"],
        ),
        sample("consent-small", &small_consent(), &["consent-allow"]),
        sample(
            "approve",
            &ApprovePage::sample(),
            &["consent-allow", "consent-deny"],
        ),
        sample("approve sign-in", &ApprovePage::sample_sign_in(), login),
        sample(
            "device-enter",
            &DevicePage::sample_enter(None),
            &["user_code", "device-submit"],
        ),
        sample(
            "device-failed",
            &DevicePage::sample_enter(Some(CodeFailure::Unknown)),
            &["user_code", "device-submit"],
        ),
        sample(
            "device",
            &DevicePage::sample(),
            &["device-allow", "device-deny"],
        ),
        sample("error", &ErrorPage::sample(), error),
        sample("error-ours", &ours, error),
        sample("logout", &LogoutPage::sample(), &["logout-confirm"]),
        sample("signed-out", &SignedOutPage::sample(), &[]),
        sample("form-post", &FormPostPage::sample(), &[]),
        sample("status", &StatusPage::sample(), &[]),
    ];
    all.extend(account_samples());
    all
}

pub(super) fn hostile_login() -> LoginPage {
    LoginPage {
        client: Some(Client::new(
            &format!("{HOSTILE}{}", "W".repeat(4096)),
            &url(&format!(
                "https://{}.example.net/",
                "long-label-of-a-host.".repeat(6).trim_end_matches('.')
            )),
        )),
        username: format!("{HOSTILE}\u{202e}"),
        failure: Some(LoginFailure::Throttled {
            wait: Duration::from_secs(30),
        }),
        ..LoginPage::sample()
    }
}

pub(super) fn hostile_consent() -> ConsentPage {
    let long = "x".repeat(120);
    let scopes = (0..14)
        .map(|n| {
            let choice = match n % 4 {
                0 => ScopeChoice::Needed,
                1 => ScopeChoice::Ticked,
                2 => ScopeChoice::Needed,
                _ => ScopeChoice::Sensitive,
            };
            let value = format!("https://api.example.com/auth/{n}/{long}");
            scope(&value, HOSTILE, choice)
        })
        .collect();
    let bare = ConsentResource {
        name: "مرحبا\u{202e} evil \u{200b}API".to_owned(),
        host: "api.example.org:8443".to_owned(),
        shows_values: true,
        scopes: vec![scope("write", "", ScopeChoice::Needed)],
    };
    ConsentPage {
        client: Client::new(HOSTILE, &url("com.example.ledger:/callback")),
        vouched: Some(Vouched::ByItself),
        account: Account::new(&long, &format!("{long}@{long}.example.com")),
        another_account: Some(HOSTILE.to_owned()),
        organization: Some(HOSTILE.to_owned()),
        resources: vec![
            ConsentResource {
                name: HOSTILE.to_owned(),
                host: format!("{long}.example.com"),
                shows_values: true,
                scopes,
            },
            bare,
        ],
        claims: vec![HOSTILE.to_owned()],
        ..ConsentPage::sample()
    }
}

pub(super) fn small_consent() -> ConsentPage {
    ConsentPage {
        client: Client::new("Command line", &url("http://127.0.0.1:52100/cb")),
        vouched: None,
        organization: None,
        resources: vec![ConsentResource {
            name: "Invoices".to_owned(),
            host: "api.example.com".to_owned(),
            shows_values: true,
            scopes: vec![scope(
                "read:invoices",
                "Read your invoices",
                ScopeChoice::Needed,
            )],
        }],
        claims: Vec::new(),
        lasting: Lasting::Session {
            at_most: Duration::from_secs(8 * 3600),
        },
        unticked: None,
        ..ConsentPage::sample()
    }
}
