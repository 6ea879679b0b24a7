//! What is known of one operation of a document, whoever asks: which rules it
//! meets, what it costs, and the one text of it that is sent.
//!
//! Spec: GraphQL September 2025 §2.5, §2.8, §3.13.1, §3.13.2

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apollo_compiler::ast::{
    Argument, DirectiveList, OperationType, Type, Value, VariableDefinition,
};
use apollo_compiler::executable::{Field, Operation, OperationMap, Selection, SelectionSet};
use apollo_compiler::{ExecutableDocument, Name, Node};

use super::input::{Met, Walk};
use super::mask::Mask;
use super::needs::OfField;
use super::price::{Part, Slice, as_size, is_sized};
use super::rule::{RuleId, RuleSet};

/// What is known of an operation. Decisions are no part of it.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) kind: OperationType,
    pub(crate) name: Option<Box<str>>,
    /// The operation and the fragments that it spreads.
    pub(crate) text: Box<str>,
    /// Every rule that it meets, and where it does so first.
    pub(crate) rules: Box<[(RuleId, Box<str>)]>,
    pub(crate) variables: Box<[Variable]>,
    pub(crate) parts: Box<[Part]>,
}

/// A variable that an operation declares.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: Box<str>,
    pub(crate) of: Type,
    /// What it says as a size where it is not given.
    pub(crate) size: Option<u64>,
    /// What is in it costs where it is not given, in thousandths.
    pub(crate) weight: u64,
}

impl Facts {
    /// Gathers what is known of an operation of a valid document. What a mask
    /// put into it, in the place of something else, is nothing that is asked for.
    pub(crate) fn of(
        walk: Walk<'_>,
        document: &ExecutableDocument,
        of: &Node<Operation>,
        mask: Option<&Mask>,
    ) -> Self {
        let places = of.variables.iter().enumerate();
        let mut gather = Gather {
            walk,
            document,
            mask,
            places: places.map(|(at, own)| (&own.name, at)).collect(),
            rules: BTreeMap::new(),
            parts: Vec::new(),
        };
        gather.directives(&of.directives);
        let mut weights = Vec::new();
        for own in &of.variables {
            gather.directives(&own.directives);
            let mut met = Met::default();
            if let Some(value) = &own.default_value {
                walk.literal(&own.ty, value, &mut met);
                gather.meet(&met.rules, || format!("${}", own.name));
            }
            weights.push(met.weight);
        }
        gather.selections(&of.selection_set, None);
        let weighed = of.variables.iter().zip(weights);
        let variable = |(own, weight): (&Node<VariableDefinition>, u64)| Variable {
            weight,
            name: own.name.as_str().into(),
            of: (*own.ty).clone(),
            size: own.default_value.as_ref().and_then(|own| match &**own {
                Value::Int(own) => as_size(own.as_str()),
                _ => None,
            }),
        };
        let rules = gather.rules.into_iter();
        Self {
            kind: of.operation_type,
            name: of.name.as_ref().map(|own| own.as_str().into()),
            text: text(&alone(document, of)).into(),
            rules: rules.map(|(rule, at)| (rule, at.into())).collect(),
            variables: weighed.map(variable).collect(),
            parts: gather.parts.into(),
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        let parts = self.parts.len() * size_of::<Part>();
        let rules = self.rules.len() * 64;
        let variables = self.variables.len() * 96;
        size_of::<Self>() + self.text.len() + parts + rules + variables
    }
}

/// A document as it is sent.
pub(crate) fn text(document: &ExecutableDocument) -> String {
    document.serialize().no_indent().to_string()
}

/// The document of one operation and the fragments that it spreads.
pub(crate) fn alone(document: &ExecutableDocument, of: &Node<Operation>) -> ExecutableDocument {
    let mut spread = BTreeSet::new();
    spreads(document, &of.selection_set, &mut spread);
    let fragments = document.fragments.iter();
    let fragments = fragments.filter(|(name, _)| spread.contains(*name));
    ExecutableDocument {
        sources: document.sources.clone(),
        operations: OperationMap::from_one(of.clone()),
        fragments: fragments
            .map(|(name, own)| (name.clone(), own.clone()))
            .collect(),
    }
}

fn spreads(document: &ExecutableDocument, set: &SelectionSet, found: &mut BTreeSet<Name>) {
    for own in &set.selections {
        match own {
            Selection::Field(own) => spreads(document, &own.selection_set, found),
            Selection::InlineFragment(own) => spreads(document, &own.selection_set, found),
            Selection::FragmentSpread(own) => {
                let is_new = found.insert(own.fragment_name.clone());
                if let (true, Some(own)) = (is_new, document.fragments.get(&own.fragment_name)) {
                    spreads(document, &own.selection_set, found);
                }
            }
        }
    }
}

/// Every rule that a field meets by itself, those of its arguments and
/// directives with it, and the variables that stand in them. A field that is
/// not known meets a rule that never holds.
pub(crate) fn met_by(walk: Walk<'_>, of: &str, field: &Field) -> Met {
    let mut met = Met::default();
    let known = walk.needs.field(of, &field.name);
    let rules = match &*field.name {
        "__typename" => walk.needs.shown(of),
        _ => known.map(|known| &known.rules),
    };
    match rules {
        Some(rules) => met.rules.extend(rules),
        None => _ = met.rules.insert(RuleId::MAX),
    }
    for argument in &field.arguments {
        let known = known.and_then(|known| known.arguments.get(&argument.name));
        met.rules
            .extend(known.into_iter().flat_map(|known| &known.rules));
        if let Some(definition) = field.definition.argument_by_name(&argument.name) {
            walk.literal(&definition.ty, &argument.value, &mut met);
        }
    }
    of_directives(walk, &field.directives, &mut met);
    met
}

/// Every rule that directives meet by their arguments.
pub(crate) fn of_directives(walk: Walk<'_>, all: &DirectiveList, met: &mut Met) {
    for directive in all.iter() {
        let definition = walk.schema.directive_definitions.get(&directive.name);
        for argument in &directive.arguments {
            let rules = walk.needs.directive(&directive.name, &argument.name);
            met.rules.extend(rules.into_iter().flatten());
            let known = definition.and_then(|own| own.argument_by_name(&argument.name));
            if let Some(known) = known {
                walk.literal(&known.ty, &argument.value, met);
            }
        }
    }
}

struct Gather<'d> {
    walk: Walk<'d>,
    document: &'d ExecutableDocument,
    mask: Option<&'d Mask>,
    places: HashMap<&'d Name, usize>,
    rules: BTreeMap<RuleId, String>,
    parts: Vec<Part>,
}

