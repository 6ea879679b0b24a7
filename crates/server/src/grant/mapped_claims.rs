//! Claims that a mapping adds: to the access tokens of a resource, to the ID
//! tokens and userinfo answers of a client.
//!
//! 1. What is marked sensitive, or is no name of one's own, is refused again:
//!    a mapping may be older than the rule.
//! 2. The values are taken from the person, the organization or the mapping.
//! 3. A value that looks like a credential is refused.
//!
//! Spec: RFC 9068 §2.2.2, §5, §6
//! Spec: OpenID Connect Core 1.0 §5.1, §5.4

use serde_json::{Map, Value};
use symbolon_protocol::claims::scope_of_claim;
use symbolon_protocol::mapping::problem_of;
use symbolon_protocol::{
    ClaimMappings, ClaimSource, Client, ErrorCode, Resource, Scopes, credential,
};
use symbolon_store::{FindPerson, Person};
use symbolon_token::{Authority, Id};

use super::id_token::of_person;
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};

/// How long everything may be that one token is given, in bytes of JSON.
const MAX_MAPPED_BYTES: usize = 4 * 1024;
/// Claims that every access token has where its authority does.
const ALREADY_THERE: [&str; 2] = ["organization", "roles"];

/// What values are taken from.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) person: Option<&'a Person>,
    pub(crate) organization: Option<&'a str>,
    pub(crate) roles: &'a [String],
}

impl<'a> Facts<'a> {
    /// What an authority says, with the person where one was read.
    pub(crate) fn of(authority: &'a Authority, person: Option<&'a Person>) -> Self {
        Self {
            person,
            organization: authority.organization().map(|id| id.as_str()),
            roles: authority.roles(),
        }
    }
}

/// A claim that must not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Untellable {
    name: String,
    why: String,
}

impl Untellable {
    /// Says in the log which it is; the value stays where it was.
    pub(crate) fn log(&self, cx: &Cx) {
        let Self { name, why } = self;
        tracing::warn!(request = %cx.request, claim = %name, %why, "a mapped claim is not told");
    }
}

/// The claims of an access token, whichever way it is written down.
pub(crate) async fn for_access_token(
    cx: &Cx,
    resource: Option<&Resource>,
    authority: &Authority,
) -> Result<Map<String, Value>, Failure> {
    let Some(resource) = resource.filter(|own| !own.claims.is_empty()) else {
        return Ok(Map::new());
    };
    let person = Box::pin(person(cx, &resource.claims, authority.person())).await?;
    let facts = Facts::of(authority, person.as_ref());
    let told = at_resource(cx, resource, facts);
    told.map_err(|untellable| {
        untellable.log(cx);
        Refusal::invalid_target(
            "a claim that this resource maps is sensitive, or its value looks like a credential",
        )
        .into()
    })
}

/// The same from facts that are at hand.
pub(crate) fn at_resource(
    cx: &Cx,
    resource: &Resource,
    facts: Facts<'_>,
) -> Result<Map<String, Value>, Untellable> {
    let mut told = collect(cx, &resource.claims, facts, |_| true)?;
    told.retain(|name, _| !ALREADY_THERE.contains(&name.as_str()));
    Ok(told)
}

/// The claims of an ID token or a userinfo answer. What is told of the person
/// stays within the scopes that were granted: a mapping gives names, not more.
pub(crate) fn for_client(
    cx: &Cx,
    client: &Client,
    scopes: &Scopes,
    facts: Facts<'_>,
) -> Result<Map<String, Value>, Failure> {
    let covered = |claim: &str| scope_of_claim(claim).is_some_and(|scope| scopes.contains(scope));
    let told = collect(cx, &client.claims, facts, covered);
    told.map_err(|untellable| {
        untellable.log(cx);
        let why =
            "a claim that this client maps is sensitive, or its value looks like a credential";
        Refusal::new(ErrorCode::InvalidClientMetadata, why).into()
    })
}

/// The person of a token, where a mapping tells anything of one.
pub(crate) async fn person(
    cx: &Cx,
    mappings: &ClaimMappings,
    id: Option<Id<symbolon_token::Person>>,
) -> Result<Option<Person>, Failure> {
    let Some(id) = id.filter(|_| mappings.is_personal()) else {
        return Ok(None);
    };
    match cx.store.read(FindPerson { id }).await? {
        Some(found) => Ok(Some(found)),
        None => Err(Refusal::invalid_grant("the person is gone").into()),
    }
}

fn collect(
    cx: &Cx,
    mappings: &ClaimMappings,
    facts: Facts<'_>,
    covered: impl Fn(&str) -> bool,
) -> Result<Map<String, Value>, Untellable> {
    let untellable = |name: &str, why: &str| Untellable {
        name: name.to_owned(),
        why: why.to_owned(),
    };
    if let Some(name) = mappings.first_sensitive(&cx.settings.sensitive_claims) {
        return Err(untellable(name, "it is marked sensitive"));
    }
    let all = facts.person.map(of_person).unwrap_or_default();
    let mut told = Map::new();
    let mut size = 0;
    for (name, source) in mappings.iter() {
        if let Some(why) = problem_of(name, source) {
            return Err(untellable(name, &why));
        }
        let value = match source {
            ClaimSource::Person(claim) if covered(claim) => all.get(*claim).cloned(),
            ClaimSource::Person(_) => None,
            ClaimSource::Organization => facts.organization.map(Value::from),
            ClaimSource::Roles => (!facts.roles.is_empty()).then(|| facts.roles.into()),
            ClaimSource::Fixed(value) => Some(value.clone()),
        };
        let Some(value) = value else { continue };
        if let Some(looks) = credential::looks_like_in(&value) {
            return Err(untellable(name, looks));
        }
        size += name.len() + value.to_string().len();
        if size > MAX_MAPPED_BYTES {
            return Err(untellable(
                name,
                "with it the claims are too long for a token",
            ));
        }
        told.insert(name.to_owned(), value);
    }
    Ok(told)
}
