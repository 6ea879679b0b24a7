//! The device code grant.
//!
//! 1. Find what the code stands for; only its digest is stored.
//! 2. Check every binding: client, verifier, key, end.
//! 3. While nobody has decided, say so, and how fast to ask.
//! 4. Redeem it (`redemption`): ask whether it may be issued, mint, and use the
//!    code up in the act that opens the family.
//!
//! A poll that gets nothing writes nothing, but where it came too soon: that the
//! device was slowed down, every node knows.
//!
//! Spec: RFC 8628 §3.4, §3.5
//! Spec: RFC 7636 §4.6
//! Spec: RFC 8707 §2.2
//! Spec: RFC 9449 §5

use symbolon_protocol::{CodeChallenge, CodeVerifier, ErrorCode, Parameters, Scopes};
use symbolon_store::{
    CodeKind, CountUses, DeviceDecision, FindDeviceAuthorization, FindUses, Use, WaitingDevice,
};
use symbolon_token::Binding;

use super::Issued;
use super::authorization_code::check_verifier;
use super::device_request::{DeviceCode, DeviceRequest};
use super::family::FamilyDocument;
use super::redemption::{Asked, Redeemable, redeem};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::pace::{MAX_SLOWED, Polled};

/// What a device sends with the grant.
pub(crate) struct DeviceCodeRequest {
    code: Option<DeviceCode>,
    verifier: Option<CodeVerifier>,
    resources: Vec<String>,
    scopes: Option<Scopes>,
}

impl DeviceCodeRequest {
    /// Reads the parameters. A code that has not our form is no code.
    pub(crate) fn parse(form: &Parameters) -> Result<Self, Refusal> {
        let code = form
            .one("device_code")
            .ok_or(Refusal::invalid_request("device_code is missing"))?;
        let verifier = form.one("code_verifier").map(str::parse).transpose();
        let scopes = form.one("scope").map(str::parse).transpose();
        Ok(Self {
            code: DeviceCode::read(code),
            verifier: verifier
                .map_err(|_| Refusal::invalid_grant("code_verifier does not match"))?,
            resources: form.all("resource").map(str::to_owned).collect(),
            scopes: scopes.map_err(|_| Refusal::invalid_scope("scope is malformed or too long"))?,
        })
    }
}

/// Exchanges a device code for tokens, once a person has allowed it.
///
/// The first poll after that opens the family. Another one with all its bindings
/// means that two parties hold the code, so both lose.
pub(crate) async fn exchange(
    cx: &Cx,
    client: &AuthenticatedClient,
    request: DeviceCodeRequest,
) -> Result<Issued, Failure> {
    let client = client.client();
    let unknown = || Refusal::invalid_grant("device_code is not one of this server");
    let code = request.code.as_ref().ok_or_else(unknown)?;
    let id = code.id;
    let found = cx.store.read(FindDeviceAuthorization { id }).await?;
    let waiting = found
        .filter(|waiting| waiting.secret.matches(&code.digest()))
        .ok_or_else(unknown)?;
    let asked = DeviceRequest::decode(&waiting.request)?;
    if asked.client != client.id {
        return Err(Refusal::invalid_grant("device_code belongs to another client").into());
    }
    let challenge = asked.challenge.as_deref().map(str::parse::<CodeChallenge>);
    let challenge = challenge
        .transpose()
        .map_err(|_| Broken::Impossible("a checked challenge does not parse"))?;
    check_verifier(challenge.as_ref(), request.verifier.as_ref())?;
    if let Some(key) = asked.key {
        cx.holder().check(&Binding::to_key(key))?;
    }
    if waiting.expires <= cx.now {
        return Err(Refusal::new(ErrorCode::ExpiredToken, "device_code has expired").into());
    }
    let document = match waiting.decided {
        DeviceDecision::Waiting => return Err(wait(cx, &waiting).await?.into()),
        DeviceDecision::Denied => {
            return Err(Refusal::access_denied("the person said no")
                .with_status(400)
                .into());
        }
        DeviceDecision::Allowed(bytes) => FamilyDocument::decode(&bytes),
    };
    let document = document.ok_or(Broken::Impossible("what was allowed does not decode"))?;
    let redeemable = Redeemable {
        kind: CodeKind::Device,
        number: *id.as_bytes(),
        expires: waiting.expires,
        authority: &document.authority,
        session: document.session,
        nonce: None,
        claims: &document.claims,
    };
    let asked = Asked {
        resources: &request.resources,
        scopes: request.scopes.as_ref(),
    };
    redeem(cx, client, &redeemable, asked).await
}

async fn wait(cx: &Cx, waiting: &WaitingDevice) -> Result<Refusal, Failure> {
    let slowed = Use {
        name: cx.keys.name_mac("device-slowed", &[waiting.id.as_bytes()]),
        limit: MAX_SLOWED,
        until: waiting.expires,
    };
    let found = FindUses {
        name: slowed.name,
        now: cx.now,
    };
    let times = cx.store.read(found).await?;
    if cx.polls.poll(waiting.id, times, cx.now) == Polled::InTime {
        let why = "nobody has decided yet";
        return Ok(Refusal::new(ErrorCode::AuthorizationPending, why));
    }
    // One that cannot be slowed down further writes nothing either.
    if times < MAX_SLOWED {
        let act = CountUses {
            uses: vec![slowed],
            now: cx.now,
        };
        Box::pin(cx.store.act(act)).await?;
    }
    let why = "too soon: wait five seconds longer between requests from now on";
    Ok(Refusal::new(ErrorCode::SlowDown, why))
}
