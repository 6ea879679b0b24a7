//! An operation without what its caller may not see.
//!
//! Spec: GraphQL September 2025 §6.4.4
//!
//! Each field that is denied is sent as `__typename` under a name that the
//! document has nowhere else. So the answer itself says where the field would
//! have stood, whatever lists, fragments, `@skip` and `@include` are around it,
//! and nothing of the field is asked for. What is left has to be valid again,
//! and is judged again.
//!
//! Where the field may not be null, and neither may anything above it, the
//! answer would be empty in any case. Such an operation is refused, and nothing
//! of it is done.

use std::collections::BTreeSet;

use apollo_compiler::ast::{Directive, DirectiveList, Value};
use apollo_compiler::executable::{Field, InlineFragment, Operation, Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Name, Node};

use super::declined::Declined;
use super::facts::{Facts, alone, met_by, of_directives};
use super::graph::Graph;
use super::input::Met;
use super::judge::Denied;
use super::mask::{Hidden, Mask};
use super::request::Asked;
use super::rule::Held;

/// What names of our own begin with; made longer where the document has such.
const PREFIX: &str = "symbolonHidden";

struct Prune<'g> {
    graph: &'g Graph,
    held: Held<'g>,
    denied: &'g Denied,
    prefix: String,
    hidden: Vec<Hidden>,
    /// Whether something is denied that is no field.
    is_beyond: bool,
}

/// Takes out of an operation what is denied.
pub(crate) fn take_out(
    graph: &Graph,
    text: &str,
    asked: &Asked,
    (held, denied): (Held<'_>, &Denied),
) -> Result<(Facts, Mask), Declined> {
    let document = graph.read(text)?;
    let operation = document.operations.get(asked.operation.as_deref());
    let operation = operation.map_err(|_| Declined::operation("it is not there"))?;
    let mut document = alone(&document, operation);
    let mut prefix = PREFIX.to_owned();
    while text.contains(&prefix) {
        prefix.push('_');
    }
    let mut prune = Prune {
        graph,
        held,
        denied,
        prefix,
        hidden: Vec::new(),
        is_beyond: false,
    };
    let refusal = || graph.refusal(denied, held);
    let mut operation = Operation::clone(operation);
    prune.check(&operation.directives);
    for own in &operation.variables {
        prune.check(&own.directives);
    }
    operation.selection_set = prune.selections(&operation.selection_set);
    for fragment in document.fragments.values_mut() {
        prune.check(&fragment.directives);
        let set = prune.selections(&fragment.selection_set);
        fragment.make_mut().selection_set = set;
    }
    if prune.is_beyond || prune.hidden.is_empty() {
        return Err(refusal());
    }
    let hidden = prune.hidden;
    let used = used(&document, &operation);
    operation.variables.retain(|own| used.contains(&own.name));
    let document = alone(&document, &Node::new(operation));
    let document = document.validate(graph.schema()).map_err(|_| refusal())?;
    let operation = document.operations.iter().next().ok_or_else(refusal)?;
    let mask = Mask::new(&document, operation, hidden).ok_or_else(refusal)?;
    let facts = Facts::of(graph.walk(), &document, operation, Some(&mask));
    Ok((facts, mask))
}

impl Prune<'_> {
    fn fails(&self, met: &Met) -> bool {
        let mut rules = met.rules.iter();
        let of_variable = |name: &Name| self.denied.variables.iter().any(|own| *own == **name);
        rules.any(|rule| !self.graph.rules.at(*rule).holds(self.held))
            || met.variables.iter().any(of_variable)
    }

    /// Directives of what is no field cannot be taken out without changing
    /// what is asked for.
    fn check(&mut self, directives: &DirectiveList) {
        let mut met = Met::default();
        of_directives(self.graph.walk(), directives, &mut met);
        self.is_beyond |= self.fails(&met);
    }

    fn selections(&mut self, set: &SelectionSet) -> SelectionSet {
        let mut kept = SelectionSet::new(set.ty.clone());
        for own in &set.selections {
            kept.push(match own {
                Selection::Field(own) => Selection::from(self.field(&set.ty, own)),
                Selection::FragmentSpread(own) => {
                    self.check(&own.directives);
                    Selection::from(own.clone())
                }
                Selection::InlineFragment(own) => {
                    self.check(&own.directives);
                    Selection::from(InlineFragment {
                        type_condition: own.type_condition.clone(),
                        directives: own.directives.clone(),
                        selection_set: self.selections(&own.selection_set),
                    })
                }
            });
        }
        kept
    }

    fn field(&mut self, of: &Name, field: &Node<Field>) -> Node<Field> {
        let met = met_by(self.graph.walk(), of, field);
        if !self.fails(&met) {
            let set = self.selections(&field.selection_set);
            let mut own = field.clone();
            own.make_mut().selection_set = set;
            return own;
        }
        let alias = format!("{}{}", self.prefix, self.hidden.len());
        let definition = self.graph.schema().type_field(of, "__typename");
        let (Ok(alias), Ok(definition)) = (Name::new(&alias), definition) else {
            self.is_beyond = true;
            return field.clone();
        };
        let conditions = field.directives.iter().filter(|own| is_condition(own));
        let own = Field::new(
            Name::new_static_unchecked("__typename"),
            definition.node.clone(),
        )
        .with_alias(alias.clone())
        .with_directives(conditions.cloned());
        self.hidden.push(Hidden {
            alias: alias.to_string(),
            key: field.response_key().to_string(),
            place: format!("{of}.{}", field.name),
            may_be_null: !field.ty().is_non_null(),
        });
        Node::new(own)
    }
}

fn is_condition(own: &Node<Directive>) -> bool {
    own.name == "skip" || own.name == "include"
}

/// The variables that something still needs.
fn used(document: &ExecutableDocument, operation: &Operation) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    let mut of_directives = |all: &DirectiveList| {
        let arguments = all.iter().flat_map(|own| &own.arguments);
        for argument in arguments {
            in_value(&argument.value, &mut found);
        }
    };
    of_directives(&operation.directives);
    let reached = alone(document, &Node::new(operation.clone()));
    let fragments = reached.fragments.values();
    for fragment in fragments.clone() {
        of_directives(&fragment.directives);
    }
    in_set(&operation.selection_set, &mut found);
    for fragment in fragments {
        in_set(&fragment.selection_set, &mut found);
    }
    found
}

fn in_set(set: &SelectionSet, found: &mut BTreeSet<Name>) {
    for own in &set.selections {
        for directive in own.directives().iter() {
            for argument in &directive.arguments {
                in_value(&argument.value, found);
            }
        }
        match own {
            Selection::Field(own) => {
                for argument in &own.arguments {
                    in_value(&argument.value, found);
                }
                in_set(&own.selection_set, found);
            }
            Selection::InlineFragment(own) => in_set(&own.selection_set, found),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn in_value(value: &Value, found: &mut BTreeSet<Name>) {
    match value {
        Value::Variable(name) => _ = found.insert(name.clone()),
        Value::List(items) => items.iter().for_each(|own| in_value(own, found)),
        Value::Object(all) => all.iter().for_each(|(_, own)| in_value(own, found)),
        _ => {}
    }
}
