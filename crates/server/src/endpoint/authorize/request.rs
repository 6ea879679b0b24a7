//! Everything about a request except client and redirect URI.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.1, §3.1.2.2, §5.5
//! Spec: RFC 7636 §4.3, §4.4.1
//! Spec: RFC 9449 §10

use serde_json::Value;
use symbolon_protocol::claims::{ClaimsRequest, InvalidClaims, scope_of_claim};
use symbolon_protocol::{
    Client, CodeChallenge, ErrorCode, GrantType, Parameters, Prompt, ResponseMode, Scopes,
    Timestamp,
};
use symbolon_token::jose::Unverified;
use symbolon_token::jose::jwe::is_encrypted;
use symbolon_token::{Id, Person, Thumbprint};

use super::answer::Destination;
use crate::authn::session::ACR_PASSWORD;
use crate::authn::transaction::Transaction;
use crate::cx::Cx;
use crate::failure::Refusal;
use crate::grant::{subject, target};

/// How long a nonce may be, in bytes.
const MAX_NONCE_BYTES: usize = 512;
/// How long a login hint may be, in bytes.
const MAX_HINT_BYTES: usize = 256;

/// A request that holds together.
pub(crate) struct Asked {
    pub(crate) transaction: Transaction,
    pub(crate) prompts: Vec<Prompt>,
}

/// Reads and checks the request.
pub(crate) fn read(
    cx: &Cx,
    destination: &Destination,
    parameters: &[u8],
) -> Result<Asked, Refusal> {
    let client = &destination.client.client;
    let form = Parameters::parse(parameters)
        .map_err(|_| Refusal::invalid_request("a parameter is repeated or not valid text"))?;
    check_supported(client, &form)?;
    let prompts = prompts(&form)?;
    let resources = target::requested(cx, client, &form)?;
    let scopes = scopes(cx, client, &form)?;
    let scopes = target::scopes_among(cx, &resources, &form, scopes)?;
    let claims = claims(client, &scopes, &form)?;
    let people = people(cx, client, &claims, &form)?;
    let organization = organization(client, &form)?;
    target::check_organization(cx, &resources, organization.as_ref())?;
    let limited = |name: &str, most: usize| {
        let value = form.one(name).map(str::to_owned);
        match value.as_ref().is_some_and(|value| value.len() > most) {
            true => Err(Refusal::invalid_request("nonce or login_hint is too long")),
            false => Ok(value),
        }
    };
    let transaction = Transaction {
        client: client.id.clone(),
        redirect_uri: destination.redirect_uri.clone(),
        response_mode: destination.response_mode,
        state: destination.state.clone(),
        nonce: limited("nonce", MAX_NONCE_BYTES)?,
        challenge: challenge(client, &form)?,
        key: key(&form)?,
        resources,
        scopes,
        claims,
        organization,
        people,
        login_hint: limited("login_hint", MAX_HINT_BYTES)?,
        shown: None,
        ask_consent: prompts.contains(&Prompt::Consent),
        ask_sign_in: asks_sign_in(&form, &prompts),
        not_before: not_before(cx, client, &form)?,
        began: cx.now,
        browser: String::new(),
    };
    Ok(Asked {
        transaction,
        prompts,
    })
}

fn check_supported(client: &Client, form: &Parameters) -> Result<(), Refusal> {
    for (name, code) in [
        ("request", ErrorCode::RequestNotSupported),
        ("request_uri", ErrorCode::RequestUriNotSupported),
        ("registration", ErrorCode::RegistrationNotSupported),
    ] {
        if form.one(name).is_some() {
            return Err(Refusal::new(
                code,
                "request objects and registration by request are not taken",
            ));
        }
    }
    match form.one("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err(Refusal::new(
                ErrorCode::UnsupportedResponseType,
                "only response_type=code exists",
            ));
        }
        None => return Err(Refusal::invalid_request("response_type is missing")),
    }
    if form
        .one("response_mode")
        .is_some_and(|mode| mode.parse::<ResponseMode>().is_err())
    {
        return Err(Refusal::invalid_request(
            "response_mode is query or form_post",
        ));
    }
    if !client.may_use(GrantType::AuthorizationCode) {
        return Err(Refusal::unauthorized_client(
            "this client may not use this grant",
        ));
    }
    Ok(())
}

