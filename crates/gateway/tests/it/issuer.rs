//! The real authorization server, in this process, with a folder of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use symbolon_server::app::Edge;
use symbolon_server::clock::{SystemClock, SystemEntropy};
use symbolon_server::config::Config;
use symbolon_server::launch::{Listeners, Running, launch};
use symbolon_token::random;

/// An API whose tokens are JWTs.
pub(crate) const API: &str = "https://api.example";
/// An API whose tokens are opaque.
pub(crate) const OPAQUE: &str = "https://opaque.example";
/// An API whose tokens live three seconds.
pub(crate) const SHORT: &str = "https://short.example";
/// An API whose tokens live twelve.
pub(crate) const BRIEF: &str = "https://brief.example";
/// The secret of every client.
pub(crate) const SECRET: &str = "a secret that is long enough for anybody";

pub(crate) struct Issuer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    #[cfg_attr(
        not(feature = "cedar"),
        expect(dead_code, reason = "for tests of policies")
    )]
    admin: String,
    running: Option<Running>,
    folder: PathBuf,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        Self::behind(None).await
    }

    /// One that is reached at another address than its own, where one is given.
    pub(crate) async fn behind(front: Option<SocketAddr>) -> Self {
        Self::with(front, "").await
    }

    /// The same with more in its configuration.
    pub(crate) async fn with(front: Option<SocketAddr>, more: &str) -> Self {
        let loopback = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(loopback, loopback).await.unwrap();
        let address = listeners.public.local_addr().unwrap();
        let url = format!("http://{}", front.unwrap_or(address));
        let admin = format!("http://{}", listeners.admin.local_addr().unwrap());
        let name = u64::from_be_bytes(random(&SystemEntropy));
        let folder = std::env::temp_dir().join(format!("symbolon-gateway-{name:016x}"));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("symbolon.toml");
        std::fs::write(&path, file(&url) + more).unwrap();
        let (config, _) = Config::load(&path, []).unwrap();
        let edge = Edge {
            clock: Arc::new(SystemClock::start()),
            entropy: Arc::new(SystemEntropy),
        };
        let running = launch(&config, listeners, edge).await.unwrap();
        Self {
            address,
            url,
            admin,
            running: Some(running),
            folder,
        }
    }

    /// A token of the client `shop`.
    pub(crate) async fn token(&self, audience: &str, scope: &str) -> String {
        self.token_of("shop", audience, scope).await
    }

    /// A token of another client.
    pub(crate) async fn token_of(&self, client: &str, audience: &str, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", audience),
            ("scope", scope),
        ];
        let request = http().post(format!("{}/token", self.url));
        let request = request.basic_auth(client, Some(SECRET)).form(&form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        match answer["access_token"].as_str() {
            Some(token) => token.to_owned(),
            None => panic!("no token: {answer}"),
        }
    }

    /// Takes a token back.
    pub(crate) async fn revoke(&self, token: &str) {
        let request = http().post(format!("{}/revoke", self.url));
        let request = request.basic_auth("shop", Some(SECRET));
        let answer = request.form(&[("token", token)]).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Where it is administered, and what is shown there.
    #[cfg(feature = "cedar")]
    pub(crate) fn administration(&self) -> (String, String) {
        let bearer = std::fs::read_to_string(self.folder.join("admin.token")).unwrap();
        (self.admin.clone(), bearer.trim().to_owned())
    }

    /// Takes back all that a client has.
    #[cfg(feature = "cedar")]
    pub(crate) async fn revoke_client(&self, client: &str) {
        let (url, bearer) = self.administration();
        let request = http().post(format!("{url}/admin/v1/revoke"));
        let request = request
            .bearer_auth(bearer)
            .json(&serde_json::json!({ "client": client }));
        assert_eq!(request.send().await.unwrap().status(), 204);
    }

    /// Goes away.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A client that goes where it is told and nowhere else.
#[expect(clippy::disallowed_methods, reason = "calls on loopback")]
pub(crate) fn http() -> reqwest::Client {
    let client = reqwest::Client::builder();
    let client = client
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

fn file(issuer: &str) -> String {
    let mut text = format!(
        r#"issuer = "{issuer}"
[store]
url = "sqlite://symbolon.db"
master_key_file = "master.key"
[admin]
token_file = "admin.token"
[[client]]
id = "shop"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]
scopes = ["read", "write"]
resources = ["{API}", "{OPAQUE}", "{SHORT}"]
[[client]]
id = "rival"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]
scopes = ["read"]
resources = ["{API}"]
[[client]]
id = "guard"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]
"#
    );
    for (identifier, more) in [
        (
            API,
            "token_format = \"jwt\"\naccess_token_lifetime = \"1h\"",
        ),
        (OPAQUE, "token_format = \"opaque\""),
        (SHORT, "access_token_lifetime = \"3s\""),
        (BRIEF, "access_token_lifetime = \"12s\""),
    ] {
        text += &format!(
            "[[resource]]\nidentifier = \"{identifier}\"\nscopes = [\"read\", \"write\"]\nintrospection_client = \"guard\"\n{more}\n"
        );
    }
    text
}
