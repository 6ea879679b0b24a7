//! Tokens bound to a key: proofs at the token endpoint and at userinfo.
//!
//! Spec: RFC 9449

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_server::clock::SystemEntropy;
use symbolon_token::dpop::{Claims, prove};
use symbolon_token::jose::SigningKey;
use symbolon_token::{Clock, random};

use crate::browser::{Browser, redemption, request};
use crate::harness::{Answer, CALLBACK, ORDERS, SECRET, Server, VAULT, read};
use crate::on_both_engines;

const MACHINE: [(&str, &str); 1] = [("grant_type", "client_credentials")];

on_both_engines! {
    a_proof_binds_jwt_and_opaque_tokens_and_the_answer_says_so
    a_token_that_no_row_comes_of_needs_a_nonce_of_this_process
    a_proof_is_good_once_here_on_another_node_and_after_a_restart
    a_proof_is_not_good_for_somebody_else_as_well
    a_proof_that_is_wrong_in_any_way_issues_nothing
    a_jti_used_by_another_key_is_not_used_up
    a_code_for_a_key_is_redeemed_by_that_key_alone
    a_proof_costs_no_second_write
    a_family_of_a_public_client_is_renewed_by_its_key_alone
    a_confidential_client_changes_its_key_but_does_not_lose_binding
    userinfo_takes_a_bound_token_with_a_proof_alone
    what_is_wrong_is_answered_under_the_scheme_that_was_used
    whoever_demands_binding_gets_no_token_without
    binding_never_loosens_through_refresh
}

/// What holds a key and makes proofs.
pub(crate) struct Wallet(pub(crate) SigningKey);

impl Wallet {
    pub(crate) fn new() -> Self {
        let own = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        Self(SigningKey::from_pkcs8(SigningAlgorithm::Es256, &own).unwrap())
    }

    pub(crate) fn thumbprint(&self) -> &str {
        self.0.kid()
    }

    /// The claims of a good proof.
    pub(crate) fn claims(server: &Server, method: &str, path: &str) -> Value {
        let jti = format!("{:032x}", u128::from_be_bytes(random(&SystemEntropy)));
        json!({
            "jti": jti, "htm": method, "htu": format!("{}{path}", server.name()),
            "iat": server.clock.now().seconds(),
        })
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": self.0.bare_jwk()});
        self.0
            .sign_under(&header.to_string(), claims.to_string().as_bytes())
    }

    /// A good proof for the token endpoint.
    pub(crate) fn proof(&self, server: &Server, nonce: Option<&str>) -> String {
        self.proof_for(server, "/token", nonce)
    }

    /// A good proof for an endpoint that takes forms.
    pub(crate) fn proof_for(&self, server: &Server, path: &str, nonce: Option<&str>) -> String {
        let mut claims = Self::claims(server, "POST", path);
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        self.sign(&claims)
    }

    /// A good proof for userinfo, made as a client would.
    fn proof_with(&self, server: &Server, token: &str, nonce: Option<&str>) -> String {
        let target = format!("{}/userinfo", server.name());
        let jti = format!("{:032x}", u128::from_be_bytes(random(&SystemEntropy)));
        let claims = Claims {
            method: "GET",
            target: &target,
            jti: &jti,
            issued: server.clock.now(),
            access_token: Some(token),
            nonce,
        };
        prove(&self.0, &claims)
    }
}

/// A form for the token endpoint with proofs.
pub(crate) async fn token(
    server: &Server,
    client: &str,
    form: &[(&str, &str)],
    proofs: &[&str],
) -> Answer {
    let mut request = server.request(Method::POST, "/token");
    request = match client {
        "spa" | "cli" => request.form(&[form, &[("client_id", client)]].concat()),
        _ => request.form(form).basic_auth(client, Some(SECRET)),
    };
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    read(request.send().await.unwrap()).await
}

/// The same with a fresh proof, and once more where a nonce is asked for.
pub(crate) async fn proved(
    server: &Server,
    client: &str,
    form: &[(&str, &str)],
    by: &Wallet,
) -> Answer {
    let first = token(server, client, form, &[&by.proof(server, None)]).await;
    if first.status != 400 || first.text("error") != "use_dpop_nonce" {
        return first;
    }
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    token(server, client, form, &[&by.proof(server, Some(&nonce))]).await
}

