//! What this process refused and issued lately, for explaining a request id or
//! a `jti` to an administrator.
//!
//! It is bounded, it is this process's own, and it ends with it: nothing of it
//! is stored. No token, code or secret is in it, only names, times and reasons.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use symbolon_protocol::{ClientId, Timestamp};
use symbolon_token::explain::{Check, Refused};
use symbolon_token::{Authority, Id, Purpose, Token};

use crate::cx::{Cx, RequestId};
use crate::failure::Failure;

/// How many refusals are remembered.
pub(crate) const MAX_REFUSALS: usize = 4096;
/// How many issued tokens are remembered.
pub(crate) const MAX_ISSUED: usize = 4096;

/// One thing that was said about a request that got nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) request: RequestId,
    pub(crate) at: Timestamp,
    /// The client that proved itself, where one had.
    pub(crate) caller: Option<ClientId>,
    pub(crate) what: What,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// How the request was answered.
    Answered {
        /// The path of the endpoint.
        endpoint: &'static str,
        /// The code on the wire.
        code: &'static str,
        /// Why, as the caller was told.
        reason: &'static str,
    },
    /// Which client said that it asks, and did not prove it.
    Claimed(ClientId),
    /// Why, where the caller is told less.
    Because(&'static str),
    /// What repairs it, where the answer's code does not tell.
    Repair(&'static str),
    /// A token was looked at and is not good.
    Token {
        /// Which check failed.
        check: Check,
        /// A stable word.
        code: &'static str,
        /// The cause in a finer word.
        root: &'static str,
        /// The cause in a sentence.
        cause: String,
        /// What would repair it.
        repair: String,
    },
    /// The token's id, where it could be read.
    Jti(String),
}

/// What is known of an access token that was issued here lately.
#[derive(Debug, Clone)]
pub(crate) struct IssuedToken {
    pub(crate) token: Id<Token>,
    pub(crate) request: RequestId,
    pub(crate) issued: Timestamp,
    /// What it permits.
    pub(crate) authority: Authority,
    /// The key that it dies with.
    pub(crate) made_with: MadeWith,
}

/// The key that made a token.
#[derive(Debug, Clone)]
pub(crate) enum MadeWith {
    /// One that signs, by its name.
    Signing(String),
    /// One that seals or roots, by its number.
    Working(Purpose, u32),
}

impl MadeWith {
    /// What the revocation feed calls it.
    pub(crate) fn key_name(&self) -> String {
        match self {
            Self::Signing(kid) => kid.clone(),
            Self::Working(purpose, number) => purpose.key_name(*number),
        }
    }
}

/// Both memories.
#[derive(Debug)]
pub(crate) struct Recent {
    refusals: Mutex<VecDeque<Said>>,
    /// What each thread issued, apart: no thread waits for another, nor frees
    /// what another made.
    issued: Box<[Mutex<VecDeque<IssuedToken>>]>,
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The number of this thread among those that issued anything.
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

impl Recent {
    pub(crate) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            refusals: Mutex::new(VecDeque::with_capacity(MAX_REFUSALS)),
            issued: (0..threads).map(|_| Mutex::default()).collect(),
        }
    }

    /// Remembers how a request was refused.
    pub(crate) fn refused(&self, cx: &Cx, endpoint: &'static str, failure: &Failure) {
        let (code, reason) = match failure {
            Failure::Refused(refusal) => (refusal.code.as_str(), refusal.reason),
            Failure::Broken(broken) if broken.is_unavailable() => {
                ("temporarily_unavailable", "try again in a moment")
            }
            Failure::Broken(_) => (
                "server_error",
                "something broke here; the log has the cause",
            ),
        };
        let what = What::Answered {
            endpoint,
            code,
            reason,
        };
        self.say(cx, what);
    }

    /// Remembers why, where the caller is told less.
    pub(crate) fn because(&self, cx: &Cx, cause: &'static str) {
        self.say(cx, What::Because(cause));
    }

    /// Remembers why what a trusted issuer signed is not good.
    pub(crate) fn unvouched(&self, cx: &Cx, cause: &'static str) {
        self.because(cx, cause);
        self.say(cx, What::Repair(repair_of_assertion(cause)));
    }

    /// Remembers which client could not prove itself, and why.
    pub(crate) fn unproved(&self, cx: &Cx, client: &ClientId, cause: &'static str) {
        self.say(cx, What::Claimed(client.clone()));
        self.because(cx, cause);
    }

    /// Remembers which check a token failed.
    pub(crate) fn token(&self, cx: &Cx, refused: &Refused, jti: Option<String>) {
        self.say(
            cx,
            What::Token {
                check: refused.check(),
                code: refused.code(),
                root: refused.root(),
                cause: refused.cause(),
                repair: refused.repair(),
            },
        );
        if let Some(jti) = jti {
            self.say(cx, What::Jti(jti));
        }
    }

    /// Remembers what was issued.
    pub(crate) fn issued(
        &self,
        cx: &Cx,
        token: Id<Token>,
        authority: Authority,
        made_with: MadeWith,
    ) {
        let own = IssuedToken {
            token,
            request: cx.request,
            issued: cx.now,
            authority,
            made_with,
        };
        let number = THREAD.with(|own| *own) % self.issued.len();
        // The oldest is dropped when the lock is free again.
        let most = MAX_ISSUED / self.issued.len();
        let _oldest = push(&mut lock(&self.issued[number]), own, most);
    }

    /// Everything that was said about a request, in order.
    pub(crate) fn of_request(&self, request: &str) -> Vec<Said> {
        let all = lock(&self.refusals);
        let own = all
            .iter()
            .filter(|said| said.request.to_string() == request);
        own.cloned().collect()
    }

    /// The token of an id, where it was issued here lately.
    pub(crate) fn find(&self, token: Id<Token>) -> Option<IssuedToken> {
        let mut each = self.issued.iter();
        each.find_map(|own| lock(own).iter().find(|own| own.token == token).cloned())
    }

    /// The requests that showed a token of an id and got nothing.
    pub(crate) fn requests_with(&self, jti: &str) -> Vec<RequestId> {
        let all = lock(&self.refusals);
        let shows = |said: &&Said| matches!(&said.what, What::Jti(own) if own == jti);
        all.iter().filter(shows).map(|said| said.request).collect()
    }

    fn say(&self, cx: &Cx, what: What) {
        let said = Said {
            request: cx.request,
            at: cx.now,
            caller: cx.caller.get().cloned(),
            what,
        };
        let _oldest = push(&mut lock(&self.refusals), said, MAX_REFUSALS);
    }
}

