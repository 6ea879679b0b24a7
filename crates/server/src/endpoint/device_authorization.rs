//! The device authorization endpoint: a device begins to wait for a person.
//!
//! `POST /device_authorization` with the client's authentication and `scope`,
//! `resource`, `organization`, `dpop_jkt`, `code_challenge`, all of which may be
//! left out. The answer is 200 `{"device_code", "user_code", "verification_uri",
//! "verification_uri_complete", "expires_in", "interval"}`, the last two in
//! seconds. 429 means that too many devices wait already.
//!
//! 1. The client is authenticated; a public one names itself.
//! 2. What is asked for is checked as an authorization request is.
//! 3. A DPoP proof, or `dpop_jkt`, ties the code to a key; a challenge ties it to
//!    a verifier. Nobody has to send either.
//! 4. It is counted by network and client, so that a stranger fills no table. What
//!    strangers do in the name of a public client, which anybody may use, makes
//!    the limit of each network small and keeps no other network out.
//!
//! Spec: RFC 8628 §3.1, §3.2
//! Spec: RFC 7636 §4.3
//! Spec: RFC 8707 §2
//! Spec: RFC 9449 §8, §10.1

use std::net::IpAddr;

use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use symbolon_protocol::{
    Client, CodeChallenge, ErrorCode, GrantType, Parameters, Timestamp, UserCode,
};
use symbolon_store::{OpenDeviceAuthorization, Opened, Use};
use symbolon_token::{Thumbprint, random};

use super::authorize::request::{key, organization, scopes};
use crate::authn::client::{AuthenticatedClient, authenticate};
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::grant::device_request::{DeviceCode, DeviceRequest, place_of};
use crate::grant::target;
use crate::holder;
use crate::limit::{network, site};
use crate::pace::INTERVAL_SECONDS;
use crate::received::Received;
use crate::respond;

/// Devices of public clients that one network may let wait, and one site of IP
/// version 6, within the life of a code.
const PER_NETWORK: u32 = 50;
const PER_SITE: u32 = 200;
/// Devices of one client, wherever they are. A client that proves itself has no
/// more; of a public one the limits are those below from then on.
const PER_CLIENT: u32 = 5_000;
const PER_NETWORK_THEN: u32 = 5;
const PER_SITE_THEN: u32 = 20;
/// When trying again makes sense, in seconds.
const RETRY_AFTER_SECONDS: u32 = 60;
/// How many user codes are drawn where one is taken. Of 20¹⁰ codes two are the
/// same about never.
const TRIES: u8 = 4;

/// Answers `POST /device_authorization`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let client = authenticate(&cx, &received, &form).await?;
    if !client.client().may_use(GrantType::DeviceCode) {
        let why = "this client may not use this grant";
        return Err(Refusal::unauthorized_client(why).into());
    }
    cx.check_fresh()?;
    let cx = holder::prove(cx, &received)?;
    let request = request(&cx, client.client(), &form)?;
    holder::spend(&cx)?;
    let (device_code, user_code) = wait(&cx, &client, &request).await?;
    let page = cx.settings.issuer.endpoint("/device");
    let answer = json!({
        "device_code": device_code.write(),
        "user_code": user_code.to_string(),
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": cx.settings.lifetimes.device_code.as_seconds(),
        "interval": INTERVAL_SECONDS,
    });
    let mut response = respond::json(StatusCode::OK, &answer);
    if cx.holder().key().is_some()
        && let Some(nonce) = holder::next_nonce(&cx)
    {
        response.headers_mut().insert(respond::DPOP_NONCE, nonce);
    }
    Ok(response)
}

/// What is asked for, all of which the client may ask.
fn request(cx: &Cx, client: &Client, form: &Parameters) -> Result<DeviceRequest, Refusal> {
    let resources = target::requested(cx, client, form)?;
    let scopes = scopes(cx, client, form)?;
    let scopes = target::scopes_among(cx, &resources, form, scopes)?;
    let organization = organization(client, form).map_err(|refusal| refusal.with_status(400))?;
    target::check_organization(cx, &resources, organization.as_ref())?;
    Ok(DeviceRequest {
        client: client.id.clone(),
        scopes,
        resources,
        organization,
        key: bound_key(cx, form)?,
        challenge: challenge(form)?,
        network: network(cx.address),
        began: cx.now,
    })
}

