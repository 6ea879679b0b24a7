//! What is put into an answer: null where a field was not asked for, and an
//! error that says so.
//!
//! Spec: GraphQL September 2025 §6.4.4, §7.1.2
//!
//! A field that may not be null makes null of what it stands in, and so on
//! upwards, as a field does that failed.

use std::collections::HashMap;

use apollo_compiler::ExecutableDocument;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};

use super::declined::UNAUTHORIZED;
use super::json::Json;

/// A field that was not asked for.
#[derive(Debug)]
pub(crate) struct Hidden {
    /// What was asked for in its place.
    pub(crate) alias: String,
    /// Where it stands in the answer.
    pub(crate) key: String,
    /// The field, as the schema calls it.
    pub(crate) place: String,
    pub(crate) may_be_null: bool,
}

/// What is put into the answer of one operation.
#[derive(Debug)]
pub(crate) struct Mask {
    hidden: HashMap<String, Hidden>,
    shape: Shape,
}

/// The objects of an answer in which something is hidden, here or further down.
#[derive(Debug, Default)]
struct Shape(HashMap<String, (Type, Shape)>);

/// This has to be null.
struct Emptied;

type Path = Vec<Json>;

impl Mask {
    /// What is put into the answer of an operation from which these fields were
    /// taken out; nothing where that would leave no answer.
    pub(crate) fn new(
        document: &ExecutableDocument,
        operation: &Operation,
        hidden: Vec<Hidden>,
    ) -> Option<Self> {
        let hidden = hidden.into_iter().map(|own| (own.alias.clone(), own));
        let mut own = Self {
            hidden: hidden.collect(),
            shape: Shape::default(),
        };
        let mut shape = Shape::default();
        let is_emptied = own.shape(document, &operation.selection_set, true, &mut shape);
        own.shape = shape;
        (!is_emptied).then_some(own)
    }

    /// Whether a field was put in, in the place of one that was taken out.
    pub(crate) fn put_in(&self, field: &Field) -> bool {
        let alias = field.alias.as_ref();
        field.name == "__typename" && alias.is_some_and(|own| self.hidden.contains_key(&**own))
    }

