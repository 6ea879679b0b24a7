//! Sign-in by user name or e-mail address and password.
//!
//! 1. The form must be one that this browser was shown.
//! 2. Whoever is known to be limited goes no further. A place in front of the
//!    hash; where there is none, nothing is counted.
//! 3. The guess is counted before the password is looked at.
//! 4. The hash: the same work whether the name exists or not.
//! 5. A new session, unless the password is another one by now or all of the
//!    person was taken back, and on to what the sign-in was for.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3
//! Spec: RFC 9700 §4.12

use axum::response::Response;
use http::header::SET_COOKIE;
use symbolon_protocol::Parameters;
use symbolon_store::{FindWhoSignsIn, Person, RehashPassword};
use symbolon_token::{Position, Secret};

use super::account::visit::{self as account, Wish};
use super::authorize::answer::Destination;
use super::authorize::next::proceed;
use super::device::visit::{Step, Visit, after_sign_in};
use crate::authn::guess::{self, Counted, Guess, Told};
use crate::authn::password::is_strong;
use crate::authn::session::LiveSession;
use crate::authn::transaction::{Browser, Transaction};
use crate::authn::{device, session};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::limit::network;
use crate::pages::{Client, FormAction, LoginFailure, LoginPage, Page};
use crate::received::Received;
use crate::respond;

/// What the CSRF token of this form is about.
const PURPOSE: &str = "csrf-login";
/// How long a name may be, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Answers `GET /login`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let browser = Browser::of(&cx, &received);
    let sealed = query.one("transaction");
    let purpose = Purpose::open(&cx, &browser, sealed)?;
    let shown = Shown {
        sealed: sealed.unwrap_or_default(),
        purpose: &purpose,
        browser: &browser,
    };
    let username = match &purpose {
        Purpose::Application(transaction) => transaction.login_hint.clone(),
        Purpose::Device { .. } | Purpose::Account { .. } => None,
    };
    shown.page(&cx, username.unwrap_or_default(), None).await
}

/// Answers `POST /login`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let browser = Browser::of(&cx, &received);
    let sealed = form.one("transaction");
    browser.check_csrf(&cx, PURPOSE, sealed.unwrap_or_default(), form.one("csrf"))?;
    let purpose = Purpose::open(&cx, &browser, sealed)?;
    let sealed = sealed.unwrap_or_default();
    let shown = Shown {
        sealed,
        purpose: &purpose,
        browser: &browser,
    };
    let typed = form.one("username").unwrap_or_default().to_owned();
    match prove(&cx, &received, &form).await? {
        Proved::Person(person, seen) => {
            match session::sign_in(&cx, &received, *person, seen).await? {
                Some(signed_in) => go_on(&cx, &received, &shown, signed_in).await,
                None => shown.page(&cx, typed, Some(LoginFailure::Overtaken)).await,
            }
        }
        Proved::Not(failure) => shown.page(&cx, typed, Some(failure)).await,
    }
}

/// What somebody signs in for.
enum Purpose {
    /// An application asked for it.
    Application(Box<Transaction>),
    /// A device waits, or a code is to be typed.
    Device { typed: Option<String> },
    /// Somebody wants to see their own account.
    Account { wish: Option<Wish> },
}

impl Purpose {
    fn open(cx: &Cx, browser: &Browser, sealed: Option<&str>) -> Result<Self, Refusal> {
        let visit = sealed.and_then(|sealed| Visit::find(cx, browser, sealed));
        if let Some(Step::SignIn { typed }) = visit.map(|visit| visit.device) {
            return Ok(Self::Device { typed });
        }
        let step = sealed.and_then(|sealed| account::Visit::find(cx, browser, sealed));
        if let Some(account::Step::SignIn(wish)) = step {
            return Ok(Self::Account { wish });
        }
        let transaction = Transaction::open(cx, browser, sealed)?;
        Ok(Self::Application(Box::new(transaction)))
    }
}

struct Shown<'a> {
    sealed: &'a str,
    purpose: &'a Purpose,
    browser: &'a Browser,
}

impl Shown<'_> {
    async fn page(
        &self,
        cx: &Cx,
        username: String,
        failure: Option<LoginFailure>,
    ) -> Result<Response, Failure> {
        let (form_action, client) = match self.purpose {
            Purpose::Device { .. } | Purpose::Account { .. } => (FormAction::own(), None),
            Purpose::Application(transaction) => {
                let destination = Destination::of(cx, transaction).await?;
                let url = destination.url()?;
                let client = Client::new(&destination.client.client.name, &url);
                (FormAction::own().reaching(&url), Some(client))
            }
        };
        let page = LoginPage {
            site: cx.settings.site.clone(),
            ties: Transaction::ties(self.sealed, cx, self.browser, PURPOSE),
            form_action,
            client,
            username,
            failure,
            request_id: cx.request.to_string(),
        };
        Ok(page.response())
    }
}

