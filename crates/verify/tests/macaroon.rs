//! Macaroons: by a key of the resource's own, or by the issuer's word, and in
//! both cases for one request.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

#[path = "support/macaroons.rs"]
mod macaroons;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use self::macaroons::{bound, document, keys_of, narrow, sealed_for, share, shared_for};
use axum::body::Body;
use axum::extract::Request as HttpRequest;
use axum::http::request::Parts;
use serde_json::json;
use support::feed::{Opened, at};
use support::{API, Issuer, Reply, app, at_expiry, call, key, with_token};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::SeededEntropy;
use symbolon_token::Clock;
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_verify::macaroon::Request;
use symbolon_verify::{ClientAddress, Outcome, Principal, Requirement, Revocation, Verifier};

/// An issuer that gives out the keys of this API, and one of its macaroons.
async fn sharing() -> (Issuer, String) {
    let issuer = Issuer::start().await;
    share(&issuer);
    let token = shared_for(&issuer, API);
    (issuer, token)
}

const GET: Request<'_> = Request {
    method: Some("GET"),
    path: Some("/invoices"),
    address: None,
};

#[tokio::test]
async fn a_shared_macaroon_is_checked_here_and_its_key_is_fetched_once() {
    let (issuer, token) = sharing().await;
    let verifier = issuer.asking();

    for _ in 0..3 {
        let principal = verifier.check(&token, &at_expiry()).await.unwrap();
        assert_eq!((principal.subject(), principal.client()), ("job", "job"));
    }
    let narrower = narrow(&token, &["scope = write:invoices"]);
    let refused = verifier.check(&narrower, &at_expiry()).await.unwrap_err();

    assert_eq!(refused.code(), "insufficient_scope");
    assert_eq!(
        issuer.behaviour.macaroon_keys_read.load(Ordering::SeqCst),
        1
    );
    assert_eq!(issuer.questions(), 0, "nobody was asked about revocation");
    issuer.advance(611);
    let refused = verifier.check(&token, &at_expiry()).await.unwrap_err();
    assert_eq!(refused.code(), "expired");
}

#[tokio::test]
async fn conditions_are_judged_for_the_request_behind_the_layer() {
    let (issuer, token) = sharing().await;
    let api = app(&issuer.asking(), at_expiry());
    let with = |caveats: &[&str]| narrow(&token, caveats);

    assert_eq!(
        with_token(&api, &with(&["method = GET", "path = /invoices"]))
            .await
            .status,
        200
    );
    let post = with_token(&api, &with(&["method = POST"])).await;
    assert_eq!(
        (post.status.as_u16(), post.json()["error"].as_str()),
        (403, Some("insufficient_scope"))
    );
    assert_eq!(
        with_token(&api, &with(&["path = /orders"])).await.status,
        403
    );
    let late = with_token(&api, &with(&["after = 2026-06-01T00:00:00Z"])).await;
    assert_eq!(late.status, 401);
    let inside = with(&["network = 10.0.0.0/8"]);
    assert_eq!(
        with_token(&api, &inside).await.status,
        403,
        "no address is known"
    );
    for (address, status) in [("10.1.2.3", 200), ("192.0.2.1", 403)] {
        let request = HttpRequest::get("/invoices")
            .header("authorization", format!("Bearer {inside}"))
            .extension(ClientAddress(address.parse().unwrap()));
        let got = call(&api, request.body(Body::empty()).unwrap()).await;
        assert_eq!(got.status, status, "{address}");
    }
}

#[tokio::test]
async fn what_is_not_this_resources_own_is_refused() {
    let (issuer, token) = sharing().await;
    let verifier = issuer.asking();

    let elsewhere = shared_for(&issuer, "https://other.example");
    let refused = verifier.check(&elsewhere, &at_expiry()).await.unwrap_err();
    assert_eq!(refused.code(), "wrong_audience");
    let mut changed = token.clone();
    changed.replace_range(60..61, if &token[60..61] == "A" { "B" } else { "A" });
    assert!(verifier.check(&changed, &at_expiry()).await.is_err());
    let bound = narrow(
        &token,
        &["jkt = NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"],
    );
    let refused = verifier.check(&bound, &at_expiry()).await.unwrap_err();
    assert_eq!(refused.code(), "key_binding");
    assert!(verifier.check(&token, &at_expiry()).await.is_ok());
}

