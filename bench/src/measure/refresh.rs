//! Refresh, every answer durable: 64 connections, each renewing a family of
//! its own, against the same rows written with nothing around them.

use anyhow::{Context, Result};

use crate::bench::{Bench, Rounds, latencies, milliseconds};
use crate::figure::{Bound, Figure};
use crate::load::{CONNECTIONS, Caller, Run};
use crate::measure::rows::{Plans, Rows};
use crate::postgres::{Database, Rotations};
use crate::process::Process;
use crate::server::{self, Home};
use crate::sign_in;

pub(crate) fn refresh(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = on_sqlite(bench)?;
    if let Some(url) = &bench.postgres {
        figures.extend(on_postgres(bench, url)?);
    }
    Ok(figures)
}

fn on_sqlite(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::on_sqlite(bench, "refresh")?;
    let ours = home.start(bench)?;
    let mut chains = Chains::open(&ours)?;
    let warm_up = bench.measured() / 5;
    let mut against = |name: &str, plans| {
        let mut rows = Rows::copy(&home.database(), &home.folder.join(name), plans)?;
        bench.interleave(
            || rows.run(warm_up, bench.measured()),
            || chains.run(bench, &ours),
        )
    };
    let rounds = against("floor.db", Plans::Renewed)?;
    let kept = against("floor-kept.db", Plans::Kept)?;

    let p99 = rounds.ours.iter().map(|run| milliseconds(run.p99));
    let p99 = Figure::new("refresh, SQLite, p99", "ms", Bound::AtMost(25.0))
        .rounds(Vec::new(), p99.collect());
    Ok(vec![
        rate("refresh, SQLite", Bound::AtLeast(0.70), rounds),
        rate("refresh, SQLite, beside kept plans", Bound::None, kept),
        p99,
    ])
}

fn on_postgres(bench: &Bench, url: &str) -> Result<Vec<Figure>> {
    let database = Database::create(url)?;
    let home = Home::on_postgres(bench, "refresh-postgres", database.url())?;
    let ours = home.start(bench)?;
    let mut chains = Chains::open(&ours)?;
    let rotations = Rotations::prepare(&database, &home.folder)?;

    let rounds = bench.interleave(|| rotations.run(bench.seconds), || chains.run(bench, &ours))?;

    // Where PostgreSQL does not sync, nothing here is durable.
    let what = ["refresh, PostgreSQL".to_owned()];
    let what: Vec<_> = what.into_iter().chain(database.lax()?).collect();
    ours.stop()?;
    Ok(vec![rate(&what.join(", "), Bound::AtLeast(0.50), rounds)])
}

fn rate(what: &str, bound: Bound, rounds: Rounds<f64, Run>) -> Figure {
    let note = latencies(&rounds.ours);
    let ours = rounds.ours.iter().map(|run| run.rate).collect();
    Figure::new(what, "/s", bound)
        .rounds(rounds.floor, ours)
        .note(note)
}

/// What each connection renews, from round to round.
pub(crate) struct Chains(Vec<Chain>);

/// Families that one connection renews in turn.
struct Chain {
    /// The current token of each, ready to be presented.
    requests: Vec<Vec<u8>>,
    /// Which comes next.
    next: usize,
    host: std::net::SocketAddr,
}

impl Chains {
    /// One new family for each connection.
    fn open(process: &Process) -> Result<Self> {
        let tokens = sign_in::families(process.address, CONNECTIONS)?;
        let groups = tokens.into_iter().map(|token| vec![token]);
        Ok(Self::new(process.address, groups.collect()))
    }

    /// A group of families, by their tokens, for each connection.
    pub(crate) fn new(host: std::net::SocketAddr, groups: Vec<Vec<String>>) -> Self {
        let chain = |tokens: Vec<String>| {
            let requests = tokens
                .iter()
                .map(|token| server::refresh(token).bytes(host));
            Chain {
                requests: requests.collect(),
                next: 0,
                host,
            }
        };
        Self(groups.into_iter().map(chain).collect())
    }

    pub(crate) fn run(&mut self, bench: &Bench, process: &Process) -> Result<Run> {
        let chains = std::mem::take(&mut self.0);
        let (run, chains) = bench.load(process).run(chains)?;
        self.0 = chains;
        Ok(run)
    }
}

impl Caller for Chain {
    fn request(&self) -> &[u8] {
        &self.requests[self.next]
    }

    fn answered(&mut self, body: &[u8]) -> Result<()> {
        let body = std::str::from_utf8(body)?;
        let (_, rest) = body
            .split_once(r#""refresh_token":""#)
            .context("no refresh token in an answer")?;
        let token = rest.split('"').next().unwrap_or_default();
        self.requests[self.next] = server::refresh(token).bytes(self.host);
        self.next = (self.next + 1) % self.requests.len();
        Ok(())
    }
}