async fn refreshed(server: &Server, client: &str, refresh: &str, by: Option<&Wallet>) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    match by {
        Some(by) => proved(server, client, &form, by).await,
        None => token(server, client, &form, &[]).await,
    }
}

fn spa() -> std::collections::BTreeMap<String, String> {
    let mut own = request();
    own.insert("client_id".into(), "spa".into());
    own.insert("redirect_uri".into(), SPA.into());
    own
}

const SPA: &str = "https://spa.example.com/callback";

async fn spa_code(server: &Server) -> String {
    Browser::new(server).code("alice", &spa()).await
}

pub(crate) async fn web_tokens(server: &Server, by: Option<&Wallet>) -> Answer {
    let code = Browser::new(server).code("alice", &request()).await;
    let form = redemption(&code, CALLBACK);
    match by {
        Some(by) => proved(server, "web", &form, by).await,
        None => token(server, "web", &form, &[]).await,
    }
}

async fn userinfo(server: &Server, authorization: String, proofs: &[&str]) -> Answer {
    let mut request = server
        .request(Method::GET, "/userinfo")
        .header("authorization", authorization);
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    read(request.send().await.unwrap()).await
}

fn claims_of(jwt: &str) -> Value {
    use base64::Engine;
    let payload = jwt.split('.').nth(1).unwrap();
    let bytes = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

async fn change(server: &Server, path: &str, to: Value) {
    let changed = server.admin(Method::PATCH, path, Some(to)).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
}

async fn a_proof_binds_jwt_and_opaque_tokens_and_the_answer_says_so(server: Server) {
    let own = Wallet::new();
    let bound = json!({ "jkt": own.thumbprint() });

    let jwt = proved(&server, "job", &MACHINE, &own).await;
    let to_vault = [MACHINE[0], ("resource", VAULT)];
    let opaque = proved(&server, "job", &to_vault, &own).await;

    for (answer, api) in [(&jwt, "orders-api"), (&opaque, "vault-api")] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.text("token_type"), "DPoP");
        let told = server.introspect(api, &answer.text("access_token")).await;
        assert_eq!(
            (&told["cnf"], &told["token_type"]),
            (&bound, &"DPoP".into())
        );
    }
    assert_eq!(claims_of(&jwt.text("access_token"))["cnf"], bound);
    let plain = server.token("job", &MACHINE).await;
    assert_eq!(plain.text("token_type"), "Bearer");
    assert!(claims_of(&plain.text("access_token")).get("cnf").is_none());
    let metadata = server.get("/.well-known/oauth-authorization-server").await;
    let algorithms = &metadata.json()["dpop_signing_alg_values_supported"];
    assert_eq!(algorithms[0], "ES256");
}

/// Attack: F186
async fn a_token_that_no_row_comes_of_needs_a_nonce_of_this_process(server: Server) {
    let own = Wallet::new();
    let before = server.commits();

    let asked = token(&server, "job", &MACHINE, &[&own.proof(&server, None)]).await;
    assert_eq!((asked.status, &*asked.refusal()), (400, "use_dpop_nonce"));
    let nonce = asked.header("dpop-nonce").unwrap().to_owned();
    let proof = own.proof(&server, Some(&nonce));
    let issued = token(&server, "job", &MACHINE, &[&proof]).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    let next = issued.header("dpop-nonce").unwrap().to_owned();

    let again = token(&server, "job", &MACHINE, &[&proof]).await;
    assert_eq!(again.refusal(), "invalid_dpop_proof");
    let forged = own.proof(&server, Some("AAAAAAAAAAAAAAAAAAAAAA"));
    let forged = token(&server, "job", &MACHINE, &[&forged]).await;
    assert_eq!(forged.refusal(), "use_dpop_nonce");
    // An old nonce is taken for one more turn.
    server.advance(200);
    let old = token(
        &server,
        "job",
        &MACHINE,
        &[&own.proof(&server, Some(&next))],
    )
    .await;
    assert_eq!(old.status, 200, "{}", old.body);
    server.advance(400);
    let older = token(
        &server,
        "job",
        &MACHINE,
        &[&own.proof(&server, Some(&next))],
    )
    .await;
    assert_eq!(older.refusal(), "use_dpop_nonce");
    assert_eq!(server.commits(), before, "nothing is written");
}

