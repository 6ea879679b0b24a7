//! A person agreed: what they granted is written down, and the code is sent.
//!
//! Spec: RFC 6749 §4.1.2
//! Spec: RFC 9700 §2.1.1

use axum::response::Response;
use symbolon_protocol::{Client, ResourceIdentifier, Scopes, Timestamp};
use symbolon_store::{AuditEvent, Consent, Consented, FindGrant, Grant, Membership};
use symbolon_token::{Authority, Binding, Granted, Id, Subject};

use super::answer::Destination;
use crate::authn::session::LiveSession;
use crate::authn::transaction::Transaction;
use crate::cx::Cx;
use crate::failure::{Broken, Failure};
use crate::grant::code::Code;
use crate::grant::target;

/// How often a consent is merged anew where another one came in between.
const TRIES: u8 = 4;

/// What a person agreed to.
pub(crate) struct Agreed {
    pub(crate) scopes: Scopes,
    pub(crate) membership: Option<Membership>,
    /// The live grant, as it was read.
    pub(crate) grant: Option<Grant>,
}

/// The claims that a request asks for one by one, each with the place where it
/// is to be told, as in `userinfo.email`.
pub(crate) fn claim_names(transaction: &Transaction) -> Vec<String> {
    let named = |place: &'static str| move |name: &String| format!("{place}{name}");
    let claims = &transaction.claims;
    let in_id_token = claims.id_token.keys().filter(|name| *name != "sub");
    let in_userinfo = claims.userinfo.keys().filter(|name| *name != "sub");
    in_id_token
        .map(named("id_token."))
        .chain(in_userinfo.map(named(USERINFO)))
        .collect()
}

/// Begins the name of a claim that userinfo may tell.
pub(crate) const USERINFO: &str = "userinfo.";

/// Writes the grant down where it is new, and sends the code.
pub(crate) async fn send_code(
    cx: &Cx,
    destination: &Destination,
    transaction: &Transaction,
    session: &LiveSession,
    agreed: Agreed,
) -> Result<Response, Failure> {
    cx.check_fresh()?;
    let client = &destination.client.client;
    let resources = resources(cx, client, transaction, &agreed.scopes);
    let grant = granted(cx, transaction, session, &agreed, &resources).await?;
    let code = code(
        cx,
        transaction,
        session,
        Sealing {
            grant,
            agreed,
            resources,
        },
    )?;
    destination.send(cx, vec![("code".to_owned(), code.seal(cx))])
}

/// Where tokens of this code may be for: what was asked for, or else every
/// resource of the client whose scopes were granted; and the issuer.
pub(crate) fn resources(
    cx: &Cx,
    client: &Client,
    transaction: &Transaction,
    scopes: &Scopes,
) -> Vec<ResourceIdentifier> {
    let issuer = ResourceIdentifier::from(&cx.settings.issuer);
    let mut resources = transaction.resources.clone();
    if resources.is_empty() {
        let of_scopes = |identifier: &&ResourceIdentifier| {
            target::resource(cx, identifier)
                .is_some_and(|resource| !resource.scopes.intersection(scopes).is_empty())
        };
        resources = client.resources.iter().filter(of_scopes).cloned().collect();
        resources.extend(
            client
                .default_resource
                .iter()
                .filter(|own| !resources.contains(own))
                .cloned()
                .collect::<Vec<_>>(),
        );
    }
    // Userinfo is at the issuer, and so is what names no resource.
    let is_needed = transaction.resources.is_empty() || scopes.contains("openid");
    if is_needed && !resources.contains(&issuer) {
        resources.push(issuer);
    }
    resources.truncate(symbolon_token::authority::MAX_AUDIENCES);
    resources
}

