//! Exchanging a JWT for a narrower JWT, against the same server issuing JWTs
//! to clients for themselves.

use std::hint::black_box;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::load::{CONNECTIONS, Caller, Repeated, Run};
use crate::server::{Home, ORDERS, client_credentials, exchange};
use crate::wire::Request;

pub(crate) fn exchange_tokens(bench: &Bench) -> Result<Vec<Figure>> {
    let ours = Home::on_sqlite(bench, "exchange")?.start(bench)?;
    // Each connection shows a token of its own, again and again, as an API
    // does with the token of somebody who works with it.
    let tokens = (0..CONNECTIONS)
        .map(|_| {
            let issued = client_credentials(ORDERS).ask(ours.address)?;
            issued.text("access_token")
        })
        .collect::<Result<Vec<_>>>()?;
    exchange(&tokens[0]).ask(ours.address)?;
    let ask = |request: &dyn Fn(usize) -> Request| -> Result<Run> {
        let callers = (0..CONNECTIONS)
            .map(|n| Repeated(request(n).bytes(ours.address)))
            .collect();
        Ok(bench.load(&ours).run(callers)?.0)
    };

    let rounds = bench.interleave(
        || ask(&|_| client_credentials(ORDERS)),
        || ask(&|n| exchange(&tokens[n])),
    )?;

    // Half of the requests issue what the other half exchange, so exchanging at
    // 0.60 of the rate of issuing is both at 0.75 of it. Who asks reads answers
    // and writes requests on both sides: it shares the cores.
    let in_turn = |shows: bool| {
        let callers = (0..CONNECTIONS).map(|_| InTurn::new(ours.address, shows));
        Ok(bench.load(&ours).run(callers.collect())?.0)
    };
    let in_turn = bench.interleave(|| in_turn(false), || in_turn(true))?;

    Ok(vec![
        rounds.rate("exchange, JWT for a narrower JWT", Bound::AtLeast(0.60)),
        in_turn.rate(
            "issue and exchange in turn, each token shown once",
            Bound::AtLeast(0.75),
        ),
    ])
}

/// Asks for a token, exchanges it, and begins again: no token is shown twice.
struct InTurn {
    address: SocketAddr,
    next: Vec<u8>,
    /// Whether tokens are shown; otherwise another is asked for instead.
    shows: bool,
    is_second: bool,
}

impl InTurn {
    fn new(address: SocketAddr, shows: bool) -> Self {
        Self {
            address,
            next: client_credentials(ORDERS).bytes(address),
            shows,
            is_second: false,
        }
    }
}

impl Caller for InTurn {
    fn request(&self) -> &[u8] {
        &self.next
    }

    fn answered(&mut self, body: &[u8]) -> Result<()> {
        let issue = client_credentials(ORDERS).bytes(self.address);
        self.next = if self.is_second {
            issue
        } else {
            let answer: Value = serde_json::from_slice(body)?;
            let token = answer["access_token"].as_str();
            let request = exchange(token.context("an answer without a token")?);
            let shown = black_box(request.bytes(self.address));
            if self.shows { shown } else { issue }
        };
        self.is_second = !self.is_second;
        Ok(())
    }
}
