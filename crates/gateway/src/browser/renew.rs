//! Renewing what a session holds: once, however many requests and gateways find
//! at the same time that it has run out.
//!
//! Inside a process the first request asks and the others wait for its answer;
//! between processes the number in the session's row does (`TakeRenewal`). It
//! goes on where whoever began it leaves. A gateway that dies at it is followed
//! by another, which shows the issuer the same token again; the issuer's grace
//! for that is longer than the wait.
//!
//! Spec: RFC 6749 §6
//! Spec: RFC 9700 §4.14.2

use std::sync::PoisonError;
use std::time::Duration;

use symbolon_client::sign_in::Failed;
use symbolon_store::{BrowserSession, EndBrowserSession, KeepRenewed, LetGoRenewal, TakeRenewal};
use symbolon_token::{Browser as Kind, Id};
use tokio::sync::watch;

use super::cookie::Ticket;
use super::held::Held;
use super::{Browser, unavailable};

/// How often whoever waits for another gateway looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long another gateway may be at it before it is taken for dead: longer
/// than the issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(35);
/// How long after each other keeping an answer is tried: it was given once.
const KEEPING: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// How long it may take in all.
const WHOLE: Duration = Duration::from_secs(80);

/// A session, and the API that it needs a token for.
pub(super) type Of = (Id<Kind>, String);
/// Where the answer of a renewal under way will be.
pub(super) type Flights = watch::Receiver<Option<Outcome>>;
type Outcome = Result<String, NotRenewed>;

/// Why there is no new token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotRenewed {
    /// The session has ended.
    Gone,
    /// Nobody can know now.
    Unknown,
    /// The issuer does not let this gateway have one for this API.
    Misconfigured,
}

impl Browser {
    /// Begins to renew, unless somebody is at it; what it gives is the answer,
    /// to be waited for or not.
    pub(super) fn renew(
        &self,
        ticket: &Ticket,
        resource: &str,
    ) -> impl Future<Output = Outcome> + Send + use<> {
        let of = (ticket.id, resource.to_owned());
        let mut flights = self
            .0
            .flights
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let answer = flights.get(&of).cloned().unwrap_or_else(|| {
            let (tell, answer) = watch::channel(None);
            let (own, ticket, kept) = (self.clone(), ticket.clone(), of.clone());
            tokio::spawn(async move {
                let renewed = tokio::time::timeout(WHOLE, own.renew_now(&ticket, &kept.1)).await;
                let mut flights = own.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
                flights.remove(&kept);
                drop(flights);
                tell.send_replace(Some(renewed.unwrap_or(Err(NotRenewed::Unknown))));
            });
            flights.insert(of, answer.clone());
            answer
        });
        drop(flights);
        let mut answer = answer;
        async move {
            let told = answer.wait_for(Option::is_some).await;
            let told = told.ok().and_then(|own| own.clone());
            told.unwrap_or(Err(NotRenewed::Unknown))
        }
    }

    async fn renew_now(&self, ticket: &Ticket, resource: &str) -> Outcome {
        let clock = &self.0.edge.clock;
        let mut seen: Option<(i64, Duration)> = None;
        let mut begun: Option<i64> = None;
        loop {
            let found = self.open(ticket).await.map_err(|_| NotRenewed::Unknown)?;
            let (row, held) = found.ok_or(NotRenewed::Gone)?;
            let first = *begun.get_or_insert(row.generation);
            if let Some((token, is_near_its_end)) = held.access(resource, clock.now())
                && (row.generation != first || !is_near_its_end)
            {
                return Ok(token.to_owned());
            }
            let now = clock.monotonic();
            let since = match seen {
                Some((fence, since)) if fence == row.fence => since,
                _ => {
                    seen = Some((row.fence, now));
                    now
                }
            };
            let is_dead = row.is_renewing && now.saturating_sub(since) >= PATIENCE;
            if !row.is_renewing || is_dead {
                let take = TakeRenewal {
                    id: row.id,
                    fence: row.fence,
                    anyway: is_dead,
                };
                let taken = self.store().act(take).await;
                let taken = taken.map_err(unknown)?;
                if let Some(fence) = taken
                    && let Some(outcome) = self.ask((ticket, resource), &row, held, fence).await
                {
                    return outcome;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Asks the issuer, and keeps the answer; nothing where somebody took over
    /// meanwhile, whose answer counts.
    async fn ask(
        &self,
        (ticket, resource): (&Ticket, &str),
        row: &BrowserSession,
        mut held: Held,
        fence: i64,
    ) -> Option<Outcome> {
        let id = row.id;
        let Some(token) = held.refresh_token() else {
            return Some(self.end(id).await);
        };
        let asked = self.0.provider.refresh(&token, Some(resource)).await;
        let tokens = match asked {
            Ok(tokens) => tokens,
            Err(Failed::Refused(code)) if code == "invalid_grant" => {
                return Some(self.end(id).await);
            }
            Err(why) => {
                tracing::warn!(session = %id, cause = %why, "a session was not renewed");
                // It frees itself otherwise, later.
                let _ = self.store().act(LetGoRenewal { id, fence }).await;
                return Some(Err(match why.is_passing() {
                    true => NotRenewed::Unknown,
                    false => NotRenewed::Misconfigured,
                }));
            }
        };
        held.take(&tokens, resource, self.0.edge.clock.now());
        let sealed = held.seal(ticket, &*self.0.edge.entropy);
        let keep = KeepRenewed {
            id,
            fence,
            held: sealed,
        };
        let mut tries = KEEPING.iter();
        loop {
            match self.store().act(keep.clone()).await {
                Ok(true) => {
                    self.0.recent.forget(&id);
                    return Some(Ok(tokens.access_token.expose_str().to_owned()));
                }
                Ok(false) => return None,
                Err(fault) => match tries.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Some(Err(unknown(fault))),
                },
            }
        }
    }

    /// The issuer knows nothing of it any more.
    async fn end(&self, id: Id<Kind>) -> Outcome {
        tracing::info!(session = %id, "a session ended at the issuer");
        let ended = self.store().act(EndBrowserSession { id }).await;
        self.0.recent.forget(&id);
        match ended {
            Ok(_) => Err(NotRenewed::Gone),
            Err(fault) => Err(unknown(fault)),
        }
    }
}

fn unknown(fault: symbolon_store::Fault) -> NotRenewed {
    unavailable(fault);
    NotRenewed::Unknown
}
