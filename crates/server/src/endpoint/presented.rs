//! A token that came back: what it is, and whether it is still good.
//!
//! Spec: RFC 7662 §2.2
//! Spec: RFC 9068 §4

use std::sync::Arc;

use serde_json::{Map, Value};
use symbolon_protocol::{Client, ClientId, Scopes, Timestamp, planted};
use symbolon_store::StoredClient;
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::jose::jwe::{Undecryptable, Unopened, is_encrypted};
use symbolon_token::jose::{Invalid, KeySet, Unverified};
use symbolon_token::jwt::{self, AccessToken};
use symbolon_token::keyring::PAIRWISE;
use symbolon_token::macaroon::{Agreement, Count, is_macaroon};
use symbolon_token::mark::Kind;
use symbolon_token::opaque::{self, OpaqueToken};
use symbolon_token::revocation::Target;
use symbolon_token::{Ancestor, Digest, Id, Marks, Position, Subject, Token};

use super::live::{self, Live};
use super::macaroon::{Judged, Opened, Pending, Use, withdrawn};
use crate::cx::Cx;
use crate::failure::Failure;
use crate::grant::subject;
use crate::grant::target::{self, Place};

/// Opens an access token for a use, and asks everything that does not depend
/// on who asks.
pub(crate) async fn open_for(
    cx: &Cx,
    text: &str,
    used: &Use<'_>,
) -> Result<Result<Pending, Refused>, Failure> {
    let opened = open_read_for(cx, text, used).await?;
    Ok(opened.map(|(mut read, client)| {
        let counts = std::mem::take(&mut read.counts);
        Pending::new(read.live(cx, client), counts)
    }))
}

/// The same, for callers who need the token itself, to make something of it:
/// beside it stands the client that it was issued to. A macaroon with
/// conditions is refused, since nothing could carry them on.
pub(crate) async fn open_read(
    cx: &Cx,
    text: &str,
) -> Result<Result<(Read, Arc<StoredClient>), Refused>, Failure> {
    open_read_for(cx, text, &Use::Carried).await
}

async fn open_read_for(
    cx: &Cx,
    text: &str,
    used: &Use<'_>,
) -> Result<Result<(Read, Arc<StoredClient>), Refused>, Failure> {
    cx.check_fresh()?;
    alive(cx, read_for(cx, text, used)).await
}

/// The root of a macaroon, whatever was added to it, for who adds to it what it
/// is no good without.
pub(crate) async fn open_root(
    cx: &Cx,
    text: &str,
) -> Result<Result<(Read, Arc<StoredClient>), Refused>, Failure> {
    cx.check_fresh()?;
    alive(cx, read_to_revoke(cx, text)).await
}

/// An assertion of this server instead of an access token: the same questions.
#[cfg(feature = "saml")]
pub(crate) async fn open_assertion(
    cx: &Cx,
    assertion: &symbolon_token::saml::Presented,
) -> Result<Result<(Read, Arc<StoredClient>), Refused>, Failure> {
    cx.check_fresh()?;
    alive(cx, crate::grant::saml2::read(cx, assertion)).await
}

/// The scopes that something which was issued here still has, or why it is
/// refused, whoever shows it: for explaining, without its text.
pub(crate) async fn find_left(
    cx: &Cx,
    issued: OpaqueToken,
) -> Result<Result<Scopes, Refused>, Failure> {
    let alive = alive(cx, of_authority(cx, issued)).await?;
    Ok(alive.map(|(read, _)| read.scopes))
}

/// What was read, if neither it nor its client was taken back, and no more than
/// its client may have now.
async fn alive(
    cx: &Cx,
    read: Result<Read, Refused>,
) -> Result<Result<(Read, Arc<StoredClient>), Refused>, Failure> {
    let mut read = match read {
        Ok(read) => read,
        Err(refused) => return Ok(Err(refused)),
    };
    let Ok(id) = read.client.parse::<ClientId>() else {
        return Ok(Err(Refused::Claim("client_id")));
    };
    let found = cx.known_client(&id).await?;
    let client = found.as_ref().map(|stored| &stored.client);
    // A sector that the client has left means nothing any more.
    let Some(marks) = read.marks_here(cx, client) else {
        return Ok(Err(Refused::Revoked(None)));
    };
    // What is derived from it goes on record by the names of the records.
    read.marks = marks;
    if let Some(hit) = cx.feed.hit(&read.marks, read.position) {
        return Ok(Err(Refused::Revoked(Some(hit))));
    }
    if let Some(hit) = withdrawn(cx, &read.agreements, read.position) {
        return Ok(Err(Refused::Revoked(Some(hit))));
    }
    match found {
        Some(client) if client.enabled => Ok(read
            .keep_allowed_now(cx, &client.client)
            .map(|()| (read, client))),
        _ => Ok(Err(Refused::Revoked(None))),
    }
}

