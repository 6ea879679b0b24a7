//! What a limit costs in one process: a rate of a thousand callers in turn, who
//! is counted found and all, against one look into a table behind a lock.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use symbolon_gateway::probe::LimitProbe;
use symbolon_gateway::{Counting, Limit, OnError, Per, Rule, Spent};

use super::verify::each;
use crate::bench::Bench;
use crate::clock;
use crate::figure::{Bound, Figure};

/// How many callers there are.
const CALLERS: u32 = 1000;
/// How often each side is asked in a round.
const TIMES: u32 = 200_000;

pub(crate) fn limit(bench: &Bench) -> Result<Vec<Figure>> {
    let rate = Limit {
        name: "rate".to_owned(),
        per: Per::Address,
        rule: Rule::Rate {
            limit: 1_000_000,
            period: Duration::from_secs(1),
            burst: 1_000_000,
        },
        counting: Counting::Process,
        on_error: OnError::Refuse,
        upstream_failed: Spent::Stays,
    };
    let probe = LimitProbe::new(vec![rate]).context("a limit that counts")?;
    let table: Mutex<HashMap<u32, u64>> = Mutex::default();
    let (began, wall) = (clock::now(), clock::unix_milliseconds());
    let (mut floors, mut all) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let turn = clock::now();
        for at in 0..TIMES {
            let mut table = table.lock().map_err(|_| anyhow::anyhow!("a lock broke"))?;
            *black_box(table.entry(at % CALLERS).or_default()) += 1;
        }
        floors.push(each(turn.elapsed(), TIMES as usize) * 1000.0);
        let turn = clock::now();
        for at in 0..TIMES {
            let address = IpAddr::V4(Ipv4Addr::from(at % CALLERS));
            let steady = u64::try_from(began.elapsed().as_micros())?;
            ensure!(
                probe.take(black_box(address), steady, wall),
                "a rate that is never reached was"
            );
        }
        all.push(each(turn.elapsed(), TIMES as usize) * 1000.0);
    }
    let figure = Figure::new("limit, in one process", "ns", Bound::AtMost(2000.0));
    Ok(vec![figure.rounds(floors, all).note(
        "through Redis it is one round trip, which a test counts".to_owned(),
    )])
}
