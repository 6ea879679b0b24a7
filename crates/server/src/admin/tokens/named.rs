//! What the records that could take a token back would name: one list, however
//! the token was written.

use serde_json::Value;
use symbolon_protocol::{ClientId, OrganizationId};
use symbolon_store::Target;
use symbolon_token::jwt::AccessToken;
use symbolon_token::{Authority, Family, Grant, Id, Person, Session};

use crate::admin::explanations::subject;
use crate::admin::failed::Failed;
use crate::cx::Cx;
use crate::grant;

/// What a token is of, besides itself and its key.
#[derive(Default)]
pub(in crate::admin) struct Named {
    client: Option<ClientId>,
    /// As records say it, whatever the token's `sub` is.
    subject: String,
    person: Option<Id<Person>>,
    family: Option<Id<Family>>,
    grant: Option<Id<Grant>>,
    session: Option<Id<Session>>,
    organization: Option<OrganizationId>,
    resource: Option<String>,
}

impl Named {
    /// What an authority says.
    pub(in crate::admin) fn of_authority(may: &Authority) -> Self {
        Self {
            client: Some(may.client().clone()),
            subject: subject(may.subject()),
            person: may.person(),
            family: may.family(),
            grant: may.grant(),
            session: may.session(),
            organization: may.organization().cloned(),
            resource: may.audiences().first().map(ToString::to_string),
        }
    }

    /// What the claims of a JWT say: its family and grant stand in it under
    /// names that lead nowhere.
    pub(super) async fn of_claims(cx: &Cx, token: &AccessToken) -> Result<Self, Failed> {
        let client = token.client.parse::<ClientId>().ok();
        let found = match &client {
            Some(client) => cx.directory.find_client(client).await?,
            None => None,
        };
        let person = found.and_then(|own| {
            let keys = &cx.keys;
            grant::subject::person(keys, &own.client, &token.subject)
        });
        let text = |name: &str| token.claims.get(name).and_then(Value::as_str);
        Ok(Self {
            client,
            subject: person.map_or_else(|| token.subject.clone(), |own| own.to_string()),
            person,
            session: text("sid").and_then(|own| own.parse().ok()),
            organization: text("organization").and_then(|own| own.parse().ok()),
            resource: text("aud").map(ToOwned::to_owned),
            ..Self::default()
        })
    }

    /// What may have been taken back of it.
    pub(in crate::admin) fn targets(self) -> Vec<Target> {
        let mut all = Vec::new();
        if let Some(client) = self.client {
            all.push(Target::Client(client.clone()));
            all.push(Target::ClientSubject(client, self.subject));
        }
        all.extend(self.family.map(Target::Family));
        all.extend(self.grant.map(Target::Grant));
        all.extend(self.session.map(Target::Session));
        all.extend(self.organization.clone().map(Target::Organization));
        all.extend(self.resource.map(Target::Resource));
        all.extend(self.person.map(Target::Subject));
        let membership = self.organization.zip(self.person);
        all.extend(membership.map(|(of, person)| Target::Membership(of, person)));
        all
    }
}