#[tokio::test]
async fn without_keys_nobody_can_know() {
    let (issuer, token) = sharing().await;
    *issuer.behaviour.macaroon_keys.lock().unwrap() = Reply::Raw(503, Vec::new());

    let refused = issuer
        .asking()
        .check(&token, &at_expiry())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "keys_unavailable");
    let refused = issuer
        .verifier()
        .check(&token, &at_expiry())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "revocation_unavailable");
    let stranger = json!({ "issuer": issuer.url, "resource": API, "epoch": 1, "keys": [] });
    *issuer.behaviour.macaroon_keys.lock().unwrap() = Reply::Json(stranger);
    let refused = issuer
        .asking()
        .check(&token, &at_expiry())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "macaroon_unknown");
}

#[tokio::test]
async fn uses_are_counted_by_whoever_can_or_not_at_all() {
    let (issuer, token) = sharing().await;
    let counted = narrow(&token, &["budget = 2"]);

    let refused = issuer
        .asking()
        .check(&counted, &at_expiry())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "caveat_unjudged");
    let used = AtomicU32::new(0);
    let counting = issuer
        .asking()
        .count_uses(move |counts| used.fetch_add(1, Ordering::SeqCst) < counts[0].limit);
    for (turn, good) in [true, true, false].into_iter().enumerate() {
        let outcome = counting.check(&counted, &at_expiry()).await;
        assert_eq!(outcome.is_ok(), good, "{turn}");
    }
    // Where the issuer is asked, it counts, each time.
    let now = Requirement::all(["read:invoices"]);
    for _ in 0..2 {
        assert!(
            issuer
                .asking()
                .check_request(&counted, &now, GET)
                .await
                .is_ok()
        );
    }
    let verifier = issuer.asking();
    for _ in 0..2 {
        assert!(verifier.check_request(&counted, &now, GET).await.is_ok());
    }
    assert_eq!(issuer.questions(), 4);
    issuer.says(json!({ "active": false }));
    let refused = verifier
        .check_request(&counted, &now, GET)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "inactive");
}

/// A request with a proof by the key that its macaroon is bound to.
fn proved(issuer: &Issuer, own: &SigningKey, token: &str, nonce: Option<&str>) -> Parts {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let claims = Claims {
        method: "GET",
        target: "https://api.example/invoices",
        jti: &MADE.fetch_add(1, Ordering::SeqCst).to_string(),
        issued: issuer.clock.now(),
        access_token: Some(token),
        nonce,
    };
    let request = HttpRequest::get("/invoices")
        .header("authorization", format!("DPoP {token}"))
        .header("dpop", prove(own, &claims));
    request.body(()).unwrap().into_parts().0
}

fn as_bearer(token: &str) -> Parts {
    let request = HttpRequest::get("/invoices").header("authorization", format!("Bearer {token}"));
    request.body(()).unwrap().into_parts().0
}

/// A verifier that wants nonces, and how often it has counted.
fn counting(issuer: &Issuer) -> (Verifier, Arc<AtomicU64>) {
    let counted = Arc::new(AtomicU64::new(0));
    let own = Arc::clone(&counted);
    let verifier = issuer.asking().require_dpop_nonce();
    let verifier = verifier.count_uses(move |_| own.fetch_add(1, Ordering::SeqCst) < 5);
    (verifier, counted)
}

