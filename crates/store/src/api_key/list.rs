//! API keys in pages, for administrators: all of them, or those of one owner.

use symbolon_protocol::{ClientId, OrganizationId};
use symbolon_token::{ApiKey as Key, Id, Person};

use super::StoredApiKey;
use crate::act::{Act, Tx};
use crate::bind::binds;
use crate::fault::Fault;
use crate::statement::statements;

/// Lists keys by id, those that are dead and not yet forgotten among them.
#[derive(Clone, Debug, Default)]
pub struct ListApiKeys {
    /// The last one that was read.
    pub after: Option<Id<Key>>,
    /// At most how many.
    pub limit: u32,
    /// Only those of one client.
    pub client: Option<ClientId>,
    /// Only those of one person.
    pub person: Option<Id<Person>>,
    /// Only those of one organization.
    pub organization: Option<OrganizationId>,
}

statements! {
    // An id begins with its slot, so this is the order of the table's key.
    LIST = "SELECT k.id, k.client, k.person, k.organization, k.document, k.digest, k.mark,
            k.enabled, k.created, k.updated, k.expires, k.revoked, k.last_used, k.replaced_by,
            k.epoch, k.sequence, p.enabled, m.roles
        FROM api_key k LEFT JOIN person p ON p.id = k.person
            LEFT JOIN membership m ON m.organization = k.organization AND m.person = k.person
        WHERE (k.slot, k.id) > (?1, ?2) AND (?3 = '' OR k.client = ?3)
            AND (k.person = ?4 OR ?4 IS NULL) AND (?5 = '' OR k.organization = ?5)
        ORDER BY k.slot, k.id LIMIT ?6";
}

impl Act for ListApiKeys {
    type Out = Vec<StoredApiKey>;
    const SINGLE: bool = true;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Out, Fault> {
        let slot = self.after.map_or(-1, |id| i64::from(id.slot().number()));
        let after = self.after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let client = self.client.as_ref().map_or("", ClientId::as_str);
        let of = self.organization.as_ref();
        let of = of.map_or("", OrganizationId::as_str);
        let person = self.person.as_ref();
        let binds = binds![slot, after, client, person, of, self.limit];
        tx.all(&LIST, binds, super::read).await
    }
}
