//! The blocks of the configuration: created, or brought to what the file says,
//! at start and on SIGHUP. What the file does not name is left alone, and
//! nothing is written where nothing differs.
//!
//! 1. What is stored is read, and what has to be done is worked out, passwords
//!    hashed.
//! 2. All of it is done in one act, or nothing. Where somebody else was faster,
//!    it is worked out again.
//! 3. What disabled clients have left is ended: of those that are enabled now,
//!    before that act.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;
use symbolon_protocol::{Resource, Timestamp};
use symbolon_store::{
    Act, AddClientSecret, AllOrNothing, AuditEvent, ClientSecret, CreateClient, CreateOrganization,
    CreateResource, CreateTrustedIssuer, Created, Fault, FindClient, FindOrganization,
    FindResource, FindTrustedIssuer, Organization, ResourceWritten, SetClientEnabled,
    SetIssuerTrusted, Step, StoredClient, UpdateClient, UpdateOrganization, UpdateResource,
    UpdateTrustedIssuer, Updated, Whole,
};
use symbolon_token::{Id, Keyring, Secret};

use crate::admin::{fits, has_its_secret, to_be_stored};
use crate::app::App;
use crate::config::{Config, ConfiguredClient, ConfiguredOrganization, ConfiguredTrustedIssuer};
use crate::ending::{self, Leaves};
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

/// How often it is worked out again because something changed meanwhile.
pub(crate) const MAX_ATTEMPTS: usize = 4;

/// Applies the blocks of a configuration: all of them, or none.
pub async fn apply(app: &Arc<App>, config: &Config) -> Result<Applied, ApplyError> {
    let mut attempts = 1;
    loop {
        let planned = plan(app, config).await?;
        match carry_out(app, planned).await {
            Err(ApplyError::Conflict { .. }) if attempts < MAX_ATTEMPTS => attempts += 1,
            outcome => return outcome,
        }
    }
}

/// Does what was worked out, if it can all be done.
pub(crate) async fn carry_out(app: &App, planned: Planned) -> Result<Applied, ApplyError> {
    let Planned {
        steps,
        conflicts,
        enabled,
        disabled,
        applied,
    } = planned;
    // Once one goes on, what was left can no longer be told from what it gets.
    for of in &enabled {
        ending::finish(app, of, Leaves::Grants).await?;
    }
    if !steps.is_empty() {
        write(app, steps, conflicts).await?;
        let Applied { created, updated } = applied;
        tracing::info!(created, updated, "blocks of the configuration applied");
    }
    for of in &disabled {
        // All of it is written, and the record hits what is left already: the
        // next start or reload ends the rest.
        if let Err(fault) = ending::finish(app, of, Leaves::Grants).await {
            tracing::warn!(cause = %fault, "what a disabled client has left is not ended yet");
        }
    }
    Ok(applied)
}

async fn write(
    app: &App,
    steps: Vec<Step>,
    conflicts: Vec<Option<ApplyError>>,
) -> Result<(), ApplyError> {
    if let Err(fault) = app.store.act(AllOrNothing { steps }).await {
        let Some(which) = fault.undone() else {
            return Err(fault.into());
        };
        let conflict = conflicts.into_iter().nth(which).flatten();
        let changed = || self::conflict("configuration", "what it changes was changed meanwhile");
        return Err(conflict.unwrap_or_else(changed));
    }
    Ok(())
}

/// Works out what has to be done.
pub(crate) async fn plan(app: &Arc<App>, config: &Config) -> Result<Planned, ApplyError> {
    let keys = Arc::clone(&app.keys.load().ring);
    let mut applying = Applying {
        app,
        config,
        keys,
        now: app.edge.clock.now(),
        planned: Planned::default(),
        names: HashMap::new(),
        given_up: HashSet::new(),
    };
    for organization in &config.organizations {
        applying.organization(organization).await?;
    }
    // Resources name clients that have to be there.
    for client in &config.clients {
        applying.client(client).await?;
    }
    for resource in &config.resources {
        applying.resource(resource).await?;
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
    Ok(applying.planned)
}

/// What has to be done, step by step, with what is wrong where one cannot be.
#[derive(Default)]
pub(crate) struct Planned {
    steps: Vec<Step>,
    conflicts: Vec<Option<ApplyError>>,
    /// Clients that are disabled until it enables them.
    enabled: Vec<Whole>,
    /// Clients that are disabled by it, or were: whoever did may have been
    /// interrupted.
    disabled: Vec<Whole>,
    pub(crate) applied: Applied,
}

pub(crate) struct Applying<'a> {
    pub(crate) app: &'a Arc<App>,
    pub(crate) config: &'a Config,
    keys: Arc<Keyring>,
    pub(crate) now: Timestamp,
    pub(crate) planned: Planned,
    /// Who will sign in under which name, of this file.
    pub(crate) names: HashMap<String, Id<symbolon_token::Person>>,
    /// Names that are nobody's any more by then.
    pub(crate) given_up: HashSet<String>,
}

pub(crate) fn audit(action: &'static str) -> AuditEvent {
    AuditEvent::new(action, "configuration")
}

fn audit_of_client(action: &'static str, block: &ConfiguredClient) -> AuditEvent {
    let mut event = audit(action);
    event.client = Some(block.client.id.to_string());
    event
}

