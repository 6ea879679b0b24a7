//! The state of this process: as JSON for programs, as a page for whoever
//! opens a one-time link.

use std::time::Duration;

use axum::response::Response;
use http::header::{HeaderValue, SET_COOKIE};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use symbolon_store::{CountRows, Counted, Engine};
use symbolon_token::Digest;

use crate::cx::Cx;
use crate::failure::Broken;
use crate::pages::{
    ErrorPage, FeedState, KeyRow, Page, RowCounts, Site, StatusPage, asset as find_asset,
};
use crate::received::Authorization;
use crate::respond;

use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::keys;
use super::status_link::VISIT_LIFETIME;

/// The cookie of a visit. It opens a read-only page, nothing else. Browsers do
/// not tell ports apart, so its name does.
fn cookie_name(cx: &Cx) -> String {
    format!("sym-admin-{}-status", cx.app.status_links.port())
}

pub(super) async fn get(cx: Cx, _: Call) -> Outcome {
    let counted = cx.store.read(CountRows { now: cx.now }).await?;
    let position = cx.app.feed.position();
    let age = cx.app.feed.age(cx.app.edge.clock.monotonic());
    let loaded = cx.app.keys.load();
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "issuer": cx.settings.issuer.as_str(),
        "store": engine(&cx),
        "uptime_seconds": cx.uptime().as_secs(),
        "feed": {
            "epoch": position.epoch,
            "sequence": position.sequence,
            "records": cx.app.feed.len(),
            "age_milliseconds": u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        },
        "counts": {
            "clients": counted.clients,
            "resources": counted.resources,
            "people": counted.people,
            "sessions": counted.sessions,
            "grants": counted.grants,
        },
        "keys": crate::keys::rows(&loaded, &cx.app.ages())
            .iter()
            .map(keys::shown)
            .collect::<Vec<Value>>(),
    });
    Ok(respond::json(StatusCode::OK, &body))
}

/// The link ends with the token that was shown for it.
pub(super) async fn create_link(cx: Cx, call: Call) -> Outcome {
    let Authorization::Given(token) = call.received.authorization("Bearer") else {
        return Err(Refused::no_token().into());
    };
    let token = Digest::of(token.as_bytes());
    let body = json!({ "url": cx.app.status_link_of(token) });
    Ok(respond::json(StatusCode::CREATED, &body))
}

/// A link is used up by opening it; the browser then visits with a cookie, so
/// that the link in its history opens nothing.
pub(super) async fn page(cx: Cx, call: Call) -> Outcome {
    if call.received.method == Method::HEAD {
        // Opening a link uses it up, so whoever only looks does not open it.
        return Err(Refused::takes_only("GET").into());
    }
    let query = call.query()?;
    if let Some(link) = query.one("link") {
        let Some(visit) = cx.app.status_links.spend(link, cx.now, cx.app.entropy()) else {
            return Ok(refused(&cx));
        };
        let seconds = VISIT_LIFETIME.as_secs();
        let cookie = format!(
            "{}={}; Path=/status; Max-Age={seconds}; HttpOnly; SameSite=Lax",
            cookie_name(&cx),
            visit.expose_str()
        );
        let cookie = HeaderValue::from_str(&cookie)
            .map_err(|_| Broken::Impossible("a cookie that is not a header value"))?;
        let mut response = respond::see_other("/status")?;
        response.headers_mut().insert(SET_COOKIE, cookie);
        return Ok(response);
    }
    let visit = call.received.cookie(&cookie_name(&cx));
    if !visit.is_some_and(|visit| cx.app.status_links.is_visiting(visit, cx.now)) {
        return Ok(refused(&cx));
    }
    Ok(status_page(&cx).await?.response())
}

fn refused(cx: &Cx) -> Response {
    ErrorPage {
        site: site(cx),
        status: StatusCode::FORBIDDEN,
        code: "access_denied".to_owned(),
        description: "This link was used before or is too old. Ask for a new one with: symbolon status --link".to_owned(),
        request_id: cx.request.to_string(),
    }
    .response()
}

async fn status_page(cx: &Cx) -> Result<StatusPage, Failed> {
    let counted = cx.store.read(CountRows { now: cx.now }).await?;
    let loaded = cx.app.keys.load();
    let rows = crate::keys::rows(&loaded, &cx.app.ages());
    let signing = rows
        .iter()
        .filter_map(|row| Some((row, row.purpose.algorithm()?)));
    let keys = signing.map(|(row, algorithm)| KeyRow {
        id: row.kid.clone(),
        alg: algorithm.to_string(),
        state: row.state.as_str().to_owned(),
        age: cx.now.since(row.created),
    });
    let age: Duration = cx.app.feed.age(cx.app.edge.clock.monotonic());
    let sequence = u64::try_from(cx.app.feed.position().sequence).unwrap_or(0);
    Ok(StatusPage {
        site: site(cx),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        issuer: cx.settings.issuer.as_str().to_owned(),
        store_engine: engine(cx).to_owned(),
        uptime: cx.uptime(),
        feed: FeedState { sequence, age },
        counts: row_counts(&counted),
        keys: keys.collect(),
    })
}

fn row_counts(counted: &Counted) -> RowCounts {
    RowCounts {
        clients: counted.clients,
        resources: counted.resources,
        people: counted.people,
        sessions: counted.sessions,
        grants: counted.grants,
    }
}

fn engine(cx: &Cx) -> &'static str {
    match cx.store.engine() {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    }
}

/// The site as this listener serves it: its parts stand at the root.
fn site(cx: &Cx) -> Site {
    Site {
        base: String::new(),
        host: cx.settings.site.host.clone(),
    }
}

pub(super) async fn asset(_: Cx, call: Call) -> Outcome {
    let found = find_asset(call.received.uri.path());
    Ok(found.ok_or_else(|| Refused::not_found("there is nothing at this address"))?)
}
