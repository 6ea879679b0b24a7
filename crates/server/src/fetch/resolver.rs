//! Names become addresses here, and only addresses that may be called come
//! out: the connection is made to what was checked, so a name that answers
//! differently the next time gains nothing.
//!
//! Spec: RFC 6761 §6.3

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::reach::Reach;

/// How many addresses of one name are looked at.
const MAX_ADDRESSES: usize = 32;

/// The addresses of a name, some time later.
pub(super) type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name.
pub(super) trait Lookup: Send + Sync + 'static {
    /// Asks for the addresses of a host.
    fn lookup(&self, host: String) -> Found;
}

/// Asks as the machine is set up to.
pub(super) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> Found {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|socket| socket.ip()).collect())
        })
    }
}

/// A name whose addresses may not be called.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the name has an address that may not be called")]
pub(super) struct NotAdmitted;

/// Resolves names to addresses that were checked.
pub(super) struct Guarded {
    pub(super) reach: Arc<Reach>,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let (reach, lookup) = (Arc::clone(&self.reach), Arc::clone(&self.lookup));
        Box::pin(async move {
            let found = if host == "localhost" {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            } else {
                lookup.lookup(host.clone()).await?
            };
            // One bad address among good ones is what rebinding looks like.
            let all_admitted = found.iter().all(|address| reach.admits(&host, *address));
            if found.is_empty() || found.len() > MAX_ADDRESSES || !all_admitted {
                return Err(NotAdmitted.into());
            }
            let pinned = found
                .into_iter()
                .map(|address| SocketAddr::new(address.to_canonical(), 0));
            Ok(Box::new(pinned) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(&'static [&'static str]);

    impl Lookup for Fixed {
        fn lookup(&self, _: String) -> Found {
            let found = self.0.iter().map(|text| text.parse().unwrap()).collect();
            Box::pin(std::future::ready(Ok(found)))
        }
    }

    async fn resolved(host: &str, answers: &'static [&'static str]) -> Option<Vec<String>> {
        let reach = Arc::new(Reach::new(
            &"https://auth.example.com".parse().unwrap(),
            &[],
        ));
        let guarded = Guarded {
            reach,
            lookup: Arc::new(Fixed(answers)),
        };
        let found = guarded.resolve(host.parse().unwrap()).await.ok()?;
        Some(found.map(|socket| socket.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn a_name_with_one_forbidden_address_is_refused_whole() {
        assert_eq!(
            resolved("a.test", &["8.8.8.8"]).await,
            Some(vec!["8.8.8.8".into()])
        );
        assert_eq!(
            resolved("a.test", &["::ffff:8.8.8.8"]).await,
            Some(vec!["8.8.8.8".into()])
        );
        for bad in [
            &["8.8.8.8", "127.0.0.1"][..],
            &["8.8.8.8", "fd00::1"],
            &["169.254.169.254"],
            &[],
        ] {
            assert_eq!(resolved("a.test", bad).await, None, "{bad:?}");
        }
        assert_eq!(resolved("localhost", &["8.8.8.8"]).await, None);
    }
}
