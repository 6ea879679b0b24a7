//! What a key is at an API, and what it never is.

use reqwest::Method;
use serde_json::{Value, json};

use super::{KEYS, ask, done, from, is_good, make};
use crate::harness::{ORDERS, SECRET, Server, VAULT, read};
use crate::on_both_engines;

on_both_engines! {
    a_key_is_active_at_its_own_apis_and_for_its_own_client
    a_key_is_shown_once_and_no_answer_holds_it_again
    checking_a_key_writes_nothing_and_its_use_is_written_later
    a_test_key_never_passes_where_live_is_asked
    a_key_with_networks_is_good_from_them_alone
    a_key_is_no_other_credential_and_no_other_is_a_key
    a_guesser_is_shut_out_and_the_key_goes_on
    a_key_that_cannot_be_is_refused_by_the_name_of_its_member
    a_key_is_explained_for_what_a_request_demands
}

/// Attack: C095, C096
async fn a_key_is_active_at_its_own_apis_and_for_its_own_client(server: Server) {
    let (id, key) = make(
        &server,
        json!({ "scopes": ["read:orders"], "resources": [ORDERS] }),
    )
    .await;

    let told = server.introspect("orders-api", &key).await;

    assert_eq!(told["active"], true);
    assert_eq!(
        (&told["aud"], &told["scope"]),
        (&ORDERS.into(), &"read:orders".into())
    );
    assert_eq!(
        (&told["sub"], &told["client_id"]),
        (&"job".into(), &"job".into())
    );
    assert_eq!(
        (&told["jti"], &told["token_type"]),
        (&id.clone().into(), &"Bearer".into())
    );
    let claim = json!({ "id": id, "name": "nightly job", "environment": "live" });
    assert_eq!(told["api_key"], claim);
    let lifetime = told["exp"].as_i64().unwrap() - crate::exchange::world::now(&server);
    assert_eq!(
        lifetime, 600,
        "an answer is good for as long as an access token"
    );
    assert!(told["rev"]["f"].is_string() && told["cnf"].is_null());
    let own = server.introspect("job", &key).await;
    assert_eq!((&own["active"], &own["rev"]), (&true.into(), &Value::Null));
    for stranger in ["vault-api", "web", "other"] {
        let told = server.introspect(stranger, &key).await;
        assert_eq!(told, json!({ "active": false }), "{stranger}");
    }
    let nobody = server
        .request(Method::POST, "/introspect")
        .form(&[("token", &key)]);
    assert_eq!(read(nobody.send().await.unwrap()).await.status, 401);
}

async fn a_key_is_shown_once_and_no_answer_holds_it_again(server: Server) {
    let (id, key) = make(&server, json!({})).await;
    assert!(key.starts_with("sym_key_L") && key.len() == 70);

    let list = done(&server, Method::GET, "?client=job", Value::Null).await;
    let one = done(&server, Method::GET, &format!("/{id}"), Value::Null).await;

    assert_eq!(list["items"][0], one);
    assert_eq!(one["status"], "live");
    assert!(
        one["expires"].as_str().unwrap().starts_with("2027-01-01"),
        "{one}"
    );
    let audit = "/admin/v1/audit?action=api_key.create";
    let audit = server.admin(Method::GET, audit, None).await;
    assert_eq!(audit.json()["items"][0]["detail"]["api_key"], id);
    for text in [list.to_string(), one.to_string(), audit.body] {
        assert!(!text.contains(&key[20..]), "{text}");
    }
}

async fn checking_a_key_writes_nothing_and_its_use_is_written_later(server: Server) {
    let (id, key) = make(&server, json!({})).await;
    let before = server.commits();

    for _ in 0..3 {
        assert!(is_good(&server, &key).await);
    }

    assert_eq!(server.commits(), before, "a check costs no commit");
    let app = &server.running.as_ref().unwrap().app;
    app.note_uses().await;
    app.note_uses().await;
    assert_eq!(
        server.commits(),
        before + 1,
        "what was noted is written once"
    );
    let last = done(&server, Method::GET, &format!("/{id}"), Value::Null).await;
    assert!(
        last["last_used"]
            .as_str()
            .unwrap()
            .starts_with("2026-01-01T00:00:00")
    );
    server.advance(59);
    assert!(is_good(&server, &key).await);
    app.note_uses().await;
    assert_eq!(server.commits(), before + 1, "at most one write a minute");
    server.advance(1);
    assert!(is_good(&server, &key).await);
    let server = server.restart().await;
    let last = done(&server, Method::GET, &format!("/{id}"), Value::Null).await;
    assert_eq!(
        last["last_used"], "2026-01-01T00:01:00Z",
        "the end writes it too"
    );
}