    /// The places that were taken out, each once.
    pub(crate) fn places(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.hidden.values().map(|own| &*own.place).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Draws the shape of a selection set; says whether something hidden would
    /// empty the whole answer. `is_solid`: nothing on the way here may be null.
    fn shape(
        &self,
        document: &ExecutableDocument,
        set: &SelectionSet,
        is_solid: bool,
        into: &mut Shape,
    ) -> bool {
        let mut is_emptied = false;
        for own in &set.selections {
            let set = match own {
                Selection::InlineFragment(own) => &own.selection_set,
                Selection::FragmentSpread(own) => {
                    match document.fragments.get(&own.fragment_name) {
                        Some(own) => &own.selection_set,
                        None => continue,
                    }
                }
                Selection::Field(own) => {
                    let key = own.response_key().as_str();
                    if let Some(hidden) = self.hidden.get(key) {
                        is_emptied |= is_solid && !hidden.may_be_null;
                        into.0
                            .entry(key.to_owned())
                            .or_insert_with(|| (own.ty().clone(), Shape::default()));
                    } else if !own.selection_set.is_empty() {
                        let mut inner = into.0.remove(key).map_or_else(Shape::default, |own| own.1);
                        let is_solid = is_solid && is_solid_type(own.ty());
                        is_emptied |=
                            self.shape(document, &own.selection_set, is_solid, &mut inner);
                        if !inner.0.is_empty() {
                            into.0.insert(key.to_owned(), (own.ty().clone(), inner));
                        }
                    }
                    continue;
                }
            };
            is_emptied |= self.shape(document, set, is_solid, into);
        }
        is_emptied
    }

    /// Puts it into an answer.
    pub(crate) fn put_into(&self, answer: &mut Json) {
        let Json::Object(members) = answer else {
            return;
        };
        let mut errors = Vec::new();
        if let Some((_, data)) = members.iter_mut().find(|(name, _)| name == "data")
            && self
                .object(data, &self.shape, &mut Vec::new(), &mut errors)
                .is_err()
        {
            *data = Json::Null;
        }
        if errors.is_empty() {
            return;
        }
        match members.iter_mut().find(|(name, _)| name == "errors") {
            Some((_, Json::List(known))) => known.extend(errors),
            Some((_, other)) => *other = Json::List(errors),
            None => members.push(("errors".into(), Json::List(errors))),
        }
    }

    fn object(
        &self,
        value: &mut Json,
        shape: &Shape,
        path: &mut Path,
        errors: &mut Vec<Json>,
    ) -> Result<(), Emptied> {
        let Json::Object(members) = value else {
            return Ok(());
        };
        let mut is_emptied = false;
        let mut keys: Vec<String> = Vec::new();
        for (name, value) in members.iter_mut() {
            let Some((of, inner)) = shape.0.get(name) else {
                continue;
            };
            if let Some(hidden) = self.hidden.get(name) {
                is_emptied |= !hidden.may_be_null;
                path.push(Json::Text(hidden.key.clone()));
                if !keys.contains(&hidden.key) {
                    errors.push(error(hidden, path));
                    keys.push(hidden.key.clone());
                }
                path.pop();
                continue;
            }
            path.push(Json::Text(name.clone()));
            let is_kept = self.value(value, (of, inner), path, errors);
            path.pop();
            match is_kept {
                Err(Emptied) if of.is_non_null() => is_emptied = true,
                Err(Emptied) => *value = Json::Null,
                Ok(()) => {}
            }
        }
        self.rename(members);
        match is_emptied {
            true => Err(Emptied),
            false => Ok(()),
        }
    }

    /// What was asked for instead gets the name that was meant, and null; null
    /// stays where another field answers under the same name.
    fn rename(&self, members: &mut Vec<(String, Json)>) {
        let mut at = 0;
        while at < members.len() {
            let Some(hidden) = self.hidden.get(&members[at].0) else {
                at += 1;
                continue;
            };
            match members.iter().position(|(name, _)| *name == hidden.key) {
                Some(known) => {
                    members[known].1 = Json::Null;
                    members.remove(at);
                }
                None => {
                    members[at] = (hidden.key.clone(), Json::Null);
                    at += 1;
                }
            }
        }
    }

    fn value(
        &self,
        value: &mut Json,
        (of, shape): (&Type, &Shape),
        path: &mut Path,
        errors: &mut Vec<Json>,
    ) -> Result<(), Emptied> {
        let Json::List(items) = value else {
            return self.object(value, shape, path, errors);
        };
        let inner = match of {
            Type::List(inner) | Type::NonNullList(inner) => inner,
            Type::Named(_) | Type::NonNullNamed(_) => of,
        };
        let mut is_emptied = false;
        for (at, item) in items.iter_mut().enumerate() {
            path.push(Json::Number(at.to_string()));
            let is_kept = self.value(item, (inner, shape), path, errors);
            path.pop();
            match is_kept {
                Err(Emptied) if inner.is_non_null() => is_emptied = true,
                Err(Emptied) => *item = Json::Null,
                Ok(()) => {}
            }
        }
        match is_emptied {
            true => Err(Emptied),
            false => Ok(()),
        }
    }
}

/// Whether nothing of a type may be null, items of its lists included.
fn is_solid_type(of: &Type) -> bool {
    match of {
        Type::NonNullNamed(_) => true,
        Type::NonNullList(inner) => is_solid_type(inner),
        Type::Named(_) | Type::List(_) => false,
    }
}

fn error(hidden: &Hidden, path: &Path) -> Json {
    let text = |own: &str| Json::Text(own.to_owned());
    let message = format!("`{}` is not for the caller", hidden.place);
    Json::Object(vec![
        ("message".into(), text(&message)),
        ("path".into(), Json::List(path.clone())),
        (
            "extensions".into(),
            Json::Object(vec![("code".into(), text(UNAUTHORIZED))]),
        ),
    ])
}
