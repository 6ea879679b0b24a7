//! Questions about what an operator's own schema names: users, documents,
//! whatever an application keeps. Who asks tells what is known of them; what a
//! file of entities says stands beside it.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §5

use std::collections::HashSet;

use cedar_policy::{Context, Entity, EntityId, EntityTypeName, EntityUid, Request};
use serde_json::{Map, Value, json};
use symbolon_protocol::Timestamp;

use super::Policies;
use crate::policy::evaluation::{Evaluation, Named};
use crate::policy::ruling::{Answer, Ruling};

impl Policies {
    /// Answers an evaluation. What the schema does not know is denied, with the
    /// reason.
    pub(crate) fn evaluate(
        &self,
        evaluation: &Evaluation,
        now: Timestamp,
    ) -> (Ruling, Option<String>) {
        let answered = match evaluation.question(now) {
            Some(Ok(question)) => Ok(self.decide(&question)),
            Some(Err(why)) => Err(why),
            None => self.evaluate_own(evaluation),
        };
        match answered {
            Ok(ruling) => (ruling, None),
            Err(why) => (Ruling::bare(Answer::Deny), Some(why)),
        }
    }

    fn evaluate_own(&self, evaluation: &Evaluation) -> Result<Ruling, String> {
        let subject = self.own_entity(&evaluation.subject)?;
        let resource = self.own_entity(&evaluation.resource)?;
        let kind: EntityTypeName = "Action".parse().map_err(told)?;
        let id = EntityId::new(&evaluation.action);
        let action = EntityUid::from_type_name_and_id(kind, id);
        let context = Value::Object(evaluation.context.clone());
        let context = Context::from_json_value(context, Some((&self.schema, &action)));
        let request = Request::new(
            subject.uid(),
            action,
            resource.uid(),
            context.map_err(told)?,
            Some(&self.schema),
        );
        let mut added = vec![subject];
        if added[0].uid() != resource.uid() {
            added.push(resource);
        }
        let entities = (*self.entities).clone();
        let entities = entities.upsert_entities(added, Some(&self.schema));
        let (request, entities) = (request.map_err(told)?, entities.map_err(told)?);
        Ok(self.judge(&request, self.slices.all(), &entities))
    }

    /// What is told of an entity over what a file says of it.
    fn own_entity(&self, own: &Named) -> Result<Entity, String> {
        let kind: EntityTypeName = own.kind.parse().map_err(told)?;
        let uid = EntityUid::from_type_name_and_id(kind, EntityId::new(&own.id));
        let known = self.entities.get(&uid).map(Entity::to_json_value);
        let known = known.transpose().map_err(told)?.unwrap_or(Value::Null);
        let mut attributes = match known.get("attrs") {
            Some(Value::Object(attributes)) => attributes.clone(),
            _ => Map::new(),
        };
        attributes.extend(own.properties.clone());
        let above: HashSet<&EntityUid> = self.members.of(&uid).iter().collect();
        let mut parents: Vec<Value> = above
            .into_iter()
            .map(|own| json!({ "type": own.type_name().to_string(), "id": own.id().unescaped() }))
            .collect();
        if let Some(Value::Array(more)) = known.get("parents") {
            parents.extend(more.iter().cloned());
        }
        let entity = json!({
            "uid": { "type": own.kind, "id": own.id },
            "attrs": attributes,
            "parents": parents,
        });
        Entity::from_json_value(entity, Some(&self.schema)).map_err(told)
    }
}

fn told(error: impl std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(own) = cause {
        said = format!("{said}: {own}");
        cause = own.source();
    }
    said
}