async fn a_test_key_never_passes_where_live_is_asked(server: Server) {
    let test = json!({ "environment": "test", "resources": [ORDERS], "scopes": ["read:orders"] });
    let refused = ask(&server, test.clone()).await;
    assert_eq!(refused.status, 400);
    let path = format!("/admin/v1/resources/{}", "https:%2F%2Forders.example.com");
    for (taken, live, trial) in [
        ("any", true, true),
        ("test", false, true),
        ("live", true, false),
        ("none", false, false),
    ] {
        super::set(&server, Method::PATCH, &path, json!({ "api_keys": "any" })).await;
        let (_, own) = make(
            &server,
            json!({ "resources": [ORDERS], "scopes": ["read:orders"] }),
        )
        .await;
        let (_, other) = make(&server, test.clone()).await;
        assert!(other.starts_with("sym_key_T"));

        super::set(&server, Method::PATCH, &path, json!({ "api_keys": taken })).await;

        assert_eq!(is_good(&server, &own).await, live, "{taken}");
        assert_eq!(is_good(&server, &other).await, trial, "{taken}");
        let renamed = other.replacen("sym_key_T", "sym_key_L", 1);
        assert!(
            !is_good(&server, &renamed).await,
            "the letter is part of the key"
        );
    }
}

async fn a_key_with_networks_is_good_from_them_alone(server: Server) {
    let networks = json!({ "networks": ["192.0.2.0/24", "2001:db8::/32"] });
    let (_, key) = make(&server, networks).await;

    for (address, good) in [
        ("192.0.2.7", true),
        ("::ffff:192.0.2.7", true),
        ("2001:db8:1::1", true),
        ("198.51.100.7", false),
        ("not an address", false),
        ("", false),
    ] {
        assert_eq!(
            from(&server, &key, address).await["active"],
            good,
            "{address}"
        );
    }
    assert!(
        !is_good(&server, &key).await,
        "an address that nobody tells is in no network"
    );
}

async fn a_key_is_no_other_credential_and_no_other_is_a_key(server: Server) {
    let (_, key) = make(&server, json!({})).await;
    assert_eq!(server.userinfo(&key).await.status, 401);
    let as_secret = server
        .request(Method::POST, "/token")
        .basic_auth("job", Some(&key));
    let as_secret = as_secret.form(&[("grant_type", "client_credentials")]);
    assert_eq!(read(as_secret.send().await.unwrap()).await.status, 401);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*key)];
    assert_eq!(
        server.token("web", &refresh).await.refusal(),
        "invalid_grant"
    );
    let admin = server
        .http
        .get(format!("{}{KEYS}", server.admin))
        .bearer_auth(&key);
    assert_eq!(read(admin.send().await.unwrap()).await.status, 401);
    for other in [
        key.replacen("sym_key_", "sym_at_", 1),
        key.replacen("sym_key_", "sym_rt_", 1),
        format!("{key} "),
        key.to_lowercase(),
        key[..40].to_owned(),
        SECRET.to_owned(),
    ] {
        assert!(!is_good(&server, &other).await, "{other}");
    }
    assert!(is_good(&server, &key).await);
}

async fn a_guesser_is_shut_out_and_the_key_goes_on(server: Server) {
    let (id, key) = make(&server, json!({})).await;
    let (_, fresh) = make(&server, json!({})).await;
    assert_eq!(from(&server, &key, "192.0.2.1").await["active"], true);
    // A right checksum, and a key that is not there any more.
    let (gone, guess) = make(&server, json!({})).await;
    done(&server, Method::DELETE, &format!("/{gone}"), Value::Null).await;
    let forged = forge(&id, &guess);

    for _ in 0..20 {
        assert_eq!(from(&server, &forged, "192.0.2.1").await["active"], false);
    }

    let ask = async |key: &str, address: &str| {
        let form = [("token", key), ("client_ip", address)];
        server.form("/introspect", "orders-api", &form).await.status
    };
    assert_eq!(
        ask(&fresh, "192.0.2.1").await,
        429,
        "nothing is looked up for a guesser"
    );
    assert_eq!(ask(&key, "192.0.2.1").await, 200, "what is known goes on");
    assert_eq!(ask(&fresh, "192.0.2.2").await, 200);
    assert!(is_good(&server, &key).await);
}

