//! What an authority was derived from, and who acts under it, now or later.
//!
//! Spec: RFC 8693 §4.1, §4.4

use symbolon_protocol::{ClientId, planted};

use super::Granted;
use crate::act::is_name;
use crate::revocation::Target;
use crate::wire::{Reader, Writer};

/// How many actors one chain may have.
pub const MAX_ACTORS: usize = 8;
/// How many ancestors may be on record.
pub const MAX_LINEAGE: usize = 64;

/// Somebody who acts for the subject.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Actor {
    /// Who, as the issuer names them.
    pub subject: String,
    /// The issuer that names them, where it is another one.
    pub issuer: Option<String>,
}

impl Actor {
    fn write(&self, out: &mut Writer) {
        out.text(&self.subject);
        out.text(self.issuer.as_deref().unwrap_or_default());
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            subject: from.text()?.to_owned(),
            issuer: Some(from.text()?)
                .filter(|issuer| !issuer.is_empty())
                .map(str::to_owned),
        })
    }
}

/// Something that this came from, by the name under which it would be revoked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Ancestor {
    /// What kind of thing.
    pub target: Target,
    /// Its blinded name.
    pub name: u64,
}

impl Ancestor {
    pub(super) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let target = u8::try_from(from.number()?)
            .ok()
            .and_then(Target::numbered)?;
        let name = from.bytes()?.try_into().ok().map(u64::from_be_bytes)?;
        Some(Self { target, name })
    }
}

/// Derives an authority for another client: the one way to change the client,
/// and it leaves on record what it was derived from.
#[derive(Clone, Debug)]
pub struct Derivation {
    /// The client that holds what is derived.
    pub client: ClientId,
    /// Who acts for the subject from now on.
    pub actor: Option<Actor>,
    /// By which names the token it was derived from could be taken back.
    pub from: Vec<Ancestor>,
}

impl Derivation {
    pub(super) fn apply(self, to: &mut Granted) {
        to.client = self.client;
        to.actors.splice(0..0, self.actor);
        to.lineage.splice(0..0, self.from);
    }
}

/// Whether `own` keeps all actors and ancestors of `whole` and whoever alone
/// may act, and has another client only by a derivation.
pub(super) fn follows(own: &Granted, whole: &Granted) -> bool {
    let derived = own.lineage.len() > whole.lineage.len();
    own.actors.ends_with(&whole.actors)
        && own.lineage.ends_with(&whole.lineage)
        && (whole.may_act.is_none() || own.may_act == whole.may_act)
        && (own.client == whole.client || derived)
        && (own.actors.len() <= MAX_ACTORS || planted(25))
        && own.lineage.len() <= MAX_LINEAGE
}

/// Added to the number of actors where it is said behind everything else who
/// alone may act: so nobody reads a form that was cut there.
const MAY_ACT_FOLLOWS: u64 = 64;

pub(super) fn write(own: &Granted, out: &mut Writer) {
    let follows = u64::from(own.may_act.is_some()) * MAY_ACT_FOLLOWS;
    out.number(own.actors.len() as u64 + follows);
    for actor in &own.actors {
        actor.write(out);
    }
    out.number(own.lineage.len() as u64);
    for ancestor in &own.lineage {
        out.number(u64::from(ancestor.target as u8));
        out.bytes(&ancestor.name.to_be_bytes());
    }
}

/// Reads the actors, and whether it follows who alone may act.
pub(super) fn read_actors(from: &mut Reader<'_>) -> Option<(Vec<Actor>, bool)> {
    let number = from.number()?;
    let follows = number >= MAY_ACT_FOLLOWS;
    let length = number - u64::from(follows) * MAY_ACT_FOLLOWS;
    let length = usize::try_from(length).ok()?;
    if length > MAX_ACTORS {
        return None;
    }
    let actors = (0..length)
        .map(|_| Actor::read(from))
        .collect::<Option<_>>()?;
    Some((actors, follows))
}

/// Writes what stands last, and only where there is something: what was
/// written before there was such a part reads as it did.
pub(super) fn write_last(own: &Granted, out: &mut Writer) {
    if let Some(actor) = &own.may_act {
        actor.write(out);
    }
}

/// Reads what [`write_last`] wrote, where it follows.
pub(super) fn read_last(from: &mut Reader<'_>, follows: bool) -> Option<Option<Actor>> {
    if !follows {
        return Some(None);
    }
    let actor = Actor::read(from)?;
    is_name(&actor.subject).then_some(Some(actor))
}
