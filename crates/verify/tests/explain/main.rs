//! Broken tokens of all kinds, each with one cause, and what is said of them.
//!
//! Spec: RFC 6750 §3.1
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod binding;
#[path = "../corpus/mod.rs"]
mod corpus;
mod macaroons;
mod revoked;
#[path = "../support/macaroons.rs"]
mod shared_macaroons;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use corpus::{API, Case, Given};
use serde_json::json;
use support::{Issuer, Reply, at_expiry};
use symbolon_testkit::{FixedClock, START};
use symbolon_verify::{Explanation, Outcome, Verdict, What};

pub(crate) async fn given() -> (Issuer, Given) {
    let issuer = Issuer::start().await;
    let given = Given::new(&issuer.url, START);
    issuer.serves_keys(Reply::Json(given.key_set()));
    (issuer, given)
}

pub(crate) fn outcome(told: &Explanation, check: &str) -> Outcome {
    let found = told.checks.iter().find(|step| step.check == check);
    found.unwrap().outcome
}

/// Nothing of a credential stands in an explanation: no part of it that is
/// longer than a few letters and no claim of its own.
pub(crate) fn shows_nothing_of(token: &str, told: &Explanation) {
    let text = serde_json::to_string(told).unwrap();
    let signature = token.rsplit('.').next().unwrap_or_default();
    for part in [token, signature] {
        assert!(part.len() < 24 || !text.contains(part), "{text}");
    }
}

/// What is said wrongly of a case.
fn wrong(case: &Case, told: &Explanation) -> Option<String> {
    let all = told.checks.iter();
    let failed: Vec<_> = all
        .filter(|step| step.outcome == Outcome::Failed)
        .map(|step| step.check)
        .collect();
    let is_right = told.root == case.root
        && told.verdict == Verdict::Refused
        && failed == [case.check]
        && told.cause.starts_with(case.check)
        && told.repair.contains(case.repair);
    let (root, cause, repair) = (told.root, &told.cause, &told.repair);
    (!is_right).then(|| {
        format!(
            "{}: {root} (not {}), {failed:?}, {cause}; {repair}\n",
            case.name, case.root
        )
    })
}

/// Attack: E127
/// Attack: E128
/// Attack: E134
/// Attack: E149
/// Attack: E163
/// Attack: E164
#[tokio::test]
async fn every_broken_token_has_one_cause_and_its_twin_is_valid() {
    let (issuer, given) = given().await;
    let verifier = issuer.verifier();
    let cases = corpus::all();
    assert!(cases.len() >= 100, "{}", cases.len());
    let mut all = Vec::new();

    for case in &cases {
        let token = (case.broken)(&given);
        let told = verifier.explain(&token, &at_expiry()).await;

        all.extend(wrong(case, &told));
        shows_nothing_of(&token, &told);
    }
    assert!(all.is_empty(), "{}", all.concat());

    let good = verifier.explain(&given.good(), &at_expiry()).await;
    assert_eq!((good.verdict, good.root), (Verdict::Valid, "valid"));
    let edge = given.with(|claims| claims["exp"] = (START.seconds() - 9).into());
    assert_eq!(verifier.explain(&edge, &at_expiry()).await.root, "valid");
    let both = given.with(|claims| claims["aud"] = json!(["https://a.example", API]));
    assert_eq!(verifier.explain(&both, &at_expiry()).await.root, "valid");
}

#[tokio::test]
async fn a_sign_in_is_called_asked_where_a_route_demands_one() {
    let (issuer, given) = given().await;
    let verifier = issuer.verifier();
    let token = given.with(|claims| {
        claims["acr"] = "phr".into();
        claims["auth_time"] = START.seconds().into();
    });
    let recent = at_expiry().max_age(Duration::from_secs(60));

    for (demanded, expected) in [
        (at_expiry(), Outcome::NotAsked),
        (recent, Outcome::Passed),
        (at_expiry().acr_values(["phr"]), Outcome::Passed),
        (at_expiry().acr_values(["other"]), Outcome::Failed),
    ] {
        let told = verifier.explain(&token, &demanded).await;

        assert_eq!(outcome(&told, "policy"), expected, "{demanded:?}");
    }
}

