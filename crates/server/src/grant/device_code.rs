//! The device code grant.
//!
//! 1. Find what the code stands for; only its digest is stored.
//! 2. Check every binding: client, verifier, key, end.
//! 3. While nobody has decided, say so, and how fast to ask.
//! 4. Ask whether it may be issued, and mint.
//! 5. Use the code up in the act that opens the family.
//!
//! A poll that gets nothing writes nothing.
//!
//! Spec: RFC 8628 §3.4, §3.5
//! Spec: RFC 7636 §4.6
//! Spec: RFC 8707 §2.2
//! Spec: RFC 9449 §5

use symbolon_protocol::{
    Client, CodeChallenge, CodeVerifier, ErrorCode, Parameters, ResourceIdentifier, Scopes,
    Timestamp,
};
use symbolon_store::{
    AuditEvent, CodeKind, DeviceDecision, FindDeviceAuthorization, NewFamily, RedeemCode, Redeemed,
};
use symbolon_token::dpop::InvalidProof;
use symbolon_token::{Binding, DeviceAuthorization, Id};

use super::authorization_code::check_verifier;
use super::device_request::{DeviceCode, DeviceRequest};
use super::family::{self, FamilyDocument, Opening};
use super::id_token::{self, IdToken};
use super::issue::{Issued, Wish};
use super::{may_issue, target};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::pace::Polled;

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

/// What a person allowed a device, before it is tokens.
struct Allowed {
    id: Id<DeviceAuthorization>,
    expires: Timestamp,
    document: FamilyDocument,
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
        DeviceDecision::Waiting => return Err(wait(cx, id).into()),
        DeviceDecision::Denied => {
            return Err(Refusal::access_denied("the person said no")
                .with_status(400)
                .into());
        }
        DeviceDecision::Allowed(bytes) => FamilyDocument::decode(&bytes),
    };
    let document = document.ok_or(Broken::Impossible("what was allowed does not decode"))?;
    let allowed = Allowed {
        id,
        expires: waiting.expires,
        document,
    };
    issue(cx, client, &request, &allowed).await
}

fn wait(cx: &Cx, id: Id<DeviceAuthorization>) -> Refusal {
    match cx.polls.poll(id, cx.now) {
        Polled::InTime => Refusal::new(ErrorCode::AuthorizationPending, "nobody has decided yet"),
        Polled::TooSoon => Refusal::new(
            ErrorCode::SlowDown,
            "too soon: wait five seconds longer between requests from now on",
        ),
    }
}

async fn issue(
    cx: &Cx,
    client: &Client,
    request: &DeviceCodeRequest,
    allowed: &Allowed,
) -> Result<Issued, Failure> {
    let document = &allowed.document;
    let authority = &document.authority;
    let audience = audience(cx, client, request, document)?;

    // Everything is made before the act, which stores digests alone and asks
    // again, in the same transaction, that grant, person and session live.
    let minted = may_issue(
        cx,
        Wish {
            client,
            whole: authority,
            audience,
            scopes: request.scopes.clone(),
        },
    )?
    .mint(cx, client)
    .await?;
    let opening = Opening {
        authority,
        session: document.session,
        claims: &document.claims,
    };
    let refresh = family::first(cx, client, &opening, minted.binding)?;
    let mut issued = minted.into_issued();
    issued.refresh_token = refresh
        .as_ref()
        .map(|(token, _)| token.write(&cx.keys))
        .transpose()
        .map_err(|_| Broken::Impossible("no key for refresh tokens"))?;
    issued.id_token = id_token::mint_if_due(
        cx,
        IdToken {
            client,
            authority,
            session: document.session,
            asked: request.scopes.as_ref(),
            nonce: None,
            claims: &document.claims,
            access_token: &issued.access_token,
        },
    )
    .await?;
    let act = redeem(cx, allowed, refresh.map(|(_, family)| family))?;
    match cx.store.act(act).await? {
        Redeemed::First { .. } => Ok(issued),
        Redeemed::ProofReplayed => {
            Err(Refusal::invalid_dpop_proof(InvalidProof::Replayed.description()).into())
        }
        Redeemed::Again => Err(Refusal::invalid_grant("device_code was already used").into()),
        Redeemed::Withdrawn => {
            Err(Refusal::invalid_grant("what the code came from was taken back").into())
        }
    }
}

fn audience(
    cx: &Cx,
    client: &Client,
    request: &DeviceCodeRequest,
    document: &FamilyDocument,
) -> Result<ResourceIdentifier, Refusal> {
    let named = target::named(cx, client, &request.resources)?;
    let whole = &document.authority;
    let granted = target::Granted {
        scopes: request.scopes.as_ref().unwrap_or(whole.scopes()),
        whole: Some(whole),
    };
    target::choose(cx, client, &named, &granted)
}

fn redeem(
    cx: &Cx,
    allowed: &Allowed,
    new_family: Option<NewFamily>,
) -> Result<RedeemCode, Failure> {
    let own = &allowed.document.authority;
    let (Some(family), Some(grant)) = (own.family(), own.grant()) else {
        return Err(Broken::Impossible("a device code without family or grant").into());
    };
    let mut audit = AuditEvent::new("device_code.reuse", own.client().to_string());
    audit.subject = own.person().map(|person| person.to_string());
    audit.client = Some(own.client().to_string());
    audit.detail = serde_json::json!({ "family": family });
    audit.request = cx.request.to_string();
    Ok(RedeemCode {
        kind: CodeKind::Device,
        code: *allowed.id.as_bytes(),
        expires: allowed.expires,
        grant,
        session: Some(allowed.document.session),
        family,
        new_family,
        proof: cx.holder().spent_proof(),
        horizon: cx.horizon(cx.now),
        now: cx.now,
        audit,
    })
}
