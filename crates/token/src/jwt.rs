//! The JWT rendering of an access token, and its reading.
//!
//! Spec: RFC 9068 §2, §4
//! Spec: RFC 7519 §4.1

use serde::Serialize;
use serde_json::{Map, Value};
use symbolon_protocol::{Issuer, ResourceIdentifier, Scopes, Timestamp, planted};

use crate::authority::{Actor, Ancestor, Authority, Binding, MAX_LINEAGE, Subject};
use crate::explain::{Refused, Shown};
use crate::id::{Id, Token};
use crate::jose::{SigningKey, Unverified};
use crate::revocation::{Blinding, Marks, Position, Target, public_name, token_name};
use crate::sector;

pub use crate::sector::Sector;

/// The `typ` of an access token.
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// What a JWT says besides its authority.
#[derive(Debug)]
pub struct Written<'a> {
    /// The issuer.
    pub issuer: &'a Issuer,
    /// The subject as this client sees it.
    pub subject: &'a str,
    /// The token's id.
    pub token: Id<Token>,
    /// When it was made.
    pub issued: Timestamp,
    /// How its revocation marks are blinded.
    pub blinding: &'a Blinding,
    /// Claims that the resource maps; none of them takes the place of another.
    pub claims: &'a Map<String, Value>,
    /// How people and sessions are named for a sector of its own, where the
    /// client is in one; see [`Blinding::of_sector`].
    pub sector: Option<Sector<'a>>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: Id<Token>,
    client_id: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    amr: &'a [std::sync::Arc<str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    /// Claims that userinfo may tell besides those of the scopes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    userinfo: Vec<&'a str>,
    #[serde(skip_serializing_if = "is_unbound")]
    cnf: &'a Binding,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Acting<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_act: Option<Acting<'a>>,
    rev: Rev,
}

fn is_unbound(binding: &&Binding) -> bool {
    !binding.is_bound()
}

/// Who acts or may act, and inside who acted before (RFC 8693 §4.1, §4.4).
#[derive(Serialize)]
struct Acting<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Box<Acting<'a>>>,
}

impl<'a> Acting<'a> {
    fn alone(own: &'a Actor) -> Self {
        Self {
            sub: &own.subject,
            iss: own.issuer.as_deref(),
            act: None,
        }
    }

    fn of(actors: &'a [Actor]) -> Option<Self> {
        let (latest, before) = actors.split_first()?;
        Some(Self {
            sub: &latest.subject,
            iss: latest.issuer.as_deref(),
            act: Self::of(before).map(Box::new),
        })
    }
}

/// The blinded marks: hexadecimal, so that no JSON reader rounds them.
#[derive(Serialize)]
struct Rev {
    e: i64,
    q: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    f: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    g: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<Hex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    u: Option<Hex>,
    c: Hex,
    #[serde(skip_serializing_if = "Option::is_none")]
    o: Option<Hex>,
    /// The key that it was made with, where no header names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    k: Option<Hex>,
    /// What it was derived from: two digits of kind, sixteen of name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    a: Vec<Line>,
}

impl Rev {
    fn of(marks: Marks, position: Position) -> Self {
        Self {
            e: position.epoch,
            q: position.sequence,
            f: marks.family.map(Hex),
            g: marks.grant.map(Hex),
            s: marks.session.map(Hex),
            u: marks.subject.map(Hex),
            c: Hex(marks.client.unwrap_or_default()),
            o: marks.organization.map(Hex),
            k: marks.key.map(Hex),
            a: marks.lineage.into_iter().map(Line).collect(),
        }
    }
}

struct Line(Ancestor);

impl Serialize for Line {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ancestor { target, name } = self.0;
        serializer.collect_str(&format_args!("{:02x}{name:016x}", target as u8))
    }
}

impl Line {
    fn read(value: &Value) -> Option<Ancestor> {
        let (target, name) = value.as_str()?.split_at_checked(2)?;
        let number = |text: &str, digits: usize| {
            let plain = text.len() == digits && text.bytes().all(|own| own.is_ascii_hexdigit());
            plain.then(|| u64::from_str_radix(text, 16).ok()).flatten()
        };
        let target = u8::try_from(number(target, 2)?).ok()?;
        Some(Ancestor {
            target: Target::numbered(target)?,
            name: number(name, 16)?,
        })
    }
}

