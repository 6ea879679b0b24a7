//! A code that a person's word stands behind becomes tokens: the end that all
//! grants with a code of one use share.
//!
//! 1. Ask whether it may be issued, and mint.
//! 2. Use the code up in the act that opens the family.
//!
//! Spec: OAuth 2.1 §4.1.3
//! Spec: RFC 6749 §10.5
//! Spec: RFC 8707 §2.2

use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{Client, ResourceIdentifier, Scopes, Timestamp};
use symbolon_store::{AuditEvent, BurnCode, CodeKind, HangsOn, NewFamily, RedeemCode, Redeemed};
use symbolon_token::dpop::InvalidProof;
use symbolon_token::{Authority, Id, Session};

use super::family::{self, Opening};
use super::id_token::{self, IdToken};
use super::issue::{Issued, Wish};
use super::{may_issue, target};
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};

/// A code of one use whose every binding was shown.
pub(super) struct Redeemable<'a> {
    pub(super) kind: CodeKind,
    /// Names it in the store once it is used.
    pub(super) number: [u8; 16],
    /// When it is too late.
    pub(super) expires: Timestamp,
    /// What was granted.
    pub(super) authority: &'a Authority,
    /// The session in which it was granted.
    pub(super) session: Id<Session>,
    pub(super) nonce: Option<&'a str>,
    /// The claims that were asked for and agreed to.
    pub(super) claims: &'a ClaimsRequest,
}

/// What the client asks for at redemption.
pub(super) struct Asked<'a> {
    pub(super) resources: &'a [String],
    pub(super) scopes: Option<&'a Scopes>,
}

/// Issues tokens for a code, if nobody did before.
pub(super) async fn redeem(
    cx: &Cx,
    client: &Client,
    code: &Redeemable<'_>,
    asked: Asked<'_>,
) -> Result<Issued, Failure> {
    // Everything is made before the act, which stores digests alone and asks
    // again, in the same transaction, that grant, person and session live.
    let wish = Wish {
        client,
        whole: code.authority,
        audience: audience(cx, client, code, &asked)?,
        scopes: asked.scopes.cloned(),
    };
    let minted = may_issue(cx, wish)?.mint(cx, client).await?;
    let opening = Opening {
        authority: code.authority,
        session: code.session,
        claims: code.claims,
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
            authority: code.authority,
            session: code.session,
            asked: asked.scopes,
            nonce: code.nonce,
            claims: code.claims,
            access_token: &issued.access_token,
        },
    )
    .await?;
    let mut act = act(cx, code, refresh.map(|(_, family)| family))?;
    let listens = client.logout.backchannel_logout_uri.is_some();
    act.listener = listens.then(|| client.id.clone());
    match cx.store.act(act).await? {
        Redeemed::First { .. } => Ok(issued),
        Redeemed::ProofReplayed => {
            Err(Refusal::invalid_dpop_proof(InvalidProof::Replayed.description()).into())
        }
        Redeemed::Again => Err(Refusal::invalid_grant(match code.kind {
            CodeKind::Authorization => "code was already used",
            CodeKind::Device => "device_code was already used",
        })
        .into()),
        Redeemed::Withdrawn => {
            Err(Refusal::invalid_grant("what the code came from was taken back").into())
        }
    }
}

/// Uses a code up from which no tokens may come.
pub(super) async fn burn(cx: &Cx, code: &Redeemable<'_>) -> Result<(), Failure> {
    let act = act(cx, code, None)?;
    Ok(cx.store.act(BurnCode(act)).await?)
}

fn audience(
    cx: &Cx,
    client: &Client,
    code: &Redeemable<'_>,
    asked: &Asked<'_>,
) -> Result<ResourceIdentifier, Refusal> {
    let named = target::named(cx, client, asked.resources)?;
    let granted = target::Granted {
        scopes: asked.scopes.unwrap_or(code.authority.scopes()),
        whole: Some(code.authority),
    };
    target::choose(cx, client, &named, &granted)
}

fn act(
    cx: &Cx,
    code: &Redeemable<'_>,
    new_family: Option<NewFamily>,
) -> Result<RedeemCode, Failure> {
    let own = code.authority;
    let (Some(family), Some(grant)) = (own.family(), own.grant()) else {
        return Err(Broken::Impossible("a code without family or grant").into());
    };
    let reuse = match code.kind {
        CodeKind::Authorization => "code.reuse",
        CodeKind::Device => "device_code.reuse",
    };
    let mut audit = AuditEvent::new(reuse, own.client().to_string());
    audit.subject = own.person().map(|person| person.to_string());
    audit.client = Some(own.client().to_string());
    audit.detail = serde_json::json!({ "family": family });
    audit.request = cx.request.to_string();
    Ok(RedeemCode {
        kind: code.kind,
        code: code.number,
        expires: code.expires,
        grant,
        session: Some(code.session),
        family,
        new_family,
        listener: None,
        proof: cx.holder().spent_proof(),
        hangs_on: HangsOn {
            client: own.client().clone(),
            membership: own.organization().cloned().zip(own.person()),
            since: own.position(),
        },
        listens_until: cx.horizon(cx.now),
        horizon: cx.token_horizon(cx.now),
        now: cx.now,
        audit,
    })
}
