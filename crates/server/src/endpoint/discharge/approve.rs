//! The page on which a person gives or denies a discharge.
//!
//! 1. The request must wait, and its caveat must be ours.
//! 2. The person signs in here where nobody is, or not lately enough.
//! 3. The form must be one that this browser and session were shown.
//! 4. The very person who is asked says yes or no; one update decides.
//!
//! Spec: Macaroons NDSS 2014 §2.2
//! Spec: RFC 9700 §4.7

use std::sync::Arc;

use axum::response::Response;
use http::HeaderValue;
use http::header::SET_COOKIE;
use symbolon_protocol::{Agreement, Client};
use symbolon_store::{AuditEvent, DecideDischarge, Decision, FindDischarge, StoredClient, Waiting};
use symbolon_token::macaroon::{Asked, Permits, open_caveat};
use symbolon_token::{Discharge, Id};

use crate::authn::session::{self, LiveSession};
use crate::authn::transaction::Browser;
use crate::cx::Cx;
use crate::endpoint::consent::shown::resources;
use crate::endpoint::login::{Proved, prove};
use crate::failure::{Failure, Refusal};
use crate::grant::target;
use crate::pages::{
    Account, ApprovePage, ApproveStep, ConsentResource, FormTies, LoginFailure, Page, Requested,
};
use crate::received::Received;

/// What the CSRF token of this form is about.
const PURPOSE: &str = "csrf-approve";

/// What waits for a person.
struct Question {
    id: Id<Discharge>,
    asked: Asked,
    /// Who asks.
    client: Arc<StoredClient>,
    waiting: Waiting,
}

/// Answers `GET /approve`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let question = find(&cx, query.one("request")).await?;
    let session = session::current(&cx, &received).await?;
    let step = next(&cx, &question, session.as_ref());
    show(&cx, &received, &question, session.as_ref(), step).await
}

/// Answers `POST /approve`: a sign-in, or the decision.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let question = find(&cx, form.one("transaction")).await?;
    let session = session::current(&cx, &received).await?;
    let browser = Browser::of(&cx, &received);
    let about = about(&question, session.as_ref());
    browser.check_csrf(&cx, PURPOSE, &about, form.one("csrf"))?;
    if form.one("password").is_some() {
        let signed_in = match prove(&cx, &received, &form).await? {
            Proved::Person(person, seen) => {
                let signed_in = session::sign_in(&cx, &received, *person, seen).await?;
                signed_in.ok_or(LoginFailure::Overtaken)
            }
            Proved::Not(failure) => Err(failure),
        };
        return match signed_in {
            Ok(new) => go_on(&cx, &received, &question, new).await,
            Err(failure) => {
                let username = form.one("username").unwrap_or_default().to_owned();
                let step = sign_in(username, Some(failure));
                show(&cx, &received, &question, session.as_ref(), step).await
            }
        };
    }
    let step = next(&cx, &question, session.as_ref());
    let (Some(session), ApproveStep::Decide { .. }) = (&session, &step) else {
        return show(&cx, &received, &question, session.as_ref(), step).await;
    };
    let decision = match form.one("decision") {
        Some("allow") => Decision::Give,
        Some("deny") => Decision::Deny,
        _ => return Err(Refusal::invalid_request("decision is allow or deny").into()),
    };
    let step = decide(&cx, &question, session, decision).await?;
    show(&cx, &received, &question, Some(session), step).await
}

async fn find(cx: &Cx, request: Option<&str>) -> Result<Question, Failure> {
    let over = || Refusal::invalid_request("nobody waits for this any more");
    let id: Option<Id<Discharge>> = request.and_then(|id| id.parse().ok());
    let id = id.ok_or_else(over)?;
    let found = cx.store.read(FindDischarge { id, now: cx.now }).await?;
    let waiting = found.ok_or_else(over)?;
    let opened = open_caveat(&cx.keys, cx.bound(), &waiting.caveat).map_err(|_| over())?;
    // What a client was given ends with it.
    let client = match client_of(&opened.asked) {
        Some(client) => cx.known_client(client).await?,
        None => None,
    };
    Ok(Question {
        id,
        client: client.ok_or_else(over)?,
        asked: opened.asked,
        waiting,
    })
}

/// What whoever is in the browser can do.
fn next(cx: &Cx, question: &Question, session: Option<&LiveSession>) -> ApproveStep {
    let Some(session) = session else {
        return sign_in(String::new(), None);
    };
    let account = account(session);
    if session.person.id != question.asked.person() {
        return ApproveStep::Elsewhere { account };
    }
    if let Asked::SignedIn { within, .. } = &question.asked
        && session.session.authenticated + *within <= cx.now
    {
        return sign_in(session.person.username.clone(), None);
    }
    ApproveStep::Decide { account }
}

