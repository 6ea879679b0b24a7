//! What the load does, what came of it, and what is still to be asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::browser::Request;
use crate::kill::Family;

/// What is asked, by one request.
pub(super) enum Work {
    /// A family is renewed; since when nobody knows whether it was.
    Renew(Family, Option<Instant>),
    /// An assertion is shown, for the first time as far as anybody was told.
    Prove(Assertion, Shown),
    /// An assertion is shown that was taken.
    ProveAgain(Assertion),
    /// A browser that is signed in asks for a code.
    Authorize,
    /// A code is redeemed, for the first time as far as anybody was told.
    Redeem(Code, Shown),
    /// A code is redeemed that was taken; what came of it is dead from then on.
    RedeemAgain(Code, Family),
    /// A client asks for a token.
    Issue,
    /// A token is asked about that nobody took back.
    AskAlive(Token),
    /// It takes the token back.
    TakeBack(Token),
    /// A token is asked about that was taken back; when that was acknowledged.
    AskAbout(Token, Instant),
    /// A family is taken back.
    End(Family),
    /// A family is renewed that has ended, by what the word says.
    RenewEnded(Family, &'static str),
    /// An administrator makes an organization, for the first time as far as
    /// anybody was told.
    Found(String, Shown),
    /// One is asked for that was made.
    FindFounded(String),
    /// It is deleted.
    Dissolve(String, Shown),
    /// One is asked for that was deleted.
    FindDissolved(String),
}

/// Whether something was shown before, without an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Never,
    Maybe,
}

/// A code, and the request that it answers.
pub(super) struct Code {
    pub(super) text: String,
    pub(super) asked: Request,
    /// Before it was issued.
    pub(super) issued: Instant,
}

/// An assertion of a client.
pub(super) struct Assertion {
    pub(super) text: String,
    pub(super) made: Instant,
}

/// An access token.
pub(super) struct Token {
    pub(super) text: String,
    /// Before it was issued.
    pub(super) issued: Instant,
}

/// What is to be done.
#[derive(Default)]
pub(super) struct Book {
    /// What comes next.
    pub(super) waiting: VecDeque<Work>,
    /// What is asked about later.
    pub(super) later: VecDeque<Work>,
    /// Families that nobody renews at the moment.
    pub(super) idle: VecDeque<Family>,
    /// How many families live.
    pub(super) families: usize,
    pub(super) codes: usize,
    pub(super) tokens: usize,
}

/// How many requests came to what.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Those that were answered, but for 503.
    pub(super) answered: AtomicU64,
    /// Of them, what was written and acknowledged.
    pub(super) written: AtomicU64,
    /// Those to which came a 503, or nothing.
    pub(super) unknown: AtomicU64,
    /// Retries that came too late for anything to be said of them.
    pub(super) late: AtomicU64,
    /// Answers of nodes that had not heard yet what was taken back.
    pub(super) behind: AtomicU64,
    /// What was asked about while an answer could still tell.
    pub(super) asked: Asked,
}

/// How often each kind of what was acknowledged was asked about in time.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) alive: AtomicU64,
    pub(super) tokens: AtomicU64,
    pub(super) assertions: AtomicU64,
    pub(super) codes: AtomicU64,
    pub(super) families: AtomicU64,
    pub(super) founded: AtomicU64,
    pub(super) dissolved: AtomicU64,
}

/// From how many acts on each kind has to have been asked about.
const ENOUGH: u64 = 1_000;

impl Asked {
    /// Of a kind that was never asked about nothing was shown. A short run draws
    /// too few acts for each kind to be among those that are asked about in time.
    pub(super) fn check(&self, written: u64) {
        if written < ENOUGH {
            return;
        }
        let all = [
            ("live tokens", &self.alive),
            ("tokens that were taken back", &self.tokens),
            ("assertions that were taken", &self.assertions),
            ("codes that were redeemed", &self.codes),
            ("families that were taken back", &self.families),
            ("organizations that were made", &self.founded),
            ("organizations that were deleted", &self.dissolved),
        ];
        for (what, count) in all {
            assert!(
                count.load(Ordering::Relaxed) > 0,
                "nobody asked about {what}"
            );
        }
    }
}

/// Counts one more.
pub(super) fn count(of: &AtomicU64) {
    of.fetch_add(1, Ordering::Relaxed);
}
