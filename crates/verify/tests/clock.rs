//! A wall clock that is a day ahead for a moment: nothing that refuses is
//! forgotten by it.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::Request;
use serde_json::json;
use support::feed::{Opened, at, head, record, until};
use support::{Issuer, at_expiry, key};
use symbolon_protocol::{SigningAlgorithm, Timestamp};
use symbolon_testkit::{FixedClock, START};
use symbolon_token::Clock;
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::feed::Tally;
use symbolon_token::jose::SigningKey;
use symbolon_token::revocation::{Revocation, Target};
use symbolon_verify::Verifier;

const DAY: i64 = 24 * 60 * 60;

/// A clock whose wall clock can be ahead.
#[derive(Debug)]
struct Jumping {
    clock: Arc<FixedClock>,
    ahead: AtomicI64,
}

impl Jumping {
    fn of(issuer: &Issuer) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::clone(&issuer.clock),
            ahead: AtomicI64::new(0),
        })
    }

    fn is_ahead_by(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::SeqCst);
        Timestamp::from_seconds(self.clock.now().seconds() + ahead)
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// Sends a head that says what time it is, behind the records of its tally.
fn heads(issuer: &Issuer, stream: &Opened, sequence: i64, mut tally: Tally) {
    let mut own = head(issuer, stream, at(sequence), sequence - 1).over(tally.take());
    own.time = issuer.clock.now().seconds();
    own.elapsed = u64::try_from(issuer.clock.now().millis() - START.millis()).unwrap();
    stream.head(&own, &issuer.feed().key);
}

/// Sends heads, and waits until what is done behind the first of them is done.
async fn goes_on(issuer: &Issuer, verifier: &Verifier, stream: &Opened, sequence: i64) {
    for sequence in [sequence, sequence + 1] {
        heads(issuer, stream, sequence, Tally::default());
        until(verifier, |state| state.sequence == sequence).await;
    }
}

#[tokio::test]
async fn what_was_taken_back_stays_so_when_the_clock_was_ahead() {
    let issuer = Issuer::start().await;
    let clock = Jumping::of(&issuer);
    let verifier = issuer.subscribed().with_clock(clock.clone());
    let (ready, stream) = tokio::join!(verifier.ready(), issuer.snapshot(at(5), &[]));
    ready.unwrap();
    let token = issuer.token(|claims| {
        claims["exp"] = (START.seconds() + 1200).into();
        claims["rev"] = json!({ "e": 1, "q": 5, "c": "00000000000000aa", "s": "0000000000000007" });
    });
    let dead = Revocation {
        expires: START + Duration::from_secs(1200),
        ..record(6, Target::Session, 7)
    };
    let mut tally = Tally::default();
    stream.records(&[dead], &mut tally);
    heads(&issuer, &stream, 6, tally);
    until(&verifier, |state| state.sequence == 6).await;

    issuer.advance(61);
    clock.is_ahead_by(DAY);
    goes_on(&issuer, &verifier, &stream, 7).await;
    clock.is_ahead_by(0);

    let refused = verifier.check(&token, &at_expiry()).await;
    assert_eq!(refused.unwrap_err().code(), "revoked");
    // Its token is over, and so is what can be known of it.
    issuer.advance(1500);
    assert_eq!(verifier.feed().unwrap().records, 1);
    goes_on(&issuer, &verifier, &stream, 9).await;
    assert_eq!(verifier.feed().unwrap().records, 0);
}

fn proof(clock: &Jumping, own: &SigningKey, (jti, token): (&str, &str)) -> String {
    let claims = Claims {
        method: "GET",
        target: "https://api.example/invoices",
        jti,
        issued: clock.now(),
        access_token: Some(token),
        nonce: None,
    };
    prove(own, &claims)
}

#[tokio::test]
async fn a_proof_that_was_used_is_not_forgotten_when_the_clock_was_ahead() {
    let issuer = Issuer::start().await;
    let clock = Jumping::of(&issuer);
    let verifier = issuer.verifier().with_clock(clock.clone());
    issuer.advance(20);
    let own = key(SigningAlgorithm::Es256);
    let token = issuer.token(|claims| {
        claims["exp"] = (START.seconds() + 2 * DAY).into();
        claims["cnf"] = json!({ "jkt": own.kid() });
    });
    let check = async |proof: &str| {
        let request = Request::get("/invoices")
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", proof);
        let parts = request.body(()).unwrap().into_parts().0;
        let checked = verifier.check(&parts, &at_expiry()).await;
        checked.map_or_else(|refusal| refusal.code(), |_| "good")
    };
    let stolen = proof(&clock, &own, ("a", &token));
    assert_eq!(check(&stolen).await, "good");

    clock.is_ahead_by(DAY);
    assert_eq!(check(&proof(&clock, &own, ("b", &token))).await, "good");
    clock.is_ahead_by(0);

    assert_eq!(check(&stolen).await, "proof_replayed");
}