/// Attack: F181
async fn a_proof_is_good_once_here_on_another_node_and_after_a_restart(server: Server) {
    let own = Wallet::new();
    let other = server.second_node().await;
    // One that needs a nonce, and one that an act uses up.
    let nonce = token(&server, "job", &MACHINE, &[&own.proof(&server, None)]).await;
    let nonce = nonce.header("dpop-nonce").unwrap().to_owned();
    let machine = own.proof(&server, Some(&nonce));
    assert_eq!(
        token(&server, "job", &MACHINE, &[&machine]).await.status,
        200
    );
    let first = web_tokens(&server, None).await.text("refresh_token");
    let proof = own.proof(&server, None);
    let renew = |refresh: String| {
        [
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh),
        ]
    };
    let pairs = |form: &[(&'static str, String); 2]| form.clone();
    let form = pairs(&renew(first));
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, &**value)).collect();
    let second = token(&server, "web", &form, &[&proof]).await;
    assert_eq!(second.status, 200, "{}", second.body);
    let next = second.text("refresh_token");
    let next = [("grant_type", "refresh_token"), ("refresh_token", &*next)];

    for node in [Some(&server), other.as_ref()].into_iter().flatten() {
        let again = token(node, "web", &next, &[&proof]).await;
        assert_eq!(again.refusal(), "invalid_dpop_proof");
        let again = token(node, "job", &MACHINE, &[&machine]).await.refusal();
        assert!(["invalid_dpop_proof", "use_dpop_nonce"].contains(&&*again));
    }
    drop(other);
    let server = server.restart().await;
    let again = token(&server, "web", &next, &[&proof]).await;
    assert_eq!(again.refusal(), "invalid_dpop_proof");
    let again = token(&server, "job", &MACHINE, &[&machine]).await;
    assert_eq!(again.refusal(), "use_dpop_nonce");
    // A replay is no theft: the next token is as it was.
    let third = token(&server, "web", &next, &[&own.proof(&server, None)]).await;
    assert_eq!(third.status, 200, "{}", third.body);
}

/// Whoever's the tokens are, and whatever nonce the proof carries: the store
/// knows only what is of one person.
///
/// Attack: F181
async fn a_proof_is_not_good_for_somebody_else_as_well(server: Server) {
    let own = Wallet::new();
    let tokens = async |person: &str| {
        let code = Browser::new(&server).code(person, &request()).await;
        token(&server, "web", &redemption(&code, CALLBACK), &[]).await
    };
    for nonce in [None, Some("of nobody here")] {
        let (alices, bobs) = (tokens("alice").await, tokens("bob").await);
        let proof = own.proof(&server, nonce);
        let renew = async |tokens: &Answer| {
            let refresh = tokens.text("refresh_token");
            let form = [
                ("grant_type", "refresh_token"),
                ("refresh_token", &*refresh),
            ];
            token(&server, "web", &form, &[&proof]).await
        };

        let first = renew(&alices).await;
        let second = renew(&bobs).await;

        assert!(
            first.status == 200 || first.refusal() == "use_dpop_nonce",
            "{}",
            first.body
        );
        assert_eq!(second.refusal(), "invalid_dpop_proof", "{nonce:?}");
    }
}