/// The live grant that covers what was agreed to, written only where it grew.
async fn granted(
    cx: &Cx,
    transaction: &Transaction,
    session: &LiveSession,
    agreed: &Agreed,
    resources: &[ResourceIdentifier],
) -> Result<Id<symbolon_token::Grant>, Failure> {
    let mut found = agreed.grant.clone();
    for _ in 0..TRIES {
        let merged = merge(transaction, agreed, resources, found.as_ref());
        if let Some(grant) = &found
            && (&grant.scopes, &grant.resources, &grant.claims)
                == (&merged.scopes, &merged.resources, &merged.claims)
        {
            return Ok(grant.id);
        }
        let act = Consent {
            id: Id::new(session.person.id.slot(), cx.entropy()),
            person: session.person.id,
            client: transaction.client.clone(),
            organization: transaction.organization.clone(),
            scopes: merged.scopes,
            resources: merged.resources,
            claims: merged.claims,
            expected: found.as_ref().map(|grant| grant.updated),
            audit: audit(cx, transaction, session, &agreed.scopes),
            now: cx.now,
        };
        match cx.store.act(act).await? {
            Consented::Granted(grant) => return Ok(grant.id),
            Consented::Changed => {
                let person = session.person.id;
                let organization = transaction.organization.clone();
                found = cx
                    .store
                    .read(FindGrant {
                        person,
                        client: transaction.client.clone(),
                        organization,
                    })
                    .await?;
            }
        }
    }
    Err(Broken::Impossible("a grant changed again and again").into())
}

struct Merged {
    scopes: Scopes,
    resources: Vec<ResourceIdentifier>,
    claims: Vec<String>,
}

/// What was agreed to before, and now.
fn merge(
    transaction: &Transaction,
    agreed: &Agreed,
    resources: &[ResourceIdentifier],
    found: Option<&Grant>,
) -> Merged {
    let mut merged = Merged {
        scopes: agreed.scopes.clone(),
        resources: resources.to_vec(),
        claims: claim_names(transaction),
    };
    if let Some(grant) = found {
        // What was offered now and left out is no longer agreed to.
        let rest = grant.scopes.without(&transaction.scopes);
        merged.scopes = merged.scopes.united_with(&rest);
        merged.resources.extend(grant.resources.iter().cloned());
        merged.claims.extend(grant.claims.iter().cloned());
    }
    merged.resources.sort();
    merged.resources.dedup();
    merged.claims.sort();
    merged.claims.dedup();
    merged
}

fn audit(cx: &Cx, transaction: &Transaction, session: &LiveSession, scopes: &Scopes) -> AuditEvent {
    let person = session.person.id.to_string();
    let mut audit = AuditEvent::new("consent.grant", person.clone());
    audit.subject = Some(person);
    audit.client = Some(transaction.client.to_string());
    audit.detail = serde_json::json!({ "scope": scopes.to_string() });
    audit.request = cx.request.to_string();
    audit
}

struct Sealing {
    grant: Id<symbolon_token::Grant>,
    agreed: Agreed,
    resources: Vec<ResourceIdentifier>,
}

fn code(
    cx: &Cx,
    transaction: &Transaction,
    session: &LiveSession,
    own: Sealing,
) -> Result<Code, Failure> {
    let scopes = own.agreed.scopes;
    // What has `openid` without `offline_access` ends with the session.
    let ends_with_session = scopes.contains("openid") && !scopes.contains("offline_access");
    let roles = own
        .agreed
        .membership
        .map(|membership| membership.roles)
        .unwrap_or_default();
    let challenge = transaction.challenge.as_deref().map(str::parse).transpose();
    Ok(Code {
        redirect_uri: transaction.redirect_uri.clone(),
        challenge: challenge
            .map_err(|_| Broken::Impossible("a checked challenge does not parse"))?,
        session: session.session.id,
        nonce: transaction.nonce.clone(),
        claims: transaction.claims.clone(),
        expires: cx.now + cx.settings.lifetimes.authorization_code.duration(),
        authority: Authority::granted(Granted {
            subject: Subject::Person(session.person.id),
            client: transaction.client.clone(),
            audiences: own.resources,
            scopes,
            expires: Timestamp::FAR,
            organization: transaction.organization.clone(),
            roles,
            grant: Some(own.grant),
            family: Some(Id::new(session.person.id.slot(), cx.entropy())),
            session: ends_with_session.then_some(session.session.id),
            authentication: Some(session.authentication()),
            binding: Binding::NONE,
            actors: Vec::new(),
            lineage: Vec::new(),
            position: cx.position,
        }),
    })
}
