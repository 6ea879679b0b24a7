//! Introspection: answers from memory, and never more than whoever asks may know.
//!
//! Of a macaroon with conditions (`network`, `method`, `path`, `budget`,
//! `single-use`) nothing is active by itself: the resource server says which
//! request it is used for, in `method`, `uri` and `client_ip`, and is told
//! whether it is good for that one. Where it says nothing, the answer is
//! inactive, so a reader that knows no conditions lets nobody through. An
//! answer that counts a use is a use: it is asked for once a request. With
//! `count=no` it counts none and says in `uses_left` how many there are: for who
//! asks before anything else about the request is known to be good, or only to
//! explain.
//!
//! An API key is active for the server of an API that it names, and for its own
//! client: `api_key` in the answer says which key it is (see `api_key`).
//!
//! Spec: RFC 7662 §2
//! Spec: RFC 8693 §4.1, §4.4
//! Spec: RFC 9701 §4, §5, §6
//! Spec: RFC 9449 §6.2
//! Spec: RFC 8705 §3.2

use axum::response::Response;
use http::StatusCode;
use http::header::ACCEPT;
use serde::Serialize;
use serde_json::{Map, Value, json};
use symbolon_protocol::{
    Client, EncryptedAnswer, OrganizationId, Parameters, Scopes, SigningAlgorithm, planted,
};
use symbolon_store::{FindFamily, FindPerson};
use symbolon_token::Binding;
use symbolon_token::explain::Refused;
use symbolon_token::mark::Kind;
use symbolon_token::refresh::RefreshToken;

use super::live::Live;
use super::macaroon::{self, Use};
use super::presented;
use crate::api_key;
use crate::authn::client::authenticate;
use crate::cx::Cx;
use crate::encryption;
use crate::failure::{Broken, Failure, Refusal};
use crate::grant::family::{self, FamilyDocument};
use crate::grant::issue::token_type;
use crate::grant::mapped_claims::{self, Facts};
use crate::grant::{subject, target};
use crate::received::Received;
use crate::respond;

/// The `typ` of a signed answer.
const SIGNED_TYPE: &str = "token-introspection+jwt";
/// How long a presented token may be, in characters.
const MAX_TOKEN_CHARACTERS: usize = 16 * 1024;

#[derive(Serialize, Default)]
struct Answer<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
    #[serde(skip_serializing_if = "Binding::is_nothing")]
    cnf: Binding,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_act: Option<&'a Value>,
    /// What a record of the revocation feed could hit it by, for whoever reads
    /// the feed: the resource alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<&'a Value>,
    /// Which API key it is, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a Value>,
    /// How many uses are left, where they are counted and this was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_left: Option<u32>,
    /// Claims that the resource maps, for the resource alone.
    #[serde(flatten)]
    mapped: Map<String, Value>,
}

/// Answers `POST /introspect`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let caller = authenticate(&cx, &received, &form).await?;
    if !caller.is_confidential() {
        return Err(
            Refusal::invalid_client("introspection is for clients that prove themselves").into(),
        );
    }
    let token = form
        .one("token")
        .ok_or(Refusal::invalid_request("token is missing"))?;
    let signed = wants_signed(&received, caller.client());
    // Unknown, expired, revoked, foreign and malformed are one answer.
    if token.len() > MAX_TOKEN_CHARACTERS {
        return respond_with(&cx, caller.client(), signed, &Answer::default()).await;
    }
    if Kind::claimed_by(token) == Some(Kind::RefreshToken) {
        return Box::pin(refresh(&cx, caller.client(), token, signed)).await;
    }
    let judged = match api_key::is_shown(&cx, token) {
        true => Box::pin(super::api_key::judge(&cx, caller.client(), token, &form))
            .await?
            .map(|own| own.map(|live| (live, None))),
        false => judge(&cx, caller.client(), token, &form).await?,
    };
    match judged {
        Ok(Some((live, uses_left))) => {
            let mapped = mapped(&cx, caller.client(), &live).await?;
            let is_reader = is_of_resource(&cx, caller.client(), &live);
            let answer = Answer {
                mapped,
                rev: live.rev.as_ref().filter(|_| is_reader),
                uses_left,
                ..answer(&cx, &live)
            };
            respond_with(&cx, caller.client(), signed, &answer).await
        }
        Ok(None) => {
            tracing::debug!(request = %cx.request, "introspected by a client that it is not meant for");
            cx.recent.because(
                &cx,
                "the caller is neither the token's client nor a server of its resource",
            );
            respond_with(&cx, caller.client(), signed, &Answer::default()).await
        }
        Err(refused) => {
            tracing::debug!(request = %cx.request, check = refused.check().name(), code = refused.code(), "inactive");
            cx.recent
                .token(&cx, &refused, presented::claimed_jti(token));
            respond_with(&cx, caller.client(), signed, &Answer::default()).await
        }
    }
}

