//! What was taken back.

use std::time::Duration;

use serde_json::json;
use symbolon_testkit::START;
use symbolon_token::Position;
use symbolon_token::revocation::{Revocation, Target, public_name, token_name};
use symbolon_verify::{Outcome, Requirement, What};

use crate::support::{at_expiry, opaque};
use crate::{given, outcome};

#[tokio::test]
async fn what_was_taken_back_is_named() {
    let (issuer, given) = given().await;
    let hex = |name: u64| format!("{name:016x}");
    let token = given.with(|claims| {
        claims["rev"] = json!({
            "e": 1, "q": 5, "f": hex(1), "g": hex(2), "s": hex(3), "u": hex(4), "c": hex(5),
            "o": hex(6), "a": [format!("0a{:016x}", 7), format!("01{:016x}", 8), format!("06{:016x}", 9)],
        });
    });
    let key = public_name(Target::Key, given.key.kid());
    let cases = [
        (Target::Token, token_name("t1"), "revoked_token"),
        (Target::Family, 1, "revoked_family"),
        (Target::Grant, 2, "revoked_grant"),
        (Target::Session, 3, "revoked_session"),
        (Target::Subject, 4, "revoked_subject"),
        (Target::Client, 5, "revoked_client"),
        (Target::Organization, 6, "revoked_organization"),
        (Target::Issuer, 7, "distrusted_issuer"),
        (Target::Key, key, "distrusted_key"),
        // What it was derived from, which is not the token's own.
        (Target::Token, 8, "revoked_parent_token"),
        (Target::Client, 9, "revoked_parent_client"),
    ];
    for (target, name, root) in cases {
        let verifier = issuer.verifier();
        assert_eq!(verifier.explain(&token, &at_expiry()).await.root, "valid");
        verifier.revocations().apply([Revocation {
            sequence: 6,
            target,
            name,
            expires: START + Duration::from_secs(900),
        }]);

        let told = verifier.explain(&token, &at_expiry()).await;

        assert_eq!(told.root, root, "{}", told.cause);
        assert_eq!(outcome(&told, "revocation"), Outcome::Failed);
        assert!(told.repair.contains("sign in again"), "{}", told.repair);
    }
    let restored = issuer.verifier();
    restored.revocations().begin(Position {
        epoch: 2,
        sequence: 0,
    });
    assert_eq!(
        restored.explain(&token, &at_expiry()).await.root,
        "restored"
    );
}

#[tokio::test]
async fn what_only_the_issuer_can_read_is_said_to_be_inactive_and_no_more() {
    let (issuer, given) = given().await;
    let now = Requirement::all(["read:invoices"]);
    issuer.says(json!({ "active": false }));

    let sealed = issuer.asking().explain(&opaque(7), &now).await;
    let jwt = issuer.asking().explain(&given.good(), &now).await;
    issuer.says_active(|_| ());
    let twin = issuer.asking().explain(&opaque(7), &now).await;
    let unasked = issuer.verifier().explain(&opaque(7), &now).await;

    assert_eq!((sealed.root, sealed.shown), ("inactive", What::OpaqueToken));
    assert!(sealed.repair.contains("--admin"), "{}", sealed.repair);
    assert_eq!(outcome(&sealed, "expiry"), Outcome::Unknown);
    assert_eq!((jwt.root, twin.root), ("revoked", "valid"));
    assert_eq!(unasked.root, "not_taken_here");
}
