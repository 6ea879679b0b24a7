//! Requests of GraphQL: none panics, and what is sent is judged as what it was
//! made from.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use symbolon_gateway::{
    Graph, GraphSettings, Introspection, Limits, Mode, OnDenied, Persisted, Source,
};
use symbolon_protocol::Scopes;

const SCHEMA: &str = r#"
type Query { me: User node(id: ID): Node all(first: Int, by: By): [Any!]! s: Int @requiresScopes(scopes: [["s"]]) }
type Mutation { put(by: By): User! @requiresScopes(scopes: [["s"], ["t"]]) }
interface Node { id: ID! }
type User implements Node { id: ID! name(in: In): String friends(limit: Int): [User!] s: Int! @requiresScopes(scopes: [["s"]]) }
type Item implements Node @requiresScopes(scopes: [["t"]]) { id: ID! x: Int }
union Any = User | Item
enum In { A B @requiresScopes(scopes: [["s"]]) }
input By { a: Int b: By @requiresScopes(scopes: [["s"]]) c: [In] d: J }
scalar J
"#;

static GRAPHS: LazyLock<[Graph; 2]> = LazyLock::new(|| {
    [OnDenied::Refuse, OnDenied::Null].map(|on_denied| {
        Graph::new(GraphSettings {
            schema: Source {
                name: "schema".into(),
                text: SCHEMA.into(),
            },
            rules: None,
            manifest: None,
            policies: BTreeMap::new(),
            on_denied,
            mode: Mode::Enforce,
            introspection: Introspection::Open,
            persisted: Persisted::Off,
            automatic_persisted: true,
            subscriptions: false,
            limits: Limits::default(),
        })
        .expect("the schema is one")
    })
});
static SCOPES: LazyLock<[Scopes; 2]> =
    LazyLock::new(|| ["", "s"].map(|own| own.parse().expect("they are scopes")));

fuzz_target!(|body: &[u8]| {
    let written = std::str::from_utf8(body).ok();
    let written = written.map(|query| serde_json::json!({ "query": query }).to_string());
    for body in [Some(body), written.as_deref().map(str::as_bytes)] {
        let Some(body) = body else { continue };
        for scopes in &*SCOPES {
            let Ok(trial) = GRAPHS[0].try_body(body, scopes) else {
                let _ = GRAPHS[1].try_body(body, scopes);
                continue;
            };
            let again = GRAPHS[0].try_body(trial.sent.as_bytes(), scopes);
            assert_eq!(again.as_ref(), Ok(&trial));
            // Where nothing is denied, nothing is taken out.
            assert_eq!(GRAPHS[1].try_body(body, scopes), Ok(trial));
        }
    }
});
