//! A macaroon with five caveats, opened, proved and judged in process, against
//! the bare chain of its MACs, and beside `pymacaroons`.

use std::hint::black_box;
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use serde_json::{Value, json};
use symbolon_protocol::Timestamp;
use symbolon_token::clock::system_random;
use symbolon_token::macaroon::{self, Caveat, Context, Request};
use symbolon_token::seal::Bound as Sealed;
use symbolon_token::{Authority, Entropy, Granted, Keyring, Position};

use crate::bench::Bench;
use crate::clock;
use crate::figure::{Bound, Figure};

const CAVEATS: [&str; 5] = [
    "scope = read:orders",
    "before = 2100-01-01T00:00:00Z",
    "method = GET,HEAD",
    "path = /orders/{id}",
    "network = 10.0.0.0/8",
];
/// How often each is done in a round.
const TIMES: u32 = 20_000;
/// How often the Python library proves one.
const PYTHON_TIMES: u32 = 2_000;
const SEALED: Sealed<'_> = Sealed {
    issuer: "https://as.example.com",
    epoch: 1,
};

#[derive(Debug)]
struct Drawn;

impl Entropy for Drawn {
    fn fill(&self, bytes: &mut [u8]) {
        if system_random(bytes).is_err() {
            std::process::abort();
        }
    }
}

pub(crate) fn macaroon(bench: &Bench) -> Result<Vec<Figure>> {
    let keys = Keyring::new(Keyring::generate(&Drawn, Vec::new()))?;
    let now = Timestamp::from_millis(clock::unix_milliseconds());
    let minted = macaroon::mint(&keys, SEALED, &authority(now)?, now, &Drawn)?;
    let caveats = CAVEATS.iter().map(|text| text.parse::<Caveat>());
    let text = macaroon::attenuate(&minted.text, &caveats.collect::<Result<Vec<_>, _>>()?)?;
    let context = Context {
        now,
        skew: Duration::ZERO,
        request: Request {
            method: Some("GET"),
            path: Some("/orders/7"),
            address: Some(IpAddr::from([10, 1, 2, 3])),
        },
    };
    let open = || -> Result<Authority> {
        let token = macaroon::open(&keys, SEALED, black_box(&text))?;
        Ok(token.judge(&context)?.0)
    };
    ensure!(open()?.scopes().len() == 1, "the caveats were not obeyed");
    let (mut floor, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        floor.push(timed(|| {
            black_box(bare_chain(black_box(&text)));
            Ok(())
        })?);
        ours.push(timed(|| open().map(|left| drop(black_box(left))))?);
    }
    let figure = Figure::new("macaroon, five caveats", "µs", Bound::AtMost(5.0));
    Ok(vec![figure.rounds(floor, ours).note(note())])
}

fn authority(now: Timestamp) -> Result<Authority> {
    Ok(Authority::granted(Granted::to_client(
        "job".parse()?,
        "https://api.example.com".parse()?,
        "read:orders write:orders".parse()?,
        now + Duration::from_secs(3600),
        Position {
            epoch: 1,
            sequence: 0,
        },
    )))
}

/// As many MACs as the format has: over the identifier with the key of the
/// root, the derivation of the library, the identifier, each caveat.
fn bare_chain(text: &str) -> [u8; 32] {
    let mut key = [7; 32];
    let identifier = text.as_bytes().get(..220).unwrap_or_default();
    let begin = [identifier, b"macaroons-key-generator", identifier];
    for part in begin
        .into_iter()
        .chain(CAVEATS.iter().map(|own| own.as_bytes()))
    {
        let tag = sign(&Key::new(HMAC_SHA256, &key), part);
        key.copy_from_slice(tag.as_ref());
    }
    key
}

fn timed(mut one: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..TIMES / 10 {
        one()?;
    }
    let began = clock::now();
    for _ in 0..TIMES {
        one()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}

/// What the Python library takes, where there is one.
fn note() -> String {
    match pymacaroons() {
        Ok(microseconds) => format!("pymacaroons: {microseconds:.0} µs"),
        Err(why) => format!("pymacaroons: not measured ({why})"),
    }
}

fn pymacaroons() -> Result<f64> {
    let python =
        std::env::var("SYMBOLON_TEST_PYTHON").context("SYMBOLON_TEST_PYTHON is not set")?;
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/peers/pymacaroons_flow.py"
    );
    let given = json!({ "caveats": CAVEATS, "times": PYTHON_TIMES });
    let mut child = Command::new(python)
        .args([path, "time"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(given.to_string().as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "it failed");
    let told: Value = serde_json::from_slice(&output.stdout)?;
    told["microseconds"].as_f64().context("no figure")
}