/// The token, where it is good and the caller may know of it. A use is counted
/// last, and for the resource's own server alone; where that asks for none to be
/// counted, it is told how many are left.
async fn judge(
    cx: &Cx,
    caller: &Client,
    token: &str,
    form: &Parameters,
) -> Result<Result<Option<(Live, Option<u32>)>, Refused>, Failure> {
    let request = macaroon::described(form);
    let pending = match presented::open_for(cx, token, &Use::AtResource(request)).await? {
        Ok(pending) => pending,
        Err(refused) => return Ok(Err(refused)),
    };
    let live = pending.before_counting();
    let counts_here = request.method.is_some() && is_of_resource(cx, caller, live);
    if !may_know(cx, caller, live) || pending.is_counted() && !counts_here {
        return Ok(Ok(None));
    }
    if form.one("count") == Some("no") {
        return Ok(pending.spare(cx).await?.map(Some));
    }
    let settled = pending.settle(cx).await?;
    Ok(settled.map(|live| Some((live, None))))
}

/// A resource server may know of tokens for its resources, a client of its own.
fn may_know(cx: &Cx, caller: &Client, live: &Live) -> bool {
    live.client.client.id == caller.id || is_of_resource(cx, caller, live)
}

fn is_of_resource(cx: &Cx, caller: &Client, live: &Live) -> bool {
    let resource = cx.directory.find_resource(&live.audience);
    resource.is_some_and(|resource| resource.may_introspect(&caller.id) || planted(5))
}

/// What the resource maps, as it is now, and told to the resource alone: the
/// token's own client may not be meant to know. What must not be told is left
/// out; nothing was issued with it.
async fn mapped(cx: &Cx, caller: &Client, live: &Live) -> Result<Map<String, Value>, Failure> {
    let resource = cx.directory.find_resource(&live.audience);
    // Who holds the key of a resource's macaroons could write anybody's name into
    // one: about people they learn what the macaroon itself says, and no more.
    let resource = resource.filter(|own| !own.shares_macaroon_keys());
    let resource = resource.filter(|own| own.may_introspect(&caller.id) && !own.claims.is_empty());
    let Some(resource) = resource else {
        return Ok(Map::new());
    };
    let person = match live.person.filter(|_| resource.claims.is_personal()) {
        Some(id) => Box::pin(cx.store.read(FindPerson { id })).await?,
        None => None,
    };
    let facts = Facts {
        person: person.as_ref(),
        organization: live.organization.as_deref(),
        roles: &live.roles,
    };
    Ok(
        mapped_claims::at_resource(cx, &resource, facts).unwrap_or_else(|untellable| {
            untellable.log(cx);
            Map::new()
        }),
    )
}

/// Scopes as an answer names them; where there are none, there is no member.
fn written(scopes: &Scopes) -> Option<String> {
    (!scopes.is_empty()).then(|| scopes.to_string())
}

fn answer<'a>(cx: &'a Cx, live: &'a Live) -> Answer<'a> {
    Answer {
        active: true,
        iss: Some(cx.settings.issuer.as_str()),
        sub: Some(&live.subject),
        aud: Some(&live.audience),
        client_id: Some(live.client.client.id.as_str()),
        scope: written(&live.scopes),
        token_type: Some(token_type(&live.binding)),
        exp: Some(live.expires.seconds()),
        iat: Some(live.issued.seconds()),
        jti: Some(&live.jti),
        cnf: live.binding,
        organization: live.organization.as_deref(),
        roles: &live.roles,
        auth_time: live.auth_time,
        acr: live.acr.as_deref(),
        act: live.act.as_ref(),
        may_act: live.may_act.as_ref(),
        rev: None,
        uses_left: None,
        api_key: live.api_key.as_ref(),
        mapped: Map::new(),
    }
}

