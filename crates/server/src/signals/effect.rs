//! What an event of a source brings about here: at most what the configuration
//! lets that source do, to the people whom it may speak of.
//!
//! | event | effect |
//! |---|---|
//! | CAEP `session-revoked`, RISC `sessions-revoked` | signs the person out everywhere |
//! | CAEP `credential-change`, save for `create` | likewise |
//! | RISC `credential-compromise` | likewise |
//! | RISC `account-disabled`, `account-purged` | disables the person, or signs them out where the source may not disable |
//! | SSF `verification`, `stream-updated` | is noted |
//! | RISC `account-enabled`, everything else | nothing: an administrator lets people in again |
//!
//! Spec: OpenID CAEP 1.0 §3
//! Spec: OpenID RISC 1.0 §2

use serde_json::Value;
use symbolon_protocol::SubjectIdentifier;
use symbolon_store::{
    AuditEvent, FindPerson, MembershipsOf, Person, SECURITY_EVENT, SetPersonEnabled, SignalEffect,
    SignalTaken, SpendOnce, TakeSignal,
};
use symbolon_token::{Digest, Slot};

use super::event::{MAX_AGE, VerifiedEvent};
use crate::config::{Effect, SignalSource, SubjectName};
use crate::cx::Cx;
use crate::departure;
use crate::failure::Failure;
use crate::subject_identifier;

const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";

/// What came of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// What it may bring about was done.
    Acted,
    /// It brings about nothing here.
    Noted,
    /// It asks for something, and speaks of nobody who is known here.
    Nobody,
    /// It was here before.
    Again,
}

impl Done {
    /// A word for metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Acted => "acted",
            Self::Noted => "noted",
            Self::Nobody => "nobody",
            Self::Again => "again",
        }
    }
}

/// Does what an event says, once.
pub(super) async fn bring_about(
    cx: &Cx,
    source: &SignalSource,
    event: &VerifiedEvent,
) -> Result<Done, Failure> {
    let wanted = wanted(source, event);
    let person = match wanted {
        Some(effect) => find(cx, source, event).await?.map(|own| (effect, own)),
        None => None,
    };
    let done = match (wanted, &person) {
        (Some(_), Some(_)) => Done::Acted,
        (Some(_), None) => Done::Nobody,
        (None, _) => Done::Noted,
    };
    let act = TakeSignal {
        spend: spend(source, event),
        effect: person.map_or(SignalEffect::Nothing, |(effect, person)| {
            act(cx, source, event, (effect, &person))
        }),
    };
    if cx.store.act(act).await? == SignalTaken::Again {
        return Ok(Done::Again);
    }
    tracing::info!(request = %cx.request, source = %source.id, done = done.word(), "took an event");
    if done == Done::Acted {
        departure::follow(cx).await;
    }
    Ok(done)
}

/// What an event asks for, as far as the source may have it.
fn wanted(source: &SignalSource, event: &VerifiedEvent) -> Option<Effect> {
    let may = |effect: Effect| source.effects.contains(&effect).then_some(effect);
    if let Some(name) = event.name.strip_prefix(CAEP) {
        let change = event.payload.get("change_type").and_then(Value::as_str);
        return match name {
            "session-revoked" => may(Effect::SignOut),
            "credential-change" if change != Some("create") => may(Effect::SignOut),
            _ => None,
        };
    }
    match event.name.strip_prefix(RISC)? {
        "sessions-revoked" | "credential-compromise" => may(Effect::SignOut),
        "account-disabled" | "account-purged" => {
            may(Effect::Disable).or_else(|| may(Effect::SignOut))
        }
        _ => None,
    }
}

/// The person whom an event means, if the source may speak of them.
async fn find(
    cx: &Cx,
    source: &SignalSource,
    event: &VerifiedEvent,
) -> Result<Option<Person>, Failure> {
    use SubjectIdentifier as S;
    let named = match &event.subject {
        // Which session of the source it was is nothing that is known here, so
        // all of the person's end.
        Some(S::Complex { user, .. }) => user,
        Some(simple) => simple,
        None => return Ok(None),
    };
    let by = |name: SubjectName| source.subjects.contains(&name);
    let own = cx.settings.issuer.as_str();
    let found = match named {
        S::Email(address) if by(SubjectName::Email) => {
            subject_identifier::by_email(cx, address).await?
        }
        S::IssSub { iss, sub } if iss == own && by(SubjectName::OwnSubject) => match sub.parse() {
            Ok(id) => cx.store.read(FindPerson { id }).await?,
            Err(_) => None,
        },
        S::IssSub { iss, sub } if iss == source.issuer.as_str() && by(SubjectName::Username) => {
            by_username(cx, sub).await?
        }
        S::Opaque(id) if by(SubjectName::Username) => by_username(cx, id).await?,
        _ => None,
    };
    let Some(person) = found else {
        return Ok(None);
    };
    let Some(organization) = &source.organization else {
        return Ok(Some(person));
    };
    let memberships = cx.store.read(MembershipsOf { person: person.id }).await?;
    let is_member = memberships
        .iter()
        .any(|own| own.organization.id == *organization);
    Ok(is_member.then_some(person))
}

/// A user name holds no `@`; what does is an address, which may be anybody's.
async fn by_username(cx: &Cx, name: &str) -> Result<Option<Person>, Failure> {
    if name.contains('@') {
        return Ok(None);
    }
    subject_identifier::by_name(cx, name).await
}

fn act(
    cx: &Cx,
    source: &SignalSource,
    event: &VerifiedEvent,
    (effect, person): (Effect, &Person),
) -> SignalEffect {
    let action = match effect {
        Effect::SignOut => "user.revoke",
        Effect::Disable => "user.disable",
    };
    let mut audit = AuditEvent::new(action, format!("signal_source:{}", source.id));
    audit.subject = Some(person.id.to_string());
    audit.detail = serde_json::json!({ "event": event.name, "jti": event.jti });
    audit.request = cx.request.to_string();
    match effect {
        Effect::Disable if person.enabled => SignalEffect::Disable(SetPersonEnabled {
            id: person.id,
            enabled: false,
            audit,
            now: cx.now,
            horizon: cx.token_horizon(cx.now),
        }),
        Effect::Disable | Effect::SignOut => {
            SignalEffect::SignOut(departure::act(cx, person.id, audit))
        }
    }
}

/// One name of one issuer, whichever way it arrives.
fn spend(source: &SignalSource, event: &VerifiedEvent) -> SpendOnce {
    let pair = [
        source.issuer.as_str().as_bytes(),
        &[0],
        event.jti.as_bytes(),
    ]
    .concat();
    SpendOnce {
        kind: SECURITY_EVENT,
        slot: Slot::of_bytes(&pair),
        key: *Digest::of(&pair).as_bytes(),
        // A little longer than it could be taken, whoever's clock is asked.
        expires: event.issued + MAX_AGE + MARGIN,
    }
}

const MARGIN: std::time::Duration = std::time::Duration::from_secs(60 * 60);
