//! What is known by name, for whoever looks for what may be done: what files of
//! entities name, and the actions of the schema.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §8

use std::collections::BTreeSet;

use super::Policies;
use super::entity::ACTIONS;

/// The names of one request's entities, as others say them and as Cedar does.
const KINDS: [(&str, &str); 3] = [
    ("person", "Person"),
    ("client", "Client"),
    ("route", "Route"),
];

impl Policies {
    /// Every id of a type that is known, in order.
    pub(crate) fn known(&self, kind: &str) -> BTreeSet<String> {
        if kind == "anonymous" {
            return BTreeSet::from([kind.to_owned()]);
        }
        if let Some((_, own)) = KINDS.iter().find(|(own, _)| *own == kind) {
            let all = self
                .members
                .names()
                .filter(|uid| uid.type_name().to_string() == **own);
            return all.map(|uid| uid.id().unescaped().to_owned()).collect();
        }
        let of = self.entities.iter().map(cedar_policy::Entity::uid);
        let of = of.filter(|uid| uid.type_name().to_string() == kind);
        of.map(|uid| uid.id().unescaped().to_owned()).collect()
    }

    /// Every action, in order: the methods, or those of the operator's schema.
    pub(crate) fn known_actions(&self, is_of_gateway: bool) -> BTreeSet<String> {
        // The last stands for all that have no name.
        let methods = &ACTIONS[..ACTIONS.len() - 1];
        if is_of_gateway {
            return methods.iter().map(|own| (*own).to_owned()).collect();
        }
        let all = self.schema.actions();
        let all = all.filter(|uid| uid.type_name().to_string() == "Action");
        all.map(|uid| uid.id().unescaped().to_owned()).collect()
    }
}
