//! What one process does for a limit on each request, for benches alone.

use std::net::IpAddr;
use std::sync::Arc;

use super::book::Book;
use super::charge::{Charge, Whose};
use super::count::Now;
use super::local::Local;
use super::settings::{Limit, Per, Quotas};
use super::subject::Subject;

/// The counts of one process, asked as each request asks them.
pub struct LimitProbe {
    book: Book,
    names: Vec<String>,
    local: Local,
}

impl LimitProbe {
    /// Counts by these limits.
    pub fn new(limits: Vec<Limit>) -> Option<Self> {
        let names = limits.iter().map(|own| own.name.clone()).collect();
        let quotas = Quotas {
            limits,
            ..Quotas::default()
        };
        Some(Self {
            book: Book::new(&quotas).ok()?,
            names,
            local: Local::default(),
        })
    }

    /// Charges one request of an address, and says whether it may pass. The
    /// times are in microseconds of a running clock and milliseconds since 1970.
    pub fn take(&self, address: IpAddr, steady: u64, wall: i64) -> bool {
        let Ok(limits) = self.book.named(&self.names) else {
            return false;
        };
        let whose = Arc::new(Whose {
            per: Per::Address.as_str(),
            issuer: String::new(),
            name: address.to_string(),
        });
        let charge = |limit| Charge {
            limit,
            subject: Subject::named(Per::Address, "", &whose.name),
            whose: Arc::clone(&whose),
            amount: 1,
        };
        let charges: Vec<Charge> = limits.into_iter().map(charge).collect();
        self.local.take(&charges, Now { steady, wall }).is_ok()
    }
}
