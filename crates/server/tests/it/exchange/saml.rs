//! SAML assertions: asked for, exchanged, and presented as grants.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::{Issuer, SigningAlgorithm, Timestamp};
use symbolon_testkit::SeededEntropy;
use symbolon_token::jose::SigningKey;
use symbolon_token::jwt::Written;
use symbolon_token::saml::{Certificate, Expected, NameFormat, Rendering, Trusted, mint, open};
use symbolon_token::{Authority, Binding, Granted, Id, Keyring, Position, Secret, Slot, Subject};

use super::world::{
    Asked, EXCHANGE, SAFE, STOCK, claims, client, furnish, now, own_token, signed_in, urn,
};
use crate::browser::{Browser, request};
use crate::harness::{Answer, ORDERS, Server, VAULT};
use crate::on_both_engines;

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:saml2-bearer";
pub(super) const ENTITY: &str = "https://idp.partner.example";

on_both_engines! {
    a_token_becomes_an_assertion_that_others_check_by_our_certificate
    an_assertion_of_ours_is_a_subject_token_and_dies_with_its_root
    an_assertion_for_a_sector_is_a_subject_token_too
    an_assertion_of_ours_is_taken_back_by_itself
    a_name_that_is_not_for_here_is_refused
    names_of_different_formats_are_different_people
    an_assertion_that_was_a_grant_is_no_token_any_more
    no_assertion_is_made_where_the_holder_may_not_read
    a_partners_assertion_is_good_once_on_every_node
    a_partners_assertion_gives_what_its_issuer_is_registered_for
    an_assertion_that_is_not_good_is_refused
    every_broken_assertion_is_explained_by_one_cause
    a_partners_assertion_is_exchanged_and_distrusted
    certificates_are_checked_when_they_are_configured
    the_metadata_names_the_grant
}

pub(super) async fn permitted(server: &Server) {
    furnish(server).await;
    may_carry_on(server).await;
}

/// Lets `orders-api` carry on what it was shown.
async fn may_carry_on(server: &Server) {
    let policy = json!({
        "exchange": {
            "from": [ORDERS], "to": [STOCK, SAFE],
            "accepts": ["access_token", "saml2"], "issues": ["access_token", "saml2"],
        },
    });
    client(server, "orders-api", policy).await;
}

/// What `alice` let `web` do, as an assertion for `orders-api` to carry on.
pub(super) async fn assertion(server: &Server) -> (Answer, String) {
    let subject = signed_in(server, "alice").await;
    let actor = own_token(server, "orders-api").await;
    let answer = Asked::of("access_token", &subject.text("access_token"))
        .acting("access_token", &actor)
        .with("requested_token_type", &urn("saml2"))
        .with("resource", STOCK)
        .by(server, "orders-api")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (answer, subject.text("access_token"))
}

async fn a_token_becomes_an_assertion_that_others_check_by_our_certificate(server: Server) {
    permitted(&server).await;
    let before = server.commits();

    let (answer, subject) = assertion(&server).await;

    assert!(server.commits() > before, "the sign-in");
    assert_eq!(answer.text("token_type"), "N_A");
    assert_eq!(answer.text("issued_token_type"), urn("saml2"));
    assert_eq!(answer.json().get("refresh_token"), None);
    let published = server.get("/saml/certificates").await;
    assert_eq!(
        published.header("content-type"),
        Some("application/pem-certificate-chain")
    );
    assert_eq!(
        server.get("/saml/certificates").await.body,
        published.body,
        "the same each time"
    );
    let certificates = Certificate::parse_all(&published.body).unwrap();
    let trusted = Trusted::by_certificates(&server.name(), &certificates).unwrap();
    let expected = Expected {
        audiences: &[STOCK],
        recipients: &[STOCK],
        in_response_to: None,
        longest: std::time::Duration::from_secs(3600),
        skew: std::time::Duration::ZERO,
        now: Timestamp::from_seconds(now(&server)),
    };
    let read = open(&answer.text("access_token"), &[], &[trusted], &expected).unwrap();
    let (own, was) = (read.claims(), claims(&subject));
    assert_eq!(own["sub"], was["sub"]);
    assert_eq!(
        (&own["client_id"], &own["scope"]),
        (&json!("orders-api"), &json!("read:orders"))
    );
    assert_eq!(own["act"], json!({ "sub": "orders-api" }));
    assert!(own["exp"].as_i64() <= was["exp"].as_i64());
    let told = server
        .introspect("vault-api", &answer.text("access_token"))
        .await;
    assert_eq!(told, json!({ "active": false }), "it is no access token");
}

