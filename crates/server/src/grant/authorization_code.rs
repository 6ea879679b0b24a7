//! The authorization code grant.
//!
//! 1. Open the code; only one sealed here opens.
//! 2. Check every binding: client, redirect URI, verifier, end, key.
//! 3. Ask whether it may be issued, and mint.
//! 4. Spend the code in the act that opens the family.
//!
//! Spec: OAuth 2.1 §4.1.3
//! Spec: RFC 6749 §4.1.3, §10.5
//! Spec: RFC 7636 §4.6
//! Spec: RFC 9449 §10

use symbolon_protocol::{CodeChallenge, CodeVerifier, Parameters, ResourceIdentifier, Scopes};
use symbolon_store::{AuditEvent, CodeKind, NewFamily, RedeemCode, Redeemed};
use symbolon_token::dpop::InvalidProof;
use symbolon_token::{Binding, Digest};

use super::code::{Code, OpenedCode};
use super::family::{self, Opening};
use super::id_token::{self, IdToken};
use super::issue::{Issued, Wish};
use super::{may_issue, target};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};

/// What a client sends with the grant.
pub(crate) struct CodeRequest {
    code: Option<OpenedCode>,
    redirect_uri: Option<String>,
    verifier: Option<CodeVerifier>,
    resources: Vec<String>,
    scopes: Option<Scopes>,
}

impl CodeRequest {
    /// Reads the parameters. A code that does not open is no code.
    pub(crate) fn parse(cx: &Cx, form: &Parameters) -> Result<Self, Refusal> {
        let code = form
            .one("code")
            .ok_or(Refusal::invalid_request("code is missing"))?;
        let verifier = form.one("code_verifier").map(str::parse).transpose();
        let scopes = form.one("scope").map(str::parse).transpose();
        Ok(Self {
            code: Code::open(cx, code),
            redirect_uri: form.one("redirect_uri").map(str::to_owned),
            verifier: verifier
                .map_err(|_| Refusal::invalid_grant("code_verifier does not match"))?,
            resources: form.all("resource").map(str::to_owned).collect(),
            scopes: scopes.map_err(|_| Refusal::invalid_scope("scope is malformed or too long"))?,
        })
    }
}

/// Exchanges an authorization code for tokens.
///
/// Only a presentation with all its bindings reaches the act: the first opens
/// the family, a second means two parties hold the code, so both lose.
pub(crate) async fn exchange(
    cx: &Cx,
    client: &AuthenticatedClient,
    request: CodeRequest,
) -> Result<Issued, Failure> {
    let client = client.client();
    let Some(OpenedCode { ref code, number }) = request.code else {
        return Err(Refusal::invalid_grant("code is not one of this server").into());
    };
    if *code.authority.client() != client.id {
        return Err(Refusal::invalid_grant("code belongs to another client").into());
    }
    check_redirect_uri(code, request.redirect_uri.as_deref())?;
    check_verifier(code.challenge.as_ref(), request.verifier.as_ref())?;
    if code.expires <= cx.now {
        return Err(Refusal::invalid_grant("code has expired").into());
    }
    if let Some(key) = code.key {
        cx.holder().check(&Binding::to_key(key))?;
    }
    let audience = audience(cx, client, code, &request)?;

    // Everything is made before the act, which stores digests alone and asks
    // again, in the same transaction, that grant and session live.
    let scopes = request.scopes.clone();
    let minted = may_issue(
        cx,
        Wish {
            client,
            whole: &code.authority,
            audience,
            scopes,
        },
    )?
    .mint(cx, client)
    .await?;
    let opening = Opening {
        authority: &code.authority,
        session: code.session,
        claims: &code.claims,
    };
    let refresh = family::first(cx, client, &opening, minted.binding)?;
    let mut issued = minted.into_issued();
    issued.refresh_token = refresh
        .as_ref()
        .map(|(token, _)| token.write(&cx.keys))
        .transpose()
        .map_err(|_| NO_KEY)?;
    issued.id_token = id_token::mint_if_due(
        cx,
        IdToken {
            client,
            authority: &code.authority,
            session: code.session,
            asked: request.scopes.as_ref(),
            nonce: code.nonce.as_deref(),
            claims: &code.claims,
            access_token: &issued.access_token,
        },
    )
    .await?;
    let act = redeem(cx, code, number, refresh.map(|(_, family)| family))?;
    match cx.store.act(act).await? {
        Redeemed::First { .. } => Ok(issued),
        Redeemed::ProofReplayed => {
            Err(Refusal::invalid_dpop_proof(InvalidProof::Replayed.description()).into())
        }
        Redeemed::Again => Err(Refusal::invalid_grant("code was already used").into()),
        Redeemed::Withdrawn => {
            Err(Refusal::invalid_grant("what the code came from was taken back").into())
        }
    }
}

const NO_KEY: Broken = Broken::Impossible("no key for refresh tokens");

/// The URI must be the one that the code was sent to. OAuth 2.1 no longer
/// sends it here; where the challenge binds the code already, it may be absent.
fn check_redirect_uri(code: &Code, presented: Option<&str>) -> Result<(), Refusal> {
    match presented {
        Some(uri) if uri == code.redirect_uri.as_str() => Ok(()),
        Some(_) => Err(Refusal::invalid_grant("redirect_uri differs")),
        None if code.challenge.is_some() => Ok(()),
        None => Err(Refusal::invalid_grant("redirect_uri is missing")),
    }
}

/// A verifier is accepted only if there was a challenge, and demanded then
/// (RFC 9700 §4.8.2).
pub(super) fn check_verifier(
    challenge: Option<&CodeChallenge>,
    verifier: Option<&CodeVerifier>,
) -> Result<(), Refusal> {
    match (challenge, verifier) {
        (Some(challenge), Some(verifier)) => {
            let digest = Digest::of(verifier.as_bytes());
            let matches = digest.matches(&Digest::from_bytes(*challenge.digest()));
            if matches {
                Ok(())
            } else {
                Err(Refusal::invalid_grant("code_verifier does not match"))
            }
        }
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refusal::invalid_grant("code_verifier is missing")),
        (None, Some(_)) => Err(Refusal::invalid_grant(
            "code_verifier without code_challenge",
        )),
    }
}

fn audience(
    cx: &Cx,
    client: &symbolon_protocol::Client,
    code: &Code,
    request: &CodeRequest,
) -> Result<ResourceIdentifier, Refusal> {
    let named = target::named(cx, client, &request.resources)?;
    let scopes = request.scopes.as_ref().unwrap_or(code.authority.scopes());
    let granted = target::Granted {
        scopes,
        whole: Some(&code.authority),
    };
    target::choose(cx, client, &named, &granted)
}

fn redeem(
    cx: &Cx,
    code: &Code,
    number: [u8; 16],
    new_family: Option<NewFamily>,
) -> Result<RedeemCode, Failure> {
    let own = &code.authority;
    let (Some(family), Some(grant)) = (own.family(), own.grant()) else {
        return Err(Broken::Impossible("a code without family or grant").into());
    };
    let mut audit = AuditEvent::new("code.reuse", own.client().to_string());
    audit.subject = own.person().map(|person| person.to_string());
    audit.client = Some(own.client().to_string());
    audit.detail = serde_json::json!({ "family": family });
    audit.request = cx.request.to_string();
    Ok(RedeemCode {
        kind: CodeKind::Authorization,
        code: number,
        expires: code.expires,
        grant,
        session: Some(code.session),
        family,
        new_family,
        proof: cx.holder().spent_proof(),
        horizon: cx.horizon(cx.now),
        now: cx.now,
        audit,
    })
}
