//! Resident memory, three seconds after the start and right after load.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::floor::Floor;
use crate::load::{CONNECTIONS, Repeated};
use crate::measure::issue::claims;
use crate::process::Process;
use crate::server::{Home, ORDERS, client_credentials};

const IDLE: Duration = Duration::from_secs(3);

/// Resident memory of one process, in MiB.
struct Resident {
    idle: f64,
    loaded: f64,
}

pub(crate) fn memory(bench: &Bench) -> Result<Vec<Figure>> {
    let home = Home::on_sqlite(bench, "memory")?;
    let first = home.start(bench)?;
    let sample = client_credentials(ORDERS).ask(first.address)?;
    let claims = claims(&sample.text("access_token")?)?;
    first.stop()?;

    let rounds = bench.interleave(
        || watch(bench, Floor::Signs(&claims).start(bench)?),
        || watch(bench, home.start(bench)?),
    )?;

    let all = |rounds: &[Resident], pick: fn(&Resident) -> f64| rounds.iter().map(pick).collect();
    let idle = Figure::new("memory, idle", "MiB", Bound::AtMost(40.0)).rounds(
        all(&rounds.floor, |own| own.idle),
        all(&rounds.ours, |own| own.idle),
    );
    let loaded = Figure::new("memory, issuing JWTs", "MiB", Bound::None).rounds(
        all(&rounds.floor, |own| own.loaded),
        all(&rounds.ours, |own| own.loaded),
    );
    Ok(vec![idle, loaded])
}

fn watch(bench: &Bench, process: Process) -> Result<Resident> {
    sleep(IDLE);
    let idle = process.resident()?;
    let request = client_credentials(ORDERS).bytes(process.address);
    let callers = (0..CONNECTIONS)
        .map(|_| Repeated(request.clone()))
        .collect();
    bench.load(&process).run(callers)?;
    let loaded = process.resident()?;
    process.stop()?;
    Ok(Resident { idle, loaded })
}
