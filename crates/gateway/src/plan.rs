//! Everything that a configuration leads to, ready for requests; the next one
//! takes over what has not changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use serde_json::Value;
use symbolon_token::{Digest, Secret};
use symbolon_verify::{Misconfigured, Verifier};

use crate::assertion::{KEYS_PATH, KeyOfGateway};
use crate::gateway::PlanError;
use crate::guard::Guard;
use crate::header::Claimed;
use crate::header::forwarded::Believed;
use crate::routes::{Ready, Routes};
use crate::settings::{Credentials, Demand, Settings, TokenDemand};
use crate::upstream::{self, Upstream};

/// What a verifier was made from.
type Of = [u8; 32];

/// A configuration at work.
pub(crate) struct Plan {
    pub(crate) routes: Routes,
    /// Documents of the gateway's own, by path.
    pub(crate) documents: BTreeMap<String, String>,
    pub(crate) believed: Believed,
    pub(crate) key: Arc<KeyOfGateway>,
    /// Whether the key was drawn by this process.
    has_drawn_key: bool,
    pub(crate) claimed: Arc<Claimed>,
    verifiers: HashMap<Of, Verifier>,
    upstreams: Vec<Arc<Upstream>>,
    authorities: Vec<std::path::PathBuf>,
}

impl Plan {
    /// Makes one; what `before` has and is to stay is taken over.
    pub(crate) fn new(settings: Settings, before: Option<&Self>) -> Result<Self, PlanError> {
        let (key, has_drawn_key) = key(&settings, before)?;
        let upstreams = upstreams(&settings, before)?;
        let mut own = Self {
            routes: Routes::new(Vec::new()),
            documents: BTreeMap::from([(KEYS_PATH.to_owned(), key.public().to_string())]),
            believed: Believed {
                proxies: settings.trusted_proxies.clone(),
                header: settings.forwarded_header,
            },
            key,
            has_drawn_key,
            claimed: Arc::default(),
            verifiers: HashMap::new(),
            upstreams,
            authorities: settings.authorities.clone(),
        };
        let claims = settings.routes.iter().flat_map(|route| &route.claims);
        own.claimed = Arc::new(claims.map(|(name, _)| name.clone()).collect());
        let base = Base {
            credentials: settings.credentials.as_ref(),
            clock_skew: settings.clock_skew,
            external_url: settings.external_url.as_deref(),
        };
        own.describe(&settings, &base, before)?;
        let mut ready = Vec::new();
        for route in settings.routes {
            let named = |upstream: &&Arc<Upstream>| upstream.settings.name == route.upstream;
            let upstream = own.upstreams.iter().find(named);
            let upstream = upstream.ok_or_else(|| PlanError::NoUpstream(route.upstream.clone()))?;
            let guard = match &route.demand {
                Demand::Public => None,
                Demand::Token(demand) => {
                    let verifier = own.verifiers.get(&base.of(demand));
                    let verifier = verifier.ok_or(PlanError::NoIssuer)?;
                    Some(Guard::new(verifier.clone(), demand))
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
            scopes.entry(of).or_default().extend(names);
            if self.verifiers.contains_key(&of) {
                continue;
            }
            let known = before.and_then(|plan| plan.verifiers.get(&of));
            let verifier = match known {
                Some(known) => known.clone(),
                None => base.verifier(demand)?,
            };
            self.verifiers.insert(of, verifier);
        }
        for (of, verifier) in &self.verifiers {
            let Some(address) = verifier.metadata_address() else {
                continue;
            };
            let Ok(address) = url::Url::parse(&address) else {
                continue;
            };
            let mut document = verifier.metadata();
            if let Some(names) = scopes.get(of).filter(|names| !names.is_empty()) {
                document["scopes_supported"] = names.iter().copied().collect::<Value>();
            }
            let path = address.path().to_owned();
            self.documents.insert(path, document.to_string());
        }
        Ok(())
    }

    /// Every verifier.
    pub(crate) fn verifiers(&self) -> impl Iterator<Item = &Verifier> {
        self.verifiers.values()
    }
}

/// What all verifiers have in common.
struct Base<'s> {
    credentials: Option<&'s Credentials>,
    clock_skew: Duration,
    external_url: Option<&'s str>,
}

impl Base<'_> {
    /// Names a verifier by everything that it is made from, each part with its
    /// length, so that no two run into each other.
    fn of(&self, demand: &TokenDemand) -> Of {
        let mut text = Vec::new();
        let mut add = |part: &[u8]| {
            text.extend(part.len().to_be_bytes());
            text.extend(part);
        };
        add(demand.issuer.as_bytes());
        add(demand.audience.as_bytes());
        for algorithm in &demand.algorithms {
            add(algorithm.as_str().as_bytes());
        }
        add(&self.clock_skew.as_millis().to_be_bytes());
        add(self.external_url.unwrap_or_default().as_bytes());
        if let Some(own) = self.credentials_for(demand) {
            add(own.id.as_bytes());
            add(Digest::of(own.secret.expose()).as_bytes());
        }
        *Digest::of(&text).as_bytes()
    }

    /// The credentials, where the issuer of a demand is the one that knows them.
    fn credentials_for(&self, demand: &TokenDemand) -> Option<&Credentials> {
        self.credentials.filter(|own| own.issuer == demand.issuer)
    }

    fn verifier(&self, demand: &TokenDemand) -> Result<Verifier, Misconfigured> {
        let algorithms = demand.algorithms.iter().copied();
        let mut verifier = Verifier::new(&demand.issuer, &demand.audience, algorithms)?
            .clock_skew(self.clock_skew)?;
        if let Some(origin) = self.external_url {
            verifier = verifier.reached_at(origin)?;
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
    let key = KeyOfGateway::new(given, issuer).ok_or(PlanError::Key)?;
    Ok((Arc::new(key), given.is_none()))
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
    use symbolon_verify::{Algorithm, Revocation};

    use super::*;
    use crate::settings::Needed;

    fn of(issuer: &str, audience: &str, client: Option<(&str, &str)>) -> Of {
        let demand = TokenDemand {
            issuer: issuer.into(),
            audience: audience.into(),
            algorithms: vec![Algorithm::Es256],
            needed: Needed::All(Vec::new()),
            revocation: Revocation::Now,
            max_staleness: None,
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
        };
        base.of(&demand)
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
        for (at, one) in names.iter().enumerate() {
            assert!(!names[..at].contains(one), "{at}");
        }
        assert_eq!(of("a", "bc", None), names[0]);
    }
}
