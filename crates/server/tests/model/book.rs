//! What the server promises, as a book that one clerk keeps: lists, and flags
//! that are only ever set.
//!
//! Nothing here is clever. What is taken back marks at once everything that
//! hangs on it, and what is issued later is another entry.

use std::collections::{BTreeMap, BTreeSet};

/// A person, and which of those that had the name: one that is made again is
/// somebody else.
pub(super) type Who = (usize, u32);

#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) number: u32,
    pub(super) is_there: bool,
    pub(super) is_enabled: bool,
    pub(super) is_member: bool,
}

/// Whether something with a name is there, and switched on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) is_there: bool,
    pub(super) is_enabled: bool,
}

impl Named {
    const ON: Self = Self {
        is_there: true,
        is_enabled: true,
    };

    pub(super) fn is_on(self) -> bool {
        self.is_there && self.is_enabled
    }
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) who: Who,
    pub(super) browser: usize,
    /// When somebody proved who they are, last.
    pub(super) proved: i64,
    /// As it was listed last.
    pub(super) idle_ends: i64,
    pub(super) absolute_ends: i64,
    pub(super) is_dead: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) id: String,
    pub(super) who: Who,
    pub(super) client: &'static str,
    pub(super) organization: bool,
    /// What was agreed to: scopes, and where they are good. The issuer's own
    /// are good anywhere.
    pub(super) agreed: BTreeSet<(&'static str, String)>,
    pub(super) is_dead: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) text: String,
    pub(super) who: Who,
    pub(super) want: usize,
    pub(super) grant: usize,
    pub(super) session: usize,
    /// When somebody had proved who they are.
    pub(super) proved: i64,
    pub(super) expires: i64,
    pub(super) is_spent: bool,
    /// It was shown again, and that was told.
    pub(super) is_told: bool,
    /// What came of it, once something did.
    pub(super) family: Option<usize>,
    pub(super) is_dead: bool,
}

/// Everything that came of one code.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) who: Who,
    pub(super) want: usize,
    pub(super) client: &'static str,
    pub(super) organization: bool,
    pub(super) grant: usize,
    /// The session, where it ends with that.
    pub(super) session: Option<usize>,
    pub(super) proved: i64,
    /// The key that its first token is bound to.
    pub(super) key: Option<usize>,
    /// Its refresh tokens by their generation; none where none is due.
    pub(super) leaves: Vec<String>,
    pub(super) rotated: i64,
    pub(super) idle_ends: i64,
    pub(super) absolute_ends: i64,
    pub(super) is_dead: bool,
}

/// How a token is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Access,
    Macaroon,
    Assertion,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) form: Form,
    pub(super) client: &'static str,
    /// Nobody, where a client acts for itself.
    pub(super) who: Option<Who>,
    pub(super) organization: bool,
    pub(super) resource: &'static str,
    pub(super) scopes: BTreeSet<String>,
    /// In seconds, as tokens say it.
    pub(super) expires: i64,
    pub(super) family: Option<usize>,
    /// The tokens that it was made of.
    pub(super) parents: Vec<usize>,
    /// How many exchanges it came through.
    pub(super) depth: usize,
    /// The key that it is bound to.
    pub(super) key: Option<usize>,
    /// When whoever it is of proved who they are.
    pub(super) proved: Option<i64>,
    pub(super) kid: Option<String>,
    pub(super) is_dead: bool,
}

/// Guesses that were counted, and until when they count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guesses {
    pub(super) count: u32,
    pub(super) ends: i64,
}

/// All that is known.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) now: i64,
    pub(super) people: Vec<Person>,
    pub(super) clients: BTreeMap<&'static str, Named>,
    pub(super) organization: Named,
    pub(super) sessions: Vec<Session>,
    pub(super) grants: Vec<Grant>,
    pub(super) codes: Vec<Code>,
    pub(super) families: Vec<Family>,
    pub(super) tokens: Vec<Token>,
    pub(super) guesses: Guesses,
}

