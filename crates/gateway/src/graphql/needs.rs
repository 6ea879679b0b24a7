//! What each place of a schema needs: its own rules, and those of all that it
//! stands for.
//!
//! Spec: Apollo Federation
//! Spec: GraphQL September 2025 §3.6 to §3.10
//!
//! | asked for | needs |
//! |---|---|
//! | a field of an object | the field, the object, its interfaces and their field of that name, the type of the field |
//! | a field of an interface | the same, and that of everything that implements it |
//! | `__typename` | the type, and everything that it can turn out to be |
//! | an argument | the argument, here and in interfaces and implementations, and the type of its value |
//! | a member of an input object, a value of an enum | the member, and the type of its value |
//! | `__schema`, `__type`, `_service` | what introspection needs |
//! | `_entities` | what is said of it itself; nobody where nothing is |
//!
//! Nothing is narrowed by the fragments around: a field of an interface needs
//! what its strictest implementation needs, whichever are meant.

use std::collections::HashMap;

use apollo_compiler::ast::{InputValueDefinition, Type};
use apollo_compiler::schema::{ExtendedType, FieldDefinition, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};

use super::directive::{ListSize, USUAL_WEIGHT};
use super::own::Own;
use super::rule::{RuleId, RuleSet};

/// Arguments that say how long a list may be, where nothing else is said.
const USUAL_SLICING: [&str; 3] = ["first", "last", "limit"];

/// What is needed, by name.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    types: HashMap<Name, OfType>,
    inputs: HashMap<Name, OfInput>,
    directives: HashMap<Name, HashMap<Name, RuleSet>>,
}

/// An object, an interface, or a union.
#[derive(Debug, Default)]
struct OfType {
    /// For `__typename`.
    shown: RuleSet,
    fields: HashMap<Name, OfField>,
}

/// A field.
#[derive(Debug, Default)]
pub(crate) struct OfField {
    pub(crate) rules: RuleSet,
    /// In thousandths.
    pub(crate) weight: u64,
    /// How many lists stand in each other; 0 where there is none.
    pub(crate) lists: u32,
    pub(crate) size: ListSize,
    /// Whether the size is that of every list right below.
    pub(crate) sizes_all: bool,
    pub(crate) arguments: HashMap<Name, OfArgument>,
}

/// An argument.
#[derive(Debug, Default)]
pub(crate) struct OfArgument {
    pub(crate) rules: RuleSet,
    /// In thousandths.
    pub(crate) weight: u64,
}

/// A type of values: an input object, an enum, a scalar.
#[derive(Debug, Default)]
pub(crate) struct OfInput {
    pub(crate) rules: RuleSet,
    /// Members of an input object, values of an enum.
    pub(crate) members: HashMap<Name, RuleSet>,
    /// What members cost that are given, in thousandths; those alone that cost
    /// something.
    pub(crate) weights: HashMap<Name, u64>,
}

/// What ways around the fields of the root need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doors {
    /// To read the schema; nothing where it is open.
    pub(crate) introspection: Option<RuleId>,
    /// What nobody has.
    pub(crate) never: RuleId,
}

impl Needs {
    /// Puts together what every place needs.
    pub(crate) fn new(schema: &Valid<Schema>, own: &Own, doors: Doors) -> Self {
        let make = Make {
            schema,
            own,
            implementers: schema.implementers_map().into_iter().collect(),
        };
        let mut needs = Self::default();
        for (name, of) in &schema.types {
            match of {
                ExtendedType::Object(_) | ExtendedType::Interface(_) | ExtendedType::Union(_) => {
                    needs.types.insert(name.clone(), make.of_type(name));
                }
                ExtendedType::Scalar(_) => {
                    needs.inputs.insert(name.clone(), make.of_input(name, []));
                }
                ExtendedType::Enum(of) => {
                    let all = of.values.keys();
                    needs.inputs.insert(name.clone(), make.of_input(name, all));
                }
                ExtendedType::InputObject(of) => {
                    let all = of.fields.keys();
                    needs.inputs.insert(name.clone(), make.of_input(name, all));
                }
            }
        }
        for (name, of) in &schema.directive_definitions {
            let arguments = of.arguments.iter();
            let rules = |own: &Node<InputValueDefinition>| {
                let said = make.own.directive(name, &own.name);
                (own.name.clone(), said.rules.clone())
            };
            needs
                .directives
                .insert(name.clone(), arguments.map(rules).collect());
        }
        needs.guard_introspection(schema, doors.introspection);
        needs.guard_entities(schema, own, doors.never);
        needs
    }

