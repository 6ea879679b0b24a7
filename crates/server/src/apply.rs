//! The blocks of the configuration: created, or brought to what the file says,
//! at start and on SIGHUP. What the file does not name is left alone, and
//! nothing is written where nothing differs.

use std::sync::Arc;

use serde_json::json;
use symbolon_protocol::{Resource, Timestamp};
use symbolon_store::{
    AddClientSecret, AuditEvent, CreateClient, CreateOrganization, CreatePerson, CreateResource,
    CreateTrustedIssuer, Fault, FindClient, FindOrganization, FindPersonByName, FindResource,
    FindTrustedIssuer, Organization, Person, PersonWritten, ResourceWritten, SetClientEnabled,
    SetIssuerTrusted, SetMember, SetPassword, SetPersonEnabled, StoredClient, UpdateClient,
    UpdateOrganization, UpdatePerson, UpdateResource, UpdateTrustedIssuer,
};
use symbolon_token::{Id, Keyring, Secret, Slot};

use crate::admin::{hash_password, login_names, to_be_stored};
use crate::app::App;
use crate::applicable::no_user;
use crate::config::{
    Config, ConfiguredClient, ConfiguredOrganization, ConfiguredPerson, ConfiguredTrustedIssuer,
};
use crate::failure::{Broken, Failure};

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many things did not exist before.
    pub created: u32,
    /// How many were brought to what the file says.
    pub updated: u32,
}

/// Why a block could not be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The store could not do it.
    #[error("could not apply the configuration: {0}")]
    Store(#[from] Fault),
    /// A block is at odds with what is stored.
    #[error("{at}: {message}")]
    Conflict {
        /// Where the block stands, or what it is about.
        at: String,
        /// What is wrong.
        message: String,
    },
    /// A password could not be hashed, or memory not be brought up to date.
    #[error("could not apply the configuration: {0}")]
    Broken(String),
}

impl From<Broken> for ApplyError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Store(fault) => Self::Store(fault),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<Failure> for ApplyError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Broken(refusal.reason.to_owned()),
            Failure::Broken(broken) => broken.into(),
        }
    }
}

pub(crate) fn conflict(at: impl ToString, message: impl Into<String>) -> ApplyError {
    ApplyError::Conflict {
        at: at.to_string(),
        message: message.into(),
    }
}

/// Applies the blocks of a configuration.
pub async fn apply(app: &Arc<App>, config: &Config) -> Result<Applied, ApplyError> {
    let keys = Arc::clone(&app.keys.load().ring);
    let mut applying = Applying {
        app,
        keys,
        now: app.edge.clock.now(),
        applied: Applied::default(),
    };
    for organization in &config.organizations {
        applying.organization(organization).await?;
    }
    for resource in &config.resources {
        applying.resource(resource).await?;
    }
    for client in &config.clients {
        applying.client(client).await?;
    }
    for issuer in &config.trusted_issuers {
        applying.trusted_issuer(issuer).await?;
    }
    for person in &config.people {
        applying.person(person).await?;
    }
    for organization in &config.organizations {
        applying.members(organization).await?;
    }
    if applying.applied != Applied::default() {
        app.follow().await?;
        let Applied { created, updated } = applying.applied;
        tracing::info!(created, updated, "blocks of the configuration applied");
    }
    Ok(applying.applied)
}

struct Applying<'a> {
    app: &'a Arc<App>,
    keys: Arc<Keyring>,
    now: Timestamp,
    applied: Applied,
}

fn audit(action: &'static str) -> AuditEvent {
    AuditEvent::new(action, "configuration")
}

fn audit_of_client(action: &'static str, block: &ConfiguredClient) -> AuditEvent {
    let mut event = audit(action);
    event.client = Some(block.client.id.to_string());
    event
}

fn audit_of_person(action: &'static str, id: Id<symbolon_token::Person>) -> AuditEvent {
    let mut event = audit(action);
    event.subject = Some(id.to_string());
    event
}

