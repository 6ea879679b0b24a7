//! What every bench is given, and how floor and ours take turns.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::figure::{Bound, Figure};
use crate::load::{CONNECTIONS, Load, Repeated, Run};
use crate::process::Process;
use crate::wire::Request;

/// How to measure.
pub(crate) struct Bench {
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    /// The `symbolon` binary, where it was named.
    pub(crate) server: Option<PathBuf>,
    /// Where databases and logs lie while it runs; removed at the end.
    pub(crate) folder: PathBuf,
    pub(crate) postgres: Option<String>,
}

/// What the rounds gave.
pub(crate) struct Rounds<F, O> {
    pub(crate) floor: Vec<F>,
    pub(crate) ours: Vec<O>,
}

impl Bench {
    /// The binary under test: the one that was named, or the first of the
    /// usual places, beside this program before any other.
    pub(crate) fn server(&self) -> Result<PathBuf> {
        let beside = std::env::current_exe()?.with_file_name("symbolon");
        let usual = [
            beside,
            PathBuf::from("target/dist/symbolon"),
            PathBuf::from("target/release/symbolon"),
        ];
        let found = match &self.server {
            Some(path) => Some(path.clone()),
            None => usual.into_iter().find(|path| path.exists()),
        };
        let found = found.context(
            "no server to measure: cargo build --profile dist -p symbolon, or --server PATH",
        )?;
        let lost = || format!("there is no server at {}", found.display());
        found.canonicalize().with_context(lost)
    }

    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// Floor and ours in turn; who begins changes from round to round, so that
    /// a machine that slows down harms both.
    pub(crate) fn interleave<F, O>(
        &self,
        mut floor: impl FnMut() -> Result<F>,
        mut ours: impl FnMut() -> Result<O>,
    ) -> Result<Rounds<F, O>> {
        let mut rounds = Rounds {
            floor: Vec::new(),
            ours: Vec::new(),
        };
        for round in 0..self.rounds {
            if round % 2 == 0 {
                rounds.floor.push(floor().context("the floor")?);
                rounds.ours.push(ours().context("ours")?);
            } else {
                rounds.ours.push(ours().context("ours")?);
                rounds.floor.push(floor().context("the floor")?);
            }
        }
        Ok(rounds)
    }

    pub(crate) fn load(&self, process: &Process) -> Load {
        Load {
            address: process.address,
            measured: self.measured(),
        }
    }

    /// Asks two in turn, each for something of its own.
    pub(crate) fn between(
        &self,
        floor: (&Process, &dyn Fn(usize) -> Request),
        ours: (&Process, &dyn Fn(usize) -> Request),
    ) -> Result<Rounds<Run, Run>> {
        self.interleave(|| self.ask(floor), || self.ask(ours))
    }

    /// One run of requests, `request(n)` being what connection `n` says.
    pub(crate) fn ask(
        &self,
        (process, request): (&Process, &dyn Fn(usize) -> Request),
    ) -> Result<Run> {
        let callers = (0..CONNECTIONS)
            .map(|n| Repeated(request(n).bytes(process.address)))
            .collect();
        Ok(self.load(process).run(callers)?.0)
    }

    /// Sends both the same requests, `request(n)` being what connection `n` says.
    pub(crate) fn duel(
        &self,
        floor: &Process,
        ours: &Process,
        request: impl Fn(usize) -> Request,
    ) -> Result<Rounds<Run, Run>> {
        self.between((floor, &request), (ours, &request))
    }
}

impl Rounds<Run, Run> {
    /// Answers a second as a figure, with our latencies beside it.
    pub(crate) fn rate(&self, what: &str, bound: Bound) -> Figure {
        let rates = |runs: &[Run]| runs.iter().map(|run| run.rate).collect();
        Figure::new(what, "/s", bound)
            .rounds(rates(&self.floor), rates(&self.ours))
            .note(latencies(&self.ours))
    }
}

/// The medians of the rounds' latencies.
pub(crate) fn latencies(runs: &[Run]) -> String {
    let middle = |pick: fn(&Run) -> Duration| {
        let all: Vec<_> = runs.iter().map(|run| milliseconds(pick(run))).collect();
        crate::figure::median(&all).unwrap_or_default()
    };
    let (p50, p99) = (middle(|run| run.p50), middle(|run| run.p99));
    format!("p50 {p50:.1} ms, p99 {p99:.1} ms")
}

pub(crate) fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
