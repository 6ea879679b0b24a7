//! Everything that a configuration leads to, ready for requests; the next one
//! takes over what has not changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use serde_json::Value;
use symbolon_token::{Digest, Secret};
use symbolon_verify::{Misconfigured, SharedUses, Verifier};

use crate::assertion::{KEYS_PATH, KeyOfGateway};
use crate::browser::Browser;
use crate::forward_auth::Asking;
use crate::gateway::{Edge, PlanError};
use crate::guard::Guard;
use crate::header::Claimed;
use crate::header::forwarded::Believed;
use crate::policy::{Policy, PolicySettings};
use crate::quota::{Bank, Book};
use crate::risk::{Revoker, RiskSettings};
use crate::routes::{Ready, Routes};
use crate::settings::{self, Credentials, Demand, Settings, TokenDemand};
use crate::upstream::{self, Upstream};

/// What a verifier was made from.
type Of = [u8; 32];

/// A configuration at work.
pub(crate) struct Plan {
    pub(crate) routes: Routes,
    /// Documents of the gateway's own, by path.
    pub(crate) documents: BTreeMap<String, String>,
    pub(crate) believed: Believed,
    /// Where people sign in, where they do.
    pub(crate) browser: Option<Browser>,
    /// Where other proxies ask, where they may.
    pub(crate) asking: Option<Asking>,
    pub(crate) key: Arc<KeyOfGateway>,
    /// Whether the key was drawn by this process.
    has_drawn_key: bool,
    pub(crate) claimed: Arc<Claimed>,
    pub(crate) book: Book,
    pub(crate) policy: Option<Policy>,
    pub(crate) risk: Option<RiskSettings>,
    /// Whether callers reach it by TLS, whoever ends that.
    is_reached_by_tls: bool,
    /// Takes tokens back, where that was set up.
    pub(crate) revoker: Option<Arc<Revoker>>,
    /// The issuer whose subjects policies call by their bare names.
    pub(crate) home: Option<String>,
    verifiers: HashMap<Of, Verifier>,
    /// One that fetches for all verifiers of its issuer, by what is fetched.
    sources: HashMap<Of, Verifier>,
    upstreams: Vec<Arc<Upstream>>,
    authorities: Vec<std::path::PathBuf>,
}

impl Plan {
    /// Makes one; what `before` has and is to stay is taken over.
    pub(crate) fn new(
        mut settings: Settings,
        before: Option<&Self>,
        (edge, bank): (&Edge, &Arc<Bank>),
    ) -> Result<Self, PlanError> {
        let browser = browser(settings.browser.take(), before, edge)?;
        let (key, has_drawn_key) = key(&settings, before)?;
        let upstreams = upstreams(&settings, before)?;
        let (policy, risk) = (settings.policy.take(), settings.risk.take());
        let mut own = Self {
            routes: Routes::new(Vec::new()),
            documents: BTreeMap::from([(KEYS_PATH.to_owned(), key.public().to_string())]),
            believed: Believed {
                proxies: settings.trusted_proxies.clone(),
                header: settings.forwarded_header,
                takes_certificates: settings.takes_certificates,
            },
            asking: Asking::of(&settings),
            key,
            has_drawn_key,
            browser,
            claimed: Arc::default(),
            book: Book::new(&settings.quotas)?,
            policy: None,
            risk: None,
            is_reached_by_tls: is_by_tls(settings.external_url.as_deref()),
            revoker: None,
            home: home(&settings),
            verifiers: HashMap::new(),
            sources: HashMap::new(),
            upstreams,
            authorities: settings.authorities.clone(),
        };
        let claims = settings.routes.iter().flat_map(|route| &route.claims);
        own.claimed = Arc::new(claims.map(|(name, _)| name.clone()).collect());
        let base = Base {
            credentials: settings.credentials.as_ref(),
            clock_skew: settings.clock_skew,
            external_url: settings.external_url.as_deref(),
            uses: Bank::uses(bank),
            authorities: read(&settings.authorities)?,
            edge,
        };
        own.describe(&settings, &base, before)?;
        own.describe_at_root(&settings);
        own.watch(policy, risk)?;
        let mut ready = Vec::new();
        for route in settings.routes {
            let named = |upstream: &&Arc<Upstream>| upstream.settings.name == route.upstream;
            let upstream = own.upstreams.iter().find(named);
            let upstream = upstream.ok_or_else(|| PlanError::NoUpstream(route.upstream.clone()))?;
            own.book.named(&route.quota.limits)?;
            let guard = match &route.demand {
                Demand::Public => None,
                Demand::Token(demand) => {
                    let verifier = own.verifiers.get(&base.of(demand));
                    let verifier = verifier.ok_or(PlanError::NoIssuer)?;
                    let guard = Guard::new(verifier.clone(), demand);
                    Some(match route.mcp {
                        Some(_) => guard.telling_scopes(),
                        None => guard,
                    })
                }
            };
            ready.push(Arc::new(Ready {
                upstream: Arc::clone(upstream),
                guard,
                route,
            }));
        }
        own.routes = Routes::new(ready);
        Ok(own)
    }

