//! What a credential permits, as one value that can only shrink.

mod agreed;
mod binding;
mod derived;

use std::sync::Arc;

use symbolon_protocol::{
    Agreement, ClientId, OrganizationId, ResourceIdentifier, Scope, Scopes, Timestamp,
};

use crate::id::{Family, Grant, Id, Person, Session};
use crate::revocation::Position;
use crate::wire::{Reader, Writer};

pub use binding::{Binding, InvalidThumbprint, Thumbprint};
pub use derived::{Actor, Ancestor, Derivation, MAX_ACTORS, MAX_LINEAGE};

/// How many audiences one authority may have.
pub const MAX_AUDIENCES: usize = 32;
/// How many roles it may carry.
pub const MAX_ROLES: usize = 32;

/// Who acts: a person through a client, a client for itself, or somebody whom
/// a trusted issuer vouches for.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Subject {
    /// A person.
    Person(Id<Person>),
    /// A client for itself.
    Client(ClientId),
    /// Whom a trusted issuer names: [`FOREIGN`], its identifier, `|`, its `sub`.
    Foreign(Arc<str>),
}

/// Begins the subject of whoever a trusted issuer vouches for; no client id
/// begins so.
pub const FOREIGN: &str = "ext_";

/// How and when a person proved who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authentication {
    /// When.
    pub time: Timestamp,
    /// How strongly (`acr`).
    pub acr: Arc<str>,
    /// By which methods (`amr`, RFC 8176).
    pub amr: Vec<Arc<str>>,
}

impl Authentication {
    /// When, as something says that is written at `issued`: not after it, though
    /// the clock of whoever saw the sign-in may be ahead of the writer's.
    pub fn time_by(&self, issued: Timestamp) -> Timestamp {
        self.time.min(issued)
    }
}

/// Everything an authority is made of, at the moment it is granted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    /// Who acts.
    pub subject: Subject,
    /// Through which client.
    pub client: ClientId,
    /// Where.
    pub audiences: Vec<ResourceIdentifier>,
    /// What.
    pub scopes: Scopes,
    /// Which of the scopes are good where, and claims by name. Without places,
    /// all scopes are good at every audience.
    pub agreement: Agreement,
    /// Until when.
    pub expires: Timestamp,
    /// For which organization.
    pub organization: Option<OrganizationId>,
    /// In which roles there.
    pub roles: Vec<String>,
    /// Under which grant of a person.
    pub grant: Option<Id<Grant>>,
    /// In which family.
    pub family: Option<Id<Family>>,
    /// In which session.
    pub session: Option<Id<Session>>,
    /// After which sign-in.
    pub authentication: Option<Authentication>,
    /// Which keys whoever uses it has to hold.
    pub binding: Binding,
    /// Who acts for the subject, the latest first.
    pub actors: Vec<Actor>,
    /// The one party that may act for the subject, where one is named; without
    /// an issuer, one that this issuer names.
    pub may_act: Option<Actor>,
    /// What it came from, the latest first: taking back any of it takes this
    /// back.
    pub lineage: Vec<Ancestor>,
    /// What was known of the revocation feed before anything was checked.
    pub position: Position,
}

impl Granted {
    /// What a client has that acts for itself, at one audience and everywhere
    /// in the same way: no person, no organization, no key.
    pub fn to_client(
        client: ClientId,
        audience: ResourceIdentifier,
        scopes: Scopes,
        expires: Timestamp,
        position: Position,
    ) -> Self {
        Self {
            subject: Subject::Client(client.clone()),
            client,
            audiences: vec![audience],
            scopes,
            agreement: Agreement::default(),
            expires,
            organization: None,
            roles: Vec::new(),
            grant: None,
            family: None,
            session: None,
            authentication: None,
            binding: Binding::NONE,
            actors: Vec::new(),
            may_act: None,
            lineage: Vec::new(),
            position,
        }
    }
}

/// What a token permits. There is no way to add to one; see [`Authority::narrow`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authority(Granted);

/// What to take away. `None` leaves a part as it is.
#[derive(Clone, Default, Debug)]
pub struct Narrowing {
    /// Only these scopes.
    pub scopes: Option<Scopes>,
    /// Only this audience.
    pub audience: Option<ResourceIdentifier>,
    /// Not after this.
    pub expires: Option<Timestamp>,
    /// Only for who holds these keys too.
    pub binding: Option<Binding>,
    /// For another client, out of a token that is on record (RFC 8693).
    pub derivation: Option<Derivation>,
    /// Minted by one who has since read further in the feed. The position is
    /// when the checks were made, not what is permitted, so it is replaced.
    pub position: Option<Position>,
}

/// A narrowing that would add something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("that would permit more than before")]
pub struct WouldWiden;