struct Hex(u64);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

/// What a record could hit an authority by.
pub fn marks(authority: &Authority, token: Option<Id<Token>>, blinding: &Blinding) -> Marks {
    let client = blinding.name(Target::Client, authority.client().as_str().as_bytes());
    Marks {
        token: token.map(|token| token_name(&token.to_string())),
        family: authority
            .family()
            .map(|id| blinding.name(Target::Family, id.as_bytes())),
        grant: authority
            .grant()
            .map(|id| blinding.name(Target::Grant, id.as_bytes())),
        session: authority
            .session()
            .map(|id| blinding.name(Target::Session, id.as_bytes())),
        subject: Some(match authority.subject() {
            Subject::Person(person) => blinding.name(Target::Subject, person.as_bytes()),
            Subject::Client(client) => blinding.name(Target::Subject, client.as_str().as_bytes()),
            Subject::Foreign(subject) => blinding.name(Target::Subject, subject.as_bytes()),
        }),
        client: Some(client),
        organization: authority
            .organization()
            .map(|id| blinding.name(Target::Organization, id.as_str().as_bytes())),
        issuer: None,
        key: None,
        resource: match authority.audiences() {
            [one] => Some(public_name(Target::Resource, one.as_str())),
            _ => None,
        },
        lineage: authority.lineage().to_vec(),
    }
}

/// Writes an authority of one audience as an access token.
pub fn mint(key: &SigningKey, written: &Written<'_>, authority: &Authority) -> String {
    key.sign(ACCESS_TOKEN_TYPE, &payload(written, authority))
}

/// The claims of an access token, as they are signed or sealed.
pub(crate) fn payload(written: &Written<'_>, authority: &Authority) -> Vec<u8> {
    // A struct of strings and numbers always serialises.
    if written.claims.is_empty() {
        return serde_json::to_vec(&said(written, authority)).unwrap_or_default();
    }
    // INVARIANT: what the token says itself is there first and stays.
    let mut all = match serde_json::to_value(said(written, authority)) {
        Ok(Value::Object(all)) => all,
        _ => Map::new(),
    };
    for (name, value) in written.claims {
        if !all.contains_key(name) {
            all.insert(name.clone(), value.clone());
        }
    }
    serde_json::to_vec(&all).unwrap_or_default()
}

/// The claims that [`mint`] would write, for a rendering that is no JWT.
#[cfg(feature = "saml")]
pub(crate) fn claims(written: &Written<'_>, authority: &Authority) -> Map<String, Value> {
    match serde_json::to_value(said(written, authority)) {
        Ok(Value::Object(claims)) => claims,
        _ => Map::new(),
    }
}

fn said<'a>(written: &'a Written<'_>, authority: &'a Authority) -> Claims<'a> {
    let mut marks = marks(authority, None, written.blinding);
    if let Some(sector) = &written.sector {
        sector::hide(&mut marks, authority, sector.blinding);
    }
    let position = authority.position();
    let authentication = authority.authentication();
    Claims {
        iss: written.issuer.as_str(),
        sub: written.subject,
        aud: authority
            .audiences()
            .first()
            .map_or("", ResourceIdentifier::as_str),
        exp: authority.expires().seconds(),
        iat: written.issued.seconds(),
        jti: written.token,
        client_id: authority.client().as_str(),
        scope: authority.scopes().to_string(),
        auth_time: authentication.map(|own| own.time_by(written.issued).seconds()),
        acr: authentication.map(|own| &*own.acr),
        amr: authentication.map_or(&[], |own| &own.amr),
        organization: authority.organization().map(|id| id.as_str()),
        roles: authority.roles(),
        sid: written
            .sector
            .as_ref()
            .and_then(|sector| sector.session.as_deref()),
        userinfo: authority.userinfo_claims().collect(),
        cnf: authority.binding(),
        act: Acting::of(authority.actors()),
        may_act: authority.may_act().map(Acting::alone),
        rev: Rev::of(marks, position),
    }
}

