//! What a person agrees to: which scopes at which resource, and which claims.
//!
//! One value is shown on the consent page, kept in the grant, sealed into the
//! code and asked where nobody is asked again. Two agreements are never
//! multiplied: a scope that was agreed to at one resource is agreed to there.
//!
//! Spec: RFC 8707 §2
//! Spec: OpenID Connect Core 1.0 §5.4, §5.5

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::claims::{ClaimsRequest, scope_of_claim};
use crate::scope::Scopes;
use crate::uri::ResourceIdentifier;

/// Begins the name of a claim that userinfo may tell.
pub const IN_USERINFO: &str = "userinfo.";
/// Begins the name of a claim that the ID token may tell.
pub const IN_ID_TOKEN: &str = "id_token.";

/// What a person agrees to, or is asked to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// The scopes that are about the person: good wherever a token is for.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub everywhere: Scopes,
    /// Where tokens may be for, and the scopes that are good there alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<ResourceIdentifier, Scopes>,
    /// Claims by name, each behind the place where it is told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub claims: BTreeSet<String>,
}

impl Agreement {
    /// Every scope, wherever it is good.
    pub fn scopes(&self) -> Scopes {
        let each = self.places.values();
        each.fold(self.everywhere.clone(), |all, own| all.united_with(own))
    }

    /// The scopes that are good at a place; `None` where nothing was agreed to.
    pub fn at(&self, place: &ResourceIdentifier) -> Option<Scopes> {
        let own = self.places.get(place)?;
        Some(self.everywhere.united_with(own))
    }

    /// Whether all of this was agreed to in `other`, place by place.
    pub fn is_within(&self, other: &Self) -> bool {
        let at_place = |(place, own): (&ResourceIdentifier, &Scopes)| {
            let theirs = other.places.get(place);
            theirs.is_some_and(|theirs| own.is_within(theirs))
        };
        self.everywhere.is_within(&other.everywhere)
            && self.places.iter().all(at_place)
            && self.claims.is_subset(&other.claims)
    }

    /// What either holds: what was agreed to before, and now.
    #[must_use]
    pub fn united_with(&self, other: &Self) -> Self {
        let mut united = self.clone();
        united.everywhere = united.everywhere.united_with(&other.everywhere);
        for (place, scopes) in &other.places {
            let own = united.places.entry(place.clone()).or_default();
            *own = own.united_with(scopes);
        }
        united.claims.extend(other.claims.iter().cloned());
        united
    }

    /// The scopes for which `keep` says yes, given the place where each is good;
    /// the places themselves and the claims stay.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(Option<&ResourceIdentifier>, &str) -> bool) -> Self {
        let places = self.places.iter().map(|(place, scopes)| {
            let own = scopes.filtered(|scope| keep(Some(place), scope));
            (place.clone(), own)
        });
        Self {
            everywhere: self.everywhere.filtered(|scope| keep(None, scope)),
            places: places.collect(),
            claims: self.claims.clone(),
        }
    }

    /// What is left once `asked` was shown and only `agreed` was said yes to:
    /// scopes that were shown and left out are gone, and so are the claims
    /// that such a scope stands for.
    #[must_use]
    pub fn after(&self, asked: &Self, agreed: &Self) -> Self {
        let refused = |place: Option<&ResourceIdentifier>, scope: &str| {
            let of = |own: &Self| match place {
                None => own.everywhere.contains(scope),
                Some(place) => own.places.get(place).is_some_and(|own| own.contains(scope)),
            };
            of(asked) && !of(agreed)
        };
        let mut left = self.filtered(|place, scope| !refused(place, scope));
        left.claims.retain(|claim| {
            let bare = claim.split_once('.').map_or(claim.as_str(), |(_, own)| own);
            let by_scope = scope_of_claim(bare).is_some_and(|scope| refused(None, scope));
            let by_name = asked.claims.contains(claim) && !agreed.claims.contains(claim);
            !by_scope && !by_name
        });
        left
    }

    /// The claims that userinfo may tell.
    pub fn userinfo_claims(&self) -> impl Iterator<Item = &str> {
        let claims = self.claims.iter();
        claims.filter_map(|claim| claim.strip_prefix(IN_USERINFO))
    }

    /// The part of a `claims` parameter that was agreed to. What it says of the
    /// subject itself is kept: it tells nothing.
    #[must_use]
    pub fn agreed_claims(&self, asked: &ClaimsRequest) -> ClaimsRequest {
        let mut agreed = asked.clone();
        let is_agreed = |place: &str, name: &str| {
            name == "sub" || self.claims.contains(&format!("{place}{name}"))
        };
        agreed
            .id_token
            .retain(|name, _| is_agreed(IN_ID_TOKEN, name));
        agreed
            .userinfo
            .retain(|name, _| is_agreed(IN_USERINFO, name));
        agreed
    }
}

