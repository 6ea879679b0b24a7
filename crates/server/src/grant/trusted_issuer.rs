//! JWTs of trusted issuers: checked with the issuer's own keys, and worth what
//! its registration says.
//!
//! 1. The issuer that the JWT claims chooses the registration; the client's
//!    policy has to name it, or nobody is asked for keys.
//! 2. Kind, algorithm and signature are checked.
//! 3. The claims are checked, and become an authority that no claim can widen.
//!
//! Spec: RFC 7521 §5.2
//! Spec: RFC 7523 §3
//! Spec: RFC 8725 §3
//! Spec: RFC 10070

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use symbolon_protocol::{Agreement, Client, Scopes, Timestamp, TrustedIssuer};
use symbolon_token::authority::FOREIGN;
use symbolon_token::jose::{Algorithm, Invalid, Unverified};
use symbolon_token::revocation::{Target, public_name};
use symbolon_token::{Actor, Ancestor, Authority, Granted, Subject, act, jwt};

use super::target;
use crate::cx::Cx;

/// How far ahead a JWT that is itself a grant may expire: it is remembered for
/// as long.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long a `jti` may be, in bytes.
const MAX_JTI_BYTES: usize = 256;
/// How many keys are tried where the header names none.
const MAX_TRIES: usize = 8;

pub(super) type Claims = Map<String, Value>;

/// What a JWT was sent as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// As a grant: once, and to this server alone.
    AsGrant,
    /// To be exchanged, or to name an actor.
    AsToken,
}

/// What a trusted issuer vouches for. Only [`verify`] makes one.
pub(crate) struct Vouched {
    /// What it permits: one resource, one organization, no longer than the JWT.
    pub(crate) authority: Authority,
    /// Who vouches.
    pub(crate) issuer: Arc<TrustedIssuer>,
    /// For whom, as the issuer names them.
    pub(crate) name: Actor,
    /// The JWT's own name.
    pub(crate) jti: Option<String>,
    /// Until when these claims would be taken.
    pub(crate) acceptable_until: Timestamp,
}

impl Vouched {
    /// Whether its issuer may give scopes, and it names none of them.
    pub(super) fn gives_nothing(&self) -> bool {
        self.authority.scopes().is_empty() && !self.issuer.scopes.is_empty()
    }
}

/// Checks a JWT of a trusted issuer; the error says for the log what is wrong.
pub(crate) async fn verify(
    cx: &Cx,
    client: &Client,
    text: &str,
    sent: Sent,
) -> Result<Vouched, &'static str> {
    let unverified = Unverified::parse(text).map_err(Invalid::code)?;
    check_type(&unverified, sent)?;
    let claimed = claimed_issuer(&unverified).ok_or("the JWT names no issuer")?;
    let issuer = registered(cx, client, &claimed)?;
    let claims = verified(cx, &issuer, &unverified).await?;
    let rules = Rules {
        issuer: &issuer,
        own: cx.settings.issuer.as_str(),
        sent,
        skew: cx.settings.clock_skew,
    };
    let checked = check_claims(&claims, &rules, cx.now)?;
    check_others(cx, &issuer, &claims)?;
    Ok(Vouched {
        authority: authority(cx, client, &issuer, &claims, &checked)?,
        name: checked.name(),
        jti: checked.jti.map(str::to_owned),
        acceptable_until: checked.expires + rules.skew,
        issuer,
    })
}

/// Why a JWT of a trusted issuer would not be taken to be exchanged, whoever
/// sends it.
pub(crate) async fn judge(cx: &Cx, issuer: &TrustedIssuer, text: &str) -> Result<(), &'static str> {
    let unverified = Unverified::parse(text).map_err(Invalid::code)?;
    check_type(&unverified, Sent::AsToken)?;
    let claims = verified(cx, issuer, &unverified).await?;
    let rules = Rules {
        issuer,
        own: cx.settings.issuer.as_str(),
        sent: Sent::AsToken,
        skew: cx.settings.clock_skew,
    };
    check_claims(&claims, &rules, cx.now)?;
    check_others(cx, issuer, &claims)
}

/// The registration of an issuer that is trusted, that the client's policy
/// names, and that speaks for no other organization.
pub(super) fn registered(
    cx: &Cx,
    client: &Client,
    claimed: &str,
) -> Result<Arc<TrustedIssuer>, &'static str> {
    let stored = cx.directory.find_trusted_issuer(claimed);
    let stored = stored.filter(|own| own.trusted);
    let issuer = Arc::new(stored.ok_or("nobody trusts the issuer")?.issuer.clone());
    let policy = client.exchange_policy();
    if !policy.issuers.contains(&issuer.issuer) {
        return Err("the client may not use this issuer");
    }
    let both = (&client.organization, &issuer.organization);
    if let (Some(own), Some(other)) = both
        && own != other
    {
        return Err("the issuer speaks for another organization");
    }
    Ok(issuer)
}

