//! `graphql = { … }` of a route: what is there, and that it is there. Whether a
//! schema is one, whoever guards by it says.

use symbolon_protocol::Scope;

use super::super::document::{Table, Value};
use super::super::graphql::{GraphqlLimit, RouteGraphql};
use super::super::schema::{GRAPHQL, ROUTE};
use super::gateway::pairs;
use super::{Loading, invalid, needs_feature};

impl Loading<'_> {
    /// What a route says of the graph behind it.
    pub(super) fn graphql_of_route(&mut self, route: &Table) -> Option<RouteGraphql> {
        let node = route.find("graphql")?;
        let Value::Table(table) = &node.value else {
            let why = "it is a table with `schema` in it";
            self.add(invalid(&ROUTE, "graphql", &node.at, why));
            return None;
        };
        if !cfg!(feature = "graphql") {
            self.add(needs_feature(
                "key.not_built",
                &node.at,
                "`graphql`",
                "graphql",
            ));
            return None;
        }
        self.check_keys(table, &GRAPHQL);
        let schema = self.path(table, &GRAPHQL, "schema");
        if schema.is_none() {
            let why = "it is missing";
            self.add(invalid(&GRAPHQL, "schema", table.place("schema"), why));
        }
        let manifest = self.path(table, &GRAPHQL, "manifest");
        let persisted = self.word(table, "persisted", &["off", "also", "only"]);
        if (persisted != "off") != manifest.is_some() {
            let why = "`persisted` of `also` or `only` and `manifest` go together";
            self.add(invalid(&GRAPHQL, "manifest", table.place("manifest"), why));
        }
        Some(RouteGraphql {
            rules: self.path(table, &GRAPHQL, "rules"),
            policies: self.policies_of_route(table),
            on_denied: self.word(table, "on_denied", &["refuse", "null"]),
            mode: self.word(table, "mode", &["enforce", "shadow"]),
            introspection: self.introspection_of_route(table),
            automatic_persisted: self.truth(table, "automatic_persisted"),
            subscriptions: self.truth(table, "subscriptions"),
            limits: self.limits_of_graph(table),
            schema: schema.unwrap_or_default(),
            manifest,
            persisted,
            at: node.at.clone(),
        })
    }

    /// One of some words, the first where none is said.
    fn word(&mut self, table: &Table, name: &'static str, words: &[&'static str]) -> &'static str {
        let usual = words.first().copied().unwrap_or_default();
        let Some(text) = self.value::<String>(table, &GRAPHQL, name) else {
            return usual;
        };
        match words.iter().find(|own| **own == text) {
            Some(own) => own,
            None => {
                let why = format!("it is one of `{}`", words.join("`, `"));
                self.add(invalid(&GRAPHQL, name, table.place(name), &why));
                usual
            }
        }
    }

    fn truth(&mut self, table: &Table, name: &'static str) -> bool {
        self.value(table, &GRAPHQL, name).unwrap_or(false)
    }

    /// `true`, `false`, or the scopes of those who may read the schema.
    fn introspection_of_route(&mut self, table: &Table) -> Option<Vec<String>> {
        match table.find("introspection").map(|node| &node.value) {
            None | Some(Value::Truth(false)) => None,
            Some(Value::Truth(true)) => Some(Vec::new()),
            Some(Value::Array(all)) if !all.is_empty() => {
                let scopes: Vec<Scope> = self.values(table, &GRAPHQL, "introspection");
                let scopes = scopes.iter().map(|own| own.as_str().to_owned());
                // None is left only where each was noted as wrong.
                Some(scopes.collect())
            }
            Some(_) => {
                let why = "it is `true`, `false`, or a list of scopes";
                let at = table.place("introspection");
                self.add(invalid(&GRAPHQL, "introspection", at, why));
                None
            }
        }
    }

    /// What the names in `@policy` mean: `claim = value`.
    fn policies_of_route(&mut self, table: &Table) -> Vec<(String, (String, String))> {
        let Some(node) = table.find("policies") else {
            return Vec::new();
        };
        let read = pairs(node).and_then(|pairs| {
            let means = |(name, text): (String, String)| {
                let (claim, value) = text.split_once('=')?;
                let (claim, value) = (claim.trim(), value.trim());
                let is_whole = !claim.is_empty() && !value.is_empty();
                is_whole.then(|| (name, (claim.to_owned(), value.to_owned())))
            };
            pairs.into_iter().map(means).collect()
        });
        if read.is_none() {
            let why = "it says for each name which claim has to hold what: `claim = value`";
            self.add(invalid(&GRAPHQL, "policies", &node.at, why));
        }
        read.unwrap_or_default()
    }

    fn limits_of_graph(&mut self, table: &Table) -> Vec<(GraphqlLimit, u64)> {
        let mut limits = Vec::new();
        for (limit, name) in GraphqlLimit::ALL {
            let Some(value) = self.value::<u64>(table, &GRAPHQL, name) else {
                continue;
            };
            if value == 0 && limit != GraphqlLimit::Batch {
                let why = "with 0 nothing passes";
                self.add(invalid(&GRAPHQL, name, table.place(name), why));
            }
            limits.push((limit, value));
        }
        limits
    }
}
