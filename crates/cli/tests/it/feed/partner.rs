//! A partner that publishes a key and signs assertions.

use axum::Router;
use axum::routing::get;
use serde_json::json;
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::jose::SigningKey;
use tokio::net::TcpListener;

use super::api::now;
use crate::program::word;

pub(crate) struct Partner {
    pub(crate) issuer: String,
    key: SigningKey,
}

impl Partner {
    pub(crate) async fn start() -> Self {
        let key = signing_key();
        let set = json!({ "keys": [key.public_jwk()] }).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().route("/jwks", get(move || std::future::ready(set.clone())));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, key }
    }

    /// An assertion about somebody, for a server.
    pub(crate) fn assertion(&self, audience: &str) -> String {
        let now = now().seconds();
        let claims = json!({
            "iss": self.issuer, "sub": "carol", "aud": audience,
            "jti": word(), "iat": now, "exp": now + 300,
        });
        self.key.sign("JWT", claims.to_string().as_bytes())
    }
}

/// A key of ES256.
pub(crate) fn signing_key() -> SigningKey {
    let algorithm = SigningAlgorithm::Es256;
    SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap()).unwrap()
}
