//! Which tools, prompts and resources of an MCP server a caller may use.
//!
//! The first rule whose name and arguments fit decides, so the same tool may
//! ask for more where an argument is larger. What no rule names is refused,
//! unless the file says otherwise.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use symbolon_verify::Principal;

use super::message::member::has_another;
use super::resource::is_plain;

/// What an MCP route lets through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mcp {
    /// Origins of pages that may call it. A request without `Origin` comes from no page.
    pub origins: Vec<String>,
    /// What becomes of tools, prompts and resources that no rule names.
    pub unlisted: Unlisted,
    /// Rules for tools, the first that fits decides.
    pub tools: Vec<Rule>,
    /// Rules for prompts.
    pub prompts: Vec<Rule>,
    /// Rules for resources, by URI.
    pub resources: Vec<Rule>,
}

/// What becomes of what no rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unlisted {
    /// It is refused, and shown in no list.
    #[default]
    Refuse,
    /// The scopes of the route are enough.
    Allow,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The name, or the URI; with `*` at its end, whatever begins so.
    pub name: String,
    /// The scopes besides those of the route: all of them.
    pub scopes: Vec<String>,
    /// What arguments have to be; each has to be there.
    pub arguments: BTreeMap<String, Allowed>,
    /// What a call costs.
    pub cost: u64,
}

/// What an argument has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Allowed {
    /// One of these values.
    OneOf(Vec<Value>),
    /// A number, not below and not above.
    Within {
        /// The least.
        min: Option<f64>,
        /// The most.
        max: Option<f64>,
    },
}

/// What the rules say of one use.
#[derive(Debug, PartialEq)]
pub(crate) enum Ruled<'r> {
    /// It needs these scopes besides the route's, and costs so much.
    Needs(Cow<'r, [String]>, u64),
    /// It is not there for anybody.
    NotListed,
    /// It is there, but not with these arguments.
    Arguments,
}

impl Allowed {
    fn admits(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|own| is_same(own, value)),
            // A text that a server would take for a number is none.
            Self::Within { min, max } => value.as_f64().is_some_and(|number| {
                min.is_none_or(|min| number >= min) && max.is_none_or(|max| number <= max)
            }),
        }
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one == other,
        _ => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        },
    }
}

/// A whole number, exactly: two long ones that differ in their last digit are
/// the same as floating-point numbers.
fn whole(value: &Value) -> Option<i128> {
    let signed = value.as_i64().map(i128::from);
    let exact = signed.or_else(|| value.as_u64().map(i128::from));
    exact.or_else(|| {
        let own = value.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole, and far below 2^127"
        )]
        (own.fract() == 0.0 && own.abs() < 1e30).then_some(own as i128)
    })
}

impl Rule {
    pub(super) fn names(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            None => self.name == name,
            Some(beginning) => name.starts_with(beginning) && is_plain(name),
        }
    }

    /// Whether a name is one that it names, capitals and blanks around it apart.
    fn is_nearly(&self, name: &str) -> bool {
        let (own, name) = (self.name.to_lowercase(), name.trim().to_lowercase());
        match own.strip_suffix('*') {
            None => own == name,
            Some(beginning) => name.starts_with(beginning),
        }
    }

    fn fits(&self, arguments: Option<&Map<String, Value>>) -> bool {
        self.arguments.iter().all(|(name, allowed)| {
            let value = arguments.and_then(|all| all.get(name));
            value.is_some_and(|value| allowed.admits(value))
        })
    }
}

impl Mcp {
    /// What is said of a use; the arguments are those of a call, where it is one.
    pub(crate) fn rule<'r>(
        &'r self,
        rules: &'r [Rule],
        name: &str,
        arguments: Option<&Map<String, Value>>,
    ) -> Ruled<'r> {
        let mut is_listed = false;
        if has_unclear(rules, name, arguments) {
            return Ruled::Arguments;
        }
        for rule in rules.iter().filter(|rule| rule.names(name)) {
            is_listed = true;
            if rule.fits(arguments) {
                return Ruled::Needs(Cow::Borrowed(&rule.scopes), rule.cost);
            }
        }
        match (is_listed, self.unlisted) {
            (true, _) => Ruled::Arguments,
            (false, Unlisted::Refuse) => Ruled::NotListed,
            // Some servers look neither at capitals nor at blanks.
            (false, Unlisted::Allow) if rules.iter().any(|own| own.is_nearly(name)) => {
                Ruled::NotListed
            }
            (false, Unlisted::Allow) => Ruled::Needs(Cow::Borrowed(&[]), 1),
        }
    }

    /// Whether a caller may use it with some arguments: then it is listed.
    pub(crate) fn shows(&self, rules: &[Rule], name: &str, principal: Option<&Principal>) -> bool {
        let may = |rule: &Rule| holds(principal, &rule.scopes);
        let mut named = rules.iter().filter(|rule| rule.names(name)).peekable();
        match named.peek() {
            None => matches!(self.rule(rules, name, None), Ruled::Needs(..)),
            Some(_) => named.any(may),
        }
    }
}

