//! Renewal: one conditional update decides.
//!
//! 1. Open the token; forgeries never reach the database.
//! 2. Ask whether it may be issued, and mint.
//! 3. Rotate: the direct predecessor within the grace time gets the same
//!    successor, anything else that is not current is theft.
//!
//! Spec: RFC 6749 §6
//! Spec: OAuth 2.1 §4.3
//! Spec: RFC 9700 §4.14.2
//! Spec: RFC 9449 §5

use symbolon_protocol::{Client, Parameters, Scopes, planted};
use symbolon_store::{AuditEvent, Renew, Rotate, Rotated};
use symbolon_token::dpop::InvalidProof;
use symbolon_token::keyring::Purpose;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::revocation::Target;
use symbolon_token::{Ancestor, Authority, Derivation, Narrowing};

use super::family::{self, FamilyDocument};
use super::id_token::{self, IdToken};
use super::issue::{Issued, Wish};
use super::{may_issue, target};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};

/// What a client sends with the grant.
pub(crate) struct RefreshRequest {
    token: Option<RefreshToken>,
    resources: Vec<String>,
    scopes: Option<Scopes>,
}

impl RefreshRequest {
    /// Reads the parameters. A token that does not open is no token.
    pub(crate) fn parse(cx: &Cx, form: &Parameters) -> Result<Self, Refusal> {
        let token = form
            .one("refresh_token")
            .ok_or(Refusal::invalid_request("refresh_token is missing"))?;
        let scopes = form.one("scope").map(str::parse).transpose();
        Ok(Self {
            token: RefreshToken::open(&cx.keys, token).ok(),
            resources: form.all("resource").map(str::to_owned).collect(),
            scopes: scopes.map_err(|_| Refusal::invalid_scope("scope is malformed or too long"))?,
        })
    }
}

/// Renews an access token.
pub(crate) async fn renew(
    cx: &Cx,
    client: &AuthenticatedClient,
    request: RefreshRequest,
) -> Result<Issued, Failure> {
    let client = client.client();
    let Some(presented) = &request.token else {
        return Err(Refusal::invalid_grant("refresh_token is not one of this server").into());
    };
    let Some(document) = family::document(cx, presented.family).await? else {
        return Err(ENDED().into());
    };
    if *document.authority.client() != client.id {
        return Err(Refusal::invalid_grant("refresh_token belongs to another client").into());
    }

    // Everything that can be refused, and everything that is issued, comes
    // before the act: a refusal rotates nothing, so no retry looks like theft.
    let whole = &made_with(presented, &document.authority)?;
    let mut issued = mint(cx, client, (whole, &document), &request).await?;
    issued.id_token = id_token::mint_if_due(
        cx,
        IdToken {
            client,
            authority: whole,
            asked: request.scopes.as_ref(),
            session: document.session,
            nonce: None,
            claims: &document.claims,
            access_token: &issued.access_token,
        },
    )
    .await?;
    let outcome = if family::rotates(client, &document) {
        cx.store.act(rotate(cx, client, presented)).await?
    } else {
        cx.store.act(keep(cx, client, presented)).await?
    };
    let live = match outcome {
        Rotated::To(live) | Rotated::Same(live) => live,
        Rotated::Theft { .. } => {
            crate::metric::theft();
            let reason = "refresh_token was used before; everything that came of it has ended";
            return Err(Refusal::invalid_grant(reason).into());
        }
        Rotated::Ended => return Err(ENDED().into()),
        Rotated::ProofReplayed => {
            let reason = InvalidProof::Replayed.description();
            return Err(Refusal::invalid_dpop_proof(reason).into());
        }
        Rotated::OtherClient => {
            return Err(Refusal::invalid_grant("refresh_token belongs to another client").into());
        }
    };
    let current = if live.generation == presented.generation {
        presented.write(&cx.keys)
    } else {
        presented
            .successor_under(&cx.keys, live.key)
            .and_then(|next| next.write(&cx.keys))
    };
    issued.refresh_token =
        Some(current.map_err(|_| Broken::Impossible("no key for refresh tokens"))?);
    Ok(issued)
}

const ENDED: fn() -> Refusal =
    || Refusal::invalid_grant("refresh_token has ended or was taken back");

async fn mint(
    cx: &Cx,
    client: &Client,
    (whole, document): (&Authority, &FamilyDocument),
    request: &RefreshRequest,
) -> Result<Issued, Failure> {
    if !family::may_go_on(client, whole.scopes()) {
        return Err(Refusal::invalid_grant("offline access was taken from this client").into());
    }
    let is_wider = |asked: &Scopes| !asked.is_within(whole.scopes()) && !planted(7);
    if request.scopes.as_ref().is_some_and(is_wider) {
        return Err(Refusal::invalid_scope("that is more than was granted").into());
    }
    let named = target::named(cx, client, &request.resources)?;
    let scopes = request.scopes.as_ref().unwrap_or(whole.scopes());
    let granted = target::Granted {
        scopes,
        whole: Some(whole),
    };
    let audience = target::choose(cx, client, &named, &granted)?;
    let wish = Wish {
        client,
        whole,
        audience,
        scopes: request.scopes.clone(),
    };
    let issuable = may_issue(cx, wish)?;
    issuable.check_bound_like(&document.first)?;
    Ok(issuable.mint(cx, client).await?.into_issued())
}

/// What was granted, with the key of the refresh token on record. Whoever has
/// that key and one token of the family can make all that follow it, so what
/// comes of one dies when the key is distrusted.
fn made_with(presented: &RefreshToken, whole: &Authority) -> Result<Authority, Refusal> {
    let key = Ancestor {
        target: Target::Key,
        name: Purpose::RefreshToken.key_mark(presented.key),
    };
    let narrowed = whole.narrow(Narrowing {
        derivation: Some(Derivation {
            client: whole.client().clone(),
            actor: None,
            from: vec![key],
        }),
        ..Narrowing::default()
    });
    narrowed.map_err(|_| Refusal::invalid_grant("it was derived too often"))
}

fn rotate(cx: &Cx, client: &Client, presented: &RefreshToken) -> Rotate {
    let next = presented.successor(&cx.keys);
    Rotate {
        family: presented.family,
        generation: presented.generation,
        presented: presented.digest(),
        next: next.digest(),
        key: next.key,
        client: client.id.clone(),
        idle_ends: family::idle_end(cx, client),
        grace_ms: family::grace_millis(cx, client),
        proof: cx.holder().spent_proof(),
        horizon: cx.token_horizon(cx.now),
        audit: theft(cx, client, presented),
        now: cx.now,
    }
}

fn keep(cx: &Cx, client: &Client, presented: &RefreshToken) -> Renew {
    Renew {
        family: presented.family,
        generation: presented.generation,
        presented: presented.digest(),
        client: client.id.clone(),
        idle_ends: family::idle_end(cx, client),
        grace_ms: family::grace_millis(cx, client),
        proof: cx.holder().spent_proof(),
        horizon: cx.token_horizon(cx.now),
        audit: theft(cx, client, presented),
        now: cx.now,
    }
}

/// What is written down should the token turn out to be stolen.
pub(super) fn theft(cx: &Cx, client: &Client, presented: &RefreshToken) -> AuditEvent {
    let mut audit = AuditEvent::new("refresh.reuse", client.id.to_string());
    audit.client = Some(client.id.to_string());
    audit.detail = serde_json::json!({
        "family": presented.family,
        "generation": presented.generation,
        "network": crate::limit::network(cx.address).to_string(),
        "key": cx.holder().key(),
        "certificate": cx.holder().certificate(),
    });
    audit.request = cx.request.to_string();
    audit
}
