//! Sessions: what a browser holds, and whom that makes of it.
//!
//! The cookie is the session's id and a secret; the store keeps the digest.
//! Signing in again draws a new secret, so the old cookie is dead, while the
//! session keeps its id for the applications that know it.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3

use http::HeaderValue;
use symbolon_protocol::planted;
use symbolon_store::{
    AuditEvent, FindPerson, FindSession, OpenSession, Person, ReauthenticateSession, TouchSession,
};
use symbolon_token::mark::{Kind, read_fixed, write_fixed};
use symbolon_token::revocation::Target;
use symbolon_token::{Authentication, Digest, Id, Marks, Position, Session, random};

use crate::cx::Cx;
use crate::failure::{Broken, Failure};
use crate::limit::network;
use crate::received::Received;

/// The strength of a sign-in by password alone.
pub(crate) const ACR_PASSWORD: &str = "1";
/// The method (RFC 8176).
const AMR_PASSWORD: &str = "pwd";
/// How long a device is known, in seconds.
pub(crate) const DEVICE_SECONDS: u32 = 180 * 24 * 60 * 60;
/// How many sessions of one person live once another has begun.
const MAX_SESSIONS: u32 = 50;
/// How old the last use may be before it is written down again, in milliseconds.
const TOUCH_AFTER_MILLIS: i64 = 5 * 60 * 1000;

/// Who is in the browser. Only [`current`] and [`sign_in`] make one.
pub(crate) struct LiveSession {
    pub(crate) session: symbolon_store::Session,
    pub(crate) person: Person,
}

impl LiveSession {
    /// How and when the person proved who they are.
    pub(crate) fn authentication(&self) -> Authentication {
        Authentication {
            time: self.session.authenticated,
            acr: self.session.acr.as_str().into(),
            amr: self
                .session
                .amr
                .iter()
                .map(|method| method.as_str().into())
                .collect(),
        }
    }
}

fn cookie_name(cx: &Cx) -> String {
    format!("{}session", cx.settings.cookie_prefix)
}

/// Sets a cookie for as long as the browser runs.
pub(crate) fn cookie(cx: &Cx, name: &str, value: &str) -> Result<HeaderValue, Failure> {
    let secure = if cx.settings.issuer.is_plain_http() {
        ""
    } else {
        "; Secure"
    };
    let age = if value.is_empty() { "; Max-Age=0" } else { "" };
    let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}");
    HeaderValue::from_str(&line)
        .map_err(|_| Broken::Impossible("a cookie that is not a header value").into())
}

/// Sets a cookie that outlives the browser: it opens nothing by itself.
pub(crate) fn lasting_cookie(cx: &Cx, name: &str, value: &str) -> Result<HeaderValue, Failure> {
    let secure = if cx.settings.issuer.is_plain_http() {
        ""
    } else {
        "; Secure"
    };
    let line =
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={DEVICE_SECONDS}");
    HeaderValue::from_str(&line)
        .map_err(|_| Broken::Impossible("a cookie that is not a header value").into())
}

/// The cookie that makes the browser forget its session.
pub(crate) fn forget(cx: &Cx) -> Result<HeaderValue, Failure> {
    cookie(cx, &cookie_name(cx), "")
}

fn presented(cx: &Cx, received: &Received) -> Option<(Id<Session>, Digest)> {
    let bytes = shown(cx, received)?;
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[..16]);
    Some((Id::from_bytes(id)?, Digest::of(&bytes[16..40])))
}

fn shown(cx: &Cx, received: &Received) -> Option<[u8; 44]> {
    read_fixed(Kind::SessionCookie, received.cookie(&cookie_name(cx))?)
}

fn presented_secret(cx: &Cx, received: &Received) -> Option<[u8; 24]> {
    shown(cx, received)?[16..40].try_into().ok()
}

/// Whether the browser sent a session cookie at all.
pub(crate) fn is_presented(cx: &Cx, received: &Received) -> bool {
    received.cookie(&cookie_name(cx)).is_some()
}

/// Whose session is in the browser, if nobody has ended it. It opens nothing: it
/// may have gone idle, or reached its end.
pub(crate) async fn unended(cx: &Cx, received: &Received) -> Result<Option<LiveSession>, Failure> {
    cx.check_fresh()?;
    let Some((id, digest)) = presented(cx, received) else {
        return Ok(None);
    };
    let Some(session) = cx.store.read(FindSession { id }).await? else {
        return Ok(None);
    };
    let is_ended = session.ended.is_some() || is_revoked(cx, &session);
    if is_ended || !session.secret.matches(&digest) {
        return Ok(None);
    }
    let read = FindPerson { id: session.person };
    let found = cx.store.read(read).await?;
    let person = found.filter(|person| person.enabled);
    Ok(person.map(|person| LiveSession { session, person }))
}

