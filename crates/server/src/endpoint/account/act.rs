//! What the buttons do: each one act of the store, with its audit record in the
//! same transaction.
//!
//! Spec: RFC 7009 §2

use axum::response::Response;
use http::header::SET_COOKIE;
use serde_json::json;
use symbolon_store::{
    AuditEvent, EndOtherSessions, EndSession, FindGrantById, FindSession, TakeAllBack,
    WithdrawGrant,
};
use symbolon_token::{Grant, Id, Session};

use super::visit::Done;
use super::{Visitor, done};
use crate::authn::session;
use crate::cx::Cx;
use crate::departure;
use crate::failure::{Failure, Refusal};
use crate::pages::{AccountEndedPage, Page, SignedOutPage};

/// What this person did to their own account.
pub(super) fn event(cx: &Cx, visitor: &Visitor<'_>, action: &'static str) -> AuditEvent {
    let person = visitor.session.person.id.to_string();
    let mut audit = AuditEvent::new(action, person.clone());
    audit.subject = Some(person);
    audit.request = cx.request.to_string();
    audit
}

/// What somebody else has, of whatever organization, is answered as what there
/// is not.
fn nothing() -> Refusal {
    Refusal::invalid_request("there is no such thing in this account").with_status(404)
}

/// Takes the access of an application away.
pub(super) async fn withdraw(
    cx: &Cx,
    visitor: &Visitor<'_>,
    id: Id<Grant>,
) -> Result<Response, Failure> {
    let found = cx.store.read(FindGrantById { id }).await?;
    let own = found.filter(|grant| grant.person == visitor.session.person.id);
    let grant = own.ok_or_else(nothing)?;
    let client = cx.known_client(&grant.client).await?;
    let name = client.map_or_else(|| grant.client.to_string(), |own| own.client.name.clone());
    let mut audit = event(cx, visitor, "grant.withdraw");
    audit.client = Some(grant.client.to_string());
    audit.detail = json!({ "grant": id });
    // One that was withdrawn before stays so.
    cx.store
        .act(WithdrawGrant {
            id,
            now: cx.now,
            horizon: cx.token_horizon(cx.now),
            audit,
        })
        .await?;
    departure::follow(cx).await;
    done(cx, visitor.browser, Done::Withdrawn { client: name })
}

/// Ends one session: another one, or that of this browser.
pub(super) async fn sign_out(
    cx: &Cx,
    visitor: &Visitor<'_>,
    id: Id<Session>,
) -> Result<Response, Failure> {
    let found = cx.store.read(FindSession { id }).await?;
    let is_own = found.is_some_and(|session| session.person == visitor.session.person.id);
    if !is_own {
        return Err(nothing().into());
    }
    let mut audit = event(cx, visitor, "session.end");
    audit.detail = json!({ "session": id });
    cx.store
        .act(EndSession {
            id,
            now: cx.now,
            horizon: cx.token_horizon(cx.now),
            audit,
        })
        .await?;
    departure::follow(cx).await;
    if id != visitor.session.session.id {
        return done(cx, visitor.browser, Done::SignedOut);
    }
    let page = SignedOutPage {
        site: cx.settings.site.clone(),
        next: None,
    };
    forgetting(cx, page.response())
}

/// Ends all sessions but this one.
pub(super) async fn sign_out_others(cx: &Cx, visitor: &Visitor<'_>) -> Result<Response, Failure> {
    let keep = visitor.session.session.id;
    let mut audit = event(cx, visitor, "session.end_others");
    audit.detail = json!({ "kept": keep });
    let act = EndOtherSessions {
        person: visitor.session.person.id,
        keep,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
        audit,
    };
    let mut count = 0;
    loop {
        let ended = cx.store.act(act.clone()).await?;
        count += ended;
        if ended == 0 {
            break;
        }
    }
    departure::follow(cx).await;
    done(cx, visitor.browser, Done::Others { count })
}

/// Takes everything back, here too.
pub(super) async fn end_everything(cx: &Cx, visitor: &Visitor<'_>) -> Result<Response, Failure> {
    let act = TakeAllBack {
        id: visitor.session.person.id,
        audit: event(cx, visitor, "user.take_all_back"),
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
    };
    cx.store.act(act).await?;
    departure::follow(cx).await;
    let page = AccountEndedPage {
        site: cx.settings.site.clone(),
    };
    forgetting(cx, page.response())
}

/// The session of this browser is over.
fn forgetting(cx: &Cx, mut response: Response) -> Result<Response, Failure> {
    let cookie = session::forget(cx)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}
