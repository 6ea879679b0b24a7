//! `[[user]]`: a person, with the standard claims.
//!
//! Spec: OpenID Connect Core 1.0 §5.1

use serde_json::{Map, Value as Json};
use symbolon_token::Secret;

use super::super::ConfiguredPerson;
use super::super::document::{Entry, Table};
use super::super::finding::{Finding, Location};
use super::super::schema::USER;
use super::super::secret::Form;
use super::{Loading, invalid, unknown_key};
use crate::authn::password::is_affordable;
use crate::person::{
    MIN_PASSWORD_CHARACTERS, WISE_PASSWORD_CHARACTERS, claim_problem, username_problem,
};

/// Claims that the server alone makes.
const RESERVED: [&str; 16] = [
    "sub",
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "acr",
    "amr",
    "azp",
    "auth_time",
    "at_hash",
    "c_hash",
    "sid",
    "rev",
];

impl Loading<'_> {
    pub(super) fn person(&mut self, table: &Table) -> Option<ConfiguredPerson> {
        if !table.has("username") {
            self.add(invalid(&USER, "username", &table.at, "it is missing"));
        }
        let username: Option<String> = self.value(table, &USER, "username");
        let claims = self.claims(table);
        let password = self.password(table);
        let password_hash = self.password_hash(table);
        self.check_passwords(table);
        let enabled = self.value(table, &USER, "enabled");
        let enforce = self.value(table, &USER, "enforce").unwrap_or(false);
        let username = username?;
        self.check_username(&username, table.place("username"));
        Some(ConfiguredPerson {
            username,
            password,
            password_hash,
            claims,
            enabled,
            enforce,
            at: table.at.clone(),
        })
    }

    fn claims(&mut self, table: &Table) -> Map<String, Json> {
        let mut claims = Map::new();
        for entry in &table.entries {
            // A claim may be written in a language, as in `name#el`.
            let name = entry.name.split('#').next().unwrap_or_default();
            match USER.find(name) {
                Some(key) if key.is_secret() => {}
                Some(_) if matches!(name, "username" | "enabled" | "enforce") => {}
                Some(_) => match claim_problem(name, &entry.node.json()) {
                    Some(why) => {
                        let why = format!("it {why}");
                        self.add(invalid(&USER, name, &entry.node.at, &why));
                    }
                    None => {
                        claims.insert(entry.name.clone(), entry.node.json());
                    }
                },
                None => self.add(not_a_claim(name, entry)),
            }
        }
        claims
    }

    fn check_username(&mut self, username: &str, at: &Location) {
        let Some(why) = username_problem(username) else {
            return;
        };
        self.add(
            Finding::error("user.username.invalid", at, format!("user name `{username}`: it {why}"))
                .because("people sign in by user name or e-mail address, and one must never be taken for the other")
                .repair("write `username = \"alice\"` and `email = \"alice@example.com\"`"),
        );
    }

    fn password(&mut self, table: &Table) -> Option<Secret> {
        let given = self.secret(table, "password")?;
        let length = given.secret.expose_str().chars().count();
        if length < WISE_PASSWORD_CHARACTERS {
            let finding = Finding::warning(
                "user.password.short",
                &given.at,
                format!("the password has fewer than {WISE_PASSWORD_CHARACTERS} characters"),
            )
            .because("a short password is found by trying; off loopback fewer than 8 characters are refused")
            .repair("choose a longer one, several words for example");
            let is_refused = length < MIN_PASSWORD_CHARACTERS && self.is_off_loopback();
            self.add(Finding::error_if(is_refused, finding));
        }
        if given.form == Form::Inline && self.is_off_loopback() {
            self.add(
                Finding::warning(
                    "user.password.inline",
                    &given.at,
                    "the password stands in the file",
                )
                .because(
                    "configuration is copied, backed up and checked in, and the password with it",
                )
                .repair(
                    "use `password_file`, `password_env`, `password_command` or `password_hash`",
                ),
            );
        }
        Some(given.secret)
    }

    fn password_hash(&mut self, table: &Table) -> Option<Secret> {
        let given = self.secret(table, "password_hash")?;
        if !is_affordable(given.secret.expose_str()) {
            self.add(
                Finding::error("user.password_hash.invalid", &given.at, "`password_hash` is no Argon2 hash in PHC form, or costs too much")
                    .because("a hash that cannot be computed again lets nobody in")
                    .repair("write `password_hash = \"$argon2id$v=19$m=…,t=…,p=…$salt$hash\"`, or a `password`"),
            );
            return None;
        }
        Some(given.secret)
    }

    fn check_passwords(&mut self, table: &Table) {
        let names: Vec<_> = table
            .entries
            .iter()
            .filter_map(|entry| Some((USER.find(&entry.name)?.name, entry)))
            .collect();
        let at = |name| {
            names
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, entry)| &entry.node.at)
        };
        match (at("password"), at("password_hash")) {
            (Some(_), Some(at)) => self.add(
                Finding::error(
                    "user.password.twice",
                    at,
                    "both `password` and `password_hash` are given",
                )
                .because("nobody can tell which of them holds")
                .repair("keep one of them"),
            ),
            (None, None) => self.add(
                Finding::warning(
                    "user.password.missing",
                    &table.at,
                    "the person has no password",
                )
                .because("whom the block creates cannot sign in")
                .repair("add `password_file` or `password_hash`"),
            ),
            _ => {}
        }
    }
}

fn not_a_claim(name: &str, entry: &Entry) -> Finding {
    if RESERVED.contains(&name) {
        return Finding::error(
            "user.claim.reserved",
            &entry.named_at,
            format!("`{name}` is a claim that the server alone makes"),
        )
        .because("a person who could choose it could be taken for another")
        .repair("take the line out");
    }
    unknown_key(&USER, name, &entry.named_at)
}
