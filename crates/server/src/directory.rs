//! Clients, resources and trusted issuers, from memory. What is stored may change on any node;
//! the version that rides in the head of the revocation feed says when.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use moka::sync::Cache;
use symbolon_protocol::{
    ClientId, ClientKind, Lifetime, OrganizationId, RedirectUri, Resource, ResourceIdentifier,
};
use symbolon_store::{
    AllResources, AllTrustedIssuers, ClientIds, Fault, FindClient, ListClients, ListOrganizations,
    Store, StoredClient, StoredTrustedIssuer,
};
use symbolon_token::{Digest, Position};

/// How many clients are kept.
const MAX_CLIENTS: u64 = 10_000;
/// How many clients are read at once.
const PAGE: u32 = 500;
/// How many identifiers are read at once.
const PAGE_OF_IDS: u32 = 10_000;
/// How many origins are kept.
const MAX_ORIGINS: usize = 100_000;

/// The origins of browser clients.
pub(crate) struct Origins(Arc<(i64, HashSet<String>)>);

impl Origins {
    /// Whether an origin is registered.
    pub(crate) fn contains(&self, origin: &str) -> bool {
        self.0.1.contains(origin)
    }
}

/// Resources by identifier and alias.
type Named = HashMap<String, Arc<Resource>>;
/// Since which place in the feed there is each.
type Begun = HashMap<ResourceIdentifier, Position>;

/// What is kept of clients and resources.
pub(crate) struct Directory {
    store: Store,
    version: AtomicI64,
    clients: Cache<ClientId, Arc<StoredClient>>,
    /// Which clients there are, each by half a digest of its identifier. What
    /// is not here is absent, and nothing has to be read to know it: strangers
    /// who ask for names cost the store no reading of their own (`news` has one
    /// for all who ask), and learn nothing by time.
    known: ArcSwap<HashSet<u64>>,
    resources: ArcSwap<Vec<Arc<Resource>>>,
    /// The same by identifier and alias.
    named: ArcSwap<Named>,
    begun: ArcSwap<Begun>,
    /// Trusted issuers by identifier, trusted now or not.
    issuers: ArcSwap<HashMap<String, Arc<StoredTrustedIssuer>>>,
    /// The organizations for which anybody may act.
    organizations: ArcSwap<HashSet<OrganizationId>>,
    /// Up to which place of the feed all of this is known to be right.
    confirmed: ArcSwap<Position>,
    /// The origins of browser clients and the version they were read at.
    origins: ArcSwap<(i64, HashSet<String>)>,
}

