//! Properties of an authority: it is read back as written, and only shrinks.

use proptest::prelude::*;

use super::*;

fn audience(n: u8) -> ResourceIdentifier {
    format!("https://api{n}.example.com").parse().unwrap()
}

/// An agreement that says where some of the scopes are good, or nothing of it.
fn agreement(
    audiences: &[ResourceIdentifier],
    scopes: &Scopes,
    apart: Vec<(u8, String)>,
    claims: std::collections::BTreeSet<String>,
) -> Agreement {
    let mut agreement = Agreement {
        claims,
        ..Agreement::default()
    };
    if apart.len() < 2 {
        return agreement;
    }
    let placed = |scope: &str| apart.iter().any(|(_, own)| own == scope);
    agreement.everywhere = scopes.filtered(|scope| !placed(scope));
    for place in audiences {
        let own = scopes.filtered(|scope| {
            let mut pairs = apart.iter();
            pairs.any(|(n, own)| own == scope && audience(*n) == *place)
        });
        agreement.places.insert(place.clone(), own);
    }
    agreement
}

prop_compose! {
    fn authorities()(
        person in proptest::option::of(any::<[u8; 14]>()),
        audiences in proptest::collection::btree_set(0..4_u8, 1..4),
        scopes in proptest::collection::btree_set("[a-d]{1,2}", 0..5),
        expires in 1..4_000_000_000_000_i64,
        roles in proptest::collection::btree_set("[a-c]{1,3}", 0..3),
        family in any::<[u8; 14]>(),
        authenticated in proptest::option::of(1..4_000_000_000_000_i64),
        sequence in 0..i64::MAX,
        bound in (proptest::option::of(any::<[u8; 32]>()), proptest::option::of(any::<[u8; 32]>())),
        actors in proptest::collection::vec("[a-z]{1,20}", 0..3),
        may_act in proptest::option::of(("[a-z]{1,20}", proptest::option::of("https://[a-z]{1,9}"))),
        ancestors in proptest::collection::vec((1..=11_u8, any::<u64>()), 0..6),
        foreign in proptest::option::of("[ -~]{1,40}"),
        apart in proptest::collection::vec((0..4_u8, "[a-d]{1,2}"), 0..8),
        claims in proptest::collection::btree_set("userinfo\\.[a-c]", 0..3),
    ) -> Authority {
        let id = |tail: [u8; 14]| { let mut id = [0; 16]; id[2..].copy_from_slice(&tail); id };
        let client: ClientId = "web".parse().unwrap();
        let audiences: Vec<_> = audiences.into_iter().map(audience).collect();
        let scopes: Scopes = scopes.into_iter().map(|scope| scope.parse().unwrap()).collect();
        Authority::granted(Granted {
            agreement: agreement(&audiences, &scopes, apart, claims),
            subject: match (person, foreign) {
                (Some(tail), _) => Subject::Person(Id::from_bytes(id(tail)).unwrap()),
                (None, Some(name)) if name.len() % 2 == 0 => Subject::Foreign(format!("{FOREIGN}{name}").into()),
                (None, Some(name)) => Subject::Client(format!("c{name}").parse().unwrap()),
                (None, None) => Subject::Client(client.clone()),
            },
            client,
            audiences,
            scopes,
            expires: Timestamp::from_millis(expires),
            organization: (!roles.is_empty()).then(|| "acme".parse().unwrap()),
            roles: roles.into_iter().collect(),
            grant: None,
            family: Id::from_bytes(id(family)),
            session: None,
            authentication: authenticated.map(|time| Authentication {
                time: Timestamp::from_millis(time), acr: "1".into(), amr: vec!["pwd".into()],
            }),
            binding: Binding {
                key: bound.0.map(Thumbprint::from_bytes),
                certificate: bound.1.map(Thumbprint::from_bytes),
            },
            actors: actors.into_iter().map(|subject| Actor { subject, issuer: None }).collect(),
            may_act: may_act.map(|(subject, issuer)| Actor { subject, issuer }),
            lineage: ancestors.into_iter().map(|(target, name)| Ancestor {
                target: crate::revocation::Target::numbered(target).unwrap(), name,
            }).collect(),
            position: Position { epoch: 1, sequence },
        })
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(authority in authorities()) {
        prop_assert_eq!(Authority::decode(&authority.encode()), Some(authority));
    }

    #[test]
    fn a_cut_or_longer_encoding_is_refused(authority in authorities(), cut in 1..40_usize) {
        let mut bytes = authority.encode();
        prop_assert_eq!(Authority::decode(&bytes[..bytes.len().saturating_sub(cut)]), None);
        bytes.push(0);
        prop_assert_eq!(Authority::decode(&bytes), None);
    }

    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Authority::decode(&bytes);
    }

    #[test]
    fn what_is_kept_is_what_is_allowed_and_was_there(
        authority in authorities(), scopes in proptest::collection::btree_set("[a-d]{1,2}", 0..5),
        places in proptest::collection::btree_set(0..5_u8, 0..5),
    ) {
        let scopes: Scopes = scopes.into_iter().map(|scope| scope.parse().unwrap()).collect();
        let is_place = |own: &ResourceIdentifier| places.iter().any(|n| audience(*n) == *own);

        let kept = authority.kept(|place, _| is_place(place).then(|| scopes.clone()));

        prop_assert!(kept.is_within(&authority));
        for place in authority.audiences() {
            let left = authority.scopes_at(place).intersection(&scopes);
            prop_assert_eq!(kept.audiences().contains(place), is_place(place));
            prop_assert!(!is_place(place) || kept.scopes_at(place) == left);
            prop_assert!(!is_place(place) || left.is_within(kept.scopes()));
        }
        prop_assert_eq!(Authority::decode(&kept.encode()), Some(kept));
    }

    #[test]
    fn narrowing_never_permits_more(
        authority in authorities(), scopes in proptest::collection::btree_set("[a-d]{1,2}", 0..5),
        aim in 0..5_u8, expires in 1..4_000_000_000_000_i64,
    ) {
        let scopes: Scopes = scopes.into_iter().map(|scope| scope.parse().unwrap()).collect();
        let by = Narrowing {
            scopes: Some(scopes.clone()), audience: Some(audience(aim)),
            expires: Some(Timestamp::from_millis(expires)), ..Narrowing::default()
        };
        match authority.narrow(by) {
            Ok(narrowed) => {
                prop_assert!(narrowed.scopes().is_within(&authority.scopes_at(&audience(aim))));
                prop_assert!(narrowed.scopes() == &authority.scopes_at(&audience(aim))
                    || narrowed.userinfo_claims().next().is_none());
                prop_assert!(authority.audiences().contains(&audience(aim)));
                prop_assert!(narrowed.expires() <= authority.expires());
                prop_assert!(narrowed.is_within(&authority));
            }
            Err(WouldWiden) => prop_assert!(
                !scopes.is_within(&authority.scopes_at(&audience(aim)))
                    || !authority.audiences().contains(&audience(aim))
                    || expires > authority.expires().millis()
            ),
        }
    }

    #[test]
    fn a_binding_is_kept_or_strengthened_and_never_changed(
        authority in authorities(), key in proptest::option::of(any::<[u8; 32]>()),
        certificate in proptest::option::of(any::<[u8; 32]>()),
    ) {
        let asked = Binding {
            key: key.map(Thumbprint::from_bytes), certificate: certificate.map(Thumbprint::from_bytes),
        };
        let own = *authority.binding();

        let narrowed = authority.narrow(Narrowing { binding: Some(asked), ..Narrowing::default() });

        let kept = (own.key.is_none() || own.key == asked.key)
            && (own.certificate.is_none() || own.certificate == asked.certificate);
        prop_assert_eq!(narrowed.is_ok(), kept);
        if let Ok(narrowed) = narrowed {
            prop_assert_eq!(*narrowed.binding(), asked);
        }
    }

    #[test]
    fn a_derivation_keeps_every_actor_and_ancestor(authority in authorities(), name in any::<u64>()) {
        let derived = |from: Vec<Ancestor>| authority.narrow(Narrowing {
            derivation: Some(Derivation {
                client: "other".parse().unwrap(),
                actor: Some(Actor { subject: "other".into(), issuer: None }),
                from,
            }),
            ..Narrowing::default()
        });

        prop_assert!(derived(Vec::new()).is_err(), "another client without a record");
        let ancestor = Ancestor { target: crate::revocation::Target::Token, name };
        let narrowed = derived(vec![ancestor]).unwrap();
        prop_assert_eq!(narrowed.lineage()[0], ancestor);
        prop_assert_eq!(&narrowed.lineage()[1..], authority.lineage());
        prop_assert_eq!(&narrowed.actors()[1..], authority.actors());
        prop_assert_eq!(narrowed.may_act(), authority.may_act());
        prop_assert_eq!(Authority::decode(&narrowed.encode()), Some(narrowed));
    }
}

