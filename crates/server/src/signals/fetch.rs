//! Asks transmitters that do not call: one node at a time, under a lease.
//!
//! What was taken is acknowledged with the next question. A crash in between
//! brings it again, and an event that comes again does nothing.
//!
//! Spec: RFC 8936 §2.2, §2.3, §2.4

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use symbolon_protocol::Timestamp;
use symbolon_store::{EnterReceiver, LeaseReceiver, Pause, SettleMessages};
use symbolon_token::jose::json as strict;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bearer::Bearers;
use super::{LANGUAGE, NotTaken};
use crate::app::App;
use crate::config::{SignalPoll, SignalSource};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::fetch::{Fetched, Outgoing};
use crate::metric;

/// How often a node looks whether a source is due.
const LOOK: Duration = Duration::from_millis(500);
/// How long a source is left alone that had nothing.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long one that cannot be reached is, at most.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// How long one node asks alone.
const LEASE: Duration = Duration::from_secs(60);
/// How many events are asked for at once.
const MAX_EVENTS: usize = 50;
/// How many questions are asked under one lease: of one person an answer may hold
/// one event, as those of this server do.
const MAX_ROUNDS: usize = 64;
/// For how long another one is asked: the longest call fits into the lease beside it.
const ASKING: Duration = Duration::from_secs(20);
/// How large an answer may be, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Asks until the process ends. Sources are asked beside each other, so that
/// none waits for another.
pub(crate) async fn ask_for_ever(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let mut under_way: JoinSet<String> = JoinSet::new();
    let mut busy: HashSet<String> = HashSet::new();
    let bearers: Arc<Bearers> = Arc::default();
    loop {
        // An error says that nobody can stop it any more: it ends as well.
        if let Ok(_ended) = tokio::time::timeout(LOOK, stopped.changed()).await {
            return;
        }
        while let Some(done) = under_way.try_join_next() {
            match done {
                Ok(id) => {
                    busy.remove(&id);
                }
                // Which one it was is unknown; leases keep out whoever is busy.
                Err(_) => busy.clear(),
            }
        }
        let settings = app.settings();
        bearers.keep(&settings.signal_sources);
        for source in &settings.signal_sources {
            if source.poll.is_some() && busy.insert(source.id.clone()) {
                let (app, source) = (Arc::clone(&app), Arc::clone(source));
                let bearers = Arc::clone(&bearers);
                under_way.spawn(async move {
                    if let Err(failure) = ask(&app, &source, &bearers).await {
                        tracing::warn!(cause = ?failure, "could not ask a source of signals");
                    }
                    source.id.clone()
                });
            }
        }
    }
}

/// Asks one source, if it is due and no other node asks it.
async fn ask(app: &Arc<App>, source: &Arc<SignalSource>, bearers: &Bearers) -> Result<(), Failure> {
    let Some(poll) = &source.poll else {
        return Ok(());
    };
    let now = app.edge.clock.now();
    let receiver = format!("source:{}", source.id);
    let lease = LeaseReceiver {
        receiver: receiver.clone(),
        now,
        span: LEASE,
        limit: 0,
    };
    let Some(leased) = app.store.act(lease).await? else {
        // Either somebody else asks, it is not due, or nobody ever asked.
        if app
            .signal_pace
            .admits(&receiver, app.edge.clock.monotonic())
        {
            app.store.act(EnterReceiver { receiver }).await?;
        }
        return Ok(());
    };
    let cx = app.cx(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let asking = Asking {
        cx: &cx,
        source,
        poll,
        bearers,
    };
    let pause = match asking.exchange().await {
        Ok(()) => {
            metric::polled("ok");
            Pause {
                failures: 0,
                next_try: now + INTERVAL,
            }
        }
        Err(why) => {
            metric::polled("failed");
            tracing::warn!(source = %source.id, why, "could not ask a source of signals");
            rest(leased.failures, now)
        }
    };
    let settle = SettleMessages {
        receiver,
        fence: leased.fence,
        outcomes: Vec::new(),
        pause,
        now,
    };
    app.store.act(settle).await?;
    Ok(())
}

fn rest(failures: u32, now: Timestamp) -> Pause {
    let wait = INTERVAL
        .saturating_mul(2_u32.saturating_pow(failures.min(16)))
        .min(LONGEST);
    Pause {
        failures: failures.saturating_add(1),
        next_try: now + wait,
    }
}

/// What is said of the events of the answer before.
#[derive(Default)]
struct Said {
    taken: Vec<String>,
    refused: Map<String, Value>,
}

/// Who asks whom.
struct Asking<'a> {
    cx: &'a Cx,
    source: &'a Arc<SignalSource>,
    poll: &'a SignalPoll,
    bearers: &'a Bearers,
}

