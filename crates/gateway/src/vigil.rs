//! What watches over everything that stays open: it ends with the token that it
//! began with, when the token is taken back, when a new configuration would
//! refuse it, and when nothing moves any more.
//!
//! Spec: RFC 9068 §4
//! Spec: RFC 7009 §2

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Method;
use symbolon_protocol::Timestamp;
use symbolon_token::Secret;
use symbolon_token::explain::Refused;
use symbolon_verify::{Principal, Refusal};
use tokio::time::{Sleep, sleep};

use crate::gateway::Shared;
use crate::settings::OnExpiry;

/// How often an open stream is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(250);
/// How many pieces may pass before a stream that never waits is looked at.
const UNWATCHED: u32 = 16;

/// The token that something began with, and what it began as.
pub(crate) struct Watch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: Secret,
    pub(crate) principal: Principal,
    pub(crate) began: Timestamp,
    /// Whose tokens, for which API.
    pub(crate) of: Arc<(String, String)>,
}

/// Why something that was open has to end.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Nothing moved.
    Idle,
    /// A new request with this token would be refused.
    Refused(Refusal),
    /// No route takes it any more, or it is one of another API.
    Withdrawn,
}

impl Watch {
    /// Whether a new request like this one would be let through.
    async fn ask(&self) -> Result<(), Ended> {
        let plan = self.shared.plan();
        let found = plan.routes.find(&self.method, &self.path);
        let ready = found.map_err(|_| Ended::Withdrawn)?;
        let Some(guard) = &ready.guard else {
            return Ok(());
        };
        if guard.of != self.of {
            return Err(Ended::Withdrawn);
        }
        let closes = ready.route.on_expiry == OnExpiry::Close;
        let (expires, now) = (self.principal.expires(), self.shared.edge.clock.now());
        // The tolerance between clocks is for those who came within it.
        if closes && self.began < expires && expires <= now {
            return Err(Ended::Refused(Refused::Expired { expires, now }.into()));
        }
        let token = self.token.expose_str();
        let standing = guard
            .verifier
            .check_standing_of(&self.principal, token, &guard.requirement);
        match standing.await {
            Err(Refusal::Refused(Refused::Expired { .. })) if !closes => Ok(()),
            other => other.map_err(Ended::Refused),
        }
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<(), Ended>> + Send>>;

/// Watches over one direction of something open. It costs nothing before there
/// is something to wait for.
pub(crate) struct Vigil {
    watch: Option<Arc<Watch>>,
    tick: Option<Pin<Box<Sleep>>>,
    asking: Option<Asking>,
    /// How many looks in a row saw nothing move.
    quiet: u32,
    patience: u32,
    pieces: u32,
    is_over: bool,
}

impl Vigil {
    pub(crate) fn new(watch: Option<Arc<Watch>>, idle: Duration) -> Self {
        let looks = idle.as_millis() / LOOK.as_millis();
        Self {
            watch,
            tick: None,
            asking: None,
            quiet: 0,
            patience: u32::try_from(looks).unwrap_or(u32::MAX).max(1),
            pieces: 0,
            is_over: false,
        }
    }

    /// Whether it has ended.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Ready where it has to end.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, has_moved: bool) -> Poll<Ended> {
        if has_moved {
            self.quiet = 0;
            self.pieces = self.pieces.saturating_add(1);
            if self.tick.is_none() && self.pieces < UNWATCHED {
                return Poll::Pending;
            }
        }
        let ended = self.look(cx);
        self.is_over |= ended.is_ready();
        ended
    }

    fn look(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            if let Some(asking) = &mut self.asking
                && let Poll::Ready(answer) = asking.as_mut().poll(cx)
            {
                self.asking = None;
                if let Err(ended) = answer {
                    return Poll::Ready(ended);
                }
            }
            let tick = self.tick.get_or_insert_with(|| Box::pin(sleep(LOOK)));
            if tick.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.tick = None;
            self.quiet += 1;
            if self.quiet > self.patience {
                return Poll::Ready(Ended::Idle);
            }
            if let (None, Some(watch)) = (&self.asking, &self.watch) {
                let watch = Arc::clone(watch);
                self.asking = Some(Box::pin(async move { watch.ask().await }));
            }
        }
    }

    /// Waits until something that moves bytes by itself has to end.
    pub(crate) async fn wait(mut self, moved: &AtomicU64) -> Ended {
        let mut seen = moved.load(Ordering::Relaxed);
        std::future::poll_fn(|cx| {
            let now = moved.load(Ordering::Relaxed);
            let has_moved = now != seen;
            seen = now;
            self.pieces = UNWATCHED;
            self.poll(cx, has_moved)
        })
        .await
    }
}
