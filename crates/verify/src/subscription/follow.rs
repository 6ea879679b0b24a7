//! The task that follows: one stream after the other, for as long as somebody
//! holds the subscription.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use symbolon_token::feed::{Event, EventReader};
use symbolon_token::jose::KeySet;
use symbolon_token::{Entropy, random};
use tokio::time::{sleep, timeout};

use super::intake::{Expected, Intake, Lie};
use super::trouble::{CREDENTIALS_REFUSED, NO_RESOURCE_SERVED};
use super::{Failure, State, lock};
use crate::fetch::{FetchError, Stream, TOTAL_TIMEOUT};
use crate::requirement::MAX_STALENESS;

/// How long it waits before the next stream at first, and at most: each time
/// twice as long, and between half of it and all.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The same where the issuer refuses: somebody has to change something there, and
/// wrong credentials that come every second look like somebody who guesses.
const LONGEST_REFUSED: Duration = Duration::from_secs(30);
/// How long a stream may be silent: heads come every second.
const MAX_SILENCE: Duration = Duration::from_secs(5);
/// How often the age is told.
const TOLD: Duration = Duration::from_secs(1);
/// How long the first head may take, behind a snapshot.
const MAX_SNAPSHOT: Duration = Duration::from_secs(60);
/// How often what can hit nothing any more is dropped.
const PURGE: Duration = Duration::from_secs(60);
/// For how much longer it is held: clocks differ.
const MARGIN: Duration = Duration::from_secs(300);

/// Why a stream ended.
enum Ended {
    /// It was not to be had, or broke off.
    Fetch(FetchError),
    /// It is not believed.
    Lie(Lie),
    /// It said nothing for too long.
    Silent,
    /// Its heads arrive late, so that they say too little.
    Late,
    /// The server closed it.
    Closed,
}

impl Ended {
    fn code(&self) -> &'static str {
        match self {
            Self::Fetch(FetchError::Status(401)) => CREDENTIALS_REFUSED,
            Self::Fetch(FetchError::Status(403)) => NO_RESOURCE_SERVED,
            Self::Fetch(FetchError::Status(_)) => "feed_refused",
            Self::Fetch(FetchError::Malformed(_)) => "feed_not_offered",
            Self::Fetch(_) => "feed_unreachable",
            Self::Lie(lie) => lie.code(),
            Self::Silent => "stream_silent",
            Self::Late => "stream_late",
            Self::Closed => "stream_closed",
        }
    }

    /// How long it waits at most before the next stream.
    const fn longest_pause(&self) -> Duration {
        match self {
            Self::Fetch(FetchError::Status(401 | 403)) => LONGEST_REFUSED,
            // All of it comes again, and there are too many then as well.
            Self::Lie(Lie::TooMany) => LONGEST_REFUSED,
            _ => LONGEST_PAUSE,
        }
    }

    /// What happened, in words.
    fn words(&self) -> String {
        match self {
            Self::Fetch(error) => error.to_string(),
            Self::Lie(lie) => format!("the stream is not believed: {}", lie.code()),
            Self::Silent => "the stream was silent".into(),
            Self::Late => "the stream's heads arrive late".into(),
            Self::Closed => "the issuer closed the stream".into(),
        }
    }
}

impl From<FetchError> for Ended {
    fn from(error: FetchError) -> Self {
        Self::Fetch(error)
    }
}

impl From<Lie> for Ended {
    fn from(lie: Lie) -> Self {
        Self::Lie(lie)
    }
}

/// Follows for ever.
pub(super) async fn follow(state: Arc<State>) {
    tokio::join!(streams(&state), tell(&state));
}

/// Tells how old the knowledge is, whatever a stream does meanwhile: a number
/// that stands still looks like knowledge that does not age.
async fn tell(state: &State) {
    loop {
        sleep(TOLD).await;
        state.measure();
    }
}

async fn streams(state: &Arc<State>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut heads = 0;
        let ended = one(state, &mut heads).await;
        state.is_connected.store(false, Ordering::Relaxed);
        let (code, longest) = (ended.code(), ended.longest_pause());
        *lock(&state.last_failure) = Some(Failure {
            code,
            words: ended.words(),
        });
        state.turns.send_modify(|turn| *turn += 1);
        let issuer = state.from.issuer.clone();
        metrics::counter!("revocations_streams_total", "issuer" => issuer, "ended" => code)
            .increment(1);
        if let Ended::Lie(_) = ended {
            // Where it says that it was is worth nothing.
            *lock(&state.place) = None;
        }
        if heads > 0 {
            pause = FIRST_PAUSE;
        }
        pause = pause.min(longest);
        sleep(jittered(pause, &*state.from.entropy)).await;
        pause = (pause * 2).min(longest);
    }
}