/// The `rev` of a token in another rendering, for whoever goes by the issuer's
/// word: what a JWT of the same authority would carry, for a client in that
/// sector, and the mark of the key that the token was made with.
pub fn rev_claim(
    authority: &Authority,
    key: u64,
    blinding: &Blinding,
    sector: Option<&Blinding>,
) -> Value {
    let mut marks = marks(authority, None, blinding);
    if let Some(sector) = sector {
        sector::hide(&mut marks, authority, sector);
    }
    marks.key = Some(key);
    // A struct of strings and numbers always serialises.
    serde_json::to_value(Rev::of(marks, authority.position())).unwrap_or_default()
}

/// The `rev` of an ID token: where the feed stood, and by what of it a record
/// could hit that it does not name itself. Person and session it does name, and
/// where those are pairwise nothing of this tells who they are.
pub fn rev_of_id_token(authority: &Authority, blinding: &Blinding) -> Value {
    let mut marks = marks(authority, None, blinding);
    (marks.session, marks.subject) = (None, None);
    marks.lineage.retain(|own| !own.target.names_person());
    // A struct of strings and numbers always serialises.
    serde_json::to_value(Rev::of(marks, authority.position())).unwrap_or_default()
}

/// What whoever checks demands of a token, scopes aside.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The one trusted issuer.
    pub issuer: &'a str,
    /// Who is asking: the API's identifiers. Any one of them will do.
    pub audiences: &'a [String],
    /// How far clocks may differ.
    pub skew: std::time::Duration,
    /// What time it is.
    pub now: Timestamp,
}

/// An access token in JWT form whose signature, kind, expiry, issuer and
/// audience were checked. Revocation and scope are the caller's next two.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The subject.
    pub subject: String,
    /// The client.
    pub client: String,
    /// The scopes.
    pub scopes: Scopes,
    /// The token's id.
    pub jti: String,
    /// When it ends.
    pub expires: Timestamp,
    /// When it was made.
    pub issued: Timestamp,
    /// Which keys its user has to hold. Whoever reads this asks for the proof.
    pub binding: Binding,
    /// What a record could hit it by, and where the feed stood; absent in
    /// tokens of other issuers.
    pub rev: Option<(Marks, Position)>,
    /// The mark of the key that signed it, where its header names one.
    pub key: Option<u64>,
    /// Every claim.
    pub claims: Map<String, Value>,
}

/// Refuses a JWS that does not say that it is an access token: its kind is
/// judged before its signature, so that the answer can name what was shown.
pub fn check_type(token: &Unverified<'_>) -> Result<(), Refused> {
    match token.claimed_type() {
        Some(ACCESS_TOKEN_TYPE) => Ok(()),
        other => Err(Refused::NotAnAccessToken(Shown::typed(other))),
    }
}

/// Judges the claims of a token whose signature was good.
pub fn check_claims(
    claims: Map<String, Value>,
    kid: Option<&str>,
    expected: Expected<'_>,
) -> Result<AccessToken, Refused> {
    let expires = instant(&claims, "exp")?.ok_or(Refused::Claim("exp"))?;
    let issued = instant(&claims, "iat")?.ok_or(Refused::Claim("iat"))?;
    let begins = instant(&claims, "nbf")?;
    let now = expected.now;
    if now >= expires + expected.skew {
        return Err(Refused::Expired { expires, now });
    }
    for begins in [begins, Some(issued)].into_iter().flatten() {
        if begins > now + expected.skew {
            return Err(Refused::NotYet { begins, now });
        }
    }
    let issuer = text(&claims, "iss")?;
    if issuer != expected.issuer && !planted(6) {
        return Err(Refused::Issuer {
            expected: expected.issuer.to_owned(),
            found: issuer.to_owned(),
        });
    }
    let found = audiences(&claims)?;
    if !found
        .iter()
        .any(|own| expected.audiences.iter().any(|wanted| wanted == own))
    {
        let expected = expected.audiences.first().cloned().unwrap_or_default();
        return Err(Refused::Audience {
            expected,
            found: found.into_iter().map(str::to_owned).collect(),
        });
    }
    let scopes = match claims.get("scope") {
        None => Scopes::empty(),
        Some(Value::String(scope)) => scope.parse().map_err(|_| Refused::Claim("scope"))?,
        Some(_) => return Err(Refused::Claim("scope")),
    };
    Ok(AccessToken {
        subject: text(&claims, "sub")?.to_owned(),
        client: text(&claims, "client_id")?.to_owned(),
        scopes,
        jti: text(&claims, "jti")?.to_owned(),
        expires,
        issued,
        binding: binding(&claims)?,
        rev: rev(&claims, kid)?,
        key: kid.map(|kid| public_name(Target::Key, kid)),
        claims,
    })
}

fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Refused> {
    let text = claims
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty());
    text.ok_or(Refused::Claim(name))
}

/// A `NumericDate`: an integer or a finite decimal, at or after the epoch.
pub(crate) fn instant(
    claims: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Timestamp>, Refused> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = match value.as_i64() {
        Some(seconds) => Some(seconds),
        None => value
            .as_f64()
            .filter(|number| number.is_finite())
            .map(|number| number as i64),
    };
    match seconds {
        Some(seconds) if (0..=Timestamp::FAR.seconds()).contains(&seconds) => {
            Ok(Some(Timestamp::from_seconds(seconds)))
        }
        _ => Err(Refused::Claim(name)),
    }
}

/// What `cnf` demands. A demand that is not understood cannot be met, so it is
/// refused, not passed over.
pub fn binding(claims: &Map<String, Value>) -> Result<Binding, Refused> {
    let Some(value) = claims.get("cnf") else {
        return Ok(Binding::NONE);
    };
    let refused = Refused::Claim("cnf");
    let known = value.as_object().is_some_and(|cnf| {
        !cnf.is_empty() && cnf.keys().all(|own| own == "jkt" || own == "x5t#S256")
    });
    if !known {
        return Err(refused);
    }
    serde_json::from_value(value.clone()).map_err(|_| refused)
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, Refused> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(all)) if all.len() <= crate::authority::MAX_AUDIENCES => all
            .iter()
            .map(|one| one.as_str().ok_or(Refused::Claim("aud")))
            .collect(),
        _ => Err(Refused::Claim("aud")),
    }
}

/// What a record could hit a token by whose claims somebody vouched for, and
/// where the feed stood when it was made; `kid` names the key that signed it.
pub fn rev(
    claims: &Map<String, Value>,
    kid: Option<&str>,
) -> Result<Option<(Marks, Position)>, Refused> {
    let jti = claims.get("jti").and_then(Value::as_str).map(token_name);
    let rev = match claims.get("rev") {
        None => return Ok(None),
        Some(Value::Object(rev)) => rev,
        Some(_) => return Err(Refused::Claim("rev")),
    };
    let number = |name: &str| {
        rev.get(name)
            .and_then(Value::as_i64)
            .ok_or(Refused::Claim("rev"))
    };
    let mark = |name: &str| match rev.get(name) {
        None => Ok(None),
        Some(Value::String(hex)) if hex.len() == 16 => u64::from_str_radix(hex, 16)
            .map(Some)
            .map_err(|_| Refused::Claim("rev")),
        Some(_) => Err(Refused::Claim("rev")),
    };
    let marks = Marks {
        token: jti,
        family: mark("f")?,
        grant: mark("g")?,
        session: mark("s")?,
        subject: mark("u")?,
        client: mark("c")?,
        organization: mark("o")?,
        issuer: None,
        key: match kid {
            Some(kid) => Some(public_name(Target::Key, kid)),
            None => mark("k")?,
        },
        resource: match claims.get("aud") {
            Some(Value::String(one)) => Some(public_name(Target::Resource, one)),
            _ => None,
        },
        lineage: lineage(rev)?,
    };
    Ok(Some((
        marks,
        Position {
            epoch: number("e")?,
            sequence: number("q")?,
        },
    )))
}

fn lineage(rev: &Map<String, Value>) -> Result<Vec<Ancestor>, Refused> {
    match rev.get("a") {
        None => Ok(Vec::new()),
        Some(Value::Array(all)) if all.len() <= MAX_LINEAGE => all
            .iter()
            .map(|one| Line::read(one).ok_or(Refused::Claim("rev")))
            .collect(),
        Some(_) => Err(Refused::Claim("rev")),
    }
}
