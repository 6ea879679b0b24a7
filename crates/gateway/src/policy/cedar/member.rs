//! Who is in which group, as a file of entities says: callers and routes are
//! made anew for each request, so a file can say of them nothing else.

use std::collections::{HashMap, HashSet};

use cedar_policy::EntityUid;
use serde_json::Value;

/// What belongs to requests, and may stand in a file with its parents alone.
const OF_REQUESTS: [&str; 4] = ["Person", "Client", "Route", "Anonymous"];
/// How deep groups may lie in each other.
const MAX_DEPTH: usize = 32;

/// Who is in which group, groups of groups included.
#[derive(Default)]
pub(super) struct Members(HashMap<EntityUid, Vec<EntityUid>>);

impl Members {
    /// Takes the callers and routes out of a file of entities, and leaves what
    /// is the operator's own.
    pub(super) fn take(&mut self, file: Value) -> Result<Vec<Value>, String> {
        let Value::Array(all) = file else {
            return Err("a file of entities is a list of them".into());
        };
        let mut own = Vec::new();
        for entity in all {
            let uid = uid(entity.get("uid").unwrap_or(&Value::Null))?;
            if !OF_REQUESTS.contains(&&*uid.type_name().to_string()) {
                own.push(entity);
                continue;
            }
            let says_more = ["attrs", "tags"].into_iter().any(|name| {
                let more = entity.get(name).and_then(Value::as_object);
                more.is_some_and(|more| !more.is_empty())
            });
            if says_more {
                return Err(format!(
                    "`{uid}` is made anew for each request: a file says in which groups it is, and nothing else"
                ));
            }
            let parents = match entity.get("parents") {
                Some(Value::Array(parents)) => parents.iter().map(self::uid).collect(),
                _ => Ok(Vec::new()),
            };
            self.0.entry(uid).or_default().extend::<Vec<_>>(parents?);
        }
        Ok(own)
    }

    /// Adds the groups in which the groups are.
    pub(super) fn close(&mut self, groups: &HashMap<EntityUid, Vec<EntityUid>>) {
        for parents in self.0.values_mut() {
            let mut known: HashSet<EntityUid> = parents.iter().cloned().collect();
            let mut edge = parents.clone();
            for _ in 0..MAX_DEPTH {
                let above = edge.iter().filter_map(|own| groups.get(own)).flatten();
                edge = above
                    .filter(|own| known.insert((*own).clone()))
                    .cloned()
                    .collect();
                parents.extend(edge.iter().cloned());
            }
            parents.sort_by_key(ToString::to_string);
            parents.dedup();
        }
    }

    /// In which groups somebody is.
    pub(super) fn of(&self, uid: &EntityUid) -> &[EntityUid] {
        self.0.get(uid).map_or(&[], Vec::as_slice)
    }

    /// Everybody of whom a file says something.
    pub(super) fn names(&self) -> impl Iterator<Item = &EntityUid> {
        self.0.keys()
    }

    /// Whether a file puts somebody into a group.
    pub(super) fn has(&self, uid: &EntityUid) -> bool {
        self.0.contains_key(uid)
    }

    /// Every group that somebody is in.
    pub(super) fn groups(&self) -> impl Iterator<Item = &EntityUid> {
        self.0.values().flatten()
    }
}

/// Reads `{"type": "Person", "id": "usr_1"}`, also below `__entity`.
pub(super) fn uid(value: &Value) -> Result<EntityUid, String> {
    let own = value.get("__entity").unwrap_or(value);
    let text = |name: &str| own.get(name).and_then(Value::as_str);
    let (Some(kind), Some(id)) = (text("type"), text("id")) else {
        return Err("an entity is named by `{ \"type\": …, \"id\": … }`".into());
    };
    let kind = kind
        .parse()
        .map_err(|_| format!("`{kind}` is no type of an entity"))?;
    let id = cedar_policy::EntityId::new(id);
    Ok(EntityUid::from_type_name_and_id(kind, id))
}