#[tokio::test]
async fn what_is_refused_for_another_reason_uses_no_macaroon_up() {
    let issuer = Issuer::start().await;
    share(&issuer);
    let own = key(SigningAlgorithm::Es256);
    let caveats = ["budget = 5", &format!("jkt = {}", own.kid())];
    let shared = narrow(&shared_for(&issuer, API), &caveats);
    let sealed = narrow(&sealed_for(&issuer, API), &caveats);
    issuer.says_active(|claims| claims["cnf"] = json!({ "jkt": own.kid() }));
    for (token, fresh) in [
        (&shared, Revocation::AtExpiry),
        (&shared, Revocation::Now),
        (&sealed, Revocation::Now),
    ] {
        let (verifier, counted) = counting(&issuer);
        *issuer.behaviour.uses_left.lock().unwrap() = Some(5);
        let used = || counted.load(Ordering::SeqCst) + 5 - issuer.uses_left().unwrap();
        let read = Requirement::all(["read:invoices"]).revocation(fresh);
        let admin = Requirement::all(["admin"]).revocation(fresh);
        let nonce = verifier.next_nonce();
        let proved = |nonce| proved(&issuer, &own, token, nonce);
        let good = proved(Some(&nonce));
        for (parts, requirement, code) in [
            (as_bearer(token), read.clone(), "key_binding"),
            (proved(None), read.clone(), "proof_nonce"),
            (proved(Some(&nonce)), admin, "insufficient_scope"),
            (
                proved(Some(&nonce)),
                read.clone().acr_values(["phr"]),
                "authentication_unknown",
            ),
        ] {
            let refused = verifier.check(&parts, &requirement).await.unwrap_err();

            assert_eq!((refused.code(), used()), (code, 0), "{fresh:?}");
        }
        assert!(verifier.check(&good, &read).await.is_ok());
        assert_eq!(used(), 1, "{fresh:?}");
    }
}

#[tokio::test]
async fn an_issuer_that_counts_at_once_is_asked_once() {
    let issuer = Issuer::start().await;
    let token = narrow(&sealed_for(&issuer, API), &["budget = 5"]);
    let verifier = issuer.asking();
    let read = Requirement::all(["read:invoices"]);

    issuer.says_active(|_| ());
    assert!(verifier.check_request(&token, &read, GET).await.is_ok());
    assert_eq!(issuer.questions(), 1);

    *issuer.behaviour.uses_left.lock().unwrap() = Some(1);
    let principal = verifier.check_request(&token, &read, GET).await.unwrap();
    assert!(!principal.claims().contains_key("uses_left"));
    assert_eq!((issuer.questions(), issuer.uses_left()), (3, Some(0)));
    let refused = verifier.check_request(&token, &read, GET).await;
    assert_eq!(refused.unwrap_err().code(), "inactive");
}

#[tokio::test]
async fn the_issuer_is_told_of_the_request_and_answers_for_it_alone() {
    let issuer = Issuer::start().await;
    let token = narrow(&sealed_for(&issuer, API), &["method = GET"]);
    issuer.says_active(|_| ());
    let verifier = issuer.asking();
    let read = Requirement::all(["read:invoices"]);

    for _ in 0..3 {
        assert!(verifier.check_request(&token, &read, GET).await.is_ok());
    }
    assert_eq!(issuer.questions(), 1, "the same request within a second");
    let (_, form) = issuer
        .behaviour
        .last_question
        .lock()
        .unwrap()
        .clone()
        .unwrap();
    assert!(form.ends_with("&method=GET&uri=%2Finvoices"), "{form}");
    let post = Request {
        method: Some("POST"),
        address: Some("10.1.2.3".parse().unwrap()),
        ..GET
    };
    issuer.says(json!({ "active": false }));
    let refused = verifier
        .check_request(&token, &read, post)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "inactive");
    let (_, form) = issuer
        .behaviour
        .last_question
        .lock()
        .unwrap()
        .clone()
        .unwrap();
    assert!(form.ends_with("&client_ip=10.1.2.3"), "{form}");
    let refused = issuer.verifier().check(&token, &read).await.unwrap_err();
    assert_eq!(refused.code(), "revocation_unavailable");
}

#[tokio::test]
async fn an_explanation_names_the_caveat() {
    let (issuer, token) = sharing().await;
    let narrower = narrow(&token, &["scope = read:invoices", "method = POST"]);

    let told = issuer
        .asking()
        .explain_request(&narrower, &at_expiry(), GET)
        .await;

    assert_eq!((told.rendering, told.code), ("macaroon", "caveat_unmet"));
    assert!(told.cause.contains("method = POST"), "{}", told.cause);
    assert_eq!(
        told.claims["caveats"],
        json!(["scope = read:invoices", "method = POST"])
    );
    assert_eq!(told.checks[5].outcome, Outcome::Failed);
    let good = issuer.asking().explain(&token, &at_expiry()).await;
    assert_eq!(good.code, "valid");
}

