//! Consent: who gets what, where, for how long; and the person's answer.
//!
//! The form says yes or no and which optional scopes are ticked. What was
//! asked for stands in the sealed transaction, so a form can only take away.
//!
//! Spec: RFC 6749 §4.1.1
//! Spec: OpenID Connect Core 1.0 §3.1.2.4

mod phrase;
pub(super) mod shown;

use std::collections::BTreeSet;

use axum::response::Response;
use symbolon_protocol::{Agreement, Client};
use symbolon_store::Membership;

use super::authorize::answer::Destination;
use super::authorize::asked::{Ask, asked, box_name, choice};
use super::authorize::consented::{self, Agreed};
use super::authorize::next;
use crate::authn::session::{self, LiveSession};
use crate::authn::transaction::{Browser, Transaction};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::pages::ScopeChoice;
use crate::received::Received;

use self::shown::page;

/// What the CSRF token of this form is about.
const PURPOSE: &str = "csrf-consent";
/// How many boxes of one form are read.
const MAX_BOXES: usize = 4096;

/// Answers `GET /consent`.
pub(crate) async fn get(cx: Cx, received: Received) -> Result<Response, Failure> {
    let query = received.query()?;
    let browser = Browser::of(&cx, &received);
    let sealed = query.one("transaction");
    let transaction = Transaction::open(&cx, &browser, sealed)?;
    let session = session::current(&cx, &received).await?;
    let Some(session) = session.filter(|session| next::is_enough(&transaction, session)) else {
        return next::proceed(&cx, &browser, &transaction, None, false).await;
    };
    let destination = Destination::of(&cx, &transaction).await?;
    ask(&cx, &destination, &browser, (&transaction, &session)).await
}

/// The page that asks; or, where the person is no member of the organization
/// that is wanted, the answer that says so to the client.
async fn ask(
    cx: &Cx,
    destination: &Destination,
    browser: &Browser,
    (transaction, session): (&Transaction, &LiveSession),
) -> Result<Response, Failure> {
    let organization = transaction.organization.as_ref();
    match next::membership(cx, organization, session).await {
        Ok(membership) => {
            let asked = Asked {
                transaction,
                session,
                membership,
            };
            page(cx, destination, browser, &asked)
        }
        Err(Failure::Refused(refusal)) => destination.refuse(cx, &refusal),
        Err(broken) => Err(broken),
    }
}

/// What a person is asked, and who they are.
struct Asked<'a> {
    transaction: &'a Transaction,
    session: &'a LiveSession,
    membership: Option<Membership>,
}

/// Answers `POST /consent`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let ticked = ticked(&received);
    let form = decision(&received)?;
    let browser = Browser::of(&cx, &received);
    let sealed = form.transaction.as_deref().unwrap_or_default();
    browser.check_csrf(&cx, PURPOSE, sealed, form.csrf.as_deref())?;
    let transaction = Transaction::open(&cx, &browser, form.transaction.as_deref())?;
    let session = session::current(&cx, &received).await?;
    let Some(session) = session.filter(|session| next::is_enough(&transaction, session)) else {
        return next::proceed(&cx, &browser, &transaction, None, false).await;
    };
    let destination = Destination::of(&cx, &transaction).await?;
    // Somebody else may have signed in since, in another tab, or what is asked
    // for may have become more: they are asked, whatever was said before.
    let whole = asked(&cx, Ask::of(&destination.client.client, &transaction));
    if !transaction.was_shown(session.person.id, &whole) {
        return ask(&cx, &destination, &browser, (&transaction, &session)).await;
    }
    let answered = if form.allow {
        let agreed = agreed(&cx, &destination.client.client, &whole, &ticked);
        allow(&cx, &destination, &transaction, &session, agreed).await
    } else {
        Err(Refusal::access_denied("the person said no").into())
    };
    match answered {
        Err(Failure::Refused(refusal)) => destination.refuse(&cx, &refusal),
        answered => answered,
    }
}

pub(super) struct Decision {
    pub(super) transaction: Option<String>,
    pub(super) csrf: Option<String>,
    pub(super) allow: bool,
}

/// The form without its ticked boxes, which are the one name that repeats.
pub(super) fn decision(received: &Received) -> Result<Decision, Refusal> {
    received.check_form()?;
    Ok(Decision {
        transaction: one(received, "transaction"),
        csrf: one(received, "csrf"),
        allow: one(received, "decision").as_deref() == Some("allow"),
    })
}

/// The one value of a name in a form whose boxes repeat another.
pub(super) fn one(received: &Received, name: &str) -> Option<String> {
    let mut all = form_urlencoded::parse(&received.body).filter(|(own, _)| own == name);
    let first = all.next().map(|(_, value)| value.into_owned());
    if all.next().is_some() { None } else { first }
}

pub(super) fn ticked(received: &Received) -> BTreeSet<String> {
    let pairs = form_urlencoded::parse(&received.body).take(MAX_BOXES);
    pairs
        .filter(|(name, _)| name == "scope")
        .map(|(_, value)| value.into_owned())
        .collect()
}

/// What is left of what was asked for: all that needs no tick, and what was
/// ticked.
pub(super) fn agreed(
    cx: &Cx,
    client: &Client,
    whole: &Agreement,
    ticked: &BTreeSet<String>,
) -> Agreement {
    let agreed = whole.filtered(|place, scope| {
        choice(cx, client, place, scope) == ScopeChoice::Needed
            || ticked.contains(&box_name(whole, place, scope))
    });
    agreed.after(whole, &agreed)
}

async fn allow(
    cx: &Cx,
    destination: &Destination,
    transaction: &Transaction,
    session: &LiveSession,
    agreement: Agreement,
) -> Result<Response, Failure> {
    let client = &destination.client.client;
    let organization = transaction.organization.as_ref();
    let membership = next::membership(cx, organization, session).await?;
    let grant = consented::standing(cx, session.person.id, client, organization).await?;
    let agreed = Agreed {
        agreement,
        membership,
        grant,
    };
    consented::send_code(cx, destination, transaction, session, agreed).await
}
