//! Third-party caveats: a discharge is asked for, bound, and used once.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libmacaroon::{Format, Macaroon, MacaroonKey};
use symbolon_testkit::{START, SeededEntropy};
use symbolon_token::macaroon::{self, Asked, Flaw, MadeCaveat, Permits};
use symbolon_token::{Id, Purpose, Secret, Slot};

use crate::{BOUND, ORDERS, caveats, context, keys, minted, narrowed, open};

const PLACE: &str = "https://as.example.com/discharge";

fn made() -> MadeCaveat {
    let entropy = SeededEntropy::new(5);
    let asked = Asked::SignedIn {
        person: Id::new(Slot::random(&entropy), &entropy),
        client: "job".parse().unwrap(),
        within: Duration::from_secs(600),
    };
    macaroon::make_caveat(&keys(1), BOUND, (&asked, 7), &entropy)
}

fn discharge(made: &MadeCaveat, texts: &[&str]) -> String {
    let opened = macaroon::open_caveat(&keys(1), BOUND, &made.id).unwrap();
    macaroon::discharge(&opened, &made.id, PLACE, &caveats(texts)).unwrap()
}

fn required(made: &MadeCaveat) -> String {
    macaroon::require(&minted(), PLACE, &made.key, &made.id).unwrap()
}

fn foreign(id: &str, key: &str) -> Macaroon {
    Macaroon::create(Some("x"), &MacaroonKey::generate(key.as_bytes()), id).unwrap()
}

fn binary(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .unwrap()
}

