//! A resource server that reads the feed: whose tokens it is shown, and under
//! which names their records come.

use std::collections::BTreeSet;

use symbolon_protocol::{ClientId, ResourceIdentifier};
use symbolon_store::{Fault, Revocation as Stored};
use symbolon_token::Blinding;
use symbolon_token::feed::pack;
use symbolon_token::revocation::Target;

use crate::app::App;
use crate::blinded;

/// What one client is sent.
pub(crate) struct Reader {
    client: ClientId,
    sectors: Vec<Blinding>,
    /// Names the choice of records: whoever comes back with a place in another
    /// choice has missed some.
    tag: u64,
}

impl Reader {
    /// What a client is sent now; `None` where it serves no resource.
    pub(crate) async fn find(app: &App, client: &ClientId) -> Result<Option<Self>, Fault> {
        let resources = app.directory.resources();
        let own = resources.iter().filter(|own| own.may_introspect(client));
        let own: BTreeSet<ResourceIdentifier> = own.map(|own| own.identifier.clone()).collect();
        let stored = app.directory.find_client(client).await?;
        if own.is_empty() || !stored.is_some_and(|stored| stored.enabled) {
            return Ok(None);
        }
        let sectors = app.readers.sectors.at(app, &own).await?;
        let blinding = app.feed.blinding();
        let mut names = Vec::new();
        for part in own.iter().map(ResourceIdentifier::as_str) {
            names.extend(part.bytes().chain([0]));
        }
        names.push(0);
        for sector in &sectors {
            names.extend(sector.bytes().chain([0]));
        }
        Ok(Some(Self {
            client: client.clone(),
            sectors: sectors
                .iter()
                .map(|sector| blinding.of_sector(sector))
                .collect(),
            tag: blinding.name(Target::Resource, &names),
        }))
    }

    /// The client.
    pub(crate) fn client(&self) -> &ClientId {
        &self.client
    }

    /// Names the choice of records.
    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    /// Writes a record down under every name that a token may carry for it.
    pub(crate) fn pack(&self, record: &Stored, blinding: &Blinding, out: &mut Vec<u8>) {
        pack(&blinded::of(record, blinding), out);
        for sector in &self.sectors {
            if let Some(named) = blinded::in_sector(record, blinding, sector) {
                pack(&named, out);
            }
        }
    }
}