/// Lets the issuer give out the keys of a resource to who asks for that.
fn share_of(issuer: &Issuer, resource: &str) {
    let mut all = issuer.behaviour.macaroon_keys_of.lock().unwrap();
    all.insert(resource.to_owned(), document(issuer, resource));
}

const OTHER: &str = "https://other.example";

#[tokio::test]
async fn an_api_with_two_names_has_the_keys_of_both() {
    let issuer = Issuer::start().await;
    share_of(&issuer, API);
    share_of(&issuer, OTHER);
    let verifier = issuer.asking().also_known_as(OTHER).unwrap();

    for _ in 0..3 {
        for audience in [API, OTHER] {
            let token = shared_for(&issuer, audience);
            let checked = verifier.check(&token, &at_expiry()).await;
            assert!(checked.is_ok(), "{audience}: {checked:?}");
        }
    }

    let asked = issuer.behaviour.macaroon_keys_read.load(Ordering::SeqCst);
    assert_eq!(asked, 2, "once for each");
}

/// Whoever has the key of one resource can mint for that one, and for no other
/// that the same verifier checks.
#[tokio::test]
async fn the_key_of_one_resource_makes_nothing_for_another() {
    let issuer = Issuer::start().await;
    share_of(&issuer, API);
    share_of(&issuer, OTHER);
    let verifier = issuer.asking().also_known_as(OTHER).unwrap();
    let mut claims = issuer.claims();
    let own = keys_of(&issuer, API).remove(0);
    let mut mint = |audience: &str| {
        claims["aud"] = audience.into();
        let claims = claims.as_object().unwrap();
        own.mint(bound(&issuer), claims, &SeededEntropy::new(3))
            .unwrap()
    };

    let at_home = verifier.check(&mint(API), &at_expiry()).await;
    let elsewhere = verifier.check(&mint(OTHER), &at_expiry()).await;

    assert!(at_home.is_ok(), "{at_home:?}");
    assert_eq!(elsewhere.unwrap_err().status(), 401);
}

/// A request from somewhere.
fn from_there() -> Request<'static> {
    Request {
        address: Some("10.1.2.3".parse().unwrap()),
        ..GET
    }
}

/// A verifier that has read a snapshot of the feed, and the stream.
async fn following(issuer: &Issuer) -> (Verifier, Opened) {
    let verifier = issuer.subscribed();
    let (ready, stream) = tokio::join!(verifier.ready(), issuer.snapshot(at(5), &[]));
    ready.unwrap();
    (verifier, stream)
}

/// What becomes of something that began with a macaroon.
struct Began<'a> {
    verifier: &'a Verifier,
    caller: Principal,
    token: &'a str,
    demand: Requirement,
}

impl<'a> Began<'a> {
    async fn with(verifier: &'a Verifier, token: &'a str) -> Self {
        let demand = Requirement::all(["read:invoices"]);
        let checked = verifier.check_request(token, &demand, from_there()).await;
        Self {
            verifier,
            caller: checked.unwrap(),
            token,
            demand,
        }
    }

    async fn standing(&self) -> &'static str {
        let (caller, token) = (&self.caller, self.token);
        let standing = self
            .verifier
            .check_standing_of(caller, token, &self.demand)
            .await;
        standing.map_or_else(|refusal| refusal.code(), |()| "good")
    }
}

/// What the issuer alone can see of a macaroon, it is asked about for as long as
/// something is open that began with it: what its discharges rest on is not told
/// by the feed.
#[tokio::test]
async fn what_began_with_a_macaroon_of_the_issuers_is_asked_about_as_it_began() {
    let issuer = Issuer::start().await;
    let token = narrow(&sealed_for(&issuer, API), &["method = GET"]);
    issuer.says_active(|_| ());
    let (verifier, _stream) = following(&issuer).await;
    let began = Began::with(&verifier, &token).await;

    issuer.advance(1);
    assert_eq!(began.standing().await, "good");
    let asked = issuer.questions();
    assert_eq!(began.standing().await, "good");
    assert_eq!(issuer.questions(), asked, "within the same second");
    let (_, form) = issuer
        .behaviour
        .last_question
        .lock()
        .unwrap()
        .clone()
        .unwrap();
    let end = "&method=GET&uri=%2Finvoices&client_ip=10.1.2.3&count=no";
    assert!(form.ends_with(end), "{form}");

    issuer.advance(1);
    issuer.says_active(|claims| claims["scope"] = json!("other"));
    assert_eq!(began.standing().await, "insufficient_scope");
    issuer.advance(1);
    issuer.says(json!({ "active": false }));
    assert_eq!(began.standing().await, "inactive");
    issuer.advance(1);
    *issuer.behaviour.introspection.lock().unwrap() = Reply::Raw(503, Vec::new());
    assert_eq!(began.standing().await, "introspection_unavailable");
}

