//! What is said of each place itself: by the schema, and by a file of rules
//! that stands beside a schema which cannot be changed.
//!
//! Spec: GraphQL September 2025 §3.4.3
//!
//! The file of rules repeats the types and fields that it is about, as the
//! schema writes them, and adds directives. It never takes one away.

use std::collections::HashMap;

use apollo_compiler::ast::{self, Definition, Directive, Document};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};

use super::directive::{ListSize, Reader, Said};

/// What is said, by place.
#[derive(Debug, Default)]
pub(crate) struct Own {
    types: HashMap<Name, Said>,
    /// Fields, members of input objects, values of enums.
    fields: HashMap<(Name, Name), Said>,
    arguments: HashMap<(Name, Name, Name), Said>,
    directives: HashMap<(Name, Name), Said>,
    nothing: Said,
}

impl Own {
    /// Reads what the schema says.
    pub(crate) fn of_schema(schema: &Valid<Schema>, reader: &mut Reader<'_>) -> Self {
        let mut own = Self::default();
        for (name, of) in &schema.types {
            let directives = of.directives().iter().map(|own| &own.node);
            let said = reader.read(directives, &schema.sources);
            own.types.insert(name.clone(), said);
            let fields = match of {
                ExtendedType::Object(of) => &of.fields,
                ExtendedType::Interface(of) => &of.fields,
                ExtendedType::InputObject(of) => {
                    for (field, of) in &of.fields {
                        let said = reader.read(of.directives.iter(), &schema.sources);
                        own.fields.insert((name.clone(), field.clone()), said);
                    }
                    continue;
                }
                ExtendedType::Enum(of) => {
                    for (value, of) in &of.values {
                        let said = reader.read(of.directives.iter(), &schema.sources);
                        own.fields.insert((name.clone(), value.clone()), said);
                    }
                    continue;
                }
                ExtendedType::Scalar(_) | ExtendedType::Union(_) => continue,
            };
            for (field, of) in fields {
                let said = reader.read(of.directives.iter(), &schema.sources);
                own.fields.insert((name.clone(), field.clone()), said);
                for argument in &of.arguments {
                    let said = reader.read(argument.directives.iter(), &schema.sources);
                    let place = (name.clone(), field.clone(), argument.name.clone());
                    own.arguments.insert(place, said);
                }
            }
        }
        for (name, of) in &schema.directive_definitions {
            for argument in &of.arguments {
                let said = reader.read(argument.directives.iter(), &schema.sources);
                own.directives
                    .insert((name.clone(), argument.name.clone()), said);
            }
        }
        own
    }

    /// Adds what a file of rules says.
    pub(crate) fn add(
        &mut self,
        schema: &Valid<Schema>,
        rules: &Document,
        reader: &mut Reader<'_>,
    ) {
        let mut adding = Adding {
            own: self,
            schema,
            rules,
            reader,
        };
        for definition in &rules.definitions {
            adding.definition(definition);
        }
    }

    /// Every field of which the length of lists is said.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&Name, &Name, &ListSize)> {
        let all = self.fields.iter();
        all.filter_map(|((of, name), said)| Some((of, name, said.list.as_ref()?)))
    }

    /// What is said of a type.
    pub(crate) fn of_type(&self, of: &str) -> &Said {
        self.types.get(of).unwrap_or(&self.nothing)
    }

    /// What is said of a field, a member of an input object, a value of an enum.
    pub(crate) fn field(&self, of: &Name, name: &Name) -> &Said {
        let place = (of.clone(), name.clone());
        self.fields.get(&place).unwrap_or(&self.nothing)
    }

    /// What is said of an argument.
    pub(crate) fn argument(&self, of: &Name, field: &Name, name: &Name) -> &Said {
        let place = (of.clone(), field.clone(), name.clone());
        self.arguments.get(&place).unwrap_or(&self.nothing)
    }

    /// What is said of an argument of a directive.
    pub(crate) fn directive(&self, of: &Name, name: &Name) -> &Said {
        let place = (of.clone(), name.clone());
        self.directives.get(&place).unwrap_or(&self.nothing)
    }
}

struct Adding<'a, 'r> {
    own: &'a mut Own,
    schema: &'a Valid<Schema>,
    rules: &'a Document,
    reader: &'a mut Reader<'r>,
}

