//! What nobody can do to a macaroon: take away, move, change, repeat, grow.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libmacaroon::{Format, Macaroon};
use symbolon_token::macaroon::{self, Flaw, MAX_CAVEATS};

use crate::{BOUND, caveats, keys, minted, narrowed, open};

fn bytes(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn text(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A caveat as the v2 form writes it.
fn field(caveat: &str) -> Vec<u8> {
    [
        &[2, u8::try_from(caveat.len()).unwrap()],
        caveat.as_bytes(),
        &[0],
    ]
    .concat()
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|own| own == from)
        .unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

// G211
/// Attack: G211
#[test]
fn a_caveat_that_is_taken_away_moved_or_changed_is_noticed() {
    let (scope, method) = (field("scope = read:orders"), field("method = GET"));
    let whole = bytes(&narrowed(&["scope = read:orders", "method = GET"]));
    let both = [&*scope, &*method].concat();
    let forged = [
        replace(&whole, &method, b""),
        replace(&whole, &scope, b""),
        replace(&whole, &both, b""),
        replace(&whole, &both, &[&*method, &*scope].concat()),
        replace(&whole, &both, &[&*both, &*method].concat()),
        replace(&whole, b"read:orders", b"sell:orders"),
    ];

    for forged in forged {
        assert_eq!(open(&text(&forged)).unwrap_err(), Flaw::Mac);
    }
    // The signature of the child over the body of the parent, and the reverse.
    let parent = bytes(&minted());
    let (body, _) = parent.split_at(parent.len() - 32);
    let (_, signature) = whole.split_at(whole.len() - 32);
    assert_eq!(
        open(&text(&[body, signature].concat())).unwrap_err(),
        Flaw::Mac
    );
    assert!(open(&text(&whole)).is_ok());
    assert!(open(&minted()).is_ok());
}

#[test]
fn any_changed_byte_is_refused() {
    let whole = bytes(&narrowed(&["scope = read:orders", "method = GET"]));
    for at in 0..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            assert!(open(&text(&changed)).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
    for end in 0..whole.len() {
        assert!(open(&text(&whole[..end])).is_err(), "cut at {end}");
    }
    assert!(open(&text(&whole)).is_ok());
}

#[test]
fn any_changed_character_is_refused() {
    let whole = narrowed(&["scope = read:orders"]);
    for at in 0..whole.len() {
        for other in ["A", "_", ".", "=", " ", "é"] {
            if whole.is_char_boundary(at) && &whole[at..=at] != other {
                let changed = format!("{}{other}{}", &whole[..at], &whole[at + 1..]);
                assert!(open(&changed).is_err(), "character {at} {other}");
            }
        }
    }
    for odd in [
        format!("{whole}\n"),
        format!(" {whole}"),
        format!("{whole}===="),
        whole.clone() + "A",
    ] {
        assert!(open(&odd).is_err(), "{odd}");
    }
}

#[test]
fn any_changed_byte_of_v1_is_refused_and_v1_has_one_spelling() {
    let v2 = Macaroon::deserialize(narrowed(&["scope = read:orders"])).unwrap();
    let v1 = v2.serialize(Format::V1).unwrap();
    let whole = bytes(v1.trim_end_matches('='));
    for at in 0..whole.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            assert!(open(&text(&changed)).is_err(), "byte {at} ^ {flip:#x}");
        }
    }
    assert!(open(&text(&whole)).is_ok());
}

/// Attack: G217
#[test]
fn unknown_and_malformed_caveats_fail_whoever_added_them() {
    for predicate in [
        "expires = 2026-12-01T18:00:00Z",
        "before = 9999999999999",
        "before = 2025-13-40T00:00:00Z",
        "before = 2026-12-01T18:00:00",
        "scope=read:orders",
        "",
        "\u{202e}",
    ] {
        let mut forged = Macaroon::deserialize(minted()).unwrap();
        forged.add_first_party_caveat(predicate).unwrap();
        let refused = open(&forged.serialize(Format::V2).unwrap()).unwrap_err();
        assert_eq!(refused.code(), "caveat_unknown", "{predicate}");
    }
    let mut binary = Macaroon::deserialize(minted()).unwrap();
    binary.add_first_party_caveat([0xff, 0xfe]).unwrap();
    assert_eq!(
        open(&binary.serialize(Format::V2).unwrap())
            .unwrap_err()
            .code(),
        "caveat_unknown"
    );
    let mut twin = Macaroon::deserialize(minted()).unwrap();
    twin.add_first_party_caveat("before = 2026-12-01T18:00:00Z")
        .unwrap();
    assert!(open(&twin.serialize(Format::V2).unwrap()).is_ok());
}

#[test]
fn a_caveat_that_says_more_than_there_is_gives_nothing() {
    let text = narrowed(&[
        "scope = read:orders",
        "scope = read:orders write:orders admin",
        "before = 2030-01-01T00:00:00Z",
    ]);

    let left = open(&text).unwrap();

    assert_eq!(left.scopes().to_string(), "read:orders");
    assert_eq!(left.expires(), crate::at(600));
}

#[test]
fn the_place_it_names_is_the_place_it_was_made_for() {
    let whole = bytes(&minted());
    let moved = replace(&whole, b"https://as.example.com", b"https://as.example.org");
    let bare = replace(
        &whole,
        &[&[1, 22], &b"https://as.example.com"[..]].concat(),
        b"",
    );

    assert_eq!(open(&text(&moved)).unwrap_err(), Flaw::Location);
    assert_eq!(open(&text(&bare)).unwrap_err(), Flaw::Location);
}

#[test]
fn limits_are_kept_before_any_work() {
    let most = vec!["method = GET"; MAX_CAVEATS];
    assert!(open(&narrowed(&most)).is_ok());
    let full = narrowed(&most);
    let refused = macaroon::attenuate(&full, &caveats(&["method = GET"]));
    assert_eq!(refused.unwrap_err().code(), "macaroon_too_large");
    let mut grown = Macaroon::deserialize(&full).unwrap();
    grown.add_first_party_caveat("method = GET").unwrap();
    let refused = open(&grown.serialize(Format::V2).unwrap()).unwrap_err();
    assert_eq!(refused.code(), "macaroon_too_large");
    let mut long = Macaroon::deserialize(minted()).unwrap();
    long.add_first_party_caveat("a".repeat(1025)).unwrap();
    let refused = open(&long.serialize(Format::V2).unwrap()).unwrap_err();
    assert_eq!(refused.code(), "macaroon_too_large");
    assert_eq!(
        open(&"A".repeat(20_000)).unwrap_err().code(),
        "macaroon_too_large"
    );
}

#[test]
fn what_is_no_macaroon_is_refused_without_a_panic() {
    for odd in [
        "",
        "A",
        "Ag",
        "AgE",
        "AgI=",
        "{}",
        "[]",
        "[{}]",
        "{\"v\":2}",
        "[[[[",
        "MDAw",
        "////",
        "{\"v\":1,\"i\":\"a\",\"s\":\"b\"}",
    ] {
        assert!(macaroon::open(&keys(1), BOUND, odd).is_err(), "{odd}");
        assert!(macaroon::inspect(odd).is_err(), "{odd}");
    }
    // A length that is larger than anything.
    assert!(
        open(&text(&[
            2, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1
        ]))
        .is_err()
    );
}

/// Attack: E149
#[test]
fn a_member_that_comes_twice_is_refused_in_a_list_too() {
    let made = Macaroon::deserialize(minted()).unwrap();
    let one = made.serialize(Format::V2JSON).unwrap();
    let twice = one.replacen('{', r#"{"i":"another","#, 1);
    assert!(open(&format!("[{one}]")).is_ok());

    for refused in [
        twice.clone(),
        format!("[{twice}]"),
        format!("[{one},{twice}]"),
    ] {
        assert!(
            matches!(open(&refused).unwrap_err(), Flaw::Form(_)),
            "{refused}"
        );
    }
}
