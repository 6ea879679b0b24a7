//! The values of arguments: which rules they meet, wherever they stand.
//!
//! Spec: GraphQL September 2025 §2.9, §3.10, §3.11, §6.1.2
//!
//! A value in the document has been compared with the schema. One in the
//! variables has not: of it everything is checked by which a member or a value
//! of an enum could be missed, and the rest is left to the service.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Name, Schema};

use super::json::Json;
use super::needs::Needs;
use super::rule::RuleSet;

/// What values have met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    pub(crate) rules: RuleSet,
    /// Variables that stand in them.
    pub(crate) variables: Vec<Name>,
    /// What they cost, in thousandths, apart from the variables.
    pub(crate) weight: u64,
}

/// Walks through a value of a type.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) needs: &'s Needs,
}

impl Walk<'_> {
    /// A value in the document.
    pub(crate) fn literal(self, of: &Type, value: &Value, met: &mut Met) {
        match value {
            Value::Null => {}
            Value::Variable(name) => met.variables.push(name.clone()),
            Value::List(items) => {
                for item in items {
                    self.literal(inner(of), item, met);
                }
            }
            Value::Object(members) => {
                self.meet(of, None, met);
                let known = self.schema.get_input_object(of.inner_named_type());
                for (name, value) in members {
                    self.meet(of, Some(name), met);
                    if let Some(member) = known.and_then(|known| known.fields.get(name)) {
                        self.literal(&member.ty, value, met);
                    } else {
                        // A scalar of the schema's own, with anything in it.
                        self.variables_in(value, met);
                    }
                }
            }
            Value::Enum(name) => {
                self.meet(of, None, met);
                self.meet(of, Some(name), met);
            }
            Value::String(_) | Value::Float(_) | Value::Int(_) | Value::Boolean(_) => {
                self.meet(of, None, met);
            }
        }
    }

    fn variables_in(self, value: &Value, met: &mut Met) {
        match value {
            Value::Variable(name) => met.variables.push(name.clone()),
            Value::List(items) => items.iter().for_each(|own| self.variables_in(own, met)),
            Value::Object(all) => all.iter().for_each(|(_, own)| self.variables_in(own, met)),
            _ => {}
        }
    }

    /// A value among the variables; what does not fit is refused.
    pub(crate) fn variable(self, of: &Type, value: &Json, met: &mut Met) -> Result<(), String> {
        let name = of.inner_named_type();
        match (self.schema.types.get(name), value) {
            (_, Json::Null) => Ok(()),
            (Some(ExtendedType::Enum(_) | ExtendedType::InputObject(_)), Json::List(items)) => {
                if !of.is_list() {
                    return Err(format!("a value of `{name}` is no list"));
                }
                for item in items {
                    self.variable(inner(of), item, met)?;
                }
                Ok(())
            }
            (Some(ExtendedType::Enum(known)), value) => {
                let text = value.text();
                let own = text.and_then(|text| known.values.get_key_value(text));
                let (own, _) = own.ok_or_else(|| format!("it is no value of `{name}`"))?;
                self.meet(of, None, met);
                self.meet(of, Some(own), met);
                Ok(())
            }
            (Some(ExtendedType::InputObject(known)), value) => {
                let Json::Object(members) = value else {
                    return Err(format!("a value of `{name}` is an object"));
                };
                self.meet(of, None, met);
                for (own, value) in members {
                    let own = known.fields.get_key_value(&**own);
                    let (own, member) = own.ok_or_else(|| format!("`{name}` has other members"))?;
                    self.meet(of, Some(own), met);
                    self.variable(&member.ty, value, met)?;
                }
                Ok(())
            }
            _ => {
                self.meet(of, None, met);
                Ok(())
            }
        }
    }

    fn meet(self, of: &Type, member: Option<&Name>, met: &mut Met) {
        let known = self.needs.input(of.inner_named_type());
        let rules = known.and_then(|known| match member {
            None => Some(&known.rules),
            Some(name) => known.members.get(name),
        });
        met.rules.extend(rules.into_iter().flatten());
        let weight = member.and_then(|name| known?.weights.get(name));
        met.weight = met.weight.saturating_add(weight.copied().unwrap_or(0));
    }
}

/// The type of what stands in a list; one alone stands for a list of it.
fn inner(of: &Type) -> &Type {
    match of {
        Type::List(inner) | Type::NonNullList(inner) => inner,
        Type::Named(_) | Type::NonNullNamed(_) => of,
    }
}
