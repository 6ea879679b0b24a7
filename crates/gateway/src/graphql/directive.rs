//! What the directives of a schema say: who may see a place, and what it costs.
//!
//! Spec: Apollo Federation
//! Spec: IBM GraphQL Cost Directives

use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};
use apollo_compiler::parser::{SourceMap, SourceSpan};
use symbolon_protocol::Scope;

use super::rule::{Rule, RuleSet, Rules};
use super::settings::{ClaimHas, Mistake};

/// What a field costs where nothing says so, in thousandths.
pub(crate) const USUAL_WEIGHT: u64 = 1000;
/// What a field may cost at most, in thousandths.
const MAX_WEIGHT: f64 = 1e12;

/// Definitions that a schema need not bring along itself.
pub(crate) const OWN: [(&str, &str); 5] = [
    (
        "authenticated",
        "directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | SCALAR | ENUM | ENUM_VALUE | ARGUMENT_DEFINITION | INPUT_OBJECT | INPUT_FIELD_DEFINITION",
    ),
    (
        "requiresScopes",
        "directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | SCALAR | ENUM | ENUM_VALUE | ARGUMENT_DEFINITION | INPUT_OBJECT | INPUT_FIELD_DEFINITION",
    ),
    (
        "policy",
        "directive @policy(policies: [[String!]!]!) on FIELD_DEFINITION | OBJECT | INTERFACE | UNION | SCALAR | ENUM | ENUM_VALUE | ARGUMENT_DEFINITION | INPUT_OBJECT | INPUT_FIELD_DEFINITION",
    ),
    (
        "cost",
        "directive @cost(weight: String!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | INTERFACE | OBJECT | SCALAR | UNION",
    ),
    (
        "listSize",
        "directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION",
    ),
];

/// What the directives of one place say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) rules: RuleSet,
    /// In thousandths.
    pub(crate) weight: Option<u64>,
    pub(crate) list: Option<ListSize>,
}

/// How long a list may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListSize {
    pub(crate) assumed: Option<u64>,
    pub(crate) slicing: Vec<String>,
    pub(crate) sized: Vec<String>,
}

impl Said {
    /// Takes in what is said elsewhere of the same place: it never gets less.
    pub(crate) fn add(&mut self, other: Self) {
        self.rules.extend(other.rules);
        self.weight = self.weight.max(other.weight);
        self.list = other.list.or(self.list.take());
    }
}

/// Reads directives, and notes what is wrong with them.
pub(crate) struct Reader<'s> {
    pub(crate) policies: &'s BTreeMap<String, ClaimHas>,
    pub(crate) rules: Rules,
    pub(crate) mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// What the directives of one place say.
    pub(crate) fn read<'d>(
        &mut self,
        directives: impl IntoIterator<Item = &'d Node<Directive>>,
        sources: &SourceMap,
    ) -> Said {
        let mut said = Said::default();
        for directive in directives {
            let outcome = match plain_name(&directive.name) {
                "authenticated" => Ok(vec![Rule::Authenticated]),
                "requiresScopes" => self.scopes(directive).map(|rule| vec![rule]),
                "policy" => self.policies(directive).map(|rule| vec![rule]),
                "cost" => weight(directive).map(|weight| {
                    said.weight = said.weight.max(Some(weight));
                    Vec::new()
                }),
                "listSize" => list_size(directive).map(|size| {
                    said.list = Some(size);
                    Vec::new()
                }),
                _ => continue,
            };
            match outcome {
                Ok(rules) => {
                    let rules = rules.into_iter().map(|rule| self.rules.place(rule));
                    said.rules.extend(rules);
                }
                Err(why) => {
                    let message = format!("`@{}`: {why}", directive.name);
                    self.note(directive.location(), sources, message);
                }
            }
        }
        said
    }

    /// Notes a mistake.
    pub(crate) fn note(&mut self, at: Option<SourceSpan>, sources: &SourceMap, message: String) {
        self.mistakes.push(mistake(at, sources, message));
    }

    fn scopes(&self, directive: &Directive) -> Result<Rule, String> {
        let lists = lists(directive, "scopes")?;
        for name in lists.iter().flatten() {
            if name.parse::<Scope>().is_err() {
                return Err(format!("`{name}` is no scope"));
            }
        }
        Ok(Rule::Scopes(lists))
    }

    fn policies(&self, directive: &Directive) -> Result<Rule, String> {
        let mut any = Vec::new();
        for list in lists(directive, "policies")? {
            let mut all = Vec::new();
            for name in list {
                let Some(means) = self.policies.get(&name) else {
                    return Err(format!(
                        "nothing says what the policy `{name}` means; name it in `policies`"
                    ));
                };
                all.push((name, means.clone()));
            }
            any.push(all);
        }
        Ok(Rule::Policies(any))
    }
}