impl Asking<'_> {
    /// Questions and answers until nothing is left, the last one saying what was
    /// taken and asking for nothing.
    async fn exchange(&self) -> Result<(), &'static str> {
        let (cx, source) = (self.cx, self.source);
        let mut said = Said::default();
        let until = cx.edge.clock.monotonic() + ASKING;
        for _ in 0..MAX_ROUNDS {
            let (sets, more) = self.question(&said, MAX_EVENTS).await?;
            let arrived = cx.edge.clock.monotonic();
            said = Said::default();
            for (jti, event) in sets.iter().take(MAX_EVENTS) {
                let text = event.as_str().unwrap_or_default();
                if !cx.signal_pace.admits(&source.id, cx.edge.clock.monotonic()) {
                    break;
                }
                match super::take(cx, source, text, arrived).await {
                    Ok(Ok(())) => said.taken.push(jti.clone()),
                    // What nothing is said of is delivered again.
                    Ok(Err(NotTaken::NotNow(_))) => {}
                    Ok(Err(not_taken)) => {
                        let why = json!({
                            "err": not_taken.code(),
                            "description": not_taken.description(),
                        });
                        said.refused.insert(jti.clone(), why);
                    }
                    // Ours to repair: it is asked for again.
                    Err(_) => return Err("an event could not be taken"),
                }
            }
            let nothing = said.taken.is_empty() && said.refused.is_empty();
            if nothing {
                return Ok(());
            }
            if !more || cx.edge.clock.monotonic() > until {
                break;
            }
        }
        self.question(&said, 0).await.map(|_| ())
    }

    /// One question; its answer's events, and whether there are more.
    async fn question(
        &self,
        said: &Said,
        most: usize,
    ) -> Result<(Map<String, Value>, bool), &'static str> {
        let mut answer = self.post(said, most).await?;
        // A bearer may end before its time: another one is asked for, once.
        if answer.status == 401 && self.bearers.forget(self.source) {
            answer = self.post(said, most).await?;
        }
        if answer.status != 200 {
            return Err("it answered with another status than 200");
        }
        let mut body = strict::object(&answer.body).map_err(|_| "its answer is no JSON object")?;
        let more = body.get("moreAvailable") == Some(&Value::Bool(true));
        match body.remove("sets") {
            Some(Value::Object(sets)) => Ok((sets, more)),
            _ => Err("its answer holds no sets"),
        }
    }

    async fn post(&self, said: &Said, most: usize) -> Result<Fetched, &'static str> {
        let shown = self.bearers.find(self.cx, self.source, self.poll).await?;
        let mut asked = json!({ "maxEvents": most, "returnImmediately": true });
        if !said.taken.is_empty() {
            asked["ack"] = said.taken.clone().into();
        }
        if !said.refused.is_empty() {
            asked["setErrs"] = said.refused.clone().into();
        }
        let outgoing = Outgoing {
            url: &self.poll.url,
            content_type: "application/json",
            content_language: (!said.refused.is_empty()).then_some(LANGUAGE),
            accept: "application/json",
            authorization: Some(&*shown),
            body: asked.to_string(),
            limit_bytes: MAX_ANSWER_BYTES,
        };
        let answer = self.cx.fetcher.post(&outgoing).await;
        answer.map_err(|_| "it could not be reached")
    }
}