    /// The fields with which the schema can be read: those of every service,
    /// and that of a subgraph.
    fn guard_introspection(&mut self, schema: &Valid<Schema>, rule: Option<RuleId>) {
        let Some(query) = &schema.schema_definition.query else {
            return;
        };
        let root = self.types.entry(query.name.clone()).or_default();
        for name in ["__schema", "__type", "_service"] {
            let usual = || OfField {
                weight: USUAL_WEIGHT,
                ..OfField::default()
            };
            let name = Name::new_static_unchecked(name);
            let field = root.fields.entry(name).or_insert_with(usual);
            field.rules.extend(rule);
        }
    }

    /// A subgraph gives everything by its key, to whoever knows that: what the
    /// fields of the root need would be asked of nobody.
    fn guard_entities(&mut self, schema: &Valid<Schema>, own: &Own, never: RuleId) {
        let name = Name::new_static_unchecked("_entities");
        let Some(query) = &schema.schema_definition.query else {
            return;
        };
        let root = self.types.get_mut(&query.name);
        if let Some(field) = root.and_then(|root| root.fields.get_mut(&name))
            && own.field(&query.name, &name).rules.is_empty()
        {
            field.rules.insert(never);
        }
    }

    /// What a field needs; nothing is known of one that the schema has not.
    pub(crate) fn field(&self, of: &str, name: &str) -> Option<&OfField> {
        self.types.get(of)?.fields.get(name)
    }

    /// What `__typename` needs.
    pub(crate) fn shown(&self, of: &str) -> Option<&RuleSet> {
        Some(&self.types.get(of)?.shown)
    }

    /// What values of a type need.
    pub(crate) fn input(&self, of: &str) -> Option<&OfInput> {
        self.inputs.get(of)
    }

    /// Whether something that is given costs anything.
    pub(crate) fn weighs_inputs(&self) -> bool {
        self.inputs.values().any(|own| !own.weights.is_empty())
    }

    /// What an argument of a directive needs.
    pub(crate) fn directive(&self, of: &str, argument: &str) -> Option<&RuleSet> {
        self.directives.get(of)?.get(argument)
    }
}

struct Make<'s> {
    schema: &'s Valid<Schema>,
    own: &'s Own,
    implementers: HashMap<Name, Implementers>,
}

