//! Proves a database by the behaviour tests of the store.

use std::sync::Arc;

use symbolon_protocol::Timestamp;
use symbolon_store::conformance::{self, Apart, Place};
use symbolon_store::{Fault, Options, Store};
use symbolon_token::{Entropy, random};

pub use symbolon_store::conformance::Outcome;

/// Runs every behaviour in a place of its own in the database of a URL, and
/// takes the place away again.
pub async fn prove(
    url: &str,
    unnamed: bool,
    entropy: Arc<dyn Entropy>,
    now: Timestamp,
) -> Result<Vec<Outcome>, Fault> {
    // A pooler passes on which database is meant, and no other setting.
    let apart = if unnamed {
        Apart::Database
    } else {
        Apart::Schema
    };
    let place = Place::make(url, apart, &*entropy).await?;
    let options = Options {
        named_statements: !unnamed,
        ..Options::new(place.url.clone(), i64::from_be_bytes(random(&*entropy)))
    };
    let outcomes = behaviours(&options, entropy, now).await;
    let removed = place.remove().await;
    let outcomes = outcomes?;
    removed?;
    Ok(outcomes)
}

async fn behaviours(
    options: &Options,
    entropy: Arc<dyn Entropy>,
    now: Timestamp,
) -> Result<Vec<Outcome>, Fault> {
    let store = Store::open(options).await?;
    let migrated = store.migrate().await;
    let outcomes = match migrated {
        Ok(_) => Ok(conformance::run(&store, entropy, now).await),
        Err(fault) => Err(fault),
    };
    store.close().await;
    outcomes
}
