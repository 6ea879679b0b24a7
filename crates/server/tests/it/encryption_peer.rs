//! joserfc opens what this server encrypts, and what it encrypts is opened.
//!
//! Spec: RFC 7516
//! Spec: RFC 9068 §4

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::{ContentEncryption, KeyManagement};
use symbolon_testkit::Peer;
use symbolon_verify::{Algorithm, Requirement, Verifier};

use crate::browser::{Browser, request};
use crate::encryption::{client, resource};
use crate::harness::{ORDERS, SECRET, Server, read};

/// One client, one API and what they registered.
struct Reader<'a> {
    alg: KeyManagement,
    enc: ContentEncryption,
    pair: &'a Value,
    keys: &'a Value,
}

impl Reader<'_> {
    async fn register(&self, server: &Server) {
        let Self { alg, enc, .. } = self;
        let jwks = json!({ "keys": [self.pair["jwk"]] });
        let answers = json!({ "jwks": jwks,
            "id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc,
            "userinfo_encrypted_response_alg": alg, "userinfo_encrypted_response_enc": enc });
        client(server, "web", answers).await;
        let answers = json!({ "jwks": jwks, "introspection_encrypted_response_alg": alg,
            "introspection_encrypted_response_enc": enc });
        client(server, "orders-api", answers).await;
        let tokens = json!({ "jwks": jwks, "access_token_encrypted_response_alg": alg,
            "access_token_encrypted_response_enc": enc });
        resource(server, ORDERS, tokens).await;
    }

    /// What joserfc finds inside, once it has checked the signature.
    fn open(&self, peer: &mut Peer, token: &str, signed: &str) -> Value {
        peer.ask(
            &json!({ "do": "open", "token": token, "alg": self.alg, "enc": self.enc,
            "private": self.pair["private"], "keys": self.keys, "signed": [signed] }),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joserfc_opens_every_answer_and_is_opened() {
    let server = Server::on_sqlite().await;
    let mut peer = Peer::start("jwe_peer.py");
    let keys = server.get("/.well-known/jwks.json").await.json();
    for (alg, enc) in KeyManagement::ALL.iter().zip(ContentEncryption::ALL) {
        let pair = peer.ask(&json!({ "do": "generate", "alg": alg }));
        let reader = Reader {
            alg: *alg,
            enc: *enc,
            pair: &pair,
            keys: &keys,
        };
        reader.register(&server).await;
        let tokens = Browser::new(&server).tokens("alice", &request()).await;
        let access = tokens.text("access_token");
        let userinfo = server.userinfo(&access).await.body;
        let asked = server
            .request(Method::POST, "/introspect")
            .basic_auth("orders-api", Some(SECRET))
            .form(&[("token", &access)]);
        let introspection = read(asked.send().await.unwrap()).await.body;

        let id_token = reader.open(&mut peer, &tokens.text("id_token"), "RS256");
        let userinfo = reader.open(&mut peer, &userinfo, "RS256");
        let introspection = reader.open(&mut peer, &introspection, "RS256");
        let inner = reader.open(&mut peer, &access, "ES256");

        for opened in [&id_token, &userinfo, &introspection, &inner] {
            assert_eq!(opened["cty"], "JWT", "{alg} {enc}");
        }
        assert_eq!(id_token["claims"]["nonce"], "the nonce");
        assert_eq!(userinfo["claims"]["sub"], id_token["claims"]["sub"]);
        assert_eq!(
            introspection["claims"]["token_introspection"]["active"],
            true
        );
        assert_eq!(
            (&inner["typ"], &inner["claims"]["aud"]),
            (&json!("at+jwt"), &json!(ORDERS))
        );
        let theirs = peer.ask(&json!({ "do": "encrypt", "alg": alg, "enc": enc,
            "plain": inner["inner"], "key": pair["jwk"] }));
        let verifier = Verifier::new(&server.name(), ORDERS, [Algorithm::Es256]).unwrap();
        let verifier = verifier
            .with_clock(Arc::clone(&server.clock) as _)
            .decrypt_with(pair["private"].to_string())
            .unwrap();
        let needed = Requirement::all(["read:orders"]);
        let needed = needed.revocation(symbolon_verify::Revocation::AtExpiry);
        for token in [&*access, theirs["token"].as_str().unwrap()] {
            let principal = verifier.check(token, &needed).await.unwrap();
            assert_eq!(principal.client(), "web", "{alg} {enc}");
        }
    }
}