    /// Makes the verifiers, and the metadata document of each API.
    ///
    /// Spec: RFC 9728 §2, §3.1
    fn describe(
        &mut self,
        settings: &Settings,
        base: &Base<'_>,
        before: Option<&Self>,
    ) -> Result<(), PlanError> {
        let mut scopes = BTreeMap::<Of, BTreeSet<&str>>::new();
        for route in &settings.routes {
            let Demand::Token(demand) = &route.demand else {
                continue;
            };
            let of = base.of(demand);
            let names = demand.needed.names().iter().map(String::as_str);
            let known = scopes.entry(of).or_default();
            known.extend(names);
            #[cfg(feature = "graphql")]
            known.extend(route.graphql.iter().flat_map(|graph| graph.scopes()));
            if !self.verifiers.contains_key(&of) {
                let verifier = self.verifier((base, demand), before)?;
                self.verifiers.insert(of, verifier);
            }
        }
        // Of several APIs without a path the first stands at the root, where
        // clients of MCP look.
        let mut order: Vec<&crate::settings::Route> = settings.routes.iter().collect();
        order.sort_by_key(|route| route.mcp.is_none());
        let demands = order.into_iter().filter_map(|route| match &route.demand {
            Demand::Token(demand) => Some(base.of(demand)),
            Demand::Public => None,
        });
        for of in demands {
            let Some(verifier) = self.verifiers.get(&of) else {
                continue;
            };
            let Some(address) = verifier.metadata_address() else {
                continue;
            };
            let Ok(address) = url::Url::parse(&address) else {
                continue;
            };
            let mut document = verifier.metadata();
            if let Some(names) = scopes.get(&of).filter(|names| !names.is_empty()) {
                document["scopes_supported"] = names.iter().copied().collect::<Value>();
            }
            let path = address.path().to_owned();
            self.documents.entry(path).or_insert(document.to_string());
        }
        Ok(())
    }