/// A token whose seal or signature and end are good.
pub(crate) struct Read {
    pub(crate) marks: Marks,
    pub(crate) position: Position,
    pub(crate) client: String,
    /// Those that it was written with; of one that is alive, those that its
    /// client and its resource still have.
    pub(crate) scopes: Scopes,
    pub(crate) expires: Timestamp,
    pub(crate) jti: String,
    pub(crate) body: Body,
    counts: Vec<Count>,
    agreements: Vec<Agreement>,
}

/// A token as it was written down. A new rendering is an arm here.
pub(crate) enum Body {
    Opaque(Box<OpaqueToken>),
    Jwt(Arc<AccessToken>),
}

/// Reads a token that is to be taken back. Of a macaroon, whatever was added
/// to it, the root is read: that is what is on record.
pub(crate) fn read_to_revoke(cx: &Cx, text: &str) -> Result<Read, Refused> {
    if is_macaroon(text) {
        return of_macaroon(cx, super::macaroon::name(cx, text)?);
    }
    read_for(cx, text, &Use::Carried)
}

/// Reads a token of this server. It may have been taken back.
fn read_for(cx: &Cx, text: &str, used: &Use<'_>) -> Result<Read, Refused> {
    if is_macaroon(text) {
        let Judged {
            opened,
            counts,
            agreements,
        } = super::macaroon::read(cx, text, used)?;
        let read = of_macaroon(cx, opened)?;
        return Ok(Read {
            counts,
            agreements,
            ..read
        });
    }
    match Kind::claimed_by(text) {
        Some(Kind::AccessToken) => read_opaque(cx, text),
        Some(Kind::RefreshToken) => Err(Refused::NotAnAccessToken(Shown::RefreshToken)),
        Some(other) => Err(Refused::NotAnAccessToken(Shown::Other(other.name()))),
        None => read_jwt(cx, text),
    }
}

/// The id that a JWT claims. Nobody vouches for it: for finding what was said
/// of it, never for deciding.
pub(crate) fn claimed_jti(text: &str) -> Option<String> {
    let claims = Unverified::parse(text).ok()?.dangerous_claims_without_key();
    let jti = claims.ok()?.get("jti")?.as_str()?.to_owned();
    jti.parse::<Id<Token>>().ok().map(|id| id.to_string())
}

fn read_opaque(cx: &Cx, text: &str) -> Result<Read, Refused> {
    let token = opaque::open(&cx.keys, cx.bound(), text).map_err(|_| Refused::Seal)?;
    of_authority(cx, token)
}

fn of_macaroon(cx: &Cx, opened: Opened) -> Result<Read, Refused> {
    match opened {
        Opened::Authority(token) => of_authority(cx, *token),
        Opened::Claims { claims, key } => {
            let token = judge(cx, claims, Some(&key))?;
            of_claims(cx, Arc::new(token))
        }
    }
}

/// What an authority says, however it was written down.
fn of_authority(cx: &Cx, token: OpaqueToken) -> Result<Read, Refused> {
    let expires = token.authority.expires();
    // No skew: the clock that wrote the end is this server's own.
    if cx.is_past(expires) && (expires != cx.now || !planted(17)) {
        return Err(Refused::Expired {
            expires,
            now: cx.now,
        });
    }
    let mut marks = jwt::marks(&token.authority, Some(token.token), cx.keys.blinding());
    marks.key = Some(token.key);
    Ok(Read {
        marks,
        position: token.authority.position(),
        client: token.authority.client().to_string(),
        scopes: token.authority.scopes().clone(),
        jti: token.token.to_string(),
        expires,
        body: Body::Opaque(Box::new(token)),
        counts: Vec::new(),
        agreements: Vec::new(),
    })
}

