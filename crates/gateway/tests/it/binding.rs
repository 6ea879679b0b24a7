//! Tokens that are bound to a key or a certificate, and TLS itself.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use symbolon_gateway::{Asks, Certificate, Demand, Launch, Running, Settings};
use symbolon_protocol::SigningAlgorithm;
use symbolon_server::clock::{SystemClock, SystemEntropy};
use symbolon_token::jose::SigningKey;
use symbolon_token::{Clock, Digest, Thumbprint, random};
use symbolon_verify::Revocation;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::issuer::API;
use crate::raw;
use crate::site::{edge, needs, route, settings};
use crate::upstream::Upstream;

/// An issuer that signs whatever a test wants.
pub(crate) struct Maker {
    pub(crate) url: String,
    key: Arc<SigningKey>,
}

fn key() -> SigningKey {
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap()
}

impl Maker {
    pub(crate) async fn start() -> Self {
        let key = Arc::new(key());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let metadata = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") });
        let jwks = json!({ "keys": [key.public_jwk()] });
        let document = |value: Value| get(async move || axum::Json(value));
        let router = Router::new()
            .route(
                "/.well-known/oauth-authorization-server",
                document(metadata),
            )
            .route("/jwks", document(jwks));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, key }
    }

    /// One of another name with the same key.
    pub(crate) fn named(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            key: Arc::clone(&self.key),
        }
    }

    /// A token that is bound to what `cnf` says.
    pub(crate) fn token(&self, cnf: Value) -> String {
        let now = SystemClock::start().now().seconds();
        let mut claims = json!({
            "iss": self.url, "sub": "usr_1", "aud": API, "client_id": "web", "jti": word(),
            "exp": now + 600, "iat": now, "scope": "read",
        });
        if cnf != json!({}) {
            claims["cnf"] = cnf;
        }
        self.key.sign("at+jwt", claims.to_string().as_bytes())
    }

    fn settings(&self, upstream: SocketAddr) -> Settings {
        let mut settings = settings(&self.url, upstream);
        settings.credentials = None;
        settings.external_url = Some("https://gateway.test".into());
        let mut orders = needs(&self.url, API, "read");
        if let Demand::Token(demand) = &mut orders {
            demand.revocation = Revocation::AtExpiry;
        }
        settings.routes = vec![
            route("/orders/{id}", orders),
            route("/public/{*rest}", Demand::Public),
        ];
        settings
    }
}

fn word() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(random::<12>(&SystemEntropy))
}

/// A proof of a key for one request with one token.
fn proof(key: &SigningKey, method: &str, url: &str, token: &str) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.bare_jwk() });
    let digest = Digest::of(token.as_bytes());
    let claims = json!({
        "jti": word(), "htm": method, "htu": url, "iat": SystemClock::start().now().seconds(),
        "ath": BASE64_URL_SAFE_NO_PAD.encode(digest.as_bytes()),
    });
    key.sign_under(&header.to_string(), claims.to_string().as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_token_is_good_with_a_proof_for_the_outside_address_once() {
    let (maker, upstream) = (Maker::start().await, Upstream::start().await);
    let launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None)
        .await
        .unwrap();
    let gateway = launch.public.local_addr().unwrap();
    let running = launch
        .start(maker.settings(upstream.address), edge())
        .unwrap();
    running.gateway.warm().await;
    let (own, other) = (key(), key());
    let token = maker.token(json!({ "jkt": own.kid() }));
    let send = async |scheme: &str, proof: &str| {
        let headers = match proof.is_empty() {
            true => format!("Authorization: {scheme} {token}\r\n"),
            false => format!("Authorization: {scheme} {token}\r\nDPoP: {proof}\r\n"),
        };
        raw::get(gateway, b"/orders/7?x=1", &headers).await
    };
    let url = "https://gateway.test/orders/7";
    let good = proof(&own, "GET", url, &token);

    let mut first = send("DPoP", &good).await;
    if first.contains("use_dpop_nonce") {
        // A process that has just begun could have forgotten a proof.
        let rest = first.split("dpop-nonce: ").nth(1).unwrap();
        let nonce = rest.split("\r\n").next().unwrap();
        let with = with_nonce(&own, url, &token, nonce);
        first = send("DPoP", &with).await;
        assert_eq!(raw::statuses(&send("DPoP", &with).await), [401], "a replay");
    } else {
        assert_eq!(raw::statuses(&send("DPoP", &good).await), [401], "a replay");
    }

    assert_eq!(raw::statuses(&first), [200], "{first}");
    assert!(!first.contains("[\"dpop\""), "{first}");
    for (name, scheme, proof) in [
        ("a plain bearer", "Bearer", String::new()),
        ("no proof", "DPoP", String::new()),
        ("another key", "DPoP", proof(&other, "GET", url, &token)),
        ("another method", "DPoP", proof(&own, "POST", url, &token)),
        (
            "another path",
            "DPoP",
            proof(&own, "GET", "https://gateway.test/orders/8", &token),
        ),
        (
            "the inner address",
            "DPoP",
            proof(&own, "GET", &format!("http://{gateway}/orders/7"), &token),
        ),
        ("another token", "DPoP", proof(&own, "GET", url, "x")),
    ] {
        let answer = send(scheme, &proof).await;
        assert_eq!(raw::statuses(&answer), [401], "{name}: {answer}");
        assert!(answer.contains("www-authenticate: "), "{name}");
    }
    assert_eq!(upstream.seen(), 1);
}

