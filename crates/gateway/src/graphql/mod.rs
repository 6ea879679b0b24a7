//! What of a graph its caller may ask for.
//!
//! Spec: GraphQL September 2025
//! Spec: draft-graphql-over-http
//!
//! The right to reach a route that speaks GraphQL is not the right to everything
//! behind it. `stage` takes a request; `request` and `json` read it in the one
//! way there is; `measure` refuses what is too large before it is compared with
//! the schema; `facts` gathers which rules an operation meets, whoever asks, and
//! `judge` asks them. `needs` knows what each place of the schema needs, out of
//! what `own` and `directive` read. `price` says what it costs. `prune` takes
//! out what is denied, and `mask` puts null into the answer for it.
//!
//! Everything that knows `apollo-compiler` is in here.

mod declined;
mod directive;
mod facts;
mod federation;
mod graph;
mod import;
mod input;
mod json;
mod judge;
mod mask;
mod masks;
mod measure;
mod needs;
mod own;
mod persisted;
mod price;
mod prune;
mod request;
mod rule;
mod settings;
mod stage;
#[cfg(test)]
mod tests;
mod trial;

pub use graph::Graph;
pub(crate) use masks::Masks;
pub use settings::{
    ClaimHas, GraphSettings, Introspection, Limits, Mistake, Mode, OnDenied, Persisted, Source,
};
pub(crate) use stage::judge;
pub use trial::{Trial, Untried};
