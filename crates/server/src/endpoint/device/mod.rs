//! The pages on which a person types the code of a device, and decides.
//!
//! 1. Sign-in first: only who is signed in can try a code.
//! 2. The code. One in the address is filled in and nothing more.
//! 3. What waits is shown: which client, from where, since when, for what.
//! 4. Yes or no. The form is this browser's and this person's, and about what
//!    stood on the page; one update decides.
//!
//! Every step after the first stands in a sealed visit of this browser. A code
//! that is wrong, used or over is one answer.
//!
//! Spec: RFC 8628 §3.3, §3.3.1, §5.1, §5.4
//! Spec: RFC 9700 §4.7, §4.12

mod decide;
mod guess;
pub(super) mod shown;
pub(crate) mod visit;

use std::sync::Arc;

use axum::response::Response;
use http::header::SET_COOKIE;
use symbolon_protocol::{GrantType, UserCode};
use symbolon_store::{
    DeviceDecision, FindByUserCode, FindDeviceAuthorization, StoredClient, WaitingDevice,
};

use self::visit::{Question, Step, Visit};
use super::consent;
use crate::authn::session::{self, LiveSession};
use crate::authn::transaction::Browser;
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::device_request::{DeviceRequest, place_of};
use crate::pages::CodeFailure;
use crate::received::Received;
use crate::respond;

/// What the CSRF tokens of these forms are about.
const PURPOSE: &str = "csrf-device";

/// A device that waits, and whose it is.
struct Waiting {
    device: WaitingDevice,
    request: DeviceRequest,
    client: Arc<StoredClient>,
}

/// Who is here, and in which browser.
struct Visitor<'a> {
    browser: &'a Browser,
    session: &'a LiveSession,
}

/// Answers `GET /device`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let browser = Browser::of(&cx, &received);
    let visit = query
        .one("transaction")
        .map(|sealed| Visit::open(&cx, &browser, sealed))
        .transpose()?;
    let typed = match &visit {
        Some(Visit {
            device: Step::Question(question),
            ..
        }) => Some(question.typed.clone()),
        _ => query.one("user_code").map(str::to_owned),
    };
    let typed = typed.as_deref();
    let session = session::current(&cx, &received).await?;
    let response = match &session {
        None => sign_in(&cx, &browser, typed),
        Some(session) => {
            let visitor = Visitor {
                browser: &browser,
                session,
            };
            go_on(&cx, &visitor, visit, typed).await
        }
    };
    let mut response = response?;
    if let Some(cookie) = browser.cookie(&cx)? {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn go_on(
    cx: &Cx,
    visitor: &Visitor<'_>,
    visit: Option<Visit>,
    typed: Option<&str>,
) -> Result<Response, Failure> {
    match visit.map(|visit| visit.device) {
        Some(Step::Over { allowed, client }) => Ok(shown::over(cx, visitor, allowed, client)),
        Some(Step::Question(question)) if is_of(&question, visitor.session) => {
            match find_again(cx, &question).await? {
                Some(waiting) => shown::question(cx, visitor, &waiting, question).await,
                None => Ok(shown::enter(cx, visitor, None, Some(CodeFailure::Unknown))),
            }
        }
        _ => Ok(shown::enter(cx, visitor, typed, None)),
    }
}

/// Answers `POST /device`: a code, or a decision.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = consent::decision(&received)?;
    let browser = Browser::of(&cx, &received);
    let sealed = form.transaction.as_deref().unwrap_or_default();
    browser.check_csrf(&cx, PURPOSE, sealed, form.csrf.as_deref())?;
    let visit = Visit::open(&cx, &browser, sealed)?;
    let typed = consent::one(&received, "user_code");
    let Some(session) = session::current(&cx, &received).await? else {
        return sign_in(&cx, &browser, typed.as_deref());
    };
    let visitor = Visitor {
        browser: &browser,
        session: &session,
    };
    match visit.device {
        Step::Enter { person } if person == session.person.id => {
            enter(&cx, &visitor, typed.as_deref().unwrap_or_default()).await
        }
        Step::Question(question) if is_of(&question, &session) => {
            let Some(waiting) = find_again(&cx, &question).await? else {
                return Ok(shown::enter(
                    &cx,
                    &visitor,
                    None,
                    Some(CodeFailure::Unknown),
                ));
            };
            let ticked = consent::ticked(&received);
            decide::decide(&cx, &visitor, &waiting, (question, form.allow, ticked)).await
        }
        // Somebody else has signed in since: they begin anew.
        _ => respond::see_other(&visit::after_sign_in(&cx, None)),
    }
}

