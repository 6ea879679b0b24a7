//! Encrypted assertions: to APIs that registered a key, and from partners that
//! encrypt to this server. The other side of each is xmlsec or pysaml2.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_token::Secret;
use symbolon_token::jose::SigningKey;
use symbolon_token::saml::Certificate;

use super::saml::{Directory, ENTITY, GRANT, assertion, explained, permitted, present};
use super::world::{Asked, STOCK, claims, client, now, urn};
use crate::harness::{Answer, ORDERS, Server};
use crate::on_both_engines;
use crate::peers::python;

const OAEP: &str = "http://www.w3.org/2009/xmlenc11#rsa-oaep";
const OLDER_OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const SWITCHED_ON: &str = "keys = { saml_decryption = true }\n";

on_both_engines! {
    an_assertion_is_encrypted_to_the_key_of_its_api
    an_encrypted_assertion_of_ours_is_carried_on_and_taken_back
    what_others_do_to_an_encrypted_assertion_of_ours_is_seen
    without_the_switch_nothing_can_be_encrypted_to_this_server
}

/// The key as other programs read it.
pub(super) fn pem(document: &Secret) -> String {
    let body = BASE64_STANDARD.encode(document.expose());
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(String::from_utf8_lossy)
        .collect();
    let lines = lines.join("\n");
    format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n")
}

fn xml(token: &str) -> String {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap()
}

fn token(xml: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(xml.as_str().unwrap())
}

/// Has an API register an RSA key; the answer is its private half.
async fn registered(server: &Server, enc: &str) -> Secret {
    let algorithm = SigningAlgorithm::Rs256;
    let document = SigningKey::generate(algorithm).unwrap();
    let pair = SigningKey::from_pkcs8(algorithm, &document).unwrap();
    let mut jwk = pair.bare_jwk().clone();
    jwk["use"] = "enc".into();
    let wanted = json!({
        "jwks": { "keys": [jwk] },
        "access_token_encrypted_response_alg": "RSA-OAEP-256",
        "access_token_encrypted_response_enc": enc,
    });
    let path = "/admin/v1/resources/https:%2F%2Fstock.example.com";
    let changed = server.admin(Method::PATCH, path, Some(wanted)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    document
}

async fn an_assertion_is_encrypted_to_the_key_of_its_api(server: Server) {
    permitted(&server).await;
    let certificate = server.get("/saml/certificates").await.body;
    for (enc, cipher) in [
        ("A128GCM", "xmlenc11#aes128-gcm"),
        ("A256GCM", "xmlenc11#aes256-gcm"),
        // Of this one XML has only a form without integrity.
        ("A256CBC-HS512", "xmlenc11#aes256-gcm"),
    ] {
        let key = registered(&server, enc).await;

        let (answer, subject) = assertion(&server).await;

        let text = xml(&answer.text("access_token"));
        let sub = claims(&subject)["sub"].as_str().unwrap().to_owned();
        assert!(
            text.starts_with("<saml:EncryptedAssertion"),
            "{enc}: {text}"
        );
        assert!(
            text.contains(cipher) && text.contains(OAEP),
            "{enc}: {text}"
        );
        assert!(!text.contains(&sub) && !text.contains("orders-api"));
        let given = json!({ "xml": text, "key": pem(&key), "certificate": certificate });
        let opened = python("saml_encryption.py", "open", given).await;
        assert_eq!(opened["subject"], sub, "{enc}");
    }
}

fn carried(text: &str) -> Asked {
    Asked::of("saml2", text).with("resource", STOCK)
}

/// Its reader alone has the private key, and yet it is a token of this server.
async fn an_encrypted_assertion_of_ours_is_carried_on_and_taken_back(server: Server) {
    permitted(&server).await;
    let key = registered(&server, "A256GCM").await;
    let certificate = server.get("/saml/certificates").await.body;
    let (answer, root) = assertion(&server).await;
    let mine = answer.text("access_token");
    let given = json!({ "xml": xml(&mine), "key": pem(&key), "certificate": certificate });
    let inside = token(&python("saml_encryption.py", "open", given).await["xml"]);
    let onward = |text: &str| carried(text).with("requested_token_type", &urn("saml2"));

    let again = onward(&mine).by(&server, "orders-api").await;
    let of_the_inside = onward(&inside).by(&server, "orders-api").await;

    assert_eq!(again.status, 200, "{}", again.body);
    assert_eq!(of_the_inside.status, 200, "{}", of_the_inside.body);
    assert!(xml(&again.text("access_token")).starts_with("<saml:EncryptedAssertion"));
    let told = explained(&server, &mine).await;
    assert_eq!(
        (&told["verdict"], &told["shown"]),
        (&json!("valid"), &json!("saml_assertion"))
    );
    let revoked = server
        .form("/revoke", "orders-api", &[("token", &mine)])
        .await;
    assert_eq!(revoked.status, 200);
    for text in [&mine, &inside, &again.text("access_token")] {
        let late = onward(text).by(&server, "orders-api").await;
        assert_eq!(
            late.refusal(),
            "invalid_request",
            "it died, and what came of it"
        );
    }
    assert!(server.is_active(&root).await, "what it was made of lives");
}

/// Attack: J270
async fn what_others_do_to_an_encrypted_assertion_of_ours_is_seen(server: Server) {
    permitted(&server).await;
    registered(&server, "A128GCM").await;
    let (answer, _) = assertion(&server).await;
    let mine = answer.text("access_token");
    let text = xml(&mine);
    let mut changes = Vec::new();
    for at in (0..text.len()).step_by(97) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        changes.push(String::from_utf8(bytes).unwrap());
    }
    changes.push(text.replace("><xenc:Enc", "> <xenc:Enc"));
    changes.push(text.replace("aes128-gcm", "aes256-gcm"));
    changes.push(text.replace("\" Type=", "\"  Type="));
    changes.push(format!("{text}\n"));
    for changed in &changes {
        assert_ne!(*changed, text);
        let bad = BASE64_URL_SAFE_NO_PAD.encode(changed);
        let answer = carried(&bad).by(&server, "orders-api").await;
        assert_eq!(answer.refusal(), "invalid_request", "{changed}");
    }
    let answer = carried(&mine).by(&server, "orders-api").await;
    assert_eq!(answer.status, 200, "the twin: {}", answer.body);
}

