//! From the tree to typed values; each mistake is noted and the rest is read on.

mod audit;
mod beside_issuer;
mod browser;
mod certificate;
mod client;
mod forward_auth;
mod gateway;
mod graphql;
mod kept;
mod keys;
mod mcp;
mod organization;
mod person;
mod policy;
mod quota;
mod registration;
mod resource;
mod risk;
mod route;
mod server;
mod signal_source;
mod trusted_issuer;
mod upstream;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use symbolon_protocol::client::Problem;
use symbolon_protocol::uri::is_loopback;
use symbolon_protocol::{Issuer, Resource};
use url::Url;

use super::document::{Node, Table, Value};
use super::finding::{Finding, Location};
use super::gateway::GatewayConfig;
use super::schema::{Section, TOP};
use super::signal_source::SignalSource;
use super::{ConfiguredClient, ConfiguredOrganization, ConfiguredPerson, ConfiguredTrustedIssuer};

pub(super) use server::Server;

/// Brings every `[[client]]` to our names.
pub(super) fn normalize_clients(root: &mut Table) -> Vec<Finding> {
    let at = root.at.clone();
    if !root.has("client") {
        return Vec::new();
    }
    let Some(nodes) = root.array_mut("client", &at) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for node in nodes {
        if let Value::Table(table) = &mut node.value {
            findings.extend(client::normalize(table));
        }
    }
    findings
}

/// What is known while a file is read.
pub(super) struct Loading<'v> {
    pub(super) findings: Vec<Finding>,
    pub(super) folder: PathBuf,
    pub(super) variables: &'v BTreeMap<String, String>,
    pub(super) command_timeout: Duration,
    pub(super) has_inline_secret: bool,
    /// Whether the issuer is this machine alone; unknown without an issuer.
    pub(super) is_on_loopback: Option<bool>,
}

/// A value, and the table that it was read from.
pub(super) struct Read<'t, T> {
    pub(super) value: T,
    pub(super) table: &'t Table,
}

/// A block that is being read.
#[derive(Clone, Copy)]
struct Block<'b> {
    table: &'b Table,
    section: &'static Section,
    /// How many findings there were before it.
    seen: usize,
}

/// Everything that the file says.
pub(super) struct Draft<'t> {
    pub(super) issuer: Option<Issuer>,
    pub(super) server: Server,
    pub(super) resources: Vec<Read<'t, Resource>>,
    pub(super) clients: Vec<Read<'t, ConfiguredClient>>,
    pub(super) organizations: Vec<Read<'t, ConfiguredOrganization>>,
    pub(super) trusted_issuers: Vec<Read<'t, ConfiguredTrustedIssuer>>,
    pub(super) signal_sources: Vec<Read<'t, Arc<SignalSource>>>,
    pub(super) people: Vec<Read<'t, ConfiguredPerson>>,
    pub(super) gateway: Option<GatewayConfig>,
}

