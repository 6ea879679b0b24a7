//! Any authority, any step, any chain.

use proptest::prelude::*;
use symbolon_protocol::{ResourceIdentifier, Scopes};
use symbolon_testkit::{SeededEntropy, at};
use symbolon_token::authority::FOREIGN;
use symbolon_token::macaroon::Caveat;
use symbolon_token::revocation::Target;
use symbolon_token::{
    Actor, Ancestor, Authentication, Authority, Binding, Granted, Id, Position, Slot, Subject,
    Thumbprint,
};

use crate::chain::{Asked, Step};
use crate::form::Form;

fn audience(n: u8) -> ResourceIdentifier {
    format!("https://api{n}.example.com").parse().unwrap()
}

fn scopes() -> impl Strategy<Value = Scopes> {
    let one = prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    prop::collection::btree_set(one, 0..5)
        .prop_map(|all| all.into_iter().map(|own| own.parse().unwrap()).collect())
}

fn thumbprint() -> impl Strategy<Value = Thumbprint> {
    (0..2_u8).prop_map(|n| Thumbprint::from_bytes([n; 32]))
}

fn binding() -> impl Strategy<Value = Binding> {
    let part = || prop::option::weighted(0.3, thumbprint());
    (part(), part()).prop_map(|(key, certificate)| Binding { key, certificate })
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        any::<u64>().prop_map(|seed| {
            let entropy = SeededEntropy::new(seed);
            Subject::Person(Id::new(Slot::random(&entropy), &entropy))
        }),
        Just(Subject::Client("web".parse().unwrap())),
        "[a-z|]{1,12}".prop_map(|name| Subject::Foreign(format!("{FOREIGN}{name}").into())),
    ]
}

/// What a person granted, at some APIs.
fn granted() -> impl Strategy<Value = Authority> {
    let parts = (
        subject(),
        prop::collection::btree_set(0..3_u8, 1..4),
        scopes(),
        1..2_000_000_i64,
        binding(),
        (
            prop::collection::vec("[a-z]{1,8}", 0..3),
            prop::option::weighted(0.3, ("[a-z]{1,8}", prop::option::of("https://[a-z]{1,8}"))),
        ),
        prop::collection::vec((1..=11_u8, any::<u64>()), 0..3),
        any::<u64>(),
    );
    parts.prop_map(
        |(subject, audiences, scopes, millis, binding, (actors, may_act), ancestors, seed)| {
            let entropy = SeededEntropy::new(seed);
            let of_person = matches!(subject, Subject::Person(_));
            let slot = Slot::random(&entropy);
            Authority::granted(Granted {
                subject,
                client: "web".parse().unwrap(),
                audiences: audiences.into_iter().map(audience).collect(),
                scopes,
                agreement: symbolon_protocol::Agreement::default(),
                expires: at(2) + std::time::Duration::from_millis(millis.unsigned_abs()),
                organization: seed.is_multiple_of(2).then(|| "acme".parse().unwrap()),
                roles: if seed.is_multiple_of(2) {
                    vec!["buyer".into(), "a <b> & \"c\"".into()]
                } else {
                    Vec::new()
                },
                grant: of_person.then(|| Id::new(slot, &entropy)),
                family: of_person.then(|| Id::new(slot, &entropy)),
                session: of_person.then(|| Id::new(slot, &entropy)),
                authentication: of_person.then(|| Authentication {
                    time: at(-60),
                    acr: "1".into(),
                    amr: vec!["pwd".into(), "otp".into()],
                }),
                binding,
                actors: actors
                    .into_iter()
                    .map(|subject| Actor {
                        subject,
                        issuer: None,
                    })
                    .collect(),
                may_act: may_act.map(|(subject, issuer)| Actor { subject, issuer }),
                lineage: ancestors
                    .into_iter()
                    .map(|(target, name)| Ancestor {
                        target: Target::numbered(target).unwrap(),
                        name,
                    })
                    .collect(),
                position: Position {
                    epoch: 1,
                    sequence: 200,
                },
            })
        },
    )
}

/// What one token permits: at one API.
pub(crate) fn authority() -> impl Strategy<Value = Authority> {
    granted().prop_map(|own| crate::chain::at_first(&own))
}

/// The same, bound to nothing, so that every form can hold it.
pub(crate) fn bearer() -> impl Strategy<Value = Authority> {
    authority().prop_filter("bound to nothing", |own| !own.binding().is_bound())
}

/// Caveats that narrow, and conditions, most of which are met.
pub(crate) fn narrower() -> impl Strategy<Value = Vec<Caveat>> {
    let some = scopes().prop_filter("a scope caveat names one", |own| !own.is_empty());
    let text = prop::sample::select(vec![
        "method = GET",
        "path = /a/{id}",
        "network = 10.0.0.0/8",
        "method = POST",
        "budget = 5",
    ]);
    let one = prop_oneof![
        some.prop_map(Caveat::Scope),
        (0..3_u8).prop_map(|n| Caveat::Audience(audience(n))),
        (1..3000_i64).prop_map(|seconds| Caveat::Before(at(seconds))),
        thumbprint().prop_map(Caveat::Jkt),
        text.prop_map(|text| text.parse().unwrap()),
    ];
    prop::collection::vec(one, 0..3)
}

fn asked() -> impl Strategy<Value = Asked> {
    let parts = (
        prop::option::weighted(0.4, scopes()),
        prop::option::weighted(0.3, (0..4_u8).prop_map(audience)),
        prop::option::weighted(0.4, (1..2000_i64).prop_map(at)),
        prop::option::weighted(0.2, binding()),
    );
    parts.prop_map(|(scopes, audience, expires, binding)| Asked {
        scopes,
        audience,
        expires,
        binding,
    })
}

fn form() -> impl Strategy<Value = Form> {
    prop::sample::select(Form::ALL.to_vec())
}

fn step() -> impl Strategy<Value = (Step, Form)> {
    let step = prop_oneof![
        asked().prop_map(Step::Refresh),
        asked().prop_map(Step::Exchange),
        (asked(), "[a-z]{1,8}").prop_map(|(asked, actor)| Step::Delegate(asked, actor)),
        narrower().prop_map(Step::Attenuate),
    ];
    (step, form())
}

/// What was granted, and what is done with it.
pub(crate) fn chains() -> impl Strategy<Value = (Authority, Vec<(Step, Form)>)> {
    (granted(), prop::collection::vec(step(), 1..8))
}

/// The same with one actor after the other.
pub(crate) fn deep() -> impl Strategy<Value = (Authority, Vec<(Step, Form)>)> {
    let nothing = Asked {
        scopes: None,
        audience: None,
        expires: None,
        binding: None,
    };
    let delegate = "[a-z]{1,8}".prop_map(move |actor| Step::Delegate(nothing.clone(), actor));
    (granted(), prop::collection::vec((delegate, form()), 6..14))
}