#[tokio::test]
async fn an_edit_is_named_with_what_stood_there_before() {
    let (issuer, given) = given().await;
    let verifier = issuer.verifier();
    let more = corpus::edited(&given.good(), |c| c["scope"] = "read:invoices admin".into());
    let longer = corpus::edited(&given.good(), |c| c["exp"] = 4_000_000_000_u64.into());

    let scope = verifier.explain(&more, &at_expiry()).await;
    let expiry = verifier.explain(&longer, &at_expiry()).await;

    assert!(
        scope
            .cause
            .contains("it was `read:invoices`, now it is `read:invoices admin`"),
        "{}",
        scope.cause
    );
    let was = (START + Duration::from_secs(600)).to_string();
    assert!(expiry.cause.contains(&was), "{}", expiry.cause);
    assert_eq!(
        expiry.key.unwrap().verifies.as_deref(),
        Some(given.key.kid())
    );
}

#[tokio::test]
async fn what_was_done_on_the_way_is_undone_and_the_rest_told() {
    let (issuer, given) = given().await;
    let verifier = issuer.verifier();
    let old = given.with(|claims| claims["exp"] = (START.seconds() - 100).into());

    let good = verifier
        .explain(&format!("Bearer {}", given.good()), &at_expiry())
        .await;
    let late = verifier
        .explain(&format!("\"Bearer {old}\""), &at_expiry())
        .await;

    assert_eq!(
        good.repaired.as_deref(),
        Some("without that, the token is valid")
    );
    assert_eq!(
        (good.shown, &*good.defects),
        (What::AccessToken, &["scheme_twice"][..])
    );
    assert_eq!(late.defects, ["quotes", "scheme_twice"]);
    assert!(late.repaired.unwrap().contains("expiry: the token ended"));
}

#[tokio::test]
async fn a_clock_that_differs_is_told_from_a_token_that_ended() {
    let (issuer, given) = given().await;
    let on = |seconds: i64| {
        let clock = FixedClock::new();
        let now = START.seconds() + 86_400 + seconds;
        clock.advance(Duration::from_secs(
            u64::try_from(now - START.seconds()).unwrap(),
        ));
        issuer.verifier().with_clock(Arc::new(clock))
    };
    issuer.advance(86_400);
    let now = START.seconds() + 86_400;
    let fresh = given.with(|c| {
        c["iat"] = now.into();
        c["exp"] = (now + 600).into();
    });

    let right = on(0).explain(&fresh, &at_expiry()).await;
    let ahead = on(900).explain(&fresh, &at_expiry()).await;
    let behind = on(-900).explain(&fresh, &at_expiry()).await;
    let ended = on(0).explain(&given.good(), &at_expiry()).await;

    assert_eq!(right.root, "valid");
    assert_eq!((ahead.root, behind.root), ("clock_ahead", "clock_behind"));
    assert!(ahead.cause.contains("900 s ahead"), "{}", ahead.cause);
    assert!(ahead.repair.contains("set the clock of this machine"));
    assert_eq!(ahead.clock.unwrap().ahead_seconds, Some(900));
    assert_eq!(ended.root, "expired");
    assert_eq!(ended.clock.unwrap().ahead_seconds, Some(0));
}

#[tokio::test]
async fn the_setting_that_demanded_is_named_beside_both_values() {
    let (issuer, given) = given().await;
    let verifier = issuer.verifier();
    let elsewhere = given.with(|claims| claims["aud"] = format!("{API}/").into());
    let narrow = given.with(|claims| claims["scope"] = "write:invoices".into());

    let audience = verifier.explain(&elsewhere, &at_expiry()).await;
    let scope = verifier.explain(&narrow, &at_expiry()).await;

    let demanded = audience.demanded.unwrap();
    assert_eq!(
        (demanded.setting, &*demanded.value),
        ("resource.identifier", API)
    );
    let [difference] = &audience.differences[..] else {
        panic!("{:?}", audience.differences)
    };
    assert_eq!(
        (&*difference.wanted, &*difference.found),
        (API, &*format!("{API}/"))
    );
    assert!(difference.note.unwrap().contains("a slash at the end"));
    assert_eq!(scope.demanded.unwrap().setting, "gateway.route.scopes");
    assert_eq!(scope.differences[0].found, "write:invoices");
}

#[tokio::test]
async fn a_credential_in_a_claim_is_masked() {
    let (issuer, given) = given().await;
    let inside = given.with(|claims| {
        claims["note"] = "sym_rt_4f8aQ1secret".into();
        claims["aud"] = "https://other.example".into();
    });

    let told = issuer.verifier().explain(&inside, &at_expiry()).await;

    assert_eq!(told.claims["note"], "[REDACTED: a refresh token]");
}