/// A client with pairwise subjects knows person and session by other names.
async fn an_assertion_for_a_sector_is_a_subject_token_too(server: Server) {
    furnish(&server).await;
    let policy = json!({
        "subject_type": "pairwise",
        "exchange": {
            "accepts": ["access_token", "saml2"], "issues": ["access_token", "saml2"],
            "from": [VAULT], "to": [ORDERS],
        },
    });
    client(&server, "web", policy).await;
    let taken = json!({
        "exchange_from": ["web"],
        "scopes": ["read:orders", "write:orders", "delete:orders", "read:vault"],
    });
    let orders = "/admin/v1/resources/https:%2F%2Forders.example.com";
    let changed = server.admin(Method::PATCH, orders, Some(taken)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let mut asked = request();
    asked.insert("scope".into(), "openid read:vault".into());
    asked.insert("resource".into(), VAULT.into());
    let mut browser = Browser::new(&server);
    // An opaque token has the session itself; a JWT only a name of it.
    let root = browser.tokens("alice", &asked).await.text("access_token");
    assert!(root.starts_with("sym_at_"));

    let readable = Asked::of("access_token", &root).with("requested_token_type", &urn("saml2"));
    let there = readable.by(&server, "web").await;
    assert_eq!(
        there.refusal(),
        "invalid_target",
        "whoever holds a token of that API may not read it"
    );
    let assertion = readable
        .with("resource", ORDERS)
        .token(&server, "web")
        .await;
    let back = Asked::of("saml2", &assertion);
    let token = back.token(&server, "web").await;

    assert!(server.is_active(&token).await);
    let revoke = json!({ "subject": "alice" });
    let path = "/admin/v1/revoke";
    let done = server.admin(Method::POST, path, Some(revoke)).await;
    assert!(done.status < 300, "{}", done.body);
    assert!(!server.is_active(&token).await, "it ends with the person's");
    assert_eq!(back.by(&server, "web").await.refusal(), "invalid_request");
}

async fn an_assertion_of_ours_is_a_subject_token_and_dies_with_its_root(server: Server) {
    permitted(&server).await;
    let (answer, root) = assertion(&server).await;
    let token = answer.text("access_token");
    let asked = || Asked::of("saml2", &token).with("resource", STOCK);

    let narrower = asked().by(&server, "orders-api").await;

    assert_eq!(narrower.status, 200, "{}", narrower.body);
    let is = claims(&narrower.text("access_token"));
    assert_eq!(
        (&is["sub"], &is["aud"]),
        (&claims(&root)["sub"], &json!(STOCK))
    );
    assert_eq!(is["act"], json!({ "sub": "orders-api" }));
    let wider = asked()
        .with("scope", "read:orders delete:orders")
        .by(&server, "orders-api")
        .await;
    assert_eq!(wider.refusal(), "invalid_scope");
    let foreign = asked().by(&server, "web").await;
    assert_eq!(
        foreign.refusal(),
        "invalid_request",
        "its policy does not name the kind"
    );
    let revoked = server.form("/revoke", "web", &[("token", &root)]).await;
    assert_eq!(revoked.status, 200);
    let late = asked().by(&server, "orders-api").await;
    assert_eq!((late.status, &*late.refusal()), (400, "invalid_request"));
    assert!(!server.is_active(&narrower.text("access_token")).await);
}

/// A directory of a partner that signs assertions.
pub(super) struct Directory {
    key: SigningKey,
    document: Secret,
    pub(super) certificate: Certificate,
}

/// What an assertion of a partner says.
pub(super) struct Said<'a> {
    id: u64,
    subject: &'static str,
    format: NameFormat,
    qualifiers: [Option<&'a str>; 2],
    issuer: &'static str,
    audience: String,
    recipient: String,
    issued: i64,
    expires: i64,
}

impl Said<'_> {
    /// The same under another ID.
    pub(super) fn numbered(self, id: u64) -> Self {
        Self { id, ..self }
    }
}

