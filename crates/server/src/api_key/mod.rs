//! API keys that are shown: found by their text, judged like any token of their
//! client, and never more than that client may have now.
//!
//! 1. `look_up` finds the row that a text names and compares digests. Facts are
//!    kept in memory; a decision never is.
//! 2. `open` asks the feed and whoever the key acts for. Facts that a record
//!    hits are read again: what was taken away may not be all.
//! 3. `OpenKey::at` asks `may_issue` what is left of the key at one API.
//!
//! A check writes nothing: when a key was used is noted in memory (`used`).
//!
//! Spec: RFC 7662 §2.2

mod known;
mod look_up;
mod used;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use symbolon_protocol::{Agreement, Resource, ResourceIdentifier, Timestamp};
use symbolon_store::{StoredApiKey, StoredClient};
use symbolon_token::api_key::KeyFlaw;
use symbolon_token::explain::Refused;
use symbolon_token::revocation::Hit;
use symbolon_token::{Authority, Binding, Granted, Marks, Subject, jwt};

use crate::cx::Cx;
use crate::endpoint::live::Live;
use crate::failure::Failure;
use crate::grant::issue::{Wish, may_issue};
use crate::grant::{subject, target};

pub(crate) use self::known::{ApiKeys, Kept};
pub(crate) use self::look_up::{Asked, Found, is_shown, look_up};

/// A key that is good right now, API and network aside. Only [`open`] makes one.
pub(crate) struct OpenKey {
    kept: Arc<Kept>,
    /// The client that it acts through.
    pub(crate) client: Arc<StoredClient>,
    /// What it permits as a whole.
    pub(crate) whole: Authority,
    /// What a record could hit it by.
    pub(crate) marks: Marks,
    key_mark: u64,
}

/// Opens a key that was shown.
pub(crate) async fn open(
    cx: &Cx,
    text: &str,
    asked: Asked<'_>,
) -> Result<Result<OpenKey, Refused>, Failure> {
    cx.check_fresh()?;
    let found = match look_up(cx, text, asked).await? {
        Ok(found) => found,
        Err(flaw) => return Ok(Err(Refused::ApiKey(flaw))),
    };
    let Found { mut kept, key_mark } = found;
    if hit(cx, &kept.facts, key_mark).is_some() && kept.as_of < cx.feed.position() {
        // The record may be of what was changed, and what is left be good.
        match cx.api_keys.read(cx, kept.facts.id).await? {
            Some(again) => kept = again,
            None => return Ok(Err(Refused::ApiKey(KeyFlaw::Unknown))),
        }
    }
    if let Err(refused) = check_state(&kept.facts, cx.now) {
        return Ok(Err(refused));
    }
    if let Some(hit) = hit(cx, &kept.facts, key_mark) {
        return Ok(Err(Refused::Revoked(Some(hit))));
    }
    let client = cx.known_client(&kept.facts.owner.client).await?;
    let Some(client) = client.filter(|client| client.enabled) else {
        return Ok(Err(Refused::ApiKey(KeyFlaw::Owner)));
    };
    // A client of one organization acts for no other.
    let of_client = &client.client.organization;
    if of_client.is_some() && *of_client != kept.facts.owner.organization {
        return Ok(Err(Refused::ApiKey(KeyFlaw::Owner)));
    }
    let whole = Authority::granted(granted(&kept.facts));
    let mut marks = jwt::marks(&whole, None, cx.keys.blinding());
    marks.key = Some(key_mark);
    Ok(Ok(OpenKey {
        kept,
        client,
        whole,
        marks,
        key_mark,
    }))
}

/// What stands in the row itself.
fn check_state(facts: &StoredApiKey, now: Timestamp) -> Result<(), Refused> {
    if let Some(expires) = facts.expires
        && expires <= now
    {
        return Err(Refused::Expired { expires, now });
    }
    if facts.revoked.is_some() {
        return Err(Refused::Revoked(None));
    }
    if !facts.enabled {
        return Err(Refused::ApiKey(KeyFlaw::Disabled));
    }
    let owner = &facts.owner;
    let is_stranger =
        owner.person.is_some() && owner.organization.is_some() && facts.roles.is_none();
    if !facts.person_enabled || is_stranger {
        return Err(Refused::ApiKey(KeyFlaw::Owner));
    }
    Ok(())
}

/// Whether another resource has the name of one that a key was made for.
pub(crate) fn is_another(cx: &Cx, key: &StoredApiKey, named: &ResourceIdentifier) -> bool {
    target::is_another(cx, named, key.document.named_at(named, key.position))
}

/// The record that hits a key, if one does.
fn hit(cx: &Cx, facts: &StoredApiKey, key_mark: u64) -> Option<Hit> {
    let whole = Authority::granted(granted(facts));
    let mut marks = jwt::marks(&whole, None, cx.keys.blinding());
    marks.key = Some(key_mark);
    // Of a resource that was deleted each place where it is named is asked for.
    marks.resource = None;
    cx.feed.hit(&marks, facts.position)
}

