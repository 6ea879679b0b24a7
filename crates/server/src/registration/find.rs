//! Where the client of an identifier is.
//!
//! A row comes first, whoever wrote it, so that what an administrator stopped
//! stays so. What has none is told by the form of its identifier.

use std::sync::Arc;

use symbolon_protocol::uri::{ClientIdUrl, Nearby};
use symbolon_protocol::{Client, ClientId, ClientKind, Timestamp};
use symbolon_store::StoredClient;
use symbolon_token::client_identifier::ClientIdentifier;

use super::{sealed, terms};
use crate::app::App;
use crate::failure::Broken;

/// What an identifier says of where its client is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Somebody chose it: only a row can have it.
    Chosen,
    /// It was given out here, and its client has a row.
    Row,
    /// It was given out here, and holds its client.
    Whole(Vec<u8>),
    /// It is the address of its client's document.
    Document(ClientIdUrl),
    /// It is meant as an address, and is none that may be asked.
    NoAddress,
}

impl Kind {
    /// Whether its client describes itself without a row.
    pub(crate) const fn is_self_described(&self) -> bool {
        matches!(self, Self::Whole(_) | Self::Document(_))
    }
}

impl App {
    /// What the identifier of a client is.
    pub(crate) fn kind_of_client(&self, id: &ClientId) -> Kind {
        let settings = self.settings();
        if ClientIdUrl::is_meant(id) {
            let nearby = match settings.issuer.is_plain_http() {
                true => Nearby::Allowed,
                false => Nearby::Refused,
            };
            return ClientIdUrl::read(id, nearby).map_or(Kind::NoAddress, Kind::Document);
        }
        let keys = Arc::clone(&self.keys.load().ring);
        match keys.open_client_identifier(settings.issuer.as_str(), id.as_str()) {
            None => Kind::Chosen,
            Some(ClientIdentifier::Row(_)) => Kind::Row,
            Some(ClientIdentifier::Whole(inside)) => Kind::Whole(inside),
        }
    }

    /// The client with an identifier, enabled or not. A document is read where
    /// none is kept; one that cannot be had leaves the question open
    /// ([`Broken::Document`]).
    pub(crate) async fn find_client(
        &self,
        id: &ClientId,
    ) -> Result<Option<Arc<StoredClient>>, Broken> {
        if let Some(found) = self.directory.find_client(id).await? {
            return Ok(Some(found));
        }
        match self.kind_of_client(id) {
            Kind::Document(url) if self.takes_document(&url) => {
                let client = Box::pin(self.documents.client(self, id, &url)).await?;
                Ok(Some(stands_alone(client)))
            }
            Kind::Chosen => Ok(None),
            kind => self.find_registered(id, &kind).await,
        }
    }

    /// The same without asking anybody: of a client whose document is not kept
    /// only the identifier is known, that it may be used, and on which terms. Its
    /// document says no more than those, and what it was given is within both.
    pub(crate) async fn known_client(
        &self,
        id: &ClientId,
    ) -> Result<Option<Arc<StoredClient>>, Broken> {
        if let Some(found) = self.directory.find_client(id).await? {
            return Ok(Some(found));
        }
        match self.kind_of_client(id) {
            Kind::Document(url) if self.takes_document(&url) => {
                let kept = self.documents.kept(self, id, &url);
                let unread = || self.unread(id);
                Ok(Some(stands_alone(kept.unwrap_or_else(unread))))
            }
            Kind::Chosen => Ok(None),
            kind => self.find_registered(id, &kind).await,
        }
    }

    /// Whether only a document describes a client: each node keeps the one that
    /// it has read for itself.
    pub(crate) async fn is_documented(&self, id: &ClientId) -> Result<bool, Broken> {
        let has_address = matches!(self.kind_of_client(id), Kind::Document(_));
        Ok(has_address && self.directory.find_client(id).await?.is_none())
    }

    /// A client of which nobody here has read the document, on the terms of today.
    fn unread(&self, id: &ClientId) -> Client {
        let terms = terms(self);
        Client {
            scopes: terms.scopes,
            resources: terms.resources,
            ..Client::new(id.clone(), ClientKind::Native)
        }
    }

    async fn find_registered(
        &self,
        id: &ClientId,
        kind: &Kind,
    ) -> Result<Option<Arc<StoredClient>>, Broken> {
        match kind {
            // Nobody was told of it, so it is looked for where it is shown.
            Kind::Row => Ok(self.directory.find_untold(id).await?),
            Kind::Whole(inside) if self.settings().registration.enabled => {
                let client = sealed::read(inside, id.clone(), &terms(self));
                Ok(client.map(stands_alone))
            }
            _ => Ok(None),
        }
    }

    /// Whether documents of a host are read.
    fn takes_document(&self, url: &ClientIdUrl) -> bool {
        let settings = self.settings();
        let config = &settings.registration;
        let is_named = |hosts: &[String]| hosts.iter().any(|own| own == url.host());
        config.documents
            && !is_named(&config.refused_document_hosts)
            && (config.document_hosts.is_empty() || is_named(&config.document_hosts))
    }
}

/// A client without a row: enabled, without secrets, and without a beginning.
fn stands_alone(client: Client) -> Arc<StoredClient> {
    Arc::new(StoredClient {
        client,
        enabled: true,
        secrets: Vec::new(),
        created: Timestamp::EPOCH,
        updated: Timestamp::EPOCH,
    })
}