/// What repairs an assertion of a trusted issuer. Nobody signed in here for
/// it, so nothing here can be renewed.
pub(crate) fn repair_of_assertion(cause: &str) -> &'static str {
    match cause {
        "it has expired" | "expired" => {
            "ask the trusted issuer for a new one: what has expired is its assertion, and this server can renew nothing of it"
        }
        "iat or nbf is in the future" | "not_yet_valid" => {
            "set the clocks of the trusted issuer and of this server; they differ by more than `clock_skew`"
        }
        "exp is more than an hour ahead" => {
            "have the trusted issuer sign for an hour at most: a grant is remembered for as long as it is good"
        }
        "aud is not this server" => {
            "have the trusted issuer name this server's issuer in `aud`, alone where it is a grant"
        }
        _ => "have the trusted issuer send another, without what the cause names",
    }
}

/// The oldest goes where there is no room.
fn push<T>(all: &mut VecDeque<T>, one: T, most: usize) -> Option<T> {
    let oldest = if all.len() == most {
        all.pop_front()
    } else {
        None
    };
    all.push_back(one);
    oldest
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_where_there_is_no_room() {
        let mut all = VecDeque::new();
        for one in 0..5 {
            push(&mut all, one, 3);
        }
        assert_eq!(all, [2, 3, 4]);
    }
}
