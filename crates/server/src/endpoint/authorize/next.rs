//! What stands between a request and its code: sign-in, then consent.
//!
//! Spec: OpenID Connect Core 1.0 §3.1.2.3, §3.1.2.4, §3.1.2.6

use axum::response::Response;
use symbolon_protocol::{ErrorCode, OrganizationId};
use symbolon_store::{FindOrganization, Membership, MembershipsOf};

use super::answer::Destination;
use super::asked::{Ask, asked, is_agreed};
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
    let organization = transaction.organization.as_ref();
    let grant = consented::standing(cx, session.person.id, client, organization).await?;
    let granted = grant.as_ref().map(|grant| &grant.agreement);
    if is_agreed(cx, client, transaction, granted) {
        let agreed = Agreed {
            agreement: asked(cx, Ask::of(client, transaction)),
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
        && transaction.is_for(session.person.id)
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
