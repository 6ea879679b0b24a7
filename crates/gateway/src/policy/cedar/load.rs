//! From files to policies that may answer: all of them are right, or none is
//! taken.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Effect, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Schema,
    SchemaFragment, ValidationMode, Validator,
};
use miette::Diagnostic;
use quick_cache::sync::Cache;

use super::entity::Actions;
use super::file::{Mistake, Read};
use super::member::Members;
use super::named::named;
use super::slice::Slices;
use super::wanted::Wanted;
use super::{MAX_ANSWERED, Policies};
use crate::policy::ruling::SignIn;

/// The schema of what the gateway tells.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// How many policies there may be.
const MAX_POLICIES: usize = 20_000;
/// Under which name a policy gives its own id.
const ID: &str = "id";
/// The demand of another sign-in.
const STEP_UP: &str = "step_up";
/// The demand that the token is taken back.
const REVOKE: &str = "revoke";

/// Which files policies are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFiles {
    /// Policies.
    pub policies: Vec<PathBuf>,
    /// Schemas with types and actions of the operator's own.
    pub schemas: Vec<PathBuf>,
    /// Entities: who is in which group, and the operator's own.
    pub entities: Vec<PathBuf>,
}

/// What a policy demands where it forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Demanded {
    StepUp(SignIn),
    Revoke,
}

/// What policies demand, by their ids.
pub(super) type Meant = HashMap<String, Demanded>;

/// A policy's id, and where it stands.
pub(super) struct Placed<'f> {
    pub(super) file: &'f Read,
    pub(super) at: Option<usize>,
}

impl Policies {
    /// Reads all files and validates all policies against all of the schema.
    /// What is unwise comes with them; with one mistake there are none.
    pub fn load(files: &PolicyFiles) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let read = |paths: &[PathBuf]| -> Result<Vec<Read>, Vec<Mistake>> {
            let all: Vec<_> = paths.iter().map(|path| Read::of(path)).collect();
            let mistakes = all.iter().filter_map(|own| own.as_ref().err().cloned());
            let mistakes: Vec<Mistake> = mistakes.collect();
            match mistakes.is_empty() {
                true => Ok(all.into_iter().flatten().collect()),
                false => Err(mistakes),
            }
        };
        let (policies, schemas) = (read(&files.policies)?, read(&files.schemas)?);
        let entities = read(&files.entities)?;
        Self::of(&policies, &schemas, &entities)
    }

    /// The same of texts, for tests and benches.
    pub fn read(policies: &str) -> Result<Self, Vec<Mistake>> {
        let file = Read {
            name: "policies.cedar".into(),
            text: policies.to_owned(),
        };
        let (own, _) = Self::of(&[file], &[], &[])?;
        Ok(own)
    }

    fn of(
        files: &[Read],
        schemas: &[Read],
        entities: &[Read],
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let schema = schema(schemas)?;
        let (set, places, meant) = policies(files)?;
        let unwise = validate(&schema, &set, &places)?;
        let named = named(&set, &places);
        let mut members = Members::default();
        let (entities, own) = own_entities(&schema, entities, &mut members)?;
        let whole = |message: String| {
            let file = files.first();
            vec![file.map_or_else(
                || Mistake {
                    file: "policies".into(),
                    line: 0,
                    column: 0,
                    message: message.clone(),
                    is_error: true,
                },
                |file| file.mistake(None, message.clone()),
            )]
        };
        let actions = Actions::of(&schema).map_err(|error| whole(error.to_string()))?;
        let count = set.policies().count();
        let slices = Slices::of(&set, &actions).map_err(|error| whole(error.to_string()))?;
        let own = Self {
            schema,
            authorizer: Authorizer::new(),
            slices,
            meant,
            wanted: Wanted::of(&set),
            actions,
            members,
            entities: Arc::new(entities),
            own,
            answered: Cache::new(MAX_ANSWERED),
            count,
            named,
        };
        Ok((own, unwise))
    }
}