/// A text of a right form that names a key and holds another's secret.
fn forge(id: &str, other: &str) -> String {
    use symbolon_token::{ApiKey, Id};

    let named: Id<ApiKey> = id.parse().unwrap();
    let entropy = symbolon_testkit::SeededEntropy::new(9);
    let environment = symbolon_protocol::Environment::Live;
    loop {
        let made = symbolon_token::api_key::make(named.slot(), environment, &entropy);
        if made.text.expose_str() != other {
            return made.text.expose_str().to_owned();
        }
    }
}

async fn a_key_that_cannot_be_is_refused_by_the_name_of_its_member(server: Server) {
    for (change, member) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(129) }), "name"),
        (json!({ "name": "a\u{202e}b" }), "name"),
        (json!({ "name": null }), "name"),
        (json!({ "client": "nobody" }), "client"),
        (json!({ "user": "nobody" }), "user"),
        (json!({ "organization": "nobody" }), "organization"),
        (json!({ "user": "bob", "organization": "acme" }), "user"),
        (json!({ "scopes": [] }), "scopes"),
        (json!({ "scopes": ["write:orders"] }), "scopes"),
        (
            json!({ "scopes": ["read:orders", "read:vault"], "resources": [ORDERS] }),
            "scopes",
        ),
        (json!({ "client": "web", "scopes": ["openid"] }), "scopes"),
        (json!({ "resources": [] }), "resources"),
        (
            json!({ "resources": ["https://elsewhere.example.com"] }),
            "resources",
        ),
        (
            json!({ "resources": [format!("{ORDERS}/"), VAULT] }),
            "resources",
        ),
        (
            json!({ "client": "cli", "scopes": ["read:orders"], "resources": [VAULT] }),
            "resources",
        ),
        (json!({ "environment": "production" }), "environment"),
        (json!({ "networks": ["10.0.0.1/8"] }), "networks"),
        (json!({ "networks": vec!["10.0.0.0/8"; 33] }), "networks"),
        (json!({ "expires": "2025-01-01T00:00:00Z" }), "expires"),
        (json!({ "expires": "tomorrow" }), "expires"),
        (json!({ "lifetime": "0s" }), "expires"),
        (json!({ "lifetime": "1d", "expires": "never" }), "expires"),
        (json!({ "secret": "mine" }), "secret"),
    ] {
        let refused = ask(&server, change.clone()).await;
        assert!(
            matches!(refused.status, 400 | 404),
            "{change}: {}",
            refused.body
        );
        assert!(
            refused.text("error_description").contains(member),
            "{change}: {}",
            refused.body
        );
    }
    make(&server, json!({ "lifetime": "never" })).await;
    make(
        &server,
        json!({ "expires": "2026-02-01T00:00:00Z", "organization": "acme" }),
    )
    .await;
}

async fn a_key_is_explained_for_what_a_request_demands(server: Server) {
    let networks =
        json!({ "networks": ["192.0.2.0/24"], "resources": [ORDERS], "scopes": ["read:orders"] });
    let (id, key) = make(&server, networks).await;
    let explain = async |more: Value| {
        let mut question = json!({ "token": key, "client_ip": "192.0.2.1" });
        for (name, value) in more.as_object().unwrap() {
            question[name] = value.clone();
        }
        let path = "/admin/v1/tokens:explain";
        let answer = server.admin(Method::POST, path, Some(question)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!answer.body.contains(&key[20..]));
        answer.json()
    };

    let good = explain(json!({ "audience": ORDERS, "scopes": ["read:orders"] })).await;

    assert_eq!(
        (&good["verdict"], &good["shown"]),
        (&"valid".into(), &"api_key".into())
    );
    assert_eq!(good["known"]["api_key"], id);
    for (more, root) in [
        (json!({ "audience": VAULT }), "wrong_audience"),
        (json!({ "scopes": ["write:orders"] }), "insufficient_scope"),
        (json!({ "client_ip": "198.51.100.1" }), "api_key_network"),
        (json!({ "client_ip": null }), "api_key_network_unknown"),
        (json!({ "token": forge(&id, &key) }), "api_key_unknown"),
        (json!({ "token": &key[..60] }), "api_key_malformed"),
    ] {
        assert_eq!(explain(more.clone()).await["root"], root, "{more}");
    }
    done(
        &server,
        Method::POST,
        &format!("/{id}/disable"),
        Value::Null,
    )
    .await;
    assert_eq!(explain(json!({})).await["root"], "api_key_disabled");
    done(&server, Method::DELETE, &format!("/{id}"), Value::Null).await;
    let dead = explain(json!({})).await;
    assert_eq!(dead["code"], "revoked");
    assert_eq!(dead["taken_back"][0]["what"], "family", "{dead}");
}
