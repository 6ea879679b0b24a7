//! What blocks of the configuration name: organizations and introspection
//! clients, of the file or stored. A name that a stored block has already stays
//! as it is, so that an installation of before starts.

use symbolon_protocol::{Client, OrganizationId, Resource, TrustedIssuer};
use symbolon_store::{FindClient, FindOrganization, FindRegistration};

use crate::apply::{ApplyError, Applying, conflict};

impl Applying<'_> {
    pub(crate) async fn check_client(
        &self,
        client: &Client,
        before: Option<&Client>,
    ) -> Result<(), ApplyError> {
        let before = before.and_then(|before| before.organization.as_ref());
        let at = format!("client `{}`", client.id);
        self.check_organization(&at, client.organization.as_ref(), before)
            .await
    }

    pub(crate) async fn check_issuer(
        &self,
        issuer: &TrustedIssuer,
        before: Option<&TrustedIssuer>,
    ) -> Result<(), ApplyError> {
        let before = before.and_then(|before| before.organization.as_ref());
        let at = format!("trusted issuer `{}`", issuer.issuer);
        self.check_organization(&at, issuer.organization.as_ref(), before)
            .await
    }

    pub(crate) async fn check_resource(
        &self,
        resource: &Resource,
        before: Option<&Resource>,
    ) -> Result<(), ApplyError> {
        let at = format!("resource `{}`", resource.identifier);
        for id in resource.readers() {
            let is_named = before.is_some_and(|before| before.may_introspect(id));
            if is_named || self.config.clients.iter().any(|own| own.client.id == *id) {
                continue;
            }
            let find = FindClient { id: id.clone() };
            if self.app.store.read(find).await?.is_none() {
                let why = format!("there is no client `{id}`, which is to introspect its tokens");
                return Err(conflict(at, why));
            }
            let find = FindRegistration { id: id.clone() };
            if self.app.store.read(find).await?.is_some() {
                let why =
                    format!("client `{id}` registered itself, and is no introspection client");
                return Err(conflict(at, why));
            }
        }
        let before = before.and_then(|before| before.organization.as_ref());
        self.check_organization(&at, resource.organization.as_ref(), before)
            .await
    }

    async fn check_organization(
        &self,
        at: &str,
        named: Option<&OrganizationId>,
        before: Option<&OrganizationId>,
    ) -> Result<(), ApplyError> {
        let Some(id) = named.filter(|_| named != before) else {
            return Ok(());
        };
        if self.config.organizations.iter().any(|own| own.id == *id) {
            return Ok(());
        }
        let find = FindOrganization { id: id.clone() };
        match self.app.store.read(find).await? {
            Some(_) => Ok(()),
            None => Err(conflict(at, format!("there is no organization `{id}`"))),
        }
    }
}
