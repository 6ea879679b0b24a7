//! What a document asks for, taken apart by brute force: one concrete type at a
//! time, and by nothing that judges.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::ast::{self, Definition, Selection, Value};

use super::drawn::{concrete, interfaces};

/// What may be seen by whom, read out of the schema anew.
pub(super) struct Oracle {
    pub(super) types: BTreeMap<String, ast::Definition>,
    pub(super) scopes: BTreeSet<String>,
}

impl Oracle {
    fn holds(&self, directives: &ast::DirectiveList) -> bool {
        directives.iter().all(|own| {
            if own.name != "requiresScopes" {
                return true;
            }
            let Value::List(any) = &*own.arguments[0].value else {
                panic!("a list")
            };
            any.iter().any(|all| {
                let Value::List(all) = &**all else {
                    panic!("a list")
                };
                all.iter()
                    .all(|own| self.scopes.contains(own.as_str().unwrap()))
            })
        })
    }

    fn type_holds(&self, of: &str) -> bool {
        self.types
            .get(of)
            .is_none_or(|own| self.holds(own.directives()))
            && interfaces(of).iter().all(|own| self.type_holds(own))
    }

    pub(super) fn field(&self, of: &str, name: &str) -> Option<&ast::FieldDefinition> {
        let fields = match self.types.get(of)? {
            Definition::ObjectTypeDefinition(own) => &own.fields,
            Definition::InterfaceTypeDefinition(own) => &own.fields,
            _ => return None,
        };
        fields
            .iter()
            .find(|own| own.name == *name)
            .map(|own| &**own)
    }

    fn value_holds(&self, of: &str, value: &Value, variables: &serde_json::Value) -> bool {
        match (self.types.get(of), value) {
            (_, Value::Variable(name)) => self.json_holds(of, &variables[name.as_str()]),
            (Some(Definition::InputObjectTypeDefinition(own)), Value::Object(members)) => {
                self.holds(&own.directives)
                    && members.iter().all(|(name, value)| {
                        let known = own.fields.iter().find(|own| own.name == *name).unwrap();
                        self.holds(&known.directives)
                            && self.value_holds(known.ty.inner_named_type(), value, variables)
                    })
            }
            (Some(Definition::EnumTypeDefinition(own)), Value::Enum(name)) => {
                let known = own.values.iter().find(|own| own.value == *name).unwrap();
                self.holds(&own.directives) && self.holds(&known.directives)
            }
            _ => true,
        }
    }

    fn json_holds(&self, of: &str, value: &serde_json::Value) -> bool {
        match (self.types.get(of), value.as_object()) {
            (Some(Definition::InputObjectTypeDefinition(own)), Some(members)) => {
                self.holds(&own.directives)
                    && members.iter().all(|(name, value)| {
                        let known = own.fields.iter().find(|own| own.name == **name).unwrap();
                        self.holds(&known.directives)
                            && self.json_holds(known.ty.inner_named_type(), value)
                    })
            }
            _ => true,
        }
    }

    /// Whether everything that a document asks for may be seen.
    pub(super) fn allows(&self, document: &ast::Document, variables: &serde_json::Value) -> bool {
        document.definitions.iter().all(|own| match own {
            Definition::OperationDefinition(own) => {
                self.set(document, variables, &own.selection_set, &["Query"])
            }
            _ => true,
        })
    }

    fn set(
        &self,
        document: &ast::Document,
        variables: &serde_json::Value,
        set: &[Selection],
        possible: &[&'static str],
    ) -> bool {
        let narrow = |to: &str| -> Vec<&'static str> {
            let below = concrete(to);
            possible
                .iter()
                .copied()
                .filter(|own| below.contains(own))
                .collect()
        };
        set.iter().all(|own| match own {
            Selection::InlineFragment(own) => {
                let to = own.type_condition.as_ref();
                let inner = to.map_or_else(|| possible.to_vec(), |to| narrow(to));
                self.set(document, variables, &own.selection_set, &inner)
            }
            Selection::FragmentSpread(own) => {
                let found = document.definitions.iter().find_map(|known| match known {
                    Definition::FragmentDefinition(known) if known.name == own.fragment_name => {
                        Some(known)
                    }
                    _ => None,
                });
                let found = found.unwrap();
                self.set(
                    document,
                    variables,
                    &found.selection_set,
                    &narrow(&found.type_condition),
                )
            }
            Selection::Field(own) if own.name == "__typename" => {
                let is_ours = own
                    .alias
                    .as_ref()
                    .is_some_and(|own| own.starts_with("symbolon"));
                is_ours || possible.iter().all(|of| self.type_holds(of))
            }
            Selection::Field(own) => possible
                .iter()
                .all(|of| self.one(document, variables, own, of)),
        })
    }

    fn one(
        &self,
        document: &ast::Document,
        variables: &serde_json::Value,
        own: &ast::Field,
        of: &'static str,
    ) -> bool {
        let definition = self.field(of, &own.name).unwrap();
        let inner = definition.ty.inner_named_type();
        let places = std::iter::once(of).chain(interfaces(of).iter().copied());
        let is_allowed = places
            .filter_map(|of| self.field(of, &own.name))
            .all(|known| {
                self.holds(&known.directives)
                    && own.arguments.iter().all(|own| {
                        let argument = known.arguments.iter().find(|known| known.name == own.name);
                        argument.is_none_or(|known| {
                            self.holds(&known.directives)
                                && self.value_holds(
                                    known.ty.inner_named_type(),
                                    &own.value,
                                    variables,
                                )
                        })
                    })
            });
        self.type_holds(of)
            && is_allowed
            && self.type_holds(inner)
            && self.set(document, variables, &own.selection_set, &concrete(inner))
    }
}
