//! The page on which a signed-in person sees what is theirs and takes it back.
//!
//! 1. Whoever is not signed in signs in, and comes back.
//! 2. `GET` shows the person's own sessions and grants, and no others.
//! 3. `POST` is one button. Its form is this browser's and this session's, and
//!    about one thing; the thing has to be the person's own, or it is answered
//!    as one that there is not.
//! 4. What reaches further than one thing asks for a sign-in of the last ten
//!    minutes. Another password asks for the old one.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3
//! Spec: RFC 9700 §4.7

mod act;
mod button;
mod password;
mod shown;
pub(crate) mod visit;

use std::time::Duration;

use axum::response::Response;
use http::header::SET_COOKIE;

use self::button::Button;
use self::visit::{Step, Visit, Wish};
use crate::authn::session::{self, LiveSession};
use crate::authn::transaction::Browser;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::received::Received;
use crate::respond;

/// How long after a sign-in a wide act asks for no further one.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// Who is here, and in which browser.
struct Visitor<'a> {
    browser: &'a Browser,
    session: &'a LiveSession,
}

impl Visitor<'_> {
    /// Whether the person proved lately that it is them.
    fn is_fresh(&self, cx: &Cx) -> bool {
        cx.now.since(self.session.session.authenticated) <= FRESH
    }
}

/// Answers `GET /account`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let browser = Browser::of(&cx, &received);
    match session::current(&cx, &received).await? {
        None => sign_in(&cx, &browser, None),
        Some(session) => {
            let visitor = Visitor {
                browser: &browser,
                session: &session,
            };
            let sealed = query.one("transaction");
            let step = sealed.and_then(|sealed| Visit::find(&cx, &browser, sealed));
            let page = query.one("page").and_then(|page| page.parse().ok());
            let shown = shown::Shown {
                step,
                page: page.unwrap_or(0),
                failure: None,
            };
            let response = shown::page(&cx, &visitor, shown).await?;
            known(&cx, &browser, response)
        }
    }
}

/// Answers `POST /account`: a button.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let browser = Browser::of(&cx, &received);
    let Some(session) = session::current(&cx, &received).await? else {
        return sign_in(&cx, &browser, None);
    };
    let visitor = Visitor {
        browser: &browser,
        session: &session,
    };
    let ties = (
        form.one("transaction").unwrap_or_default(),
        form.one("csrf"),
    );
    match Button::pressed(&cx, &browser, &session, ties)? {
        Button::Withdraw(grant) => act::withdraw(&cx, &visitor, grant).await,
        Button::SignOut(id) => act::sign_out(&cx, &visitor, id).await,
        Button::Others if !visitor.is_fresh(&cx) => sign_in(&cx, &browser, Some(Wish::Others)),
        Button::Others => act::sign_out_others(&cx, &visitor).await,
        Button::Everything if !visitor.is_fresh(&cx) => {
            sign_in(&cx, &browser, Some(Wish::Everything))
        }
        Button::Everything => act::end_everything(&cx, &visitor).await,
        Button::Password => password::change(&cx, &visitor, &received, &form).await,
    }
}

/// Sends the person to sign in, and back here.
fn sign_in(cx: &Cx, browser: &Browser, wish: Option<Wish>) -> Result<Response, Failure> {
    let response = respond::see_other(&visit::sign_in_address(cx, browser, wish))?;
    known(cx, browser, response)
}

/// An answer that a browser can come back from: what is tied to it says nothing
/// to one without a cookie.
fn known(cx: &Cx, browser: &Browser, mut response: Response) -> Result<Response, Failure> {
    if let Some(cookie) = browser.cookie(cx)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Back to the page, which says what was done.
fn done(cx: &Cx, browser: &Browser, done: visit::Done) -> Result<Response, Failure> {
    respond::see_other(&visit::address(cx, browser, Some(Step::Done(done))))
}
