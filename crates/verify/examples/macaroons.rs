//! Macaroons: whoever holds one narrows it without asking anyone, and the API judges
//! its conditions for the request that it comes with.
//!
//! ```sh
//! cargo run -p symbolon-verify --example macaroons -- "$MACAROON"
//! ```
//!
//! Spec: Macaroons NDSS 2014 §2

use symbolon_verify::macaroon::{Caveat, attenuate, inspect};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let held = std::env::args().nth(1).unwrap_or_else(|| HELD.to_owned());

    let caveats: [Caveat; 3] = [
        "method = GET".parse()?,
        "path = /orders/{*rest}".parse()?,
        "before = 2026-12-01T18:00:00Z".parse()?,
    ];
    let narrower = attenuate(&held, &caveats)?;

    // At the API nothing is said of it: behind `verifier.require(…)` it is good for
    // GET /orders/7 until then, and for nothing else.
    for caveat in inspect(&narrower)?.caveats {
        println!("{caveat:?}");
    }
    println!("{narrower}");
    Ok(())
}

/// One of nobody's, so that this runs as it is.
const HELD: &str =
    "AgETaHR0cDovL2V4YW1wbGUub3JnLwIFa2V5aWQAAAYgfN7nklEcW8b1KEhYBd_psk54XijiqZMB-dcRxgnjjvc";