    /// The verifier of a demand: the one that is there, or a new one, which
    /// fetches nothing that another of the same issuer fetches.
    fn verifier(
        &mut self,
        (base, demand): (&Base<'_>, &TokenDemand),
        before: Option<&Self>,
    ) -> Result<Verifier, PlanError> {
        let (of, source) = (base.of(demand), base.source(demand));
        let known = before.and_then(|plan| plan.verifiers.get(&of));
        let verifier = match known {
            Some(known) => known.clone(),
            None => {
                let made = base.verifier(demand)?;
                let fetching = before.and_then(|plan| plan.sources.get(&source));
                match self.sources.get(&source).or(fetching) {
                    Some(fetching) => made.share_with(fetching)?,
                    None => made,
                }
            }
        };
        let fetching = self.sources.entry(source);
        fetching.or_insert_with(|| verifier.clone());
        Ok(verifier)
    }

    /// The document of the one API that is an MCP server also stands at the
    /// root, where clients look that find none under its path.
    ///
    /// Spec: MCP 2026-07-28 Authorization Server Discovery
    fn describe_at_root(&mut self, settings: &Settings) {
        const ROOT: &str = "/.well-known/oauth-protected-resource";
        let audience = |route: &crate::settings::Route| match &route.demand {
            Demand::Token(demand) if route.mcp.is_some() => Some(demand.audience.clone()),
            _ => None,
        };
        let audiences: BTreeSet<String> = settings.routes.iter().filter_map(audience).collect();
        let mut audiences = audiences.iter();
        let (Some(only), None) = (audiences.next(), audiences.next()) else {
            return;
        };
        let path = url::Url::parse(only).map(|url| url.path().to_owned());
        let own = path.ok().and_then(|path| {
            let at = format!("{ROOT}{}", path.trim_end_matches('/'));
            self.documents
                .get(&at)
                .or(self.documents.get(&format!("{ROOT}{path}")))
                .cloned()
        });
        if let Some(document) = own {
            self.documents.entry(ROOT.to_owned()).or_insert(document);
        }
    }

    /// Whether everybody may come through this address.
    pub(crate) fn is_proxy(&self, address: std::net::IpAddr) -> bool {
        let asks = |own: &Asking| own.is_heard(address);
        self.believed.is_proxy(address) || self.asking.as_ref().is_some_and(asks)
    }

    /// Whether a trusted proxy ends the TLS by which callers reach the gateway:
    /// as the operator says, not as a header does that a caller could write.
    pub(crate) fn ends_tls(&self, peer: std::net::IpAddr) -> bool {
        self.is_reached_by_tls && self.believed.is_proxy(peer.to_canonical())
    }

    /// Whoever answers a target where other proxies ask, on the listener that is
    /// for everybody.
    pub(crate) fn asked(&self, uri: &http::Uri) -> Option<&Asking> {
        let shared = self.asking.as_ref().filter(|own| own.is_shared());
        shared.filter(|own| own.is_asked(uri))
    }

    /// Every upstream.
    pub(crate) fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// The upstream of a name.
    pub(crate) fn upstream(&self, name: &str) -> Option<&Arc<Upstream>> {
        let mut all = self.upstreams.iter();
        all.find(|own| own.settings.name == name)
    }

    /// Sets up policy and risk.
    fn watch(
        &mut self,
        policy: Option<PolicySettings>,
        risk: Option<RiskSettings>,
    ) -> Result<(), PlanError> {
        if policy.is_none() && risk.is_none() {
            return Ok(());
        }
        let roots = upstream::authorities(&self.authorities)?;
        self.policy = policy.map(|own| Policy::new(own, &roots)).transpose()?;
        let at = risk.as_ref().and_then(|own| own.revoke_at.as_ref());
        let revoker = at.map(|own| Revoker::new(own, &roots)).transpose()?;
        self.revoker = revoker.map(Arc::new);
        self.risk = risk;
        Ok(())
    }

    /// The verifiers that another plan does not have.
    pub(crate) fn new_verifiers(&self, before: &Self) -> impl Iterator<Item = Verifier> {
        let all = self.verifiers.iter();
        all.filter(|(of, _)| !before.verifiers.contains_key(*of))
            .map(|(_, own)| own.clone())
    }

    /// Every verifier.
    pub(crate) fn verifiers(&self) -> impl Iterator<Item = &Verifier> {
        self.verifiers.values()
    }
}

/// The certificates of some PEM files, one behind the other.
fn read(files: &[std::path::PathBuf]) -> Result<Vec<u8>, PlanError> {
    let mut all = Vec::new();
    for path in files {
        let pem = std::fs::read(path).map_err(|cause| PlanError::Authorities {
            path: path.display().to_string(),
            cause: cause.to_string(),
        })?;
        all.extend(pem);
        all.push(b'\n');
    }
    Ok(all)
}

/// What all verifiers have in common.
struct Base<'s> {
    credentials: Option<&'s Credentials>,
    clock_skew: Duration,
    external_url: Option<&'s str>,
    /// What gateways remember together, where they do.
    uses: Option<Arc<dyn SharedUses>>,
    /// PEM: trusted for issuers besides the usual ones.
    authorities: Vec<u8>,
    edge: &'s Edge,
}