/// A mistake at a place.
pub(crate) fn mistake(at: Option<SourceSpan>, sources: &SourceMap, message: String) -> Mistake {
    let file = at.and_then(|at| sources.get(&at.file_id()));
    let begin = at.and_then(|at| Some(at.line_column_range(sources)?.start));
    let small = |own: usize| u32::try_from(own).unwrap_or(u32::MAX);
    Mistake {
        file: file.map_or_else(String::new, |file| file.path().display().to_string()),
        line: begin.map_or(0, |begin| small(begin.line)),
        column: begin.map_or(0, |begin| small(begin.column)),
        message,
    }
}

/// A directive's name without the name of the specification that it is from.
pub(crate) fn plain_name(name: &str) -> &str {
    name.rsplit("__").next().unwrap_or(name)
}

/// The value of an argument, where it is given.
pub(super) fn argument<'d>(directive: &'d Directive, name: &str) -> Option<&'d Value> {
    let own = directive.arguments.iter().find(|own| own.name == name)?;
    Some(&own.value)
}

/// A list of lists of texts; one alone stands for a list of it. Neither may be
/// empty: nobody could say whether that means everybody or nobody.
fn lists(directive: &Directive, name: &str) -> Result<Vec<Vec<String>>, String> {
    let wrong = || format!("`{name}` is a list of lists of texts");
    let value = argument(directive, name).ok_or_else(wrong)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
    let inner = |value: &Node<Value>| match &**value {
        Value::List(items) => items.iter().map(|own| text(own)).collect(),
        one => Ok(vec![text(one)?]),
    };
    let lists: Vec<Vec<String>> = match value {
        Value::List(items) => items.iter().map(inner).collect::<Result<_, _>>()?,
        one => vec![vec![text(one)?]],
    };
    match lists.is_empty() || lists.iter().any(Vec::is_empty) {
        true => Err(format!("a list in `{name}` is empty")),
        false => Ok(lists),
    }
}

fn weight(directive: &Directive) -> Result<u64, String> {
    let text = match argument(directive, "weight") {
        Some(Value::String(text)) => text.to_string(),
        Some(Value::Int(own)) => own.as_str().to_owned(),
        Some(Value::Float(own)) => own.as_str().to_owned(),
        _ => String::new(),
    };
    let weight = text.parse::<f64>().ok();
    let weight = weight.map(|own| (own * 1000.0).ceil());
    match weight {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and MAX_WEIGHT, and whole"
        )]
        Some(own) if (0.0..=MAX_WEIGHT).contains(&own) => Ok(own as u64),
        _ => Err("`weight` is a number from 0 to 1000000000".into()),
    }
}

fn list_size(directive: &Directive) -> Result<ListSize, String> {
    let texts = |name: &str| match argument(directive, name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::List(items)) => {
            let texts = items.iter().map(|own| own.as_str().map(str::to_owned));
            let texts: Option<Vec<String>> = texts.collect();
            texts.ok_or_else(|| format!("`{name}` is a list of texts"))
        }
        Some(_) => Err(format!("`{name}` is a list of texts")),
    };
    let assumed = match argument(directive, "assumedSize") {
        None | Some(Value::Null) => None,
        Some(Value::Int(own)) => Some(
            own.as_str()
                .parse()
                .map_err(|_| "`assumedSize` is a whole number from 0")?,
        ),
        Some(_) => return Err("`assumedSize` is a whole number from 0".into()),
    };
    Ok(ListSize {
        assumed,
        slicing: texts("slicingArguments")?,
        sized: texts("sizedFields")?,
    })
}
