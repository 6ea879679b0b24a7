//! What stands between a request and its code: sign-in, then consent.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3, §3.1.2.4, §3.1.2.6

use axum::response::Response;
use symbolon_protocol::{Client, ConsentPolicy, ErrorCode, OrganizationId};
use symbolon_store::{FindGrant, FindOrganization, Grant, Membership, MembershipsOf};

use super::answer::Destination;
use super::consented::{self, Agreed};
use crate::authn::session::LiveSession;
use crate::authn::transaction::{Browser, Transaction};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
use crate::respond;

/// Takes the next step that a request needs.
pub(crate) async fn proceed(
    cx: &Cx,
    browser: &Browser,
    transaction: &Transaction,
    session: Option<LiveSession>,
    silent: bool,
) -> Result<Response, Failure> {
    let Some(session) = session.filter(|session| is_enough(transaction, session)) else {
        if silent {
            return Err(
                Refusal::new(ErrorCode::LoginRequired, "nobody who fits is signed in").into(),
            );
        }
        return step(cx, browser, transaction, "/login");
    };
    let destination = Destination::of(cx, transaction).await?;
    let client = &destination.client.client;
    let membership = membership(cx, transaction.organization.as_ref(), &session).await?;
    let grant = cx.store.read(FindGrant {
        person: session.person.id,
        client: client.id.clone(),
        organization: transaction.organization.clone(),
    });
    let grant = grant.await?;
    if is_agreed(cx, client, transaction, grant.as_ref()) {
        let agreed = Agreed {
            scopes: transaction.scopes.clone(),
            membership,
            grant,
        };
        return consented::send_code(cx, &destination, transaction, &session, agreed).await;
    }
    if silent {
        return Err(Refusal::new(
            ErrorCode::ConsentRequired,
            "the person has not agreed to this",
        )
        .into());
    }
    step(cx, browser, transaction, "/consent")
}

/// Whether a session is the right person's and young enough.
pub(crate) fn is_enough(transaction: &Transaction, session: &LiveSession) -> bool {
    !transaction.ask_sign_in
        && transaction
            .person
            .is_none_or(|person| person == session.person.id)
        && session.session.authenticated >= transaction.not_before
}

fn step(
    cx: &Cx,
    browser: &Browser,
    transaction: &Transaction,
    path: &str,
) -> Result<Response, Failure> {
    let sealed = transaction.seal(cx, browser)?;
    respond::see_other(&format!(
        "{}?transaction={sealed}",
        cx.settings.issuer.endpoint(path)
    ))
}

/// The person's membership in the organization that a token is to carry.
pub(crate) async fn membership(
    cx: &Cx,
    organization: Option<&OrganizationId>,
    session: &LiveSession,
) -> Result<Option<Membership>, Failure> {
    let Some(organization) = organization else {
        return Ok(None);
    };
    let refused = Refusal::access_denied("the person does not belong to that organization");
    let found = cx
        .store
        .read(FindOrganization {
            id: organization.clone(),
        })
        .await?;
    if !found.is_some_and(|found| found.enabled) {
        return Err(refused.into());
    }
    let all = cx
        .store
        .read(MembershipsOf {
            person: session.person.id,
        })
        .await?;
    let own = all
        .into_iter()
        .find(|own| own.organization.id == *organization);
    own.map(Some).ok_or_else(|| refused.into())
}

/// Whether nobody needs to be asked. A client that does not prove itself could
/// be anybody, so its answer is never given silently (RFC 8252 §8.6).
fn is_agreed(cx: &Cx, client: &Client, transaction: &Transaction, grant: Option<&Grant>) -> bool {
    if transaction.ask_consent {
        return false;
    }
    if client.consent == ConsentPolicy::FirstParty {
        // Sensitive scopes are never given without being named to the person.
        let resources = cx.directory.resources();
        let sensitive = transaction.scopes.filtered(|scope| {
            resources
                .iter()
                .any(|own| own.sensitive_scopes.contains(scope))
        });
        return sensitive.is_empty()
            || grant.is_some_and(|grant| sensitive.is_within(&grant.scopes));
    }
    client.is_confidential()
        && grant.is_some_and(|grant| {
            transaction.scopes.is_within(&grant.scopes)
                && consented::resources(cx, client, transaction, &transaction.scopes)
                    .iter()
                    .all(|resource| grant.resources.contains(resource))
                && consented::claim_names(transaction)
                    .iter()
                    .all(|name| grant.claims.contains(name))
        })
}
