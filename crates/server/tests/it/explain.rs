//! What an administrator is told of a refusal, by request id, by `jti` and by
//! the token itself.

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, request};
use crate::exchange::world::{Asked, BEARER, Partner, claims, furnish, now};
use crate::harness::{Answer, ORDERS, Server, VAULT};
use crate::on_both_engines;

on_both_engines! {
    a_refused_request_is_explained_by_its_id
    a_token_is_explained_by_its_id_with_what_took_it_back_and_who
    what_is_not_known_is_not_made_up
    a_token_is_explained_for_what_a_request_demands
    a_macaroon_is_explained_caveat_by_caveat_and_not_used_up
    claims_that_somebody_changed_are_named_one_by_one
    an_explanation_holds_no_credential
    an_expired_jwt_of_a_partner_is_no_matter_of_sessions
}

pub(crate) async fn explain(server: &Server, question: Value) -> Value {
    let path = "/admin/v1/tokens:explain";
    let answer = server.admin(Method::POST, path, Some(question)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

pub(crate) async fn by_id(server: &Server, id: &str) -> Answer {
    let path = format!("/admin/v1/explanations/{id}");
    server.admin(Method::GET, &path, None).await
}

pub(crate) async fn root(server: &Server, token: &str) -> String {
    let told = explain(server, json!({ "token": token })).await;
    told["root"].as_str().unwrap().to_owned()
}

/// A token for the vault (opaque) or for orders (JWT) and its `jti`.
pub(crate) async fn token(server: &Server, resource: &str, scope: &str) -> (String, String) {
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", resource),
        ("scope", scope),
    ];
    let issued = server.token("job", &form).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    let token = issued.text("access_token");
    let api = if resource == VAULT {
        "vault-api"
    } else {
        "orders-api"
    };
    let jti = server.introspect(api, &token).await["jti"]
        .as_str()
        .unwrap()
        .to_owned();
    (token, jti)
}

pub(crate) async fn revoke(server: &Server, what: Value) {
    let done = server
        .admin(Method::POST, "/admin/v1/revoke", Some(what))
        .await;
    assert_eq!(done.status, 204, "{}", done.body);
}

async fn a_refused_request_is_explained_by_its_id(server: Server) {
    let wrong = server
        .form("/token", "nobody", &[("grant_type", "client_credentials")])
        .await;
    let policy = [("grant_type", "authorization_code"), ("code", "x")];
    let policy = server.token("job", &policy).await;
    let (token, jti) = token(&server, ORDERS, "read:orders").await;
    revoke(&server, json!({ "token": token })).await;
    let dead = server.userinfo(&token).await;

    let told = by_id(&server, &wrong.text("request_id")).await.json();
    assert_eq!(
        (&told["check"], &told["error"], &told["endpoint"]),
        (
            &json!("authentication"),
            &json!("invalid_client"),
            &json!("/token")
        )
    );
    assert!(
        told["repair"]
            .as_str()
            .unwrap()
            .contains("`authentication`"),
        "{told}"
    );
    let told = by_id(&server, &policy.text("request_id")).await.json();
    assert_eq!(
        (&told["check"], &told["error"]),
        (&json!("policy"), &json!("unauthorized_client"))
    );
    let told = by_id(&server, &dead.text("request_id")).await.json();
    assert_eq!(
        (&told["check"], &told["root"], &told["jti"]),
        (&json!("revocation"), &json!("revoked_token"), &json!(jti))
    );
    assert_eq!(
        told["told"], "the access token is not good",
        "the caller learned no more"
    );
    assert_eq!(
        told["checks"][4],
        json!({ "check": "revocation", "outcome": "failed" })
    );
    assert_eq!(told["checks"][5]["outcome"], "not_reached");
}

async fn a_token_is_explained_by_its_id_with_what_took_it_back_and_who(server: Server) {
    let tokens = Browser::new(&server)
        .tokens("alice", &asked("session", "read:orders"))
        .await;
    let access = tokens.text("access_token");
    let jti = server.introspect("orders-api", &access).await["jti"]
        .as_str()
        .unwrap()
        .to_owned();
    let before = by_id(&server, &jti).await.json();
    let session = before["issued"]["session"].as_str().unwrap().to_owned();
    server.advance(1);

    revoke(&server, json!({ "session": session })).await;
    server.introspect("orders-api", &access).await;
    let told = by_id(&server, &jti).await.json();

    for name in [
        "client", "subject", "grant", "session", "audience", "expires",
    ] {
        assert!(before["issued"][name].is_string(), "{name}: {before}");
    }
    assert_eq!(before["taken_back"], json!([]));
    let records = told["taken_back"].as_array().unwrap();
    let record = records.iter().find(|own| own["what"] == "session").unwrap();
    assert_eq!(
        (&record["by"], &record["action"]),
        (&json!("administrator"), &json!("session.end"))
    );
    assert!(
        record["request"].as_str().unwrap().starts_with("req_"),
        "{record}"
    );
    assert!(
        told["cause"].as_str().unwrap().starts_with("revocation: "),
        "{told}"
    );
    assert_eq!(told["refusals"][0]["client"], "orders-api", "{told}");
    assert_eq!(told["refusals"][0]["root"], "revoked_session");
}

async fn what_is_not_known_is_not_made_up(server: Server) {
    for id in [
        "req_0000000000000000",
        "tok_0000000000000000000000",
        "hello",
        "sym_rt_abc",
    ] {
        let answer = by_id(&server, id).await;
        assert_eq!(
            (answer.status, &*answer.refusal()),
            (404, "not_found"),
            "{id}"
        );
    }
    let empty = server.admin(
        Method::POST,
        "/admin/v1/tokens:explain",
        Some(json!({ "token": "" })),
    );
    assert_eq!(empty.await.status, 400);
}

/// What a person lets `web` do: with a session where it is not for longer than
/// one.
pub(crate) fn asked(what: &str, scope: &str) -> std::collections::BTreeMap<String, String> {
    let more = if what == "session" {
        ""
    } else {
        " offline_access"
    };
    let mut asked = request();
    asked.insert("scope".into(), format!("openid {scope}{more}"));
    asked
}

async fn a_token_is_explained_for_what_a_request_demands(server: Server) {
    let (token, jti) = token(&server, VAULT, "read:vault").await;
    let with = |more: Value| {
        let mut question = json!({ "token": token });
        question
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        question
    };

    let good = explain(
        &server,
        with(json!({ "audience": VAULT, "scopes": ["read:vault"] })),
    )
    .await;
    let elsewhere = explain(&server, with(json!({ "audience": ORDERS }))).await;
    let narrow = explain(&server, with(json!({ "scopes": ["write:vault"] }))).await;
    server.advance(3600);
    let old = explain(&server, with(json!({}))).await;

    assert_eq!(
        (&good["verdict"], &good["known"]["jti"]),
        (&json!("valid"), &json!(jti))
    );
    assert_eq!(
        (&elsewhere["root"], &narrow["root"]),
        (&json!("wrong_audience"), &json!("insufficient_scope"))
    );
    assert_eq!(
        (&old["root"], &old["checks"][1]["outcome"]),
        (&json!("expired"), &json!("failed"))
    );
    let other = if &token[40..41] == "A" { "B" } else { "A" };
    let typo = format!("{}{other}{}", &token[..40], &token[41..]);
    for (text, expected) in [
        ("sym_rt_abc".to_owned(), "refresh_token"),
        (format!("Bearer {token}"), "scheme_twice"),
        (typo, "checksum"),
        (token[..token.len() - 9].to_owned(), "checksum"),
        ("acme_at_0123456789".to_owned(), "other_mark"),
        ("hello".to_owned(), "not_a_token"),
    ] {
        let told = explain(&server, json!({ "token": text })).await;
        assert_eq!(told["root"], expected, "{told}");
        assert!(!told["repair"].as_str().unwrap().is_empty(), "{told}");
    }
}

async fn a_macaroon_is_explained_caveat_by_caveat_and_not_used_up(server: Server) {
    use symbolon_token::macaroon::{Caveat, attenuate};
    let token = crate::macaroon::minted(&server, &[("scope", "read:files")]).await;
    let narrow = |caveat: &str| attenuate(&token, &[caveat.parse::<Caveat>().unwrap()]).unwrap();
    let ask = async |token: &str| {
        explain(&server, json!({ "token": token, "method": "GET", "path": "/orders/7", "client_ip": "10.0.0.7" })).await
    };

    for (caveat, expected) in [
        ("method = POST", "caveat_method"),
        ("path = /invoices", "caveat_path"),
        ("network = 192.0.2.0/24", "caveat_network"),
        ("after = 2030-01-01T00:00:00Z", "caveat_after"),
    ] {
        let told = ask(&narrow(caveat)).await;
        assert_eq!(told["root"], expected, "{told}");
        assert!(told["cause"].as_str().unwrap().contains(caveat), "{told}");
        assert!(
            told["known"]["jti"].is_string(),
            "what it came of is known all the same"
        );
    }
    let once = narrow("budget = 1");
    for _ in 0..3 {
        assert_eq!(ask(&once).await["verdict"], "valid", "explaining is no use");
    }
    let nonce = narrow("single-use = n1");
    for spent in [&once, &nonce] {
        assert!(crate::macaroon::is_good(&server, spent, &[("method", "GET")]).await);
        let told = ask(spent).await;
        assert_eq!(
            (&told["code"], &told["verdict"]),
            (&json!("caveat_spent"), &json!("refused"))
        );
    }
    let mut bytes = token.clone();
    let at = bytes.len() - 3;
    bytes.replace_range(at..=at, if &bytes[at..=at] == "A" { "B" } else { "A" });
    assert_eq!(ask(&bytes).await["root"], "macaroon_changed");
    assert_eq!(ask(&token).await["verdict"], "valid");
}

/// A JWT with other claims under the old signature.
fn edited(token: &str, change: impl FnOnce(&mut Value)) -> String {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let parts: Vec<&str> = token.split('.').collect();
    let mut own = Value::Object(claims(token));
    change(&mut own);
    let payload = BASE64_URL_SAFE_NO_PAD.encode(own.to_string());
    format!("{}.{payload}.{}", parts[0], parts[2])
}

/// What is done to the claims, what it is called, and what is said of it.
type Edit<'a> = (&'a dyn Fn(&mut Value), &'a str, &'a [&'a str]);

async fn claims_that_somebody_changed_are_named_one_by_one(server: Server) {
    let (token, _) = token(&server, ORDERS, "read:orders").await;
    let cases: [Edit; 6] = [
        (
            &|own| own["scope"] = "read:orders admin".into(),
            "scope_changed",
            &["`scope` was `read:orders`, now it is `read:orders admin`"],
        ),
        (
            &|own| own["exp"] = 4_000_000_000_u64.into(),
            "expiry_changed",
            &["`exp` was `2026-01-01T00:10:00Z`"],
        ),
        (
            &|own| {
                own["scope"] = "admin".into();
                own["exp"] = 4_000_000_000_u64.into();
            },
            "claims_changed",
            &["`scope` was", "`exp` was"],
        ),
        (
            &|own| own["aud"] = VAULT.into(),
            "claims_changed",
            &["`aud` was `https://orders.example.com`"],
        ),
        (
            &|own| own["sub"] = "admin".into(),
            "claims_changed",
            &["`sub` was `job`, now it is `admin`"],
        ),
        (
            &|own| own["client_id"] = "web".into(),
            "claims_changed",
            &["`client_id` was `job`"],
        ),
    ];

    for (change, root, words) in cases {
        let told = explain(&server, json!({ "token": edited(&token, change) })).await;
        assert_eq!(
            (&told["root"], &told["code"]),
            (&json!(root), &json!("signature_mismatch"))
        );
        for word in words {
            assert!(told["cause"].as_str().unwrap().contains(word), "{told}");
        }
    }
    let told = explain(
        &server,
        json!({ "token": edited(&token, |own| own["roles"] = json!(["x"])) }),
    )
    .await;
    assert_eq!(
        told["root"], "signature_mismatch",
        "what is not remembered is not guessed"
    );
    assert_eq!(
        explain(&server, json!({ "token": token })).await["verdict"],
        "valid"
    );
}

async fn an_explanation_holds_no_credential(server: Server) {
    let tokens = Browser::new(&server).tokens("alice", &request()).await;
    let access = tokens.text("access_token");
    let refresh = tokens.text("refresh_token");
    let jti = server.introspect("orders-api", &access).await["jti"]
        .as_str()
        .unwrap()
        .to_owned();
    revoke(&server, json!({ "token": refresh })).await;
    let refused = server.userinfo(&access).await.text("request_id");

    let mut all = by_id(&server, &jti).await.body;
    all += &by_id(&server, &refused).await.body;
    all += &explain(&server, json!({ "token": access }))
        .await
        .to_string();
    all += &explain(&server, json!({ "token": refresh }))
        .await
        .to_string();

    let signature = access.rsplit('.').next().unwrap();
    for secret in [
        &*access,
        &*refresh,
        signature,
        crate::harness::SECRET,
        crate::harness::PASSWORD,
    ] {
        assert!(!all.contains(secret), "{all}");
    }
}

async fn an_expired_jwt_of_a_partner_is_no_matter_of_sessions(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let expired = partner.jwt(&server, json!({ "exp": now(&server) - 60 }));
    let good = partner.jwt(&server, json!({}));
    let grant = [("grant_type", BEARER), ("assertion", &*expired)];

    let as_grant = server.token("orders-api", &grant).await;
    let as_token = Asked::of("jwt", &expired).by(&server, "orders-api").await;

    for (refused, error) in [(as_grant, "invalid_grant"), (as_token, "invalid_request")] {
        assert_eq!(refused.refusal(), error);
        let told = by_id(&server, &refused.text("request_id")).await.json();
        assert_eq!(told["cause"], "it has expired", "{told}");
        let repair = told["repair"].as_str().unwrap();
        assert!(repair.contains("ask the trusted issuer"), "{repair}");
        assert!(!repair.contains("sign in"), "{repair}");
    }
    let told = explain(&server, json!({ "token": expired })).await;
    assert_eq!(told["root"], "partner_token_expired", "{told}");
    assert_eq!(told["checks"][1]["outcome"], "failed", "{told}");
    assert!(
        told["repair"]
            .as_str()
            .unwrap()
            .contains("ask the trusted issuer")
    );
    assert_eq!(
        explain(&server, json!({ "token": good })).await["verdict"],
        "valid"
    );
}