/// What came of a name and a password.
pub(crate) enum Proved {
    /// Who it is, and where the feed stood when their password was read: what is
    /// taken back of them later comes after this proof.
    Person(Box<Person>, Position),
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

/// Asks who is there: the guess is counted, the password looked at, and a
/// wrong name takes as long as a wrong password.
pub(crate) async fn prove(
    cx: &Cx,
    received: &Received,
    form: &Parameters,
) -> Result<Proved, Failure> {
    let (Some(name), Some(password)) = (
        form.one("username").and_then(canonical_name),
        form.one("password"),
    ) else {
        return Ok(Proved::Not(LoginFailure::Mismatch));
    };
    prove_password(cx, received, &name, Secret::from(password)).await
}

/// The same of a name in its one spelling.
pub(crate) async fn prove_password(
    cx: &Cx,
    received: &Received,
    name: &str,
    password: Secret,
) -> Result<Proved, Failure> {
    let read = FindWhoSignsIn {
        name: name.to_owned(),
    };
    let (found, seen) = cx.store.read(read).await?.unzip();
    let mut guess = Guess::new(cx, received, name, found.as_ref());
    if let Some(wait) = guess.is_known_to_be_limited(cx) {
        return Ok(Proved::Not(LoginFailure::Throttled { wait }));
    }
    // Whoever is turned away here has made no guess, and leaves no row behind.
    let Ok(place) = cx.passwords.place(cx.address) else {
        return Ok(Proved::Not(LoginFailure::Busy));
    };
    // Who may not come in has no password here: a right one looks wrong.
    let person = found.filter(|person| person.enabled);
    let phc = match guess.count(cx).await? {
        Counted::Limited {
            wait,
            told: Told::Openly,
        } => return Ok(Proved::Not(LoginFailure::Throttled { wait })),
        Counted::Limited {
            told: Told::Silently,
            ..
        } => None,
        Counted::Allowed => person.as_ref().and_then(|person| person.password.clone()),
    };
    let again = Secret::from(password.expose_str());
    let good = cx.passwords.admits(place, password, phc).await;
    if !matches!(good, Ok(Ok(false))) {
        // It was right, or it was turned away before anybody looked at it.
        guess.forgive(cx).await?;
    }
    let Ok(good) = good? else {
        return Ok(Proved::Not(LoginFailure::Busy));
    };
    match person.filter(|_| good) {
        Some(person) => let_in(cx, (person, seen.unwrap_or_default()), again).await,
        None => {
            tracing::info!(request = %cx.request, network = %network(cx.address), "sign-in failed");
            Ok(Proved::Not(LoginFailure::Mismatch))
        }
    }
}

async fn let_in(
    cx: &Cx,
    (person, seen): (Person, Position),
    password: Secret,
) -> Result<Proved, Failure> {
    match guess::count_sign_in(cx, person.id).await? {
        Some(wait) => Ok(Proved::Not(LoginFailure::Throttled { wait })),
        None => {
            let person = strengthen(cx, person, password).await;
            Ok(Proved::Person(Box::new(person), seen))
        }
    }
}

/// Hashes a password that was just right anew, where its hash is weaker than
/// one of today. Sign-in never fails by it: where there is no room now, the next
/// one does it. A hash that the configuration enforces stays, or every start
/// would set it back and sign the person out.
async fn strengthen(cx: &Cx, person: Person, password: Secret) -> Person {
    let old = person.password.as_deref().filter(|phc| !is_strong(phc));
    let is_pinned =
        || canonical_name(&person.username).is_some_and(|name| cx.settings.pinned.contains(&name));
    let Some(old) = old.filter(|_| !is_pinned()) else {
        return person;
    };
    let Ok(new) = cx.passwords.hash(password).await else {
        return person;
    };
    let act = RehashPassword {
        id: person.id,
        old: old.to_owned(),
        new: new.clone(),
        now: cx.now,
    };
    if let Err(fault) = cx.store.act(act).await {
        tracing::warn!(request = %cx.request, cause = %fault, "a weak hash stays");
        return person;
    }
    // What is tied to the hash (the mark of a known device) goes with the new one.
    Person {
        password: Some(new),
        ..person
    }
}

/// The step that the sign-in was for.
async fn go_on(
    cx: &Cx,
    received: &Received,
    shown: &Shown<'_>,
    signed_in: session::SignedIn,
) -> Result<Response, Failure> {
    let session::SignedIn { session, cookie } = signed_in;
    let device = device::cookie(cx, received, &session.person)?;
    let mut response = match shown.purpose {
        Purpose::Device { typed } => respond::see_other(&after_sign_in(cx, typed.as_deref()))?,
        Purpose::Account { wish } => {
            respond::see_other(&account::after_sign_in(cx, shown.browser, *wish))?
        }
        Purpose::Application(transaction) => {
            back_to_application(cx, shown.browser, transaction, session).await?
        }
    };
    response.headers_mut().append(SET_COOKIE, cookie);
    if let Some(device) = device {
        response.headers_mut().append(SET_COOKIE, device);
    }
    Ok(response)
}

/// The next step of an application's request.
async fn back_to_application(
    cx: &Cx,
    browser: &Browser,
    transaction: &Transaction,
    session: LiveSession,
) -> Result<Response, Failure> {
    let destination = Destination::of(cx, transaction).await?;
    // The sign-in that was asked for has just happened.
    let transaction = Transaction {
        ask_sign_in: false,
        ..transaction.clone()
    };
    let next = if !transaction.is_for(session.person.id) {
        let code = symbolon_protocol::ErrorCode::LoginRequired;
        Err(Refusal::new(code, "another person signed in than was asked for").into())
    } else {
        proceed(cx, browser, &transaction, Some(session), false).await
    };
    match next {
        Err(Failure::Refused(refusal)) => destination.refuse(cx, &refusal),
        next => next,
    }
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
