//! What is proved is what the library proves.

use libmacaroon::{Macaroon, MacaroonKey, Verifier};
use proptest::prelude::*;

use super::*;

/// What is done to a macaroon and its discharges before both are judged.
#[derive(Debug, Clone)]
enum Harm {
    None,
    /// A caveat behind the binding.
    Caveat(usize),
    /// Not bound, or bound to another.
    Unbound(usize),
    Foreign(usize),
    Missing(usize),
    Twice(usize),
    Unasked,
    OtherKey,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        3 => Just(Harm::None),
        1 => (0..4_usize).prop_map(Harm::Caveat),
        1 => (0..4_usize).prop_map(Harm::Unbound),
        1 => (0..4_usize).prop_map(Harm::Foreign),
        1 => (0..4_usize).prop_map(Harm::Missing),
        1 => (0..4_usize).prop_map(Harm::Twice),
        1 => Just(Harm::Unasked),
        1 => Just(Harm::OtherKey),
    ]
}

fn key(name: &str) -> MacaroonKey {
    MacaroonKey::generate(name.as_bytes())
}

/// A root, and discharges that may ask for others: each asks for the next in
/// depth where `nested` says so, else the root asks for it.
fn whole(firsts: &[String], nested: &[bool]) -> (Macaroon, Vec<Macaroon>) {
    let mut root = Macaroon::create(Some("here"), &key("root"), "root").unwrap();
    let mut discharges: Vec<Macaroon> = Vec::new();
    for (n, is_nested) in nested.iter().enumerate() {
        let name = format!("discharge {n}");
        let asks = match discharges.last_mut() {
            Some(last) if *is_nested => last,
            _ => &mut root,
        };
        asks.add_third_party_caveat("there", &key(&name), &name)
            .unwrap();
        let own = Macaroon::create(Some("there"), &key(&name), &name);
        discharges.push(own.unwrap());
    }
    for (n, text) in firsts.iter().enumerate() {
        match discharges.get_mut(n * 2) {
            Some(own) => own.add_first_party_caveat(text).unwrap(),
            None => root.add_first_party_caveat(text).unwrap(),
        };
    }
    (root, discharges)
}

fn bound(root: &Macaroon, discharges: &[Macaroon], harm: &Harm) -> Vec<Macaroon> {
    let other = Macaroon::create(None, &key("other"), "other").unwrap();
    let each = discharges.iter().enumerate().map(|(n, own)| {
        let mut own = own.clone();
        match harm {
            Harm::Unbound(at) if *at == n => {}
            Harm::Foreign(at) if *at == n => other.bind(&mut own),
            _ => root.bind(&mut own),
        }
        own
    });
    let mut all: Vec<Macaroon> = each.collect();
    match harm {
        Harm::Missing(at) if *at < all.len() => drop(all.remove(*at)),
        Harm::Twice(at) if *at < all.len() => all.push(all[*at].clone()),
        Harm::Unasked => {
            let mut own = Macaroon::create(None, &key("more"), "more").unwrap();
            root.bind(&mut own);
            all.push(own);
        }
        Harm::Caveat(at) if *at < all.len() => {
            all[*at].add_first_party_caveat("method = GET").unwrap();
        }
        _ => {}
    }
    all
}

proptest! {
    #[test]
    fn what_is_proved_is_what_the_library_proves(
        firsts in prop::collection::vec("[ -~]{1,120}", 0..6),
        nested in prop::collection::vec(any::<bool>(), 0..4),
        harm in harm(),
    ) {
        let (root, discharges) = whole(&firsts, &nested);
        let discharges = bound(&root, &discharges, &harm);
        let key = key(if matches!(harm, Harm::OtherKey) { "none" } else { "root" });

        let mut verifier = Verifier::default();
        verifier.satisfy_general(|_| true);
        let theirs = verifier.verify(&root, &key, &discharges);

        let each = discharges.iter().map(|own| Binary::of(own).unwrap());
        let bundle = Bundle { root: Binary::of(&root).unwrap(), discharges: each.collect() };
        let ours = prove(&bundle, key.as_ref());

        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        let is_harmed = match harm {
            Harm::None => false,
            Harm::OtherKey | Harm::Unasked => true,
            Harm::Caveat(at) | Harm::Unbound(at) | Harm::Foreign(at)
            | Harm::Missing(at) | Harm::Twice(at) => at < nested.len(),
        };
        prop_assert_eq!(ours.is_err(), is_harmed, "{:?}", ours);
    }

    #[test]
    fn keys_are_derived_as_the_library_derives_them(secret in prop::collection::vec(any::<u8>(), 0..100)) {
        let theirs = MacaroonKey::generate(&secret);
        let theirs: &[u8; 32] = theirs.as_ref();
        prop_assert_eq!(&*key_of(&secret), theirs);
    }
}