fn granted(facts: &StoredApiKey) -> Granted {
    let (owner, document) = (&facts.owner, &facts.document);
    let subject = match owner.person {
        Some(person) => Subject::Person(person),
        None => Subject::Client(owner.client.clone()),
    };
    Granted {
        subject,
        client: owner.client.clone(),
        audiences: document.resources.clone(),
        scopes: document.scopes.clone(),
        agreement: Agreement::default(),
        expires: facts.expires.unwrap_or(Timestamp::FAR),
        organization: owner.organization.clone(),
        roles: facts.roles.clone().unwrap_or_default(),
        grant: None,
        // What is made of the key dies by a record of this name.
        family: Some(facts.mark),
        session: None,
        authentication: None,
        binding: Binding::NONE,
        actors: Vec::new(),
        may_act: None,
        lineage: Vec::new(),
        position: facts.position,
    }
}

impl OpenKey {
    /// The facts.
    pub(crate) fn facts(&self) -> &StoredApiKey {
        &self.kept.facts
    }

    /// Refuses a key that is not good from where a request comes from.
    pub(crate) fn check_network(&self, address: Option<IpAddr>) -> Result<(), Refused> {
        let networks = &self.facts().document.networks;
        networks.check(address).map_err(Refused::ApiKey)
    }

    /// Whether the key is good at an API at all: it names it, its client may
    /// ask for it, and it takes keys of this environment.
    pub(crate) fn check_resource(&self, cx: &Cx, resource: &Resource) -> Result<(), KeyFlaw> {
        let (document, client) = (&self.facts().document, &self.client.client);
        let named = |all: &[ResourceIdentifier]| all.contains(&resource.identifier);
        if !named(&document.resources) {
            return Err(KeyFlaw::Elsewhere);
        }
        if is_another(cx, self.facts(), &resource.identifier) {
            return Err(KeyFlaw::Policy(
                "the resource was deleted, and another has its name",
            ));
        }
        if !named(&client.resources) || !target::shares_organization(client, resource) {
            return Err(KeyFlaw::Policy(
                "the client may not ask for this resource any more",
            ));
        }
        if !resource.api_keys.takes(document.environment) {
            return Err(KeyFlaw::Environment);
        }
        Ok(())
    }

    /// What it permits as a whole, as it was said of a resource.
    fn whole_at(&self, resource: &ResourceIdentifier) -> Cow<'_, Authority> {
        let facts = self.facts();
        match facts.document.named.contains_key(resource) {
            false => Cow::Borrowed(&self.whole),
            true => Cow::Owned(Authority::granted(Granted {
                position: facts.document.named_at(resource, facts.position),
                ..granted(facts)
            })),
        }
    }

    /// What the key permits at an API now, as a token that is good right now:
    /// for as long as an access token would be, and then it is asked again.
    pub(crate) fn at(
        &self,
        cx: &Cx,
        resource: &Resource,
    ) -> Result<Result<Live, Refused>, Failure> {
        if let Err(flaw) = self.check_resource(cx, resource) {
            return Ok(Err(Refused::ApiKey(flaw)));
        }
        let wish = Wish {
            client: &self.client.client,
            whole: &self.whole_at(&resource.identifier),
            audience: resource.identifier.clone(),
            scopes: None,
        };
        match may_issue(cx, wish) {
            Ok(issuable) => Ok(Ok(self.live(cx, issuable.authority()))),
            Err(Failure::Refused(refusal)) => {
                let flaw = KeyFlaw::Policy(refusal.reason);
                Ok(Err(Refused::ApiKey(flaw)))
            }
            Err(broken) => Err(broken),
        }
    }

    fn live(&self, cx: &Cx, authority: &Authority) -> Live {
        let (facts, client) = (self.facts(), &self.client.client);
        let blinding = cx.keys.blinding();
        let sector = subject::sector(client).map(|own| blinding.of_sector(&own));
        let rev = jwt::rev_claim(authority, self.key_mark, blinding, sector.as_ref());
        let audience = authority.audiences().first();
        Live {
            jti: facts.id.to_string(),
            subject: subject::of(&cx.keys, client, authority.subject()),
            person: authority.person(),
            audience: audience.map(ToString::to_string).unwrap_or_default(),
            scopes: authority.scopes().clone(),
            claims: Vec::new(),
            issued: facts.created,
            expires: authority.expires(),
            organization: authority.organization().map(ToString::to_string),
            roles: authority.roles().to_vec(),
            auth_time: None,
            acr: None,
            binding: *authority.binding(),
            act: None,
            may_act: None,
            rev: Some(rev),
            api_key: Some(claim(facts)),
            client: Arc::clone(&self.client),
        }
    }

    /// The whole at fewer APIs, and no more than its client may have now.
    pub(crate) fn narrowed_to(&self, audiences: Vec<ResourceIdentifier>) -> Option<Authority> {
        let own = granted(self.facts());
        let scopes = own.scopes.intersection(&self.client.client.scopes);
        let narrowed = Authority::granted(Granted {
            scopes,
            audiences,
            ..own
        });
        let is_some = !narrowed.audiences().is_empty() && !narrowed.scopes().is_empty();
        (is_some && narrowed.is_within(&self.whole)).then_some(narrowed)
    }

    /// Notes that the key was used.
    pub(crate) fn note_use(&self, cx: &Cx) {
        cx.api_keys.note(&self.kept, cx.now);
    }
}

/// The claim that says that what was shown is an API key, and which.
fn claim(facts: &StoredApiKey) -> Value {
    let mut claim = json!({
        "id": facts.id,
        "name": facts.document.name,
        "environment": facts.document.environment,
    });
    if let Some(plan) = &facts.document.plan {
        claim["plan"] = plan.as_str().into();
    }
    claim
}