impl Directory {
    fn new() -> Self {
        let document = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).unwrap();
        let (begins, ends) = (Timestamp::EPOCH, Timestamp::from_seconds(4_000_000_000));
        let certificate = Certificate::self_signed(&key, "idp", begins, ends).unwrap();
        Self {
            key,
            document,
            certificate,
        }
    }

    /// A directory that the server trusts and `orders-api` may use.
    pub(super) async fn trusted(server: &Server) -> Self {
        furnish(server).await;
        let own = Self::new();
        assert_eq!(
            own.register(server, &own.certificate.to_pem()).await.status,
            201
        );
        let policy = json!({
            "grants": ["client_credentials", EXCHANGE, GRANT],
            "exchange": { "issuers": [ENTITY], "accepts": ["saml2"] },
        });
        client(server, "orders-api", policy).await;
        own
    }

    async fn register(&self, server: &Server, pem: &str) -> Answer {
        let document = json!({
            "issuer": ENTITY, "saml_certificate": pem,
            "resource": ORDERS, "organization": "acme", "scopes": ["read:orders"],
        });
        server
            .admin(Method::POST, "/admin/v1/trusted-issuers", Some(document))
            .await
    }

    /// The key as other programs read it.
    pub(super) fn pem(&self) -> String {
        super::saml_encrypted::pem(&self.document)
    }

    pub(super) fn said(&self, server: &Server) -> Said<'static> {
        Said {
            id: 1,
            subject: "carol",
            format: NameFormat::Unspecified,
            qualifiers: [None; 2],
            issuer: ENTITY,
            audience: server.name(),
            recipient: format!("{}/token", server.name()),
            issued: now(server),
            expires: now(server) + 300,
        }
    }

    pub(super) fn sign(&self, said: &Said<'_>) -> String {
        let issuer: Issuer = said.issuer.parse().unwrap();
        let slot = Slot::of_client(&"idp".parse().unwrap());
        let keys = Keyring::new(Keyring::generate(&SeededEntropy::new(1), Vec::new())).unwrap();
        let written = Written {
            sector: None,
            issuer: &issuer,
            subject: said.subject,
            token: Id::new(slot, &SeededEntropy::new(said.id)),
            issued: Timestamp::from_seconds(said.issued),
            blinding: keys.blinding(),
            claims: &serde_json::Map::new(),
        };
        let rendering = Rendering {
            format: said.format,
            qualifiers: said.qualifiers,
            recipient: &said.recipient,
            in_response_to: None,
            session_index: None,
            attributes: &[],
            certificate: Some(&self.certificate),
            encrypt_to: None,
        };
        let authority = Authority::granted(Granted {
            agreement: symbolon_protocol::Agreement::default(),
            subject: Subject::Client("idp".parse().unwrap()),
            client: "idp".parse().unwrap(),
            audiences: vec![said.audience.parse().unwrap()],
            // Whatever the partner says in our words means nothing here.
            scopes: "delete:orders".parse().unwrap(),
            expires: Timestamp::from_seconds(said.expires),
            organization: Some("umbrella".parse().unwrap()),
            roles: vec!["admin".to_owned()],
            grant: None,
            family: None,
            session: None,
            authentication: None,
            binding: Binding::NONE,
            actors: Vec::new(),
            may_act: None,
            lineage: Vec::new(),
            position: Position::default(),
        });
        mint(&self.key, &written, &rendering, &authority).unwrap()
    }
}

pub(super) async fn present(server: &Server, client: &str, assertion: &str) -> Answer {
    server
        .token(client, &[("grant_type", GRANT), ("assertion", assertion)])
        .await
}

