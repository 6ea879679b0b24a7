//! A person said yes or no to a device.
//!
//! What is allowed is what a code would carry: the grant is written down, and the
//! authority that comes of it is kept for the device to fetch.
//!
//! Spec: RFC 8628 §3.3
//! Spec: RFC 9700 §2.1.1

use std::collections::BTreeSet;

use axum::response::Response;
use symbolon_protocol::claims::ClaimsRequest;
use symbolon_store::{AuditEvent, DecideDeviceAuthorization};
use symbolon_token::Binding;

use super::visit::{Question, Step, Visit, address};
use super::{Visitor, Waiting, shown};
use crate::authn::transaction::what;
use crate::cx::Cx;
use crate::endpoint::authorize::asked::{Ask, asked};
use crate::endpoint::authorize::consented::{self, Agreed, Came};
use crate::endpoint::authorize::next;
use crate::endpoint::consent;
use crate::failure::Failure;
use crate::grant::family::FamilyDocument;
use crate::pages::CodeFailure;
use crate::respond;

impl Waiting {
    /// What the device asks for, as consent knows it.
    pub(super) fn ask<'a>(&'a self, claims: &'a ClaimsRequest) -> Ask<'a> {
        Ask {
            client: &self.client.client,
            scopes: &self.request.scopes,
            resources: &self.request.resources,
            claims,
            organization: self.request.organization.as_ref(),
        }
    }
}

/// Carries out what a person decided, where they were shown what it is about.
pub(super) async fn decide(
    cx: &Cx,
    visitor: &Visitor<'_>,
    waiting: &Waiting,
    (question, allow, ticked): (Question, bool, BTreeSet<String>),
) -> Result<Response, Failure> {
    let none = ClaimsRequest::default();
    let whole = asked(cx, waiting.ask(&none));
    // What is asked for may have become more since: it is shown, whatever was
    // said before.
    if question.shown.as_deref() != Some(&*what(&whole)) {
        return shown::question(cx, visitor, waiting, question).await;
    }
    let allowed = if allow {
        Some(allowed(cx, visitor, waiting, &ticked).await?)
    } else {
        None
    };
    let act = DecideDeviceAuthorization {
        id: waiting.device.id,
        audit: audit(cx, visitor, waiting, allow),
        allowed,
        now: cx.now,
    };
    if !cx.store.act(act).await? {
        return Ok(shown::enter(cx, visitor, None, Some(CodeFailure::Unknown)));
    }
    let step = Step::Over {
        allowed: allow,
        client: waiting.client.client.name.clone(),
    };
    let sealed = Visit::seal(cx, visitor.browser, step);
    respond::see_other(&address(cx, "transaction", &sealed))
}

/// What the device may fetch.
async fn allowed(
    cx: &Cx,
    visitor: &Visitor<'_>,
    waiting: &Waiting,
    ticked: &BTreeSet<String>,
) -> Result<Vec<u8>, Failure> {
    let none = ClaimsRequest::default();
    let ask = waiting.ask(&none);
    let session = visitor.session;
    let whole = asked(cx, ask);
    let grant = consented::standing(cx, session.person.id, ask.client, ask.organization);
    let agreed = Agreed {
        agreement: consent::agreed(cx, ask.client, &whole, ticked),
        membership: next::membership(cx, ask.organization, session).await?,
        grant: grant.await?,
    };
    let grant = consented::granted(cx, ask, session, &agreed).await?;
    let Came { authority, claims } = consented::authority(cx, ask, session, (grant, agreed));
    let document = FamilyDocument {
        authority,
        session: session.session.id,
        claims,
        first: Binding::NONE,
    };
    Ok(document.encode())
}

fn audit(cx: &Cx, visitor: &Visitor<'_>, waiting: &Waiting, allow: bool) -> AuditEvent {
    let person = visitor.session.person.id.to_string();
    let action = if allow { "device.allow" } else { "device.deny" };
    let mut audit = AuditEvent::new(action, person.clone());
    audit.subject = Some(person);
    audit.client = Some(waiting.request.client.to_string());
    audit.detail = serde_json::json!({
        "device": waiting.device.id,
        "network": waiting.request.network,
        "scope": waiting.request.scopes.to_string(),
    });
    audit.request = cx.request.to_string();
    audit
}