impl Applying<'_> {
    async fn organization(&mut self, block: &ConfiguredOrganization) -> Result<(), ApplyError> {
        let (store, now) = (&self.app.store, self.now);
        let mut event = audit("organization.update");
        event.detail = json!({ "organization": block.id });
        let name = block.name.clone();
        match store
            .read(FindOrganization {
                id: block.id.clone(),
            })
            .await?
        {
            Some(found) if found.name == name => {}
            Some(_) => {
                store
                    .act(UpdateOrganization {
                        id: block.id.clone(),
                        name,
                        audit: event,
                        now,
                    })
                    .await?;
                self.applied.updated += 1;
            }
            None => {
                event.action = "organization.create";
                let organization = Organization {
                    id: block.id.clone(),
                    name,
                    enabled: true,
                };
                store
                    .act(CreateOrganization {
                        organization,
                        audit: event,
                        now,
                    })
                    .await?;
                self.applied.created += 1;
            }
        }
        Ok(())
    }

    async fn resource(&mut self, resource: &Resource) -> Result<(), ApplyError> {
        let (store, now) = (&self.app.store, self.now);
        let identifier = &resource.identifier;
        let mut event = audit("resource.update");
        event.detail = json!({ "resource": identifier });
        let found = store
            .read(FindResource {
                name: identifier.as_str().to_owned(),
            })
            .await?;
        let found = found.filter(|found| found.resource.identifier == *identifier);
        let resource = resource.clone();
        let written = match found {
            Some(found) if found.resource == resource => return Ok(()),
            Some(_) => {
                self.applied.updated += 1;
                store
                    .act(UpdateResource {
                        resource,
                        was: None,
                        audit: event,
                        now,
                    })
                    .await?
            }
            None => {
                self.applied.created += 1;
                event.action = "resource.create";
                store
                    .act(CreateResource {
                        resource,
                        audit: event,
                        now,
                    })
                    .await?
            }
        };
        match written {
            ResourceWritten::Written => Ok(()),
            // Two nodes that start at once: the other was faster.
            ResourceWritten::Exists | ResourceWritten::Missing | ResourceWritten::Changed => Ok(()),
            ResourceWritten::NameTaken => Err(conflict(
                identifier,
                "another resource has this identifier or one of these aliases",
            )),
        }
    }

    async fn client(&mut self, block: &ConfiguredClient) -> Result<(), ApplyError> {
        let (store, now) = (&self.app.store, self.now);
        let Some(found) = store
            .read(FindClient {
                id: block.client.id.clone(),
            })
            .await?
        else {
            let act = CreateClient {
                client: block.client.clone(),
                secret: block
                    .secret
                    .as_ref()
                    .map(|secret| self.stored(block, secret)),
                enabled: block.enabled.unwrap_or(true),
                audit: audit_of_client("client.create", block),
                now,
            };
            store.act(act).await?;
            self.applied.created += 1;
            return Ok(());
        };
        let mut differs = found.client != block.client;
        if differs {
            let audit = audit_of_client("client.update", block);
            store
                .act(UpdateClient {
                    client: block.client.clone(),
                    was: None,
                    audit,
                    now,
                })
                .await?;
        }
        if block.enforce {
            differs |= self.enforce_client(block, &found).await?;
        }
        self.applied.updated += u32::from(differs);
        Ok(())
    }

    fn stored(&self, block: &ConfiguredClient, secret: &Secret) -> symbolon_store::NewSecret {
        to_be_stored(&block.client, secret, &self.keys, self.app.entropy())
    }

    async fn enforce_client(
        &self,
        block: &ConfiguredClient,
        found: &StoredClient,
    ) -> Result<bool, ApplyError> {
        let (store, now, id) = (&self.app.store, self.now, &block.client.id);
        let mut differs = false;
        if let Some(secret) = &block.secret {
            let digests: Vec<_> = self.keys.secret_digests(secret.expose()).collect();
            let live = |expires: Option<Timestamp>| expires.is_none_or(|expires| expires > now);
            let mut own = found
                .secrets
                .iter()
                .filter(|own| live(own.expires))
                .peekable();
            let is_set = own.peek().is_some()
                && own.all(|own| digests.iter().any(|digest| digest.matches(&own.digest)));
            if !is_set {
                let act = AddClientSecret {
                    id: id.clone(),
                    secret: self.stored(block, secret),
                    old_expires: Some(now),
                    audit: audit_of_client("client.rotate_secret", block),
                    now,
                };
                store.act(act).await?;
                differs = true;
            }
        }
        if let Some(enabled) = block.enabled.filter(|enabled| *enabled != found.enabled) {
            let action = if enabled {
                "client.enable"
            } else {
                "client.disable"
            };
            let audit = audit_of_client(action, block);
            let horizon = self.app.horizon(now);
            store
                .act(SetClientEnabled {
                    id: id.clone(),
                    enabled,
                    audit,
                    now,
                    horizon,
                })
                .await?;
            differs = true;
        }
        Ok(differs)
    }

    async fn trusted_issuer(&mut self, block: &ConfiguredTrustedIssuer) -> Result<(), ApplyError> {
        let (store, now, issuer) = (&self.app.store, self.now, block.issuer.clone());
        let name = issuer.issuer.clone();
        let event = |action| {
            let mut event = audit(action);
            event.detail = json!({ "issuer": name });
            event
        };
        let find = FindTrustedIssuer {
            issuer: name.clone(),
        };
        let Some(found) = store.read(find).await? else {
            let act = CreateTrustedIssuer {
                issuer,
                trusted: block.enabled.unwrap_or(true),
                audit: event("trusted_issuer.create"),
                now,
            };
            store.act(act).await?;
            self.applied.created += 1;
            return Ok(());
        };
        let mut differs = found.issuer != issuer;
        if differs {
            let audit = event("trusted_issuer.update");
            let act = UpdateTrustedIssuer {
                issuer,
                was: None,
                audit,
                now,
            };
            store.act(act).await?;
        }
        let wanted = block.enabled.filter(|_| block.enforce);
        if let Some(trusted) = wanted.filter(|wanted| *wanted != found.trusted) {
            let act = SetIssuerTrusted {
                issuer: name.clone(),
                trusted,
                audit: event(if trusted {
                    "trusted_issuer.trust"
                } else {
                    "trusted_issuer.distrust"
                }),
                now,
                horizon: self.app.horizon(now),
            };
            store.act(act).await?;
            differs = true;
        }
        self.applied.updated += u32::from(differs);
        Ok(())
    }

    async fn person(&mut self, block: &ConfiguredPerson) -> Result<(), ApplyError> {
        let (store, now) = (&self.app.store, self.now);
        let login_names = login_names(&block.username, &block.claims);
        let name = login_names.first().cloned().unwrap_or_default();
        let taken = || {
            conflict(
                &block.at,
                format!(
                    "somebody else signs in under a name of `{}`",
                    block.username
                ),
            )
        };
        let Some(found) = store.read(FindPersonByName { name }).await? else {
            let id = Id::new(Slot::random(self.app.entropy()), self.app.entropy());
            let person = Person {
                id,
                username: block.username.clone(),
                document: block.claims.clone(),
                password: self.password(block).await?,
                enabled: block.enabled.unwrap_or(true),
                created: now,
                updated: now,
            };
            let audit = audit_of_person("user.create", id);
            if store
                .act(CreatePerson {
                    person,
                    login_names,
                    audit,
                    now,
                })
                .await?
                == PersonWritten::NameTaken
            {
                return Err(taken());
            }
            self.applied.created += 1;
            return Ok(());
        };
        let mut differs = found.username != block.username || found.document != block.claims;
        if differs {
            let act = UpdatePerson {
                id: found.id,
                username: block.username.clone(),
                document: block.claims.clone(),
                login_names,
                was: None,
                audit: audit_of_person("user.update", found.id),
                now,
            };
            if store.act(act).await? == PersonWritten::NameTaken {
                return Err(taken());
            }
        }
        if block.enforce {
            differs |= self.enforce_person(block, &found).await?;
        }
        self.applied.updated += u32::from(differs);
        Ok(())
    }

    async fn password(&self, block: &ConfiguredPerson) -> Result<Option<String>, ApplyError> {
        match (&block.password_hash, &block.password) {
            (Some(hash), _) => {
                let hash = hash.expose_str();
                self.app.passwords.import(&self.app.store, hash).await?;
                Ok(Some(hash.to_owned()))
            }
            (None, Some(password)) => Ok(Some(
                hash_password(self.app, Secret::from(password.expose_str())).await?,
            )),
            (None, None) => Ok(None),
        }
    }

    async fn enforce_person(
        &self,
        block: &ConfiguredPerson,
        found: &Person,
    ) -> Result<bool, ApplyError> {
        let (store, now, id) = (&self.app.store, self.now, found.id);
        let horizon = self.app.horizon(now);
        let mut differs = false;
        if !self.has_password(block, found).await? {
            let phc = self.password(block).await?;
            let audit = audit_of_person("user.set_password", id);
            store
                .act(SetPassword {
                    id,
                    phc,
                    audit,
                    now,
                    horizon,
                })
                .await?;
            differs = true;
        }
        if let Some(enabled) = block.enabled.filter(|enabled| *enabled != found.enabled) {
            let audit = audit_of_person(
                if enabled {
                    "user.enable"
                } else {
                    "user.disable"
                },
                id,
            );
            store
                .act(SetPersonEnabled {
                    id,
                    enabled,
                    audit,
                    now,
                    horizon,
                })
                .await?;
            differs = true;
        }
        Ok(differs)
    }

    /// Whether the stored password is the one of the block. A block without
    /// one asks for nothing.
    async fn has_password(
        &self,
        block: &ConfiguredPerson,
        found: &Person,
    ) -> Result<bool, ApplyError> {
        let stored = found.password.as_deref();
        match (&block.password_hash, &block.password) {
            (Some(hash), _) => Ok(stored.is_some_and(|stored| hash.matches(stored.as_bytes()))),
            (None, Some(password)) => {
                let Some(stored) = stored else {
                    return Ok(false);
                };
                let password = Secret::from(password.expose_str());
                Ok(self
                    .app
                    .passwords
                    .verify(password, stored.to_owned())
                    .await?)
            }
            (None, None) => Ok(true),
        }
    }

    async fn members(&mut self, block: &ConfiguredOrganization) -> Result<(), ApplyError> {
        let (store, now, horizon) = (&self.app.store, self.now, self.app.horizon(self.now));
        for member in &block.members {
            let name = login_names(&member.user, &serde_json::Map::new());
            let name = name.into_iter().next().unwrap_or_default();
            let person = store.read(FindPersonByName { name }).await?;
            let person = person.ok_or_else(|| no_user(&member.at, &member.user))?.id;
            let mut roles = member.roles.clone();
            roles.sort();
            roles.dedup();
            let old = self.roles(block, person).await?;
            if old.as_ref() == Some(&roles) {
                continue;
            }
            let mut event = audit_of_person("organization.set_member", person);
            event.detail = json!({ "organization": block.id, "roles": roles });
            let organization = block.id.clone();
            store
                .act(SetMember {
                    organization,
                    person,
                    roles,
                    audit: event,
                    now,
                    horizon,
                })
                .await?;
            match old {
                Some(_) => self.applied.updated += 1,
                None => self.applied.created += 1,
            }
        }
        Ok(())
    }

    /// The roles of a member, sorted; nothing where the person is none.
    async fn roles(
        &self,
        block: &ConfiguredOrganization,
        person: Id<symbolon_token::Person>,
    ) -> Result<Option<Vec<String>>, ApplyError> {
        let memberships = symbolon_store::MembershipsOf { person };
        let all = self.app.store.read(memberships).await?;
        let own = all.into_iter().find(|own| own.organization.id == block.id);
        Ok(own.map(|own| {
            let mut roles = own.roles;
            roles.sort();
            roles
        }))
    }
}
