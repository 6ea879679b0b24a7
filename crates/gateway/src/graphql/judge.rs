//! Whether an operation may pass, what of it is sent, and what it costs.
//!
//! 1. Its text is found, and what is known of it.
//! 2. Rules of the document and of the variables are asked, each once.
//! 3. What is denied is a refusal, or is taken out, and what is left judged
//!    again like any other operation.
//! 4. The price is worked out with the variables.

use std::sync::Arc;

use apollo_compiler::ast::OperationType;

use super::declined::Declined;
use super::facts::Facts;
use super::graph::Graph;
use super::input::Met;
use super::json::{Json, write_text};
use super::mask::Mask;
use super::price::{Sizes, size_in};
use super::prune;
use super::request::Asked;
use super::rule::{Held, RuleId};
use super::settings::OnDenied;

/// An operation that may pass.
pub(crate) struct Approved {
    pub(crate) facts: Arc<Facts>,
    /// Values of the variables that it declares.
    pub(crate) variables: Vec<(String, Json)>,
    pub(crate) cost: u64,
    /// What has to be put into the answer.
    pub(crate) mask: Option<Mask>,
}

/// What of an operation is denied.
pub(crate) struct Denied {
    /// Rules that do not hold, and where they are met.
    pub(crate) rules: Vec<(RuleId, String)>,
    /// Variables whose values met one.
    pub(crate) variables: Vec<String>,
}

impl Graph {
    /// Judges one operation.
    pub(crate) fn judge(&self, asked: &Asked, held: Held<'_>) -> Result<Approved, Declined> {
        let text = self.known.text(asked, self)?;
        let facts = self.facts(&text, asked.operation.as_deref())?;
        self.known.register(asked, self);
        let denied = self.denied(&facts, asked, held)?;
        let (facts, mask) = match denied {
            None => (facts, None),
            Some(denied) if !self.may_null(&facts) => return Err(self.refusal(&denied, held)),
            Some(denied) => {
                let (facts, mask) = prune::take_out(self, &text, asked, (held, &denied))?;
                // What is left is judged anew, by the same rules.
                if let Some(denied) = self.denied(&facts, asked, held)? {
                    return Err(self.refusal(&denied, held));
                }
                (Arc::new(facts), Some(mask))
            }
        };
        let variables = kept(&facts, asked);
        let cost = self.price(&facts, &variables);
        Ok(Approved {
            facts,
            variables,
            cost,
            mask,
        })
    }

    /// A subscription is no answer into which something could be put.
    fn may_null(&self, facts: &Facts) -> bool {
        self.settings.on_denied == OnDenied::Null && facts.kind != OperationType::Subscription
    }

    /// What of an operation its caller may not have.
    fn denied(
        &self,
        facts: &Facts,
        asked: &Asked,
        held: Held<'_>,
    ) -> Result<Option<Denied>, Declined> {
        let fails = |rule: RuleId| !self.rules.at(rule).holds(held);
        let of_document = facts.rules.iter().filter(|(rule, _)| fails(*rule));
        let mut denied = Denied {
            rules: of_document
                .map(|(rule, at)| (*rule, at.to_string()))
                .collect(),
            variables: Vec::new(),
        };
        for variable in &facts.variables {
            let given = asked
                .variables
                .iter()
                .find(|(own, _)| **own == *variable.name);
            let Some((name, value)) = given else {
                continue;
            };
            let mut met = Met::default();
            self.walk()
                .variable(&variable.of, value, &mut met)
                .map_err(|why| Declined::variables(format!("`${name}`: {why}")))?;
            let mut failing = met.rules.iter().filter(|rule| fails(**rule)).peekable();
            if failing.peek().is_some() {
                denied.variables.push(name.clone());
            }
            denied
                .rules
                .extend(failing.map(|rule| (*rule, format!("${name}"))));
        }
        Ok((!denied.rules.is_empty()).then_some(denied))
    }

    /// The refusal of what is denied: every place once, and scopes that would do.
    pub(crate) fn refusal(&self, denied: &Denied, held: Held<'_>) -> Declined {
        let message =
            |(rule, at): &(RuleId, String)| format!("`{at}` {}", self.rules.at(*rule).missing());
        let messages = denied.rules.iter().map(message).collect();
        let wanted = denied.rules.iter();
        let mut wanted: Vec<String> = wanted
            .flat_map(|(rule, _)| self.rules.at(*rule).wanted())
            .cloned()
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        Declined::denied(held.is_nobody(), messages, wanted)
    }

    /// What is in each variable costs.
    fn weights(&self, facts: &Facts, given: &[(String, Json)]) -> Vec<u64> {
        if !self.weighs_inputs {
            return Vec::new();
        }
        let weight = |own: &super::facts::Variable| {
            let given = given.iter().find(|(name, _)| **name == *own.name);
            let Some((_, value)) = given else {
                return own.weight;
            };
            let mut met = Met::default();
            match self.walk().variable(&own.of, value, &mut met) {
                Ok(()) => met.weight,
                // What does not fit was refused before.
                Err(_) => u64::MAX,
            }
        };
        facts.variables.iter().map(weight).collect()
    }

    fn price(&self, facts: &Facts, given: &[(String, Json)]) -> u64 {
        let size = |own: &super::facts::Variable| {
            let given = given.iter().find(|(name, _)| **name == *own.name);
            match given {
                Some((_, value)) => size_in(value),
                None => own.size,
            }
        };
        let variables: Vec<Option<u64>> = facts.variables.iter().map(size).collect();
        let weights = self.weights(facts, given);
        let sizes = Sizes {
            variables: &variables,
            weights: &weights,
            usual: self.settings.limits.list_size,
        };
        sizes.price(&facts.parts).max(1)
    }
}

/// Values of the variables that are declared; no other is sent.
fn kept(facts: &Facts, asked: &Asked) -> Vec<(String, Json)> {
    let is_declared = |name: &str| facts.variables.iter().any(|own| *own.name == *name);
    let all = asked.variables.iter();
    all.filter(|(name, _)| is_declared(name)).cloned().collect()
}

impl Approved {
    /// Writes it as it is sent in a body.
    pub(crate) fn write(&self, out: &mut String) {
        out.push_str("{\"query\":");
        write_text(&self.facts.text, out);
        if let Some(name) = &self.facts.name {
            out.push_str(",\"operationName\":");
            write_text(name, out);
        }
        if !self.variables.is_empty() {
            out.push_str(",\"variables\":");
            self.write_variables(out);
        }
        out.push('}');
    }

    /// Writes the values of its variables.
    pub(crate) fn write_variables(&self, out: &mut String) {
        out.push('{');
        for (at, (name, value)) in self.variables.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_text(name, out);
            out.push(':');
            value.write(out);
        }
        out.push('}');
    }
}
