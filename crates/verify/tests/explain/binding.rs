//! Proof of possession: what is bound to a key or a certificate.
//!
//! Spec: RFC 9449 §7
//! Spec: RFC 8705 §3

use std::time::Duration;

use axum::http::Request as HttpRequest;
use axum::http::request::Parts;
use serde_json::json;
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_token::{Clock, Thumbprint};
use symbolon_verify::{Outcome, PeerCertificate};

use crate::support::{Issuer, at_expiry};
use crate::{given, outcome, shows_nothing_of};

const CERTIFICATE: &[u8] = b"the DER of a certificate";

fn wallet() -> SigningKey {
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap()
}

struct Holding<'a> {
    issuer: &'a Issuer,
    token: String,
    own: SigningKey,
}

impl Holding<'_> {
    fn claims(&self) -> Claims<'_> {
        Claims {
            method: "GET",
            target: "https://api.example/invoices",
            jti: "a",
            issued: self.issuer.clock.now(),
            access_token: Some(&self.token),
            nonce: None,
        }
    }

    fn sent(&self, scheme: &str, proof: Option<&str>) -> Parts {
        let mut request = HttpRequest::get("/invoices")
            .header("authorization", format!("{scheme} {}", self.token));
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        request.body(()).unwrap().into_parts().0
    }
}

/// Attack: F171
/// Attack: F172
/// Attack: F177
/// Attack: F180
/// Attack: F184
#[expect(clippy::too_many_lines, reason = "a table: one case after another")]
#[tokio::test]
async fn every_broken_binding_has_one_cause_and_its_twin_is_valid() {
    let (issuer, given) = given().await;
    let twice = issuer.verifier();
    issuer.advance(20);
    let own = wallet();
    let token = given.with(|claims| claims["cnf"] = json!({ "jkt": own.kid() }));
    let bound = Holding {
        issuer: &issuer,
        token,
        own,
    };
    let b = &bound;
    let with = |change: &dyn Fn(&mut Claims<'_>)| {
        let mut claims = b.claims();
        change(&mut claims);
        b.sent("DPoP", Some(&prove(&b.own, &claims)))
    };
    let old = Duration::from_secs(600);
    let free = Holding {
        issuer: &issuer,
        token: given.good(),
        own: wallet(),
    };
    let cases = [
        (
            "as a plain bearer",
            b.sent("Bearer", None),
            "bound_as_bearer",
        ),
        ("without a proof", b.sent("DPoP", None), "proof_missing"),
        (
            "by another key",
            b.sent("DPoP", Some(&prove(&wallet(), &b.claims()))),
            "proof_other_key",
        ),
        (
            "too old",
            with(&|c| c.issued = c.issued - old),
            "proof_time",
        ),
        (
            "of the future",
            with(&|c| c.issued = c.issued + old),
            "proof_time",
        ),
        (
            "for another method",
            with(&|c| c.method = "POST"),
            "proof_method",
        ),
        (
            "for another address",
            with(&|c| c.target = "https://api.example/orders"),
            "proof_target",
        ),
        (
            "for another host",
            with(&|c| c.target = "https://other.example/invoices"),
            "proof_target",
        ),
        (
            "for another token",
            with(&|c| c.access_token = Some("another")),
            "proof_token",
        ),
        (
            "for no token",
            with(&|c| c.access_token = None),
            "proof_claim",
        ),
        (
            "no proof at all",
            b.sent("DPoP", Some("hello")),
            "proof_signature",
        ),
        (
            "a token that is not bound",
            free.sent("DPoP", Some("hello")),
            "not_bound",
        ),
    ];
    for (name, parts, root) in &cases {
        let told = issuer
            .verifier()
            .explain_presented(parts, &at_expiry())
            .await;

        assert_eq!(told.root, *root, "{name}: {}", told.cause);
        assert_eq!(outcome(&told, "binding"), Outcome::Failed, "{name}");
        assert_eq!(outcome(&told, "scope"), Outcome::NotReached, "{name}");
        assert!(
            told.cause.starts_with("binding: ") && !told.repair.is_empty(),
            "{name}"
        );
        shows_nothing_of(&b.token, &told);
    }
    let good = b.sent("DPoP", Some(&prove(&b.own, &b.claims())));
    let told = issuer
        .verifier()
        .explain_presented(&good, &at_expiry())
        .await;
    assert_eq!(
        (told.root, outcome(&told, "binding")),
        ("valid", Outcome::Passed)
    );
    assert_eq!(
        twice.explain_presented(&good, &at_expiry()).await.root,
        "valid"
    );
    let again = twice.explain_presented(&good, &at_expiry()).await;
    assert_eq!(again.root, "proof_replayed");
}

#[tokio::test]
async fn what_differs_in_a_proof_is_shown() {
    let (issuer, given) = given().await;
    issuer.advance(20);
    let own = wallet();
    let token = given.with(|claims| claims["cnf"] = json!({ "jkt": own.kid() }));
    let b = Holding {
        issuer: &issuer,
        token,
        own,
    };
    let claims = Claims {
        target: "https://api.example/orders",
        ..b.claims()
    };
    let parts = b.sent("DPoP", Some(&prove(&b.own, &claims)));

    let told = issuer
        .verifier()
        .explain_presented(&parts, &at_expiry())
        .await;

    let [difference] = &told.differences[..] else {
        panic!("{:?}", told.differences)
    };
    assert_eq!(
        (difference.of, &*difference.wanted, &*difference.found),
        (
            "htu",
            "https://api.example/invoices",
            "https://api.example/orders"
        )
    );
}

/// Attack: F190
#[tokio::test]
async fn a_certificate_that_is_missing_or_another_is_named() {
    let (issuer, given) = given().await;
    let thumbprint = Thumbprint::of(CERTIFICATE).to_string();
    let token = given.with(|claims| claims["cnf"] = json!({ "x5t#S256": thumbprint }));
    let sent = |der: Option<&[u8]>| {
        let request =
            HttpRequest::get("/invoices").header("authorization", format!("Bearer {token}"));
        let mut parts = request.body(()).unwrap().into_parts().0;
        if let Some(der) = der {
            parts.extensions.insert(PeerCertificate::from_der(der));
        }
        parts
    };
    let verifier = issuer.verifier();

    for (der, root) in [
        (None, "certificate_missing"),
        (Some(&b"another"[..]), "other_certificate"),
        (Some(CERTIFICATE), "valid"),
    ] {
        let told = verifier.explain_presented(&sent(der), &at_expiry()).await;
        assert_eq!(told.root, root, "{}", told.cause);
    }
}

#[tokio::test]
async fn a_header_that_is_malformed_is_explained_by_what_stands_in_it() {
    let (issuer, given) = given().await;
    let sent = |value: &str| {
        let request = HttpRequest::get("/invoices").header("authorization", value);
        request.body(()).unwrap().into_parts().0
    };
    let good = given.good();

    for (value, root) in [
        (format!("Bearer Bearer {good}"), "scheme_twice"),
        (format!("Bearer \"{good}\""), "quotes"),
        (format!("Bearer  {good}"), "blanks_around"),
        ("Basic dXNlcjpwYXNz".to_owned(), "no_token"),
        (format!("Bearer {good}"), "valid"),
    ] {
        let told = issuer
            .verifier()
            .explain_presented(&sent(&value), &at_expiry())
            .await;
        assert_eq!(told.root, root, "{}", told.cause);
    }
}
