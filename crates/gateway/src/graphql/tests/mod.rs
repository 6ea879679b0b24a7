//! What a graph lets through, what it takes out, and what it refuses.

mod drawn;
mod limit;
mod oracle;
mod persisted;
mod price;
mod property;
mod prune;
mod request;
mod schema;
mod scope;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::settings::{GraphSettings, Introspection, Limits, Mode, OnDenied, Persisted, Source};
use super::{Graph, Mistake, Trial};

/// A shop: what anybody sees, what some see, and what nobody may count on.
const SHOP: &str = r#"
type Query {
  me: User
  users(first: Int, filter: Filter): [User!]!
  node(id: ID!): Node
  search(text: String!): [Found!]
  secrets: [String!] @requiresScopes(scopes: [["read:secrets"]])
  sums(by: Period = DAY): Int
  echo(value: Any): Any
}
type Mutation {
  rename(name: String!): User! @requiresScopes(scopes: [["write:users"], ["admin", "staff"]])
  touch: Boolean
}
type Subscription { renamed: User }
interface Node { id: ID! }
type User implements Node {
  id: ID!
  name: String
  email: String! @requiresScopes(scopes: [["read:email"]])
  salary(in: Currency, exact: Boolean @requiresScopes(scopes: [["exact"]])): Int @requiresScopes(scopes: [["read:salary"]])
  friends(first: Int): [User!]!
  best: User!
}
type Invoice implements Node @requiresScopes(scopes: [["read:invoices"]]) {
  id: ID!
  total: Int
}
union Found = User | Invoice
enum Currency { EUR USD GOLD @requiresScopes(scopes: [["gold"]]) }
enum Period { DAY YEAR }
input Filter { name: String, salary: Range @requiresScopes(scopes: [["read:salary"]]), and: [Filter!], in: Currency }
input Range { from: Int, to: Int }
scalar Any
"#;

fn settings(schema: &str) -> GraphSettings {
    GraphSettings {
        schema: source("schema.graphql", schema),
        rules: None,
        manifest: None,
        policies: BTreeMap::new(),
        on_denied: OnDenied::Refuse,
        mode: Mode::Enforce,
        introspection: Introspection::Off,
        persisted: Persisted::Off,
        automatic_persisted: false,
        subscriptions: false,
        limits: Limits::default(),
    }
}

fn source(name: &str, text: &str) -> Source {
    Source {
        name: name.into(),
        text: text.into(),
    }
}

fn graph(change: impl FnOnce(&mut GraphSettings)) -> Graph {
    let mut settings = settings(SHOP);
    change(&mut settings);
    made(settings).unwrap()
}

fn made(settings: GraphSettings) -> Result<Graph, Vec<Mistake>> {
    Graph::new(settings)
}

/// Tries a body; what is refused is told by its code and cause.
fn try_body(graph: &Graph, body: &Value, scopes: &str) -> Result<Trial, String> {
    let scopes = scopes.parse().unwrap();
    let tried = graph.try_body(body.to_string().as_bytes(), &scopes);
    tried.map_err(|own| own.to_string())
}

fn try_query(graph: &Graph, query: &str, scopes: &str) -> Result<Trial, String> {
    try_body(graph, &json!({ "query": query }), scopes)
}

/// The document that would be sent, on one line.
fn sent(trial: &Trial) -> String {
    let body: Value = serde_json::from_str(&trial.sent).unwrap();
    let text = body["query"].as_str().unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