fn write(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn join(one: &str, two: &str) -> String {
    write(&[binary(one), binary(two)].concat())
}

fn v2(macaroon: &Macaroon) -> String {
    macaroon.serialize(Format::V2).unwrap()
}

#[test]
fn a_bound_discharge_opens_what_asked_for_it() {
    let made = made();
    let root = required(&made);

    let sent = macaroon::present(&root, &[discharge(&made, &[])]).unwrap();

    assert!(open(&sent).is_ok());
    assert_eq!(open(&root).unwrap_err(), Flaw::DischargeMissing);
}

/// Somebody's yes is one to what they were shown.
#[test]
fn an_approval_narrows_to_what_it_permits() {
    let entropy = SeededEntropy::new(5);
    let approved = |permits: Option<(&str, &str)>| {
        let asked = Asked::Approved {
            person: Id::new(Slot::random(&entropy), &entropy),
            client: "job".parse().unwrap(),
            subject: "ada".to_owned(),
            purpose: "Pay invoice 7".to_owned(),
            permits: permits.map(|(audience, scopes)| Permits {
                audience: audience.parse().unwrap(),
                scopes: scopes.parse().unwrap(),
            }),
        };
        let made = macaroon::make_caveat(&keys(1), BOUND, (&asked, 7), &entropy);
        let opened = macaroon::open_caveat(&keys(1), BOUND, &made.id).unwrap();
        assert_eq!(opened.asked, asked);
        open(&macaroon::present(&required(&made), &[discharge(&made, &[])]).unwrap())
    };
    let scopes = |permits| approved(permits).map(|left| left.scopes().to_string());

    assert_eq!(scopes(None).unwrap(), "read:orders write:orders");
    for (permitted, left) in [
        ("read:orders", "read:orders"),
        ("delete:orders", ""),
        ("", "read:orders write:orders"),
    ] {
        assert_eq!(scopes(Some((ORDERS, permitted))).unwrap(), left);
    }
    let elsewhere = Some(("https://other.example.com", "read:orders"));
    assert_eq!(scopes(elsewhere), Err(Flaw::Nothing("audience")));
}

#[test]
fn what_is_permitted_has_to_fit_into_a_caveat() {
    let permits = |count: u32| Permits {
        audience: ORDERS.parse().unwrap(),
        scopes: (0..count)
            .map(|number| format!("{number}{}", "s".repeat(200)))
            .collect::<Vec<_>>()
            .join(" ")
            .parse()
            .unwrap(),
    };

    assert!(permits(5).is_writable());
    assert!(!permits(6).is_writable());
}

// G213
/// Attack: G213
#[test]
fn caveats_of_a_discharge_count_like_any_other() {
    let made = made();
    let root = required(&made);
    let with =
        |texts: &[&str]| open(&macaroon::present(&root, &[discharge(&made, texts)]).unwrap());

    assert_eq!(
        with(&["scope = read:orders"]).unwrap().scopes().to_string(),
        "read:orders"
    );
    assert_eq!(
        with(&["method = POST"]).unwrap_err(),
        Flaw::Unmet("method = POST".into())
    );
    assert_eq!(
        with(&["before = 2025-01-01T00:00:00Z"]).unwrap().expires(),
        "2025-01-01T00:00:00Z".parse().unwrap()
    );
    let opened = macaroon::open_caveat(&keys(1), BOUND, &made.id).unwrap();
    assert!(matches!(opened.asked, Asked::SignedIn { .. }));
}

// G213
/// Attack: G213
#[test]
fn a_discharge_comes_once_and_only_where_it_is_asked_for() {
    let made = made();
    let root = required(&made);
    let good = discharge(&made, &[]);
    let bad = discharge(&made, &["method = POST"]);
    let other = v2(&foreign("other", "key"));

    for extra in [&good, &bad, &other] {
        let sent = macaroon::present(&root, &[&good, extra]).unwrap();
        assert_eq!(open(&sent).unwrap_err(), Flaw::DischargeUnused);
        let sent = macaroon::present(&root, &[extra, &good]).unwrap();
        assert_eq!(open(&sent).unwrap_err(), Flaw::DischargeUnused);
    }
    let unasked = macaroon::present(&minted(), &[&good]).unwrap();
    assert_eq!(open(&unasked).unwrap_err(), Flaw::DischargeUnused);
    assert!(open(&macaroon::present(&root, &[&good]).unwrap()).is_ok());
}

// G214
/// Attack: G214
#[test]
fn an_unbound_or_foreign_discharge_is_worth_nothing() {
    let made = made();
    let root = required(&made);
    let good = discharge(&made, &[]);
    let unbound = join(&root, &good);
    // Bound to the same macaroon with one caveat less, and to one with more.
    let more = macaroon::attenuate(&root, &caveats(&["method = GET"])).unwrap();
    let elsewhere = macaroon::present(&root, &[&good]).unwrap();
    let bound = &elsewhere[..];
    let bound_bytes = binary(bound)[binary(&root).len()..].to_vec();
    let moved = write(&[binary(&more), bound_bytes].concat());

    assert_eq!(open(&unbound).unwrap_err(), Flaw::Mac);
    assert_eq!(open(&moved).unwrap_err(), Flaw::Mac);
    // Alone, as if it were the token.
    assert!(open(&good).is_err());
    // Made by somebody who does not have the key.
    let mut forged =
        Macaroon::create(Some(PLACE), &MacaroonKey::generate(b"guess"), &made.id).unwrap();
    Macaroon::deserialize(&root).unwrap().bind(&mut forged);
    assert_eq!(open(&join(&root, &v2(&forged))).unwrap_err(), Flaw::Mac);
    assert!(open(&macaroon::present(&more, &[&good]).unwrap()).is_ok());
}

// G216
/// Attack: G216
#[test]
fn cycles_end_and_depth_is_bounded() {
    let key = |name: &str| Secret::from(name);
    let asks = |text: &str, id: &str| {
        macaroon::require(text, "x", &key(&format!("key {id}")), id.as_bytes()).unwrap()
    };
    let of = |id: &str| v2(&foreign(id, &format!("key {id}")));
    let root = asks(&minted(), "a");
    // a needs b, b needs a.
    let (a, b) = (asks(&of("a"), "b"), asks(&of("b"), "a"));
    let cycle = macaroon::present(&root, &[&a, &b]).unwrap();
    assert_eq!(open(&cycle).unwrap_err(), Flaw::DischargeMissing);
    let own = macaroon::present(&root, &[asks(&of("a"), "a")]).unwrap();
    assert_eq!(open(&own).unwrap_err(), Flaw::DischargeMissing);
    let straight = macaroon::present(&root, &[&a, &of("b")]).unwrap();
    assert!(open(&straight).is_ok());

    let chain = |length: usize| {
        let each = (1..=length).map(|at| match at == length {
            true => of(&at.to_string()),
            false => asks(&of(&at.to_string()), &(at + 1).to_string()),
        });
        let all: Vec<_> = each.collect();
        macaroon::present(&asks(&minted(), "1"), &all)
    };
    assert!(open(&chain(8).unwrap()).is_ok());
    assert_eq!(chain(9).unwrap_err().code(), "macaroon_too_large");
}

#[test]
fn a_caveat_behind_bound_discharges_would_void_them_so_it_is_refused() {
    let made = made();
    let sent = macaroon::present(&required(&made), &[discharge(&made, &[])]).unwrap();

    assert_eq!(
        macaroon::attenuate(&sent, &caveats(&["method = GET"])).unwrap_err(),
        Flaw::Bound
    );
}

#[test]
fn another_installation_discharges_none_and_a_changed_identifier_opens_none() {
    let made = made();
    assert!(macaroon::open_caveat(&keys(2), BOUND, &made.id).is_err());
    for at in 0..made.id.len() {
        let mut changed = made.id.clone();
        changed[at] ^= 1;
        assert!(
            macaroon::open_caveat(&keys(1), BOUND, &changed).is_err(),
            "{at}"
        );
    }
    assert!(macaroon::open_caveat(&keys(1), BOUND, &made.id).is_ok());
}

#[test]
fn a_budget_in_a_discharge_is_counted_under_its_root() {
    let made = made();
    let counts = |root: &str| {
        let sent = macaroon::present(root, &[discharge(&made, &["budget = 2"])]).unwrap();
        let token = macaroon::open(&keys(1), BOUND, &sent).unwrap();
        token.judge(&context(START)).unwrap().1
    };
    let root = required(&made);
    let child = macaroon::attenuate(&root, &caveats(&["method = GET"])).unwrap();

    assert_eq!(counts(&root), counts(&child));
    assert!(open(&narrowed(&["budget = 2"])).is_ok());
}

#[test]
fn what_a_discharge_rests_on_is_told_by_the_key_and_the_caveat() {
    let made = made();
    let sent = macaroon::present(&required(&made), &[&discharge(&made, &[])]).unwrap();

    let token = macaroon::open(&keys(1), BOUND, &sent).unwrap();

    let [agreement] = token.agreements() else {
        panic!("one discharge");
    };
    let given = agreement.given.as_ref().unwrap();
    let asked = macaroon::open_caveat(&keys(1), BOUND, &made.id).unwrap();
    assert_eq!(given.person, asked.asked.person());
    assert_eq!((given.since.epoch, given.since.sequence), (BOUND.epoch, 7));
    let number = u32::from_be_bytes(made.id[1..5].try_into().unwrap());
    assert_eq!(agreement.key, Some(Purpose::Discharge.key_mark(number)));
    assert!(
        macaroon::open(&keys(1), BOUND, &minted())
            .unwrap()
            .agreements()
            .is_empty()
    );
}