/// Our schema, and what files add to it.
fn schema(files: &[Read]) -> Result<Schema, Vec<Mistake>> {
    let ours = Read {
        name: "the schema of the gateway".into(),
        text: SCHEMA.to_owned(),
    };
    let mut fragments = Vec::new();
    for file in std::iter::once(&ours).chain(files) {
        match SchemaFragment::from_cedarschema_str(&file.text) {
            Ok((fragment, _)) => fragments.push(fragment),
            Err(error) => return Err(file.all_diagnosed(&error)),
        }
    }
    let last = files.last().unwrap_or(&ours);
    Schema::from_schema_fragments(fragments).map_err(|error| vec![last.diagnosed(&error)])
}

type Parsed<'f> = (PolicySet, HashMap<PolicyId, Placed<'f>>, Meant);

/// Every policy under an id that stays the same: as it says itself by `@id`,
/// or the name of its file and its number there, from 1.
fn policies(files: &[Read]) -> Result<Parsed<'_>, Vec<Mistake>> {
    let (mut set, mut mistakes) = (PolicySet::new(), Vec::new());
    let (mut places, mut meant) = (HashMap::<PolicyId, Placed<'_>>::new(), Meant::new());
    for file in files {
        let parsed = match PolicySet::from_str(&file.text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                mistakes.extend(file.all_diagnosed(&errors));
                continue;
            }
        };
        if parsed.templates().next().is_some() {
            let message =
                "a policy with `?principal` or `?resource` is a template, and nothing fills it in";
            mistakes.push(file.mistake(file.text.find('?'), message));
        }
        let mut own: Vec<(usize, &Policy)> = parsed
            .policies()
            .map(|policy| (number(policy.id()), policy))
            .collect();
        own.sort_by_key(|(at, _)| *at);
        for (at, policy) in own {
            let id = id_of(file, policy, at);
            let place = Placed {
                file,
                at: policy
                    .annotation(ID)
                    .and_then(|id| file.text.find(&format!("\"{id}\""))),
            };
            match demand(policy) {
                Ok(Some(demand)) => {
                    meant.insert(id.clone(), demand);
                }
                Ok(None) => {}
                Err(message) => {
                    let step = policy.annotation(STEP_UP).filter(|own| !own.is_empty());
                    let at = step.and_then(|text| file.text.find(&format!("\"{text}\"")));
                    mistakes.push(file.mistake(at.or(place.at), format!("`{id}`: {message}")));
                }
            }
            let id = PolicyId::new(&id);
            if let Some(first) = places.get(&id) {
                let message = format!("the id `{id}` stands in `{}`, too", first.file.name);
                let again = policy
                    .annotation(ID)
                    .and_then(|id| file.text.rfind(&format!("\"{id}\"")));
                mistakes.push(file.mistake(again, message));
                continue;
            }
            if let Err(error) = set.add(policy.new_id(id.clone())) {
                mistakes.push(file.mistake(None, error.to_string()));
            }
            places.insert(id, place);
        }
    }
    if places.len() > MAX_POLICIES
        && let Some(file) = files.last()
    {
        mistakes.push(file.mistake(None, "there are more than 20,000 policies"));
    }
    match mistakes.is_empty() {
        true => Ok((set, places, meant)),
        false => Err(mistakes),
    }
}

/// What a policy demands besides yes and no.
fn demand(policy: &Policy) -> Result<Option<Demanded>, String> {
    let (step_up, revoke) = (policy.annotation(STEP_UP), policy.annotation(REVOKE));
    if (step_up.is_some() || revoke.is_some()) && policy.effect() != Effect::Forbid {
        return Err("only a policy that forbids can demand something: write `forbid`".into());
    }
    match (step_up, revoke) {
        (None, None) => Ok(None),
        (None, Some(_)) => Ok(Some(Demanded::Revoke)),
        (Some(text), None) => {
            let sign_in = SignIn::read(text).map_err(|error| error.to_string())?;
            Ok(Some(Demanded::StepUp(sign_in)))
        }
        (Some(_), Some(_)) => Err("it demands a sign-in and that the token is taken back".into()),
    }
}

/// The number of a policy in its file, from 0.
fn number(id: &PolicyId) -> usize {
    let text = id.to_string();
    let digits = text.trim_start_matches("policy");
    digits.parse().unwrap_or(usize::MAX)
}