/// Attack: J274
async fn a_partners_assertion_is_good_once_on_every_node(server: Server) {
    let directory = Directory::trusted(&server).await;
    let said = directory.said(&server);
    let token = directory.sign(&said);
    let before = server.commits();

    let first = present(&server, "orders-api", &token).await;

    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(server.commits() - before, 1, "its id, and nothing else");
    assert_eq!(first.json().get("issued_token_type"), None);
    assert_eq!(
        present(&server, "orders-api", &token).await.refusal(),
        "invalid_grant"
    );
    // Signed anew, so other bytes: the same assertion all the same.
    let again = directory.sign(&said);
    assert_ne!(again, token);
    assert_eq!(
        present(&server, "orders-api", &again).await.refusal(),
        "invalid_grant"
    );
    // A node that starts applies the blocks of its file again.
    let policy = json!({ "grants": ["client_credentials", GRANT], "resources": [ORDERS],
        "scopes": ["read:orders"], "exchange": { "issuers": [ENTITY] } });
    if let Some(other) = server.second_node().await {
        client(&other, "orders-api", policy.clone()).await;
        assert_eq!(
            present(&other, "orders-api", &token).await.refusal(),
            "invalid_grant"
        );
    }
    let server = server.restart().await;
    client(&server, "orders-api", policy).await;
    assert_eq!(
        present(&server, "orders-api", &token).await.refusal(),
        "invalid_grant"
    );
    let next = directory.sign(&Said {
        id: 2,
        ..directory.said(&server)
    });
    assert_eq!(
        present(&server, "orders-api", &next).await.status,
        200,
        "the twin"
    );
}

async fn a_partners_assertion_gives_what_its_issuer_is_registered_for(server: Server) {
    let directory = Directory::trusted(&server).await;
    let token = directory.sign(&directory.said(&server));
    let ask = |more: &'static [(&'static str, &'static str)], token: String| {
        let server = &server;
        async move {
            let form = [&[("grant_type", GRANT), ("assertion", &token)], more].concat();
            server.token("orders-api", &form).await
        }
    };

    assert_eq!(
        ask(&[("scope", "delete:orders")], token.clone())
            .await
            .refusal(),
        "invalid_scope"
    );
    assert_eq!(
        ask(&[("resource", VAULT)], token.clone()).await.refusal(),
        "invalid_target"
    );
    let answer = ask(&[], token).await;

    let is = claims(&answer.text("access_token"));
    assert_eq!(is["sub"], format!("ext_{ENTITY}|carol"));
    assert_eq!(
        (&is["aud"], &is["scope"]),
        (&json!(ORDERS), &json!("read:orders"))
    );
    assert_eq!(
        (&is["organization"], is.get("roles")),
        (&json!("acme"), None)
    );
    assert!(is["exp"].as_i64().unwrap() <= now(&server) + 300);
}

#[expect(
    clippy::too_many_lines,
    reason = "a table of bad assertions, one after the other"
)]
async fn an_assertion_that_is_not_good_is_refused(server: Server) {
    let directory = Directory::trusted(&server).await;
    let stranger = Directory::new();
    let good = || directory.said(&server);
    let time = now(&server);
    let response = |token: &str| {
        let xml = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
        BASE64_URL_SAFE_NO_PAD.encode(format!("<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\">{xml}</samlp:Response>"))
    };
    let signed = directory.sign(&good());
    let mut changed = signed.clone().into_bytes();
    changed[2_000] = if changed[2_000] == b'A' { b'B' } else { b'A' };
    let bad = [
        directory.sign(&Said {
            audience: VAULT.to_owned(),
            ..good()
        }),
        directory.sign(&Said {
            recipient: server.name(),
            ..good()
        }),
        directory.sign(&Said {
            recipient: "https://sp.example/acs".to_owned(),
            ..good()
        }),
        directory.sign(&Said {
            issuer: "https://other.example",
            ..good()
        }),
        directory.sign(&Said {
            issued: time + 60,
            ..good()
        }),
        directory.sign(&Said {
            issued: time - 900,
            expires: time - 60,
            ..good()
        }),
        directory.sign(&Said {
            expires: time + 86_400,
            ..good()
        }),
        directory
            .sign(&Said {
                subject: "a|b\u{200b}",
                ..good()
            })
            .replace('A', "!"),
        stranger.sign(&good()),
        String::from_utf8(changed).unwrap(),
        response(&signed),
        "PHNhbWw-".to_owned(),
    ];
    for (number, token) in bad.iter().enumerate() {
        let answer = present(&server, "orders-api", token).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (400, "invalid_grant"),
            "case {number}"
        );
    }
    let missing = server.token("orders-api", &[("grant_type", GRANT)]).await;
    assert_eq!(missing.refusal(), "invalid_request");
    assert_eq!(
        present(&server, "job", &signed).await.refusal(),
        "unauthorized_client"
    );
    let unnamed = json!({ "exchange": { "issuers": [] } });
    client(&server, "orders-api", unnamed).await;
    assert_eq!(
        present(&server, "orders-api", &signed).await.refusal(),
        "invalid_grant"
    );
    let named = json!({ "exchange": { "issuers": [ENTITY] } });
    client(&server, "orders-api", named).await;
    assert_eq!(
        present(&server, "orders-api", &signed).await.status,
        200,
        "the twin"
    );
}