impl Authority {
    /// The authority that a grant gives.
    pub fn granted(granted: Granted) -> Self {
        Self(granted)
    }

    /// The only way to derive one authority from another. There is no `widen`.
    pub fn narrow(&self, by: Narrowing) -> Result<Self, WouldWiden> {
        let mut narrowed = self.0.clone();
        if let Some(audience) = by.audience {
            agreed::choose(&mut narrowed, audience);
        }
        if let Some(scopes) = by.scopes {
            agreed::take(&mut narrowed, scopes);
        }
        if let Some(expires) = by.expires {
            narrowed.expires = expires;
        }
        if let Some(binding) = by.binding {
            narrowed.binding = binding;
        }
        if let Some(derivation) = by.derivation {
            derivation.apply(&mut narrowed);
        }
        let narrowed = Self(Granted {
            position: by.position.unwrap_or(narrowed.position),
            ..narrowed
        });
        narrowed
            .is_within(self)
            .then_some(narrowed)
            .ok_or(WouldWiden)
    }

    /// What is left where some of it was taken away since: the audiences for
    /// which `allowed` answers, each with those of its scopes that are in the
    /// answer.
    #[must_use]
    pub fn kept(&self, allowed: impl Fn(&ResourceIdentifier, &Scopes) -> Option<Scopes>) -> Self {
        let mut kept = self.0.clone();
        agreed::keep(&mut kept, allowed);
        Self(kept)
    }

    /// Whether this permits nothing that `other` does not.
    pub fn is_within(&self, other: &Self) -> bool {
        let (own, whole) = (&self.0, &other.0);
        agreed::is_within(own, whole)
            && own.expires <= whole.expires
            && own.roles.iter().all(|role| whole.roles.contains(role))
            && (&own.subject, &own.organization) == (&whole.subject, &whole.organization)
            && own.binding.is_at_least(&whole.binding)
            && derived::follows(own, whole)
            && (own.grant, own.family, own.session) == (whole.grant, whole.family, whole.session)
            && own.authentication == whole.authentication
            && own.position.epoch == whole.position.epoch
    }

