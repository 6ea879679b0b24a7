//! Exchanging a JWT for a narrower JWT, against the same server issuing JWTs
//! to clients for themselves.

use anyhow::Result;

use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::load::{CONNECTIONS, Repeated, Run};
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

    Ok(vec![rounds.rate(
        "exchange, JWT for a narrower JWT",
        Bound::AtLeast(0.60),
    )])
}