/// Whether an argument stands there under nearly the name of one that a rule
/// asks for: a server could go by that one.
fn has_unclear(rules: &[Rule], name: &str, arguments: Option<&Map<String, Value>>) -> bool {
    let asked = rules.iter().filter(|rule| rule.names(name));
    let asked: Vec<&str> = asked
        .flat_map(|rule| rule.arguments.keys().map(String::as_str))
        .collect();
    arguments.is_some_and(|own| has_another(own, &asked))
}

/// Whether a caller has all of some scopes.
pub(crate) fn holds(principal: Option<&Principal>, scopes: &[String]) -> bool {
    let has = |scope: &String| principal.is_some_and(|own| own.has_scope(scope));
    scopes.iter().all(has)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in super::super) fn rule(name: &str, scope: &str) -> Rule {
        Rule {
            name: name.into(),
            scopes: vec![scope.into()],
            arguments: BTreeMap::new(),
            cost: 1,
        }
    }

    fn mcp() -> Mcp {
        let mut small = rule("pay", "pay");
        let most = Allowed::Within {
            min: Some(0.0),
            max: Some(100.0),
        };
        small.arguments.insert("amount".into(), most);
        let mut euro = rule("pay", "pay:large");
        let euros = Allowed::OneOf(vec![json!("EUR")]);
        euro.arguments.insert("currency".into(), euros);
        Mcp {
            tools: vec![small, euro, rule("read_*", "read")],
            ..Mcp::default()
        }
    }

    fn needs(arguments: Value) -> Option<String> {
        let mcp = mcp();
        match mcp.rule(&mcp.tools, "pay", arguments.as_object()) {
            Ruled::Needs(scopes, _) => Some(scopes[0].clone()),
            _ => None,
        }
    }

    #[test]
    fn what_an_argument_is_decides_what_is_needed() {
        let of = |arguments| needs(arguments).unwrap_or_default();
        assert_eq!(of(json!({"amount": 100, "currency": "USD"})), "pay");
        assert_eq!(of(json!({"amount": 100.5, "currency": "EUR"})), "pay:large");
        for bad in [
            json!({"amount": 101, "currency": "USD"}),
            json!({"amount": -1}),
            json!({"amount": "50"}),
            json!({"amount": null}),
            json!({"amount": [50]}),
            json!({"Amount": 50}),
            json!({"amount": 50, "Amount": 5000}),
            json!({"amount": 50, "amount\u{0}": 5000}),
            json!({"amount": 50, "a_mount": 5000, "currency": "EUR"}),
            json!({}),
            Value::Null,
        ] {
            assert_eq!(of(bad.clone()), "", "{bad}");
        }
    }

    #[test]
    fn numbers_that_differ_in_their_last_digit_are_two() {
        let of = |listed: Value, sent: &str| {
            let sent: Value = serde_json::from_str(sent).unwrap();
            Allowed::OneOf(vec![listed]).admits(&sent)
        };
        let account = json!(9_007_199_254_740_992_u64);
        for good in ["9007199254740992", "9007199254740992.0"] {
            assert!(of(account.clone(), good), "{good}");
        }
        for bad in [
            "9007199254740993",
            "9007199254740991",
            "\"9007199254740992\"",
        ] {
            assert!(!of(account.clone(), bad), "{bad}");
        }
        assert!(of(json!(7), "7.0") && of(json!(0.5), "5e-1") && of(json!(-1), "-1"));
        assert!(!of(json!(7), "7.5") && !of(json!(u64::MAX), "18446744073709551614"));
    }

    #[test]
    fn what_no_rule_names_is_refused_unless_that_is_said() {
        let mut mcp = mcp();
        assert_eq!(mcp.rule(&mcp.tools, "drop", None), Ruled::NotListed);
        assert_eq!(mcp.rule(&mcp.tools, "Pay", None), Ruled::NotListed);

        mcp.unlisted = Unlisted::Allow;
        let free = Ruled::Needs(Cow::Borrowed(&[]), 1);
        assert_eq!(mcp.rule(&mcp.tools, "drop", None), free);
        assert_eq!(mcp.rule(&mcp.tools, "pay", None), Ruled::Arguments);
        for near in ["Pay", "PAY", " pay", "Read_all", "read_a/../x"] {
            let ruled = mcp.rule(&mcp.tools, near, None);
            assert_eq!(ruled, Ruled::NotListed, "{near}");
        }
    }
}
