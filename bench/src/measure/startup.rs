//! From start to ready on a database that exists.

use anyhow::Result;

use crate::bench::{Bench, milliseconds};
use crate::figure::{Bound, Figure};
use crate::floor::Floor;
use crate::server::Home;

pub(crate) fn startup(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::on_sqlite(bench, "startup")?;
    // The first start makes the database, its keys and its people.
    home.start(bench)?.stop()?;

    let rounds = bench.interleave(
        || {
            let process = Floor::Answers(0).start(bench)?;
            let after = milliseconds(process.ready_after);
            process.stop()?;
            Ok(after)
        },
        || {
            let process = home.start(bench)?;
            let after = milliseconds(process.ready_after);
            process.stop()?;
            Ok(after)
        },
    )?;

    Ok(vec![
        Figure::new("start to ready", "ms", Bound::AtMost(100.0)).rounds(rounds.floor, rounds.ours),
    ])
}
