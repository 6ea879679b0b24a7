//! Where each scope of an authority is good, and which claims go with it.
//!
//! An authority for one audience needs no places: its scopes are good there.
//! One for several (a code, a family) says which scope is good where, so that
//! choosing an audience never brings a scope along that belongs to another.
//!
//! Spec: RFC 8707 §2.2

use std::collections::BTreeMap;

use symbolon_protocol::{Agreement, ResourceIdentifier, Scope, Scopes};

use super::Granted;
use crate::wire::{Reader, Writer};

/// How many claims one authority may carry by name.
const MAX_CLAIMS: usize = 2 * symbolon_protocol::claims::MAX_CLAIMS;

/// The scopes that are good at an audience.
pub(super) fn scopes_at(own: &Granted, audience: &ResourceIdentifier) -> Scopes {
    if own.agreement.places.is_empty() {
        return own.scopes.clone();
    }
    let agreed = own.agreement.at(audience).unwrap_or_default();
    agreed.intersection(&own.scopes)
}

/// Leaves one audience, and of the scopes those that are good there.
pub(super) fn choose(own: &mut Granted, audience: ResourceIdentifier) {
    own.scopes = scopes_at(own, &audience);
    own.agreement.everywhere = Scopes::empty();
    own.agreement.places.clear();
    own.audiences = vec![audience];
}

/// Leaves the audiences for which `allowed` answers, and of the scopes those
/// that it answers with where they are good now.
pub(super) fn keep(
    own: &mut Granted,
    allowed: impl Fn(&ResourceIdentifier, &Scopes) -> Option<Scopes>,
) {
    let left = own.audiences.iter().filter_map(|audience| {
        let here = scopes_at(own, audience);
        let kept = allowed(audience, &here)?.intersection(&here);
        Some((audience.clone(), kept))
    });
    let places: BTreeMap<_, _> = left.collect();
    own.audiences.retain(|own| places.contains_key(own));
    own.agreement.everywhere = Scopes::empty();
    own.agreement.places = places;
    take(own, own.agreement.scopes());
}

/// Leaves these scopes. Claims come with the whole: whoever takes fewer scopes
/// than there are takes none of them.
pub(super) fn take(own: &mut Granted, scopes: Scopes) {
    if !own.scopes.is_within(&scopes) {
        own.agreement.claims.clear();
    }
    own.scopes = scopes;
}

/// Whether nothing is good anywhere in `own` that is not in `whole`.
pub(super) fn is_within(own: &Granted, whole: &Granted) -> bool {
    let at_each = |audience: &ResourceIdentifier| {
        scopes_at(own, audience).is_within(&scopes_at(whole, audience))
    };
    own.scopes.is_within(&whole.scopes)
        && own
            .audiences
            .iter()
            .all(|own| whole.audiences.contains(own))
        && own.audiences.iter().all(at_each)
        && own.agreement.claims.is_subset(&whole.agreement.claims)
}

/// Scopes and audiences were written before, so their places in those lists
/// stand for them.
pub(super) fn write(own: &Granted, out: &mut Writer) {
    let agreement = &own.agreement;
    out.number(agreement.claims.len() as u64);
    for claim in &agreement.claims {
        out.text(claim);
    }
    write_scopes(&own.scopes, &agreement.everywhere, out);
    let audiences = own.audiences.iter().enumerate();
    let places = audiences.filter_map(|(number, at)| Some((number, agreement.places.get(at)?)));
    let places: Vec<_> = places.collect();
    out.number(places.len() as u64);
    for (number, scopes) in places {
        out.number(number as u64);
        write_scopes(&own.scopes, scopes, out);
    }
}

fn write_scopes(all: &Scopes, some: &Scopes, out: &mut Writer) {
    let numbers = || {
        let scopes = all.iter().enumerate();
        scopes.filter(|(_, scope)| some.contains(scope.as_str()))
    };
    out.number(numbers().count() as u64);
    for (number, _) in numbers() {
        out.number(number as u64);
    }
}

/// Reads what [`write()`] wrote, given the lists that came before.
pub(super) fn read(
    scopes: &[Scope],
    audiences: &[ResourceIdentifier],
    from: &mut Reader<'_>,
) -> Option<Agreement> {
    let claims = from.list(MAX_CLAIMS, |from| from.text().map(str::to_owned))?;
    let everywhere = read_scopes(scopes, from)?;
    let places = from.list(super::MAX_AUDIENCES, |from| {
        let number = usize::try_from(from.number()?).ok()?;
        Some((audiences.get(number)?.clone(), read_scopes(scopes, from)?))
    })?;
    Some(Agreement {
        everywhere,
        places: places.into_iter().collect(),
        claims: claims.into_iter().collect(),
    })
}

fn read_scopes(all: &[Scope], from: &mut Reader<'_>) -> Option<Scopes> {
    let numbers = from.list(symbolon_protocol::scope::MAX_SCOPES, |from| {
        all.get(usize::try_from(from.number()?).ok()?).cloned()
    })?;
    Some(numbers.into_iter().collect())
}
