//! R35: what makes a credential secret comes from the operating system, 160
//! bits of it at least, and no two are the same.
//!
//! By construction: every credential asks the source for enough bytes in one
//! draw, or is derived from one that did. By statistics: no bit of many
//! credentials leans to either side.
//!
//! Spec: RFC 6749 §10.10

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use symbolon_testkit::{Row, START};
use symbolon_token::clock::system_random;
use symbolon_token::mark::{self, Kind};
use symbolon_token::refresh::RefreshToken;
use symbolon_token::{Authority, Entropy, Id, Slot, macaroon, opaque, random};

use super::any::bearer;
use super::form::{ISSUER, bound, keys};

/// How much of each credential is looked at, in bytes: 192 bits.
const LOOKED_AT: usize = 24;
/// How many bytes nobody may guess, at least.
const LEAST: usize = 20;

/// The operating system's randomness, with the largest draw from it noted.
#[derive(Debug, Default)]
struct Counted(AtomicUsize);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fetch_max(bytes.len(), Ordering::Relaxed);
        system_random(bytes).unwrap();
    }
}

/// Draws one, and takes its secret out.
type Draw = dyn Fn(&Counted) -> [u8; LOOKED_AT];

/// A kind of credential, and how one is drawn.
struct Drawn {
    name: &'static str,
    draw: Box<Draw>,
}

fn drawn(name: &'static str, draw: impl Fn(&Counted) -> [u8; LOOKED_AT] + 'static) -> Drawn {
    let draw = Box::new(draw);
    Drawn { name, draw }
}

/// The bytes of a credential, behind its mark where it has one.
fn bytes_of(text: &str) -> Vec<u8> {
    let body = match text.starts_with(mark::MARK) {
        true => text.splitn(3, '_').nth(2).unwrap(),
        false => text,
    };
    BASE64_URL_SAFE_NO_PAD.decode(body).unwrap()
}

/// The salt of a sealed credential, from which its key and number come.
fn salt(text: &str) -> [u8; LOOKED_AT] {
    bytes_of(text)[5..5 + LOOKED_AT].try_into().unwrap()
}

fn sealed(name: &'static str, kind: Kind) -> Drawn {
    drawn(name, move |entropy| {
        let sealed = keys().seal(kind, bound(ISSUER), b"what it says", entropy);
        salt(&sealed.text)
    })
}

/// One that is its random bytes with a mark and a checksum.
fn plain(name: &'static str, kind: Kind) -> Drawn {
    drawn(name, move |entropy| {
        let text = mark::write_fixed(kind, &random::<32>(entropy));
        let bytes: [u8; 36] = mark::read_fixed(kind, &text).unwrap();
        bytes[..LOOKED_AT].try_into().unwrap()
    })
}

fn secret_of(token: &RefreshToken) -> [u8; LOOKED_AT] {
    let bytes: [u8; 68] =
        mark::read_fixed(Kind::RefreshToken, &token.write(keys()).unwrap()).unwrap();
    bytes[24..48].try_into().unwrap()
}

fn every_kind() -> Vec<Drawn> {
    let tree = bearer().new_tree(&mut TestRunner::deterministic()).unwrap();
    let (one, two): (Authority, Authority) = (tree.current(), tree.current());
    let family = |entropy: &Counted| Id::new(Slot::random(entropy), entropy);
    vec![
        drawn("opaque access token", move |entropy| {
            let minted = opaque::mint(keys(), bound(ISSUER), &one, START, entropy);
            salt(&minted.unwrap().text)
        }),
        drawn("macaroon", move |entropy| {
            let minted = macaroon::mint(keys(), bound(ISSUER), &two, START, entropy);
            // The signature comes last, and who holds it holds the macaroon.
            let bytes = bytes_of(&minted.unwrap().text);
            bytes[bytes.len() - LOOKED_AT..].try_into().unwrap()
        }),
        drawn("first refresh token", move |entropy| {
            secret_of(&RefreshToken::first(keys(), family(entropy), entropy))
        }),
        drawn("refresh token after it", move |entropy| {
            let first = RefreshToken::first(keys(), family(entropy), entropy);
            secret_of(&first.successor(keys()))
        }),
        sealed("authorization code", Kind::AuthorizationCode),
        sealed("sign-in transaction", Kind::Transaction),
        plain("client secret", Kind::ClientSecret),
        plain("registration token", Kind::Registration),
        plain("administration token", Kind::Administration),
    ]
}

/// What is wrong with many of a kind.
fn judge(number: usize, draw: impl Fn(&Counted) -> [u8; LOOKED_AT]) -> Result<(), String> {
    let mut seen = HashSet::with_capacity(number);
    let mut ones = [0_u32; LOOKED_AT * 8];
    for _ in 0..number {
        let entropy = Counted::default();
        let bytes = draw(&entropy);
        let asked = entropy.0.load(Ordering::Relaxed);
        if asked < LEAST {
            return Err(format!("it asks for {asked} bytes"));
        }
        if !seen.insert(bytes) {
            return Err("two are the same".to_owned());
        }
        for (place, ones) in ones.iter_mut().enumerate() {
            *ones += u32::from(bytes[place / 8] >> (place % 8) & 1);
        }
    }
    // Seven standard deviations: once in two billion runs by chance.
    let (mean, most) = (number as f64 / 2.0, 7.0 * (number as f64).sqrt() / 2.0);
    let leans = |ones: &u32| (f64::from(*ones) - mean).abs() > most;
    match ones.iter().position(leans) {
        Some(place) => Err(format!("bit {place} is set in {} of {number}", ones[place])),
        None => Ok(()),
    }
}

/// Row R35 of the reliability catalogue.
#[test]
fn r35_no_credential_comes_twice_or_can_be_guessed() {
    for Drawn { name, draw } in every_kind() {
        let judged = judge(Row::R35.size(100_000, 1_000_000), draw);

        assert_eq!(judged, Ok(()), "{name}");
    }
}

/// The look finds what it looks for.
#[test]
fn r35_too_little_the_same_and_what_leans_would_be_found() {
    let whole = |entropy: &Counted| random::<LOOKED_AT>(entropy);
    let short = judge(10, |entropy| {
        let drawn: [u8; 16] = random(entropy);
        std::array::from_fn(|at| drawn[at % 16])
    });
    let same = judge(1_000, |entropy| {
        let drawn = whole(entropy);
        std::array::from_fn(|at| if at == 0 { drawn[0] } else { 0 })
    });
    let leaning = judge(10_000, |entropy| {
        let mut drawn = whole(entropy);
        drawn[7] |= drawn[8] & drawn[9] & drawn[10] & 4;
        drawn
    });

    assert_eq!(judge(10_000, whole), Ok(()));
    assert!(short.unwrap_err().contains("asks for 16 bytes"));
    assert_eq!(same.unwrap_err(), "two are the same");
    assert!(leaning.unwrap_err().starts_with("bit 58"));
}