/// A refresh token is asked about by its own client alone, and costs a read.
async fn refresh(cx: &Cx, caller: &Client, token: &str, signed: bool) -> Result<Response, Failure> {
    cx.check_fresh()?;
    let Ok(token) = RefreshToken::open(&cx.keys, token) else {
        return respond_with(cx, caller, signed, &Answer::default()).await;
    };
    let Some(family) = cx.store.read(FindFamily { id: token.family }).await? else {
        return respond_with(cx, caller, signed, &Answer::default()).await;
    };
    let current = family.generation == token.generation && family.current == token.digest();
    let ends = family.idle_ends.min(family.absolute_ends);
    if family.authority.client != caller.id || !current || family.ended.is_some() || ends <= cx.now
    {
        return respond_with(cx, caller, signed, &Answer::default()).await;
    }
    let Some(document) = FamilyDocument::decode(&family.authority.document) else {
        return Err(Broken::Impossible("a family's document does not decode").into());
    };
    let own = &document.authority;
    let organization = own.organization().map(OrganizationId::as_str);
    let may_go_on =
        family::may_go_on(caller, own.scopes()) && target::acts_for(caller, organization);
    let left = target::left_of(cx, caller, own);
    if !may_go_on
        || left.audiences().is_empty()
        || crate::grant::issue::check_live(cx, own).is_err()
    {
        return respond_with(cx, caller, signed, &Answer::default()).await;
    }
    let sub = subject::of(&cx.keys, caller, document.authority.subject());
    let answer = Answer {
        active: true,
        iss: Some(cx.settings.issuer.as_str()),
        sub: Some(&sub),
        client_id: Some(caller.id.as_str()),
        scope: written(left.scopes()),
        exp: Some(ends.seconds()),
        cnf: *document.authority.binding(),
        ..Answer::default()
    };
    respond_with(cx, caller, signed, &answer).await
}

/// Whether a parameter of a media range says that it is not wanted: `q=0`
/// (RFC 9110 §12.4.2).
fn is_refusal(parameter: &str) -> bool {
    let weight = parameter
        .split_once('=')
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let weight = weight.and_then(|(_, value)| value.trim().parse::<f32>().ok());
    weight.is_some_and(|weight| weight <= 0.0)
}

/// A caller is answered with a signature where it asks for one, and where it
/// registered one and does not ask for plain JSON by name: `*/*`, which every
/// HTTP library sends, asks for nothing. One that registered encryption is
/// never answered in the open.
fn wants_signed(received: &Received, caller: &Client) -> bool {
    let accepts = received.header(&ACCEPT).unwrap_or_default();
    let names = |wanted: &str| {
        accepts.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_named = parts
                .next()
                .is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
            is_named && !parts.any(is_refusal)
        })
    };
    names("application/token-introspection+jwt")
        || caller
            .encryption
            .of(EncryptedAnswer::Introspection)
            .is_some()
        || caller.introspection_signed_response_alg.is_some() && !names("application/json")
}

async fn respond_with(
    cx: &Cx,
    caller: &Client,
    signed: bool,
    answer: &Answer<'_>,
) -> Result<Response, Failure> {
    if !signed {
        return Ok(respond::json(StatusCode::OK, answer));
    }
    let algorithm = caller
        .introspection_signed_response_alg
        .unwrap_or(SigningAlgorithm::Rs256);
    let key = cx
        .keys
        .signer(algorithm)
        .ok_or(Broken::Impossible("no key for a signing algorithm"))?;
    let claims = json!({
        "iss": cx.settings.issuer.as_str(),
        "aud": caller.id.as_str(),
        "iat": cx.now.seconds(),
        "token_introspection": answer,
    });
    let text = key.sign(SIGNED_TYPE, claims.to_string().as_bytes());
    let sealed = encryption::to_client(cx, caller, EncryptedAnswer::Introspection, text);
    let text = Box::pin(sealed).await?;
    Ok(respond::typed("application/token-introspection+jwt", text))
}
