//! What a client takes from an issuer, and what it does not.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::{FixedClock, SeededEntropy, at};
use symbolon_token::Secret;
use symbolon_token::jose::SigningKey;

use super::{Asked, Begun, Failed, Provider, Registration, Returned};

const CLIENT: &str = "shop";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

struct Issuer {
    url: String,
    key: SigningKey,
    provider: Provider,
    /// What the token endpoint will answer as `id_token`.
    says: Arc<std::sync::Mutex<String>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
        let metadata = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"),
            "authorization_response_iss_parameter_supported": true,
        });
        let keys = json!({ "keys": [key.public_jwk()] });
        let says = Arc::new(std::sync::Mutex::new(String::new()));
        let told = Arc::clone(&says);
        let router = Router::new()
            .route(
                "/.well-known/oauth-authorization-server",
                get(async move || metadata.to_string()),
            )
            .route("/keys", get(async move || keys.to_string()))
            .route(
                "/token",
                post(async move || {
                    let id_token = told.lock().unwrap().clone();
                    json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 60,
                        "id_token": id_token })
                    .to_string()
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let own = Registration {
            issuer: url.clone(),
            client_id: CLIENT.into(),
            client_secret: Secret::from("secret"),
            redirect_uri: "https://shop.example.com/callback".into(),
            authorities: Vec::new(),
        };
        let (clock, entropy) = (FixedClock::new(), SeededEntropy::new(3));
        let provider = Provider::new(own, Arc::new(clock), Arc::new(entropy)).unwrap();
        Self {
            url,
            key,
            provider,
            says,
        }
    }

    fn claims(&self, nonce: &str) -> Value {
        json!({ "iss": self.url, "sub": "usr_1", "aud": CLIENT, "nonce": nonce, "sid": "s1",
            "iat": at(0).seconds(), "exp": at(60).seconds() })
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        self.key.sign(typ, claims.to_string().as_bytes())
    }

    async fn begin(&self) -> Begun {
        self.provider.begin(&Asked::default()).await.unwrap().1
    }

    async fn finish(&self, begun: &Begun, id_token: String) -> Result<String, Failed> {
        *self.says.lock().unwrap() = id_token;
        let returned = Returned {
            code: "c",
            state: &begun.state,
            iss: Some(&self.url),
        };
        let finished = self.provider.finish(begun, &returned).await;
        let (_, identity) = finished?;
        assert_eq!(identity.issued, at(0));
        Ok(identity.subject)
    }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => {
            claims.as_object_mut().unwrap().remove(name);
        }
        value => claims[name] = value,
    }
    claims
}

#[tokio::test]
async fn an_id_token_that_answers_another_request_is_refused() {
    let issuer = Issuer::start().await;
    let begun = issuer.begin().await;
    let good = issuer.claims(&begun.nonce);
    let far = at(120).seconds();
    for (name, value) in [
        ("iss", json!("https://evil.example.com")),
        ("iss", Value::Null),
        ("sub", json!("")),
        ("sub", Value::Null),
        ("aud", json!("another")),
        ("aud", json!(["another"])),
        ("aud", Value::Null),
        ("azp", json!("another")),
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("exp", json!(at(-61).seconds())),
        ("exp", Value::Null),
        ("iat", json!(far)),
        ("iat", Value::Null),
    ] {
        let token = issuer.sign("JWT", &with(good.clone(), name, value.clone()));
        let refused = issuer.finish(&begun, token).await.unwrap_err();
        assert_eq!(refused, Failed::Token(name_of(name)), "{value}");
    }
    let several = with(good.clone(), "aud", json!([CLIENT, "another"]));
    let several = with(several, "azp", json!(CLIENT));
    let unsaid = with(several.clone(), "azp", Value::Null);
    let token = issuer.sign("JWT", &unsaid);
    let refused = issuer.finish(&begun, token).await.unwrap_err();
    assert_eq!(refused, Failed::Token("azp"));
    for claims in [good, several] {
        let token = issuer.sign("JWT", &claims);
        assert_eq!(issuer.finish(&begun, token).await.unwrap(), "usr_1");
    }
}

fn name_of(name: &str) -> &'static str {
    match name {
        "iss" => "iss",
        "sub" => "sub",
        "aud" => "aud",
        "azp" => "azp",
        "nonce" => "nonce",
        "exp" => "exp",
        _ => "iat",
    }
}

