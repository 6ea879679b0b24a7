//! What comes of a subject token: its authority, narrowed, with what it came
//! from and who acts on record.
//!
//! Spec: RFC 8693 §1.1, §4.1

use symbolon_protocol::{Agreement, ClientId, ResourceIdentifier, planted};
use symbolon_token::{
    Actor, Ancestor, Authority, Binding, Derivation, Granted, Narrowing, Position, WouldWiden,
};

use super::opened::Opened;
use super::scope;
use crate::failure::Refusal;

/// Derives the authority of the result at one API.
///
/// Taking back anything that the subject or actor token hangs on takes the
/// result back, it lives no longer and has no scope more than either, and
/// whoever uses it has to hold all that either is bound to.
pub(super) fn narrower(
    client: &ClientId,
    (subject, actor): (&Opened, Option<Opened>),
    audience: &ResourceIdentifier,
    known: Position,
) -> Result<Authority, Refusal> {
    let whole = reaching(subject, audience);
    let scopes = scope::shared((subject, actor.as_ref()), audience);
    let end = whole.expires();
    let end = actor
        .as_ref()
        .map_or(end, |actor| end.min(actor.authority.expires()));
    let own = *whole.binding();
    let binding = match &actor {
        Some(actor) => own.with(*actor.authority.binding()),
        None => Some(own),
    };
    // `check_proof` saw one caller hold both.
    let binding = binding.ok_or(Refusal::invalid_request(
        "subject_token and actor_token are bound to different keys",
    ))?;
    let before = actor.as_ref();
    let before = before.map_or_else(Vec::new, |own| own.authority.actors().to_vec());
    let mut from = subject.ancestors.clone();
    from.extend(actor.iter().flat_map(|actor| &actor.ancestors));
    from.extend(actor.iter().flat_map(|actor| actor.authority.lineage()));
    let by = Narrowing {
        scopes: Some(scopes),
        audience: Some(audience.clone()),
        expires: Some(end),
        binding: Some(binding),
        derivation: Some(Derivation {
            client: client.clone(),
            actor: actor.map(|actor| actor.name),
            from: unrecorded(from, whole.lineage()),
        }),
        position: Some(known),
    };
    earlier(whole, &before)
        .and_then(|whole| whole.narrow(by))
        .map_err(|_| Refusal::invalid_request("the chain of actors or ancestors is too long"))
}

/// The authority with those on record who acted for the actor: they stand
/// behind it, or whoever acts through another's name would be nowhere.
fn earlier(whole: Authority, actors: &[Actor]) -> Result<Authority, WouldWiden> {
    let behind = |whole: Authority, actor: &Actor| {
        whole.narrow(Narrowing {
            derivation: Some(Derivation {
                client: whole.client().clone(),
                actor: Some(actor.clone()),
                from: Vec::new(),
            }),
            ..Narrowing::default()
        })
    };
    actors.iter().rev().try_fold(whole, behind)
}

/// What is not on record yet, each once: a chain stays short enough to carry.
fn unrecorded(from: Vec<Ancestor>, known: &[Ancestor]) -> Vec<Ancestor> {
    let mut kept: Vec<Ancestor> = Vec::with_capacity(from.len());
    for ancestor in from {
        if !known.contains(&ancestor) && !kept.contains(&ancestor) {
            kept.push(ancestor);
        }
    }
    kept
}

