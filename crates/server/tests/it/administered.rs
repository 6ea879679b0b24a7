//! Clients and people as administrators change them, and what they must not
//! become unnoticed.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::START;
use symbolon_token::jose::SigningKey;

use crate::assertion::{by_secret, show};
use crate::harness::{Answer, ORDERS, SECRET, Server};
use crate::on_both_engines;

on_both_engines! {
    a_client_gets_no_method_that_it_has_no_secret_for
    a_secret_for_another_method_is_made_before_the_method_changes
    the_configuration_mends_a_secret_that_cannot_be_signed_with
    a_name_that_is_taken_away_is_the_one_to_begin_with
    roles_are_set_as_a_whole_and_never_by_saying_nothing
    another_address_of_a_person_is_not_verified
    keys_that_verify_nothing_and_links_that_run_are_refused
}

async fn act(server: &Server, method: Method, path: &str, body: Value) -> Answer {
    let path = format!("/admin/v1/{path}");
    let body = Some(body).filter(|body| !body.is_null());
    server.admin(method, &path, body).await
}

async fn change(server: &Server, client: &str, method: &str) -> Answer {
    let path = format!("clients/{client}");
    act(
        server,
        Method::PATCH,
        &path,
        json!({ "authentication": method }),
    )
    .await
}

async fn send(server: &Server, client: &str, secret: &str) -> u16 {
    let form = [("grant_type", "client_credentials")];
    let request = server.request(Method::POST, "/token").form(&form);
    let request = request.basic_auth(client, Some(secret));
    request.send().await.unwrap().status().as_u16()
}

async fn sign(server: &Server, client: &str, secret: &str, jti: &str) -> u16 {
    let now = START.seconds();
    let claims = json!({
        "iss": client, "sub": client, "aud": server.name(), "jti": jti, "exp": now + 60,
    });
    show(server, &by_secret(secret, &claims)).await.status
}

async fn a_client_gets_no_method_that_it_has_no_secret_for(server: Server) {
    let service = json!({
        "id": "keyed", "kind": "service", "authentication": "private_key_jwt",
        "jwks_uri": "https://keyed.example.com/jwks", "scopes": ["read:orders"], "resources": [ORDERS],
    });
    let made = act(&server, Method::POST, "clients", service).await;
    assert_eq!(made.status, 201, "{}", made.body);

    for (client, method) in [
        ("job", "client_secret_jwt"),
        ("keyed", "client_secret_jwt"),
        ("keyed", "client_secret_basic"),
        ("keyed", "client_secret_post"),
    ] {
        let refused = change(&server, client, method).await;

        assert_eq!(refused.status, 409, "{client} {method}: {}", refused.body);
        let way = format!("/admin/v1/clients/{client}/secret");
        assert!(refused.body.contains(&way), "{}", refused.body);
    }
    assert_eq!(send(&server, "job", SECRET).await, 200);
    assert_eq!(
        change(&server, "job", "client_secret_post").await.status,
        200
    );
}

async fn a_secret_for_another_method_is_made_before_the_method_changes(server: Server) {
    let to_sign = json!({ "authentication": "client_secret_jwt" });
    let made = act(&server, Method::POST, "clients/job/secret", to_sign).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let secret = made.text("secret");
    for secret in [SECRET, &secret] {
        assert_eq!(send(&server, "job", secret).await, 200, "until it changes");
    }

    let changed = change(&server, "job", "client_secret_jwt").await;

    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(sign(&server, "job", &secret, "one").await, 200);
    assert_eq!(sign(&server, "job", SECRET, "two").await, 401);
    let by_key = json!({ "authentication": "private_key_jwt" });
    let refused = act(&server, Method::POST, "clients/job/secret", by_key).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
}

async fn the_configuration_mends_a_secret_that_cannot_be_signed_with(server: Server) {
    let of_job = format!("id = \"job\"\nkind = \"service\"\nsecret = \"{SECRET}\"\n");
    let signed = format!("{of_job}authentication = \"client_secret_jwt\"\nenforce = true\n");
    let config = server.changed(|text| text.replace(&of_job, &signed));
    let running = server.running.as_ref().unwrap();

    running.reload(&config).await.unwrap();

    assert_eq!(sign(&server, "job", SECRET, "one").await, 200);
    let before = server.commits();
    running.reload(&config).await.unwrap();
    assert_eq!(server.commits(), before, "it is mended once");
}

