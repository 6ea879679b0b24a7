//! Sign-in by user name or e-mail address and password.
//!
//! 1. The form must be one that this browser was shown.
//! 2. The guess is counted before the password is looked at.
//! 3. The hash: the same work whether the name exists or not.
//! 4. A new session, and on to what the sign-in was for.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3
//! Spec: RFC 9700 §4.12

use std::time::Duration;

use axum::response::Response;
use http::header::SET_COOKIE;
use symbolon_protocol::Parameters;
use symbolon_store::{Attempt, CountAttempt, FindPersonByName, ForgiveAttempt, Person};
use symbolon_token::Secret;
use symbolon_token::mark::{Kind, read_fixed, write_fixed};

use super::authorize::answer::Destination;
use super::authorize::next::proceed;
use crate::authn::session;
use crate::authn::transaction::{Browser, Transaction};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::limit::network;
use crate::pages::{Client, FormAction, LoginFailure, LoginPage, Page};
use crate::received::Received;

/// What the CSRF token of this form is about.
const PURPOSE: &str = "csrf-login";
/// How long a name may be, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// How long guesses count, in seconds.
const WINDOW_SECONDS: u32 = 60 * 60;
/// Guesses for one name, for one account, and for one from a device that knows it.
const GUESSES_PER_ACCOUNT: u32 = 10;
/// Guesses from one network.
const GUESSES_PER_NETWORK: u32 = 100;

/// Answers `GET /login`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let browser = Browser::of(&cx, &received);
    let sealed = query.one("transaction");
    let transaction = Transaction::open(&cx, &browser, sealed)?;
    let shown = Shown {
        sealed: sealed.unwrap_or_default(),
        transaction: &transaction,
        browser: &browser,
    };
    let username = transaction.login_hint.clone().unwrap_or_default();
    shown.page(&cx, username, None).await
}

/// Answers `POST /login`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let browser = Browser::of(&cx, &received);
    let sealed = form.one("transaction");
    browser.check_csrf(&cx, PURPOSE, sealed.unwrap_or_default(), form.one("csrf"))?;
    let transaction = Transaction::open(&cx, &browser, sealed)?;
    let sealed = sealed.unwrap_or_default();
    let shown = Shown {
        sealed,
        transaction: &transaction,
        browser: &browser,
    };
    let typed = form.one("username").unwrap_or_default().to_owned();
    match prove(&cx, &received, &form).await? {
        Proved::Person(person) => go_on(&cx, &received, &shown, *person).await,
        Proved::Not(failure) => shown.page(&cx, typed, Some(failure)).await,
    }
}

struct Shown<'a> {
    sealed: &'a str,
    transaction: &'a Transaction,
    browser: &'a Browser,
}

impl Shown<'_> {
    async fn page(
        &self,
        cx: &Cx,
        username: String,
        failure: Option<LoginFailure>,
    ) -> Result<Response, Failure> {
        let destination = Destination::of(cx, self.transaction).await?;
        let url = destination.url()?;
        let page = LoginPage {
            site: cx.settings.site.clone(),
            ties: Transaction::ties(self.sealed, cx, self.browser, PURPOSE),
            form_action: FormAction::own().reaching(&url),
            client: Some(Client::new(&destination.client.client.name, &url)),
            username,
            failure,
            request_id: cx.request.to_string(),
        };
        Ok(page.response())
    }
}

/// What came of a name and a password.
enum Proved {
    Person(Box<Person>),
    Not(LoginFailure),
}

/// The name as accounts are found by it: one spelling for all.
pub(crate) fn canonical_name(typed: &str) -> Option<String> {
    let name = typed.trim();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return None;
    }
    Some(name.to_lowercase())
}

async fn prove(cx: &Cx, received: &Received, form: &Parameters) -> Result<Proved, Failure> {
    let (Some(name), Some(password)) = (
        form.one("username").and_then(canonical_name),
        form.one("password"),
    ) else {
        return Ok(Proved::Not(LoginFailure::Mismatch));
    };
    let password = Secret::from(password);
    let found = cx
        .store
        .read(FindPersonByName { name: name.clone() })
        .await?;
    let account = found
        .as_ref()
        .map_or_else(|| name.clone(), |person| person.id.to_string());
    let counted = counters(cx, received, &name, &account);
    match count(cx, &counted).await? {
        Counted::Allowed => {}
        Counted::Limited {
            wait,
            told: Told::Openly,
        } => {
            return Ok(Proved::Not(LoginFailure::Throttled { wait }));
        }
        Counted::Limited {
            told: Told::Silently,
            ..
        } => {
            // It takes as long as a wrong password.
            cx.passwords.verify_nobody(password).await?;
            return Ok(Proved::Not(LoginFailure::Mismatch));
        }
    }
    let good = match found.as_ref().and_then(|person| person.password.clone()) {
        Some(phc) => cx.passwords.verify(password, phc).await,
        None => cx.passwords.verify_nobody(password).await,
    };
    if !matches!(good, Ok(false)) {
        // It was right, or it was turned away before anybody looked at it.
        forgive(cx, &counted).await?;
    }
    let good = good?;
    match found.filter(|person| good && person.enabled) {
        Some(person) => Ok(Proved::Person(Box::new(person))),
        None => {
            tracing::info!(request = %cx.request, network = %network(cx.address), "sign-in failed");
            Ok(Proved::Not(LoginFailure::Mismatch))
        }
    }
}