/// The authority as the policies read it: what it permits, at the one API that
/// they allow. Claims that a person agreed to tell one client stay behind.
///
/// INVARIANT: `policy::target` is the one source of `audience`. Nothing else
/// of the authority grows.
fn reaching(subject: &Opened, audience: &ResourceIdentifier) -> Authority {
    let own = &subject.authority;
    Authority::granted(Granted {
        subject: own.subject().clone(),
        client: own.client().clone(),
        audiences: vec![audience.clone()],
        scopes: subject.scopes_at(audience),
        agreement: Agreement::default(),
        expires: match planted(8) {
            true => own.expires() + std::time::Duration::from_secs(3600),
            false => own.expires(),
        },
        organization: own.organization().cloned(),
        roles: own.roles().to_vec(),
        grant: own.grant(),
        family: own.family(),
        session: own.session(),
        authentication: own.authentication().cloned(),
        binding: match planted(9) {
            true => Binding::NONE,
            false => *own.binding(),
        },
        actors: own.actors().to_vec(),
        may_act: own.may_act().cloned(),
        lineage: own.lineage().to_vec(),
        position: own.position(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use symbolon_protocol::{Scopes, Timestamp};
    use symbolon_token::authority::MAX_ACTORS;
    use symbolon_token::revocation::Target;
    use symbolon_token::{Subject, Thumbprint};

    use super::super::opened::{Holder, Reach};
    use super::*;

    const AT: Position = Position {
        epoch: 1,
        sequence: 9,
    };

    fn api(n: u8) -> ResourceIdentifier {
        format!("https://api{n}.example.com").parse().unwrap()
    }

    fn token(authority: Authority, name: u64) -> Opened {
        let ancestor = |target, name| Ancestor { target, name };
        Opened {
            name: Actor {
                subject: format!("actor{name}"),
                issuer: None,
            },
            holder: Holder::Client(authority.client().clone()),
            sector: None,
            known: AT,
            ancestors: vec![ancestor(Target::Token, name), ancestor(Target::Subject, 7)],
            bound_like: Binding::NONE,
            reach: Reach::Moving,
            says_scopes: name.is_multiple_of(2),
            authority,
        }
    }

    fn authority(expires: i64, key: Option<[u8; 32]>) -> Authority {
        Authority::granted(Granted {
            subject: Subject::Client("web".parse().unwrap()),
            client: "web".parse().unwrap(),
            audiences: vec![api(0)],
            scopes: "a b".parse::<Scopes>().unwrap(),
            agreement: Agreement::default(),
            expires: Timestamp::from_millis(expires),
            organization: Some("acme".parse().unwrap()),
            roles: vec!["buyer".to_owned()],
            grant: None,
            family: None,
            session: None,
            authentication: None,
            binding: Binding {
                key: key.map(Thumbprint::from_bytes),
                certificate: None,
            },
            actors: Vec::new(),
            may_act: None,
            lineage: Vec::new(),
            position: Position {
                epoch: 1,
                sequence: 1,
            },
        })
    }

    proptest! {
        #[test]
        fn a_chain_of_exchanges_never_permits_more(
            expires in 1..1_000_000_i64, key in proptest::option::of(any::<[u8; 32]>()),
            steps in proptest::collection::vec((0..4_u8, proptest::option::of(1..1_000_000_i64)), 1..12),
        ) {
            let root = authority(expires, key);
            let mut current = root.clone();
            let mut ancestors: Vec<Ancestor> = Vec::new();
            let (mut acted, mut end) = (0, root.expires());
            for (number, (to, actor)) in steps.into_iter().enumerate() {
                let subject = token(current.clone(), number as u64);
                ancestors.extend(&subject.ancestors);
                let actor = actor.map(|ends| {
                    let behind = number.is_multiple_of(3).then(|| Derivation {
                        client: "web".parse().unwrap(),
                        actor: Some(Actor { subject: format!("behind{number}"), issuer: None }),
                        from: Vec::new(),
                    });
                    acted += usize::from(behind.is_some());
                    let only_a = Narrowing {
                        scopes: "a".parse().ok(), derivation: behind, ..Narrowing::default()
                    };
                    let own = authority(ends, None).narrow(only_a).unwrap();
                    token(own, 100 + number as u64)
                });
                let acted_here = actor.is_some();
                let limits = actor.as_ref().is_some_and(|own| own.says_scopes);
                acted += usize::from(actor.is_some());
                end = actor.as_ref().map_or(end, |own| end.min(own.authority.expires()));
                ancestors.extend(actor.iter().flat_map(|own| &own.ancestors));
                let client = "api".parse().unwrap();
                let Ok(next) = narrower(&client, (&subject, actor), &api(to), AT) else {
                    prop_assert!(acted > MAX_ACTORS, "only a chain too long is refused");
                    return Ok(());
                };
                prop_assert_eq!(next.audiences(), &[api(to)]);
                prop_assert_eq!(next.expires(), end);
                prop_assert!(next.scopes().is_within(current.scopes()));
                prop_assert!(!limits || !next.scopes().contains("b"), "the actor has no b");
                prop_assert_eq!(next.subject(), root.subject());
                prop_assert_eq!(next.organization(), root.organization());
                prop_assert_eq!(next.roles(), root.roles());
                prop_assert_eq!(next.binding(), root.binding());
                prop_assert_eq!(next.actors().len(), acted);
                prop_assert!(next.actors().ends_with(current.actors()));
                let is_behind = |own: &Actor| own.subject == format!("behind{number}");
                let had_one = acted_here && number.is_multiple_of(3);
                prop_assert_eq!(next.actors().iter().position(is_behind), had_one.then_some(1));
                prop_assert!(ancestors.iter().all(|own| next.lineage().contains(own)));
                current = next;
            }
        }
    }
}