#[tokio::test]
async fn what_began_with_a_shared_macaroon_goes_by_the_feed_while_that_is_fresh() {
    let (issuer, token) = sharing().await;
    let (verifier, _stream) = following(&issuer).await;
    let began = Began::with(&verifier, &token).await;
    issuer.says(json!({ "active": false }));

    issuer.advance(9);
    assert_eq!(began.standing().await, "good");
    assert_eq!(issuer.questions(), 0);

    issuer.advance(2);
    assert_eq!(began.standing().await, "inactive");
    // An answer is good for a second, however many look.
    issuer.says_active(|_| ());
    issuer.advance(1);
    assert_eq!(began.standing().await, "good");
    *issuer.behaviour.introspection.lock().unwrap() = Reply::Raw(503, Vec::new());
    assert_eq!(began.standing().await, "good");
    issuer.advance(1);
    assert_eq!(began.standing().await, "introspection_unavailable");
    // A route that waits for the end of a token goes on.
    let patient = Began {
        demand: at_expiry(),
        ..began
    };
    assert_eq!(patient.standing().await, "good");
}

/// Asked about another use, the issuer would say that there is none.
#[tokio::test]
async fn what_began_with_the_last_use_of_a_macaroon_goes_on_while_the_feed_is_fresh() {
    let issuer = Issuer::start().await;
    let token = narrow(&sealed_for(&issuer, API), &["single-use = once"]);
    issuer.says_active(|_| ());
    *issuer.behaviour.uses_left.lock().unwrap() = Some(1);
    let (verifier, _stream) = following(&issuer).await;
    let began = Began::with(&verifier, &token).await;
    assert_eq!(issuer.uses_left(), Some(0));
    let asked = issuer.questions();

    issuer.advance(9);
    assert_eq!(began.standing().await, "good");
    assert_eq!(issuer.questions(), asked);

    // The issuer would speak of another use.
    issuer.advance(2);
    assert_eq!(began.standing().await, "revocation_unavailable");
}

/// Nor can it say anything of the first use where there is no feed at all. A route
/// that waits for the end of a token goes on.
#[tokio::test]
async fn what_began_with_the_last_use_of_a_macaroon_ends_without_a_feed() {
    let issuer = Issuer::start().await;
    let token = narrow(&sealed_for(&issuer, API), &["single-use = once"]);
    issuer.says_active(|_| ());
    *issuer.behaviour.uses_left.lock().unwrap() = Some(1);
    let verifier = issuer.asking();
    let began = Began::with(&verifier, &token).await;
    issuer.says(json!({ "active": false }));

    issuer.advance(9);
    assert_eq!(began.standing().await, "revocation_unavailable");
    let patient = Began {
        demand: at_expiry(),
        ..began
    };
    assert_eq!(patient.standing().await, "good");
    issuer.advance(602);
    assert_eq!(patient.standing().await, "expired");
}

/// The issuer calls inactive what has ended, too. Whoever lets a stream outlast its
/// token has to be told which it is.
#[tokio::test]
async fn a_macaroon_that_has_ended_is_not_said_to_be_taken_back() {
    let issuer = Issuer::start().await;
    let token = sealed_for(&issuer, API);
    issuer.says_active(|_| ());
    let verifier = issuer.asking();
    let began = Began::with(&verifier, &token).await;
    issuer.says(json!({ "active": false }));

    // Its clock may be ten seconds ahead.
    issuer.advance(589);
    assert_eq!(began.standing().await, "inactive");
    issuer.advance(1);
    assert_eq!(began.standing().await, "expired");
}
