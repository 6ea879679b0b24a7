//! What a good signature does not excuse: time, audience, recipient, request.

use std::time::Duration;

use symbolon_protocol::SigningAlgorithm::Es256;
use symbolon_testkit::at;
use symbolon_token::saml::{Expected, Presented, Refused, open};

use crate::fixture::{AUDIENCE, Making, RECIPIENT, expected, trusted};

fn judge(making: &Making<'_>, expected: Expected<'_>) -> Result<(), &'static str> {
    let token = making.mint().unwrap();
    open(&token, &[], &[trusted(&making.key)], &expected)
        .map(drop)
        .map_err(|refused| refused.code())
}

#[test]
fn an_assertion_lives_from_its_issue_to_its_end_give_or_take_the_skew() {
    let making = Making::new(Es256);
    let at = |seconds| {
        judge(
            &making,
            Expected {
                now: at(seconds),
                ..expected()
            },
        )
    };

    assert_eq!(at(-11), Err("not_yet_valid"));
    assert_eq!(at(-10), Ok(()));
    assert_eq!(at(309), Ok(()));
    assert_eq!(at(310), Err("expired"));
}

#[test]
fn an_assertion_that_lives_longer_than_it_would_be_remembered_is_refused() {
    let making = Making::new(Es256);
    let longest = |seconds| {
        judge(
            &making,
            Expected {
                longest: Duration::from_secs(seconds),
                ..expected()
            },
        )
    };

    assert_eq!(longest(299), Ok(()));
    assert_eq!(longest(298), Err("lives_too_long"));
}

#[test]
fn audience_and_recipient_have_to_be_this_party_and_this_endpoint() {
    let making = Making::new(Es256);
    let audiences = |own| {
        judge(
            &making,
            Expected {
                audiences: own,
                ..expected()
            },
        )
    };
    let recipients = |own| {
        judge(
            &making,
            Expected {
                recipients: own,
                ..expected()
            },
        )
    };

    assert_eq!(audiences(&["https://other.test", AUDIENCE]), Ok(()));
    assert_eq!(audiences(&["https://as.test/"]), Err("wrong_audience"));
    assert_eq!(audiences(&[]), Err("wrong_audience"));
    assert_eq!(recipients(&["https://other.test", RECIPIENT]), Ok(()));
    assert_eq!(
        recipients(&["https://as.test/token/"]),
        Err("wrong_recipient")
    );
    assert_eq!(recipients(&[]), Err("wrong_recipient"));
}

#[test]
fn an_answer_fits_its_own_request_only_and_an_unasked_one_none() {
    let unasked = Making::new(Es256);
    let mut answer = Making::new(Es256);
    answer.rendering.in_response_to = Some("_1");
    let to = |making: &Making<'_>, own| {
        judge(
            making,
            Expected {
                in_response_to: own,
                ..expected()
            },
        )
    };

    assert_eq!(to(&answer, Some("_1")), Ok(()));
    assert_eq!(to(&answer, Some("_2")), Err("wrong_in_response_to"));
    assert_eq!(to(&answer, None), Err("wrong_in_response_to"));
    assert_eq!(to(&unasked, None), Ok(()));
    assert_eq!(to(&unasked, Some("_1")), Err("wrong_in_response_to"));
}

#[test]
fn only_the_issuer_can_be_asked_for_before_the_checks() {
    let making = Making::new(Es256);
    let presented = Presented::parse(&making.mint().unwrap(), &[]).unwrap();

    assert_eq!(presented.claimed_issuer(), crate::fixture::ISSUER);
    assert_eq!(format!("{presented:?}"), "Presented(https://idp.test)");
    assert!(presented.open(&trusted(&making.key), &expected()).is_ok());
}

#[test]
fn one_of_our_own_comes_back_until_its_end_whoever_it_was_for() {
    let making = Making::new(Es256);
    let presented = Presented::parse(&making.mint().unwrap(), &[]).unwrap();
    let reopen = |now| {
        let opened = presented.reopen(&trusted(&making.key), at(now));
        opened.map(drop).map_err(|refused| refused.code())
    };
    let stranger = trusted(&crate::fixture::key(
        symbolon_protocol::SigningAlgorithm::Rs256,
    ));

    // Another node of the server may be ahead by as much.
    assert_eq!(reopen(-61), Err("not_yet_valid"));
    assert_eq!(reopen(-60), Ok(()));
    assert_eq!((reopen(0), reopen(299)), (Ok(()), Ok(())));
    assert_eq!(reopen(300), Err("expired"));
    assert_eq!(
        presented.reopen(&stranger, at(1)).unwrap_err(),
        Refused::Algorithm
    );
}

#[test]
fn issuer_and_id_name_an_assertion_for_the_memory_of_what_was_used() {
    let making = Making::new(Es256);
    let once = || {
        open(
            &making.mint().unwrap(),
            &[],
            &[trusted(&making.key)],
            &expected(),
        )
        .unwrap()
    };

    // Signed anew, so other bytes: the same assertion all the same.
    assert_eq!(
        (once().issuer(), once().id()),
        (once().issuer(), once().id())
    );
    assert!(
        once()
            .id()
            .starts_with(&format!("_{}", crate::fixture::TOKEN_PREFIX))
    );
}

#[test]
fn every_refusal_has_a_check_a_code_and_a_repair() {
    let refused = [
        Refused::Malformed,
        Refused::TooLarge("x"),
        Refused::DocumentType,
        Refused::Section,
        Refused::DuplicateId,
        Refused::NotAnAssertion,
        Refused::Encrypted,
        Refused::Schema("x"),
        Refused::Issuer { found: "x".into() },
        Refused::NoKey,
        Refused::Unsigned,
        Refused::Scope,
        Refused::Algorithm,
        Refused::Transform,
        Refused::Signature,
        Refused::Expired {
            expires: at(0),
            now: at(1),
        },
        Refused::NotYet {
            begins: at(1),
            now: at(0),
        },
        Refused::TooLong { expires: at(1) },
        Refused::Audience { found: vec![] },
        Refused::Recipient { found: vec![] },
        Refused::InResponseTo,
    ];
    let codes: std::collections::BTreeSet<_> = refused.iter().map(Refused::code).collect();

    assert_eq!(codes.len(), refused.len(), "each its own");
    for own in refused {
        assert!(
            !own.to_string().is_empty()
                && !own.repair().is_empty()
                && !own.check().name().is_empty()
        );
    }
}
