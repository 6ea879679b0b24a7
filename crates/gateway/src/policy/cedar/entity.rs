//! A question in Cedar's terms: who, what and which route as entities, and the
//! circumstances as a record.

use std::collections::HashSet;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request,
    RestrictedExpression as Value, Schema,
};

use super::Policies;
use super::told::{Attributes, Plain, Told};
use crate::policy::question::Kind;

/// The methods that have a name; the last stands for all others.
pub(super) const ACTIONS: [&str; 8] = [
    "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "OTHER",
];
const OTHER: usize = ACTIONS.len() - 1;

/// Why a question cannot be put; none of its words is shown.
#[derive(Debug, thiserror::Error)]
#[error("the question cannot be put: {0}")]
pub(super) struct NotPut(String);

impl NotPut {
    pub(super) fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The types of entities, read once.
struct Types {
    person: EntityTypeName,
    client: EntityTypeName,
    anonymous: EntityTypeName,
    organization: EntityTypeName,
    route: EntityTypeName,
    api: EntityTypeName,
}

/// The actions as entities.
pub(super) struct Actions {
    types: Types,
    entities: Vec<Entity>,
    /// Each with the groups that it is in, itself first.
    with_groups: Vec<Vec<EntityUid>>,
}

impl Actions {
    pub(super) fn of(schema: &Schema) -> Result<Self, NotPut> {
        let kind = |name: &str| name.parse::<EntityTypeName>().map_err(NotPut::of);
        let all = schema.action_entities().map_err(NotPut::of)?;
        let (mut entities, mut with_groups) = (Vec::new(), Vec::new());
        for name in ACTIONS {
            let uid = EntityUid::from_type_name_and_id(kind("Action")?, EntityId::new(name));
            let entity = all
                .get(&uid)
                .ok_or_else(|| NotPut::of("an action is missing"))?;
            let above = all.ancestors(&uid).into_iter().flatten();
            let above: Vec<EntityUid> = above.cloned().collect();
            entities.push(entity.clone());
            with_groups.push(std::iter::once(uid).chain(above).collect());
        }
        Ok(Self {
            types: Types {
                person: kind("Person")?,
                client: kind("Client")?,
                anonymous: kind("Anonymous")?,
                organization: kind("Organization")?,
                route: kind("Route")?,
                api: kind("Api")?,
            },
            entities,
            with_groups,
        })
    }

    /// Which of [`ACTIONS`] a method is.
    pub(super) fn number(method: &str) -> usize {
        let known = ACTIONS[..OTHER].iter().position(|own| *own == method);
        known.unwrap_or(OTHER)
    }

    /// An action and the groups that it is in.
    pub(super) fn with_groups(&self, number: usize) -> &[EntityUid] {
        self.with_groups.get(number).map_or(&[], Vec::as_slice)
    }
}

fn named(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(own: &str) -> Value {
    Value::new_string(own.to_owned())
}

fn value(own: Plain<'_>) -> Value {
    match own {
        Plain::Text(own) => text(own),
        Plain::Texts(all) => Value::new_set(all.iter().map(|own| text(own))),
        Plain::Number(own) => Value::new_long(own),
        Plain::Time(own) => Value::new_datetime(own.to_string()),
        Plain::Address(own) => Value::new_ip(own.to_string()),
    }
}

fn values(told: &Attributes<'_>) -> impl Iterator<Item = (String, Value)> {
    told.pairs
        .iter()
        .map(|(name, own)| ((*name).to_owned(), value(*own)))
}

impl Policies {
    /// A question as Cedar takes it: of what is told of it, and of nothing else.
    pub(super) fn put(&self, told: &Told<'_>) -> Result<(Request, Entities), NotPut> {
        let types = &self.actions.types;
        let principal = self.principal(told)?;
        let route = self.route(told)?;
        let action = self.actions.entities.get(told.action);
        let action = action.ok_or_else(|| NotPut::of("an action is missing"))?;
        let context = Context::from_pairs(values(&told.context)).map_err(NotPut::of)?;
        let request = Request::new(
            principal.uid(),
            action.uid(),
            named(&types.route, told.route),
            context,
            None,
        );
        let request = request.map_err(NotPut::of)?;
        let of_request = [principal, route];
        let entities = match self.own.is_empty() {
            true => Entities::from_entities(of_request.into_iter().chain([action.clone()]), None),
            false => (*self.entities).clone().add_entities(of_request, None),
        };
        Ok((request, entities.map_err(NotPut::of)?))
    }

    fn principal(&self, told: &Told<'_>) -> Result<Entity, NotPut> {
        let types = &self.actions.types;
        let uid = match told.asker.kind {
            Kind::Person => named(&types.person, &told.name),
            Kind::Client => named(&types.client, &told.name),
            Kind::Anonymous => named(&types.anonymous, "anonymous"),
        };
        let mut parents: HashSet<EntityUid> = self.members.of(&uid).iter().cloned().collect();
        if let Some(organization) = told.organization {
            parents.insert(named(&types.organization, organization));
        }
        let tags = std::iter::empty::<(String, Value)>();
        let attributes = values(&told.of_principal);
        Entity::new_with_tags(uid, attributes, parents, tags).map_err(NotPut::of)
    }

    fn route(&self, told: &Told<'_>) -> Result<Entity, NotPut> {
        let types = &self.actions.types;
        let uid = named(&types.route, told.route);
        let mut parents: HashSet<EntityUid> = self.members.of(&uid).iter().cloned().collect();
        if !told.audience.is_empty() {
            parents.insert(named(&types.api, told.audience));
        }
        let tags = told.parameters.iter();
        let tags = tags.map(|(name, own)| ((*name).to_owned(), text(own)));
        Entity::new_with_tags(uid, values(&told.of_route), parents, tags).map_err(NotPut::of)
    }
}
