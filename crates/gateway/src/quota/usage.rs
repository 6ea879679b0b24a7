//! What somebody used, on the admin listener: how each limit stands, and what
//! was spent on each of the last thirty days.
//!
//! Spec: RFC 9110 §9.3.1

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use url::form_urlencoded;

use super::bank;
use super::charge::{Charge, Known, Whose};
use super::count::Standing;
use super::settings::Per;
use super::subject::Subject;
use crate::gateway::Shared;

/// What was used on each day, and how a count stands.
pub(crate) type Used = (Standing, Vec<(i64, u64)>);

/// Why it is not told what somebody used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untold {
    /// The question is none.
    #[error("{0}")]
    Question(&'static str),
    /// Nobody can know now; that is not the same as nothing.
    #[error("those who count cannot be reached")]
    Unknown,
}

impl Untold {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Question(_) => StatusCode::BAD_REQUEST,
            Self::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Answers `?per=client&issuer=…&name=…`; what it cannot read it says.
pub(crate) async fn answer(shared: &Arc<Shared>, query: &str) -> Result<Value, Untold> {
    let (mut per, mut issuer, mut name) = (None, String::new(), None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "per" => per = Per::named(&value),
            "issuer" => issuer = value.into_owned(),
            "name" => name = Some(value.into_owned()),
            _ => return Err(Untold::Question("it takes `per`, `issuer` and `name`")),
        }
    }
    const PER: &str = "`per` is key, client, person, organization, plan or address";
    let per = per.ok_or(Untold::Question(PER))?;
    let name = name.ok_or(Untold::Question("`name` says whose use is asked for"))?;
    let whose = Arc::new(Whose {
        per: per.as_str(),
        issuer,
        name,
    });
    let subject = Subject::named(per, &whose.issuer, &whose.name);
    let plan = shared.plan();
    let mut limits = Vec::new();
    for known in plan
        .book
        .limits()
        .filter(|own| own.limit.per.may_count(per))
    {
        let charge = Charge {
            limit: Arc::clone(known),
            subject,
            whose: Arc::clone(&whose),
            amount: 0,
        };
        let used = shared.bank.used(&charge, bank::now(&shared.edge)).await;
        match used {
            Some(used) if known.limit.per == per || !used.1.is_empty() => {
                limits.push(shown(known, &used));
            }
            Some(_) => {}
            None => return Err(Untold::Unknown),
        }
    }
    limits.sort_by_key(|own| own["limit"].to_string());
    Ok(json!({
        "per": whose.per,
        "issuer": whose.issuer,
        "name": whose.name,
        "limits": limits,
    }))
}

impl Per {
    /// The kind of a word.
    pub fn named(word: &str) -> Option<Self> {
        let all = [
            Self::Key,
            Self::Client,
            Self::Person,
            Self::Organization,
            Self::Plan,
            Self::Address,
        ];
        all.into_iter().find(|own| own.as_str() == word)
    }

    /// Whether a limit per this kind may have a count of another kind: who has
    /// no key, person or organization counts as a client.
    fn may_count(self, other: Self) -> bool {
        self == other
            || other == Self::Client
                && matches!(self, Self::Key | Self::Person | Self::Organization)
    }
}

fn shown(known: &Known, (standing, days): &Used) -> Value {
    let days: Vec<Value> = days
        .iter()
        .map(|(day, used)| {
            let date = Timestamp::from_seconds(day.saturating_mul(86_400)).to_string();
            json!({ "day": date.get(..10), "used": used })
        })
        .collect();
    json!({
        "limit": known.limit.name,
        "most": known.limit.rule.most(),
        "left": standing.left,
        "reset_seconds": standing.reset.map(|own| own.as_secs()),
        "days": days,
    })
}
