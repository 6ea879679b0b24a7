//! What is taken back, switched off and on, deleted and made again.

use reqwest::Method;
use serde_json::{Value, json};

use super::book::Form;
use super::op::{By, Noun, Taken};
use super::setting::{CLIENTS, PEOPLE, reader};
use super::setting::{PASSWORD, SECRET};
use super::world::{Held, World, hold, pick};

impl World {
    /// A client takes a token back. Again changes nothing.
    pub(super) async fn revoke_token(&mut self, node: usize, token: u8, by: By) -> Held {
        let Some(at) = self.latest_token(token, |_| true) else {
            return Ok(());
        };
        let own = self.book.tokens[at].clone();
        let client = match by {
            By::Owner => own.client,
            By::Other => "spare",
        };
        let is_live = self.book.token_lives(self.book.root(at));
        let reaches = by == By::Owner && self.book.is_on(client) && is_live;
        let form = [("token", &*own.text)];
        for turn in 0..2 {
            let answer = self.peers[node].form("/revoke", client, &form).await;
            let is_told = [200, 400, 401].contains(&answer.status);
            hold!("I12", is_told, "{} {}", answer.status, answer.body);
            hold!(
                "I12",
                !reaches || answer.status == 200,
                "turn {turn}: {}",
                answer.body
            );
            if reaches && own.form != Form::Assertion {
                let told = self.peers[node]
                    .introspect(reader(own.resource), &own.text)
                    .await;
                hold!(
                    "I12",
                    told["active"] == false,
                    "not dead when that was answered"
                );
            }
        }
        if reaches {
            self.book.end_token(at);
            self.tells("token.revoke");
        } else if by == By::Owner {
            // What died with a parent may still be taken back by itself.
            self.tells_between("token.revoke", 0, 1);
        }
        Ok(())
    }

    /// A client takes a token back that has expired by a clock that is ahead: what
    /// is answered holds when the clock is right again.
    pub(super) async fn revoke_expired(&mut self, node: usize, token: u8) -> Held {
        let Some(at) = self.latest_token(token, |_| true) else {
            return Ok(());
        };
        let own = self.book.tokens[at].clone();
        let answer = self.peers[node]
            .form("/revoke", own.client, &[("token", &own.text)])
            .await;
        let is_on = self.book.is_on(own.client);
        hold!("I12", (answer.status == 200) == is_on, "{}", answer.body);
        self.tells_between("token.revoke", 0, 1);
        if is_on {
            self.book.end_token(at);
        }
        Ok(())
    }

    /// A client ends a family by showing any refresh token of it.
    pub(super) async fn revoke_refresh(&mut self, node: usize, family: u8, by: By) -> Held {
        let Some(at) = pick(family, self.book.families.len()) else {
            return Ok(());
        };
        let own = self.book.families[at].clone();
        let Some(leaf) = own.leaves.last() else {
            return Ok(());
        };
        let client = match by {
            By::Owner => own.client,
            By::Other => "spare",
        };
        for _ in 0..2 {
            let answer = self.peers[node]
                .form("/revoke", client, &[("token", leaf)])
                .await;
            let is_told = [200, 400, 401].contains(&answer.status);
            hold!("I12", is_told, "{} {}", answer.status, answer.body);
        }
        if by == By::Owner && self.book.is_on(client) && !own.is_dead {
            self.tells_of_family(at, "family.revoke");
            self.book.end_family(at);
        }
        Ok(())
    }

    /// One that ran out is ended by whoever comes first: this, or a chore.
    fn tells_of_family(&mut self, at: usize, action: &'static str) {
        let least = usize::from(self.book.family_lives(at));
        self.tells_between(action, least, 1);
    }

    /// An administrator takes one thing back, twice: the second time it is not
    /// there any more, or nothing is left of it.
    pub(super) async fn take_back(&mut self, node: usize, what: Taken, which: u8) -> Held {
        let Some((document, is_there)) = self.named(what, which) else {
            return Ok(());
        };
        let path = "/admin/v1/revoke";
        let answer = self
            .admin(node, Method::POST, path, Some(document.clone()))
            .await;
        let is_done = answer.status == 204;
        hold!(
            "I12",
            is_done || !is_there && answer.status == 404,
            "{document}: {} {}",
            answer.status,
            answer.body
        );
        if is_there {
            self.note_taken(what, which);
        } else if is_done {
            // What ran out may not have been forgotten yet: it is ended then.
            self.tells_between("token.revoke", 0, 1);
            self.tells_between("family.end", 0, 1);
            self.tells_between("session.end", 0, 1);
        }
        // What is wide kills all that came before it, each time anew.
        let is_wide = matches!(what, Taken::Subject | Taken::Client | Taken::Organization);
        if !is_wide {
            let again = self.admin(node, Method::POST, path, Some(document)).await;
            hold!("I12", [204, 404].contains(&again.status), "{}", again.body);
        }
        Ok(())
    }