async fn forgive(cx: &Cx, counters: &[Counter]) -> Result<(), Failure> {
    for counter in counters {
        let name = counter.name;
        cx.store.act(ForgiveAttempt { name }).await?;
    }
    Ok(())
}

/// One of the counters that a guess is counted under.
struct Counter {
    name: [u8; 32],
    limit: u32,
    told: Told,
}

/// Whether whoever is limited learns of it. That two names are one account
/// must not show, so the account's own limit looks like a wrong password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Openly,
    Silently,
}

enum Counted {
    Allowed,
    Limited { wait: Duration, told: Told },
}

/// The counters of one guess, the network's first: who has used that up uses
/// up nobody's account. A device that has signed this person in before has a
/// counter of its own, so strangers cannot lock anybody out.
///
/// The names are MACs: people type passwords into the field for names.
fn counters(cx: &Cx, received: &Received, typed: &str, account: &str) -> Vec<Counter> {
    let counter = |label: &str, parts: &[&[u8]], limit, told| Counter {
        name: cx.keys.form_mac(label, parts),
        limit,
        told,
    };
    let (account, each) = (account.as_bytes(), GUESSES_PER_ACCOUNT);
    let known = received
        .cookie(&device_cookie(cx))
        .filter(|text| is_device_of(cx, text, account));
    if let Some(device) = known {
        let parts = [account, device.as_bytes()];
        return vec![counter("guess-device", &parts, each, Told::Openly)];
    }
    let network = network(cx.address).to_string();
    let network = [network.as_bytes()];
    vec![
        counter("guess-network", &network, GUESSES_PER_NETWORK, Told::Openly),
        counter("guess-name", &[typed.as_bytes()], each, Told::Openly),
        counter("guess-account", &[account], each, Told::Silently),
    ]
}

/// Counts a guess under each counter, up to the first that is used up.
async fn count(cx: &Cx, counters: &[Counter]) -> Result<Counted, Failure> {
    for counter in counters {
        let act = CountAttempt {
            name: counter.name,
            window_seconds: WINDOW_SECONDS,
            limit: counter.limit,
            now: cx.now,
        };
        if let Attempt::Limited { until } = cx.store.act(act).await? {
            let (wait, told) = (until.since(cx.now), counter.told);
            return Ok(Counted::Limited { wait, told });
        }
    }
    Ok(Counted::Allowed)
}

fn device_cookie(cx: &Cx) -> String {
    format!("{}device", cx.settings.cookie_prefix)
}

/// The device's mark: half of it random, half a MAC over that and the account.
fn is_device_of(cx: &Cx, text: &str, account: &[u8]) -> bool {
    let Some(bytes) = read_fixed::<36>(Kind::Transaction, text) else {
        return false;
    };
    let expected = Secret::new(cx.keys.form_mac("device", &[&bytes[..16], account])[..16].to_vec());
    expected.matches(&bytes[16..32])
}

fn device_mark(cx: &Cx, account: &str) -> String {
    let salt: [u8; 16] = symbolon_token::random(cx.entropy());
    let mac = cx.keys.form_mac("device", &[&salt, account.as_bytes()]);
    write_fixed(Kind::Transaction, &[&salt[..], &mac[..16]].concat())
}

/// A session, and the step that the sign-in was for.
async fn go_on(
    cx: &Cx,
    received: &Received,
    shown: &Shown<'_>,
    person: Person,
) -> Result<Response, Failure> {
    let session::SignedIn { session, cookie } = session::sign_in(cx, received, person).await?;
    let device = device_mark(cx, &session.person.id.to_string());
    let destination = Destination::of(cx, shown.transaction).await?;
    // The sign-in that was asked for has just happened.
    let transaction = Transaction {
        ask_sign_in: false,
        ..shown.transaction.clone()
    };
    let next = if !transaction.is_for(session.person.id) {
        let code = symbolon_protocol::ErrorCode::LoginRequired;
        Err(Refusal::new(code, "another person signed in than was asked for").into())
    } else {
        proceed(cx, shown.browser, &transaction, Some(session), false).await
    };
    let mut response = match next {
        Ok(response) => response,
        Err(Failure::Refused(refusal)) => destination.refuse(cx, &refusal)?,
        Err(broken) => return Err(broken),
    };
    response.headers_mut().append(SET_COOKIE, cookie);
    let device = session::lasting_cookie(cx, &device_cookie(cx), &device)?;
    response.headers_mut().append(SET_COOKIE, device);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        for typed in ["alice", "ALICE", " Alice ", "aLiCe\u{20}"] {
            assert_eq!(canonical_name(typed).as_deref(), Some("alice"));
        }
        for bad in ["", "  ", "a\nb", "a\u{1b}[0m", &"a".repeat(257)] {
            assert_eq!(canonical_name(bad), None);
        }
    }
}
