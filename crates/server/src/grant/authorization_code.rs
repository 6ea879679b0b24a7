//! The authorization code grant.
//!
//! 1. Open the code; only one sealed here opens.
//! 2. Check every binding: client, redirect URI, verifier, end, key.
//! 3. Ask whether the redirect URI is still the client's: one that was taken
//!    away takes the code along.
//! 4. Redeem it (`redemption`): ask whether it may be issued, mint, and use the
//!    code up in the act that opens the family.
//!
//! Spec: OAuth 2.1 §4.1.3
//! Spec: RFC 6749 §4.1.3, §10.5
//! Spec: RFC 7636 §4.6
//! Spec: RFC 9449 §10

use symbolon_protocol::{ClientId, CodeChallenge, CodeVerifier, Parameters, Scopes, planted};
use symbolon_store::CodeKind;
use symbolon_token::{Binding, Digest};

use super::Issued;
use super::code::{Code, OpenedCode};
use super::redemption::{Asked, Redeemable, burn, redeem};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::endpoint::authorize::answer::is_registered;
use crate::failure::{Failure, Refusal};

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
    if *code.authority.client() != client.id && !planted(20) {
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
    let redeemable = Redeemable {
        kind: CodeKind::Authorization,
        number,
        expires: code.expires,
        authority: &code.authority,
        session: code.session,
        nonce: code.nonce.as_deref(),
        claims: &code.claims,
    };
    let asked = Asked {
        resources: &request.resources,
        scopes: request.scopes.as_ref(),
    };
    let uri = code.redirect_uri.as_str();
    if !is_registered(client, uri) && !is_registered_by_now(cx, &client.id, uri).await? {
        // Whoever took the address away may know that what is sent there is
        // read. Of a document this node may have the older one.
        if !cx.is_documented(&client.id).await? {
            burn(cx, &redeemable).await?;
        }
        let why = "redirect_uri is not one of this client any more";
        return Err(Refusal::invalid_grant(why).into());
    }
    redeem(cx, client, &redeemable, asked).await
}

/// Asks for the URI once more, knowing all that other nodes have changed: one of
/// them may have sent the code to an address that was added a moment ago.
async fn is_registered_by_now(cx: &Cx, id: &ClientId, uri: &str) -> Result<bool, Failure> {
    cx.follow().await?;
    let found = cx.known_client(id).await?;
    Ok(found.is_some_and(|own| is_registered(&own.client, uri)))
}

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