    /// Who acts.
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }
    /// The person, where one acts.
    pub fn person(&self) -> Option<Id<Person>> {
        match self.0.subject {
            Subject::Person(person) => Some(person),
            Subject::Client(_) | Subject::Foreign(_) => None,
        }
    }
    /// Through which client.
    pub fn client(&self) -> &ClientId {
        &self.0.client
    }
    /// Where.
    pub fn audiences(&self) -> &[ResourceIdentifier] {
        &self.0.audiences
    }
    /// What.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }
    /// What at one of its audiences.
    pub fn scopes_at(&self, audience: &ResourceIdentifier) -> Scopes {
        agreed::scopes_at(&self.0, audience)
    }
    /// Which claims userinfo may tell besides those of the scopes.
    pub fn userinfo_claims(&self) -> impl Iterator<Item = &str> {
        self.0.agreement.userinfo_claims()
    }
    /// Until when.
    pub fn expires(&self) -> Timestamp {
        self.0.expires
    }
    /// For which organization.
    pub fn organization(&self) -> Option<&OrganizationId> {
        self.0.organization.as_ref()
    }
    /// In which roles.
    pub fn roles(&self) -> &[String] {
        &self.0.roles
    }
    /// Under which grant.
    pub fn grant(&self) -> Option<Id<Grant>> {
        self.0.grant
    }
    /// In which family.
    pub fn family(&self) -> Option<Id<Family>> {
        self.0.family
    }
    /// In which session.
    pub fn session(&self) -> Option<Id<Session>> {
        self.0.session
    }
    /// After which sign-in.
    pub fn authentication(&self) -> Option<&Authentication> {
        self.0.authentication.as_ref()
    }
    /// Which keys its user has to hold.
    pub fn binding(&self) -> &Binding {
        &self.0.binding
    }
    /// Who acts for the subject, the latest first.
    pub fn actors(&self) -> &[Actor] {
        &self.0.actors
    }
    /// The one party that may act for the subject, where one is named.
    pub fn may_act(&self) -> Option<&Actor> {
        self.0.may_act.as_ref()
    }
    /// What it came from, the latest first.
    pub fn lineage(&self) -> &[Ancestor] {
        &self.0.lineage
    }
    /// Where the feed stood.
    pub fn position(&self) -> Position {
        self.0.position
    }

    /// The compact form.
    pub fn encode(&self) -> Vec<u8> {
        let own = &self.0;
        let mut out = Writer(Vec::with_capacity(192));
        match &own.subject {
            Subject::Person(person) => out.id(Some(person.as_bytes())),
            Subject::Client(client) if *client == own.client => out.id(None),
            Subject::Client(client) => out.text_with(b'c', client.as_str()),
            Subject::Foreign(subject) => out.text_with(b'f', subject),
        }
        out.text(own.client.as_str());
        out.number(own.audiences.len() as u64);
        for audience in &own.audiences {
            out.text(audience.as_str());
        }
        out.number(own.scopes.len() as u64);
        for scope in own.scopes.iter() {
            out.text(scope.as_str());
        }
        agreed::write(own, &mut out);
        out.number(own.expires.millis().max(0) as u64);
        out.text(own.organization.as_ref().map_or("", OrganizationId::as_str));
        out.number(own.roles.len() as u64);
        for role in &own.roles {
            out.text(role);
        }
        out.id(own.grant.as_ref().map(Id::as_bytes));
        out.id(own.family.as_ref().map(Id::as_bytes));
        out.id(own.session.as_ref().map(Id::as_bytes));
        match &own.authentication {
            None => out.number(0),
            Some(authentication) => {
                out.number(authentication.time.millis().max(1) as u64);
                out.text(&authentication.acr);
                out.number(authentication.amr.len() as u64);
                for method in &authentication.amr {
                    out.text(method);
                }
            }
        }
        own.binding.write(&mut out);
        derived::write(own, &mut out);
        out.number(own.position.epoch.max(0) as u64);
        out.number(own.position.sequence.max(0) as u64);
        derived::write_last(own, &mut out);
        out.0
    }

    /// Reads the compact form; `None` for anything that `encode` never wrote.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let subject = from.bytes()?;
        let client: ClientId = from.text()?.parse().ok()?;
        let subject = subject_of(subject, &client)?;
        let audiences = from.list(MAX_AUDIENCES, |from| {
            ResourceIdentifier::from_sealed(from.text()?)
        })?;
        let scopes = from.list(symbolon_protocol::scope::MAX_SCOPES, |from| {
            from.text()?.parse::<Scope>().ok()
        })?;
        let agreement = agreed::read(&scopes, &audiences, &mut from)?;
        let expires = instant(from.number()?)?;
        let organization = Some(from.text()?).filter(|text| !text.is_empty());
        let organization = organization.map(str::parse).transpose().ok()?;
        let roles = from.list(MAX_ROLES, |from| from.text().map(str::to_owned))?;
        let (grant, family, session) = (from.id()?, from.id()?, from.id()?);
        let authentication = match from.number()? {
            0 => None,
            time => Some(Authentication {
                time: instant(time)?,
                acr: from.text()?.into(),
                amr: from.list(16, |from| from.text().map(Arc::from))?,
            }),
        };
        let binding = Binding::read(&mut from)?;
        let (actors, may_act_follows) = derived::read_actors(&mut from)?;
        let lineage = from.list(MAX_LINEAGE, Ancestor::read)?;
        let epoch = i64::try_from(from.number()?).ok()?;
        let sequence = i64::try_from(from.number()?).ok()?;
        let may_act = derived::read_last(&mut from, may_act_follows)?;
        from.end()?;
        Some(Self(Granted {
            subject,
            client,
            audiences,
            scopes: scopes.into_iter().collect(),
            agreement,
            expires,
            organization,
            roles,
            grant: grant
                .map(|id| Id::from_bytes(id).ok_or(()))
                .transpose()
                .ok()?,
            family: family
                .map(|id| Id::from_bytes(id).ok_or(()))
                .transpose()
                .ok()?,
            session: session
                .map(|id| Id::from_bytes(id).ok_or(()))
                .transpose()
                .ok()?,
            authentication,
            binding,
            actors,
            may_act,
            lineage,
            position: Position { epoch, sequence },
        }))
    }
}

/// Nothing: the client itself. Sixteen bytes: a person. One more kind of byte
/// in front of text: another client, or somebody of a trusted issuer.
fn subject_of(bytes: &[u8], client: &ClientId) -> Option<Subject> {
    if let Ok(person) = <[u8; 16]>::try_from(bytes) {
        return Some(Subject::Person(Id::from_bytes(person)?));
    }
    let Some((kind, rest)) = bytes.split_first() else {
        return Some(Subject::Client(client.clone()));
    };
    let text = match rest.len() {
        // Fifteen bytes of text would look like a person, so a zero leads them.
        16 => rest.strip_prefix(&[0]).unwrap_or(rest),
        _ => rest,
    };
    let text = std::str::from_utf8(text).ok()?;
    match kind {
        b'c' => Some(Subject::Client(text.parse().ok()?)),
        b'f' if text.starts_with(FOREIGN) => Some(Subject::Foreign(text.into())),
        _ => None,
    }
}

fn instant(millis: u64) -> Option<Timestamp> {
    i64::try_from(millis).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests;