/// Attack: F174
/// Attack: F175
/// Attack: F177
/// Attack: F178
/// Attack: F180
async fn a_proof_that_is_wrong_in_any_way_issues_nothing(server: Server) {
    let own = Wallet::new();
    let refresh = web_tokens(&server, None).await.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
    ];
    let before = server.commits();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = Wallet::claims(&server, "POST", "/token");
        change(&mut claims);
        own.sign(&claims)
    };
    let now = server.clock.now().seconds();
    let name = server.name();
    let header = |change: &dyn Fn(&mut Value)| {
        let mut header = json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": own.0.bare_jwk()});
        change(&mut header);
        let claims = Wallet::claims(&server, "POST", "/token").to_string();
        own.0.sign_under(&header.to_string(), claims.as_bytes())
    };
    let bad = [
        "not a proof".to_owned(),
        String::new(),
        "x".repeat(20_000),
        header(&|own| own["typ"] = "JWT".into()),
        header(&|own| own["alg"] = "none".into()),
        header(&|own| own["alg"] = "HS256".into()),
        header(&|own| own["jwk"]["d"] = "AAAA".into()),
        header(&|own| own["jwk"] = Wallet::new().0.bare_jwk().clone()),
        header(&|own| drop(own.as_object_mut().unwrap().remove("jwk"))),
        with(&|own| own["htm"] = "GET".into()),
        with(&|own| own["htu"] = format!("{name}/introspect").into()),
        with(&|own| own["htu"] = "https://elsewhere.example/token".into()),
        with(&|own| own["iat"] = (now - 3600).into()),
        with(&|own| own["iat"] = (now + 3600).into()),
        with(&|own| own["exp"] = (now - 30).into()),
        with(&|own| own["exp"] = "soon".into()),
        with(&|own| own["nbf"] = (now + 3600).into()),
        with(&|own| drop(own.as_object_mut().unwrap().remove("jti"))),
    ];

    for proof in &bad {
        let refused = token(&server, "web", &form, &[proof]).await;
        assert_eq!(
            (refused.status, &*refused.refusal()),
            (400, "invalid_dpop_proof"),
            "{proof}"
        );
    }
    let two = [&*own.proof(&server, None), &*own.proof(&server, None)];
    let refused = token(&server, "web", &form, &two).await;
    assert_eq!(refused.refusal(), "invalid_dpop_proof");
    assert_eq!(server.commits(), before);

    let spelled = with(&|own| {
        own["htu"] = format!("{}/token?x#y", name.replace("http", "HTTP")).into();
        own["iat"] = (now - 10).into();
        own["nbf"] = (now - 10).into();
        own["exp"] = (now + 10).into();
    });
    let good = token(&server, "web", &form, &[&spelled]).await;
    assert_eq!(good.status, 200, "{}", good.body);
}

/// Attack: F183
async fn a_jti_used_by_another_key_is_not_used_up(server: Server) {
    let (victim, stranger) = (Wallet::new(), Wallet::new());
    let nonce = token(&server, "job", &MACHINE, &[&victim.proof(&server, None)]).await;
    let mut claims = Wallet::claims(&server, "POST", "/token");
    claims["nonce"] = nonce.header("dpop-nonce").unwrap().into();

    for own in [&stranger, &victim] {
        let issued = token(&server, "job", &MACHINE, &[&own.sign(&claims)]).await;
        assert_eq!(issued.status, 200, "{}", issued.body);
    }
}

/// Attack: F187
async fn a_code_for_a_key_is_redeemed_by_that_key_alone(server: Server) {
    let (own, other) = (Wallet::new(), Wallet::new());
    let mut asked = request();
    asked.insert("dpop_jkt".into(), own.thumbprint().into());
    let code = Browser::new(&server).code("alice", &asked).await;
    let form = redemption(&code, CALLBACK);

    let by_other = proved(&server, "web", &form, &other).await;
    assert_eq!(by_other.refusal(), "invalid_grant");
    let by_none = token(&server, "web", &form, &[]).await;
    assert_eq!(by_none.refusal(), "invalid_dpop_proof");
    // Neither has spent it.
    let issued = proved(&server, "web", &form, &own).await;
    assert_eq!(issued.text("token_type"), "DPoP", "{}", issued.body);

    for bad in ["x", "AAAA", &format!("{}=", own.thumbprint())] {
        asked.insert("dpop_jkt".into(), bad.into());
        let answer = Browser::new(&server).authorize(&asked).await;
        let refused = crate::browser::response(&answer);
        assert_eq!(refused["error"], "invalid_request");
    }
}

async fn a_proof_costs_no_second_write(server: Server) {
    let own = Wallet::new();
    let code = Browser::new(&server).code("alice", &request()).await;
    let before = server.commits();

    let first = proved(&server, "web", &redemption(&code, CALLBACK), &own).await;
    assert_eq!((first.status, server.commits() - before), (200, 1));
    let refresh = first.text("refresh_token");
    let second = refreshed(&server, "web", &refresh, Some(&own)).await;
    assert_eq!((second.status, server.commits() - before), (200, 2));

    let code = spa_code(&server).await;
    let first = proved(&server, "spa", &redemption(&code, SPA), &own).await;
    let before = server.commits();
    let refresh = first.text("refresh_token");
    let second = refreshed(&server, "spa", &refresh, Some(&own)).await;
    assert_eq!((second.status, server.commits() - before), (200, 1));
}