/// A merge takes a member away with null (RFC 7396); what cannot be without it
/// has what it began with.
async fn a_name_that_is_taken_away_is_the_one_to_begin_with(server: Server) {
    let named = json!({ "name": "The job" });
    let named = act(&server, Method::PATCH, "clients/job", named).await;
    assert_eq!(named.text("name"), "The job", "{}", named.body);
    let bare = act(
        &server,
        Method::PATCH,
        "clients/job",
        json!({ "name": null }),
    )
    .await;
    assert_eq!(
        (bare.status, &*bare.text("name")),
        (200, "job"),
        "{}",
        bare.body
    );
}

async fn roles_are_set_as_a_whole_and_never_by_saying_nothing(server: Server) {
    let made = json!({ "id": "crew" });
    let made = act(&server, Method::POST, "organizations", made).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = "organizations/crew/members/alice";
    let set = async |body: Value| act(&server, Method::PUT, path, body).await;
    assert!(set(json!({ "roles": ["owner"] })).await.status < 300);

    let refused = set(json!({})).await;

    assert_eq!(refused.status, 400, "{}", refused.body);
    let kept = act(
        &server,
        Method::GET,
        "organizations/crew/members",
        Value::Null,
    )
    .await;
    assert!(kept.body.contains("owner"), "{}", kept.body);
    assert!(set(json!({ "roles": [] })).await.status < 300);
    let none = act(
        &server,
        Method::GET,
        "organizations/crew/members",
        Value::Null,
    )
    .await;
    assert!(!none.body.contains("owner"), "{}", none.body);
}

async fn another_address_of_a_person_is_not_verified(server: Server) {
    let patch = async |patch: Value| {
        let answer = act(&server, Method::PATCH, "users/alice", patch).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let body = answer.json();
        ["email_verified", "phone_number_verified"].map(|name| body[name] == true)
    };
    let both = json!({
        "phone_number": "+30 1", "phone_number_verified": true, "name": "Alice",
    });
    assert_eq!(patch(both).await, [true, true]);
    let same = json!({ "email": "alice@example.com", "phone_number": "+30 1" });
    assert_eq!(patch(same).await, [true, true], "nothing changed");

    let other = patch(json!({ "email": "ceo@victim.example" })).await;

    assert_eq!(other, [false, true]);
    assert_eq!(
        patch(json!({ "phone_number": "+30 2" })).await,
        [false, false]
    );
    let told = json!({ "email": "alice@example.org", "email_verified": true });
    assert_eq!(patch(told).await, [true, false]);
    assert_eq!(patch(json!({ "email": null })).await, [false, false]);
}

/// Attack: I235
async fn keys_that_verify_nothing_and_links_that_run_are_refused(server: Server) {
    let algorithm = SigningAlgorithm::Es256;
    let key = SigningKey::from_pkcs8(algorithm, &SigningKey::generate(algorithm).unwrap());
    let good = key.unwrap().public_jwk();
    let short = BASE64_URL_SAFE_NO_PAD.encode([0x80, 0, 1]);
    let short = json!({ "kty": "RSA", "n": short, "e": "AQAB" });
    let client = |name: &str, value: Value| {
        let mut client = json!({
            "id": "partner", "kind": "service", "authentication": "private_key_jwt",
            "jwks": { "keys": [good] }, "scopes": ["read:orders"], "resources": [ORDERS],
        });
        client[name] = value;
        client
    };
    let keys = |keys: Value| ("jwks", json!({ "keys": keys }));
    for (name, value) in [
        keys(json!([])),
        keys(json!([short])),
        keys(json!([{ "kty": "EC" }])),
        ("token_endpoint_auth_signing_alg", json!("RS256")),
        ("client_uri", json!("javascript:alert(1)")),
        ("logo_uri", json!("data:text/html,x")),
        ("policy_uri", json!("file:///etc/passwd")),
        ("tos_uri", json!("no address")),
        ("client_uri#fr", json!("javascript:alert(1)")),
    ] {
        let refused = act(
            &server,
            Method::POST,
            "clients",
            client(name, value.clone()),
        )
        .await;

        assert_eq!(refused.status, 400, "{name} {value}: {}", refused.body);
    }
    let own = client("client_uri", json!("https://partner.example.com"));
    let made = act(&server, Method::POST, "clients", own).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let more = json!({ "jwks": { "keys": [good, short] } });
    let kept = act(&server, Method::PATCH, "clients/partner", more).await;
    assert_eq!(
        kept.status, 200,
        "one that verifies is enough: {}",
        kept.body
    );
}
