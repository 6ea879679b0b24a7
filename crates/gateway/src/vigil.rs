//! What watches over everything that stays open: it ends with the token that it
//! began with, when the token is taken back, with the session that it came from,
//! when a new configuration would refuse it, and when nothing moves any more.
//!
//! Spec: RFC 9068 §4
//! Spec: RFC 7009 §2

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Method;
use symbolon_protocol::Timestamp;
use symbolon_token::Secret;
use symbolon_token::explain::Refused;
use symbolon_verify::{Principal, Refusal};
use tokio::time::{Instant, Sleep, sleep};

use crate::browser::Open;
use crate::content;
use crate::gateway::Shared;
use crate::guard::Guard;
use crate::plan::Plan;
use crate::policy;
use crate::routes::Ready;
use crate::settings::OnExpiry;

/// How often an open stream is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(250);
/// How many pieces may pass before a stream that never waits is looked at.
const UNWATCHED: u32 = 16;
/// How long nobody may have looked before what moves is asked about first.
const LATE: Duration = Duration::from_secs(1);

/// What something began as.
pub(crate) struct Watch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) began: Timestamp,
    /// The token that it began with; none where its route is public.
    pub(crate) bearer: Option<Bearer>,
    /// The session whose cookie stood for that, where one did.
    pub(crate) session: Option<Arc<Open>>,
    /// What is in its body, where that was judged.
    pub(crate) content: Option<content::Again>,
    /// What policies and risk are asked again.
    pub(crate) again: policy::Again,
}

/// The token that something began with.
pub(crate) struct Bearer {
    pub(crate) token: Secret,
    pub(crate) principal: Principal,
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
    /// The session that it came from has ended.
    SignedOut,
    /// A policy, risk, or a rule for what is in its body does not allow it any
    /// more, or the token was to be taken back.
    Denied,
}

impl Watch {
    /// Whether a new request like this one would be let through.
    async fn ask(&self) -> Result<(), Ended> {
        let plan = self.shared.plan();
        let found = plan.routes.find(&self.method, &self.path);
        let ready = found.map_err(|_| Ended::Withdrawn)?;
        self.session_at(&plan, ready).await?;
        let standing = match (&ready.guard, &self.bearer) {
            // Nobody has to show anything, as far as policies do not ask.
            (None, _) => Ok(()),
            (Some(_), None) => Err(Ended::Withdrawn),
            (Some(guard), Some(bearer)) => self.standing(ready, guard, bearer).await,
        };
        standing?;
        let principal = self.principal_at(ready);
        if let Some(content) = &self.content
            && !content.holds(ready, principal)
        {
            return Err(Ended::Denied);
        }
        self.again.ask(self, &plan, ready).await
    }

    /// Whether a session that stood for the token still would.
    async fn session_at(&self, plan: &Plan, ready: &Ready) -> Result<(), Ended> {
        let Some(session) = &self.session else {
            return Ok(());
        };
        let browser = plan
            .browser
            .as_ref()
            .filter(|_| ready.route.browser.is_some());
        match browser.ok_or(Ended::Withdrawn)?.holds(session).await {
            true => Ok(()),
            false => Err(Ended::SignedOut),
        }
    }

    /// Whoever is known at a route: nobody where it is public.
    pub(crate) fn principal_at(&self, ready: &Ready) -> Option<&Principal> {
        let bearer = self.bearer.as_ref().filter(|_| ready.guard.is_some());
        bearer.map(|own| &own.principal)
    }

    /// Whether the token would still be taken.
    async fn standing(&self, ready: &Ready, guard: &Guard, bearer: &Bearer) -> Result<(), Ended> {
        if guard.of != bearer.of {
            return Err(Ended::Withdrawn);
        }
        let closes = ready.route.on_expiry == OnExpiry::Close;
        let (expires, now) = (bearer.principal.expires(), self.shared.edge.clock.now());
        // The tolerance between clocks is for those who came within it. Of a key
        // only an answer ends; whether the key does, the issuer is asked below.
        let ends = closes && !bearer.principal.is_api_key();
        if ends && self.began < expires && expires <= now {
            return Err(Ended::Refused(Refused::Expired { expires, now }.into()));
        }
        let (verifier, token) = (&guard.verifier, bearer.token.expose_str());
        let standing = verifier.check_standing_of(&bearer.principal, token, &guard.requirement);
        match standing.await {
            Err(Refusal::Refused(Refused::Expired { .. })) if !closes => Ok(()),
            other => other.map_err(Ended::Refused),
        }
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<(), Ended>> + Send>>;

fn ask(watch: &Arc<Watch>) -> Asking {
    let watch = Arc::clone(watch);
    Box::pin(async move { watch.ask().await })
}

/// Watches over one direction of something open. It costs nothing before there
/// is something to wait for.
pub(crate) struct Vigil {
    watch: Option<Arc<Watch>>,
    tick: Option<Pin<Box<Sleep>>>,
    asking: Option<Asking>,
    /// When it was looked at last, or began.
    looked: Option<Instant>,
    /// Whether nothing moves until what is being asked is answered.
    is_held: bool,
    idle: Duration,
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
            looked: None,
            is_held: false,
            idle,
            quiet: 0,
            patience: u32::try_from(looks).unwrap_or(u32::MAX).max(1),
            pieces: 0,
            is_over: false,
        }
    }

    /// How long nothing may move.
    pub(crate) const fn idle(&self) -> Duration {
        self.idle
    }

    /// Ready where the next piece may move. Whoever took none for long was not
    /// looked after meanwhile, so it is asked first whether they may have it.
    pub(crate) fn catch_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        if self.is_over {
            return Poll::Ready(Err(Ended::Withdrawn));
        }
        let now = Instant::now();
        let looked = *self.looked.get_or_insert(now);
        let Some(watch) = &self.watch else {
            return Poll::Ready(Ok(()));
        };
        if !self.is_held && now < looked + LATE {
            return Poll::Ready(Ok(()));
        }
        if !self.is_held {
            // What was asked before is not what is asked now.
            self.asking = Some(ask(watch));
            self.is_held = true;
        }
        let Some(asking) = &mut self.asking else {
            return Poll::Ready(Ok(()));
        };
        let answer = ready!(asking.as_mut().poll(cx));
        self.asking = None;
        self.is_held = false;
        self.looked = Some(now);
        self.is_over = answer.is_err();
        Poll::Ready(answer)
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
                self.asking = Some(ask(watch));
                self.looked = Some(Instant::now());
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
