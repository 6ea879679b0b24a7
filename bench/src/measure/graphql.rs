//! Checking an operation of forty fields at the gateway, in process: read,
//! judged, and written as it is sent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;

use anyhow::{Result, anyhow, ensure};
use serde_json::json;
use symbolon_gateway::{
    Graph, GraphSettings, Introspection, Limits, Mode, OnDenied, Persisted, Source,
};
use symbolon_protocol::Scopes;

use crate::bench::Bench;
use crate::clock;
use crate::figure::{Bound, Figure};

/// How often each is done in a round.
const NEW: u32 = 2_000;
const SEEN: u32 = 20_000;
/// How many other types are in the schema.
const TYPES: u32 = 100;

pub(crate) fn graphql(bench: &Bench) -> Result<Vec<Figure>> {
    let graph = graph()?;
    let scopes: Scopes = "read:email read:orders".parse()?;
    let refused = graph.try_body(body(0).as_bytes(), &"read:orders".parse()?);
    ensure!(
        refused.is_err(),
        "a field without its scopes was let through"
    );
    let mut number = 0;
    let mut new_one = || {
        number += 1;
        body(number)
    };
    let (mut new, mut seen) = (Vec::new(), Vec::new());
    let same = body(0);
    for _ in 0..bench.rounds {
        let bodies: Vec<String> = (0..NEW).map(|_| new_one()).collect();
        new.push(timed(&graph, &scopes, bodies.iter().map(String::as_str))?);
        let same = std::iter::repeat_n(same.as_str(), SEEN as usize);
        seen.push(timed(&graph, &scopes, same)?);
    }
    let figure = |what: &str, most, rounds| {
        let figure = Figure::new(what, "µs", Bound::AtMost(most));
        figure.rounds(Vec::new(), rounds)
    };
    Ok(vec![
        figure("GraphQL operation of 40 fields, new", 200.0, new),
        figure("GraphQL operation of 40 fields, seen", 20.0, seen),
    ])
}

fn timed<'b>(
    graph: &Graph,
    scopes: &Scopes,
    bodies: impl ExactSizeIterator<Item = &'b str>,
) -> Result<f64> {
    let times = u32::try_from(bodies.len())?;
    let began = clock::now();
    for body in bodies {
        let trial = graph.try_body(black_box(body.as_bytes()), scopes)?;
        black_box(trial);
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(times))
}

/// A request; each number makes a document of its own.
fn body(number: u32) -> String {
    let fields = "id number total placed name email street city";
    let query = format!(
        "query Orders{number}($n: Int) {{
            orders(first: $n) {{ ...Order lines(first: 5) {{ product {{ {fields} }} }} }}
            me {{ {fields} best {{ {fields} }} }}
        }}
        fragment Order on Order {{ {fields} customer {{ id }} }}"
    );
    json!({ "query": query, "variables": { "n": 10 } }).to_string()
}

fn graph() -> Result<Graph> {
    let fields = "id: ID! number: Int total: Int placed: String name: String
        email: String @requiresScopes(scopes: [[\"read:email\"]]) street: String city: String";
    let mut text = format!(
        "type Query {{ me: Order orders(first: Int): [Order!]! @requiresScopes(scopes: [[\"read:orders\"], [\"admin\"]]) }}
        type Order {{ {fields} lines(first: Int): [Line!]! customer: Order best: Order }}
        type Line {{ product: Order }}\n"
    );
    for at in 0..TYPES {
        writeln!(text, "type Other{at} {{ {fields} next: Other{at} }}")?;
    }
    let settings = GraphSettings {
        schema: Source {
            name: "schema.graphql".into(),
            text,
        },
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
    };
    Graph::new(settings).map_err(|all| anyhow!("the schema: {all:?}"))
}