fn with_nonce(key: &SigningKey, url: &str, token: &str, nonce: &str) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.bare_jwk() });
    let digest = Digest::of(token.as_bytes());
    let claims = json!({
        "jti": word(), "htm": "GET", "htu": url, "nonce": nonce,
        "iat": SystemClock::start().now().seconds(),
        "ath": BASE64_URL_SAFE_NO_PAD.encode(digest.as_bytes()),
    });
    key.sign_under(&header.to_string(), claims.to_string().as_bytes())
}

/// A certificate of a host, or of a caller.
pub(crate) struct Made {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: Vec<u8>,
    pub(crate) pem: (String, String),
}

pub(crate) fn made(name: &str) -> Made {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Made {
        certificate: cert.der().clone(),
        key: signing_key.serialize_der(),
        pem: (cert.pem(), signing_key.serialize_pem()),
    }
}

/// A gateway with TLS that asks for certificates.
async fn behind_tls(settings: Settings, own: &Made) -> (SocketAddr, Running) {
    let folder = std::env::temp_dir().join(format!("symbolon-gateway-tls-{}", word()));
    std::fs::create_dir_all(&folder).unwrap();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, &own.pem.0).unwrap();
    std::fs::write(&key, &own.pem.1).unwrap();
    let mut launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None)
        .await
        .unwrap();
    launch.certificate = Some(Certificate::read(&chain, &key).unwrap());
    launch.asks = Asks::ForCertificate;
    std::fs::remove_dir_all(&folder).unwrap();
    let address = launch.public.local_addr().unwrap();
    let running = launch.start(settings, edge()).unwrap();
    running.gateway.warm().await;
    (address, running)
}

/// One request over TLS to `gateway.test`, with a certificate or without.
async fn over_tls(address: SocketAddr, host: &Made, shown: Option<&Made>, request: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(host.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let key = PrivatePkcs8KeyDer::from(own.key.clone());
            let chain = vec![own.certificate.clone()];
            builder.with_client_auth_cert(chain, key.into()).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "gateway.test".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    // An end without a goodbye is an end.
    let _ = stream.read_to_end(&mut read).await;
    String::from_utf8_lossy(&read).into_owned()
}

/// Attack: L333
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_a_bound_token_needs_its_certificate_and_a_request_its_host() {
    let (maker, upstream) = (Maker::start().await, Upstream::start().await);
    let (host, own, other) = (made("gateway.test"), made("caller"), made("stranger"));
    let (address, _running) = behind_tls(maker.settings(upstream.address), &host).await;
    let thumbprint = Thumbprint::of(&own.certificate).to_string();
    let token = maker.token(json!({ "x5t#S256": thumbprint }));
    let request = |host: &str, path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
    };
    for (shown, status) in [(Some(&own), 200), (None, 401), (Some(&other), 401)] {
        let answer = over_tls(address, &host, shown, &request("gateway.test", "/orders/7")).await;
        assert_eq!(raw::statuses(&answer), [status], "{answer}");
    }
    let elsewhere = request("admin.test", "/public/x");
    let elsewhere = over_tls(address, &host, None, &elsewhere).await;
    assert_eq!(raw::statuses(&elsewhere), [421], "{elsewhere}");
    let here = over_tls(address, &host, None, &request("gateway.test", "/public/x")).await;
    assert_eq!(raw::statuses(&here), [200], "{here}");
    assert!(here.contains("[\"x-forwarded-proto\",\"https\"]"), "{here}");
}

/// Attack: F181
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_good_once_over_gateways_that_remember_together() {
    let redis = crate::redis::Redis::start();
    let (maker, upstream) = (Maker::start().await, Upstream::start().await);
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let loopback = "127.0.0.1:0".parse().unwrap();
        let launch = Launch::bind(loopback, None).await.unwrap();
        let address = launch.public.local_addr().unwrap();
        let mut settings = maker.settings(upstream.address);
        settings.clock_skew = std::time::Duration::from_secs(1);
        settings.quotas.redis = Some(symbolon_gateway::Redis {
            addresses: vec![redis.url()],
            user: None,
            password: None,
            authority: None,
            deadline: std::time::Duration::from_secs(10),
        });
        let running = launch.start(settings, edge()).unwrap();
        running.gateway.warm().await;
        gateways.push((address, running));
    }
    let own = key();
    let token = maker.token(json!({ "jkt": own.kid() }));
    let url = "https://gateway.test/orders/7";
    let send = async |at: usize, proof: &str| {
        let headers = format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n");
        raw::get(gateways[at].0, b"/orders/7?x=1", &headers).await
    };
    // Until a proof is newer than both processes, they want a nonce of theirs; the
    // second began later.
    let begin = tokio::time::Instant::now();
    while send(1, &proof(&own, "GET", url, &token))
        .await
        .contains("use_dpop_nonce")
    {
        assert!(begin.elapsed().as_secs() < 60);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    let good = proof(&own, "GET", url, &token);
    let first = send(0, &good).await;
    assert_eq!(raw::statuses(&first), [200], "{first}");

    let again = send(1, &good).await;

    assert_eq!(raw::statuses(&again), [401], "{again}");
    assert!(again.contains("invalid_dpop_proof"), "{again}");
    let other = proof(&own, "GET", url, &token);
    assert_eq!(raw::statuses(&send(1, &other).await), [200]);

    drop(redis);
    let late = proof(&own, "GET", url, &token);
    assert_eq!(raw::statuses(&send(1, &late).await), [503]);
}
