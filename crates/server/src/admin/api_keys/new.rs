//! A key to be made, read from what an administrator says of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use symbolon_protocol::{
    ClientId, Environment, Lifetime, OrganizationId, ResourceIdentifier, Scopes, Timestamp,
};
use symbolon_store::{ApiKeyDocument, ApiKeyMade, KeyOwner, NewApiKey};
use symbolon_token::api_key::{self, ForeignDigest, Networks};
use symbolon_token::{Id, Secret};

use crate::cx::Cx;

use super::super::failed::{Failed, Refused};
use super::super::{body, clients, users};
use super::check;

/// How long a key is good where nobody says.
const LIFETIME: Lifetime = Lifetime::seconds(365 * 24 * 60 * 60);
/// What stands where a key has no end.
const NEVER: &str = "never";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    name: String,
    client: ClientId,
    user: Option<String>,
    organization: Option<OrganizationId>,
    scopes: Scopes,
    resources: Vec<ResourceIdentifier>,
    #[serde(default = "live")]
    environment: Environment,
    #[serde(default)]
    networks: Vec<String>,
    plan: Option<String>,
}

const fn live() -> Environment {
    Environment::Live
}

/// A key that may be made.
pub(super) struct Wanted {
    pub(super) owner: KeyOwner,
    pub(super) document: ApiKeyDocument,
    pub(super) expires: Option<Timestamp>,
}

/// Reads and judges what an administrator says.
pub(super) async fn read(cx: &Cx, mut object: Map<String, Value>) -> Result<Wanted, Failed> {
    let usual = Some(cx.now + LIFETIME.duration());
    let expires = expires(&mut object, cx.now)?.unwrap_or(usual);
    let said: Said = body::read(&object)?;
    let of_client = clients::find(cx, said.client.clone()).await?;
    let of_client = of_client.client.organization;
    check::organization(of_client.as_ref(), said.organization.as_ref())?;
    let owner = KeyOwner {
        client: said.client,
        person: match &said.user {
            Some(user) => Some(users::find(cx, user).await?.id),
            None => None,
        },
        organization: said.organization.or(of_client),
    };
    let document = ApiKeyDocument {
        name: said.name,
        scopes: said.scopes,
        resources: said.resources,
        environment: said.environment,
        networks: Networks::try_from(said.networks).map_err(|_| check::networks())?,
        plan: said.plan,
        imported: false,
        replaces: None,
        named: BTreeMap::new(),
    };
    check::document(cx, &owner, &document).await?;
    Ok(Wanted {
        owner,
        document,
        expires,
    })
}

/// Takes `expires` or `lifetime` out of a document: an end, `Some(None)` for
/// none, `None` where neither is there.
pub(super) fn expires(
    object: &mut Map<String, Value>,
    now: Timestamp,
) -> Result<Option<Option<Timestamp>>, Refused> {
    let lifetime = body::take_text(object, "lifetime")?;
    if matches!(object.get("expires"), Some(Value::Null)) {
        object.remove("expires");
        return Ok(Some(None));
    }
    let expires = body::take_text(object, "expires")?;
    let end = match (expires.as_deref(), lifetime.as_deref()) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Refused::invalid("say either `expires` or `lifetime`"));
        }
        (Some(NEVER), None) | (None, Some(NEVER)) => None,
        (Some(at), None) => {
            let at = at.parse::<Timestamp>();
            Some(at.map_err(|_| Refused::member("expires", "is a time of RFC 3339, or `never`"))?)
        }
        (None, Some(span)) => {
            let span = span.parse::<Lifetime>();
            let span = span.map_err(|why| Refused::member("lifetime", why))?;
            Some(now + span.duration())
        }
    };
    check::expires(end, now)?;
    Ok(Some(end))
}

impl Wanted {
    /// The key and its text, which is nowhere else.
    pub(super) fn make(self, cx: &Cx) -> (NewApiKey, Secret) {
        let slot = self.owner.slot();
        let made = api_key::make(slot, self.document.environment, cx.entropy());
        let digest = cx.keys.digest_api_key(&made.text);
        let key = NewApiKey {
            id: made.id,
            mark: Id::new(slot, cx.entropy()),
            owner: self.owner,
            document: self.document,
            digest,
            enabled: true,
            expires: self.expires,
        };
        (key, made.text)
    }

    /// The key whose text is known by its digest alone.
    pub(super) fn bring(self, cx: &Cx, digest: &ForeignDigest) -> NewApiKey {
        let slot = self.owner.slot();
        NewApiKey {
            id: Id::new(slot, cx.entropy()),
            mark: Id::new(slot, cx.entropy()),
            owner: self.owner,
            document: ApiKeyDocument {
                imported: true,
                ..self.document
            },
            digest: cx.keys.digest_foreign_key(digest),
            enabled: true,
            expires: self.expires,
        }
    }
}

/// Which member is wrong where a key was not made, and why.
pub(super) const fn problem(made: ApiKeyMade) -> Option<(&'static str, &'static str)> {
    Some(match made {
        ApiKeyMade::Made => return None,
        ApiKeyMade::Exists => ("digest", "is of a key that is here already"),
        ApiKeyMade::NoClient => ("client", "there is no such client, or it is disabled"),
        ApiKeyMade::NoPerson => ("user", "there is no such user, or they are disabled"),
        ApiKeyMade::NoOrganization => (
            "organization",
            "there is no such organization, or it is disabled",
        ),
        ApiKeyMade::NoMember => ("user", "is not a member of the organization"),
    })
}