async fn a_partners_assertion_is_exchanged_and_distrusted(server: Server) {
    let directory = Directory::trusted(&server).await;
    let token = directory.sign(&directory.said(&server));
    let asked = Asked::of("saml2", &token);

    let answer = asked.by(&server, "orders-api").await;

    assert_eq!(answer.status, 200, "{}", answer.body);
    let made = answer.text("access_token");
    assert_eq!(claims(&made)["sub"], format!("ext_{ENTITY}|carol"));
    assert!(server.is_active(&made).await);
    let as_jwt = Asked::of("jwt", &token).by(&server, "orders-api").await;
    assert_eq!(as_jwt.refusal(), "invalid_request", "each kind by its name");
    let path = "/admin/v1/trusted-issuers/https%3A%2F%2Fidp.partner.example/distrust";
    assert_eq!(server.admin(Method::POST, path, None).await.status, 200);
    assert_eq!(
        asked.by(&server, "orders-api").await.refusal(),
        "invalid_request"
    );
    assert_eq!(
        present(&server, "orders-api", &token).await.refusal(),
        "invalid_grant"
    );
    assert!(
        !server.is_active(&made).await,
        "what came of it died with the trust"
    );
}

async fn certificates_are_checked_when_they_are_configured(server: Server) {
    furnish(&server).await;
    let directory = Directory::new();
    let pem = directory.certificate.to_pem();
    for bad in ["", "x", &pem[..pem.len() / 2], &pem.repeat(9)] {
        let answer = directory.register(&server, bad).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(answer.body.contains("saml_certificate"), "{}", answer.body);
    }
    let nothing = json!({ "issuer": ENTITY, "resource": ORDERS });
    let answer = server
        .admin(Method::POST, "/admin/v1/trusted-issuers", Some(nothing))
        .await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(
        directory.register(&server, &pem.repeat(2)).await.status,
        201,
        "the twin"
    );
}

