//! A graph behind the gateway as a process: the example as its README runs it,
//! and what `check` and a reload say of a schema with a mistake.

use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use crate::program::{Folder, PATIENCE, Said, command, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_runs_as_its_readme_says() {
    let folder = Folder::new();
    let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/graphql/run");
    let mut command = Command::new(run);
    command
        .arg("--once")
        .env("BINARY", env!("CARGO_BIN_EXE_symbolon"))
        .env("PYTHON", python)
        .env("DATA", folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in ["ISSUER_PORT", "GATEWAY_PORT", "ADMIN_PORT", "SERVICE_PORT"] {
        command.env(name, free_port().to_string());
    }

    let output = timeout(PATIENCE * 3, command.output()).await.unwrap();

    let said = Said::of(output.unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    let line = |name: &str| {
        let own = said.lines.iter().find(|line| line.starts_with(name));
        own.unwrap_or_else(|| panic!("{name}: {said:?}"))
    };
    let names = line("names");
    assert!(names.contains("Lamp") && names.contains("Alice"), "{names}");
    assert!(
        names.ends_with("(200)") && !names.contains("errors"),
        "{names}"
    );
    let hidden = line("e-mail without");
    assert!(
        hidden.contains("Alice") && !hidden.contains("alice@"),
        "{hidden}"
    );
    assert!(hidden.contains("UNAUTHORIZED_FIELD_OR_TYPE"), "{hidden}");
    assert!(
        hidden.contains(r#""path":["customers",0,"email"]"#),
        "{hidden}"
    );
    let shown = line("e-mail with its");
    assert!(shown.contains("alice@example.com"), "{shown}");
    let dear = line("too much");
    assert!(
        dear.contains("COST_EXCEEDED") && dear.ends_with("(400)"),
        "{dear}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_names_the_line_of_the_schema() {
    let folder = Folder::new();
    let head = "[gateway]\nissuer = 'http://127.0.0.1:1'\nintrospection_client = 'a'\nintrospection_secret = 'b'\n[[gateway.upstream]]\nname = 'a'\nurl = 'http://127.0.0.1:1'\n[[gateway.route]]\npath = '/a'\nupstream = 'a'\naudience = 'https://a.test'\nscopes = ['a']\n[gateway.route.graphql]\nschema = 'schema.graphql'\n";
    let file = folder.join("gateway.toml");
    let run = async |verb: &str, schema: &str, more: &str| {
        std::fs::write(&file, format!("{head}{more}")).unwrap();
        std::fs::write(folder.join("schema.graphql"), schema).unwrap();
        let mut command = command();
        command.args([verb, "--config"]).arg(&file);
        Said::of(command.output().await.unwrap())
    };
    let good = "type Query {\n  a: Int @requiresScopes(scopes: [[\"a\"]])\n}\n";
    let bad = "type Query {\n  a: Int @requiresScope(scopes: [[\"a\"]])\n}\n";
    let told = |said: &Said, part: &str| said.lines.iter().any(|line| line.contains(part));

    let right = run("check", good, "").await;
    let wrong = run("check", bad, "").await;
    let started = run("gateway", bad, "").await;
    let unknown = run("check", good, "max_costs = 1\n").await;
    let missing = run("check", good, "rules = 'rules.graphql'\n").await;

    assert_eq!(right.code, Some(0), "{right:?}");
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(told(&wrong, "schema.graphql:2:"), "{wrong:?}");
    assert_eq!(started.code, Some(1), "{started:?}");
    assert!(started.errors.contains("schema.graphql:2:"), "{started:?}");
    assert!(told(&unknown, "gateway.toml:15:"), "{unknown:?}");
    assert!(told(&missing, "rules.graphql"), "{missing:?}");
    assert_eq!((unknown.code, missing.code), (Some(1), Some(1)));
}
