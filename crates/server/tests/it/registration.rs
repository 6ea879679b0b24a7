//! Clients that register themselves, from saying what they are to their end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, redemption, request, response};
use crate::harness::{Answer, ORDERS, Server, VAULT, read};
use crate::on_both_engines;

/// What the file says of registration.
pub(crate) const OPEN: &str = "[registration]\nresources = [\"https://orders.example.com\"]\n";

on_both_engines! {
    a_row_of_a_registered_client_lives_as_long_as_it_is_used
    a_registration_is_changed_by_its_newest_token_alone
}

/// What a small client says.
pub(crate) fn small() -> Value {
    json!({
        "client_name": "Assistant",
        "redirect_uris": ["http://localhost:6274/oauth/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    })
}

/// What a client that keeps a secret says.
pub(crate) fn confidential() -> Value {
    json!({
        "client_name": "Shop",
        "redirect_uris": ["https://shop.example.net/callback"],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

async fn open() -> Server {
    Server::on_sqlite_with(OPEN).await
}

pub(crate) async fn register(server: &Server, said: &Value) -> Answer {
    let request = server.request(Method::POST, "/register").json(said);
    read(request.send().await.unwrap()).await
}

pub(crate) async fn manage(
    server: &Server,
    method: Method,
    at: &Value,
    said: Option<&Value>,
) -> Answer {
    let path = format!("/register/{}", at["client_id"].as_str().unwrap());
    let token = at["registration_access_token"].as_str().unwrap();
    let request = server.request(method, &path).bearer_auth(token);
    let request = match said {
        Some(said) => request.json(said),
        None => request,
    };
    read(request.send().await.unwrap()).await
}

/// What such a client asks for.
pub(crate) fn asking(
    client: &str,
    redirect_uri: &str,
) -> std::collections::BTreeMap<String, String> {
    let mut asking = request();
    for (name, value) in [
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("scope", "read:orders"),
        ("resource", ORDERS),
    ] {
        asking.insert(name.into(), value.into());
    }
    asking
}

#[tokio::test]
async fn a_small_client_registers_signs_a_person_in_and_nothing_is_stored() {
    let server = open().await;
    let metadata = server.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(
        metadata.text("registration_endpoint"),
        format!("{}/register", server.name())
    );
    let before = server.commits();

    let made = register(&server, &small()).await;

    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.text("client_id");
    assert!(id.starts_with("symclient_") && id.len() <= 256, "{id}");
    for name in ["client_secret", "registration_access_token"] {
        assert!(made.json().get(name).is_none(), "{name}");
    }
    assert_eq!(server.commits(), before, "nothing is written");
    let again = register(&server, &small()).await;
    assert_eq!(again.text("client_id"), id, "the same is one client");
    let mut elsewhere = small();
    elsewhere["redirect_uris"] = json!(["http://localhost:40000/oauth/callback"]);
    let elsewhere = register(&server, &elsewhere).await;
    assert_eq!(
        elsewhere.text("client_id"),
        id,
        "whatever port it has today"
    );

    // Any port of this machine, as it is native.
    let asking = asking(&id, "http://localhost:50123/oauth/callback");
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&asking).await;
    let page = browser
        .sign_in(&page, "alice", crate::harness::PASSWORD)
        .await;
    assert!(
        page.body.contains(r#"id="client-unknown""#),
        "{}",
        page.body
    );
    assert!(page.body.contains("localhost:50123"), "{}", page.body);
    let code = browser.code("alice", &asking).await;
    let mut form = redemption(&code, &asking["redirect_uri"]);
    form.push(("client_id", &id));
    let request = server.request(Method::POST, "/token").form(&form);
    let tokens = read(request.send().await.unwrap()).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let token = tokens.text("access_token");
    let told = server.introspect("orders-api", &token).await;
    assert_eq!(
        (&told["active"], &told["client_id"]),
        (&true.into(), &json!(id))
    );
    assert_eq!(told["scope"], "read:orders");

    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &tokens.text("refresh_token")),
        ("client_id", &id),
    ];
    let request = server.request(Method::POST, "/token").form(&form);
    let renewed = read(request.send().await.unwrap()).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
}

/// Attack: A041
#[tokio::test]
async fn a_person_is_asked_each_time_a_registered_public_client_comes() {
    let server = open().await;
    let id = register(&server, &small()).await.text("client_id");
    let asking = asking(&id, "http://localhost:6274/oauth/callback");
    let mut browser = Browser::new(&server);
    browser.code("alice", &asking).await;

    let again = browser.authorize(&asking).await;

    assert!(
        again.body.contains(r#"id="consent-allow""#),
        "{}",
        again.body
    );
}

#[tokio::test]
async fn a_client_that_keeps_a_secret_gets_one_and_the_token_of_its_registration() {
    let server = open().await;

    let made = register(&server, &confidential()).await;

    assert_eq!(made.status, 201, "{}", made.body);
    let (id, secret) = (made.text("client_id"), made.text("client_secret"));
    assert!(secret.starts_with("sym_cs_"));
    assert_eq!(made.json()["client_secret_expires_at"], 0);
    assert!(
        made.text("registration_access_token")
            .starts_with("sym_reg_")
    );
    let other = register(&server, &confidential()).await;
    assert_ne!(other.text("client_id"), id, "each has a secret of its own");
    let asking = asking(&id, "https://shop.example.net/callback");
    let mut browser = Browser::new(&server);
    let code = browser.code("alice", &asking).await;
    let form = redemption(&code, &asking["redirect_uri"]);
    let redeem = async |secret: &str| {
        let request = server.request(Method::POST, "/token").form(&form);
        let request = request.basic_auth(&id, Some(secret));
        read(request.send().await.unwrap()).await
    };
    assert_eq!(
        redeem(&other.text("client_secret")).await.refusal(),
        "invalid_client"
    );
    let tokens = redeem(&secret).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let listed = server.admin(Method::GET, "/admin/v1/clients", None).await;
    assert!(listed.body.contains(&id) && !listed.body.contains(&secret));
}

/// Attack: I238
/// Attack: A034
#[tokio::test]
async fn a_registrant_gets_what_the_installation_grants_and_no_more() {
    let server = open().await;
    let mut greedy = small();
    for (name, value) in [
        (
            "scope",
            json!("openid read:orders delete:orders read:vault admin"),
        ),
        (
            "grant_types",
            json!(["authorization_code", "client_credentials"]),
        ),
        ("consent", json!("first_party")),
        ("trusted", json!(true)),
        ("resources", json!([VAULT])),
        ("client_secret", json!("known")),
    ] {
        greedy[name] = value;
    }

    let made = register(&server, &greedy).await;

    assert_eq!(made.status, 201, "{}", made.body);
    let scope = made.text("scope");
    let scopes: std::collections::BTreeSet<&str> = scope.split(' ').collect();
    let granted = [
        "email",
        "offline_access",
        "openid",
        "profile",
        "read:orders",
        "write:orders",
    ];
    assert_eq!(scopes, granted.into());
    assert_eq!(made.json()["grant_types"], json!(["authorization_code"]));
    let id = made.text("client_id");
    let asking = asking(&id, "http://localhost:6274/oauth/callback");
    for (name, value, code) in [
        ("scope", "read:orders delete:orders", "invalid_scope"),
        ("resource", VAULT, "invalid_target"),
    ] {
        let mut asking = asking.clone();
        asking.insert(name.into(), value.into());
        let refused = Browser::new(&server).authorize(&asking).await;
        assert_eq!(response(&refused)["error"], code, "{name}");
    }
    let form = [("grant_type", "client_credentials"), ("client_id", &*id)];
    let request = server.request(Method::POST, "/token").form(&form);
    let machine = read(request.send().await.unwrap()).await;
    assert_eq!(machine.refusal(), "unauthorized_client");
}

/// Attack: A010
/// Attack: A017
/// Attack: A022
/// Attack: A025
/// Attack: A040
/// Attack: A050
/// Attack: I228
/// Attack: I234
/// Attack: I235
#[tokio::test]
async fn what_cannot_be_registered_is_refused_by_the_code_for_it_and_stores_nothing() {
    let server = open().await;
    let before = server.commits();
    let redirect = |uri: &str| ("redirect_uris", json!([uri]));
    let (uri, metadata) = ("invalid_redirect_uri", "invalid_client_metadata");
    for ((name, value), code) in [
        (redirect("http://app.example.com/cb"), uri),
        (redirect("https://a@b@app.example.com/cb"), uri),
        (redirect("https://app.example.com/cb#f"), uri),
        (redirect("https://ехample.com/cb"), uri),
        (redirect("https://app.example.com/cb?code=x"), uri),
        (redirect("https://app.example.com/../cb"), uri),
        (redirect("javascript:alert(1)"), uri),
        (("client_name", json!("PayPal\u{202e}x")), metadata),
        (("client_name", json!("x".repeat(5000))), metadata),
        (("client_uri", json!("javascript:alert(1)")), metadata),
        (("tos_uri", json!("data:text/html,x")), metadata),
        (
            ("logo_uri", json!("http://169.254.169.254/latest")),
            metadata,
        ),
        (
            ("software_statement", json!("eyJ")),
            "unapproved_software_statement",
        ),
        (("grant_types", json!(["client_credentials"])), metadata),
    ] {
        let mut said = small();
        said[name] = value.clone();
        let refused = register(&server, &said).await;
        assert_eq!(refused.status, 400, "{name} {value}");
        assert_eq!(refused.refusal(), code, "{name} {value}");
    }
    for keys in [
        "http://10.0.0.1/jwks",
        "https://169.254.169.254/jwks",
        "https://192.168.0.1/",
        "https://[fd00::1]/",
        "ftp://app.example.com/jwks",
        "https://0.0.0.0/",
    ] {
        let mut said = confidential();
        said["token_endpoint_auth_method"] = "private_key_jwt".into();
        said["jwks_uri"] = keys.into();
        assert_eq!(register(&server, &said).await.refusal(), metadata, "{keys}");
    }
    assert_eq!(server.commits(), before);
    assert_eq!(register(&server, &small()).await.status, 201);
}

#[tokio::test]
async fn what_is_no_description_is_refused() {
    let server = open().await;
    for (kind, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("application/json", "{}", 400),
        (
            "application/json",
            r#"{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}"#,
            400,
        ),
        (
            "application/x-www-form-urlencoded",
            "redirect_uris=https://a.example/",
            415,
        ),
    ] {
        let request = server.request(Method::POST, "/register");
        let request = request.header("content-type", kind).body(body);
        let refused = read(request.send().await.unwrap()).await;
        assert_eq!(refused.status, status, "{body}");
        refused.refusal();
    }
    let mut large = small();
    large["contacts"] = json!(vec!["x".repeat(2000); 10]);
    assert_eq!(register(&server, &large).await.status, 413);
}

/// Attack: I241
#[tokio::test]
async fn a_flood_of_registrations_is_refused_and_what_is_stored_has_an_end() {
    let server = open().await;
    let mut taken = 0;
    for number in 0..60 {
        let mut said = confidential();
        said["client_name"] = format!("Shop {number}").into();
        match register(&server, &said).await {
            answer if answer.status == 201 => taken += 1,
            refused => {
                assert_eq!(refused.status, 429);
                assert!(refused.header("retry-after").is_some());
            }
        }
    }

    assert_eq!(taken, 30);
}

async fn a_row_of_a_registered_client_lives_as_long_as_it_is_used(server: Server) {
    let server = registering(server).await;
    let used = register(&server, &confidential()).await.json();
    let unused = register(&server, &confidential()).await.json();
    let asking = asking(
        used["client_id"].as_str().unwrap(),
        "https://shop.example.net/callback",
    );
    Browser::new(&server).code("alice", &asking).await;
    server.advance_by(Duration::from_secs(8 * 24 * 60 * 60));

    let app = &server.running.as_ref().unwrap().app;
    symbolon_server::testing::purge(app).await;
    symbolon_server::testing::follow_directory(app).await;

    assert_eq!(manage(&server, Method::GET, &used, None).await.status, 200);
    assert_eq!(
        manage(&server, Method::GET, &unused, None).await.status,
        401
    );
    let ended = unused["client_id"].as_str().unwrap();
    let listed = server.admin(Method::GET, "/admin/v1/clients", None).await;
    assert!(!listed.body.contains(ended));
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let request = server.request(Method::POST, "/token").form(&form);
    let request = request.basic_auth(ended, unused["client_secret"].as_str());
    let refused = read(request.send().await.unwrap()).await;
    assert_eq!(refused.refusal(), "invalid_client");
    assert!(refused.body.contains("register again"), "{}", refused.body);
}

/// The same server, where clients may register.
pub(crate) async fn registering(server: Server) -> Server {
    let config = server.changed(|text| text.replace("[store]", &format!("{OPEN}[store]")));
    let running = server.running.as_ref().unwrap();
    running.reload(&config).await.unwrap();
    server
}

/// Attack: I240
async fn a_registration_is_changed_by_its_newest_token_alone(server: Server) {
    let server = registering(server).await;
    let made = register(&server, &confidential()).await.json();
    let id = made["client_id"].as_str().unwrap().to_owned();
    let asking = asking(&id, "https://shop.example.net/callback");
    let mut browser = Browser::new(&server);
    let code = browser.code("alice", &asking).await;
    let form = redemption(&code, &asking["redirect_uri"]);
    let secret = made["client_secret"].as_str();
    let request = server.request(Method::POST, "/token").form(&form);
    let tokens = read(request.basic_auth(&id, secret).send().await.unwrap()).await;
    let token = tokens.text("access_token");
    let mut said = confidential();
    said["client_id"] = id.as_str().into();

    // The same again changes no consent.
    let same = manage(&server, Method::PUT, &made, Some(&said)).await;
    assert_eq!(same.status, 200, "{}", same.body);
    let same = same.json();
    assert_ne!(
        same["registration_access_token"],
        made["registration_access_token"]
    );
    let older = manage(&server, Method::GET, &made, None).await;
    assert_eq!(older.status, 401);
    let challenge = older.header("www-authenticate");
    assert_eq!(challenge, Some(r#"Bearer error="invalid_token""#));
    assert!(server.is_active(&token).await);

    said["redirect_uris"] = json!(["https://elsewhere.example.net/callback"]);
    let moved = manage(&server, Method::PUT, &same, Some(&said))
        .await
        .json();
    assert_eq!(moved["redirect_uris"], said["redirect_uris"]);
    assert!(!server.is_active(&token).await, "what it was given is dead");
    let grants = server
        .admin(Method::GET, &format!("/admin/v1/grants?client={id}"), None)
        .await;
    assert_eq!(grants.json()["items"], json!([]), "{}", grants.body);
    // A client says the secret that it has, and chooses none (RFC 7592 §2.2).
    let mut chosen = said.clone();
    chosen["client_secret"] = "a secret of its own choice, long enough".into();
    said["client_secret"] = secret.unwrap().into();
    let kept = manage(&server, Method::PUT, &moved, Some(&said)).await;
    assert_eq!(kept.status, 200, "{}", kept.body);
    let moved = kept.json();
    for (said, status) in [
        (json!({"client_id": "web"}), 400),
        (json!({}), 400),
        (chosen, 400),
    ] {
        let refused = manage(&server, Method::PUT, &moved, Some(&said)).await;
        assert_eq!(refused.status, status);
    }

    assert_eq!(
        manage(&server, Method::DELETE, &moved, None).await.status,
        204
    );
    assert_eq!(manage(&server, Method::GET, &moved, None).await.status, 401);
}

#[tokio::test]
async fn where_a_token_is_asked_for_it_has_to_be_shown() {
    let token = "an initial access token that is long enough";
    let more = format!("[registration]\ninitial_access_token = \"{token}\"\n");
    let server = Server::on_sqlite_with(&more).await;
    let with = async |token: &str| {
        let request = server.request(Method::POST, "/register").json(&small());
        read(request.bearer_auth(token).send().await.unwrap()).await
    };

    // A challenge names an error where a token was shown (RFC 6750 §3.1).
    let none = register(&server, &small()).await;
    assert_eq!(none.status, 401);
    assert_eq!(none.header("www-authenticate"), Some("Bearer"));
    let other = with("another").await;
    assert_eq!((other.status, &*other.refusal()), (401, "invalid_token"));
    let challenge = other.header("www-authenticate");
    assert_eq!(challenge, Some(r#"Bearer error="invalid_token""#));
    assert_eq!(with(token).await.status, 201);
}

#[tokio::test]
async fn nobody_registers_where_it_is_not_said() {
    let server = Server::on_sqlite().await;
    let metadata = server.get("/.well-known/openid-configuration").await;

    assert_eq!(register(&server, &small()).await.refusal(), "access_denied");
    assert!(metadata.json().get("registration_endpoint").is_none());
    assert_eq!(
        metadata.json()["client_id_metadata_document_supported"],
        false
    );
}

#[tokio::test]
async fn an_administrator_stops_a_client_that_has_no_row_and_lets_it_go_on() {
    let server = open().await;
    let id = register(&server, &small()).await.text("client_id");
    let asking = asking(&id, "http://localhost:6274/oauth/callback");
    let code = async || Browser::new(&server).code("alice", &asking).await;
    let redeem = async |code: &str| {
        let mut form = redemption(code, &asking["redirect_uri"]);
        form.push(("client_id", &id));
        let request = server.request(Method::POST, "/token").form(&form);
        read(request.send().await.unwrap()).await
    };
    let token = redeem(&code().await).await.text("access_token");
    let at = format!("/admin/v1/clients/{id}");
    let act = async |path: &str| server.admin(Method::POST, path, None).await;
    let shown = server.admin(Method::GET, &at, None).await;
    assert_eq!(shown.json()["name"], "Assistant", "{}", shown.body);

    let stopped = act(&format!("{at}/disable")).await;
    assert_eq!(stopped.json()["enabled"], false, "{}", stopped.body);
    assert!(!server.is_active(&token).await);
    let refused = Browser::new(&server).authorize(&asking).await;
    assert_eq!(refused.status, 400);
    assert_eq!(register(&server, &small()).await.text("client_id"), id);

    let goes_on = act(&format!("{at}/enable")).await;
    assert_eq!(goes_on.json()["enabled"], true, "{}", goes_on.body);
    let token = redeem(&code().await).await.text("access_token");
    assert!(server.is_active(&token).await);

    let body = json!({ "client": id });
    let revoked = server
        .admin(Method::POST, "/admin/v1/revoke", Some(body))
        .await;
    assert_eq!(revoked.status, 204, "{}", revoked.body);
    assert!(!server.is_active(&token).await);
    let token = redeem(&code().await).await.text("access_token");
    assert!(server.is_active(&token).await, "it may go on at once");
}

#[tokio::test]
async fn an_identifier_that_was_changed_is_nobodys() {
    let server = open().await;
    let id = register(&server, &small()).await.text("client_id");
    for at in [12, 40, id.len() - 2] {
        let mut changed = id.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let asking = asking(&changed, "http://localhost:6274/oauth/callback");
        let refused = Browser::new(&server).authorize(&asking).await;
        assert_eq!(refused.status, 400, "{at}");
        assert!(refused.header("location").is_none());
    }
}

/// Attack: P395
#[tokio::test]
async fn a_page_that_the_file_names_may_register_and_redeem_and_no_other_reads_a_word() {
    let named = format!("{OPEN}origins = [\"http://localhost:6274\"]\n");
    let server = Server::on_sqlite_with(&named).await;
    let from = async |method: Method, path: &str, origin: &str| {
        let request = server
            .request(method.clone(), path)
            .header("origin", origin);
        let request = match method == Method::POST {
            true => request.json(&small()),
            false => request,
        };
        read(request.send().await.unwrap()).await
    };
    let allowed = |answer: &Answer| {
        let own = answer.header("access-control-allow-origin");
        own.map(str::to_owned)
    };
    for path in ["/register", "/token"] {
        let asked = from(Method::OPTIONS, path, "http://localhost:6274").await;
        assert_eq!(asked.status, 204);
        assert_eq!(allowed(&asked).as_deref(), Some("http://localhost:6274"));
        let headers = asked.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("content-type"), "{headers}");
        for bad in ["http://localhost:6275", "https://localhost:6274", "null"] {
            let asked = from(Method::OPTIONS, path, bad).await;
            assert_eq!(allowed(&asked), None, "{bad}");
        }
    }
    let made = from(Method::POST, "/register", "http://localhost:6274").await;
    assert_eq!(made.status, 201);
    assert_eq!(allowed(&made).as_deref(), Some("http://localhost:6274"));
    assert_eq!(made.header("access-control-allow-credentials"), None);
    let other = from(Method::POST, "/register", "https://evil.example").await;
    assert_eq!(allowed(&other), None);
}
