//! The security event token: tells a stream what happened, in the words of its
//! client.
//!
//! Spec: RFC 8417 §2.2
//! Spec: RFC 9493 §3.2.3, §3.2.4
//! Spec: OpenID Shared Signals Framework 1.0 §4, §8.1.4.1, §11.1
//! Spec: OpenID CAEP 1.0 §2, §3.1, §3.2, §3.3
//! Spec: OpenID RISC 1.0 §2

use serde_json::{Map, Value, json};
use symbolon_protocol::{Client, OrganizationId, Scopes, SigningAlgorithm};
use symbolon_store::{
    Event, FindPerson, GrantsOf, Initiator, MembershipsOf, ROLES, SignalStream, TellsOf,
    WaitingMessage,
};
use symbolon_token::{Id, Person};

use crate::cx::Cx;
use crate::failure::{Broken, Failure};
use crate::grant::{id_token, subject};

/// The `typ` of a security event token.
pub(crate) const SECURITY_EVENT_TYPE: &str = "secevent+jwt";

/// What receivers have to be able to check (CAEP Interoperability Profile 1.0 §2.6).
const ALGORITHM: SigningAlgorithm = SigningAlgorithm::Rs256;

/// The name of an event on the wire.
pub(crate) const fn uri(event: Event) -> &'static str {
    match event {
        Event::Logout => "http://schemas.openid.net/event/backchannel-logout",
        Event::SessionRevoked => {
            "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
        }
        Event::CredentialChange => {
            "https://schemas.openid.net/secevent/caep/event-type/credential-change"
        }
        Event::TokenClaimsChange => {
            "https://schemas.openid.net/secevent/caep/event-type/token-claims-change"
        }
        Event::AccountDisabled => {
            "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
        }
        Event::AccountEnabled => {
            "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
        }
        Event::AccountPurged => {
            "https://schemas.openid.net/secevent/risc/event-type/account-purged"
        }
        Event::SessionsRevoked => {
            "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked"
        }
        Event::Verification => "https://schemas.openid.net/secevent/ssf/event-type/verification",
    }
}

/// The event of a name, where a stream may ask for it.
pub(crate) fn named(name: &str) -> Option<Event> {
    Event::OF_STREAMS
        .into_iter()
        .find(|event| uri(*event) == name)
}

/// Writes a message for a stream. Nothing where there is nothing that the
/// stream's client may know of it.
pub(crate) async fn mint(
    cx: &Cx,
    client: &Client,
    stream: &SignalStream,
    waiting: &WaitingMessage,
) -> Result<Option<String>, Failure> {
    let message = &waiting.message;
    let (sub_id, event) = match (message.event, message.person) {
        (Event::Verification, _) => {
            let sub_id = json!({ "format": "opaque", "id": stream.id });
            let state = message.words.first();
            let event = state.map_or_else(|| json!({}), |state| json!({ "state": state }));
            (sub_id, event)
        }
        (_, Some(person)) => {
            if !is_told(cx, stream, waiting, person).await? {
                return Ok(None);
            }
            let Some(event) = payload(cx, client, waiting, person).await? else {
                return Ok(None);
            };
            (sub_id(cx, client, waiting, person), event)
        }
        (_, None) => return Ok(None),
    };
    let claims = json!({
        "iss": cx.settings.issuer.as_str(),
        "jti": waiting.id.to_string(),
        "iat": waiting.created.seconds(),
        "aud": client.id.as_str(),
        "sub_id": sub_id,
        "events": { uri(message.event): event },
    });
    let key = cx
        .keys
        .signer(ALGORITHM)
        .ok_or(Broken::Impossible("no key for a signing algorithm"))?;
    Ok(Some(
        key.sign(SECURITY_EVENT_TYPE, claims.to_string().as_bytes()),
    ))
}

/// Whether the stream still asks for such an event, and tells of the person.
async fn is_told(
    cx: &Cx,
    stream: &SignalStream,
    waiting: &WaitingMessage,
    person: Id<Person>,
) -> Result<bool, Failure> {
    let tells = TellsOf {
        stream: stream.id.clone(),
        client: stream.client.clone(),
        events: stream.events,
        event: waiting.message.event,
        person,
        happened: waiting.created,
    };
    Ok(cx.store.read(tells).await?)
}

/// The person, and their session where it is about one.
fn sub_id(cx: &Cx, client: &Client, waiting: &WaitingMessage, person: Id<Person>) -> Value {
    let user = json!({
        "format": "iss_sub",
        "iss": cx.settings.issuer.as_str(),
        "sub": subject::of_person(&cx.keys, client, person),
    });
    let Some(session) = waiting.message.session else {
        return user;
    };
    json!({
        "format": "complex",
        "user": user,
        "session": {
            "format": "opaque",
            "id": subject::session(&cx.keys, client, session),
        },
    })
}

