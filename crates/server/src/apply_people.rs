//! The people and members of the configuration, as [`apply`](crate::apply)
//! works out what has to be done for them.

use serde_json::json;
use symbolon_store::{
    Act, AuditEvent, CreatePerson, Fault, FindPerson, FindPersonByName, MembershipsOf, Person,
    PersonWritten, SetMember, SetPassword, SetPersonEnabled, Step, UpdatePerson,
};
use symbolon_token::{Id, Secret, Slot};

use crate::admin::{hash_password, login_names};
use crate::applicable::no_user;
use crate::apply::{ApplyError, Applying, audit, conflict};
use crate::config::{ConfiguredOrganization, ConfiguredPerson};

fn audit_of_person(action: &'static str, id: Id<symbolon_token::Person>) -> AuditEvent {
    let mut event = audit(action);
    event.subject = Some(id.to_string());
    event
}

impl Applying<'_> {
    /// Who signs in under a name once everything so far is done.
    async fn find_person(&self, name: &str) -> Result<Option<Id<symbolon_token::Person>>, Fault> {
        if let Some(person) = self.names.get(name) {
            return Ok(Some(*person));
        }
        if self.given_up.contains(name) {
            return Ok(None);
        }
        let read = FindPersonByName {
            name: name.to_owned(),
        };
        let found = self.app.store.read(read).await?;
        Ok(found.map(|found| found.id))
    }

    pub(crate) async fn person(&mut self, block: &ConfiguredPerson) -> Result<(), ApplyError> {
        let now = self.now;
        let login_names = login_names(&block.username, &block.claims);
        let name = login_names.first().cloned().unwrap_or_default();
        let found = match self.find_person(&name).await? {
            Some(id) => self.app.store.read(FindPerson { id }).await?,
            None => None,
        };
        let Some(found) = found else {
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
            self.will_be_called(id, &[], &login_names);
            let act = CreatePerson {
                person,
                login_names,
                audit: audit_of_person("user.create", id),
                now,
            };
            self.write_person(act, block);
            self.planned.applied.created += 1;
            return Ok(());
        };
        let before = self::login_names(&found.username, &found.document);
        self.will_be_called(found.id, &before, &login_names);
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
            self.write_person(act, block);
        }
        if block.enforce {
            differs |= self.enforce_person(block, &found).await?;
        }
        self.planned.applied.updated += u32::from(differs);
        Ok(())
    }

    fn write_person<A: Act<Out = PersonWritten>>(&mut self, act: A, block: &ConfiguredPerson) {
        let taken = format!(
            "somebody else signs in under a name of `{}`",
            block.username
        );
        let step = Step::new(act, |out| *out == PersonWritten::Written);
        self.step(step, Some(conflict(&block.at, taken)));
    }

    /// Notes what a person is called from then on.
    fn will_be_called(
        &mut self,
        id: Id<symbolon_token::Person>,
        before: &[String],
        after: &[String],
    ) {
        let gone = before.iter().filter(|name| !after.contains(name));
        self.given_up.extend(gone.cloned());
        self.names
            .extend(after.iter().map(|name| (name.clone(), id)));
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
        &mut self,
        block: &ConfiguredPerson,
        found: &Person,
    ) -> Result<bool, ApplyError> {
        let (now, id) = (self.now, found.id);
        let horizon = self.app.token_horizon(now);
        let mut differs = false;
        if !self.has_password(block, found).await? {
            let phc = self.password(block).await?;
            let audit = audit_of_person("user.set_password", id);
            self.update(SetPassword {
                id,
                phc,
                audit,
                now,
                horizon,
            });
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
            self.update(SetPersonEnabled {
                id,
                enabled,
                audit,
                now,
                horizon,
            });
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

    pub(crate) async fn members(
        &mut self,
        block: &ConfiguredOrganization,
    ) -> Result<(), ApplyError> {
        let (now, horizon) = (self.now, self.app.horizon(self.now));
        for member in &block.members {
            let name = login_names(&member.user, &serde_json::Map::new());
            let name = name.into_iter().next().unwrap_or_default();
            let person = self.find_person(&name).await?;
            let person = person.ok_or_else(|| no_user(&member.at, &member.user))?;
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
            self.update(SetMember {
                organization,
                person,
                roles,
                audit: event,
                now,
                horizon,
            });
            match old {
                Some(_) => self.planned.applied.updated += 1,
                None => self.planned.applied.created += 1,
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
        let memberships = MembershipsOf { person };
        let all = self.app.store.read(memberships).await?;
        let own = all.into_iter().find(|own| own.organization.id == block.id);
        Ok(own.map(|own| {
            let mut roles = own.roles;
            roles.sort();
            roles
        }))
    }
}