/// What a client signs is none of these. An ID token may look like one; its
/// claims tell.
fn check_type(unverified: &Unverified<'_>, sent: Sent) -> Result<(), &'static str> {
    match (unverified.claimed_type(), sent) {
        (None | Some("jwt"), _) | (Some(jwt::ACCESS_TOKEN_TYPE), Sent::AsToken) => Ok(()),
        _ => Err("the JWT is of another kind"),
    }
}

/// Whose keys to try. Nothing is decided by it: with the signature the claims
/// are read again, and have to name this issuer.
pub(crate) fn claimed_issuer(unverified: &Unverified<'_>) -> Option<String> {
    let claimed = unverified.dangerous_claims_without_key().ok()?;
    claimed.get("iss")?.as_str().map(str::to_owned)
}

async fn verified(
    cx: &Cx,
    issuer: &TrustedIssuer,
    unverified: &Unverified<'_>,
) -> Result<Claims, &'static str> {
    let algorithm = unverified.algorithm().ok_or(Invalid::Algorithm.code())?;
    let allowed = |name: &String| Algorithm::named(name) == Some(algorithm);
    if !issuer.algorithms.is_empty() && !issuer.algorithms.iter().any(allowed) {
        return Err(Invalid::Algorithm.code());
    }
    let kid = unverified.claimed_kid();
    let now = cx.edge.clock.monotonic();
    let uri = issuer.jwks_uri.as_deref();
    let uri = uri.ok_or("the issuer is trusted for assertions alone")?;
    let keys = cx.fetcher.key_set(uri, kid, now).await;
    let keys = keys.map_err(|_| "the keys of the issuer cannot be had")?;
    let mut outcome = Err(Invalid::UnknownKey);
    for key in keys.candidates(kid, algorithm).take(MAX_TRIES) {
        outcome = unverified.verify(key);
        if !matches!(outcome, Err(Invalid::Signature)) {
            break;
        }
    }
    outcome.map_err(Invalid::code)
}

/// What the claims have to say.
struct Rules<'a> {
    issuer: &'a TrustedIssuer,
    own: &'a str,
    sent: Sent,
    skew: Duration,
}

/// What is left of claims that are right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked<'a> {
    pub(super) subject: &'a str,
    /// In whose names the subject is one: the issuer's, or those of one format
    /// of them. The same letters in others are somebody else.
    pub(super) among: Cow<'a, str>,
    pub(super) jti: Option<&'a str>,
    pub(super) expires: Timestamp,
}

impl Checked<'_> {
    /// The subject, as an `act` claim names it.
    pub(super) fn name(&self) -> Actor {
        Actor {
            subject: self.subject.to_owned(),
            issuer: Some(self.among.to_string()),
        }
    }
}

/// Checks claims whose signature is right.
fn check_claims<'a>(
    claims: &'a Claims,
    rules: &Rules<'a>,
    now: Timestamp,
) -> Result<Checked<'a>, &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(rules.issuer.issuer.as_str()) {
        return Err("iss is not the issuer whose keys were tried");
    }
    // By their claims these are a logout token or a security event, and an ID
    // token, whatever their header leaves out.
    for name in ["events", "nonce", "at_hash", "c_hash"] {
        if claims.contains_key(name) {
            return Err("the JWT is of another kind");
        }
    }
    let subject = text("sub").filter(|sub| act::is_name(sub));
    let subject = subject.ok_or("sub is missing or not a name")?;
    check_audience(claims.get("aud"), rules)?;
    check_actors(claims, rules.own)?;

    let date = |name: &str| {
        let value = claims.get(name);
        value.map(|value| numeric_date(value).ok_or("a date is not one"))
    };
    let expires = date("exp").ok_or("there is no exp")??;
    if expires <= now {
        return Err("it has expired");
    }
    if rules.sent == Sent::AsGrant && expires > now + MAX_LIFETIME + rules.skew {
        return Err("exp is more than an hour ahead");
    }
    for name in ["iat", "nbf"] {
        let ahead = |instant| instant > now + rules.skew;
        if date(name).transpose()?.is_some_and(ahead) {
            return Err("iat or nbf is in the future");
        }
    }
    let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= MAX_JTI_BYTES);
    if jti.is_none() && (rules.sent == Sent::AsGrant || claims.contains_key("jti")) {
        return Err("jti must be a text of 1 to 256 bytes");
    }
    Ok(Checked {
        subject,
        among: Cow::Borrowed(rules.issuer.issuer.as_str()),
        jti,
        expires,
    })
}

