//! `[gateway.route.mcp]`, with its tools, prompts and resources.

use serde_json::Value as Json;
use symbolon_protocol::Scope;

use super::super::document::{Node, Table, Value};
use super::super::gateway::RouteNeeds;
use super::super::mcp::{McpArgument, McpConfig, McpRule};
use super::super::schema::{MCP, MCP_PROMPT, MCP_RESOURCE, MCP_TOOL, ROUTE, Section};
use super::{Loading, invalid};

impl Loading<'_> {
    /// The rules of a route, where it is one of an MCP server.
    pub(super) fn mcp(&mut self, table: &Table, needs: Option<&RouteNeeds>) -> Option<McpConfig> {
        let own = self.section(table, "mcp", &MCP)?;
        let passes: Option<bool> = self.value(table, &ROUTE, "pass_token");
        if passes == Some(true) {
            let why = "a token that was made for this server is never shown to another one (MCP Authorization, Token Handling)";
            self.add(invalid(
                &ROUTE,
                "pass_token",
                table.place("pass_token"),
                why,
            ));
        }
        let origins = self.origins(own, &MCP);
        let unlisted: Option<String> = self.value(own, &MCP, "unlisted");
        if !matches!(unlisted.as_deref(), None | Some("refuse" | "allow")) {
            let why = "it is `refuse` or `allow`";
            self.add(invalid(&MCP, "unlisted", own.place("unlisted"), why));
        }
        let is_public = matches!(needs, Some(RouteNeeds::Public));
        Some(McpConfig {
            origins,
            allows_unlisted: unlisted.as_deref() == Some("allow"),
            tools: self.rules(own, ("tool", "name", &MCP_TOOL), is_public),
            prompts: self.rules(own, ("prompt", "name", &MCP_PROMPT), is_public),
            resources: self.rules(own, ("resource", "uri", &MCP_RESOURCE), is_public),
        })
    }

    fn rules(
        &mut self,
        table: &Table,
        (list, named, section): (&str, &str, &Section),
        is_public: bool,
    ) -> Vec<McpRule> {
        let blocks = self.blocks(table, list);
        let mut rules = Vec::new();
        for block in blocks {
            self.check_keys(block, section);
            let name: Option<String> = self.value(block, section, named);
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                self.add(invalid(section, named, &block.at, "it is missing"));
                continue;
            };
            let scopes: Vec<Scope> = self.values(block, section, "scopes");
            if is_public && !scopes.is_empty() {
                let why = "on a public route nobody has a scope";
                self.add(invalid(section, "scopes", block.place("scopes"), why));
            }
            let cost: Option<u64> = self.value(block, section, "cost");
            rules.push(McpRule {
                name,
                scopes: scopes.iter().map(|own| own.as_str().to_owned()).collect(),
                arguments: self.arguments(block, section),
                cost: cost.unwrap_or(1),
            });
        }
        rules
    }

    fn arguments(&mut self, block: &Table, section: &Section) -> Vec<(String, McpArgument)> {
        let Some(node) = block.find("arguments") else {
            return Vec::new();
        };
        let Value::Table(table) = &node.value else {
            self.add(invalid(section, "arguments", &node.at, "it is a table"));
            return Vec::new();
        };
        let mut all = Vec::new();
        for entry in &table.entries {
            match argument(&entry.node) {
                Some(argument) => all.push((entry.name.clone(), argument)),
                None => {
                    let why = "an argument is a value, a list of values, or `{ min = …, max = … }`";
                    self.add(invalid(section, "arguments", &entry.node.at, why));
                }
            }
        }
        all
    }
}

fn argument(node: &Node) -> Option<McpArgument> {
    match node.json() {
        Json::Array(values) if values.iter().all(is_plain) && !values.is_empty() => {
            Some(McpArgument::OneOf(values))
        }
        Json::Object(bounds) => {
            let is_bound = |name: &String| name == "min" || name == "max";
            let is_known = !bounds.is_empty() && bounds.keys().all(is_bound);
            let bound = |name: &str| match bounds.get(name) {
                None => Some(None),
                Some(own) => own.as_f64().map(Some),
            };
            is_known.then_some(())?;
            Some(McpArgument::Within {
                min: bound("min")?,
                max: bound("max")?,
            })
        }
        own if is_plain(&own) => Some(McpArgument::OneOf(vec![own])),
        _ => None,
    }
}

fn is_plain(value: &Json) -> bool {
    value.is_string() || value.is_number() || value.is_boolean()
}
