//! Which server of an upstream gets a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::Server;
use crate::settings::Balance;

/// How many servers one upstream may have.
pub(crate) const MAX_SERVERS: usize = 64;

/// The servers that a request has been offered to, by their place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offered(u64);

impl Offered {
    fn has(self, at: usize) -> bool {
        self.0 & (1 << at) != 0
    }

    pub(super) fn add(&mut self, at: usize) {
        self.0 |= 1 << at;
    }
}

/// Takes them in turn, or by how much they are at.
pub(super) struct Choice {
    balance: Balance,
    next: AtomicUsize,
}

impl Choice {
    pub(super) const fn new(balance: Balance) -> Self {
        Self {
            balance,
            next: AtomicUsize::new(0),
        }
    }

    /// The place of a server that is asked and has not been offered the request.
    pub(super) fn of(&self, servers: &[Arc<Server>], offered: Offered) -> Option<usize> {
        let begin = self.next.fetch_add(1, Ordering::Relaxed) % servers.len().max(1);
        let turn = (begin..servers.len()).chain(0..begin);
        let mut fit = turn.filter(|at| !offered.has(*at) && servers[*at].is_up());
        match self.balance {
            Balance::RoundRobin => fit.next(),
            // Of several that are at as much, the one whose turn it is.
            Balance::LeastRequests => fit.min_by_key(|at| servers[*at].running()),
        }
    }
}