/// Between half of a pause and all of it, so that those who lost their server
/// together do not come back together.
fn jittered(pause: Duration, entropy: &dyn Entropy) -> Duration {
    let [jitter] = random(entropy);
    pause / 2 + pause.mul_f64(f64::from(jitter) / 512.0)
}

/// One stream, from its opening to its end.
async fn one(state: &Arc<State>, heads: &mut u64) -> Ended {
    match open(state).await {
        Ok((stream, intake, asked)) => {
            let mut reading = Reading {
                state,
                intake,
                asked,
                heads,
            };
            match reading.read(stream).await {
                Ok(()) => Ended::Closed,
                Err(ended) => ended,
            }
        }
        Err(ended) => ended,
    }
}

async fn open(state: &Arc<State>) -> Result<(Stream, Intake, Duration), Ended> {
    let from = &state.from;
    let found = from.discovery.find().await?;
    let none = || FetchError::Malformed("metadata with a revocation feed");
    let keys = found.revocations_jwks_uri.as_deref().ok_or_else(none)?;
    let endpoint = found.revocations_endpoint.as_deref().ok_or_else(none)?;
    let keys = timeout(TOTAL_TIMEOUT, from.http.read(keys)).await;
    let keys = keys.unwrap_or(Err(FetchError::Unreachable))?;
    let keys = KeySet::parse(&keys.body).map_err(|_| FetchError::Malformed("a key set"))?;
    let nonce = BASE64_URL_SAFE_NO_PAD.encode(random::<16>(&*from.entropy));
    let place = lock(&state.place).clone();
    let held = state.age().map(|_| from.revocations.position());
    let expected = Expected {
        issuer: from.issuer.clone(),
        reader: from.credentials.id.clone(),
        nonce: nonce.clone(),
        keys,
        held,
    };
    let intake = Intake::new(expected, from.revocations.clone());
    // Whatever a head says, it was made after this.
    let asked = from.clock.monotonic();
    let basic = from.credentials.basic();
    let place = place.as_deref().filter(|_| held.is_some());
    let asked_for = [("nonce", &*nonce), ("resource", &*from.resource)];
    let stream = from
        .http
        .stream(endpoint, &basic, &asked_for, place)
        .await?;
    Ok((stream, intake, asked))
}

/// A stream that is being read.
struct Reading<'a> {
    state: &'a Arc<State>,
    intake: Intake,
    asked: Duration,
    heads: &'a mut u64,
}

impl Reading<'_> {
    async fn read(&mut self, mut stream: Stream) -> Result<(), Ended> {
        let mut reader = EventReader::default();
        let mut purged = self.asked;
        let (mut last_head, mut patience) = (self.asked, MAX_SNAPSHOT);
        loop {
            let next = timeout(MAX_SILENCE, stream.next()).await;
            let next = next.map_err(|_| Ended::Silent)?;
            let Some(bytes) = next? else {
                return Ok(());
            };
            let before = *self.heads;
            reader.read(bytes.as_ref(), |event| self.take(event))?;
            let now = self.state.from.clock.monotonic();
            if *self.heads > before {
                (last_head, patience) = (now, MAX_SILENCE);
                self.check_late()?;
            }
            // A stream that trickles has to bring a head in time as well.
            if now.saturating_sub(last_head) > patience {
                return Err(Ended::Silent);
            }
            if now.saturating_sub(purged) >= PURGE {
                purged = now;
                if let Some(time) = self.state.time_at_least() {
                    self.state.from.revocations.purge(time - MARGIN);
                }
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Lie> {
        if let Some(taken) = self.intake.take(event)? {
            self.state.take(taken, self.asked);
            *self.heads += 1;
            self.state.is_connected.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A stream whose heads say too little is given up: another may say more.
    fn check_late(&self) -> Result<(), Ended> {
        match self.state.age() {
            Some(age) if age <= MAX_STALENESS => Ok(()),
            _ => Err(Ended::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_refused_comes_back_less_often_than_whoever_found_nobody() {
        let of = |error| Ended::Fetch(error).longest_pause();

        assert_eq!(of(FetchError::Status(401)), LONGEST_REFUSED);
        assert_eq!(of(FetchError::Status(403)), LONGEST_REFUSED);
        for other in [FetchError::Unreachable, FetchError::Status(503)] {
            assert_eq!(of(other), LONGEST_PAUSE);
        }
        assert_eq!(Ended::Silent.longest_pause(), LONGEST_PAUSE);
    }
}