/// The names of the claims that a `claims` parameter asks for one by one.
pub fn claim_names(asked: &ClaimsRequest) -> BTreeSet<String> {
    let named = |place: &'static str| move |name: &String| format!("{place}{name}");
    let told = |name: &&String| *name != "sub";
    let in_id_token = asked.id_token.keys().filter(told).map(named(IN_ID_TOKEN));
    let in_userinfo = asked.userinfo.keys().filter(told).map(named(IN_USERINFO));
    in_id_token.chain(in_userinfo).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(everywhere: &str, places: &[(&str, &str)], claims: &[&str]) -> Agreement {
        Agreement {
            everywhere: everywhere.parse().unwrap(),
            places: places
                .iter()
                .map(|(host, scopes)| {
                    let place = format!("https://{host}.example").parse().unwrap();
                    (place, scopes.parse().unwrap())
                })
                .collect(),
            claims: claims.iter().map(|claim| (*claim).to_owned()).collect(),
        }
    }

    #[test]
    fn two_agreements_are_added_and_never_multiplied() {
        let write_at_a = agreement("openid", &[("a", "write")], &[]);
        let read_at_b = agreement("openid", &[("b", "read")], &[]);

        let both = write_at_a.united_with(&read_at_b);

        assert!(write_at_a.is_within(&both) && read_at_b.is_within(&both));
        assert!(!agreement("openid", &[("b", "write")], &[]).is_within(&both));
        assert!(!agreement("openid", &[("c", "")], &[]).is_within(&both));
    }

    #[test]
    fn what_was_shown_and_left_out_is_gone_where_it_was_shown() {
        let before = agreement(
            "email openid",
            &[("a", "read"), ("b", "read")],
            &["userinfo.email", "id_token.name"],
        );
        let asked = agreement("email openid", &[("a", "read")], &[]);
        let agreed = agreement("openid", &[("a", "")], &[]);

        let left = before.after(&asked, &agreed);

        let expected = agreement("openid", &[("a", ""), ("b", "read")], &["id_token.name"]);
        assert_eq!(left, expected);
    }

    #[test]
    fn what_was_not_shown_stays() {
        let before = agreement("email openid", &[("a", "read")], &["userinfo.email"]);
        let asked = agreement("openid", &[("b", "read")], &[]);

        assert_eq!(before.after(&asked, &asked), before);
    }

    #[test]
    fn only_claims_that_were_agreed_to_are_told() {
        let text = r#"{"id_token":{"sub":null,"email":null},"userinfo":{"name":null}}"#;
        let asked = ClaimsRequest::parse(text).unwrap();
        let names = claim_names(&asked);
        assert!(names.iter().eq(["id_token.email", "userinfo.name"]));

        let told = agreement("", &[], &["userinfo.name"]).agreed_claims(&asked);

        assert!(told.id_token.keys().eq(["sub"]) && told.userinfo.keys().eq(["name"]));
    }
}
