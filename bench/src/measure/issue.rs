//! Client credentials: a JWT against a server that only signs the same claims,
//! an opaque token against one that answers as many bytes.

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::bench::Bench;
use crate::figure::{Bound, Figure};
use crate::floor::Floor;
use crate::server::{Home, ORDERS, VAULT, client_credentials};

pub(crate) fn issue(bench: &Bench) -> Result<Vec<Figure>> {
    let ours = Home::on_sqlite(bench, "issue")?.start(bench)?;

    let sample = client_credentials(ORDERS).ask(ours.address)?;
    let claims = claims(&sample.text("access_token")?)?;
    let signing = Floor::Signs(&claims).start(bench)?;
    let jwt = bench.duel(&signing, &ours, |_| client_credentials(ORDERS))?;

    let sample = client_credentials(VAULT).ask(ours.address)?;
    let answering = Floor::Answers(sample.body.len()).start(bench)?;
    let opaque = bench.duel(&answering, &ours, |_| client_credentials(VAULT))?;

    Ok(vec![
        jwt.rate("client credentials, JWT ES256", Bound::AtLeast(0.75)),
        opaque.rate("client credentials, opaque", Bound::AtLeast(0.70)),
    ])
}

/// The claims of a JWT, as JSON.
pub(crate) fn claims(token: &str) -> Result<String> {
    let payload = token.split('.').nth(1).context("not a JWT")?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(payload)?;
    Ok(String::from_utf8(bytes)?)
}