fn read_jwt(cx: &Cx, text: &str) -> Result<Read, Refused> {
    let own = Arc::clone(&cx.app.keys.load().own);
    let digest = Digest::of(text.as_bytes());
    let token = match cx.seen.find(&digest, &own) {
        Some(token) => token,
        None => {
            let token = match cx.seen.was_made(&digest, &own) {
                true => verify_signed(cx, text, &own, true)?,
                false => verify_jwt(cx, text, &own)?,
            };
            let token = Arc::new(token);
            cx.seen.insert(digest, &own, &token);
            token
        }
    };
    of_claims(cx, token)
}

/// What claims say that a signature or a seal of ours vouched for.
fn of_claims(cx: &Cx, token: Arc<AccessToken>) -> Result<Read, Refused> {
    let (expires, now) = (token.expires, cx.now);
    if cx.is_past(expires) {
        return Err(Refused::Expired { expires, now });
    }
    let (marks, position) = token.rev.clone().ok_or(Refused::Claim("rev"))?;
    Ok(Read {
        marks,
        position,
        client: token.client.clone(),
        scopes: token.scopes.clone(),
        expires,
        jti: token.jti.clone(),
        body: Body::Jwt(token),
        counts: Vec::new(),
        agreements: Vec::new(),
    })
}

/// A token that is encrypted to a resource was written so that this server can
/// read it too.
fn verify_jwt(cx: &Cx, text: &str, own: &KeySet) -> Result<AccessToken, Refused> {
    if !is_encrypted(text) {
        return verify_signed(cx, text, own, false);
    }
    let closed = Refused::Encryption(Unopened::Undecryptable(Undecryptable::Closed));
    let inner = cx.keys.decrypt(text).ok_or(closed)?;
    let unsigned = Refused::Encryption(Unopened::Unsigned);
    let inner = std::str::from_utf8(&inner).map_err(|_| unsigned)?;
    verify_signed(cx, inner, own, false)
}

/// A token whose very bytes this node signed needs no check of its signature.
/// Its key has to be believed all the same: it may have been distrusted while
/// it signed.
fn verify_signed(
    cx: &Cx,
    text: &str,
    own: &KeySet,
    was_made: bool,
) -> Result<AccessToken, Refused> {
    let token = Unverified::parse(text).map_err(Refused::Signature)?;
    jwt::check_type(&token)?;
    let algorithm = token
        .algorithm()
        .ok_or(Refused::Signature(Invalid::Algorithm))?;
    let key = token
        .claimed_kid()
        .and_then(|kid| own.candidates(Some(kid), algorithm).next());
    let key = key.ok_or(Refused::Signature(Invalid::UnknownKey))?;
    let claims = match was_made {
        true => token.dangerous_claims_without_key(),
        false => token.verify(key),
    };
    judge(cx, claims.map_err(Refused::Signature)?, token.claimed_kid())
}

/// A token whose claims were in something else that this server signed.
#[cfg(feature = "saml")]
pub(crate) fn of_own_claims(
    cx: &Cx,
    claims: Map<String, Value>,
    kid: Option<&str>,
) -> Result<Read, Refused> {
    of_claims(cx, Arc::new(judge(cx, claims, kid)?))
}

fn judge(cx: &Cx, claims: Map<String, Value>, kid: Option<&str>) -> Result<AccessToken, Refused> {
    // Whoever asks is judged by the caller: here any audience is one of ours.
    let audience = claims
        .get("aud")
        .and_then(|aud| aud.as_str())
        .unwrap_or_default()
        .to_owned();
    let expected = jwt::Expected {
        issuer: cx.settings.issuer.as_str(),
        audiences: &[audience],
        skew: NODES_APART.max(cx.past_end),
        now: cx.now,
    };
    let token = jwt::check_claims(claims, kid, expected)?;
    // Another node's clock may be ahead of ours, but no token lives longer.
    let (expires, now) = (token.expires, cx.now);
    if cx.is_past(expires) {
        return Err(Refused::Expired { expires, now });
    }
    Ok(token)
}

/// How far the clocks of two nodes may be apart: a token that one has just
/// issued is none from the future to the other.
const NODES_APART: std::time::Duration = std::time::Duration::from_secs(60);

impl Read {
    /// The names under which it could be taken back, those of all that its
    /// discharges rest on among them: what is derived from it keeps them.
    pub(crate) fn ancestors(&self, cx: &Cx) -> Vec<Ancestor> {
        let agreed = self.agreements.iter();
        let agreed = agreed.flat_map(|own| own.ancestors(cx.keys.blinding()));
        self.marks.ancestors().into_iter().chain(agreed).collect()
    }