impl Base<'_> {
    /// Names a verifier by everything that it is made from.
    fn of(&self, demand: &TokenDemand) -> Of {
        let mut name = Name::default();
        name.add(&self.source(demand));
        name.add(demand.audience.as_bytes());
        for algorithm in &demand.algorithms {
            name.add(algorithm.as_str().as_bytes());
        }
        name.add(&self.clock_skew.as_millis().to_be_bytes());
        name.add(self.external_url.unwrap_or_default().as_bytes());
        name.finish()
    }

    /// Names what a verifier fetches, and as whom.
    fn source(&self, demand: &TokenDemand) -> Of {
        let mut name = Name::default();
        name.add(demand.issuer.as_bytes());
        let stale = demand.stale_if_error.map(|span| span.as_millis());
        name.add(&stale.map(u128::to_be_bytes).unwrap_or_default());
        name.add(&self.authorities);
        if let Some(own) = self.credentials_for(demand) {
            name.add(own.id.as_bytes());
            name.add(Digest::of(own.secret.expose()).as_bytes());
        }
        name.finish()
    }

    /// The credentials, where the issuer of a demand is the one that knows them.
    fn credentials_for(&self, demand: &TokenDemand) -> Option<&Credentials> {
        self.credentials.filter(|own| own.issuer == demand.issuer)
    }

    fn verifier(&self, demand: &TokenDemand) -> Result<Verifier, Misconfigured> {
        let algorithms = demand.algorithms.iter().copied();
        let mut verifier = Verifier::new(&demand.issuer, &demand.audience, algorithms)?
            .with_clock(Arc::clone(&self.edge.clock))
            .with_entropy(Arc::clone(&self.edge.entropy))
            .clock_skew(self.clock_skew)?;
        if !self.authorities.is_empty() {
            verifier = verifier.trust_authorities(&self.authorities)?;
        }
        if let Some(origin) = self.external_url {
            verifier = verifier.reached_at(origin)?;
        }
        if let Some(span) = demand.stale_if_error {
            verifier = verifier.stale_if_error(span)?;
        }
        if let Some(uses) = &self.uses {
            verifier = verifier.share_uses(Arc::clone(uses));
        }
        match self.credentials_for(demand) {
            None => Ok(verifier),
            Some(own) => {
                let secret = Secret::new(own.secret.expose().to_vec());
                verifier.introspect_as(&own.id, secret)?.subscribe()
            }
        }
    }
}

/// A name that is made of parts, each with its length, so that no two run into
/// each other.
#[derive(Default)]
struct Name(Vec<u8>);

impl Name {
    fn add(&mut self, part: &[u8]) {
        self.0.extend(part.len().to_be_bytes());
        self.0.extend(part);
    }

    fn finish(self) -> Of {
        *Digest::of(&self.0).as_bytes()
    }
}

fn is_by_tls(external_url: Option<&str>) -> bool {
    external_url.is_some_and(|own| own.starts_with("https://"))
}

/// The gateway's own issuer: the one that knows it, or the only one there is.
fn home(settings: &Settings) -> Option<String> {
    if let Some(own) = &settings.credentials {
        return Some(own.issuer.clone());
    }
    let mut issuers = settings
        .routes
        .iter()
        .filter_map(|route| match &route.demand {
            Demand::Token(demand) => Some(&demand.issuer),
            Demand::Public => None,
        });
    let first = issuers.next()?;
    issuers.all(|own| own == first).then(|| first.clone())
}

