//! `[[resource]]`.

use serde_json::{Map, Value as Json};
use symbolon_protocol::Resource;

use super::super::document::{Table, Value};
use super::super::schema::{Kind, RESOURCE};
use super::{Block, Loading, invalid, probe};

const ANY: (&str, &str) = ("identifier", "https://probe.invalid");

impl Loading<'_> {
    pub(super) fn resource(&mut self, table: &Table) -> Option<Resource> {
        let block = Block {
            table,
            section: &RESOURCE,
            seen: self.findings.len(),
        };
        self.check_keys(table, &RESOURCE);
        let mut object = Map::new();
        for entry in &table.entries {
            let Some(key) = RESOURCE.find(&entry.name) else {
                continue;
            };
            let name = entry.name.as_str();
            let parts = match (key.kind, &entry.node.value) {
                (Kind::Texts, Value::Array(nodes)) => Some(nodes),
                _ => None,
            };
            let mut fits = |node: &super::super::document::Node, value: Json| {
                let read = serde_json::from_value::<Resource>(probe(ANY, name, value));
                match read {
                    Ok(_) => true,
                    Err(error) => {
                        self.add(invalid(&RESOURCE, name, &node.at, &error.to_string()));
                        false
                    }
                }
            };
            let value = match parts {
                Some(nodes) => nodes
                    .iter()
                    .filter(|node| fits(node, Json::from(vec![node.json()])))
                    .map(|node| node.json())
                    .collect(),
                None => entry.node.json(),
            };
            if fits(&entry.node, value.clone()) {
                object.insert(name.to_owned(), value);
            }
        }
        if !table.has("identifier") {
            self.add(invalid(&RESOURCE, "identifier", &table.at, "it is missing"));
        }
        let resource: Resource = serde_json::from_value(Json::from(object)).ok()?;
        let named = resource.name_problem();
        for problem in named.into_iter().chain(resource.problems()) {
            self.problem(block, &problem);
        }
        Some(resource)
    }
}
