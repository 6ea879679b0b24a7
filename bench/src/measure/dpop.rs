//! Checking a token bound to a key, in process: token and proof, each shown for
//! the first time, against the bare check of their two signatures.

use std::time::Duration;

use anyhow::{Result, ensure};
use axum::http::Request;
use axum::http::request::Parts;
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_verify::{Requirement, Revocation, Verifier};

use super::verify::{API, Issuer, Signed, each, public_key};
use crate::bench::Bench;
use crate::clock;
use crate::figure::{Bound, Figure};

/// How many requests are made, each with a token and a proof of its own.
const REQUESTS: usize = 2000;
/// How many of them floor and ours check before they change places.
const TURN: usize = 100;

pub(crate) fn dpop(bench: &Bench) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (floor, ours) = runtime.block_on(measure(bench.rounds))?;
    let figure = Figure::new(
        "verify DPoP: token and proof ES256, first time",
        "µs",
        Bound::AtMostTimes(1.2),
    );
    Ok(vec![figure.rounds(floor, ours).note(
        "the floor checks two signatures with parsed keys".to_owned(),
    )])
}

async fn measure(rounds: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let issuer = Issuer::start().await?;
    let document = SigningKey::generate(SigningAlgorithm::Es256)?;
    let holder = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document)?;
    let (of_issuer, of_holder) = (issuer.public_key()?, public_key(holder.bare_jwk())?);
    let tokens: Vec<_> = (0..REQUESTS)
        .map(|n| issuer.bound_token(n, holder.kid()))
        .collect();
    let needed = Requirement::all(["read:orders"]).revocation(Revocation::AtExpiry);
    let (mut floors, mut all) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let verifier = issuer.verifier().await?.require_dpop_nonce();
        verifier.ready().await?;
        let proofs = proofs(&verifier, &holder, &tokens);
        let requests = requests(&tokens, &proofs)?;
        let (mut floor, mut ours) = (Duration::ZERO, Duration::ZERO);
        for at in (0..REQUESTS).step_by(TURN) {
            let turn = at..at + TURN;
            let signed: Vec<_> = turn
                .clone()
                .map(|n| Ok((Signed::of(&tokens[n])?, Signed::of(&proofs[n])?)))
                .collect::<Result<_>>()?;
            let began = clock::now();
            for (token, proof) in &signed {
                let is_good = token.is_good(&of_issuer) && proof.is_good(&of_holder);
                ensure!(is_good, "a good signature was refused");
            }
            floor += began.elapsed();
            let began = clock::now();
            for request in &requests[turn] {
                let checked = verifier.check(request, &needed).await;
                checked.map_err(|refusal| anyhow::anyhow!("refused: {}", refusal.cause()))?;
            }
            ours += began.elapsed();
        }
        floors.push(each(floor, REQUESTS));
        all.push(each(ours, REQUESTS));
        // What takes a proof twice would be fast.
        let again = verifier.check(&requests[0], &needed).await;
        ensure!(again.is_err(), "a proof was taken twice");
    }
    Ok((floors, all))
}

fn proofs(verifier: &Verifier, holder: &SigningKey, tokens: &[String]) -> Vec<String> {
    let nonce = verifier.next_nonce();
    let target = format!("{API}/orders");
    let make = |(n, token): (usize, &String)| {
        let jti = format!("proof-number-{n}");
        let claims = Claims {
            method: "GET",
            target: &target,
            jti: &jti,
            issued: Timestamp::from_seconds(clock::unix_seconds()),
            access_token: Some(token),
            nonce: Some(&nonce),
        };
        prove(holder, &claims)
    };
    tokens.iter().enumerate().map(make).collect()
}

fn requests(tokens: &[String], proofs: &[String]) -> Result<Vec<Parts>> {
    let request = |(token, proof): (&String, &String)| {
        let request = Request::get("/orders?page=2")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof)
            .body(())?;
        Ok(request.into_parts().0)
    };
    tokens.iter().zip(proofs).map(request).collect()
}