    /// The document that names something, and whether it is there.
    fn named(&self, what: Taken, which: u8) -> Option<(Value, bool)> {
        let person = usize::from(which) % PEOPLE.len();
        let client = CLIENTS[usize::from(which) % CLIENTS.len()];
        Some(match what {
            Taken::Token => {
                let at = self.latest_token(which, |_| true)?;
                let is_there = self.book.token_lives(self.book.root(at));
                (json!({ "token": self.book.tokens[at].text }), is_there)
            }
            Taken::Family => {
                let at = pick(which, self.book.families.len())?;
                let own = &self.book.families[at];
                let app = &self.peers[0].node.running.app;
                let id = symbolon_server::testing::family_of(app, own.leaves.last()?)?;
                // One that ended long ago is forgotten.
                (
                    json!({ "family": id }),
                    !own.is_dead && self.book.now < own.absolute_ends,
                )
            }
            Taken::Grant => {
                let own = &self.book.grants[pick(which, self.book.grants.len())?];
                (json!({ "grant": own.id }), !own.is_dead)
            }
            Taken::Session => {
                let own = &self.book.sessions[pick(which, self.book.sessions.len())?];
                // One that ran out long ago is forgotten.
                let is_there = !own.is_dead && self.book.now < own.absolute_ends;
                (json!({ "session": own.id }), is_there)
            }
            Taken::Subject => {
                let is_there = self.book.people[person].is_there;
                (json!({ "subject": PEOPLE[person] }), is_there)
            }
            Taken::Client => {
                let is_there = self.book.clients[client].is_there;
                (json!({ "client": client }), is_there)
            }
            Taken::Organization => {
                let is_there = self.book.organization.is_there;
                (json!({ "organization": "acme" }), is_there)
            }
            Taken::Membership => {
                let own = &self.book.people[person];
                let pair = json!({ "organization": "acme", "user": PEOPLE[person] });
                (json!({ "membership": pair }), own.is_there && own.is_member)
            }
        })
    }

    fn note_taken(&mut self, what: Taken, which: u8) {
        let person = usize::from(which) % PEOPLE.len();
        let client = CLIENTS[usize::from(which) % CLIENTS.len()];
        let pick = |count| pick(which, count).unwrap();
        match what {
            Taken::Token => {
                let at = self.latest_token(which, |_| true).unwrap();
                if self.book.token_lives(self.book.root(at)) {
                    self.tells("token.revoke");
                }
                self.book.end_token(at);
            }
            Taken::Family => {
                let at = pick(self.book.families.len());
                self.tells_of_family(at, "family.end");
                self.book.end_family(at);
            }
            Taken::Grant => {
                self.tells("grant.withdraw");
                self.book.end_grant(pick(self.book.grants.len()));
            }
            Taken::Session => {
                self.tells("session.end");
                self.book.end_session(pick(self.book.sessions.len()));
            }
            Taken::Subject => {
                self.tells("user.revoke");
                self.book.revoke_person(self.book.who(person));
            }
            Taken::Client => {
                self.tells("client.revoke");
                self.book.revoke_client(client);
            }
            Taken::Organization => {
                self.tells("organization.revoke");
                self.book.revoke_organization(None);
            }
            Taken::Membership => {
                self.tells("organization.remove_member");
                self.book.revoke_organization(Some(self.book.who(person)));
                self.book.people[person].is_member = false;
            }
        }
    }

    pub(super) async fn set_password(&mut self, node: usize, person: u8) -> Held {
        let person = usize::from(person) % PEOPLE.len();
        if !self.book.people[person].is_there {
            return Ok(());
        }
        let path = format!("/admin/v1/users/{}/password", PEOPLE[person]);
        self.done(
            node,
            Method::POST,
            &path,
            Some(json!({ "password": PASSWORD })),
        )
        .await?;
        self.tells("user.set_password");
        self.book.revoke_person(self.book.who(person));
        Ok(())
    }

