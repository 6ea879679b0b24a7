//! An API key, explained: whose it is, which check it fails at which API, and
//! what took it back. No use of it is noted.

use serde_json::{Value, json};
use symbolon_store::Target;
use symbolon_token::api_key::KeyFlaw;
use symbolon_token::explain::Refused as Why;

use crate::api_key::{self, Asked, Found};
use crate::cx::Cx;

use super::super::explanations::records_of;
use super::super::failed::Failed;
use super::{Question, Reason, Told, check_audience, demand};

/// Who asks: an administrator guesses at nothing.
const ADMINISTRATOR: Asked<'static> = Asked {
    source: None,
    by: "administrator",
};

pub(super) async fn told(cx: &Cx, question: &Question) -> Result<Told, Failed> {
    let why = judge(cx, question).await?.err().map(Reason::Check);
    // Judging may have read the row again, which is what is known then.
    let found = match api_key::look_up(cx, &question.token, ADMINISTRATOR).await? {
        Ok(found) => found,
        Err(flaw) => return Ok(Told::of(Some(Reason::Check(Why::ApiKey(flaw))))),
    };
    let (known, taken_back) = known(cx, &found).await?;
    Ok(Told {
        why,
        is_bound: false,
        known,
        taken_back,
    })
}

async fn judge(cx: &Cx, question: &Question) -> Result<Result<(), Why>, Failed> {
    let key = match api_key::open(cx, &question.token, ADMINISTRATOR).await? {
        Ok(key) => key,
        Err(why) => return Ok(Err(why)),
    };
    let mut named = key.facts().document.resources.iter();
    let meant = match &question.audience {
        Some(audience) => cx.directory.find_resource(audience),
        None => named.find_map(|own| cx.directory.find_resource(own.as_str())),
    };
    let Some(resource) = meant else {
        let first = key.facts().document.resources.first();
        let first = first.map(ToString::to_string).unwrap_or_default();
        let other = check_audience(cx, question, &first);
        return Ok(other.and(Err(Why::ApiKey(KeyFlaw::Elsewhere))));
    };
    if let Err(why) = key.check_network(question.client_ip) {
        return Ok(Err(why));
    }
    let live = key.at(cx, &resource)?;
    Ok(live.and_then(|live| demand(cx, question, &live)))
}

/// What is known of the key, and what was taken back of it or its owner.
async fn known(cx: &Cx, found: &Found) -> Result<(Value, Value), Failed> {
    let facts = &found.kept.facts;
    let (owner, document) = (&facts.owner, &facts.document);
    let time = |at: Option<symbolon_protocol::Timestamp>| at.map(|at| at.to_string());
    let known = json!({
        "api_key": facts.id,
        "name": document.name,
        "at": facts.created.to_string(),
        "expires": time(facts.expires),
        "client": owner.client,
        "subject": owner.person.map_or_else(|| owner.client.to_string(), |own| own.to_string()),
        "organization": owner.organization,
        "resources": document.resources,
        "scope": document.scopes.to_string(),
        "environment": document.environment,
        "networks": document.networks,
        "enabled": facts.enabled,
        "revoked": time(facts.revoked),
        "replaced_by": facts.replaced_by,
        "bound": false,
    });
    let mut targets = vec![
        Target::Family(facts.mark),
        Target::Client(owner.client.clone()),
    ];
    targets.extend(owner.person.map(Target::Subject));
    targets.extend(owner.organization.clone().map(Target::Organization));
    let membership = owner.organization.clone().zip(owner.person);
    targets.extend(membership.map(|(of, person)| Target::Membership(of, person)));
    let records = records_of(cx, targets, facts.created).await?;
    Ok((known, records.into()))
}
