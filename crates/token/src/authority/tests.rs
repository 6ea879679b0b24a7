//! Properties of an authority: it is read back as written, and only shrinks.

use proptest::prelude::*;

use super::*;

fn audience(n: u8) -> ResourceIdentifier {
    format!("https://api{n}.example.com").parse().unwrap()
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
    ) -> Authority {
        let id = |tail: [u8; 14]| { let mut id = [0; 16]; id[2..].copy_from_slice(&tail); id };
        let client: ClientId = "web".parse().unwrap();
        Authority::granted(Granted {
            subject: person.map_or_else(|| Subject::Client(client.clone()), |tail| Subject::Person(Id::from_bytes(id(tail)).unwrap())),
            client,
            audiences: audiences.into_iter().map(audience).collect(),
            scopes: scopes.into_iter().map(|scope| scope.parse().unwrap()).collect(),
            expires: Timestamp::from_millis(expires),
            organization: (!roles.is_empty()).then(|| "acme".parse().unwrap()),
            roles: roles.into_iter().collect(),
            grant: None,
            family: Id::from_bytes(id(family)),
            session: None,
            authentication: authenticated.map(|time| Authentication {
                time: Timestamp::from_millis(time), acr: "1".into(), amr: vec!["pwd".into()],
            }),
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
    fn narrowing_never_permits_more(
        authority in authorities(), scopes in proptest::collection::btree_set("[a-d]{1,2}", 0..5),
        aim in 0..5_u8, expires in 1..4_000_000_000_000_i64,
    ) {
        let scopes: Scopes = scopes.into_iter().map(|scope| scope.parse().unwrap()).collect();
        let by = Narrowing {
            scopes: Some(scopes.clone()), audience: Some(audience(aim)),
            expires: Some(Timestamp::from_millis(expires)), position: None,
        };
        match authority.narrow(by) {
            Ok(narrowed) => {
                prop_assert!(narrowed.scopes().is_within(authority.scopes()));
                prop_assert!(authority.audiences().contains(&audience(aim)));
                prop_assert!(narrowed.expires() <= authority.expires());
                prop_assert!(narrowed.is_within(&authority));
            }
            Err(WouldWiden) => prop_assert!(
                !scopes.is_within(authority.scopes())
                    || !authority.audiences().contains(&audience(aim))
                    || expires > authority.expires().millis()
            ),
        }
    }
}