/// What was written before anybody could be named who may act.
#[test]
fn a_form_without_who_may_act_still_reads() {
    let whole = Authority::granted(Granted {
        subject: Subject::Client("web".parse().unwrap()),
        client: "web".parse().unwrap(),
        audiences: vec![audience(1)],
        scopes: "a".parse().unwrap(),
        agreement: Agreement::default(),
        expires: Timestamp::from_millis(1_000),
        organization: None,
        roles: Vec::new(),
        grant: None,
        family: None,
        session: None,
        authentication: None,
        binding: Binding::NONE,
        actors: Vec::new(),
        may_act: Some(Actor {
            subject: "api".into(),
            issuer: None,
        }),
        lineage: Vec::new(),
        position: Position {
            epoch: 1,
            sequence: 1,
        },
    });
    let new = whole.encode();

    // As it was written before: nothing at the end, and no word of it before.
    let mut old = new[..new.len() - 5].to_vec();
    let actors = old.iter().rposition(|own| *own == 64).unwrap();
    old[actors] = 0;
    let old = Authority::decode(&old).unwrap();

    assert_eq!(old.may_act(), None);
    assert!(old.narrow(Narrowing::default()).is_ok());
    assert!(!old.is_within(&whole), "to leave it out would widen");
    assert!(whole.is_within(&old), "to name somebody narrows");
    assert_eq!(Authority::decode(&new), Some(whole));
    assert_eq!(Authority::decode(&new[..new.len() - 1]), None);
    assert_eq!(Authority::decode(&new[..new.len() - 5]), None);
    let nobody = [&new[..new.len() - 5], &[0, 0]].concat();
    assert_eq!(Authority::decode(&nobody), None);
}