const fn sign_in(username: String, failure: Option<LoginFailure>) -> ApproveStep {
    ApproveStep::SignIn { username, failure }
}

fn account(session: &LiveSession) -> Account {
    let name = session.person.document.get("name");
    let name = name.and_then(|name| name.as_str());
    let login = &session.person.username;
    Account::new(name.unwrap_or(login), login)
}

/// Shows the question again to whoever has just signed in: a password answers
/// who is there, not what they were asked.
async fn go_on(
    cx: &Cx,
    received: &Received,
    question: &Question,
    signed_in: session::SignedIn,
) -> Result<Response, Failure> {
    let session::SignedIn { session, cookie } = signed_in;
    let step = next(cx, question, Some(&session));
    let mut response = show(cx, received, question, Some(&session), step).await?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

async fn decide(
    cx: &Cx,
    question: &Question,
    session: &LiveSession,
    decision: Decision,
) -> Result<ApproveStep, Failure> {
    let person = session.person.id.to_string();
    let action = match decision {
        Decision::Give => "discharge.give",
        Decision::Deny => "discharge.deny",
    };
    let mut audit = AuditEvent::new(action, person.clone());
    audit.subject = Some(person);
    audit.client = client_of(&question.asked).map(ToString::to_string);
    audit.detail = serde_json::json!({ "discharge": question.id, "asked": word(&question.asked) });
    audit.request = cx.request.to_string();
    let act = DecideDischarge {
        id: question.id,
        decision,
        decided: match &question.asked {
            Asked::SignedIn { .. } => session.session.authenticated,
            _ => cx.now,
        },
        audit,
        now: cx.now,
    };
    if !cx.store.act(act).await? {
        return Err(Refusal::invalid_request("nobody waits for this any more").into());
    }
    Ok(match decision {
        Decision::Give => ApproveStep::Given,
        Decision::Deny => ApproveStep::Denied,
    })
}

const fn word(asked: &Asked) -> &'static str {
    match asked {
        Asked::SignedIn { .. } => "sign-in",
        Asked::Member { .. } => "membership",
        Asked::Approved { .. } => "approval",
    }
}

const fn client_of(asked: &Asked) -> Option<&symbolon_protocol::ClientId> {
    match asked {
        Asked::SignedIn { client, .. } | Asked::Approved { client, .. } => Some(client),
        Asked::Member { .. } => None,
    }
}

/// The form is about this request and the session that it showed.
fn about(question: &Question, session: Option<&LiveSession>) -> String {
    let session = session.map(|own| own.session.id.to_string());
    format!("{} {}", question.id, session.unwrap_or_default())
}

/// What is asked, as far as whoever is there may know of it: who asks, for whom
/// and what for is told to the very person who is asked, and to nobody before
/// they have signed in.
fn requested(cx: &Cx, question: &Question, session: Option<&LiveSession>) -> Requested {
    if session.is_none_or(|session| session.person.id != question.asked.person()) {
        return Requested::Hidden;
    }
    match &question.asked {
        Asked::Approved {
            subject,
            purpose,
            permits,
            ..
        } => Requested::Approval {
            subject: subject.clone(),
            purpose: purpose.clone(),
            permits: permits
                .as_ref()
                .map(|permits| permitted(cx, &question.client.client, permits)),
        },
        _ => Requested::Presence,
    }
}

/// What a yes permits, as people read what they agree to. What may be learned
/// of a person is about somebody else than who reads it, so those scopes stand
/// there by name.
fn permitted(cx: &Cx, client: &Client, permits: &Permits) -> Vec<ConsentResource> {
    let personal = permits.scopes.filtered(target::is_of_the_issuer);
    let there = permits.scopes.without(&personal);
    let whole = Agreement {
        places: [(permits.audience.clone(), there)].into(),
        ..Agreement::default()
    };
    let mut shown = resources(cx, client, &whole);
    if !personal.is_empty() {
        shown.push(ConsentResource::about_another(&personal));
    }
    shown
}

async fn show(
    cx: &Cx,
    received: &Received,
    question: &Question,
    session: Option<&LiveSession>,
    step: ApproveStep,
) -> Result<Response, Failure> {
    let browser = Browser::of(cx, received);
    let client = &question.client.client;
    let requested = requested(cx, question, session);
    let page = ApprovePage {
        site: cx.settings.site.clone(),
        ties: FormTies {
            csrf: browser.csrf(cx, PURPOSE, &about(question, session)),
            transaction: question.id.to_string(),
        },
        client: match &*client.name {
            "" => client.id.to_string(),
            name => name.to_owned(),
        },
        place: question.waiting.place.clone(),
        requested,
        step,
    };
    let mut response = page.response();
    let cookie: Option<HeaderValue> = browser.cookie(cx)?;
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
