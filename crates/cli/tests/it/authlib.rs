//! Authlib, from Python, as client: everything that it can do with us.

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::configuration::bye;
use crate::leak;
use crate::program::{Engine, PATIENCE, Site};

const CALLBACK: &str = "http://127.0.0.1:3000/callback";

/// Runs the Python program; it must end well.
async fn python(verb: &str, given: &Value) -> Value {
    let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/peers/authlib_flow.py"
    );
    let mut command = Command::new(python);
    command
        .args([path, verb])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(given.to_string().as_bytes()).await.unwrap();
    drop(input);
    let Output {
        status,
        stdout,
        stderr,
    } = timeout(PATIENCE * 2, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).unwrap()
}

/// A flat object of texts, as TOML writes it in one line.
pub(crate) fn inline_table(object: &Value) -> String {
    let pairs: Vec<_> = object
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

async fn authlib_completes_every_flow(engine: Engine) {
    let key = python("keys", &Value::Null).await;
    let keys = format!("{{ keys = [{}] }}", inline_table(&key["public"]));
    let mut site = Site::with_keys(engine, CALLBACK, &keys).await;
    site.environment = vec![
        ("SYMBOLON_LOG".into(), "trace".into()),
        ("RUST_LOG".into(), "trace".into()),
    ];
    let program = site.start().await;
    let given = json!({
        "issuer": site.issuer, "callback": CALLBACK, "bye": bye(CALLBACK),
        "username": "alice@example.com", "password": site.words.password,
        "secret": site.words.web, "api_secret": site.words.api,
        "hasher_secret": site.words.hasher, "private_key": key["private"],
    });

    let said = python("flow", &given).await;

    assert_eq!(said["saw"], json!(["sign-in", "consent"]), "{said:#}");
    let (id_token, userinfo, introspected) =
        (&said["id_token"], &said["userinfo"], &said["introspected"]);
    assert!(
        id_token["at_hash"].is_string() && id_token["nonce"].is_string(),
        "{said:#}"
    );
    assert_eq!(said["id_token_alg"], "RS256");
    assert_eq!(userinfo["sub"], id_token["sub"]);
    assert_eq!(
        (&userinfo["email"], &userinfo["name"]),
        (&json!("alice@example.com"), &json!("Alice Example"))
    );
    assert_eq!(
        said["scope"],
        "email offline_access openid profile read:orders"
    );
    assert_eq!(
        (&said["rotated"], &said["renewed"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(said["active_before"], true, "{said:#}");
    assert_eq!(
        (&introspected["client_id"], &introspected["iss"]),
        (&json!("web"), &json!(site.issuer))
    );
    assert_eq!(said["revocation_status"], 200);
    assert_eq!(said["active_after"], json!({ "active": false }));
    assert_eq!(said["refresh_after"], "invalid_grant");
    assert_eq!(
        said["signed_out"],
        format!("{}?state=farewell", bye(CALLBACK))
    );
    assert_eq!(said["silent_after"], "login_required");
    for method in ["client_secret_jwt", "private_key_jwt"] {
        assert_eq!(
            said[method],
            json!({ "token_type": "Bearer", "scope": "read:orders", "has_refresh": false })
        );
    }
    assert!(program.end().await.success());
    let mut secrets = site.words.all();
    secrets.extend(
        said["secrets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|secret| secret.as_str().unwrap().to_owned()),
    );
    assert_eq!(leak::found(&site.printed(), &secrets), Vec::<String>::new());
}

on_both_engines! { authlib_completes_every_flow }