impl Adding<'_, '_> {
    fn definition(&mut self, definition: &Definition) {
        let at = definition.location();
        let kind = match definition {
            Definition::ScalarTypeDefinition(_) | Definition::ScalarTypeExtension(_) => "scalar",
            Definition::ObjectTypeDefinition(_) | Definition::ObjectTypeExtension(_) => "object",
            Definition::InterfaceTypeDefinition(_) | Definition::InterfaceTypeExtension(_) => {
                "interface"
            }
            Definition::UnionTypeDefinition(_) | Definition::UnionTypeExtension(_) => "union",
            Definition::EnumTypeDefinition(_) | Definition::EnumTypeExtension(_) => "enum",
            Definition::InputObjectTypeDefinition(_) | Definition::InputObjectTypeExtension(_) => {
                "input object"
            }
            // Ours are known; one like them may stand there for editors.
            Definition::DirectiveDefinition(_) => return,
            Definition::OperationDefinition(_)
            | Definition::FragmentDefinition(_)
            | Definition::SchemaDefinition(_)
            | Definition::SchemaExtension(_) => {
                self.note(
                    at,
                    "only types and their extensions stand in a file of rules",
                );
                return;
            }
        };
        let Some(name) = definition.name() else {
            return;
        };
        let known = self.schema.types.get(name);
        if known.is_none_or(|known| kind_of(known) != kind) {
            self.note(at, &format!("the schema has no {kind} `{name}`"));
            return;
        }
        let said = self.read(definition.directives().iter());
        self.own.types.entry(name.clone()).or_default().add(said);
        match definition {
            Definition::ObjectTypeDefinition(of) => self.fields(name, &of.fields),
            Definition::ObjectTypeExtension(of) => self.fields(name, &of.fields),
            Definition::InterfaceTypeDefinition(of) => self.fields(name, &of.fields),
            Definition::InterfaceTypeExtension(of) => self.fields(name, &of.fields),
            Definition::InputObjectTypeDefinition(of) => self.members(name, &of.fields),
            Definition::InputObjectTypeExtension(of) => self.members(name, &of.fields),
            Definition::EnumTypeDefinition(of) => self.values(name, &of.values),
            Definition::EnumTypeExtension(of) => self.values(name, &of.values),
            _ => {}
        }
    }

    fn fields(&mut self, of: &Name, all: &[Node<ast::FieldDefinition>]) {
        for field in all {
            let known = self.schema.type_field(of, &field.name).ok();
            let known = known.filter(|known| known.ty == field.ty).cloned();
            let Some(known) = known else {
                let why = format!("the schema has no `{of}.{}: {}`", field.name, field.ty);
                self.note(field.location(), &why);
                continue;
            };
            let said = self.read(field.directives.iter());
            let place = (of.clone(), field.name.clone());
            self.own.fields.entry(place).or_default().add(said);
            for argument in &field.arguments {
                if known.argument_by_name(&argument.name).is_none() {
                    let why = format!(
                        "the schema has no `{of}.{}({}:)`",
                        field.name, argument.name
                    );
                    self.note(argument.location(), &why);
                    continue;
                }
                let said = self.read(argument.directives.iter());
                let place = (of.clone(), field.name.clone(), argument.name.clone());
                self.own.arguments.entry(place).or_default().add(said);
            }
        }
    }

    fn members(&mut self, of: &Name, all: &[Node<ast::InputValueDefinition>]) {
        for member in all {
            let known = self.schema.get_input_object(of);
            let known = known.and_then(|known| known.fields.get(&member.name));
            if known.is_none_or(|known| known.ty != member.ty) {
                let why = format!("the schema has no `{of}.{}: {}`", member.name, member.ty);
                self.note(member.location(), &why);
                continue;
            }
            let said = self.read(member.directives.iter());
            let place = (of.clone(), member.name.clone());
            self.own.fields.entry(place).or_default().add(said);
        }
    }

    fn values(&mut self, of: &Name, all: &[Node<ast::EnumValueDefinition>]) {
        for value in all {
            let known = self.schema.get_enum(of);
            if known.is_none_or(|known| !known.values.contains_key(&value.value)) {
                let why = format!("the schema has no `{of}.{}`", value.value);
                self.note(value.location(), &why);
                continue;
            }
            let said = self.read(value.directives.iter());
            let place = (of.clone(), value.value.clone());
            self.own.fields.entry(place).or_default().add(said);
        }
    }

    fn read<'d>(&mut self, directives: impl IntoIterator<Item = &'d Node<Directive>>) -> Said {
        let directives: Vec<&Node<Directive>> = directives.into_iter().collect();
        for own in &directives {
            let is_known = super::directive::OWN
                .iter()
                .any(|(name, _)| *name == super::directive::plain_name(&own.name));
            if !is_known {
                let why = format!("`@{}` says nothing here", own.name);
                self.note(own.location(), &why);
            }
        }
        self.reader.read(directives, &self.rules.sources)
    }

    fn note(&mut self, at: Option<SourceSpan>, why: &str) {
        self.reader.note(at, &self.rules.sources, why.to_owned());
    }
}

const fn kind_of(of: &ExtendedType) -> &'static str {
    match of {
        ExtendedType::Scalar(_) => "scalar",
        ExtendedType::Object(_) => "object",
        ExtendedType::Interface(_) => "interface",
        ExtendedType::Union(_) => "union",
        ExtendedType::Enum(_) => "enum",
        ExtendedType::InputObject(_) => "input object",
    }
}
