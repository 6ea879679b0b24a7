//! Whether the blocks of a configuration can be applied: asked of the store,
//! read-only, before the first of them is. A block that cannot be applied
//! keeps all the others from it, too.

use std::collections::HashSet;

use serde_json::Map;
use symbolon_protocol::Resource;
use symbolon_store::{FindPersonByName, FindResource};
use symbolon_token::Id;

use crate::admin::login_names;
use crate::app::App;
use crate::apply::{ApplyError, MAX_ATTEMPTS, conflict};
use crate::authn::password::MAX_PASSWORD_BYTES;
use crate::config::{Config, ConfiguredOrganization, ConfiguredPerson};

/// Finds the first block that is at odds with what is stored.
///
/// It reads one thing after another, and another node may write the same blocks
/// meanwhile: half of them are then read as before and half as after. What is
/// wrong is therefore looked at again; what stays wrong is told.
pub(crate) async fn check(app: &App, config: &Config) -> Result<(), ApplyError> {
    let mut attempts = 1;
    loop {
        match check_once(app, config).await {
            Err(ApplyError::Conflict { .. }) if attempts < MAX_ATTEMPTS => attempts += 1,
            outcome => return outcome,
        }
    }
}

async fn check_once(app: &App, config: &Config) -> Result<(), ApplyError> {
    let mut asking = Asking {
        app,
        free: HashSet::new(),
        taken: HashSet::new(),
    };
    for resource in &config.resources {
        asking.resource(resource).await?;
    }
    asking.free.clear();
    asking.taken.clear();
    for person in &config.people {
        asking.person(person).await?;
    }
    for organization in &config.organizations {
        asking.members(organization).await?;
    }
    Ok(())
}

/// What the blocks before the one at hand will have done to names.
struct Asking<'a> {
    app: &'a App,
    /// Given up.
    free: HashSet<String>,
    /// Given to something of this file.
    taken: HashSet<String>,
}

impl Asking<'_> {
    async fn resource(&mut self, block: &Resource) -> Result<(), ApplyError> {
        let identifier = &block.identifier;
        let names = names_of(block);
        for name in &names {
            let found = self.find_resource(name).await?;
            let is_own = found.is_none_or(|found| found.identifier == *identifier);
            if !self.may_take(name, is_own) {
                return Err(conflict(
                    identifier,
                    format!("another resource is called `{name}`"),
                ));
            }
        }
        let own = self.find_resource(identifier.as_str()).await?;
        let own = own.filter(|found| found.identifier == *identifier);
        self.note(own.map(|own| names_of(&own)).unwrap_or_default(), names);
        Ok(())
    }

    async fn find_resource(&self, name: &str) -> Result<Option<Resource>, ApplyError> {
        let read = FindResource {
            name: name.to_owned(),
        };
        let found = self.app.store.read(read).await?;
        Ok(found.map(|found| found.resource))
    }

    async fn person(&mut self, block: &ConfiguredPerson) -> Result<(), ApplyError> {
        let names = login_names(&block.username, &block.claims);
        let password = block.password.as_ref().map_or(1, |own| own.expose().len());
        if password == 0 || password > MAX_PASSWORD_BYTES {
            let why = format!("the password of `{}` has 1 to 1024 bytes", block.username);
            return Err(conflict(&block.at, why));
        }
        // As when it is applied, the user name decides who is meant.
        let own = match names.first() {
            Some(name) => self.find_person(name).await?,
            None => None,
        };
        for name in &names {
            let found = self.find_person(name).await?;
            let is_own = found.is_none_or(|found| Some(found.0) == own.as_ref().map(|own| own.0));
            if !self.may_take(name, is_own) {
                let why = format!(
                    "somebody else signs in under a name of `{}`",
                    block.username
                );
                return Err(conflict(&block.at, why));
            }
        }
        self.note(own.map(|own| own.1).unwrap_or_default(), names);
        Ok(())
    }

    async fn find_person(
        &self,
        name: &str,
    ) -> Result<Option<(Id<symbolon_token::Person>, Vec<String>)>, ApplyError> {
        let read = FindPersonByName {
            name: name.to_owned(),
        };
        let found = self.app.store.read(read).await?;
        Ok(found.map(|found| (found.id, login_names(&found.username, &found.document))))
    }

    /// Every member is somebody: of the store, or of this file.
    async fn members(&self, block: &ConfiguredOrganization) -> Result<(), ApplyError> {
        for member in &block.members {
            let name = login_names(&member.user, &Map::new());
            let name = name.into_iter().next().unwrap_or_default();
            if self.taken.contains(&name) {
                continue;
            }
            let is_known = self.find_person(&name).await?.is_some();
            if !is_known || self.free.contains(&name) {
                return Err(no_user(&member.at, &member.user));
            }
        }
        Ok(())
    }

    fn may_take(&self, name: &str, is_own: bool) -> bool {
        !self.taken.contains(name) && (is_own || self.free.contains(name))
    }

    fn note(&mut self, before: Vec<String>, names: Vec<String>) {
        let given_up = before.into_iter().filter(|name| !names.contains(name));
        self.free.extend(given_up);
        self.taken.extend(names);
    }
}

/// A member that nobody is.
pub(crate) fn no_user(at: impl ToString, user: &str) -> ApplyError {
    conflict(at, format!("there is no user `{user}`"))
}

fn names_of(resource: &Resource) -> Vec<String> {
    let aliases = resource.aliases.iter().map(ToString::to_string);
    std::iter::once(resource.identifier.to_string())
        .chain(aliases)
        .collect()
}