/// Sends the person to sign in, and back here.
fn sign_in(cx: &Cx, browser: &Browser, typed: Option<&str>) -> Result<Response, Failure> {
    respond::see_other(&sign_in_address(cx, browser, typed))
}

fn sign_in_address(cx: &Cx, browser: &Browser, typed: Option<&str>) -> String {
    let typed = typed.and_then(|typed| typed.parse::<UserCode>().ok());
    let step = Step::SignIn {
        typed: typed.map(|code| code.to_string()),
    };
    let sealed = Visit::seal(cx, browser, step);
    format!(
        "{}?transaction={sealed}",
        cx.settings.issuer.endpoint("/login")
    )
}

fn is_of(question: &Question, session: &LiveSession) -> bool {
    question.person == session.person.id
}

/// Takes a code that was typed, and goes on to what it stands for.
async fn enter(cx: &Cx, visitor: &Visitor<'_>, typed: &str) -> Result<Response, Failure> {
    let Some(counted) = guess::count(cx, visitor.session).await? else {
        return Ok(shown::enter(
            cx,
            visitor,
            None,
            Some(CodeFailure::Throttled),
        ));
    };
    let code: Option<UserCode> = typed.parse().ok();
    let found = match &code {
        Some(code) => find(cx, code).await?,
        None => None,
    };
    let (Some(code), Some(waiting)) = (code, found) else {
        tracing::info!(request = %cx.request, "no device waits under the code that was typed");
        return Ok(shown::enter(cx, visitor, None, Some(CodeFailure::Unknown)));
    };
    counted.forgive(cx).await?;
    let question = Question {
        id: waiting.device.id,
        typed: code.to_string(),
        person: visitor.session.person.id,
        shown: None,
    };
    let sealed = Visit::seal(cx, visitor.browser, Step::Question(question));
    respond::see_other(&visit::address(cx, "transaction", &sealed))
}

async fn find(cx: &Cx, code: &UserCode) -> Result<Option<Waiting>, Failure> {
    let (slot, user_code) = place_of(cx, code);
    let act = FindByUserCode {
        slot,
        user_code,
        now: cx.now,
    };
    match cx.store.read(act).await? {
        Some(device) => known(cx, device).await,
        None => Ok(None),
    }
}

/// What was shown, as long as it still waits.
async fn find_again(cx: &Cx, question: &Question) -> Result<Option<Waiting>, Failure> {
    let id = question.id;
    let found = cx.store.read(FindDeviceAuthorization { id }).await?;
    let waits = |device: &WaitingDevice| {
        device.decided == DeviceDecision::Waiting && device.expires > cx.now
    };
    match found.filter(waits) {
        Some(device) => known(cx, device).await,
        None => Ok(None),
    }
}

/// What waits with its client, as long as that may wait.
async fn known(cx: &Cx, device: WaitingDevice) -> Result<Option<Waiting>, Failure> {
    let request = DeviceRequest::decode(&device.request)?;
    let client = cx.find_client(&request.client).await?;
    let client = client.filter(|own| own.enabled && own.client.may_use(GrantType::DeviceCode));
    Ok(client.map(|client| Waiting {
        device,
        request,
        client,
    }))
}