/// The certificates to which partners encrypt, the one in use first.
async fn handed_out(server: &Server) -> Vec<String> {
    let answer = server.get("/saml/encryption-certificates").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let all = Certificate::parse_all(&answer.body).unwrap();
    all.iter().map(Certificate::to_pem).collect()
}

/// What a partner signed, encrypted by xmlsec to a certificate.
async fn closed(signed: &str, certificate: &str, how: [&str; 2]) -> String {
    let [transport, cipher] = how;
    let bits = if cipher.contains("128") { 128 } else { 256 };
    let given = json!({
        "xml": xml(signed), "certificate": certificate, "transport": transport,
        "cipher": cipher, "bits": bits,
    });
    token(&python("saml_encryption.py", "close", given).await["xml"])
}

const GCM: &str = "http://www.w3.org/2009/xmlenc11#aes256-gcm";
const SHORT_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
const CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_partner_encrypts_is_opened_and_good_once() {
    let server = Server::on_sqlite_with(SWITCHED_ON).await;
    let directory = Directory::trusted(&server).await;
    let certificates = handed_out(&server).await;
    assert_eq!(certificates.len(), 2, "the one in use and the next");
    assert_eq!(
        handed_out(&server).await,
        certificates,
        "the same each time"
    );
    let ways = [[OAEP, GCM], [OAEP, SHORT_GCM], [OLDER_OAEP, GCM]];
    for (id, how) in (1..).zip(ways) {
        let signed = directory.sign(&directory.said(&server).numbered(id));
        let encrypted = closed(&signed, &certificates[0], how).await;

        let exchanged = Asked::of("saml2", &encrypted)
            .by(&server, "orders-api")
            .await;
        let granted = present(&server, "orders-api", &encrypted).await;

        assert_eq!(exchanged.status, 200, "{how:?}: {}", exchanged.body);
        assert_eq!(granted.status, 200, "{how:?}: {}", granted.body);
        let sub = &claims(&granted.text("access_token"))["sub"];
        assert_eq!(*sub, format!("ext_{ENTITY}|carol"));
        // Encrypted anew it is other bytes, and in the open too; the same all the same.
        let anew = closed(&signed, &certificates[1], how).await;
        for again in [&encrypted, &anew, &signed] {
            let answer = present(&server, "orders-api", again).await;
            assert_eq!(answer.refusal(), "invalid_grant");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pysaml2_encrypts_to_this_server() {
    let server = Server::on_sqlite_with(SWITCHED_ON).await;
    let directory = Directory::trusted(&server).await;
    let certificates = handed_out(&server).await;
    let given = json!({
        "issuer": ENTITY, "audience": server.name(),
        "recipient": format!("{}/token", server.name()), "subject": "carol",
        "key": directory.pem(), "certificate": directory.certificate.to_pem(),
        "algorithm": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        "now": now(&server), "encrypt_to": certificates[0],
    });

    let made = token(&python("saml_peer.py", "issue", given).await["xml"]);

    let answer = present(&server, "orders-api", &made).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let sub = &claims(&answer.text("access_token"))["sub"];
    assert_eq!(*sub, format!("ext_{ENTITY}#persistent|carol"));
}

async fn without_the_switch_nothing_can_be_encrypted_to_this_server(server: Server) {
    let directory = Directory::trusted(&server).await;
    let answer = server.get("/saml/encryption-certificates").await;
    assert_eq!(answer.refusal(), "invalid_request");
    let signed = directory.sign(&directory.said(&server));
    let stranger = SigningKey::generate(SigningAlgorithm::Rs256).unwrap();
    let (from, to) = (
        symbolon_protocol::Timestamp::EPOCH,
        symbolon_protocol::Timestamp::from_seconds(4_000_000_000),
    );
    let stranger = Certificate::for_encryption(&stranger, "x", from, to).unwrap();

    let encrypted = closed(&signed, &stranger.to_pem(), [OAEP, GCM]).await;

    let answer = present(&server, "orders-api", &encrypted).await;
    assert_eq!(answer.refusal(), "invalid_grant");
    let told = explained(&server, &encrypted).await;
    assert_eq!(told["root"], "cannot_decrypt");
    let repair = told["repair"].as_str().unwrap();
    assert!(repair.contains("/saml/encryption-certificates"), "{repair}");
    assert!(repair.contains("saml_decryption"), "{repair}");
}

/// Every answer is the same but for the request that it names.
fn shape(answer: &Answer) -> (u16, Value, Value) {
    let told = answer.json();
    (
        answer.status,
        told["error"].clone(),
        told["error_description"].clone(),
    )
}

/// Attack: J270
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_in_decryption_looks_alike() {
    let server = Server::on_sqlite_with(SWITCHED_ON).await;
    let directory = Directory::trusted(&server).await;
    let certificates = handed_out(&server).await;
    let signed = directory.sign(&directory.said(&server));
    let good = xml(&closed(&signed, &certificates[0], [OAEP, GCM]).await);
    let values: Vec<&str> = good.split("<xenc:CipherValue>").skip(1).collect();
    let [key, text] = [values[0], values[1]].map(|own| own.split('<').next().unwrap());
    let with = |own: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let plain: String = own.split_whitespace().collect();
        let mut bytes = BASE64_STANDARD.decode(plain).unwrap();
        change(&mut bytes);
        good.replace(own, &BASE64_STANDARD.encode(bytes))
    };
    let stranger = SigningKey::generate(SigningAlgorithm::Rs256).unwrap();
    let (from, to) = (
        symbolon_protocol::Timestamp::EPOCH,
        symbolon_protocol::Timestamp::from_seconds(4_000_000_000),
    );
    let stranger = Certificate::for_encryption(&stranger, "x", from, to).unwrap();
    let mut bad = vec![
        xml(&closed(&signed, &certificates[0], [OAEP, CBC]).await),
        xml(&closed(&signed, &certificates[0], [OLDER_OAEP, CBC]).await),
        xml(&closed(
            &signed,
            &certificates[0],
            ["http://www.w3.org/2001/04/xmlenc#rsa-1_5", GCM],
        )
        .await),
        xml(&closed(&signed, &stranger.to_pem(), [OAEP, GCM]).await),
        good.replace("aes256-gcm", "aes128-gcm"),
        good.replace("mgf1sha256", "mgf1sha1"),
        with(key, &|own| own.truncate(10)),
        with(text, &|own| own.truncate(20)),
        with(key, &|own| own.fill(0)),
        with(key, &|own| own.fill(0xff)),
    ];
    for at in [0, 1, 11, 12, 13, 200, 383] {
        bad.push(with(key, &|own| own[at] ^= 1));
        bad.push(with(text, &|own| own[at] ^= 0x80));
    }

    for text in &bad {
        assert_ne!(*text, good);
        let text = BASE64_URL_SAFE_NO_PAD.encode(text);
        let answer = present(&server, "orders-api", &text).await;
        let expected = (
            400,
            json!("invalid_grant"),
            json!("the assertion is not good"),
        );
        assert_eq!(shape(&answer), expected);
        let as_token = Asked::of("saml2", &text).by(&server, "orders-api").await;
        let expected = (
            400,
            json!("invalid_request"),
            json!("subject_token is not good"),
        );
        assert_eq!(shape(&as_token), expected);
        assert_eq!(explained(&server, &text).await["root"], "cannot_decrypt");
    }
    let good = BASE64_URL_SAFE_NO_PAD.encode(good);
    let answer = present(&server, "orders-api", &good).await;
    assert_eq!(answer.status, 200, "the twin: {}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_key_of_partners_is_replaced_and_the_old_one_opens_for_ninety_days() {
    let server = Server::on_sqlite_with(SWITCHED_ON).await;
    let directory = Directory::trusted(&server).await;
    let before = handed_out(&server).await;
    let own = "saml-decryption";
    let kid = async |state: &str| {
        let answer = server.admin(Method::GET, "/admin/v1/keys", None).await;
        let all = answer.json()["items"].as_array().unwrap().clone();
        let mut of = all.into_iter().filter(|key| key["purpose"] == own);
        let found = of.find(|key| key["state"] == state);
        found.map(|key| key["kid"].as_str().unwrap().to_owned())
    };
    let opens = async |id: u64, certificate: &str| {
        let signed = directory.sign(&directory.said(&server).numbered(id));
        let text = closed(&signed, certificate, [OAEP, GCM]).await;
        let answer = present(&server, "orders-api", &text).await;
        answer.status == 200
    };
    server.advance(71);
    let asked = json!({ "purpose": own });
    let path = "/admin/v1/keys:rotate";
    let done = server.admin(Method::POST, path, Some(asked)).await;
    assert_eq!(done.json()["items"][0]["rotated"], true, "{}", done.body);

    let after = handed_out(&server).await;

    assert_eq!((after.len(), &after[0]), (2, &before[1]));
    assert!(!after.contains(&before[0]));
    assert!(opens(1, &before[0]).await && opens(2, &after[0]).await && opens(3, &after[1]).await);
    let old = kid("retiring").await.unwrap();
    let path = format!("/admin/v1/keys/{old}/distrust");
    assert_eq!(server.admin(Method::POST, &path, None).await.status, 200);
    assert!(!opens(4, &before[0]).await, "somebody else may have it");
    assert!(opens(5, &after[0]).await);
    let stolen = kid("active").await.unwrap();
    let path = format!("/admin/v1/keys/{stolen}/distrust");
    assert_eq!(server.admin(Method::POST, &path, None).await.status, 200);
    assert!(!opens(6, &after[0]).await);
    assert_eq!(
        handed_out(&server).await[0],
        after[1],
        "the next takes its place"
    );
    let server = server.restart().await;
    assert_eq!(handed_out(&server).await[0], after[1], "and is kept");
}

/// Attack: J274
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_hand_out_one_key_and_take_an_assertion_once() {
    let server = Server::on_postgres_with(SWITCHED_ON).await;
    let directory = Directory::trusted(&server).await;
    let Some(other) = server.second_node().await else {
        return;
    };
    let certificates = handed_out(&server).await;
    assert_eq!(handed_out(&other).await, certificates);
    let policy = json!({ "grants": ["client_credentials", GRANT], "resources": [ORDERS],
        "scopes": ["read:orders"], "exchange": { "issuers": [ENTITY] } });
    client(&other, "orders-api", policy).await;
    let app = &server.running.as_ref().unwrap().app;
    app.catch_up().await.unwrap();
    let signed = directory.sign(&directory.said(&server));
    let one = closed(&signed, &certificates[0], [OAEP, GCM]).await;
    let two = closed(&signed, &certificates[1], [OAEP, GCM]).await;

    let first = present(&other, "orders-api", &one).await;

    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(
        present(&server, "orders-api", &two).await.refusal(),
        "invalid_grant"
    );
    assert_eq!(
        present(&other, "orders-api", &two).await.refusal(),
        "invalid_grant"
    );
    let fresh = directory.sign(&directory.said(&server).numbered(2));
    let fresh = closed(&fresh, &certificates[0], [OAEP, GCM]).await;
    assert_eq!(
        present(&server, "orders-api", &fresh).await.status,
        200,
        "the twin"
    );
}

/// Nobody who was not let in has this server use its key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_may_present_none_learns_nothing_of_the_inside() {
    let server = Server::on_sqlite_with(SWITCHED_ON).await;
    let directory = Directory::trusted(&server).await;
    let certificates = handed_out(&server).await;
    let signed = directory.sign(&directory.said(&server));
    let encrypted = closed(&signed, &certificates[0], [OAEP, GCM]).await;

    let answer = present(&server, "job", &encrypted).await;
    let as_token = Asked::of("saml2", &encrypted).by(&server, "web").await;
    let revoked = server
        .form("/revoke", "web", &[("token", &encrypted)])
        .await;

    assert_eq!(answer.refusal(), "unauthorized_client");
    assert_eq!(as_token.refusal(), "invalid_request");
    assert_eq!(revoked.status, 200, "it is none of ours");
    let introspected = server.introspect("orders-api", &encrypted).await;
    assert_eq!(introspected, json!({ "active": false }));
    let twin = present(&server, "orders-api", &encrypted).await;
    assert_eq!(twin.status, 200, "the twin: {}", twin.body);
}
