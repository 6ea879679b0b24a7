//! The key set against a server that answers as many bytes.

use anyhow::Result;

use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::floor::Floor;
use crate::server::Home;
use crate::wire::Request;

pub(crate) fn keys(bench: &Bench) -> Result<Vec<Figure>> {
    let ours = Home::on_sqlite(bench, "keys")?.start(bench)?;
    let request = Request::get("/.well-known/jwks.json");
    let sample = request.ask(ours.address)?;
    let floor = Floor::Answers(sample.body.len()).start(bench)?;

    let rounds = bench.duel(&floor, &ours, |_| request.clone())?;

    Ok(vec![rounds.rate("key set", Bound::None)])
}