/// The key that signs assertions: the configured one; else the one that this
/// process drew, for as long as it lives.
fn key(settings: &Settings, before: Option<&Plan>) -> Result<(Arc<KeyOfGateway>, bool), PlanError> {
    let given = settings.assertion_key.as_ref();
    if let (None, Some(plan)) = (given, before)
        && plan.has_drawn_key
    {
        return Ok((Arc::clone(&plan.key), true));
    }
    let issuer = settings
        .external_url
        .as_deref()
        .unwrap_or("symbolon-gateway");
    let other = settings.assertion_key_other.as_ref();
    let key = KeyOfGateway::new(given, other, issuer).ok_or(PlanError::Key)?;
    Ok((Arc::new(key), given.is_none()))
}

/// The back end: the one that is there, where nothing of it has changed.
fn browser(
    settings: Option<settings::Browser>,
    before: Option<&Plan>,
    edge: &Edge,
) -> Result<Option<Browser>, PlanError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let known = before.and_then(|plan| plan.browser.as_ref());
    match known.filter(|known| known.is_of(&settings)) {
        Some(known) => Ok(Some(known.clone())),
        None => Browser::new(settings, edge).map(Some),
    }
}

fn upstreams(settings: &Settings, before: Option<&Plan>) -> Result<Vec<Arc<Upstream>>, PlanError> {
    let mut roots: Option<RootCertStore> = None;
    let mut all = Vec::new();
    for own in &settings.upstreams {
        let known = before
            .filter(|plan| plan.authorities == settings.authorities)
            .and_then(|plan| plan.upstreams.iter().find(|known| known.settings == *own));
        if let Some(known) = known {
            all.push(Arc::clone(known));
            continue;
        }
        let roots = match &mut roots {
            Some(roots) => roots,
            None => roots.insert(upstream::authorities(&settings.authorities)?),
        };
        all.push(Arc::new(Upstream::new(own.clone(), roots)?));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use symbolon_testkit::{FixedClock, SeededEntropy};
    use symbolon_verify::{Algorithm, Revocation};

    use super::*;
    use crate::settings::Needed;

    fn edge() -> Edge {
        Edge {
            clock: Arc::new(FixedClock::new()),
            entropy: Arc::new(SeededEntropy::new(1)),
        }
    }

    fn of(issuer: &str, audience: &str, client: Option<(&str, &str)>) -> (Of, Of) {
        let demand = TokenDemand {
            issuer: issuer.into(),
            audience: audience.into(),
            algorithms: vec![Algorithm::Es256],
            needed: Needed::All(Vec::new()),
            revocation: Revocation::Now,
            max_staleness: None,
            stale_if_error: None,
        };
        let credentials = client.map(|(id, secret)| Credentials {
            issuer: issuer.into(),
            id: id.into(),
            secret: Secret::from(secret),
        });
        let base = Base {
            credentials: credentials.as_ref(),
            clock_skew: Duration::ZERO,
            external_url: None,
            uses: None,
            authorities: Vec::new(),
            edge: &edge(),
        };
        (base.of(&demand), base.source(&demand))
    }

    /// Attack: L339
    #[test]
    fn no_two_demands_share_a_verifier_by_running_into_each_other() {
        let names = [
            of("a", "bc", None),
            of("ab", "c", None),
            of("a|b", "c", None),
            of("a", "b|c", None),
            of("a", "bc", Some(("d", "e"))),
            of("a", "bc", Some(("de", ""))),
            of("a", "bc", Some(("d", "f"))),
        ];
        for (at, (one, _)) in names.iter().enumerate() {
            let mut before = names[..at].iter();
            assert!(!before.any(|(known, _)| known == one), "{at}");
        }
        assert_eq!(of("a", "bc", None), names[0]);
    }

    #[test]
    fn apis_of_one_issuer_are_fetched_for_together_and_nobody_else_is() {
        let of = |issuer, audience, client| of(issuer, audience, client).1;

        assert_eq!(of("a", "b", None), of("a", "c", None));
        assert_ne!(of("a", "b", None), of("d", "b", None));
        assert_ne!(of("a", "b", None), of("a", "b", Some(("d", "e"))));
        assert_ne!(
            of("a", "b", Some(("d", "e"))),
            of("a", "b", Some(("d", "f")))
        );
    }
}
