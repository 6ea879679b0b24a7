//! The audit trail: what was done, by whom, to whom.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_store::{AuditEntry, AuditPlace, ListAudit};

use crate::cx::Cx;

use super::call::Call;
use super::failed::{Outcome, Refused};

/// How long the name of an action may be, in bytes.
const MAX_ACTION_BYTES: usize = 64;

pub(super) async fn list(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<Place>()?;
    let query = call.query()?;
    let action = query.one("action").map(str::to_owned);
    if action
        .as_ref()
        .is_some_and(|action| action.len() > MAX_ACTION_BYTES)
    {
        return Err(Refused::member("action", "is the name of no action").into());
    }
    let after = page.after.as_ref().map(|place| place.0);
    let found = cx
        .store
        .read(ListAudit {
            after,
            limit: page.limit,
            action,
        })
        .await?;
    page.answer(&found, |entry| Place(entry.place).to_string(), shown)
}

fn shown(entry: &AuditEntry) -> Value {
    json!({
        "place": Place(entry.place).to_string(),
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
