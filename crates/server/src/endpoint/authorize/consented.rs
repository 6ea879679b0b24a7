//! A person agreed: what they granted is written down, and the code is sent.
//!
//! Spec: RFC 6749 §4.1.2
//! Spec: RFC 9700 §2.1.1

use axum::response::Response;
use symbolon_protocol::claims::ClaimsRequest;
use symbolon_protocol::{Agreement, Client, ErrorCode, OrganizationId, Scopes, Timestamp};
use symbolon_store::{AuditEvent, ClientRow, Consent, Consented, FindGrant, Grant, Membership};
use symbolon_token::{Authority, Binding, Granted, Id, Person, Subject};

use super::answer::Destination;
use super::asked::{Ask, asked};
use crate::authn::session::LiveSession;
use crate::authn::transaction::Transaction;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::grant::code::Code;
use crate::grant::target;

/// How often a consent is merged anew where another one came in between.
const TRIES: u8 = 4;

/// What a person agreed to.
pub(crate) struct Agreed {
    pub(crate) agreement: Agreement,
    pub(crate) membership: Option<Membership>,
    /// The live grant, as it was read.
    pub(crate) grant: Option<Grant>,
}

/// Writes the grant down where it is new, and sends the code.
pub(crate) async fn send_code(
    cx: &Cx,
    destination: &Destination,
    transaction: &Transaction,
    session: &LiveSession,
    agreed: Agreed,
) -> Result<Response, Failure> {
    cx.check_fresh()?;
    let ask = Ask::of(&destination.client.client, transaction);
    let grant = granted(cx, ask, session, &agreed).await?;
    let code = code(
        cx,
        transaction,
        session,
        authority(cx, ask, session, (grant, agreed)),
    )?;
    destination.send(cx, vec![("code".to_owned(), code.seal(cx))])
}

/// The live grant that covers what was agreed to, written only where that is
/// another thing than before.
pub(crate) async fn granted(
    cx: &Cx,
    ask: Ask<'_>,
    session: &LiveSession,
    agreed: &Agreed,
) -> Result<Id<symbolon_token::Grant>, Failure> {
    let asked = asked(cx, ask);
    let client_row = match cx.kind_of_client(&ask.client.id).is_self_described() {
        true => ClientRow::Optional,
        false => ClientRow::Required,
    };
    let mut found = agreed.grant.clone();
    for _ in 0..TRIES {
        let merged = merge(&asked, agreed, found.as_ref());
        if let Some(grant) = &found
            && grant.agreement == merged
        {
            return Ok(grant.id);
        }
        let act = Consent {
            id: Id::new(session.person.id.slot(), cx.entropy()),
            person: session.person.id,
            client: ask.client.id.clone(),
            client_row,
            organization: ask.organization.cloned(),
            agreement: merged,
            former: found,
            session: Some(session.session.id),
            horizon: cx.token_horizon(cx.now),
            audit: audit(cx, ask, session, &agreed.agreement.scopes()),
            now: cx.now,
        };
        match cx.store.act(act).await? {
            Consented::Granted(grant) => return Ok(grant.id),
            Consented::SignedOut => {
                let why = "the session has ended; sign in again";
                return Err(Refusal::new(ErrorCode::LoginRequired, why).into());
            }
            Consented::NoClient => {
                let why = "the client is gone, or may not be used";
                return Err(Refusal::new(ErrorCode::UnauthorizedClient, why).into());
            }
            Consented::Changed => {
                found = standing(cx, session.person.id, ask.client, ask.organization).await?;
            }
        }
    }
    Err(Broken::Impossible("a grant changed again and again").into())
}

/// The live grant of a person to a client, without what they agreed to at an
/// API that has been deleted since: another one may have its name.
pub(crate) async fn standing(
    cx: &Cx,
    person: Id<Person>,
    client: &Client,
    organization: Option<&OrganizationId>,
) -> Result<Option<Grant>, Failure> {
    let found = cx.store.read(FindGrant {
        person,
        client: client.id.clone(),
        organization: organization.cloned(),
    });
    let mut found = found.await?;
    if let Some(grant) = &mut found {
        let (places, meant) = (&mut grant.agreement.places, grant.position);
        places.retain(|place, _| !target::is_another(cx, place, meant));
    }
    Ok(found)
}

/// What was agreed to before, as far as it still is, and now.
fn merge(asked: &Agreement, agreed: &Agreed, found: Option<&Grant>) -> Agreement {
    let now = &agreed.agreement;
    match found {
        None => now.clone(),
        Some(grant) => grant.agreement.after(asked, now).united_with(now),
    }
}

fn audit(cx: &Cx, ask: Ask<'_>, session: &LiveSession, scopes: &Scopes) -> AuditEvent {
    let person = session.person.id.to_string();
    let mut audit = AuditEvent::new("consent.grant", person.clone());
    audit.subject = Some(person);
    audit.client = Some(ask.client.id.to_string());
    audit.detail = serde_json::json!({ "scope": scopes.to_string() });
    audit.request = cx.request.to_string();
    audit
}

/// What comes of a grant: a family of its own, and what was agreed to.
pub(crate) struct Came {
    pub(crate) authority: Authority,
    /// The claims that were asked for and agreed to.
    pub(crate) claims: ClaimsRequest,
}

/// All that a grant permits.
pub(crate) fn authority(
    cx: &Cx,
    ask: Ask<'_>,
    session: &LiveSession,
    (grant, agreed): (Id<symbolon_token::Grant>, Agreed),
) -> Came {
    let agreement = agreed.agreement;
    let scopes = agreement.scopes();
    // What has `openid` without `offline_access` ends with the session.
    let ends_with_session = scopes.contains("openid") && !scopes.contains("offline_access");
    let roles = agreed.membership.map(|membership| membership.roles);
    Came {
        claims: agreement.agreed_claims(ask.claims),
        authority: Authority::granted(Granted {
            subject: Subject::Person(session.person.id),
            client: ask.client.id.clone(),
            audiences: agreement.places.keys().cloned().collect(),
            scopes,
            agreement,
            expires: Timestamp::FAR,
            organization: ask.organization.cloned(),
            roles: roles.unwrap_or_default(),
            grant: Some(grant),
            family: Some(Id::new(session.person.id.slot(), cx.entropy())),
            session: ends_with_session.then_some(session.session.id),
            authentication: Some(session.authentication()),
            binding: Binding::NONE,
            actors: Vec::new(),
            may_act: None,
            lineage: Vec::new(),
            position: cx.position,
        }),
    }
}

fn code(
    cx: &Cx,
    transaction: &Transaction,
    session: &LiveSession,
    came: Came,
) -> Result<Code, Failure> {
    let challenge = transaction.challenge.as_deref().map(str::parse).transpose();
    Ok(Code {
        redirect_uri: transaction.redirect_uri.clone(),
        challenge: challenge
            .map_err(|_| Broken::Impossible("a checked challenge does not parse"))?,
        key: transaction.key,
        session: session.session.id,
        nonce: transaction.nonce.clone(),
        claims: came.claims,
        expires: cx.now + cx.settings.lifetimes.authorization_code.duration(),
        authority: came.authority,
    })
}