impl Directory {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            version: AtomicI64::new(-1),
            clients: Cache::new(MAX_CLIENTS),
            known: ArcSwap::default(),
            resources: ArcSwap::default(),
            named: ArcSwap::default(),
            begun: ArcSwap::default(),
            issuers: ArcSwap::default(),
            organizations: ArcSwap::default(),
            confirmed: ArcSwap::default(),
            origins: ArcSwap::from_pointee((i64::MIN, HashSet::new())),
        }
    }

    /// The client with an identifier, enabled or not.
    pub(crate) async fn find_client(
        &self,
        id: &ClientId,
    ) -> Result<Option<Arc<StoredClient>>, Fault> {
        if !self.known.load().contains(&short(id)) {
            return Ok(None);
        }
        if let Some(client) = self.clients.get(id) {
            return Ok(Some(client));
        }
        self.read_client(id).await
    }

    async fn read_client(&self, id: &ClientId) -> Result<Option<Arc<StoredClient>>, Fault> {
        let version = self.version.load(Ordering::Acquire);
        let find = self.store.read(FindClient { id: id.clone() });
        let Some(mut client) = Box::pin(find).await? else {
            return Ok(None);
        };
        self.spell(&mut client);
        let client = Arc::new(client);
        self.clients.insert(id.clone(), Arc::clone(&client));
        // What was read may be older than a change that arrived meanwhile.
        if self.version.load(Ordering::Acquire) != version {
            self.clients.invalidate(id);
        }
        Ok(Some(client))
    }

    /// Has a client name each resource by its identifier, as tokens and all that
    /// is compared with them do, whichever of its names was registered.
    fn spell(&self, stored: &mut StoredClient) {
        let (named, client) = (self.named.load(), &mut stored.client);
        let own = client.resources.iter_mut();
        own.chain(&mut client.default_resource)
            .for_each(|own| by_identifier(&named, own));
        if let Some(policy) = &mut client.exchange {
            let places = policy.from.iter_mut().chain(&mut policy.to);
            places.for_each(|own| by_identifier(&named, own));
        }
    }

    /// The client with an identifier that was given out here and that nobody
    /// was told of.
    pub(crate) async fn find_untold(
        &self,
        id: &ClientId,
    ) -> Result<Option<Arc<StoredClient>>, Fault> {
        if let Some(client) = self.clients.get(id) {
            return Ok(Some(client));
        }
        self.read_client(id).await
    }

    /// The resource that a request names, by identifier or alias.
    pub(crate) fn find_resource(&self, named: &str) -> Option<Arc<Resource>> {
        self.named.load().get(named).cloned()
    }

    /// Where the feed stood when a resource was created: what was granted there
    /// before was granted at another one of that name.
    pub(crate) fn begun(&self, resource: &ResourceIdentifier) -> Position {
        self.begun.load().get(resource).copied().unwrap_or_default()
    }

    /// Which version of it all is kept here.
    pub(crate) fn version(&self) -> i64 {
        self.version.load(Ordering::Acquire)
    }

    /// The trusted issuer with an identifier, trusted now or not.
    pub(crate) fn find_trusted_issuer(&self, issuer: &str) -> Option<Arc<StoredTrustedIssuer>> {
        self.issuers.load().get(issuer).cloned()
    }

    /// Up to which place of the feed what is kept here is known to be right.
    pub(crate) fn settled(&self) -> Position {
        **self.confirmed.load()
    }

    /// Notes that what is kept was right at a place of the feed.
    pub(crate) fn confirm(&self, position: Position) {
        // Of two that read at once, the one that knew less may come last.
        self.confirmed.rcu(|held| (**held).max(position));
    }

    /// Whether there is such an organization, and anybody may act for it.
    pub(crate) fn stands(&self, organization: &OrganizationId) -> bool {
        self.organizations.load().contains(organization)
    }

    /// All resources.
    pub(crate) fn resources(&self) -> Arc<Vec<Arc<Resource>>> {
        self.resources.load_full()
    }

    /// The longest life that a resource gives its access tokens.
    pub(crate) fn longest_access_token(&self) -> Lifetime {
        let resources = self.resources.load();
        let lifetimes = resources.iter().filter_map(|own| own.access_token_lifetime);
        lifetimes.max().unwrap_or(Lifetime::seconds(0))
    }

    /// The origins from which browsers may call for a client. They are read
    /// when a browser of another origin first comes after a change.
    pub(crate) async fn origins(&self) -> Result<Origins, Fault> {
        let version = self.version.load(Ordering::Acquire);
        let known = self.origins.load_full();
        if known.0 == version {
            return Ok(Origins(known));
        }
        let mut origins = HashSet::new();
        let mut after = None;
        loop {
            let page = self.store.read(ListClients { after, limit: PAGE }).await?;
            after = page.last().map(|stored| stored.client.id.clone());
            for client in page
                .iter()
                .filter(|stored| stored.enabled)
                .map(|stored| &stored.client)
            {
                if !client.origins.is_empty() {
                    origins.extend(client.origins.iter().cloned());
                } else if client.kind == ClientKind::Browser {
                    origins.extend(client.redirect_uris.iter().map(RedirectUri::origin));
                }
            }
            if page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX)
                || origins.len() >= MAX_ORIGINS
            {
                break;
            }
        }
        let read = Arc::new((version, origins));
        self.origins.store(Arc::clone(&read));
        Ok(Origins(read))
    }

    async fn ids(&self) -> Result<HashSet<u64>, Fault> {
        let mut known = HashSet::new();
        let mut after = None;
        loop {
            let limit = PAGE_OF_IDS;
            let page = self.store.read(ClientIds { after, limit }).await?;
            known.extend(page.iter().map(short));
            if page.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok(known);
            }
            after = page.last().cloned();
        }
    }

    async fn standing_organizations(&self) -> Result<HashSet<OrganizationId>, Fault> {
        let mut standing = HashSet::new();
        let mut after = None;
        loop {
            let limit = PAGE_OF_IDS;
            let read = ListOrganizations { after, limit };
            let page = self.store.read(read).await?;
            let is_last = page.len() < usize::try_from(limit).unwrap_or(usize::MAX);
            after = page.last().map(|own| own.id.clone());
            standing.extend(page.into_iter().filter(|own| own.enabled).map(|own| own.id));
            if is_last {
                return Ok(standing);
            }
        }
    }

    /// Notes which version is stored; a new one empties what is kept here.
    pub(crate) async fn follow(&self, version: i64) -> Result<(), Fault> {
        if self.version.load(Ordering::Acquire) == version {
            return Ok(());
        }
        let known = self.ids().await?;
        let organizations = self.standing_organizations().await?;
        let resources = self.store.read(AllResources).await?;
        let begun = resources
            .iter()
            .map(|stored| (stored.resource.identifier.clone(), stored.since));
        let begun: Begun = begun.collect();
        let resources: Vec<Arc<Resource>> = resources
            .into_iter()
            .map(|stored| Arc::new(stored.resource))
            .collect();
        let issuers = self.store.read(AllTrustedIssuers).await?;
        let mut named = HashMap::new();
        for resource in &resources {
            for name in resource.aliases.iter().chain([&resource.identifier]) {
                named.insert(name.as_str().to_owned(), Arc::clone(resource));
            }
        }
        let issuers = issuers.into_iter().map(|mut stored| {
            by_identifier(&named, &mut stored.issuer.resource);
            (stored.issuer.issuer.as_str().to_owned(), Arc::new(stored))
        });
        self.organizations.store(Arc::new(organizations));
        self.issuers.store(Arc::new(issuers.collect()));
        self.named.store(Arc::new(named));
        self.begun.store(Arc::new(begun));
        self.resources.store(Arc::new(resources));
        self.known.store(Arc::new(known));
        self.version.store(version, Ordering::Release);
        self.clients.invalidate_all();
        Ok(())
    }
}

/// Puts the identifier of a resource in the place of another name of it.
fn by_identifier(named: &Named, own: &mut ResourceIdentifier) {
    if let Some(resource) = named.get(own.as_str())
        && resource.identifier != *own
    {
        *own = resource.identifier.clone();
    }
}

fn short(id: &ClientId) -> u64 {
    let digest = Digest::of(id.as_str().as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
