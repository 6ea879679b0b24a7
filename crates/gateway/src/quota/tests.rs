//! Limits, charges and receipts for the tests beside them.

use std::sync::Arc;

use super::book::Book;
use super::charge::{Charge, Counted, Known, Receipt, Whose};
use super::count::{Now, Standing};
use super::period::Period;
use super::settings::{Counting, Limit, OnError, Per, Quotas, Rule, Spent};
use super::subject::Subject;

/// 2026-01-01T00:00:00Z, and a running clock that has run for a while.
pub(crate) const START: Now = Now {
    steady: 1_000_000_000,
    wall: 1_767_225_600_000,
};

impl Now {
    /// So many milliseconds later.
    pub(crate) fn later(self, milliseconds: u64) -> Self {
        Self {
            steady: self.steady + milliseconds * 1000,
            wall: self.wall + i64::try_from(milliseconds).unwrap(),
        }
    }
}

pub(crate) fn limit(name: &str, rule: Rule) -> Arc<Known> {
    let limit = Limit {
        name: name.to_owned(),
        per: Per::Client,
        rule,
        counting: Counting::Strict,
        on_error: OnError::Refuse,
        upstream_failed: Spent::Stays,
    };
    let quotas = Quotas {
        limits: vec![limit],
        ..Quotas::default()
    };
    let book = Book::new(&quotas).unwrap();
    let named = book.named(&[name.to_owned()]).unwrap();
    Arc::clone(&named[0])
}

pub(crate) fn quota(name: &str, limit: u64) -> Arc<Known> {
    let period = Period::Day;
    self::limit(name, Rule::Quota { limit, period })
}

pub(crate) fn charge(limit: &Arc<Known>, client: &str, amount: u64) -> Charge {
    let issuer = "https://issuer.test";
    Charge {
        limit: Arc::clone(limit),
        subject: Subject::named(Per::Client, issuer, client),
        whose: Arc::new(Whose {
            per: "client",
            issuer: issuer.to_owned(),
            name: client.to_owned(),
        }),
        amount,
    }
}

pub(crate) fn receipt(limit: &Arc<Known>, client: &str, left: u64) -> Receipt {
    Receipt {
        charge: charge(limit, client, 1),
        standing: Standing {
            left,
            reset: None,
            tick: 7,
        },
        counted: Counted::Here,
    }
}