impl<'v> Loading<'v> {
    /// Reads the whole tree.
    pub(super) fn read<'t>(&mut self, root: &'t Table) -> Draft<'t> {
        self.check_keys(root, &TOP);
        let issuer = self.issuer(root);
        let server = self.server(root);
        let resources = self.blocks(root, "resource");
        let clients = self.blocks(root, "client");
        let organizations = self.blocks(root, "organization");
        let issuers = self.blocks(root, "trusted_issuer");
        let sources = self.blocks(root, "signal_source");
        let people = self.blocks(root, "user");
        let gateway = self.gateway(root, &server);
        Draft {
            gateway,
            issuer,
            server,
            resources: read_all(resources, |table| self.resource(table)),
            clients: read_all(clients, |table| self.client(table)),
            organizations: read_all(organizations, |table| self.organization(table)),
            trusted_issuers: read_all(issuers, |table| self.trusted_issuer(table)),
            signal_sources: read_all(sources, |table| self.signal_source(table)),
            people: read_all(people, |table| self.person(table)),
        }
    }

    fn issuer(&mut self, root: &Table) -> Option<Issuer> {
        if !root.has("issuer") {
            self.add(
                Finding::error("issuer.missing", &root.at, "`issuer` is missing")
                    .because("the issuer is the name that every token carries; it cannot be guessed")
                    .repair("write `issuer = \"https://login.example.com\"`, or `issuer = \"http://127.0.0.1:8080\"` on one machine"),
            );
        }
        let issuer: Issuer = self.value(root, &TOP, "issuer")?;
        self.is_on_loopback = Url::parse(issuer.as_str())
            .ok()
            .map(|url| is_loopback(&url));
        Some(issuer)
    }

    /// Whether the issuer is known to be reached from elsewhere.
    pub(super) fn is_off_loopback(&self) -> bool {
        self.is_on_loopback == Some(false)
    }

    /// Notes a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The value of a key; `None` where it is missing or was noted as wrong.
    pub(super) fn value<T: DeserializeOwned>(
        &mut self,
        table: &Table,
        section: &Section,
        name: &str,
    ) -> Option<T> {
        let node = table.find(name)?;
        match serde_json::from_value(node.json()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(invalid(section, name, &node.at, &error.to_string()));
                None
            }
        }
    }

    /// The elements of a list, each read and noted for itself.
    pub(super) fn values<T: DeserializeOwned>(
        &mut self,
        table: &Table,
        section: &Section,
        name: &str,
    ) -> Vec<T> {
        let nodes = match table.find(name) {
            None => return Vec::new(),
            Some(Node {
                value: Value::Array(nodes),
                ..
            }) => nodes,
            Some(node) => {
                self.add(invalid(section, name, &node.at, "not a list"));
                return Vec::new();
            }
        };
        let mut values = Vec::new();
        for node in nodes {
            match serde_json::from_value(node.json()) {
                Ok(value) => values.push(value),
                Err(error) => self.add(invalid(section, name, &node.at, &error.to_string())),
            }
        }
        values
    }

    /// Origins of pages, as a browser writes them.
    pub(super) fn origins(&mut self, table: &Table, section: &Section) -> Vec<String> {
        let origins: Vec<String> = self.values(table, section, "origins");
        for origin in &origins {
            let parsed = url::Url::parse(origin).ok();
            if parsed.is_none_or(|url| url.origin().ascii_serialization() != *origin) {
                let at = table.place_of("origins", origin);
                let why = "it is an origin, as in `https://app.example.com`";
                self.add(invalid(section, "origins", at, why));
            }
        }
        origins
    }

    /// A path, from the folder of the file.
    pub(super) fn path(&mut self, table: &Table, section: &Section, name: &str) -> Option<PathBuf> {
        let text: String = self.value(table, section, name)?;
        Some(self.folder.join(text))
    }

    /// Notes what is no key of the section.
    pub(super) fn check_keys(&mut self, table: &Table, section: &Section) {
        for entry in &table.entries {
            if section.find(&entry.name).is_none() {
                self.add(unknown_key(section, &entry.name, &entry.named_at));
            }
        }
    }

    /// The table below a name.
    pub(super) fn section<'t>(
        &mut self,
        root: &'t Table,
        name: &str,
        section: &Section,
    ) -> Option<&'t Table> {
        let node = root.find(name)?;
        let Value::Table(table) = &node.value else {
            self.add(invalid(&TOP, name, &node.at, "not a table"));
            return None;
        };
        self.check_keys(table, section);
        Some(table)
    }

    pub(super) fn blocks<'t>(&mut self, root: &'t Table, name: &str) -> Vec<&'t Table> {
        let Some(node) = root.find(name) else {
            return Vec::new();
        };
        let Value::Array(nodes) = &node.value else {
            self.add(not_blocks(name, &node.at));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for node in nodes {
            match &node.value {
                Value::Table(table) => tables.push(table),
                _ => self.add(not_blocks(name, &node.at)),
            }
        }
        tables
    }

    /// Notes what does not fit together in a block, save for keys of which
    /// something was noted after `seen` findings: what is left of them proves nothing.
    fn problem(&mut self, block: Block<'_>, problem: &Problem) {
        let Block {
            table,
            section,
            seen,
        } = block;
        let at = table.place(&problem.field);
        let message = format!("`{}`: {}", problem.field, problem.message);
        if problem.is_not_built() {
            self.add(not_built("key.not_built", at, message));
            return;
        }
        let key = section.find(&problem.field);
        let code = key.map_or("key.unknown", |key| key.invalid);
        let known = self.findings.get(seen..).unwrap_or_default();
        if known.iter().any(|finding| finding.code == code) {
            return;
        }
        self.add(
            Finding::error(code, at, message)
                .because("the block contradicts itself, or asks for what no specification allows")
                .repair("change the key as the message says, or the one it is compared with"),
        );
    }
}

