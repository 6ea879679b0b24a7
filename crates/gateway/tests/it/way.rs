//! The way to Redis: passwords, users, and TLS with a certificate of one's own.

use std::time::Duration;

use symbolon_gateway::{Launch, Redis as Shared};
use symbolon_token::Secret;
use tokio::time::Instant;

use crate::issuer::{API, http};
use crate::quota::{daily, put};
use crate::redis::{Cluster, Redis, Signed};
use crate::site::{Site, edge};

/// How long it may take until it counts.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one is asked that never does.
const LONG: Duration = Duration::from_secs(3);

/// Whether a gateway counts there; where it does not, it lets nobody through.
async fn counts(site: &Site, token: &str, redis: Shared, is_expected: bool) -> bool {
    let mut settings = site.settings();
    put(&mut settings, "/orders/{id}", vec![daily("daily", 1000)]);
    settings.quotas.redis = Some(redis);
    let loopback = "127.0.0.1:0".parse().unwrap();
    let launch = Launch::bind(loopback, None).await.unwrap();
    let address = launch.public.local_addr().unwrap();
    let running = launch.start(settings, edge()).unwrap();
    running.gateway.warm().await;
    let (client, begin) = (http(), Instant::now());
    let patience = if is_expected { PATIENCE } else { LONG };
    loop {
        let call = client.get(format!("http://{address}/orders/7"));
        let status = call.bearer_auth(token).send().await.unwrap().status();
        match status.as_u16() {
            200 => return true,
            503 if begin.elapsed() > patience => return false,
            503 => tokio::time::sleep(Duration::from_millis(200)).await,
            other => panic!("it answers {other}"),
        }
    }
}

fn shared(url: String, user: Option<&str>, password: Option<&str>) -> Shared {
    Shared {
        addresses: vec![url],
        user: user.map(str::to_owned),
        password: password.map(Secret::from),
        authority: None,
        deadline: Shared::DEADLINE,
    }
}

/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_and_a_user_are_shown_and_without_them_nobody_counts() {
    let redis = Redis::guarded("of everybody", "of the gateway");
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    for (user, password, is_good) in [
        (None, Some("of everybody"), true),
        (Some("gateway"), Some("of the gateway"), true),
        (None, None, false),
        (None, Some("of the gateway"), false),
        (Some("gateway"), Some("of everybody"), false),
    ] {
        let settings = shared(redis.url(), user, password);

        let does = counts(&site, &token, settings, is_good).await;

        assert_eq!(does, is_good, "{user:?} {password:?}");
    }
}

/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_it_is_the_redis_that_was_named_or_nobody_counts() {
    let (signed, stranger) = (Signed::new(), Signed::new());
    let redis = Redis::over_tls(&signed, "a password");
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let at = |scheme: &str, host: &str, signed: Option<&Signed>| Shared {
        authority: signed.map(|own| own.certificate.clone()),
        ..shared(
            format!("{scheme}://{host}:{}", redis.port),
            None,
            Some("a password"),
        )
    };
    for (settings, is_good) in [
        (at("rediss", "127.0.0.1", Some(&signed)), true),
        // Nobody knows who signed it, somebody else did, it is another name, or
        // there is no TLS.
        (at("rediss", "127.0.0.1", None), false),
        (at("rediss", "127.0.0.1", Some(&stranger)), false),
        (at("rediss", "localhost", Some(&signed)), false),
        (at("redis", "127.0.0.1", None), false),
    ] {
        let told = format!("{:?} {:?}", settings.addresses, settings.authority);

        let does = counts(&site, &token, settings, is_good).await;

        assert_eq!(does, is_good, "{told}");
    }
    let empty = at("rediss", "127.0.0.1", Some(&stranger));
    std::fs::write(&stranger.certificate, "nothing").unwrap();
    let mut settings = site.settings();
    settings.quotas.redis = Some(empty);
    let refused = symbolon_gateway::Gateway::new(settings, edge());
    assert_eq!(
        refused.err().map(|own| own.code()),
        Some("gateway.redis_url")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_reached_over_tls_with_its_password_as_well() {
    let signed = Signed::new();
    let cluster = Cluster::over_tls(&signed, "a password");
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    for (password, is_good) in [("a password", true), ("another", false)] {
        let addresses = cluster.0.iter();
        let addresses = addresses.map(|own| format!("rediss://127.0.0.1:{}", own.port));
        let settings = Shared {
            addresses: addresses.collect(),
            user: None,
            password: Some(Secret::from(password)),
            authority: Some(signed.certificate.clone()),
            deadline: Shared::DEADLINE,
        };

        let does = counts(&site, &token, settings, is_good).await;

        assert_eq!(does, is_good, "{password}");
    }
}