    async fn done(&self, node: usize, method: Method, path: &str, body: Option<Value>) -> Held {
        let answer = self.admin(node, method, path, body).await;
        hold!(
            "I12",
            answer.status < 300,
            "{path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    /// Switches something off where it is on, and on where it is off.
    pub(super) async fn switch(&mut self, node: usize, noun: Noun) -> Held {
        let (path, is_there, is_enabled) = match noun {
            Noun::Person(person) => {
                let person = usize::from(person) % PEOPLE.len();
                let own = &self.book.people[person];
                let path = format!("/admin/v1/users/{}", PEOPLE[person]);
                (path, own.is_there, own.is_enabled)
            }
            Noun::Client(client) => {
                let client = CLIENTS[usize::from(client) % CLIENTS.len()];
                let own = self.book.clients[client];
                (
                    format!("/admin/v1/clients/{client}"),
                    own.is_there,
                    own.is_enabled,
                )
            }
            Noun::Organization => {
                let own = self.book.organization;
                (
                    "/admin/v1/organizations/acme".to_owned(),
                    own.is_there,
                    own.is_enabled,
                )
            }
        };
        if !is_there {
            return Ok(());
        }
        let verb = if is_enabled { "disable" } else { "enable" };
        for _ in 0..2 {
            self.done(node, Method::POST, &format!("{path}/{verb}"), None)
                .await?;
        }
        self.note_switched(noun, !is_enabled);
        Ok(())
    }

    fn note_switched(&mut self, noun: Noun, is_enabled: bool) {
        let told = |off, on| if is_enabled { on } else { off };
        match noun {
            Noun::Person(person) => {
                let person = usize::from(person) % PEOPLE.len();
                self.tells(told("user.disable", "user.enable"));
                self.book.people[person].is_enabled = is_enabled;
                if !is_enabled {
                    self.book.revoke_person(self.book.who(person));
                }
            }
            Noun::Client(client) => {
                let client = CLIENTS[usize::from(client) % CLIENTS.len()];
                self.tells(told("client.disable", "client.enable"));
                self.book.clients.get_mut(client).unwrap().is_enabled = is_enabled;
                if !is_enabled {
                    self.book.revoke_client(client);
                }
            }
            Noun::Organization => {
                self.tells(told("organization.disable", "organization.enable"));
                self.book.organization.is_enabled = is_enabled;
                if !is_enabled {
                    self.book.revoke_organization(None);
                }
            }
        }
    }

    pub(super) async fn recreate_person(&mut self, node: usize, person: u8) -> Held {
        let person = usize::from(person) % PEOPLE.len();
        let name = PEOPLE[person];
        if self.book.people[person].is_there {
            let path = format!("/admin/v1/users/{name}");
            self.done(node, Method::DELETE, &path, None).await?;
            self.tells("user.delete");
            self.book.delete_person(person);
            return Ok(());
        }
        let document = json!({ "username": name, "password": PASSWORD });
        self.done(node, Method::POST, "/admin/v1/users", Some(document))
            .await?;
        self.tells("user.create");
        self.numbers[person] += 1;
        let own = &mut self.book.people[person];
        own.number = self.numbers[person];
        (own.is_there, own.is_enabled) = (true, true);
        if person == 0 && self.book.organization.is_there {
            self.join(node).await?;
        }
        Ok(())
    }

    /// Makes the first person a member.
    async fn join(&mut self, node: usize) -> Held {
        let path = format!("/admin/v1/organizations/acme/members/{}", PEOPLE[0]);
        self.done(
            node,
            Method::PUT,
            &path,
            Some(json!({ "roles": ["buyer"] })),
        )
        .await?;
        self.tells("organization.set_member");
        self.book.people[0].is_member = true;
        Ok(())
    }

    pub(super) async fn recreate_client(&mut self, node: usize, client: u8) -> Held {
        let client = CLIENTS[usize::from(client) % CLIENTS.len()];
        if self.book.clients[client].is_there {
            let path = format!("/admin/v1/clients/{client}");
            self.done(node, Method::DELETE, &path, None).await?;
            self.tells("client.delete");
            self.book.delete_client(client);
            return Ok(());
        }
        let mut document = self.documents[client].clone();
        let members = document.as_object_mut().unwrap();
        for fixed in ["created", "updated", "enabled", "secrets"] {
            members.remove(fixed);
        }
        if client == "cli" {
            members.remove("secret");
        } else {
            members.insert("secret".to_owned(), SECRET.into());
        }
        self.done(node, Method::POST, "/admin/v1/clients", Some(document))
            .await?;
        self.tells("client.create");
        let own = self.book.clients.get_mut(client).unwrap();
        (own.is_there, own.is_enabled) = (true, true);
        Ok(())
    }

    pub(super) async fn recreate_organization(&mut self, node: usize) -> Held {
        let path = "/admin/v1/organizations/acme";
        if self.book.organization.is_there {
            self.done(node, Method::DELETE, path, None).await?;
            self.tells("organization.delete");
            self.book.delete_organization();
            return Ok(());
        }
        let document = json!({ "id": "acme", "name": "Acme" });
        self.done(
            node,
            Method::POST,
            "/admin/v1/organizations",
            Some(document),
        )
        .await?;
        self.tells("organization.create");
        let own = &mut self.book.organization;
        (own.is_there, own.is_enabled) = (true, true);
        if self.book.people[0].is_there {
            self.join(node).await?;
        }
        Ok(())
    }
}