fn prompts(form: &Parameters) -> Result<Vec<Prompt>, Refusal> {
    let words = form
        .one("prompt")
        .unwrap_or_default()
        .split(' ')
        .filter(|word| !word.is_empty());
    let prompts: Vec<Prompt> = words
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| Refusal::invalid_request("prompt is unknown"))?;
    if prompts.contains(&Prompt::None) && prompts.len() > 1 {
        return Err(Refusal::invalid_request("prompt=none stands alone"));
    }
    Ok(prompts)
}

/// The challenge: S256 or nothing, and nothing only for confidential clients
/// that opted out.
fn challenge(client: &Client, form: &Parameters) -> Result<Option<String>, Refusal> {
    match (
        form.one("code_challenge"),
        form.one("code_challenge_method"),
    ) {
        (Some(challenge), Some("S256")) => {
            let parsed = challenge.parse::<CodeChallenge>();
            parsed.map_err(|_| Refusal::invalid_request("code_challenge is malformed"))?;
            Ok(Some(challenge.to_owned()))
        }
        (Some(_), _) => Err(Refusal::invalid_request(
            "code_challenge_method must be S256",
        )),
        (None, Some(_)) => Err(Refusal::invalid_request("code_challenge is missing")),
        (None, None) if client.requires_pkce() => {
            Err(Refusal::invalid_request("code_challenge is missing"))
        }
        (None, None) => Ok(None),
    }
}

/// The key that the code is for (RFC 9449 §10).
pub(crate) fn key(form: &Parameters) -> Result<Option<Thumbprint>, Refusal> {
    let key = form.one("dpop_jkt").map(str::parse).transpose();
    key.map_err(|_| Refusal::invalid_request("dpop_jkt is not a thumbprint of a key"))
}

/// The scopes, without `offline_access` where nothing could come of it.
pub(crate) fn scopes(cx: &Cx, client: &Client, form: &Parameters) -> Result<Scopes, Refusal> {
    let scopes = target::scopes(cx, client, form)?;
    let may_refresh = client.may_use(GrantType::RefreshToken);
    Ok(scopes.filtered(|scope| scope != "offline_access" || may_refresh))
}

/// The claims, as far as the client's scopes cover them.
fn claims(client: &Client, scopes: &Scopes, form: &Parameters) -> Result<ClaimsRequest, Refusal> {
    let Some(text) = form.one("claims").filter(|_| scopes.contains("openid")) else {
        return Ok(ClaimsRequest::default());
    };
    let mut claims = ClaimsRequest::parse(text).map_err(|invalid| {
        Refusal::invalid_request(match invalid {
            InvalidClaims::TooLong => "claims is longer than 4096 bytes",
            InvalidClaims::TooMany => "claims names more than 50 claims",
            _ => "claims is not a JSON object of requests",
        })
    })?;
    if claims
        .acr()
        .is_some_and(|acr| acr.essential && !acr.accepts(ACR_PASSWORD))
    {
        let code = ErrorCode::UnmetAuthenticationRequirements;
        return Err(Refusal::new(code, "no sign-in here is as strong as that"));
    }
    let covered =
        |name: &str| scope_of_claim(name).is_some_and(|scope| client.scopes.contains(scope));
    claims
        .id_token
        .retain(|name, _| covered(name) || name == "sub");
    claims
        .userinfo
        .retain(|name, _| covered(name) || name == "sub");
    Ok(claims)
}

/// The organization that tokens are to carry.
pub(crate) fn organization(
    client: &Client,
    form: &Parameters,
) -> Result<Option<symbolon_protocol::OrganizationId>, Refusal> {
    let unknown = || Refusal::access_denied("the person does not belong to that organization");
    let named = form
        .one("organization")
        .map(|id| id.parse().map_err(|_| unknown()))
        .transpose()?;
    match (&client.organization, named) {
        (Some(own), Some(named)) if *own != named => Err(unknown()),
        (Some(own), _) => Ok(Some(own.clone())),
        (None, named) => Ok(named),
    }
}

