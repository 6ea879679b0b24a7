//! What an issuer says of somebody who has gone, to a gateway whose clock is not
//! the issuer's. The issuer here says what it is told to.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use reqwest::Response;
use serde_json::{Value, json};
use symbolon_gateway::{Demand, Edge, Launch, Running};
use symbolon_protocol::SigningAlgorithm;
use symbolon_server::clock::SystemEntropy;
use symbolon_testkit::{FixedClock, at};
use symbolon_token::jose::SigningKey;

use crate::browser::{folder, store, with_browser};
use crate::issuer::http;
use crate::site::{route, settings};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

struct Issuer {
    url: String,
    key: SigningKey,
    /// What the token endpoint answers as `id_token`.
    says: Arc<Mutex<String>>,
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
        let says = Arc::new(Mutex::new(String::new()));
        let told = Arc::clone(&says);
        let answer = async move || {
            let id_token = told.lock().unwrap().clone();
            json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 600,
                "id_token": id_token })
            .to_string()
        };
        let metadata = get(async move || metadata.to_string());
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server", metadata)
            .route("/keys", get(async move || keys.to_string()))
            .route("/token", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, key, says }
    }

    /// A token of its own, from that many seconds after the start.
    fn token(&self, kind: &str, seconds: i64, more: &Value) -> String {
        let mut claims = json!({ "iss": self.url, "sub": "alice", "aud": "shop-web",
            "iat": at(seconds).seconds(), "exp": at(seconds + 900).seconds() });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.sign(kind, claims.to_string().as_bytes())
    }
}

struct Shop {
    issuer: Issuer,
    origin: String,
    folder: std::path::PathBuf,
    _running: Running,
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Shop {
    /// One whose clock stands that many seconds after the start.
    async fn at(seconds: i64) -> Self {
        let issuer = Issuer::start().await;
        let loopback = "127.0.0.1:0".parse().unwrap();
        let launch = Launch::bind(loopback, None).await.unwrap();
        let origin = format!("http://{}", launch.public.local_addr().unwrap());
        let folder = folder();
        let store = store(&folder).await;
        let own = settings(&issuer.url, loopback);
        let mut own = with_browser(own, &issuer.url, &origin, store);
        own.routes = vec![route("/public/{*rest}", Demand::Public)];
        let edge = Edge {
            clock: Arc::new(FixedClock::at(at(seconds))),
            entropy: Arc::new(SystemEntropy),
        };
        let running = launch.start(own, edge).unwrap();
        Self {
            issuer,
            origin,
            folder,
            _running: running,
        }
    }

    async fn get(&self, path: &str, cookie: &str) -> Response {
        let request = http().get(format!("{}{path}", self.origin));
        let request = request.header("cookie", cookie).header("x-csrf", "1");
        request.send().await.unwrap()
    }

    /// Signs alice in when the issuer's clock is at that second.
    async fn sign_in(&self, seconds: i64) -> String {
        let begun = self.get("/auth/sign-in", "").await;
        let there: url::Url = begun.headers()["location"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let asked = |name: &str| {
            let mut pairs = there.query_pairs();
            let found = pairs.find(|(own, _)| own == name);
            found.unwrap().1.into_owned()
        };
        let nonce = json!({ "nonce": asked("nonce") });
        *self.issuer.says.lock().unwrap() = self.issuer.token("JWT", seconds, &nonce);
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("code", "c")
            .append_pair("state", &asked("state"))
            .append_pair("iss", &self.issuer.url)
            .finish();
        let path = format!("/auth/callback?{query}");
        let back = self.get(&path, &cookie(&begun)).await;
        assert_eq!(back.status(), 303);
        cookie(&back)
    }

    /// Says that alice has gone, when the issuer's clock is at that second.
    async fn gone(&self, seconds: i64) {
        let more = json!({ "jti": "j", "events": { EVENT: {} } });
        let token = self.issuer.token("logout+jwt", seconds, &more);
        let request = http().post(format!("{}/auth/back-channel-logout", self.origin));
        let answer = request.form(&[("logout_token", token)]).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }

    async fn is_signed_in(&self, cookie: &str) -> bool {
        let answer = self.get("/auth/session", cookie).await;
        match answer.status().as_u16() {
            200 => true,
            401 => false,
            other => panic!("{other}"),
        }
    }
}

/// The cookies that are set, and not cleared.
fn cookie(answer: &Response) -> String {
    let lines = answer.headers().get_all("set-cookie").iter();
    let pairs = lines.map(|own| own.to_str().unwrap().split(';').next().unwrap());
    let set: Vec<&str> = pairs.filter(|own| !own.ends_with('=')).collect();
    set.join("; ")
}

#[tokio::test]
async fn who_has_gone_is_told_by_the_issuers_clock_alone() {
    for ahead in [-50, 0, 30, 100] {
        let shop = Shop::at(1_000 + ahead).await;
        let before = shop.sign_in(1_000).await;
        let after = shop.sign_in(1_004).await;
        assert!(shop.is_signed_in(&before).await && shop.is_signed_in(&after).await);

        shop.gone(1_002).await;

        assert!(!shop.is_signed_in(&before).await, "{ahead}: it was kept");
        assert!(shop.is_signed_in(&after).await, "{ahead}: it ended");
        shop.gone(1_004).await;
        assert!(
            !shop.is_signed_in(&after).await,
            "{ahead}: within the second"
        );
    }
}
