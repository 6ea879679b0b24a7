//! The issuer that tests of an API bring along.

use std::time::Duration;

use symbolon_verify::testing::{Availability, Issuer};
use symbolon_verify::{Check, Requirement};

const API: &str = "https://api.example";

fn demand() -> Requirement {
    Requirement::all(["read:invoices"])
}

#[tokio::test]
async fn each_check_is_broken_by_name_and_no_other() {
    let issuer = Issuer::new(API);
    let verifier = issuer.verifier();
    let good = issuer.token().scopes(["read:invoices"]);

    let caller = verifier.check(&*good.sign(), &demand()).await.unwrap();
    assert_eq!((caller.subject(), caller.client()), ("usr_test", "client"));
    for check in Check::ALL {
        let broken = good.clone().breaking(check).sign();

        let refused = verifier.check(&*broken, &demand()).await.unwrap_err();
        assert_eq!(refused.check(), Some(check), "{refused}");
    }
    assert!(verifier.check(&*good.sign(), &demand()).await.is_ok());
}

/// An API key is introspected, so its issuer says what is broken.
#[tokio::test]
async fn an_api_key_is_good_and_broken_as_a_token_is() {
    let issuer = Issuer::new(API);
    let verifier = issuer.verifier();
    let good = issuer.token().scopes(["read:invoices"]);
    let key = good.sign_as_api_key();

    let caller = verifier.check(&*key, &demand()).await.unwrap();
    assert!(caller.claim("api_key").is_some());
    for (check, code) in [
        (Check::Signature, "inactive"),
        (Check::Expiry, "expired"),
        (Check::Issuer, "wrong_issuer"),
        (Check::Audience, "wrong_audience"),
        (Check::Revocation, "inactive"),
        (Check::Scope, "insufficient_scope"),
    ] {
        let broken = good.clone().breaking(check).sign_as_api_key();
        let refused = verifier.check(&*broken, &demand()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
    }
    issuer.revoke(&key);
    issuer.advance(Duration::from_secs(1));
    assert!(verifier.check(&*key, &demand()).await.is_err());
}

#[tokio::test]
async fn time_moves_when_it_is_told_to() {
    let issuer = Issuer::new(API);
    let verifier = issuer.verifier();
    let token = issuer.token().lifetime(Duration::from_secs(60)).sign();
    let demand = Requirement::token();

    issuer.advance(Duration::from_secs(69));
    assert!(verifier.check(&*token, &demand).await.is_ok());
    issuer.advance(Duration::from_secs(1));

    let refused = verifier.check(&*token, &demand).await.unwrap_err();
    assert_eq!(refused.check(), Some(Check::Expiry));
}

#[tokio::test]
async fn what_is_taken_back_is_dead_within_a_second() {
    let issuer = Issuer::new(API);
    let verifier = issuer.verifier();
    let (token, other) = (issuer.token().sign(), issuer.token().sign());
    let demand = Requirement::token();
    assert!(verifier.check(&*token, &demand).await.is_ok());

    issuer.revoke(&token);
    issuer.advance(Duration::from_secs(1));

    let refused = verifier.check(&*token, &demand).await.unwrap_err();
    assert_eq!(refused.check(), Some(Check::Revocation));
    assert!(verifier.check(&*other, &demand).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_is_down_leaves_neither_yes_nor_no() {
    let issuer = Issuer::new(API);
    let verifier = issuer.verifier();
    verifier.ready().await.unwrap();

    issuer.answers(Availability::Down);
    let refused = verifier
        .check(&*issuer.token().sign(), &Requirement::token())
        .await;
    assert_eq!(refused.unwrap_err().status(), 503);
    issuer.answers(Availability::Up);
    issuer.advance(Duration::from_secs(5));

    let token = issuer.token().sign();
    assert!(verifier.check(&*token, &Requirement::token()).await.is_ok());
}
