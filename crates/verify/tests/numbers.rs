//! What operators read: how old keys and feed are, and what was made up.
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod support;

use std::future::Future;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use support::feed::at;
use support::{Issuer, Reply, at_expiry, key, set};
use symbolon_protocol::SigningAlgorithm;

/// Runs on one thread, so that nothing else is counted.
fn counted<F: Future<Output = ()>>(test: impl FnOnce(PrometheusHandle) -> F) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test(handle)));
}

/// A number by its name and labels.
fn number(handle: &PrometheusHandle, name: &str) -> Option<f64> {
    let all = handle.render();
    let mut lines = all.lines().filter_map(|line| line.rsplit_once(' '));
    let (_, value) = lines.find(|(own, _)| *own == name)?;
    value.parse().ok()
}

async fn until(is_so: impl Fn() -> bool, patience: Duration) -> bool {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, waiting).await.is_ok()
}

#[test]
fn the_age_of_the_feed_grows_while_the_issuer_answers_nothing_at_all() {
    counted(async |handle| {
        let issuer = Issuer::start().await;
        let verifier = issuer.subscribed();
        let (ready, stream) = tokio::join!(verifier.ready(), issuer.snapshot(at(5), &[]));
        ready.unwrap();
        let name = format!("revocations_age_seconds{{issuer=\"{}\"}}", issuer.url);
        assert!(number(&handle, &name).unwrap() < 1.0);

        // The next stream does not even begin.
        *issuer.behaviour.feed_keys.lock().unwrap() = Some(Reply::Never);
        drop(stream);
        let is_cut = until(
            || !verifier.feed().unwrap().is_connected,
            Duration::from_secs(5),
        );
        assert!(is_cut.await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        issuer.advance(30);

        let grows = until(
            || number(&handle, &name).is_some_and(|age| age >= 30.0),
            Duration::from_secs(3),
        );
        assert!(grows.await, "{}", handle.render());
    });
}

#[test]
fn the_numbers_of_a_key_set_say_whose_it_is() {
    counted(async |handle| {
        let (one, other) = (Issuer::start().await, Issuer::start().await);
        let odd = json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA"});
        let mut document = set(&[&one.key]);
        document["keys"].as_array_mut().unwrap().push(odd);
        one.serves_keys(Reply::Json(document));
        let (first, second) = (one.verifier(), other.verifier());
        first.ready().await.unwrap();
        second.ready().await.unwrap();

        for _ in 0..5 {
            let made_up = one.token_by(&key(SigningAlgorithm::Es256), |_| ());
            assert!(first.check(&made_up, &at_expiry()).await.is_err());
        }

        let of = |issuer: &Issuer, name: &str, more: &str| {
            let name = format!("{name}{{issuer=\"{}\"{more}}}", issuer.url);
            number(&handle, &name)
        };
        assert!(of(&one, "unknown_kid_total", "").unwrap() >= 5.0);
        assert_eq!(of(&other, "unknown_kid_total", ""), None);
        assert_eq!(of(&one, "jwks_keys_skipped", ""), Some(1.0));
        assert_eq!(of(&other, "jwks_keys_skipped", ""), Some(0.0));
        for (result, times) in [("changed", 1.0), ("unchanged", 1.0)] {
            let label = format!(",result=\"{result}\"");
            assert_eq!(of(&one, "refresh_total", &label), Some(times), "{result}");
        }
        for issuer in [&one, &other] {
            assert_eq!(of(issuer, "jwks_age_seconds", ""), Some(0.0));
        }
    });
}
