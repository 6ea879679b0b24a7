//! Clients, APIs and a partner for exchanging, made over the admin API.

use reqwest::Method;
use serde_json::{Map, Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::jose::{SigningKey, Unverified};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::browser::{Browser, request};
use crate::harness::{Answer, ORDERS, Server};

/// The API behind the first one; its tokens are JWTs.
pub(crate) const STOCK: &str = "https://stock.example.com";
/// Another one behind it; its tokens are opaque.
pub(crate) const SAFE: &str = "https://safe.example.com";
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The identifier of a kind of token.
pub(crate) fn urn(kind: &str) -> String {
    if kind == "api_key" {
        return "urn:symbolon:params:oauth:token-type:api_key".to_owned();
    }
    format!("urn:ietf:params:oauth:token-type:{kind}")
}

async fn done(server: &Server, method: Method, path: &str, body: Value) {
    let answer = server.admin(method, path, Some(body)).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
}

/// Changes a client.
pub(crate) async fn client(server: &Server, id: &str, patch: Value) {
    done(
        server,
        Method::PATCH,
        &format!("/admin/v1/clients/{id}"),
        patch,
    )
    .await;
}

/// Makes the APIs, and lets `orders-api` carry requests on to them.
pub(crate) async fn furnish(server: &Server) {
    for (identifier, format) in [(STOCK, "jwt"), (SAFE, "opaque")] {
        let resource = json!({
            "identifier": identifier, "token_format": format, "introspection_client": "vault-api",
            "scopes": ["read:orders", "delete:orders", "read:stock"], "sensitive_scopes": ["delete:orders"],
            "exchange_from": ["orders-api"],
        });
        done(server, Method::POST, "/admin/v1/resources", resource).await;
    }
    let api = json!({
        "grants": ["client_credentials", EXCHANGE],
        "scopes": ["read:orders", "delete:orders", "read:stock"],
        "resources": [ORDERS, STOCK, SAFE],
        "default_resource": ORDERS,
        "exchange": { "from": [ORDERS], "to": [STOCK, SAFE] },
    });
    client(server, "orders-api", api).await;
    let web = json!({ "grants": ["authorization_code", "refresh_token", EXCHANGE] });
    client(server, "web", web).await;
}

/// Tokens of a person's sign-in.
pub(crate) async fn signed_in(server: &Server, username: &str) -> Answer {
    Browser::new(server).tokens(username, &request()).await
}

/// A service's token for itself.
pub(crate) async fn own_token(server: &Server, client: &str) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    server.token(client, &form).await.text("access_token")
}

/// A request to exchange: valid, until a test adds to it.
#[derive(Clone)]
pub(crate) struct Asked {
    form: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn of(kind: &str, token: &str) -> Self {
        let asked = Self { form: Vec::new() };
        asked
            .with("grant_type", EXCHANGE)
            .with("subject_token", token)
            .with("subject_token_type", &urn(kind))
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.form.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with another value where the name stands already.
    pub(crate) fn but(mut self, name: &str, value: &str) -> Self {
        self.form.retain(|(own, _)| own != name);
        self.with(name, value)
    }

    pub(crate) fn acting(self, kind: &str, token: &str) -> Self {
        self.with("actor_token", token)
            .with("actor_token_type", &urn(kind))
    }

    /// Its parameters.
    pub(crate) fn form(&self) -> Vec<(&str, &str)> {
        let pairs = self.form.iter();
        pairs.map(|(name, value)| (&**name, &**value)).collect()
    }

    pub(crate) async fn by(&self, server: &Server, client: &str) -> Answer {
        server.token(client, &self.form()).await
    }

    /// The access token that it gives.
    pub(crate) async fn token(&self, server: &Server, client: &str) -> String {
        let answer = self.by(server, client).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("access_token")
    }
}

/// What a JWT says, whoever signed it.
pub(crate) fn claims(jwt: &str) -> Map<String, Value> {
    Unverified::parse(jwt)
        .unwrap()
        .dangerous_claims_without_key()
        .unwrap()
}

/// A partner that publishes a key and signs.
pub(crate) struct Partner {
    pub(crate) issuer: String,
    pub(crate) key: SigningKey,
}

impl Partner {
    /// Starts to publish; nobody trusts it yet.
    pub(crate) async fn start() -> Self {
        let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
        let set = json!({ "keys": [key.public_jwk()] }).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{set}",
                    set.len()
                );
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { issuer, key }
    }

    /// A partner that the server trusts and `orders-api` may bring JWTs of.
    pub(crate) async fn trusted(server: &Server) -> Self {
        let partner = Self::start().await;
        partner.be_trusted(server, json!({})).await;
        let policy = json!({
            "grants": ["client_credentials", EXCHANGE, BEARER],
            "exchange": { "issuers": [partner.issuer] },
        });
        client(server, "orders-api", policy).await;
        partner
    }

    pub(crate) async fn be_trusted(&self, server: &Server, more: Value) {
        let mut document = json!({
            "issuer": self.issuer, "jwks_uri": format!("{}/jwks", self.issuer),
            "resource": ORDERS, "organization": "acme", "scopes": ["read:orders"],
        });
        for (name, value) in more.as_object().unwrap() {
            document[name] = value.clone();
        }
        done(server, Method::POST, "/admin/v1/trusted-issuers", document).await;
    }

    /// The claims of a good JWT.
    pub(crate) fn claims(&self, server: &Server) -> Value {
        let now = now(server);
        json!({
            "iss": self.issuer, "sub": "carol", "aud": server.name(), "jti": "one",
            "iat": now, "exp": now + 300,
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.key.sign("JWT", claims.to_string().as_bytes())
    }

    /// A good JWT with some claims changed; `null` takes one away.
    pub(crate) fn jwt(&self, server: &Server, change: Value) -> String {
        let mut claims = self.claims(server);
        for (name, value) in change.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        self.sign(&claims)
    }

    /// The same, made half a minute ago: no node's clock is behind it.
    pub(crate) fn older_jwt(&self, server: &Server, jti: &str) -> String {
        self.jwt(server, json!({ "jti": jti, "iat": now(server) - 30 }))
    }

    /// The path of one of its operations in the admin API.
    pub(crate) fn path(&self, verb: &str) -> String {
        let name = self.issuer.replace(':', "%3A").replace('/', "%2F");
        format!("/admin/v1/trusted-issuers/{name}{verb}")
    }
}

/// The server's time, in seconds.
pub(crate) fn now(server: &Server) -> i64 {
    use symbolon_token::Clock;
    server.clock.now().seconds()
}