#[tokio::test]
async fn what_the_issuer_did_not_sign_for_this_is_no_id_token() {
    let issuer = Issuer::start().await;
    let begun = issuer.begin().await;
    let claims = issuer.claims(&begun.nonce);
    let whole = issuer.sign("JWT", &claims);
    let (head, _) = whole.rsplit_once('.').unwrap();
    let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let none = format!(
        "{}.{}.",
        encoded(r#"{"alg":"none"}"#),
        encoded(&claims.to_string())
    );
    let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let stranger = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
    for bad in [
        String::new(),
        format!("{head}."),
        format!("{head}.AAAA"),
        none,
        issuer.sign("at+jwt", &claims),
        issuer.sign("logout+jwt", &claims),
        stranger.sign("JWT", claims.to_string().as_bytes()),
    ] {
        assert!(issuer.finish(&begun, bad.clone()).await.is_err(), "{bad}");
    }
}

#[tokio::test]
async fn an_answer_of_another_issuer_or_sign_in_redeems_nothing() {
    let issuer = Issuer::start().await;
    let begun = issuer.begin().await;
    let other = issuer.begin().await;
    let check = async |state: &str, iss: Option<&str>| {
        issuer.provider.check_returned(&begun, state, iss).await
    };
    let own = Some(issuer.url.as_str());
    assert_eq!(check(&begun.state, own).await, Ok(()));
    assert_eq!(check(&other.state, own).await, Err(Failed::Mixed("state")));
    assert_eq!(check("", own).await, Err(Failed::Mixed("state")));
    let mixed = Err(Failed::Mixed("iss"));
    assert_eq!(check(&begun.state, None).await, mixed);
    let evil = Some("https://evil.example.com");
    assert_eq!(check(&begun.state, evil).await, mixed);
}

#[tokio::test]
async fn a_logout_token_says_who_has_gone_and_nothing_else_does() {
    let issuer = Issuer::start().await;
    let begun = issuer.begin().await;
    let good = json!({ "iss": issuer.url, "sub": "usr_1", "aud": CLIENT, "sid": "s1",
        "iat": at(0).seconds(), "exp": at(60).seconds(), "jti": "j", "events": { EVENT: {} } });
    let token = issuer.sign("logout+jwt", &good);
    let gone = issuer.provider.logged_out(&token).await.unwrap();
    assert_eq!(gone.session.as_deref(), Some("s1"));
    let nobody = with(with(good.clone(), "sub", Value::Null), "sid", Value::Null);
    let old = at(-1000).seconds();
    for bad in [
        with(good.clone(), "events", json!({ "other": {} })),
        with(good.clone(), "events", json!({ EVENT: "yes" })),
        with(good.clone(), "events", Value::Null),
        with(good.clone(), "nonce", json!("n")),
        with(good.clone(), "jti", Value::Null),
        with(good.clone(), "aud", json!("another")),
        with(good.clone(), "iat", json!(old)),
        nobody,
    ] {
        let token = issuer.sign("logout+jwt", &bad);
        assert!(issuer.provider.logged_out(&token).await.is_err(), "{bad}");
    }
    let id_token = issuer.sign("JWT", &issuer.claims(&begun.nonce));
    assert!(issuer.provider.logged_out(&id_token).await.is_err());
    let access = issuer.sign("at+jwt", &good);
    assert!(issuer.provider.logged_out(&access).await.is_err());
}

#[tokio::test]
async fn the_request_proves_that_who_comes_back_is_who_left() {
    let issuer = Issuer::start().await;
    let scopes = ["openid".to_owned(), "read".to_owned()];
    let resources = ["https://api.example.com".to_owned()];
    let asked = Asked {
        scopes: &scopes,
        resources: &resources,
        ..Asked::default()
    };
    let (address, begun) = issuer.provider.begin(&asked).await.unwrap();
    let pairs: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let one = |name: &str| {
        let mut all = pairs.iter().filter(|(own, _)| own == name);
        let value = all.next().unwrap().1.clone();
        assert!(all.next().is_none(), "{name}");
        value
    };
    assert_eq!(one("response_type"), "code");
    assert_eq!(one("code_challenge_method"), "S256");
    assert_eq!(one("state"), begun.state);
    assert_eq!(one("scope"), "openid read");
    assert_eq!(one("resource"), resources[0]);
    let challenge = symbolon_token::Digest::of(begun.verifier.as_bytes());
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge.as_bytes());
    assert_eq!(one("code_challenge"), challenge);
    assert_ne!(begun.verifier, begun.state);
    let (_, other) = issuer.provider.begin(&asked).await.unwrap();
    assert!(other.state != begun.state && other.verifier != begun.verifier);
}

#[tokio::test]
async fn an_issuer_that_is_away_decides_nothing() {
    // A port that nobody listens on, and that nobody else gets meanwhile.
    let nobody = tokio::net::TcpSocket::new_v4().unwrap();
    nobody.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    let own = Registration {
        issuer: url,
        client_id: CLIENT.into(),
        client_secret: Secret::from("secret"),
        redirect_uri: "https://shop.example.com/callback".into(),
        authorities: Vec::new(),
    };
    let (clock, entropy) = (FixedClock::new(), SeededEntropy::new(4));
    let provider = Provider::new(own, Arc::new(clock), Arc::new(entropy)).unwrap();
    let began = tokio::time::Instant::now();
    let failed = provider
        .refresh(&Secret::from("r"), None)
        .await
        .unwrap_err();
    assert!(failed.is_passing(), "{failed}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
