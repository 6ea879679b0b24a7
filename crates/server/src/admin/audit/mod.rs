//! The audit trail: what was done, by whom, to whom; by time with filters, or
//! in the order of its chain.

mod chain;

use std::fmt;
use std::str::FromStr;

use http::StatusCode;
use serde_json::{Value, json};
use symbolon_protocol::{Parameters, Timestamp};
use symbolon_store::{AuditEntry, AuditFilter, AuditPlace, ListAudit};

use crate::cx::Cx;
use crate::respond;

use super::call::Call;
use super::failed::{Outcome, Refused};

pub(super) use self::chain::chain;

/// How long what is filtered by may be, in bytes.
const MAX_FILTER_BYTES: usize = 512;

/// Answers a page of the trail. A filter that few rows pass is answered in parts:
/// a page may be short, or empty, although `next` is there.
pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<Place>()?;
    let filter = filter(&call.query()?)?;
    let after = page.after.as_ref().map(|place| place.0);
    let found = cx
        .store
        .read(ListAudit {
            after,
            limit: page.limit,
            filter,
        })
        .await?;
    let mut body = json!({ "items": found.entries.iter().map(shown).collect::<Vec<_>>() });
    if let Some(next) = found.next {
        body["next"] = Place(next).to_string().into();
        body["reached"] = next.at.to_string().into();
    }
    Ok(respond::json(StatusCode::OK, &body))
}

fn filter(query: &Parameters) -> Result<AuditFilter, Refused> {
    let text = |name: &str| match query.one(name) {
        Some(text) if text.len() > MAX_FILTER_BYTES => {
            Err(Refused::member(name, "is longer than anything has"))
        }
        text => Ok(text.map(str::to_owned)),
    };
    let time = |name: &str| {
        let read = query.one(name).map(str::parse::<Timestamp>).transpose();
        read.map_err(|_| Refused::member(name, "is an instant as in `2026-12-01T18:00:00Z`"))
    };
    Ok(AuditFilter {
        action: text("action")?,
        actor: text("actor")?,
        subject: text("subject")?,
        client: text("client")?,
        request: text("request")?,
        since: time("since")?,
        until: time("until")?,
    })
}

fn shown(entry: &AuditEntry) -> Value {
    json!({
        "place": Place(entry.place).to_string(),
        "link": entry.link,
        "at": entry.place.at.to_string(),
        "action": entry.action,
        "actor": entry.actor,
        "subject": entry.subject,
        "client": entry.client,
        "detail": entry.detail,
        "request": entry.request,
    })
}

/// Where an entry stands, as a list answers it for `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(AuditPlace);

/// Text that is no place.
#[derive(Debug)]
struct InvalidPlace;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.0.at.millis(),
            self.0.node,
            self.0.counter
        )
    }
}

impl FromStr for Place {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        let mut numbers = text.splitn(3, '.').map(|part| part.parse::<i64>().ok());
        let mut next = || numbers.next().flatten().ok_or(InvalidPlace);
        let (at, node, counter) = (next()?, next()?, next()?);
        Ok(Self(AuditPlace {
            at: Timestamp::from_millis(at),
            node,
            counter,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_as_it_was_written() {
        let place = Place(AuditPlace {
            at: Timestamp::from_millis(5),
            node: -7,
            counter: 9,
        });
        assert_eq!(place.to_string(), "5.-7.9");
        assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        for bad in ["", "5", "5.7", "5.7.x", "a.b.c", "5.7.9.1"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