impl Book {
    pub(super) fn new(now: i64, people: usize, clients: &[&'static str]) -> Self {
        let person = |at| Person {
            number: 0,
            is_there: true,
            is_enabled: true,
            is_member: at == 0,
        };
        Self {
            now,
            people: (0..people).map(person).collect(),
            clients: clients.iter().map(|id| (*id, Named::ON)).collect(),
            organization: Named::ON,
            sessions: Vec::new(),
            grants: Vec::new(),
            codes: Vec::new(),
            families: Vec::new(),
            tokens: Vec::new(),
            guesses: Guesses::default(),
        }
    }

    pub(super) fn who(&self, person: usize) -> Who {
        (person, self.people[person].number)
    }

    /// Clients that no sequence touches are always on.
    pub(super) fn is_on(&self, client: &str) -> bool {
        self.clients.get(client).is_none_or(|own| own.is_on())
    }

    // --- what lives ------------------------------------------------------------

    pub(super) fn session_lives(&self, at: usize) -> bool {
        let own = &self.sessions[at];
        !own.is_dead && self.now < own.idle_ends && self.now < own.absolute_ends
    }

    pub(super) fn family_lives(&self, at: usize) -> bool {
        let own = &self.families[at];
        !own.is_dead && self.now < own.idle_ends && self.now < own.absolute_ends
    }

    /// Whether nothing that it hangs on was taken back. It may have expired.
    pub(super) fn token_stands(&self, at: usize) -> bool {
        let own = &self.tokens[at];
        !own.is_dead && own.parents.iter().all(|parent| self.token_stands(*parent))
    }

    pub(super) fn token_lives(&self, at: usize) -> bool {
        self.token_stands(at) && self.now < self.tokens[at].expires * 1000
    }

    /// What may have come of a code that was shown may not have been taken back.
    pub(super) fn code_stands(&self, at: usize) -> bool {
        let own = &self.codes[at];
        !own.is_dead
            && own
                .family
                .is_none_or(|family| !self.families[family].is_dead)
    }

    /// The live grant of somebody to a client.
    pub(super) fn live_grant(&self, who: Who, client: &str, organization: bool) -> Option<usize> {
        self.grants.iter().position(|own| {
            !own.is_dead
                && own.who == who
                && own.client == client
                && own.organization == organization
        })
    }

    // --- what ends -------------------------------------------------------------

    pub(super) fn end_family(&mut self, at: usize) {
        self.families[at].is_dead = true;
        for token in &mut self.tokens {
            token.is_dead |= token.family == Some(at);
        }
    }

    fn end_families(&mut self, is_hit: impl Fn(&Family) -> bool) {
        for at in 0..self.families.len() {
            if is_hit(&self.families[at]) {
                self.end_family(at);
            }
        }
    }

    pub(super) fn end_grant(&mut self, at: usize) {
        self.grants[at].is_dead = true;
        self.end_families(|own| own.grant == at);
        for code in &mut self.codes {
            code.is_dead |= code.grant == at;
        }
    }

    fn end_grants(&mut self, is_hit: impl Fn(&Grant) -> bool) {
        for at in 0..self.grants.len() {
            if is_hit(&self.grants[at]) {
                self.end_grant(at);
            }
        }
    }

    /// What was agreed to outlive the session stays; codes of it do not.
    pub(super) fn end_session(&mut self, at: usize) {
        self.sessions[at].is_dead = true;
        self.end_families(|own| own.session == Some(at));
    }

    /// Takes back all that was issued for a person. What they agreed to stays.
    pub(super) fn revoke_person(&mut self, who: Who) {
        for at in 0..self.sessions.len() {
            if self.sessions[at].who == who {
                self.end_session(at);
            }
        }
        self.end_families(|own| own.who == who);
        for code in &mut self.codes {
            code.is_dead |= code.who == who;
        }
        for token in &mut self.tokens {
            token.is_dead |= token.who == Some(who);
        }
    }

    /// Takes back all that a client was given. What people agreed to stays.
    pub(super) fn revoke_client(&mut self, client: &str) {
        self.end_families(|own| own.client == client);
        for code in &mut self.codes {
            code.is_dead |= super::setting::WANTS[code.want].client == client;
        }
        for token in &mut self.tokens {
            token.is_dead |= token.client == client;
        }
    }

    /// Takes back all that was done for the organization, or by one member.
    pub(super) fn revoke_organization(&mut self, member: Option<Who>) {
        let is_meant = |who: Who| member.is_none_or(|member| member == who);
        self.end_families(|own| own.organization && is_meant(own.who));
        for code in &mut self.codes {
            let is_of_it = super::setting::WANTS[code.want].organization;
            code.is_dead |= is_of_it && is_meant(code.who);
        }
        for token in &mut self.tokens {
            let is_hit = token.who.map_or(member.is_none(), is_meant);
            token.is_dead |= token.organization && is_hit;
        }
    }

    pub(super) fn delete_person(&mut self, person: usize) {
        let who = self.who(person);
        self.revoke_person(who);
        self.end_grants(|own| own.who == who);
        self.people[person].is_there = false;
        self.people[person].is_member = false;
    }

    pub(super) fn delete_client(&mut self, client: &'static str) {
        self.revoke_client(client);
        self.end_grants(|own| own.client == client);
        if let Some(own) = self.clients.get_mut(client) {
            own.is_there = false;
        }
    }

    pub(super) fn delete_organization(&mut self) {
        self.revoke_organization(None);
        self.end_grants(|own| own.organization);
        self.organization.is_there = false;
        for person in &mut self.people {
            person.is_member = false;
        }
    }

    /// What dies where a token is taken back: a macaroon stands for its root,
    /// whatever was added to it.
    pub(super) fn root(&self, at: usize) -> usize {
        let mut root = at;
        while self.tokens[root].form == Form::Macaroon
            && let [parent] = self.tokens[root].parents[..]
        {
            root = parent;
        }
        root
    }

    pub(super) fn end_token(&mut self, at: usize) {
        let root = self.root(at);
        self.tokens[root].is_dead = true;
    }

    /// Takes back all that a key made.
    pub(super) fn distrust(&mut self, kid: &str) {
        for token in &mut self.tokens {
            token.is_dead |= token.kid.as_deref() == Some(kid);
        }
    }

    /// Goes back to what a backup knew of people, clients and organizations.
    /// Whatever was issued, before it or after it, is dead.
    pub(super) fn restored(self, backup: &Self) -> Self {
        let mut book = Self {
            people: backup.people.clone(),
            clients: backup.clients.clone(),
            organization: backup.organization,
            guesses: backup.guesses,
            ..self
        };
        // A name that is made again is somebody else than anybody before.
        for session in &mut book.sessions {
            session.is_dead = true;
        }
        for grant in &mut book.grants {
            grant.is_dead = true;
        }
        for code in &mut book.codes {
            code.is_dead = true;
        }
        for family in &mut book.families {
            family.is_dead = true;
        }
        for token in &mut book.tokens {
            token.is_dead = true;
        }
        book
    }
}

/// Scopes as a set.
pub(super) fn scopes(text: &str) -> BTreeSet<String> {
    text.split(' ')
        .filter(|own| !own.is_empty())
        .map(str::to_owned)
        .collect()
}
