//! `[[client]]`, under our names and those of registration.
//!
//! Spec: RFC 7591 §2, §2.2

use serde_json::{Map, Value as Json};
use symbolon_protocol::client::Client;
use symbolon_protocol::{ClientAuthentication, ClientId, registration};

use super::super::ConfiguredClient;
use super::super::document::{Entry, Node, Table, Value};
use super::super::finding::Finding;
use super::super::schema::{CLIENT, Kind};
use super::super::secret::Form;
use super::{Block, Loading, asks_for, invalid, not_built, probe, unknown_key};

const ANY: (&str, &str) = ("id", "probe");

/// Brings a block to our names.
pub(in super::super) fn normalize(table: &mut Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (alias, name) in registration::ALIASES {
        if table.has(alias) && table.has(name) {
            findings.push(
                Finding::error(
                    "client.key.twice",
                    table.place(alias),
                    format!("`{alias}` and `{name}` are one key"),
                )
                .because("nobody can tell which of them holds")
                .repair(format!("keep `{name}`")),
            );
        }
    }
    table
        .entries
        .retain(|entry| !registration::asks_for_nothing(&entry.name, &entry.node.json()));
    for entry in &mut table.entries {
        entry.name = registration::own_name(&entry.name).to_owned();
        split_scope(entry);
    }
    add_kind(table);
    findings
}

/// Registration says `application_type` where we say `kind`.
fn add_kind(table: &mut Table) {
    let Some(node) = table
        .find("application_type")
        .filter(|_| !table.has("kind"))
    else {
        return;
    };
    let at = node.at.clone();
    if let Some(kind) = registration::kind_of(&node.json()) {
        table.put_text("kind", kind, &at);
    }
}

/// Registration writes scopes as one text with spaces.
fn split_scope(entry: &mut Entry) {
    if let ("scopes", Some(text)) = (entry.name.as_str(), entry.node.text()) {
        let at = &entry.node.at;
        let node = |word: &str| Node {
            value: Value::Text(word.to_owned()),
            at: at.clone(),
        };
        entry.node.value = Value::Array(registration::split_scope(text).map(node).collect());
    }
}

impl Loading<'_> {
    pub(super) fn client(&mut self, table: &Table) -> Option<ConfiguredClient> {
        let block = Block {
            table,
            section: &CLIENT,
            seen: self.findings.len(),
        };
        let mut object = self.client_object(table);
        if !table.has("grants") {
            registration::add_grants_of_kind(&mut object);
        }
        if !table.has("id") {
            self.add(invalid(&CLIENT, "id", &table.at, "it is missing"));
        }
        let mut client: Client = serde_json::from_value(Json::from(object)).ok()?;
        if client.name.is_empty() {
            client.name = client.id.to_string();
        }
        for problem in client.problems() {
            self.problem(block, &problem);
        }
        let secret = self.secret(table, "secret");
        if let Some(given) = &secret {
            self.check_length(&given.secret, "client.secret.short", &given.at);
            if given.form == Form::Inline && self.is_off_loopback() {
                self.add(
                    Finding::warning(
                        "client.secret.inline",
                        &given.at,
                        format!("the secret of client `{}` stands in the file", client.id),
                    )
                    .because(
                        "configuration is copied, backed up and checked in, and the secret with it",
                    )
                    .repair("use `secret_file`, `secret_env` or `secret_command`"),
                );
            }
        }
        let is_given = table.entries.iter().any(|entry| {
            CLIENT
                .find(&entry.name)
                .is_some_and(|key| key.name == "secret")
        });
        self.check_secret_is_wanted(table, &client, is_given);
        Some(ConfiguredClient {
            client,
            secret: secret.map(|given| given.secret),
            enabled: self.value(table, &CLIENT, "enabled"),
            enforce: self.value(table, &CLIENT, "enforce").unwrap_or(false),
            at: table.at.clone(),
        })
    }

    /// The members that can be read; the others are noted where they stand.
    fn client_object(&mut self, table: &Table) -> Map<String, Json> {
        let mut object = Map::new();
        for entry in &table.entries {
            let name = entry.name.as_str();
            let Some(key) = CLIENT.find(name) else {
                if self.is_known_otherwise(entry) {
                    object.insert(name.to_owned(), entry.node.json());
                }
                continue;
            };
            if key.is_secret() || matches!(name, "enabled" | "enforce") {
                continue;
            }
            let value = match (key.kind, &entry.node.value) {
                (Kind::Texts, Value::Array(nodes)) => nodes
                    .iter()
                    .filter(|node| self.fits(name, node, Json::from(vec![node.json()])))
                    .map(Node::json)
                    .collect(),
                _ => entry.node.json(),
            };
            if self.fits(name, &entry.node, value.clone()) {
                object.insert(name.to_owned(), value);
            }
        }
        object
    }

    fn fits(&mut self, name: &str, node: &Node, value: Json) -> bool {
        let word = match &node.value {
            Value::Text(text) => registration::grant_not_built(text).map(|part| (text, part)),
            _ => None,
        };
        if let Some((word, part)) = word
            && name == "grants"
        {
            self.add(not_built("key.not_built", &node.at, asks_for(word, part)));
            return false;
        }
        // The identifier is its own probe.
        let read = match name {
            "id" => serde_json::from_value::<ClientId>(value).map(drop),
            _ => serde_json::from_value::<Client>(probe(ANY, name, value)).map(drop),
        };
        if let Err(error) = &read {
            self.add(invalid(&CLIENT, name, &node.at, &error.to_string()));
        }
        read.is_ok()
    }

    /// Whether a name that is no key of the file is one of registration. The
    /// type of a client knows; what it refuses is noted.
    fn is_known_otherwise(&mut self, entry: &Entry) -> bool {
        let name = entry.name.as_str();
        let read = serde_json::from_value::<Client>(probe(ANY, name, entry.node.json()));
        let problems = read.map(|client| client.problems()).unwrap_or_default();
        let Some(problem) = problems.iter().find(|problem| problem.field == name) else {
            return true;
        };
        let finding = if problem.is_not_built() {
            let message = format!("`{name}` {}", problem.message);
            not_built("key.not_built", &entry.named_at, message)
        } else if problem.message == registration::NO_KEY {
            unknown_key(&CLIENT, name, &entry.named_at)
        } else {
            invalid(&CLIENT, name, &entry.node.at, &problem.message)
        };
        self.add(finding);
        false
    }

    fn check_secret_is_wanted(&mut self, table: &Table, client: &Client, is_given: bool) {
        let method = client.authentication();
        let wants = matches!(
            method,
            ClientAuthentication::ClientSecretBasic
                | ClientAuthentication::ClientSecretPost
                | ClientAuthentication::ClientSecretJwt
        );
        match (wants, is_given) {
            (true, false) => self.add(
                Finding::error("client.secret.missing", &table.at, format!("client `{}` proves itself by `{method}` and has no secret", client.id))
                    .because("without a secret it can prove nothing, so every request of it is refused")
                    .repair("add `secret_file`, `secret_env`, `secret_command` or `secret`, or choose another `authentication`"),
            ),
            (false, true) => self.add(
                Finding::warning("client.secret.unused", &table.at, format!("client `{}` has a secret that `{method}` never asks for", client.id))
                    .because("whoever wrote it believes that the client must know it")
                    .repair("take the secret out, or set `authentication = \"client_secret_basic\"`"),
            ),
            _ => {}
        }
    }
}
