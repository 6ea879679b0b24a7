//! `symbolon token explain`: the table of broken tokens that the library is
//! tested with, shown to the command; routes, configurations and ids; and the
//! examples of its guide.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use symbolon_server::clock::SystemClock;
use symbolon_server::testing::{http, read};
use symbolon_token::Clock;
use symbolon_token::dpop::{Claims, prove};
use tokio::net::TcpListener;

use self::corpus::{API, Given, NEEDED, Shown, edited};
use crate::configuration::VAULT;
use crate::dev::Dev;
use crate::program::{Engine, Folder, Said, Site, command};

#[path = "../../../verify/tests/corpus/mod.rs"]
mod corpus;

/// The guide.
const GUIDE: &str = include_str!("../../../../docs/explain.md");
/// How many commands run at a time.
const AT_A_TIME: usize = 4;

/// An issuer that publishes keys and knows nothing else.
async fn issuer() -> Arc<Given> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let given = Arc::new(Given::new(&url, SystemClock::start().now()));
    let metadata = json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"),
        "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
    });
    let keys = given.key_set();
    let app = Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(async move || axum::Json(metadata)),
        )
        .route("/jwks", get(async move || axum::Json(keys)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    given
}

async fn explain(arguments: &[&str]) -> Said {
    let mut command = command();
    command.args(["token", "explain"]).args(arguments);
    Said::of(command.output().await.unwrap())
}

async fn shown(given: &Given, more: &[&str], token: &str) -> Said {
    let known = [
        "--issuer",
        &*given.url,
        "--audience",
        API,
        "--scope",
        NEEDED,
        "--at-expiry",
    ];
    explain(&[&known, more, &[token]].concat()).await
}

/// What the command says wrongly of a case.
fn wrong(case: &corpus::Case, token: &str, said: &Said) -> Option<String> {
    let told = said.json();
    let steps = told["checks"].as_array().unwrap();
    let failed = steps.iter().find(|step| step["outcome"] == "failed");
    let signature = token.rsplit('.').next().unwrap_or_default();
    let is_right = said.code == Some(1)
        && told["root"] == case.root
        && failed.is_some_and(|step| step["check"] == case.check)
        && told["repair"].as_str().unwrap().contains(case.repair)
        && (signature.len() < 24 || !said.lines.concat().contains(signature));
    (!is_right).then(|| format!("{}: {said:?}\n", case.name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_broken_token_is_explained_on_the_command_line_as_in_the_library() {
    let given = issuer().await;
    let cases = corpus::all();
    let cases: Vec<_> = cases
        .iter()
        .filter(|own| own.shown == Shown::ToBoth)
        .collect();
    assert!(cases.len() >= 90, "{}", cases.len());

    let run = |case| {
        let given = Arc::clone(&given);
        async move {
            let case: &corpus::Case = case;
            let token = (case.broken)(&given);
            let said = shown(&given, &["--json"], &token).await;
            wrong(case, &token, &said)
        }
    };
    let found: Vec<_> = stream::iter(cases)
        .map(run)
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;

    let found: Vec<String> = found.into_iter().flatten().collect();
    assert!(found.is_empty(), "{}", found.concat());
    let good = shown(&given, &["--json"], &given.good()).await;
    assert_eq!(
        (good.code, &good.json()["root"]),
        (Some(0), &json!("valid"))
    );
    let header = shown(&given, &["--json"], &format!("Bearer {}", given.good())).await;
    assert_eq!(
        header.code,
        Some(0),
        "a header's value is taken as it stands there"
    );
}

/// A file with routes, whose lines are counted below.
fn gateway(folder: &Folder, given: &Given) -> String {
    let path = folder.join("gateway.toml");
    let text = format!(
        r#"issuer = "{}"
clock_skew = "5s"

[[resource]]
identifier = "{API}"
aliases = ["https://api.example"]

[[resource]]
identifier = "https://bound.example"
require_key_binding = true

[gateway]
listen = "127.0.0.1:8081"

[[gateway.route]]
path = "/invoices/{{id}}"
methods = ["GET"]
audience = "{API}"
scopes = ["{NEEDED}"]

[[gateway.route]]
path = "/orders"
audience = "{API}"
any_scopes = ["write:orders", "admin"]

[[gateway.route]]
path = "/bound"
audience = "https://bound.example"
scopes = ["{NEEDED}"]
"#,
        given.url
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_demands_what_its_block_says_and_the_line_is_shown() {
    let (folder, given) = (Folder::new(), issuer().await);
    let file = gateway(&folder, &given);
    let good = given.good();
    let bound = given.with(|claims| claims["aud"] = "https://bound.example".into());
    let ask = async |route: &str, token: &str| {
        let arguments = [
            "--json",
            "--at-expiry",
            "--config",
            &file,
            "--route",
            route,
            token,
        ];
        explain(&arguments).await
    };
    let cases = [
        ("GET https://api.example/invoices/7", &good, "valid", 0),
        ("GET https://api.example/orders", &good, "scope_lacking", 24),
        (
            "DELETE https://api.example/invoices/7",
            &good,
            "no_route",
            16,
        ),
        ("GET https://api.example/nowhere", &good, "no_route", 0),
        ("GET https://api.example/bound", &good, "other_audience", 9),
        (
            "GET https://api.example/bound",
            &bound,
            "binding_demanded",
            10,
        ),
    ];
    for (route, token, root, line) in cases {
        let said = ask(route, token).await;
        let told = said.json();

        assert_eq!(told["root"], root, "{route}: {said:?}");
        assert_eq!(said.code, Some(i32::from(root != "valid")), "{route}");
        let place = told["demanded"]["place"].as_str().unwrap_or_default();
        if line > 0 {
            assert!(
                place.starts_with(&format!("{file}:{line}:")),
                "{route}: {place}"
            );
        }
        let policy = &told["checks"][7];
        let expected = match root {
            "valid" => "passed",
            "no_route" | "binding_demanded" => "failed",
            _ => "not_reached",
        };
        assert_eq!(
            policy,
            &json!({ "check": "policy", "outcome": expected }),
            "{route}"
        );
    }
    let alias = given.with(|claims| claims["aud"] = "https://api.example".into());
    assert_eq!(
        ask("GET https://api.example/invoices/7", &alias).await.code,
        Some(0)
    );
    let bad = ask("nonsense", &good).await;
    assert_eq!(
        (bad.code, bad.errors.starts_with("error[usage]")),
        (Some(2), true),
        "{bad:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_judged_for_the_route_that_is_named() {
    let given = issuer().await;
    let token = given.with(|claims| claims["cnf"] = json!({ "jkt": given.stranger.kid() }));
    let proof = |method| {
        let claims = Claims {
            method,
            target: "https://api.example/invoices",
            jti: "a",
            issued: SystemClock::start().now(),
            access_token: Some(&token),
            nonce: None,
        };
        prove(&given.stranger, &claims)
    };
    let route = ["--json", "--route", "GET https://api.example/invoices"];

    let bare = shown(&given, &route, &token).await.json();
    let other = proof("POST");
    let other = shown(&given, &[&route[..], &["--dpop", &other]].concat(), &token)
        .await
        .json();
    let right = proof("GET");
    let right = shown(&given, &[&route[..], &["--dpop", &right]].concat(), &token)
        .await
        .json();

    assert_eq!(
        (&bare["root"], &bare["checks"][6]["outcome"]),
        (&json!("bound_as_bearer"), &json!("failed"))
    );
    assert_eq!(
        (&other["root"], &other["differences"][0]["found"]),
        (&json!("proof_method"), &json!("POST"))
    );
    assert!(
        right["root"] == "valid" || right["root"] == "proof_nonce",
        "{right}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_explained_over_the_admin_api_and_so_is_what_was_taken_back() {
    let folder = Folder::new();
    let data = folder.join("data");
    let dev = Dev::start(&data).await;
    let admin = dev
        .text("admin_url")
        .split("/status")
        .next()
        .unwrap()
        .to_owned();
    let file = data.join("admin.token").display().to_string();
    let admin = ["--admin", &*admin, "--admin-token-file", &*file];
    let token = dev.text("access_token").to_owned();
    let wrong = http().get(format!("{}/userinfo", dev.text("issuer")));
    let wrong = read(wrong.send().await.unwrap()).await.text("request_id");
    let mut revoke = command();
    revoke.args(["revoke", "--client", "demo"]).args(admin);
    assert!(revoke.output().await.unwrap().status.success());
    let secret = data.join("demo-api.secret").display().to_string();
    let known = [
        "--json",
        "--issuer",
        dev.text("issuer"),
        "--audience",
        dev.text("gateway"),
        "--client-id",
        "demo-api",
        "--client-secret-file",
        &secret,
    ];

    let request = explain(&[&admin[..], &["--request-id", &wrong]].concat()).await;
    let taken = explain(&[&known[..], &admin, &[&token]].concat()).await;
    let plain = explain(&[&known[..], &[&token]].concat()).await;
    let unknown = explain(&[&admin[..], &["--request-id", "req_0000000000000000"]].concat()).await;
    let jti = taken.json()["known"]["jti"].as_str().unwrap().to_owned();
    let by_jti = explain(&[&admin[..], &["--jti", &jti]].concat()).await;

    assert_eq!(request.code, Some(1), "{request:?}");
    assert!(request.line(1).starts_with("repair: "), "{request:?}");
    assert_eq!(
        (taken.code, &taken.json()["root"]),
        (Some(1), &json!("revoked_client"))
    );
    assert_eq!(
        taken.json()["taken_back"][0]["by"],
        "administrator",
        "{taken:?}"
    );
    assert!(
        !taken.lines.concat().contains(&token),
        "the token is not shown"
    );
    assert_eq!(
        (plain.code, &plain.json()["root"]),
        (Some(1), &json!("revoked"))
    );
    assert_eq!(unknown.code, Some(3), "{unknown:?}");
    assert!(
        unknown.errors.starts_with("error[admin.not_found]"),
        "{unknown:?}"
    );
    assert_eq!(by_jti.code, Some(1), "{by_jti:?}");
    assert!(
        by_jti
            .lines
            .iter()
            .any(|line| line.contains("taken back: client")),
        "{by_jti:?}"
    );
    assert_eq!(dev.end().await, Some(0));
}

// The guide.

/// The commands of the guide with the two lines that follow each.
fn examples() -> Vec<(&'static str, [&'static str; 2])> {
    let mut lines = GUIDE.lines();
    let mut all = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(script) = line.strip_prefix("$ ") {
            all.push((script, [(); 2].map(|()| lines.next().unwrap())));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_guide_prints_what_stands_below_it() {
    let (folder, given) = (Folder::new(), issuer().await);
    let file = gateway(&folder, &given);
    let good = given.good();
    let program = Path::new(env!("CARGO_BIN_EXE_symbolon")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let edit = edited(&good, |claims| {
        claims["scope"] = "read:invoices delete:invoices".into()
    });
    let slash = given.with(|claims| claims["aud"] = format!("{API}/").into());
    let all = examples();
    assert!(all.len() >= 5, "{}", all.len());

    for (script, expected) in all {
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-c", script]).env_clear().envs([
            ("PATH", &*path),
            ("ISSUER", &given.url),
            ("TOKEN", &good),
            ("EDITED", &edit),
            ("SLASH", &slash),
            ("CONFIG", &file),
        ]);
        let said = Said::of(shell.output().await.unwrap());
        assert_eq!([said.line(0), said.line(1)], expected, "{script}: {said:?}");
    }
}

#[test]
fn the_guide_names_every_cause_and_no_other() {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `"));
    let named: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let mut missing = String::new();
    for case in corpus::all() {
        if !named.contains(&case.root) {
            writeln!(missing, "{}: {}", case.root, case.name).unwrap();
        }
    }
    assert!(missing.is_empty(), "not in docs/explain.md:\n{missing}");
    let mut once = named.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), named.len(), "a cause stands twice");
    assert!(
        !named.is_empty() && GUIDE.contains(&format!("{} broken tokens", corpus::all().len())),
        "{}",
        corpus::all().len()
    );
}

/// What the command prints holds all that a script needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_for_scripts_has_its_parts() {
    let given = issuer().await;
    let told: Value = shown(&given, &["--json"], &given.with(|c| c["aud"] = "x".into()))
        .await
        .json();

    for name in [
        "verdict",
        "code",
        "root",
        "cause",
        "repair",
        "shown",
        "checks",
        "demanded",
        "differences",
        "key",
        "claims",
    ] {
        assert!(!told[name].is_null(), "{name}: {told}");
    }
    let checks: Vec<&str> = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| own["check"].as_str().unwrap())
        .collect();
    let expected = [
        "signature",
        "expiry",
        "issuer",
        "audience",
        "revocation",
        "scope",
        "binding",
        "policy",
    ];
    assert_eq!(checks, expected);
    assert_eq!(told["demanded"]["place"], "--audience");
}

/// Nobody outside can read an opaque token; the issuer's own word counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_opaque_token_is_called_good_by_its_issuer() {
    let site = Site::new(Engine::Sqlite, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;
    let form = [("grant_type", "client_credentials"), ("resource", VAULT)];
    let token = site.form("/token", "job", &form).await.text("access_token");
    assert!(token.starts_with("sym_at_"), "an opaque token");
    let file = site.folder.join("admin.token").display().to_string();
    let asked = [
        "--json",
        "--issuer",
        &site.issuer,
        "--audience",
        VAULT,
        "--scope",
        "read:vault",
        "--admin",
        &site.admin,
        "--admin-token-file",
        &file,
    ];
    let ask = async || explain(&[&asked[..], &[&token]].concat()).await;

    let good = ask().await;

    assert_eq!(
        (good.code, &good.json()["verdict"]),
        (Some(0), &json!("valid")),
        "{good:?}"
    );
    let form = [("token", &*token)];
    assert_eq!(site.form("/revoke", "job", &form).await.status, 200);
    let dead = ask().await;
    assert_eq!(
        (dead.code, &dead.json()["root"]),
        (Some(1), &json!("revoked_token")),
        "{dead:?}"
    );
    assert!(program.end().await.success());
}