/// A grant is for this server alone: what others take too could be shown to
/// them first (RFC 10070). A token to be exchanged may also name what the
/// issuer is registered with.
fn check_audience(audience: Option<&Value>, rules: &Rules<'_>) -> Result<(), &'static str> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    let named: Option<Vec<String>> = match audience {
        Some(Value::String(own)) => Some(vec![own.clone()]),
        Some(Value::Array(all)) if all.len() <= symbolon_token::authority::MAX_AUDIENCES => {
            all.iter().map(one).collect()
        }
        _ => None,
    };
    let named = named.ok_or("aud is missing or malformed")?;
    let is_meant = match rules.sent {
        Sent::AsGrant => named == [rules.own],
        Sent::AsToken => named
            .iter()
            .any(|own| own == rules.own || rules.issuer.audiences.contains(own)),
    };
    if is_meant {
        Ok(())
    } else {
        Err("aud is not this server")
    }
}

/// Whoever acts is somebody of the partner, or of others whom it believes. In
/// the names of this server it may say who is to act (`may_act`), since that one
/// has to come here and prove it, but not who did.
fn check_actors(claims: &Claims, own: &str) -> Result<(), &'static str> {
    let actors = act::chain(claims).map_err(|_| "act is malformed or too deep")?;
    match actors
        .iter()
        .any(|actor| actor.issuer.as_deref() == Some(own))
    {
        true => Err("act names somebody of this server, for whom no other issuer speaks"),
        false => Ok(()),
    }
}

/// Nor for those of another trusted issuer, which speaks for itself.
fn check_others(cx: &Cx, issuer: &TrustedIssuer, claims: &Claims) -> Result<(), &'static str> {
    let actors = act::chain(claims).map_err(|_| "act is malformed or too deep")?;
    let is_others = |named: &str| {
        named != issuer.issuer.as_str() && cx.directory.find_trusted_issuer(named).is_some()
    };
    let mut issuers = actors.iter().filter_map(|actor| actor.issuer.as_deref());
    match issuers.any(is_others) {
        true => Err("act names somebody of another trusted issuer, who speaks for themselves"),
        false => Ok(()),
    }
}

/// Seconds since 1970, with a fraction or without (RFC 7519 §2).
fn numeric_date(value: &Value) -> Option<Timestamp> {
    let seconds = match value.as_i64() {
        Some(seconds) => seconds,
        None => {
            let seconds = value.as_f64().filter(|seconds| seconds.is_finite())?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and is bounded below"
            )]
            let whole = seconds as i64;
            whole
        }
    };
    let known = (0..=Timestamp::FAR.seconds()).contains(&seconds);
    known.then(|| Timestamp::from_seconds(seconds))
}

/// What the registration gives, for whom the claims name.
pub(super) fn authority(
    cx: &Cx,
    client: &Client,
    issuer: &TrustedIssuer,
    claims: &Claims,
    checked: &Checked<'_>,
) -> Result<Authority, &'static str> {
    target::resource(cx, &issuer.resource).ok_or("the resource is gone")?;
    let scopes = scopes(claims.get("scope"), &issuer.scopes)?;
    let mut actors = act::chain(claims).map_err(|_| "act is malformed or too deep")?;
    let mut may_act = act::may_act(claims).map_err(|_| "may_act is malformed")?;
    for actor in actors.iter_mut().chain(&mut may_act) {
        // Whoever is named without an issuer is the partner's, never ours.
        actor
            .issuer
            .get_or_insert_with(|| issuer.issuer.to_string());
    }
    let name = format!("{FOREIGN}{}|{}", checked.among, checked.subject);
    Ok(Authority::granted(Granted {
        subject: Subject::Foreign(name.into()),
        client: client.id.clone(),
        audiences: vec![issuer.resource.clone()],
        scopes,
        agreement: Agreement::default(),
        expires: checked.expires,
        organization: issuer.organization.clone(),
        roles: Vec::new(),
        grant: None,
        family: None,
        session: None,
        authentication: None,
        binding: jwt::binding(claims).map_err(|_| "cnf is malformed")?,
        actors,
        may_act,
        lineage: vec![Ancestor {
            target: Target::Issuer,
            name: public_name(Target::Issuer, issuer.issuer.as_str()),
        }],
        // Trust was read from the directory, which may be behind the feed.
        position: cx.position.min(cx.settled),
    }))
}

/// The scopes of the registration. A JWT with a `scope` claim gives none that it
/// does not name, in whatever words, so one in the partner's own gives none.
fn scopes(stated: Option<&Value>, given: &Scopes) -> Result<Scopes, &'static str> {
    match stated {
        None => Ok(given.clone()),
        Some(Value::String(text)) if text.is_empty() => Ok(Scopes::empty()),
        Some(Value::String(text)) => {
            let stated: Scopes = text.parse().map_err(|_| "scope is malformed")?;
            Ok(given.intersection(&stated))
        }
        Some(_) => Err("scope is malformed"),
    }
}