    /// The marks as this node's records name them. A token for a sector names
    /// person and session as that sector knows them; they are found again by
    /// its `sub` and `sid`, and only if the marks agree.
    fn marks_here(&self, cx: &Cx, client: Option<&Client>) -> Option<Marks> {
        let mut marks = self.marks.clone();
        let Body::Jwt(token) = &self.body else {
            return Some(marks);
        };
        if !token.subject.starts_with(PAIRWISE) {
            return Some(marks);
        }
        let sector = subject::sector(client?)?;
        let (plain, own) = (cx.keys.blinding(), cx.keys.blinding().of_sector(&sector));
        let person = cx.keys.person_of(&sector, &token.subject)?;
        let person = person.as_bytes();
        (marks.subject == Some(own.name(Target::Subject, person))).then_some(())?;
        marks.subject = Some(plain.name(Target::Subject, person));
        if marks.session.is_some() {
            let sid = token.claims.get("sid").and_then(|sid| sid.as_str())?;
            let session = cx.keys.session_of(&sector, sid)?;
            let session = session.as_bytes();
            (marks.session == Some(own.name(Target::Session, session))).then_some(())?;
            marks.session = Some(plain.name(Target::Session, session));
        }
        let implied = marks.implied();
        marks.lineage.extend(implied);
        Some(marks)
    }

    /// Leaves the scopes that its client and its resource still have, and refuses
    /// one for a resource or an organization that its client has no more.
    fn keep_allowed_now(&mut self, cx: &Cx, client: &Client) -> Result<(), Refused> {
        let (organization, is_itself) = match &self.body {
            Body::Opaque(token) => (
                token.authority.organization().map(|own| own.as_str()),
                matches!(token.authority.subject(), Subject::Client(own) if *own == client.id),
            ),
            Body::Jwt(token) => {
                let text = |name: &str| token.claims.get(name).and_then(Value::as_str);
                let is_itself = token.subject == client.id.as_str();
                (text("organization"), is_itself)
            }
        };
        // For itself a client acts for its own organization alone. An API key has
        // one that an administrator gave it.
        let is_of_key = || cx.keys.made_api_key_of(&self.marks.lineage);
        if is_itself && organization.is_some() && client.organization.is_none() && !is_of_key() {
            let why = "its client belongs to no organization now";
            return Err(Refused::NotAllowedNow(why));
        }
        let place = Place {
            audience: self.audience().unwrap_or_default(),
            organization,
        };
        let left = target::allowed_now(cx, client, place, &self.scopes);
        self.scopes = left.map_err(Refused::NotAllowedNow)?;
        Ok(())
    }

    /// The scopes that it was written with, whoever has them still.
    pub(crate) fn written_scopes(&self) -> &Scopes {
        match &self.body {
            Body::Opaque(token) => token.authority.scopes(),
            Body::Jwt(token) => &token.scopes,
        }
    }

    /// The one resource that it is for.
    pub(crate) fn audience(&self) -> Option<&str> {
        match &self.body {
            Body::Opaque(token) => token.authority.audiences().first().map(|own| own.as_str()),
            Body::Jwt(token) => token.claims.get("aud").and_then(Value::as_str),
        }
    }

    /// The subject as the token names it, for a client that is known.
    pub(crate) fn subject(&self) -> Option<String> {
        match &self.body {
            Body::Opaque(token) => Some(match token.authority.subject() {
                Subject::Person(person) => person.to_string(),
                Subject::Client(client) => client.to_string(),
                Subject::Foreign(subject) => subject.to_string(),
            }),
            Body::Jwt(_) => None,
        }
    }

    /// The subject that a JWT names, which may be a sector's own.
    pub(crate) fn claimed_subject(&self) -> Option<&str> {
        match &self.body {
            Body::Opaque(_) => None,
            Body::Jwt(token) => Some(&token.subject),
        }
    }

    fn live(self, cx: &Cx, client: Arc<StoredClient>) -> Live {
        let live = match self.body {
            Body::Opaque(token) => live::opaque(cx, client, &token),
            Body::Jwt(token) => live::jwt(cx, client, &token),
        };
        Live {
            scopes: self.scopes,
            ..live
        }
    }
}
