//! In which sectors tokens may name people, by the resource they are for.
//!
//! Spec: OpenID Connect Core 1.0 §8.1

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use symbolon_protocol::ResourceIdentifier;
use symbolon_store::{Fault, ListClients};
use tokio::sync::Mutex;

use crate::app::App;
use crate::grant::subject;

/// How many clients are read at once.
const PAGE: u32 = 500;

/// The sectors of clients that may ask for a resource. What a client was is
/// remembered for as long as the process lives: tokens of that time are about.
#[derive(Default)]
pub(super) struct Sectors(Mutex<Known>);

#[derive(Default)]
struct Known {
    version: Option<i64>,
    sectors: BTreeMap<ResourceIdentifier, Arc<BTreeSet<String>>>,
}

impl Sectors {
    /// The sectors at any of these resources.
    pub(super) async fn at(
        &self,
        app: &App,
        resources: &BTreeSet<ResourceIdentifier>,
    ) -> Result<BTreeSet<String>, Fault> {
        let mut known = self.0.lock().await;
        let version = app.directory.version();
        if known.version != Some(version) {
            known.read(app).await?;
            known.version = Some(version);
        }
        let found = resources.iter().filter_map(|own| known.sectors.get(own));
        Ok(found.flat_map(|own| own.iter().cloned()).collect())
    }
}

impl Known {
    async fn read(&mut self, app: &App) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let page = app.store.read(ListClients { after, limit: PAGE }).await?;
            after = page.last().map(|stored| stored.client.id.clone());
            for stored in &page {
                let Some(sector) = subject::sector(&stored.client) else {
                    continue;
                };
                for named in &stored.client.resources {
                    let found = app.directory.find_resource(named.as_str());
                    let resource =
                        found.map_or_else(|| named.clone(), |own| own.identifier.clone());
                    let own = self.sectors.entry(resource).or_default();
                    if !own.contains(&sector) {
                        Arc::make_mut(own).insert(sector.clone());
                    }
                }
            }
            if page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                return Ok(());
            }
        }
    }
}
