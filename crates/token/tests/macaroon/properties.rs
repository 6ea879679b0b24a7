//! Whatever is added, no more is permitted; whatever was minted is read back.

use proptest::prelude::*;
use symbolon_protocol::{ResourceIdentifier, Scopes, Timestamp};
use symbolon_testkit::{START, SeededEntropy, at};
use symbolon_token::macaroon::{self, Caveat, Context, Request};
use symbolon_token::{Authority, Binding, Granted, Thumbprint};

use crate::{BOUND, granted, keys};

fn audience(n: u8) -> ResourceIdentifier {
    format!("https://api{n}.example.com").parse().unwrap()
}

fn scopes() -> impl Strategy<Value = Scopes> {
    let one = prop::sample::select(vec!["a", "b", "c", "d"]);
    prop::collection::btree_set(one, 0..4)
        .prop_map(|all| all.into_iter().map(|own| own.parse().unwrap()).collect())
}

fn key() -> impl Strategy<Value = Thumbprint> {
    (0..2_u8).prop_map(|n| Thumbprint::from_bytes([n; 32]))
}

fn authority() -> impl Strategy<Value = Authority> {
    let bound = prop::option::of(key());
    let audiences = prop::collection::btree_set(0..3_u8, 1..3);
    (scopes(), audiences, 1..1000_i64, bound).prop_map(|(scopes, audiences, ends, key)| {
        Authority::granted(Granted {
            scopes,
            audiences: audiences.into_iter().map(audience).collect(),
            expires: at(ends),
            binding: Binding {
                key,
                certificate: None,
            },
            ..granted()
        })
    })
}

fn caveat() -> impl Strategy<Value = Caveat> {
    let some = scopes().prop_filter("a scope caveat names one", |own| !own.is_empty());
    let text = prop::sample::select(vec![
        "method = GET",
        "method = GET,POST",
        "method = POST",
        "path = /a/{id}",
        "path = /a/{*rest}",
        "network = 10.0.0.0/8",
        "network = 0.0.0.0/0,::/0",
        "days = thu,fri",
        "days = mon",
        "hours = 00:00-12:00",
        "hours = 22:00-06:00 Asia/Tokyo",
        "budget = 5",
        "single-use = n",
        "after = 2026-01-01T00:05:00Z",
    ]);
    prop_oneof![
        some.prop_map(Caveat::Scope),
        (0..3_u8).prop_map(|n| Caveat::Audience(audience(n))),
        (-100..2000_i64).prop_map(|seconds| Caveat::Before(at(seconds))),
        key().prop_map(Caveat::Jkt),
        text.prop_map(|text| text.parse().unwrap()),
    ]
}

prop_compose! {
    fn places()(
        seconds in 0..700_i64,
        method in prop::option::of(prop::sample::select(vec!["GET", "POST", "get"])),
        path in prop::option::of(prop::sample::select(vec!["/a/1", "/a/1/2", "/b", "/a/%2e%2e"])),
        address in prop::option::of(prop::sample::select(vec!["10.0.0.1", "192.0.2.1", "::1"])),
    ) -> Context<'static> {
        Context {
            now: at(seconds),
            skew: std::time::Duration::ZERO,
            request: Request { method, path, address: address.map(|own| own.parse().unwrap()) },
        }
    }
}

fn mint(authority: &Authority, issued: Timestamp) -> String {
    let entropy = SeededEntropy::new(11);
    macaroon::mint(&keys(1), BOUND, authority, issued, &entropy)
        .unwrap()
        .text
}

/// What a macaroon permits in a place: an authority and how often, or nothing.
fn permits(text: &str, place: &Context<'_>) -> Option<(Authority, Vec<macaroon::Count>)> {
    let token = macaroon::open(&keys(1), BOUND, text).ok()?;
    token.judge(place).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    // I05
    #[test]
    fn verify_after_mint_is_the_identity(authority in authority(), millis in 0..2_000_000_000_000_i64) {
        let text = mint(&authority, Timestamp::from_millis(millis));

        let token = macaroon::open(&keys(1), BOUND, &text).unwrap();

        prop_assert_eq!(token.issued(), Timestamp::from_millis(millis));
        prop_assert_eq!(token.unconditional().unwrap(), authority);
    }

    // I06, I07, I14
    #[test]
    fn attenuation_never_widens(
        authority in authority(),
        chain in prop::collection::vec(prop::collection::vec(caveat(), 0..4), 1..5),
        place in places(),
    ) {
        let mut parent = mint(&authority, START);
        for caveats in chain {
            let child = macaroon::attenuate(&parent, &caveats).unwrap();
            if let Some((left, counts)) = permits(&child, &place) {
                let whole = permits(&parent, &place);
                prop_assert!(whole.is_some(), "the child permits what its parent does not");
                let (whole, before) = whole.unwrap();
                prop_assert!(left.is_within(&whole));
                prop_assert!(left.is_within(&authority));
                prop_assert!(counts.starts_with(&before));
            }
            parent = child;
        }
    }

    #[test]
    fn the_order_of_caveats_changes_nothing(
        authority in authority(),
        caveats in prop::collection::vec(caveat(), 0..5),
        place in places(),
    ) {
        let root = mint(&authority, START);
        let mut turned = caveats.clone();
        turned.reverse();

        let one = permits(&macaroon::attenuate(&root, &caveats).unwrap(), &place);
        let two = permits(&macaroon::attenuate(&root, &turned).unwrap(), &place);

        prop_assert_eq!(one.map(|own| own.0), two.map(|own| own.0));
    }

    #[test]
    fn a_caveat_is_read_back_as_it_was_written(caveat in caveat()) {
        prop_assert_eq!(caveat.to_string().parse::<Caveat>().unwrap(), caveat);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "(AgE|AgI|MDAx|\\{|\\[)?[ -~]{0,80}") {
        let _ = macaroon::inspect(&text);
        let _ = macaroon::open(&keys(1), BOUND, &text);
        let _ = text.parse::<Caveat>();
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use base64::Engine;
        for first in [vec![2, 1], vec![2, 2], b"00".to_vec()] {
            let text = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([first, bytes.clone()].concat());
            let _ = macaroon::open(&keys(1), BOUND, &text);
        }
    }
}