async fn the_metadata_names_the_grant(server: Server) {
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    let grants = metadata["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&Value::from(GRANT)));
}

/// The XML of an assertion with something changed in it.
fn rewritten(token: &str, change: impl FnOnce(String) -> String) -> String {
    let xml = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
    BASE64_URL_SAFE_NO_PAD.encode(change(xml))
}

/// What an administrator is told of an assertion.
pub(super) async fn explained(server: &Server, token: &str) -> Value {
    let path = "/admin/v1/tokens:explain";
    let question = Some(json!({ "token": token }));
    let told = server.admin(Method::POST, path, question).await;
    assert_eq!(told.status, 200, "{}", told.body);
    told.json()
}

/// Attack: J249
/// Attack: J258
/// Attack: J273
#[expect(clippy::too_many_lines, reason = "a table: one case after another")]
async fn every_broken_assertion_is_explained_by_one_cause(server: Server) {
    let directory = Directory::trusted(&server).await;
    let stranger = Directory::new();
    let good = || directory.said(&server);
    let signed = directory.sign(&good());
    let time = now(&server);
    let said = |said: Said| directory.sign(&said);
    let cases = [
        (
            "document_type",
            "signature",
            rewritten(&signed, |xml| format!("<!DOCTYPE x>{xml}")),
        ),
        (
            "signature_mismatch",
            "signature",
            rewritten(&signed, |xml| xml.replace("carol", "admin")),
        ),
        (
            "not_an_assertion",
            "signature",
            rewritten(&signed, |xml| {
                format!("<r xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{xml}</r>")
            }),
        ),
        ("signature_mismatch", "signature", stranger.sign(&good())),
        (
            "wrong_issuer",
            "issuer",
            said(Said {
                issuer: "https://other.example",
                ..good()
            }),
        ),
        (
            "expired",
            "expiry",
            said(Said {
                issued: time - 900,
                expires: time - 60,
                ..good()
            }),
        ),
        (
            "not_yet_valid",
            "expiry",
            said(Said {
                issued: time + 60,
                ..good()
            }),
        ),
        (
            "lives_too_long",
            "expiry",
            said(Said {
                expires: time + 86_400,
                ..good()
            }),
        ),
        (
            "wrong_audience",
            "audience",
            said(Said {
                audience: VAULT.to_owned(),
                ..good()
            }),
        ),
        (
            "name_not_for_here",
            "audience",
            said(Said {
                format: NameFormat::Transient,
                ..good()
            }),
        ),
        (
            "wrong_recipient",
            "audience",
            said(Said {
                recipient: "https://sp.example/acs".to_owned(),
                ..good()
            }),
        ),
    ];
    for (root, check, token) in &cases {
        let told = explained(&server, token).await;

        assert_eq!(told["root"], *root, "{told}");
        assert_eq!(told["shown"], "saml_assertion", "{root}");
        let steps = told["checks"].as_array().unwrap();
        let failed: Vec<_> = steps
            .iter()
            .filter(|own| own["outcome"] == "failed")
            .collect();
        assert_eq!(
            failed,
            [&json!({ "check": check, "outcome": "failed" })],
            "{root}"
        );
        assert!(!told["repair"].as_str().unwrap().is_empty(), "{root}");
        assert!(!told.to_string().contains(token.as_str()), "{root}");
    }
    assert_eq!(
        explained(&server, &signed).await["verdict"],
        "valid",
        "the twin"
    );
    may_carry_on(&server).await;
    let (own, _) = assertion(&server).await;
    let own = own.text("access_token");
    assert_eq!(explained(&server, &own).await["verdict"], "valid");
    server.advance(3600);
    assert_eq!(explained(&server, &own).await["root"], "expired");
}

/// Given to `/revoke`, as any other token of this server is (RFC 7009 §2.1).
async fn an_assertion_of_ours_is_taken_back_by_itself(server: Server) {
    permitted(&server).await;
    let (answer, root) = assertion(&server).await;
    let (other, _) = assertion(&server).await;
    let [mine, kept] = [answer, other].map(|answer| answer.text("access_token"));
    let onward = async |text: &str| {
        let asked = Asked::of("saml2", text).with("requested_token_type", &urn("access_token"));
        asked.by(&server, "orders-api").await
    };
    let derived = onward(&mine).await.text("access_token");
    let elsewhere = server.form("/revoke", "web", &[("token", &mine)]).await;
    assert_eq!(
        elsewhere.refusal(),
        "invalid_grant",
        "it was issued to another client"
    );
    assert_eq!(onward(&mine).await.status, 200);

    let revoked = server
        .form("/revoke", "orders-api", &[("token", &mine)])
        .await;

    assert_eq!(revoked.status, 200);
    assert_eq!(onward(&mine).await.refusal(), "invalid_request");
    assert!(
        !server.is_active(&derived).await,
        "what came of it died with it"
    );
    let told = json!({ "token": mine });
    let path = "/admin/v1/tokens:explain";
    let told = server.admin(Method::POST, path, Some(told)).await.json();
    assert_eq!(told["root"], "revoked_token", "{told}");
    assert_eq!(onward(&kept).await.status, 200, "another one stays");
    assert!(
        server.is_active(&root).await,
        "and so does what it was made of"
    );
    let by_administrator = json!({ "token": kept });
    let done = server.admin(Method::POST, "/admin/v1/revoke", Some(by_administrator));
    assert_eq!(done.await.status, 204);
    assert_eq!(onward(&kept).await.refusal(), "invalid_request");
    let strangers = server.form(
        "/revoke",
        "orders-api",
        &[("token", "PHNhbWw6QXNzZXJ0aW9uLz4")],
    );
    assert_eq!(
        strangers.await.status,
        200,
        "what is not ours is as dead as can be"
    );
}

/// What names somebody for another service, or in another's eyes, or for one
/// session alone, is not the person of the same letters here.
async fn a_name_that_is_not_for_here_is_refused(server: Server) {
    let directory = Directory::trusted(&server).await;
    let name = server.name();
    let endpoint = format!("{name}/token");
    let (persistent, transient) = (NameFormat::Persistent, NameFormat::Transient);
    let cases = [
        (persistent, [None, Some("https://sp.example")], false),
        (persistent, [Some("https://other.example"), None], false),
        (transient, [None, None], false),
        (persistent, [Some(ENTITY), Some(&*name)], true),
        (NameFormat::EmailAddress, [None, Some(&*endpoint)], true),
    ];
    for (id, (format, qualifiers, is_for_here)) in (10..).zip(cases) {
        let said = Said {
            id,
            format,
            qualifiers,
            ..directory.said(&server)
        };
        let token = directory.sign(&said);

        let as_token = Asked::of("saml2", &token).by(&server, "orders-api").await;
        let as_grant = present(&server, "orders-api", &token).await;

        for (answer, error) in [(as_token, "invalid_request"), (as_grant, "invalid_grant")] {
            let told = format!("{format:?} {qualifiers:?}: {}", answer.body);
            match is_for_here {
                true => assert_eq!(answer.status, 200, "{told}"),
                false => assert_eq!(answer.refusal(), error, "{told}"),
            }
        }
    }
}

async fn names_of_different_formats_are_different_people(server: Server) {
    let directory = Directory::trusted(&server).await;
    let sub = async |id: u64, format: NameFormat| {
        let said = Said {
            id,
            format,
            ..directory.said(&server)
        };
        let token = directory.sign(&said);
        let by_exchange = Asked::of("saml2", &token)
            .token(&server, "orders-api")
            .await;
        let by_grant = present(&server, "orders-api", &token).await;
        let both = [by_exchange, by_grant.text("access_token")];
        let [one, two] = both.map(|token| claims(&token)["sub"].as_str().unwrap().to_owned());
        assert_eq!(one, two, "{format:?}");
        one
    };

    let plain = sub(20, NameFormat::Unspecified).await;
    let persistent = sub(21, NameFormat::Persistent).await;
    let address = sub(22, NameFormat::EmailAddress).await;

    assert_eq!(plain, format!("ext_{ENTITY}|carol"));
    assert_eq!(persistent, format!("ext_{ENTITY}#persistent|carol"));
    assert_eq!(address, format!("ext_{ENTITY}#emailAddress|carol"));
    assert_eq!(
        persistent,
        sub(23, NameFormat::Persistent).await,
        "the twin"
    );
}

async fn an_assertion_that_was_a_grant_is_no_token_any_more(server: Server) {
    let directory = Directory::trusted(&server).await;
    let token = directory.sign(&directory.said(&server));
    let asked = Asked::of("saml2", &token);
    assert_eq!(asked.by(&server, "orders-api").await.status, 200);

    assert_eq!(present(&server, "orders-api", &token).await.status, 200);

    let after = asked.by(&server, "orders-api").await;
    assert_eq!(after.refusal(), "invalid_request", "{}", after.body);
    let other = Said {
        id: 2,
        ..directory.said(&server)
    };
    let other = directory.sign(&other);
    let twin = Asked::of("saml2", &other).by(&server, "orders-api").await;
    assert_eq!(twin.status, 200, "{}", twin.body);
}

/// What only the server reads of an API's tokens is written in no assertion.
async fn no_assertion_is_made_where_the_holder_may_not_read(server: Server) {
    permitted(&server).await;
    let subject = signed_in(&server, "alice").await.text("access_token");
    let actor = own_token(&server, "orders-api").await;
    let path = "/admin/v1/resources/https:%2F%2Fstock.example.com";
    for (format, keys, is_made) in [
        ("opaque", Value::Null, false),
        ("macaroon", json!("server"), false),
        ("macaroon", json!("shared"), true),
        ("jwt", Value::Null, true),
    ] {
        let change = json!({ "token_format": format, "macaroon_keys": keys });
        let changed = server.admin(Method::PATCH, path, Some(change)).await;
        assert_eq!(changed.status, 200, "{}", changed.body);

        let answer = Asked::of("access_token", &subject)
            .acting("access_token", &actor)
            .with("requested_token_type", &urn("saml2"))
            .with("resource", STOCK)
            .by(&server, "orders-api")
            .await;

        match is_made {
            true => assert_eq!(answer.status, 200, "{format} {keys}: {}", answer.body),
            false => assert_eq!(answer.refusal(), "invalid_target", "{format} {keys}"),
        }
    }
}
