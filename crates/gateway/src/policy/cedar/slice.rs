//! Which policies can apply to a request at all, by what their scopes name: one
//! set for each route that is named, and each method. A policy that is left out
//! would not have applied, so no answer depends on it; it costs nothing.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityUid, Policy, PolicySet, ResourceConstraint};

use super::entity::{ACTIONS, Actions, NotPut};

/// How many places all sets may have together; past it routes are not told
/// apart.
const MAX_PLACES: usize = 400_000;

/// One set for each action, in their order.
type ByAction = Vec<PolicySet>;

/// The sets.
pub(super) struct Slices {
    all: PolicySet,
    /// Of policies that name no route, and where routes are told apart, of
    /// those that name one, too.
    general: ByAction,
    routes: HashMap<String, ByAction>,
}

/// Which routes a policy is about.
enum About {
    Every,
    One(String),
    None,
}

impl Slices {
    pub(super) fn of(all: &PolicySet, actions: &Actions) -> Result<Self, NotPut> {
        let about: Vec<(About, &Policy)> = all.policies().map(|own| (about(own), own)).collect();
        let mut names: Vec<&str> = Vec::new();
        for (own, _) in &about {
            if let About::One(name) = own {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.dedup();
        let general = about.iter().filter(|(own, _)| matches!(own, About::Every));
        let places = ACTIONS.len() * (names.len() + 1) * general.count() + about.len();
        if places > MAX_PLACES {
            names.clear();
        }
        let takes = |wanted: Option<&str>, own: &About| match (own, wanted) {
            (About::Every, _) => true,
            (About::One(_), _) if names.is_empty() => true,
            (About::One(name), Some(wanted)) => name == wanted,
            (About::One(_), None) | (About::None, _) => false,
        };
        let sets = |wanted: Option<&str>| -> Result<ByAction, NotPut> {
            let own = |action: usize| {
                let own = about.iter().filter(|(own, _)| takes(wanted, own));
                let own = own.filter(|(_, policy)| is_about(policy, actions.with_groups(action)));
                PolicySet::from_policies(own.map(|(_, policy)| (*policy).clone()))
                    .map_err(NotPut::of)
            };
            (0..ACTIONS.len()).map(own).collect()
        };
        let mut routes = HashMap::new();
        for name in &names {
            routes.insert((*name).to_owned(), sets(Some(name))?);
        }
        Ok(Self {
            general: sets(None)?,
            all: all.clone(),
            routes,
        })
    }

    /// What can apply at a route to an action.
    pub(super) fn at(&self, route: &str, action: usize) -> &PolicySet {
        let sets = self.routes.get(route).unwrap_or(&self.general);
        sets.get(action).unwrap_or(&self.all)
    }

    /// Every policy.
    pub(super) const fn all(&self) -> &PolicySet {
        &self.all
    }
}

fn about(policy: &Policy) -> About {
    let is_route = |kind: &cedar_policy::EntityTypeName| kind.to_string() == "Route";
    match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::In(_) => About::Every,
        ResourceConstraint::Eq(uid) if is_route(uid.type_name()) => {
            About::One(uid.id().unescaped().to_owned())
        }
        ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) if is_route(&kind) => {
            About::Every
        }
        ResourceConstraint::Eq(_) | ResourceConstraint::Is(_) | ResourceConstraint::IsIn(..) => {
            About::None
        }
    }
}

fn is_about(policy: &Policy, action: &[EntityUid]) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(own) => action.first() == Some(&own),
        ActionConstraint::In(all) => all.iter().any(|own| action.contains(own)),
    }
}