impl Applying<'_> {
    fn create<A: Act<Out = Created>>(&mut self, act: A) {
        self.step(Step::new(act, |out| *out == Created::Created), None);
        self.planned.applied.created += 1;
    }

    pub(crate) fn update<A: Act<Out = Updated>>(&mut self, act: A) {
        self.step(Step::new(act, |out| *out == Updated::Updated), None);
    }

    pub(crate) fn step(&mut self, step: Step, conflict: Option<ApplyError>) {
        self.planned.steps.push(step);
        self.planned.conflicts.push(conflict);
    }

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
                self.update(UpdateOrganization {
                    id: block.id.clone(),
                    name,
                    audit: event,
                    now,
                });
                self.planned.applied.updated += 1;
            }
            None => {
                event.action = "organization.create";
                let organization = Organization {
                    id: block.id.clone(),
                    name,
                    enabled: true,
                };
                self.create(CreateOrganization {
                    organization,
                    audit: event,
                    now,
                });
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
        let taken = conflict(
            identifier,
            "another resource has this identifier or one of these aliases",
        );
        let before = found.as_ref().map(|found| &found.resource);
        self.check_resource(resource, before).await?;
        let resource = resource.clone();
        let is_written = |out: &ResourceWritten| *out == ResourceWritten::Written;
        let step = match found {
            Some(found) if found.resource == resource => return Ok(()),
            Some(_) => {
                self.planned.applied.updated += 1;
                let act = UpdateResource {
                    resource,
                    was: None,
                    audit: event,
                    now,
                };
                Step::new(act, is_written)
            }
            None => {
                self.planned.applied.created += 1;
                event.action = "resource.create";
                let act = CreateResource {
                    resource,
                    audit: event,
                    now,
                };
                Step::new(act, is_written)
            }
        };
        self.step(step, Some(taken));
        Ok(())
    }

    async fn client(&mut self, block: &ConfiguredClient) -> Result<(), ApplyError> {
        let (store, now) = (&self.app.store, self.now);
        let Some(found) = store
            .read(FindClient {
                id: block.client.id.clone(),
            })
            .await?
        else {
            self.check_client(&block.client, None).await?;
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
            self.create(act);
            return Ok(());
        };
        let mut differs = found.client != block.client;
        if differs {
            self.check_client(&block.client, Some(&found.client))
                .await?;
            let audit = audit_of_client("client.update", block);
            self.update(UpdateClient {
                client: block.client.clone(),
                was: None,
                audit,
                now,
                horizon: self.app.horizon(now),
            });
        }
        let is_mended = block.enforce && block.secret.is_some();
        if !is_mended && !has_its_secret(&block.client, &found.secrets, now) {
            tracing::warn!(client = %found.client.id, method = %block.client.authentication(), "a client has no secret that its method can use: `enforce = true` gives it the one of its block, or `symbolon client secret` another");
        }
        if block.enforce {
            differs |= self.enforce_client(block, &found);
        }
        self.planned.applied.updated += u32::from(differs);
        Ok(())
    }

    fn stored(&self, block: &ConfiguredClient, secret: &Secret) -> symbolon_store::NewSecret {
        to_be_stored(&block.client, secret, &self.keys, self.app.entropy())
    }

    fn enforce_client(&mut self, block: &ConfiguredClient, found: &StoredClient) -> bool {
        let (now, id) = (self.now, &block.client.id);
        let mut differs = false;
        if let Some(secret) = &block.secret {
            let digests: Vec<_> = self.keys.secret_digests(secret.expose()).collect();
            let live = |expires: Option<Timestamp>| expires.is_none_or(|expires| expires > now);
            let mut own = found
                .secrets
                .iter()
                .filter(|own| live(own.expires))
                .peekable();
            // What a secret was stored for before is not what it is needed for now.
            let is_ours = |own: &ClientSecret| {
                fits(&block.client, own) && digests.iter().any(|digest| digest.matches(&own.digest))
            };
            let is_set = own.peek().is_some() && own.all(is_ours);
            if !is_set {
                let act = AddClientSecret {
                    id: id.clone(),
                    secret: self.stored(block, secret),
                    old_expires: Some(now),
                    audit: audit_of_client("client.rotate_secret", block),
                    now,
                };
                self.update(act);
                differs = true;
            }
        }
        if block.enabled == Some(false) {
            self.planned.disabled.push(Whole::Client(id.clone()));
        }
        if let Some(enabled) = block.enabled.filter(|enabled| *enabled != found.enabled) {
            let action = if enabled {
                "client.enable"
            } else {
                "client.disable"
            };
            if enabled {
                self.planned.enabled.push(Whole::Client(id.clone()));
            }
            let audit = audit_of_client(action, block);
            let horizon = self.app.horizon(now);
            self.update(SetClientEnabled {
                id: id.clone(),
                enabled,
                audit,
                now,
                horizon,
            });
            differs = true;
        }
        differs
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
            self.check_issuer(&issuer, None).await?;
            let act = CreateTrustedIssuer {
                issuer,
                trusted: block.enabled.unwrap_or(true),
                audit: event("trusted_issuer.create"),
                now,
            };
            self.create(act);
            return Ok(());
        };
        let mut differs = found.issuer != issuer;
        if differs {
            self.check_issuer(&issuer, Some(&found.issuer)).await?;
            let audit = event("trusted_issuer.update");
            let act = UpdateTrustedIssuer {
                issuer,
                was: None,
                audit,
                now,
            };
            self.update(act);
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
            self.update(act);
            differs = true;
        }
        self.planned.applied.updated += u32::from(differs);
        Ok(())
    }
}
