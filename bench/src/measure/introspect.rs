//! Introspection of opaque tokens against a server that answers as many bytes.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::floor::Floor;
use crate::load::CONNECTIONS;
use crate::server::{Home, VAULT, client_credentials, introspection};

pub(crate) fn introspect(bench: &Bench) -> Result<Vec<Figure>> {
    let ours = Home::on_sqlite(bench, "introspect")?.start(bench)?;
    // Each connection asks about a token of its own.
    let tokens = (0..CONNECTIONS)
        .map(|_| {
            let issued = client_credentials(VAULT).ask(ours.address)?;
            issued.text("access_token")
        })
        .collect::<Result<Vec<_>>>()?;
    let sample = introspection(&tokens[0]).ask(ours.address)?;
    ensure!(
        sample.body.contains(r#""active":true"#),
        "a fresh token is inactive: {}",
        sample.body
    );
    let floor = Floor::Answers(sample.body.len()).start(bench)?;

    let rounds = bench.duel(&floor, &ours, |n| introspection(&tokens[n]))?;

    Ok(vec![
        rounds.rate("introspection, opaque", Bound::AtLeast(0.70)),
    ])
}
