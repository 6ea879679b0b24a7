//! The real authorization server, in this process, with a folder of its own.

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
/// The secret of every client.
pub(crate) const SECRET: &str = "a secret that is long enough for anybody";

pub(crate) struct Issuer {
    pub(crate) url: String,
    running: Option<Running>,
    folder: PathBuf,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let loopback = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(loopback, loopback).await.unwrap();
        let url = format!("http://{}", listeners.public.local_addr().unwrap());
        let name = u64::from_be_bytes(random(&SystemEntropy));
        let folder = std::env::temp_dir().join(format!("symbolon-gateway-{name:016x}"));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("symbolon.toml");
        std::fs::write(&path, file(&url)).unwrap();
        let (config, _) = Config::load(&path, []).unwrap();
        let edge = Edge {
            clock: Arc::new(SystemClock::start()),
            entropy: Arc::new(SystemEntropy),
        };
        let running = launch(&config, listeners, edge).await.unwrap();
        Self {
            url,
            running: Some(running),
            folder,
        }
    }

    /// A token of the client `shop`.
    pub(crate) async fn token(&self, audience: &str, scope: &str) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", audience),
            ("scope", scope),
        ];
        let request = http().post(format!("{}/token", self.url));
        let request = request.basic_auth("shop", Some(SECRET)).form(&form);
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
id = "guard"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]
"#
    );
    for (identifier, more) in [
        (API, "token_format = \"jwt\""),
        (OPAQUE, "token_format = \"opaque\""),
        (SHORT, "access_token_lifetime = \"3s\""),
    ] {
        text += &format!(
            "[[resource]]\nidentifier = \"{identifier}\"\nscopes = [\"read\", \"write\"]\nintrospection_client = \"guard\"\n{more}\n"
        );
    }
    text
}