/// The person of a hint that we signed for this client. Its expiry is ignored.
fn hinted(cx: &Cx, client: &Client, form: &Parameters) -> Result<Option<Id<Person>>, Refusal> {
    let Some(hint) = form.one("id_token_hint") else {
        return Ok(None);
    };
    let bad = || {
        Refusal::invalid_request("id_token_hint is not an ID token of this server for this client")
    };
    check_hint_is_open(hint)?;
    let hint = verified_hint(cx, hint).ok_or_else(bad)?;
    if hint.client != client.id.as_str() {
        return Err(bad());
    }
    subject::person(&cx.keys, client, &hint.subject)
        .map(Some)
        .ok_or_else(bad)
}

/// The people whom the request allows: the one of the hint, and of those whom
/// it names as `sub` any (OpenID Connect Core §3.1.2.2, §5.5.1). Nobody, where it
/// names none; a request that contradicts itself is good for nobody.
fn people(
    cx: &Cx,
    client: &Client,
    claims: &ClaimsRequest,
    form: &Parameters,
) -> Result<Vec<Id<Person>>, Refusal> {
    let hinted = hinted(cx, client, form)?.map(|person| vec![person]);
    let named = [&claims.id_token, &claims.userinfo].map(|place| {
        let asked = place.get("sub").and_then(Option::as_ref)?;
        let mut values = asked.value.iter().chain(&asked.values).peekable();
        values.peek()?;
        let person = |value: &Value| subject::person(&cx.keys, client, value.as_str()?);
        Some(values.filter_map(person).collect::<Vec<_>>())
    });
    let mut all = [hinted].into_iter().chain(named).flatten();
    let Some(first) = all.next() else {
        return Ok(Vec::new());
    };
    let people = all.fold(first, |mut people, more| {
        people.retain(|person| more.contains(person));
        people
    });
    if people.is_empty() {
        return Err(Refusal::new(
            ErrorCode::LoginRequired,
            "nobody has the subject that was asked for",
        ));
    }
    Ok(people)
}

/// What an ID token of ours says, whenever it was made.
pub(crate) struct Hint {
    pub(crate) client: String,
    pub(crate) subject: String,
    pub(crate) session: Option<String>,
}

/// Refuses a hint as it was encrypted to the client, which alone can open it
/// (OpenID Connect Core §3.1.2.1).
pub(crate) fn check_hint_is_open(text: &str) -> Result<(), Refusal> {
    if is_encrypted(text) {
        let why = "id_token_hint is encrypted: decrypt it and send the signed ID token inside";
        return Err(Refusal::invalid_request(why));
    }
    Ok(())
}

/// Checks signature, kind and issuer of a hint.
pub(crate) fn verified_hint(cx: &Cx, text: &str) -> Option<Hint> {
    let token = Unverified::parse(text).ok()?;
    if token.claimed_type() != Some("jwt") {
        return None;
    }
    let keys = cx.app.keys.load();
    let key = keys
        .hints
        .candidates(Some(token.claimed_kid()?), token.algorithm()?)
        .next()?;
    let claims = token.verify(key).ok()?;
    let text = |name: &str| {
        claims
            .get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    (text("iss")? == cx.settings.issuer.as_str()).then_some(())?;
    Some(Hint {
        client: text("aud")?,
        subject: text("sub")?,
        session: text("sid"),
    })
}

/// Whether the person has to sign in anew, whatever session there is.
fn asks_sign_in(form: &Parameters, prompts: &[Prompt]) -> bool {
    let by_prompt = |prompt: &Prompt| matches!(prompt, Prompt::Login | Prompt::SelectAccount);
    prompts.iter().any(by_prompt) || form.one("max_age") == Some("0")
}

/// A sign-in before this instant does not count.
fn not_before(cx: &Cx, client: &Client, form: &Parameters) -> Result<Timestamp, Refusal> {
    let asked = form.one("max_age").map(str::parse::<u64>).transpose();
    let asked = asked.map_err(|_| Refusal::invalid_request("max_age is a number of seconds"))?;
    Ok(match asked.or(client.default_max_age) {
        Some(seconds) => cx.now - std::time::Duration::from_secs(seconds),
        None => Timestamp::EPOCH,
    })
}