fn id_of(file: &Read, policy: &Policy, at: usize) -> String {
    if let Some(id) = policy.annotation(ID).filter(|id| !id.is_empty()) {
        return id.to_owned();
    }
    let name = std::path::Path::new(&file.name).file_name();
    let name = name.map_or_else(|| file.name.clone().into(), |own| own.to_string_lossy());
    format!("{name}#{}", at.saturating_add(1))
}

/// Strictly: what could be an error when it is asked is one now.
fn validate(
    schema: &Schema,
    set: &PolicySet,
    places: &HashMap<PolicyId, Placed<'_>>,
) -> Result<Vec<Mistake>, Vec<Mistake>> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let told = |id: &PolicyId, found: &dyn Diagnostic| {
        let place = places.get(id)?;
        let mut mistake = place.file.diagnosed(found);
        if mistake.line == 0 {
            mistake = place.file.mistake(place.at, mistake.message);
        }
        Some(mistake)
    };
    let errors = result.validation_errors();
    let mut errors: Vec<Mistake> = errors
        .filter_map(|own| told(own.policy_id(), own))
        .collect();
    // One word is wrong for each method that a policy is about, in no order.
    let place = |own: &Mistake| (own.file.clone(), own.line, own.column);
    errors.sort_by(|one, other| (place(one), &one.message).cmp(&(place(other), &other.message)));
    errors.dedup_by(|one, other| one.line > 0 && place(one) == place(other));
    if !result.validation_passed() {
        return Err(errors);
    }
    let warnings = result.validation_warnings();
    let unwise = warnings.filter_map(|own| told(own.policy_id(), own));
    Ok(unwise
        .map(|own| Mistake {
            is_error: false,
            ..own
        })
        .collect())
}

/// The operator's own entities beside the actions, and who is in which group.
fn own_entities(
    schema: &Schema,
    files: &[Read],
    members: &mut Members,
) -> Result<(Entities, Vec<Entity>), Vec<Mistake>> {
    let mut entities = schema.action_entities().map_err(|error| {
        files
            .iter()
            .map(|file| file.mistake(None, error.to_string()))
            .collect::<Vec<_>>()
    })?;
    let mut groups = HashMap::<EntityUid, Vec<EntityUid>>::new();
    let mut all = Vec::new();
    for file in files {
        let value: serde_json::Value = serde_json::from_str(&file.text).map_err(|error| {
            let line = u32::try_from(error.line()).unwrap_or(0);
            let column = u32::try_from(error.column()).unwrap_or(0);
            vec![Mistake {
                line,
                column,
                ..file.mistake(None, error.to_string())
            }]
        })?;
        let own = members.take(value);
        let own = own.map_err(|message| vec![file.mistake(None, message)])?;
        for entity in own {
            let uid = super::member::uid(entity.get("uid").unwrap_or(&serde_json::Value::Null));
            let uid = uid.map_err(|message| vec![file.mistake(None, message)])?;
            if let Some(serde_json::Value::Array(parents)) = entity.get("parents") {
                let above = parents
                    .iter()
                    .filter_map(|own| super::member::uid(own).ok());
                groups.entry(uid.clone()).or_default().extend(above);
            }
            let at = file.text.find(&format!("\"{}\"", uid.id().unescaped()));
            let read = Entity::from_json_value(entity, Some(schema));
            let read = read.map_err(|error| vec![file.mistake(at, cause(&error))])?;
            all.push(read);
        }
    }
    if let Some(file) = files.first() {
        let added = entities.add_entities(all.clone(), Some(schema));
        entities = added.map_err(|error| vec![file.mistake(None, cause(&error))])?;
        members.close(&groups);
        if let Some(odd) = members.groups().find(|own| !is_group(own)) {
            let message = format!("`{odd}` is no group: callers and routes are in `Group`s");
            return Err(vec![
                file.mistake(file.text.find(&odd.type_name().to_string()), message),
            ]);
        }
    }
    Ok((entities, all))
}

fn is_group(uid: &EntityUid) -> bool {
    uid.type_name().to_string() == "Group"
}

fn cause(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(own) = cause {
        said = format!("{said}: {own}");
        cause = own.source();
    }
    said
}