/// Who is in the browser, if anybody is.
pub(crate) async fn current(cx: &Cx, received: &Received) -> Result<Option<LiveSession>, Failure> {
    let found = unended(cx, received).await?;
    let Some(LiveSession { session, person }) = found.filter(|own| own.session.is_live(cx.now))
    else {
        return Ok(None);
    };
    let id = session.id;
    if cx.now.millis() - session.seen.millis() > TOUCH_AFTER_MILLIS {
        let idle_ends = cx.now + cx.settings.lifetimes.session_idle.duration();
        cx.store
            .act(TouchSession {
                id,
                now: cx.now,
                idle_ends,
            })
            .await?;
    }
    Ok(Some(LiveSession { session, person }))
}

fn is_revoked(cx: &Cx, session: &symbolon_store::Session) -> bool {
    let blinding = cx.keys.blinding();
    let marks = Marks {
        session: Some(blinding.name(Target::Session, session.id.as_bytes())),
        subject: Some(blinding.name(Target::Subject, session.person.as_bytes())),
        ..Marks::default()
    };
    cx.feed.hit(&marks, session.position).is_some()
}

/// A person who has just proved who they are, and the cookie that their
/// browser has to hold from now on.
pub(crate) struct SignedIn {
    pub(crate) session: LiveSession,
    pub(crate) cookie: HeaderValue,
}

/// Lets a person in who has just proved who they are. Nothing where something of
/// theirs was taken back since the feed stood at `seen`: what was proved may not
/// hold any more.
pub(crate) async fn sign_in(
    cx: &Cx,
    received: &Received,
    person: Person,
    seen: Position,
) -> Result<Option<SignedIn>, Failure> {
    // One that went idle is taken up again: what hangs on it stays with this browser.
    let former = unended(cx, received).await?;
    let is_own = |own: &LiveSession| own.session.person == person.id;
    let kept = presented_secret(cx, received).filter(|_| planted(28));
    let secret: [u8; 24] = kept.unwrap_or_else(|| random(cx.entropy()));
    let digest = Digest::of(&secret);
    let id = match &former {
        Some(own) if is_own(own) && renew(cx, own, digest).await? => own.session.id,
        _ => {
            // What hangs on one of theirs that has reached its end lives on, and on one
            // that the same form, sent twice, has taken up this moment.
            let replaced = former.filter(|own| !is_own(own) || own.session.is_live(cx.now));
            let new = NewSession {
                secret: digest,
                replaces: replaced.map(|own| own.session.id),
                seen,
            };
            match open(cx, received, &person, new).await? {
                Some(id) => id,
                None => return Ok(None),
            }
        }
    };
    let Some(session) = cx.store.read(FindSession { id }).await? else {
        return Err(Broken::Impossible("a session that was just opened is gone").into());
    };
    let value = write_fixed(Kind::SessionCookie, &[&id.as_bytes()[..], &secret].concat());
    let cookie = cookie(cx, &cookie_name(cx), &value)?;
    Ok(Some(SignedIn {
        session: LiveSession { session, person },
        cookie,
    }))
}

fn audit(cx: &Cx, action: &'static str, person: &Id<symbolon_token::Person>) -> AuditEvent {
    let mut audit = AuditEvent::new(action, person.to_string());
    audit.subject = Some(person.to_string());
    audit.request = cx.request.to_string();
    audit
}

async fn renew(cx: &Cx, own: &LiveSession, new_secret: Digest) -> Result<bool, Failure> {
    let act = ReauthenticateSession {
        id: own.session.id,
        old_secret: own.session.secret,
        new_secret,
        authenticated: cx.now,
        acr: ACR_PASSWORD.to_owned(),
        amr: vec![AMR_PASSWORD.to_owned()],
        idle_ends: cx.now + cx.settings.lifetimes.session_idle.duration(),
        audit: audit(cx, "session.reauthenticate", &own.session.person),
        now: cx.now,
    };
    Ok(cx.store.act(act).await?.is_some())
}

/// What a session begins with.
struct NewSession {
    secret: Digest,
    replaces: Option<Id<Session>>,
    seen: Position,
}

async fn open(
    cx: &Cx,
    received: &Received,
    person: &Person,
    new: NewSession,
) -> Result<Option<Id<Session>>, Failure> {
    let lifetimes = &cx.settings.lifetimes;
    let id = Id::new(person.id.slot(), cx.entropy());
    let act = OpenSession {
        id,
        person: person.id,
        secret: new.secret,
        authenticated: cx.now,
        idle_ends: cx.now + lifetimes.session_idle.duration(),
        absolute_ends: cx.now + lifetimes.session_absolute.duration(),
        acr: ACR_PASSWORD.to_owned(),
        amr: vec![AMR_PASSWORD.to_owned()],
        device: device(received),
        place: network(cx.address).to_string(),
        seen: new.seen,
        replaces: new.replaces,
        most: MAX_SESSIONS,
        horizon: cx.token_horizon(cx.now),
        audit: audit(cx, "session.open", &person.id),
        now: cx.now,
    };
    Ok(cx.store.act(act).await?.map(|_| id))
}

/// The browser in its own words, cut to what is worth keeping.
fn device(received: &Received) -> String {
    let agent = received
        .header(&http::header::USER_AGENT)
        .unwrap_or_default();
    agent
        .chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(120)
        .collect()
}