impl Make<'_> {
    /// The interfaces of an object or an interface.
    fn interfaces(&self, of: &str) -> Vec<&Name> {
        let all = match self.schema.types.get(of) {
            Some(ExtendedType::Object(own)) => &own.implements_interfaces,
            Some(ExtendedType::Interface(own)) => &own.implements_interfaces,
            _ => return Vec::new(),
        };
        all.iter().map(|own| &own.name).collect()
    }

    /// Everything else that something of a type can be: what implements an
    /// interface, what belongs to a union.
    fn below(&self, of: &str) -> Vec<&Name> {
        if let Some(ExtendedType::Union(own)) = self.schema.types.get(of) {
            return own.members.iter().map(|own| &own.name).collect();
        }
        let all = self.implementers.get(of);
        all.map_or_else(Vec::new, |all| all.iter().collect())
    }

    fn definition(&self, of: &str, name: &str) -> Option<&FieldDefinition> {
        let fields = match self.schema.types.get(of)? {
            ExtendedType::Object(own) => &own.fields,
            ExtendedType::Interface(own) => &own.fields,
            _ => return None,
        };
        fields.get(name).map(|own| &***own)
    }

    /// A type and its interfaces.
    fn of_itself(&self, of: &str) -> RuleSet {
        let mut rules = self.own.of_type(of).rules.clone();
        for name in self.interfaces(of) {
            rules.extend(&self.own.of_type(name).rules);
        }
        rules
    }

    fn of_type(&self, of: &Name) -> OfType {
        let mut shown = self.of_itself(of);
        for name in self.below(of) {
            shown.extend(self.of_itself(name));
        }
        let names: Vec<Name> = match self.schema.types.get(of) {
            Some(ExtendedType::Object(own)) => own.fields.keys().cloned().collect(),
            Some(ExtendedType::Interface(own)) => own.fields.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let fields = names.into_iter().map(|name| {
            let field = self.of_field(of, &name);
            (name, field)
        });
        OfType {
            shown,
            fields: fields.collect(),
        }
    }

    /// Every place that a field of a type stands for: itself, that of the
    /// type's interfaces, that of what implements it and of their interfaces.
    fn stands_for<'n>(&'n self, of: &'n Name, name: &str) -> Vec<&'n Name> {
        let mut all = vec![of];
        all.extend(self.interfaces(of));
        for below in self.below(of) {
            all.push(below);
            all.extend(self.interfaces(below));
        }
        all.retain(|own| self.definition(own, name).is_some());
        all.sort_unstable();
        all.dedup();
        all
    }

    fn of_field(&self, of: &Name, name: &Name) -> OfField {
        let mut field = OfField {
            rules: self.of_itself(of),
            ..OfField::default()
        };
        for below in self.below(of) {
            field.rules.extend(self.of_itself(below));
        }
        let mut weight = None;
        for place in self.stands_for(of, name) {
            let Some(definition) = self.definition(place, name) else {
                continue;
            };
            let said = self.own.field(place, name);
            let value = definition.ty.inner_named_type();
            field.rules.extend(&said.rules);
            field.rules.extend(self.of_itself(value));
            weight = weight.max(said.weight.or(self.own.of_type(value).weight));
            if let Some(size) = &said.list {
                field.size.assumed = field.size.assumed.max(size.assumed);
                let known = size.slicing.iter().cloned();
                field.size.slicing.extend(known);
                field.size.sized.extend(size.sized.iter().cloned());
            }
            for argument in &definition.arguments {
                let said = self.own.argument(place, name, &argument.name);
                let known = field.arguments.entry(argument.name.clone()).or_default();
                known.rules.extend(&said.rules);
                known.weight = known.weight.max(said.weight.unwrap_or(0));
            }
        }
        field.weight = weight.unwrap_or(USUAL_WEIGHT);
        if let Some(definition) = self.definition(of, name) {
            self.size(of, definition, &mut field);
        }
        field
    }

    /// How long its list may be, where no directive says so.
    fn size(&self, of: &Name, definition: &FieldDefinition, field: &mut OfField) {
        field.lists = lists(&definition.ty);
        if of.starts_with("__") && field.size.assumed.is_none() {
            // What introspection asks for is as long as the schema, not as the data.
            field.size.assumed = Some(1);
        }
        if !field.size.slicing.is_empty() {
            return;
        }
        let usual = definition.arguments.iter().filter(|own| {
            USUAL_SLICING.contains(&own.name.as_str()) && own.ty.inner_named_type() == "Int"
        });
        field.size.slicing = usual.map(|own| own.name.to_string()).collect();
        field.sizes_all = !field.size.slicing.is_empty() && field.size.sized.is_empty();
    }

    fn of_input<'n>(&self, of: &Name, members: impl IntoIterator<Item = &'n Name>) -> OfInput {
        let mut input = OfInput {
            rules: self.own.of_type(of).rules.clone(),
            ..OfInput::default()
        };
        for name in members {
            let said = self.own.field(of, name);
            input.members.insert(name.clone(), said.rules.clone());
            if let Some(weight) = said.weight.filter(|own| *own > 0) {
                input.weights.insert(name.clone(), weight);
            }
        }
        input
    }
}

fn lists(of: &Type) -> u32 {
    match of {
        Type::Named(_) | Type::NonNullNamed(_) => 0,
        Type::List(inner) | Type::NonNullList(inner) => lists(inner).saturating_add(1),
    }
}