fn read_all<'t, T>(
    tables: Vec<&'t Table>,
    mut read: impl FnMut(&'t Table) -> Option<T>,
) -> Vec<Read<'t, T>> {
    let read = |table| {
        Some(Read {
            value: read(table)?,
            table,
        })
    };
    tables.into_iter().filter_map(read).collect()
}

/// A key whose value cannot be.
pub(super) fn invalid(section: &Section, name: &str, at: &Location, why: &str) -> Finding {
    let key = section.find(name);
    let example = key.map_or("", |key| key.example);
    Finding::error(
        key.map_or("key.invalid", |key| key.invalid),
        at,
        format!("`{name}` cannot be read: {why}"),
    )
    .because("a value that cannot be read is never guessed")
    .repair(match example {
        "" => format!("change `{name}` {}", section.place()),
        example => format!("write for example `{name} = {example}`"),
    })
}

/// A name that is no key.
pub(super) fn unknown_key(section: &Section, name: &str, at: &Location) -> Finding {
    let nearest = section.nearest(name);
    Finding::error(
        "key.unknown",
        at,
        format!(
            "`{name}` is not a key {}; the nearest is `{nearest}`",
            section.place()
        ),
    )
    .because("a key that nobody reads changes nothing, and whoever wrote it believes that it does")
    .repair(match section.near(name) {
        Some(near) => format!("write `{near}`, or take the line out"),
        None => "take the line out; docs/configuration.md has every key".to_owned(),
    })
}

/// A part that no binary has yet.
pub(super) fn not_built(code: &'static str, at: &Location, message: impl Into<String>) -> Finding {
    Finding::error(code, at, message)
        .because("what is not built yet would be ignored, and what it was to protect stand open")
        .repair("take it out; the changelog says when a version brings it")
}

/// The message of a part that no binary has yet.
pub(super) fn asks_for(name: &str, part: &str) -> String {
    format!("asks for `{name}`: the part `{part}` is not built yet")
}

/// A part that there is, and that this binary was built without.
pub(super) fn needs_feature(
    code: &'static str,
    at: &Location,
    part: &str,
    feature: &str,
) -> Finding {
    Finding::error(
        code,
        at,
        format!(
            "asks for {part}, which is not built into this binary: it needs the feature `{feature}`"
        ),
    )
    .because("what is not built in would be ignored, and what it was to protect stand open")
    .repair(format!(
        "use a binary that was built with `--features {feature}`, or take it out"
    ))
}

fn not_blocks(name: &str, at: &Location) -> Finding {
    Finding::error(
        "block.invalid",
        at,
        format!("`{name}` is not a list of blocks"),
    )
    .because("there may be several, so each stands in a block of its own")
    .repair(format!("write `[[{name}]]` above each"))
}

/// A JSON object of one member besides the one that is always needed.
fn probe(needed: (&str, &str), name: &str, value: Json) -> Json {
    let mut object = serde_json::Map::new();
    object.insert(needed.0.to_owned(), Json::from(needed.1));
    object.insert(name.to_owned(), value);
    object.into()
}