impl<'d> Gather<'d> {
    fn meet(&mut self, rules: &RuleSet, place: impl Fn() -> String) {
        for rule in rules {
            self.rules.entry(*rule).or_insert_with(&place);
        }
    }

    fn directives(&mut self, all: &DirectiveList) {
        let mut met = Met::default();
        of_directives(self.walk, all, &mut met);
        self.meet(&met.rules, || "a directive".into());
    }

    fn selections(&mut self, set: &'d SelectionSet, above: Option<&'d OfField>) {
        for own in &set.selections {
            match own {
                Selection::Field(own) => self.field(&set.ty, own, above),
                Selection::InlineFragment(own) => {
                    self.directives(&own.directives);
                    self.selections(&own.selection_set, above);
                }
                Selection::FragmentSpread(own) => {
                    self.directives(&own.directives);
                    if let Some(own) = self.document.fragments.get(&own.fragment_name) {
                        self.directives(&own.directives);
                        self.selections(&own.selection_set, above);
                    }
                }
            }
        }
    }

    fn field(&mut self, of: &Name, field: &'d Field, above: Option<&'d OfField>) {
        if self.mask.is_some_and(|mask| mask.put_in(field)) {
            self.directives(&field.directives);
            self.parts.push(Part::free(self.parts.len() + 1));
            return;
        }
        let met = met_by(self.walk, of, field);
        self.meet(&met.rules, || format!("{of}.{}", field.name));
        let known = self.walk.needs.field(of, &field.name);
        let at = self.parts.len();
        self.parts.push(match known {
            None => Part::free(at),
            Some(known) => {
                let more = field.arguments.iter().map(|own| {
                    let known = known.arguments.get(&own.name);
                    known.map_or(0, |known| known.weight)
                });
                let more = more.fold(met.weight, u64::saturating_add);
                let slices = self.slices(field, known);
                let is_sized = is_sized(above, &field.name, known);
                let given = met.variables.iter();
                let given = given.filter_map(|own| self.places.get(own).copied());
                Part::new(known, slices, is_sized, more).given(given.collect())
            }
        });
        self.selections(&field.selection_set, known);
        self.parts[at].end = self.parts.len();
    }

    /// What the arguments of a field say of the length of lists.
    fn slices(&self, field: &Field, known: &OfField) -> Vec<Slice> {
        let slice = |name: &String| {
            let given = |own: &&Node<Argument>| own.name == **name;
            let value = match field.arguments.iter().find(given) {
                Some(given) => &given.value,
                None => field
                    .definition
                    .argument_by_name(name)?
                    .default_value
                    .as_ref()?,
            };
            match &**value {
                Value::Int(digits) => as_size(digits.as_str()).map(Slice::Given),
                Value::Variable(name) => self.places.get(name).copied().map(Slice::Variable),
                Value::Null => None,
                _ => Some(Slice::Given(u64::MAX)),
            }
        };
        known.size.slicing.iter().filter_map(slice).collect()
    }
}
