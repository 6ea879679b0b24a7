//! Sessions: people in browsers.

use http::StatusCode;
use serde_json::{Value, json};
use symbolon_store::{EndSession, FindSession, Session, SessionsOf};
use symbolon_token::Id;

use crate::cx::Cx;
use crate::respond;

use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::{event, follow, users};

type SessionId = Id<symbolon_token::Session>;

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<SessionId>()?;
    let query = call.query()?;
    let user = query
        .one("user")
        .ok_or_else(|| Refused::member("user", "is missing"))?;
    let person = users::find(&cx, user).await?.id;
    // Those that went idle, too: what hangs on one lives until it is ended.
    let all = cx.store.read(SessionsOf { person }).await?;
    let found = page.cut(all, |session| session.id.to_string());
    page.answer(&found, |session| session.id.to_string(), shown)
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let id: SessionId = call.part("id", "session")?;
    let found = cx.store.read(FindSession { id }).await?;
    let found = found.ok_or_else(|| missing(id))?;
    Ok(respond::json(StatusCode::OK, &shown(&found)))
}

pub(super) async fn end(cx: Cx, call: Call) -> Outcome {
    end_one(&cx, call.part("id", "session")?).await?;
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// Ends a session; one that has ended before stays so.
pub(super) async fn end_one(cx: &Cx, id: SessionId) -> Result<(), Failed> {
    let found = cx
        .store
        .read(FindSession { id })
        .await?
        .ok_or_else(|| missing(id))?;
    let mut audit = event(cx, "session.end");
    audit.subject = Some(found.person.to_string());
    audit.detail = json!({ "session": id });
    let act = EndSession {
        id,
        now: cx.now,
        horizon: cx.token_horizon(cx.now),
        audit,
    };
    // One that had ended may have done so a moment ago.
    cx.store.act(act).await?;
    follow(cx).await;
    Ok(())
}

fn missing(id: SessionId) -> Refused {
    Refused::not_found(format!("there is no session `{id}`"))
}

fn shown(session: &Session) -> Value {
    json!({
        "id": session.id,
        "user": session.person,
        "device": session.device,
        "acr": session.acr,
        "amr": session.amr,
        "authenticated": session.authenticated.to_string(),
        "created": session.created.to_string(),
        "seen": session.seen.to_string(),
        "idle_ends": session.idle_ends.to_string(),
        "absolute_ends": session.absolute_ends.to_string(),
        "ended": session.ended.map(|at| at.to_string()),
    })
}