/// Attack: C081
async fn a_family_of_a_public_client_is_renewed_by_its_key_alone(server: Server) {
    let (own, other) = (Wallet::new(), Wallet::new());
    let code = spa_code(&server).await;
    let first = proved(&server, "spa", &redemption(&code, SPA), &own).await;
    let refresh = first.text("refresh_token");

    let by_other = refreshed(&server, "spa", &refresh, Some(&other)).await;
    assert_eq!(by_other.refusal(), "invalid_grant");
    let by_none = refreshed(&server, "spa", &refresh, None).await;
    assert_eq!(by_none.refusal(), "invalid_dpop_proof");
    let renewed = refreshed(&server, "spa", &refresh, Some(&own)).await;
    assert_eq!(renewed.text("token_type"), "DPoP", "{}", renewed.body);
    // Without its key a stolen one is worth nothing, so it does not rotate.
    assert_eq!(renewed.text("refresh_token"), refresh);
    let claims = claims_of(&renewed.text("access_token"));
    assert_eq!(claims["cnf"]["jkt"], own.thumbprint());

    // One that began without a key stays without, and rotates.
    let code = spa_code(&server).await;
    let first = token(&server, "spa", &redemption(&code, SPA), &[]).await;
    let refresh = first.text("refresh_token");
    let renewed = refreshed(&server, "spa", &refresh, None).await;
    assert_eq!(renewed.text("token_type"), "Bearer", "{}", renewed.body);
    assert_ne!(renewed.text("refresh_token"), refresh);
}

async fn a_confidential_client_changes_its_key_but_does_not_lose_binding(server: Server) {
    let (own, next) = (Wallet::new(), Wallet::new());
    let first = web_tokens(&server, Some(&own)).await;
    let refresh = first.text("refresh_token");

    let without = refreshed(&server, "web", &refresh, None).await;
    assert_eq!(without.refusal(), "invalid_dpop_proof");
    let renewed = refreshed(&server, "web", &refresh, Some(&next)).await;

    assert_eq!(renewed.status, 200, "{}", renewed.body);
    assert_ne!(renewed.text("refresh_token"), refresh);
    let claims = claims_of(&renewed.text("access_token"));
    assert_eq!(claims["cnf"]["jkt"], next.thumbprint());
}

/// Attack: F171
/// Attack: F172
/// Attack: F184
async fn userinfo_takes_a_bound_token_with_a_proof_alone(server: Server) {
    let (own, other) = (Wallet::new(), Wallet::new());
    let bound = web_tokens(&server, Some(&own)).await.text("access_token");
    let plain = web_tokens(&server, None).await.text("access_token");
    let dpop = |token: &str| format!("DPoP {token}");

    let as_bearer = userinfo(&server, format!("Bearer {bound}"), &[]).await;
    assert_eq!(
        (as_bearer.status, &*as_bearer.refusal()),
        (401, "invalid_token")
    );
    let bare = userinfo(&server, dpop(&bound), &[]).await;
    assert_eq!((bare.status, &*bare.refusal()), (401, "invalid_token"));
    let challenge = bare.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with(r#"DPoP error="invalid_token", algs="ES256 "#),
        "{challenge}"
    );

    let asked = userinfo(
        &server,
        dpop(&bound),
        &[&own.proof_with(&server, &bound, None)],
    )
    .await;
    assert_eq!((asked.status, &*asked.refusal()), (401, "use_dpop_nonce"));
    let nonce = asked.header("dpop-nonce").unwrap().to_owned();
    let nonce = Some(&*nonce);
    let proof = own.proof_with(&server, &bound, nonce);
    let told = userinfo(&server, dpop(&bound), &[&proof]).await;
    assert_eq!(told.status, 200, "{}", told.body);

    let again = userinfo(&server, dpop(&bound), &[&proof]).await;
    assert_eq!(
        (again.status, &*again.refusal()),
        (401, "invalid_dpop_proof")
    );
    let by_other = userinfo(
        &server,
        dpop(&bound),
        &[&other.proof_with(&server, &bound, nonce)],
    )
    .await;
    assert_eq!(by_other.refusal(), "invalid_token");
    let for_other = userinfo(
        &server,
        dpop(&bound),
        &[&own.proof_with(&server, &plain, nonce)],
    )
    .await;
    assert_eq!(
        (for_other.status, &*for_other.refusal()),
        (401, "invalid_dpop_proof")
    );
    let mut claims = Wallet::claims(&server, "GET", "/userinfo");
    claims["nonce"] = nonce.into();
    let without_hash = userinfo(&server, dpop(&bound), &[&own.sign(&claims)]).await;
    assert_eq!(without_hash.refusal(), "invalid_dpop_proof");
    let unbound = userinfo(
        &server,
        dpop(&plain),
        &[&own.proof_with(&server, &plain, nonce)],
    )
    .await;
    assert_eq!(
        (unbound.status, &*unbound.refusal()),
        (401, "invalid_token")
    );
    assert_eq!(server.userinfo(&plain).await.status, 200);
}