/// The key that the code is for: the proof's, or the one that is named; where
/// both are there, they are the same (RFC 9449 §10.1).
fn bound_key(cx: &Cx, form: &Parameters) -> Result<Option<Thumbprint>, Refusal> {
    let (named, shown) = (key(form)?, cx.holder().key());
    if named.is_some() && shown.is_some() && named != shown {
        return Err(Refusal::invalid_dpop_proof(
            "dpop_jkt is not the key of the proof",
        ));
    }
    Ok(shown.or(named))
}

/// The challenge: S256 or nothing. RFC 8628 asks for none, since the device code
/// is never in a browser; one that is sent holds.
fn challenge(form: &Parameters) -> Result<Option<String>, Refusal> {
    match (
        form.one("code_challenge"),
        form.one("code_challenge_method"),
    ) {
        (None, None) => Ok(None),
        (Some(text), Some("S256")) => match text.parse::<CodeChallenge>() {
            Ok(_) => Ok(Some(text.to_owned())),
            Err(_) => Err(Refusal::invalid_request("code_challenge is malformed")),
        },
        (Some(_), _) => Err(Refusal::invalid_request(
            "code_challenge_method must be S256",
        )),
        (None, Some(_)) => Err(Refusal::invalid_request("code_challenge is missing")),
    }
}

/// Lets the device wait under codes that nobody else has.
async fn wait(
    cx: &Cx,
    client: &AuthenticatedClient,
    request: &DeviceRequest,
) -> Result<(DeviceCode, UserCode), Failure> {
    let expires = cx.now + cx.settings.lifetimes.device_code.duration();
    let mut uses = usual(cx, client, expires);
    let mut then = (!client.is_confidential()).then(|| crowded(cx, expires));
    for _ in 0..TRIES {
        let user_code = UserCode::draw(|| random::<1>(cx.entropy())[0]);
        let (slot, mac) = place_of(cx, &user_code);
        let device_code = DeviceCode::draw(cx, slot);
        let act = OpenDeviceAuthorization {
            id: device_code.id,
            secret: device_code.digest(),
            user_code: mac,
            request: request.encode(),
            expires,
            uses: uses.clone(),
            now: cx.now,
        };
        match cx.store.act(act).await? {
            Opened::Waiting => return Ok((device_code, user_code)),
            Opened::Taken => {}
            Opened::TooMany => uses = then.take().ok_or_else(too_many)?,
        }
    }
    Err(Broken::Impossible("every user code that was drawn is taken").into())
}

fn too_many() -> Refusal {
    let why = "too many devices wait already; try again later";
    Refusal::new(ErrorCode::TemporarilyUnavailable, why)
        .with_status(429)
        .with_retry_after(RETRY_AFTER_SECONDS)
}

/// What a device that waits counts under. A client that proves itself may ask for
/// devices everywhere from one address, so only its own limit is its.
fn usual(cx: &Cx, client: &AuthenticatedClient, until: Timestamp) -> Vec<Use> {
    let mut all = match client.is_confidential() {
        true => Vec::new(),
        false => of_place(cx, until, (PER_NETWORK, PER_SITE)),
    };
    let id = client.client().id.as_str();
    all.push(one(cx, until, ("device-client", id.as_bytes(), PER_CLIENT)));
    all
}

/// The same where a public client has many devices waiting: whose they are,
/// nobody knows, so each network still has a few of its own.
fn crowded(cx: &Cx, until: Timestamp) -> Vec<Use> {
    of_place(cx, until, (PER_NETWORK_THEN, PER_SITE_THEN))
}

fn of_place(cx: &Cx, until: Timestamp, (of_network, of_site): (u32, u32)) -> Vec<Use> {
    let own = network(cx.address).to_string();
    let mut all = vec![one(
        cx,
        until,
        ("device-network", own.as_bytes(), of_network),
    )];
    if let Some(site) = site(cx.address).as_ref().map(IpAddr::to_string) {
        all.push(one(cx, until, ("device-site", site.as_bytes(), of_site)));
    }
    all
}

fn one(cx: &Cx, until: Timestamp, (label, part, limit): (&str, &[u8], u32)) -> Use {
    Use {
        name: cx.keys.name_mac(label, &[part]),
        limit,
        until,
    }
}