async fn payload(
    cx: &Cx,
    client: &Client,
    waiting: &WaitingMessage,
    person: Id<Person>,
) -> Result<Option<Value>, Failure> {
    let message = &waiting.message;
    let by = match message.by {
        Initiator::Admin => "admin",
        Initiator::User => "user",
        Initiator::System => "system",
    };
    let mut event = json!({
        "event_timestamp": waiting.created.seconds(),
        "initiating_entity": by,
    });
    match message.event {
        Event::CredentialChange => {
            let change = message.words.first().map_or("update", String::as_str);
            event["credential_type"] = "password".into();
            event["change_type"] = change.into();
            let what = match change {
                "revoke" => "a password was taken away",
                _ => "a password was set",
            };
            event["reason_admin"] = reason_admin(what, message.by);
        }
        Event::TokenClaimsChange => {
            let claims = match &*message.words {
                [named, organization] if named == ROLES => {
                    known_roles(cx, client, person, organization).await?
                }
                names => known_claims(cx, client, person, names).await?,
            };
            if claims.is_empty() {
                return Ok(None);
            }
            event["claims"] = claims.into();
        }
        // RISC 1.0 knows no such members.
        Event::AccountDisabled
        | Event::AccountEnabled
        | Event::AccountPurged
        | Event::SessionsRevoked => event = json!({}),
        Event::SessionRevoked => {
            let what = match message.session {
                Some(_) => "a session was ended",
                None => "all sessions were ended",
            };
            event["reason_admin"] = reason_admin(what, message.by);
        }
        Event::Logout | Event::Verification => {}
    }
    Ok(Some(event))
}

/// What the receiver's administrators read, in fixed words: an event without it
/// is not taken everywhere (CAEP Interoperability Profile 1.0 §3.1, §3.2).
fn reason_admin(what: &str, by: Initiator) -> Value {
    let who = match by {
        Initiator::Admin => "an administrator",
        Initiator::User => "the person",
        Initiator::System => "the authorization server",
    };
    json!({ "en": format!("{what} by {who}") })
}

/// The new values of claims, as far as the person lets the client know them. A
/// claim that is gone is `null`.
async fn known_claims(
    cx: &Cx,
    client: &Client,
    person: Id<Person>,
    names: &[String],
) -> Result<Map<String, Value>, Failure> {
    let Some(found) = cx.store.read(FindPerson { id: person }).await? else {
        return Ok(Map::new());
    };
    let grants = cx.store.read(GrantsOf { person }).await?;
    let own = grants.iter().filter(|grant| grant.client == client.id);
    let (mut scopes, mut agreed) = (Scopes::empty(), Vec::new());
    for grant in own {
        let granted = grant.agreement.scopes().intersection(&client.scopes);
        scopes = scopes.united_with(&granted);
        agreed.extend(grant.agreement.userinfo_claims().map(str::to_owned));
    }
    let all = id_token::of_person(&found);
    let value = |name: &str| all.get(name).cloned().unwrap_or(Value::Null);
    Ok(id_token::told_names(&scopes, client, &agreed)
        .filter(|told| names.iter().any(|name| name == told))
        .map(|name| (name.to_owned(), value(name)))
        .collect())
}

/// What the person is now in an organization, where the client acts for them in
/// that one: it is told so in the access tokens that it gets. Who is no member
/// any more has no roles.
async fn known_roles(
    cx: &Cx,
    client: &Client,
    person: Id<Person>,
    organization: &str,
) -> Result<Map<String, Value>, Failure> {
    let is_it = |id: &OrganizationId| id.as_str() == organization;
    let grants = cx.store.read(GrantsOf { person }).await?;
    let acts_there = grants
        .iter()
        .any(|own| own.client == client.id && own.organization.as_ref().is_some_and(is_it));
    if !acts_there {
        return Ok(Map::new());
    }
    let memberships = cx.store.read(MembershipsOf { person }).await?;
    let own = memberships
        .into_iter()
        .find(|own| is_it(&own.organization.id));
    let roles = own.map_or(Value::Null, |own| own.roles.into());
    let told = [("organization", organization.into()), (ROLES, roles)];
    let told = told.into_iter();
    Ok(told.map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_a_stream_is_found_by_its_name() {
        for event in Event::OF_STREAMS {
            assert_eq!(named(uri(event)), Some(event));
        }
        assert_eq!(named(uri(Event::Logout)), None);
        assert_eq!(named(uri(Event::Verification)), None);
        assert_eq!(named("https://example.com/event"), None);
    }

    #[test]
    fn administrators_of_a_receiver_read_who_did_what() {
        for (by, wanted) in [
            (Initiator::Admin, "a session was ended by an administrator"),
            (Initiator::User, "a session was ended by the person"),
            (
                Initiator::System,
                "a session was ended by the authorization server",
            ),
        ] {
            let reason = reason_admin("a session was ended", by);
            assert_eq!(reason, json!({ "en": wanted }));
        }
    }
}