async fn what_is_wrong_is_answered_under_the_scheme_that_was_used(server: Server) {
    for (token, code) in [("sym_at_x", "invalid_token"), ("a.b.c", "invalid_token")] {
        for (scheme, other) in [("DPoP", "Bearer"), ("Bearer", "DPoP")] {
            let refused = userinfo(&server, format!("{scheme} {token}"), &[]).await;
            let challenge = refused.header("www-authenticate").unwrap();
            let begins = format!(r#"{scheme} error="{code}""#);
            assert!(challenge.starts_with(&begins), "{challenge}");
            assert!(!challenge.contains(other), "{challenge}");
        }
    }
    let none = server.get("/userinfo").await;
    let challenge = none.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with(r#"Bearer, DPoP algs="ES256 "#),
        "{challenge}"
    );
}

async fn whoever_demands_binding_gets_no_token_without(server: Server) {
    let own = Wallet::new();
    change(
        &server,
        "/admin/v1/clients/other",
        json!({"dpop_bound_access_tokens": true}),
    )
    .await;
    let vault = format!("/admin/v1/resources/{}", urlencoded(VAULT));
    change(&server, &vault, json!({"require_key_binding": true})).await;
    let to_vault = [MACHINE[0], ("resource", VAULT)];

    for (client, form) in [("other", &MACHINE[..]), ("job", &to_vault)] {
        let without = token(&server, client, form, &[]).await;
        assert_eq!(without.refusal(), "invalid_dpop_proof", "{client}");
        let with = proved(&server, client, form, &own).await;
        assert_eq!(with.text("token_type"), "DPoP", "{}", with.body);
    }
    let elsewhere = [MACHINE[0], ("resource", ORDERS)];
    assert_eq!(token(&server, "job", &elsewhere, &[]).await.status, 200);
}

fn urlencoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Any chain of refreshes by any keys: each access token is bound at least as
/// the family was when it began.
async fn binding_never_loosens_through_refresh(server: Server) {
    let keys = [Wallet::new(), Wallet::new()];
    let chains = prop::collection::vec(prop::option::of(0..2_usize), 1..5);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for round in 0..12 {
        let (client, uri) = if round % 2 == 0 {
            ("web", CALLBACK)
        } else {
            ("spa", SPA)
        };
        let chain = chains.new_tree(&mut runner).unwrap().current();
        let by = |one: Option<usize>| one.map(|at| &keys[at]);
        let asked = if client == "web" { request() } else { spa() };
        let code = Browser::new(&server).code("alice", &asked).await;
        let form = redemption(&code, uri);
        let first = match by(chain[0]) {
            Some(own) => proved(&server, client, &form, own).await,
            None => token(&server, client, &form, &[]).await,
        };
        let mut refresh = first.text("refresh_token");
        for one in &chain[1..] {
            let answer = refreshed(&server, client, &refresh, by(*one)).await;
            let may = match (client, chain[0], one) {
                (_, None, _) => true,
                ("web", Some(_), own) => own.is_some(),
                (_, begun, own) => begun == *own,
            };
            assert_eq!(
                answer.status == 200,
                may,
                "{client} {chain:?} {}",
                answer.body
            );
            if !may {
                continue;
            }
            let bound = claims_of(&answer.text("access_token"))["cnf"]["jkt"].clone();
            let wanted = by(*one).map_or(Value::Null, |own| own.thumbprint().into());
            assert_eq!(bound, wanted);
            refresh = answer.text("refresh_token");
        }
    }
}
