//! What has to be held for a field, a type or an argument.
//!
//! A place in the schema has a set of rules, all of which have to hold; each is
//! kept once, so that an operation of many fields asks about few.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use symbolon_protocol::Scopes;
use symbolon_verify::Principal;

use super::settings::ClaimHas;

/// The place of a rule among [`Rules`].
pub(crate) type RuleId = u32;
/// All of these have to hold.
pub(crate) type RuleSet = BTreeSet<RuleId>;

/// One thing that has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It never does.
    Never,
    /// Somebody has to be known.
    Authenticated,
    /// All scopes of one of these lists.
    Scopes(Vec<Vec<String>>),
    /// All policies of one of these lists.
    Policies(Vec<Vec<(String, ClaimHas)>>),
}

/// What is known of whoever calls.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a>(Option<(&'a Scopes, &'a Map<String, Value>)>);

impl<'a> Held<'a> {
    /// Of somebody whose token was checked, or of nobody.
    pub(crate) fn by(principal: Option<&'a Principal>) -> Self {
        Self(principal.map(|own| (own.scopes(), own.claims())))
    }

    /// Of whoever has these scopes and claims.
    pub(crate) const fn with(scopes: &'a Scopes, claims: &'a Map<String, Value>) -> Self {
        Self(Some((scopes, claims)))
    }

    /// Whether nobody is known.
    pub(crate) const fn is_nobody(&self) -> bool {
        self.0.is_none()
    }

    fn has_scope(&self, name: &str) -> bool {
        self.0.is_some_and(|(scopes, _)| scopes.contains(name))
    }

    fn has(&self, wanted: &ClaimHas) -> bool {
        let claim = self.0.and_then(|(_, claims)| claims.get(&wanted.claim));
        match claim {
            Some(Value::String(own)) => *own == wanted.value,
            Some(Value::Array(all)) => all.iter().any(|own| *own == *wanted.value),
            _ => false,
        }
    }
}

impl Rule {
    /// Whether it holds.
    pub(crate) fn holds(&self, held: Held<'_>) -> bool {
        match self {
            Self::Never => false,
            Self::Authenticated => !held.is_nobody(),
            Self::Scopes(any) => any
                .iter()
                .any(|all| all.iter().all(|name| held.has_scope(name))),
            Self::Policies(any) => any
                .iter()
                .any(|all| all.iter().all(|(_, wanted)| held.has(wanted))),
        }
    }

    /// Scopes with which it would hold, as few as possible.
    pub(crate) fn wanted(&self) -> &[String] {
        match self {
            Self::Scopes(any) => any
                .iter()
                .min_by_key(|all| all.len())
                .map_or(&[], Vec::as_slice),
            Self::Never | Self::Authenticated | Self::Policies(_) => &[],
        }
    }

    /// What is missing where it does not hold, in words.
    pub(crate) fn missing(&self) -> String {
        let lists = |any: Vec<String>| any.join(" or ");
        match self {
            Self::Never => "is switched off here".into(),
            Self::Authenticated => "is only for those who are known".into(),
            Self::Scopes(any) => {
                let any = any.iter().map(|all| format!("`{}`", all.join(" ")));
                format!("needs the scopes {}", lists(any.collect()))
            }
            Self::Policies(any) => {
                let names = |all: &Vec<(String, ClaimHas)>| {
                    let names: Vec<&str> = all.iter().map(|(name, _)| &**name).collect();
                    format!("`{}`", names.join(" "))
                };
                format!(
                    "needs the policies {}",
                    lists(any.iter().map(names).collect())
                )
            }
        }
    }
}

/// Every rule of a schema, each once.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    /// The place of a rule, which is added where it is new.
    pub(crate) fn place(&mut self, rule: Rule) -> RuleId {
        let known = self.0.iter().position(|own| *own == rule);
        let at = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(rule);
        }
        RuleId::try_from(at).unwrap_or(RuleId::MAX)
    }

    /// The rule at a place.
    pub(crate) fn at(&self, id: RuleId) -> &Rule {
        let at = usize::try_from(id).unwrap_or(usize::MAX);
        self.0.get(at).unwrap_or(&Rule::Never)
    }

    /// Every scope that a rule names.
    pub(crate) fn scopes(&self) -> BTreeSet<&str> {
        let lists = self.0.iter().flat_map(|rule| match rule {
            Rule::Scopes(any) => any.as_slice(),
            _ => &[],
        });
        lists.flatten().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scopes_are_an_or_of_ands_and_policies_look_at_claims() {
        let any = vec![vec!["a".into(), "b".into()], vec!["c".into()]];
        let rule = Rule::Scopes(any);
        let staff = ClaimHas {
            claim: "roles".into(),
            value: "staff".into(),
        };
        let policy = Rule::Policies(vec![vec![("staff".into(), staff)]]);
        let claims = json!({ "roles": ["guest", "staff"] });
        let (claims, none) = (claims.as_object().unwrap(), Map::new());

        for (scopes, good) in [("a b", true), ("c", true), ("a", false), ("b", false)] {
            let scopes: Scopes = scopes.parse().unwrap();
            assert_eq!(rule.holds(Held::with(&scopes, &none)), good, "{scopes}");
            assert!(policy.holds(Held::with(&scopes, claims)));
            assert!(!policy.holds(Held::with(&scopes, &none)));
            assert!(Rule::Authenticated.holds(Held::with(&scopes, &none)));
            assert!(!Rule::Never.holds(Held::with(&scopes, claims)));
        }
        for rule in [&rule, &policy, &Rule::Authenticated] {
            assert!(!rule.holds(Held::by(None)));
        }
        assert_eq!(rule.wanted(), ["c"]);
    }
}
