//! Which attributes policies name: a question is told these alone. The others
//! could change no answer, and each would be written in Cedar's terms for nothing.

use std::collections::HashSet;

use cedar_policy::PolicySet;
use serde_json::Value;

/// The names that stand in any policy, whatever they are attributes of.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    names: HashSet<String>,
    /// A policy takes the circumstances as a whole, or says what is not
    /// understood here: then it is told all.
    takes_all: bool,
}

impl Wanted {
    pub(super) fn of(set: &PolicySet) -> Self {
        let mut wanted = Self::default();
        for policy in set.policies() {
            match policy.to_json() {
                Ok(text) => wanted.visit_policy(&text),
                Err(_) => wanted.takes_all = true,
            }
        }
        wanted
    }

    /// Whether a policy may look at an attribute of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.takes_all || self.names.contains(name)
    }

    fn visit_policy(&mut self, policy: &Value) {
        match policy.get("conditions").and_then(Value::as_array) {
            Some(conditions) => conditions.iter().for_each(|own| match own.get("body") {
                Some(body) => self.visit(body),
                None => self.takes_all = true,
            }),
            None => self.takes_all = true,
        }
    }

    fn visit(&mut self, expression: &Value) {
        let Some(parts) = expression.as_object() else {
            self.takes_all = true;
            return;
        };
        for (operator, operands) in parts {
            match operator.as_str() {
                "." | "has" => self.visit_access(operands),
                // A pattern is none of Cedar's terms.
                "like" => self.visit(&operands["left"]),
                "Var" if operands == "context" => self.takes_all = true,
                // Principal, action and resource are compared by who they are.
                "Var" | "Value" | "Slot" | "Unknown" => {}
                _ => self.visit_all(operands),
            }
        }
    }

    /// `left.attr`, and whether there is one.
    fn visit_access(&mut self, operands: &Value) {
        match (operands.get("left"), operands.get("attr")) {
            (Some(left), Some(Value::String(name))) => {
                self.names.insert(name.clone());
                if left.get("Var").is_none() {
                    self.visit(left);
                }
            }
            _ => self.takes_all = true,
        }
    }

    /// Operands by their names, in a list, or one that is none itself.
    fn visit_all(&mut self, operands: &Value) {
        match operands {
            Value::Array(all) => all.iter().for_each(|own| self.visit(own)),
            Value::Object(all) => all.values().for_each(|own| match own {
                Value::Object(_) => self.visit(own),
                Value::Array(own) => own.iter().for_each(|one| self.visit(one)),
                _ => {}
            }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(policies: &str) -> Wanted {
        Wanted::of(&policies.parse().unwrap())
    }

    #[test]
    fn what_policies_name_is_told_and_nothing_else() {
        let own = wanted(
            "permit(principal, action, resource) when { principal.roles.contains(\"a\") && context has network }
             unless { [1, context.hour].contains(context.risk) || (if resource.path like \"/a*\" then true else {x: context.device}.x == \"b\") };
             forbid(principal, action, resource) when { ip(\"10.0.0.1\").isInRange(context.network2) && resource.getTag(principal.subject) == \"c\" };",
        );
        for name in [
            "roles", "network", "network2", "hour", "risk", "path", "device", "subject",
        ] {
            assert!(own.has(name), "{name}");
        }
        for name in ["now", "issuer", "amr", "template"] {
            assert!(!own.has(name), "{name}");
        }
    }

    #[test]
    fn whoever_takes_the_circumstances_as_a_whole_is_told_all() {
        for policy in [
            "permit(principal, action, resource) when { context == {a: 1} };",
            "permit(principal, action, resource) when { [context].contains({a: 1}) };",
            "permit(principal, action, resource) when { {a: context}.a == {a: 1} };",
        ] {
            assert!(wanted(policy).has("now"), "{policy}");
        }
        assert!(!wanted("permit(principal, action, resource);").has("now"));
    }
}
