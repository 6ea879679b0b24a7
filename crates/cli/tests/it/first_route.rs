//! What somebody does who has not seen this before: the first route of the
//! README and of docs/gateway.md, command by command as it stands there; and what
//! they are told where they got something wrong.

use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use crate::program::{Folder, PATIENCE, Said, command, free_port};

const README: &str = include_str!("../../../../README.md");
const GATEWAY: &str = include_str!("../../../../docs/gateway.md");
const BROWSER: &str = include_str!("../../../../docs/browser.md");
#[cfg(feature = "cedar")]
const POLICY: &str = include_str!("../../../../docs/policy.md");

/// The blocks of a language in a page.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let begin = format!("```{language}\n");
    let parts = page.split(&*begin).skip(1);
    parts.filter_map(|own| own.split("```").next()).collect()
}

/// The block that begins with a line, or has it.
fn block<'p>(page: &'p str, language: &str, word: &str) -> &'p str {
    let all = blocks(page, language);
    let found = all.into_iter().find(|own| own.contains(word));
    found.unwrap_or_else(|| panic!("no block with `{word}`"))
}

/// Runs a script where the binary is on the path.
async fn bash(folder: &Folder, script: &str, environment: &[(&str, String)]) -> Said {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_symbolon"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut shell = Command::new("bash");
    shell
        .args(["-c", script])
        .current_dir(folder.join(""))
        .env("PATH", path)
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(PATIENCE * 2, shell.output()).await;
    Said::of(output.expect("it does not end").unwrap())
}

/// Does what a page says, with ports of its own.
async fn follow(page: &str) {
    let folder = Folder::new();
    let ports = ["8080", "8081", "9000"].map(|own| (own, free_port().to_string()));
    let here = |text: &str| {
        let mut text = text.to_owned();
        for (theirs, own) in &ports {
            text = text.replace(theirs, own);
        }
        text
    };
    let file = here(block(page, "toml", "# symbolon.toml"));
    std::fs::write(folder.join("symbolon.toml"), file).unwrap();
    let wait = "for try in $(seq 300); do curl -s -o /dev/null 127.0.0.1:8080/healthz && curl -s -o /dev/null 127.0.0.1:8081 && curl -s -o /dev/null 127.0.0.1:9000 && break; sleep 0.1; done\n";
    let script = [
        "trap 'kill $(jobs -p)' EXIT\n",
        &here(block(page, "sh", "openssl rand")),
        &here(wait),
        &here(block(page, "sh", "token=")),
    ];

    let free = || format!("127.0.0.1:{}", free_port());
    let environment = [
        ("SYMBOLON_ADMIN__LISTEN", free()),
        ("SYMBOLON_GATEWAY__ADMIN_LISTEN", free()),
    ];
    let said = bash(&folder, &script.concat(), &environment).await;

    let text = said.lines.join("\n");
    assert!(text.contains("0 mistakes, 0 warnings"), "{said:?}");
    // A body without a line break stands right before the next head.
    let heads = text.split("HTTP/1.1 ").skip(1);
    let statuses: Vec<&str> = heads.filter_map(|own| own.get(..3)).collect();
    assert_eq!(statuses, ["200", "401", "403"], "{said:?}");
    for word in [
        "seven",
        "scope: needed `write:orders`, the token has `read:orders`",
        "demanded by gateway.route.scopes = write:orders (symbolon.toml:",
    ] {
        assert!(text.contains(word), "{word}: {said:?}");
    }
    assert!(!text.contains("none that is known"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_route_of_the_readme_stands_as_it_is_written() {
    follow(README).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_route_of_the_guide_stands_as_it_is_written() {
    follow(GATEWAY).await;
}

/// Checks a file as a newcomer does.
async fn check(folder: &Folder, file: &str, text: &str) -> Said {
    use std::os::unix::fs::PermissionsExt;

    for name in ["orders-api.secret", "reader.secret", "shop.secret"] {
        std::fs::write(folder.join(name), "0123456789abcdef0123456789abcdef").unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.join(name), private).unwrap();
    }
    let path = folder.join(file);
    std::fs::write(&path, text).unwrap();
    let mut command = command();
    command.args(["check", "--config"]).arg(&path);
    Said::of(command.output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_the_guides_is_without_a_mistake() {
    let folder = Folder::new();
    let own = block(GATEWAY, "toml", "# gateway.toml");
    let browser = block(BROWSER, "toml", "# gateway.toml");
    let client = block(BROWSER, "toml", "# symbolon.toml");
    let client = format!("issuer = \"https://login.example.com\"\n{client}");

    for (file, text) in [
        ("gateway.toml", own),
        ("gateway.toml", browser),
        ("symbolon.toml", &*client),
    ] {
        let said = check(&folder, file, text).await;
        assert_eq!(said.code, Some(0), "{file}: {said:?}");
    }
}

#[cfg(feature = "cedar")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policies_of_the_guide_name_what_its_file_has() {
    let folder = Folder::new();
    let cedar = block(POLICY, "cedar", "@id");
    std::fs::write(folder.join("orders.cedar"), cedar).unwrap();
    let policy = block(POLICY, "toml", "# gateway.toml");
    let around = block(GATEWAY, "toml", "# gateway.toml");
    let text = format!("{around}\n{policy}");

    let good = check(&folder, "gateway.toml", &text).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    let case = block(POLICY, "toml", "[[case]]");
    std::fs::write(folder.join("cases.toml"), case).unwrap();
    let test = "symbolon policy test --config gateway.toml cases.toml";
    let asked = bash(&folder, test, &[]).await;
    assert_eq!(asked.code, Some(0), "{asked:?}");

    // The name that is not there: told where, and with what is.
    let unnamed = text.replace("name = \"payments\"", "# name");
    let bad = check(&folder, "gateway.toml", &unnamed).await;
    assert_eq!(bad.code, Some(1), "{bad:?}");
    let told = bad.lines.join("\n");
    let line = 1 + cedar
        .lines()
        .position(|own| own.contains("Route::"))
        .unwrap();
    assert!(
        told.contains(&format!("orders.cedar:{line}:")) && told.contains("policy.route.unknown"),
        "{told}"
    );
    assert!(told.contains("`/health`, `/payments`"), "{told}");
    let refused = bash(&folder, test, &[]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let case = case.replace("route = \"payments\"", "route = \"orders\"");
    std::fs::write(folder.join("cases.toml"), case).unwrap();
    check(&folder, "gateway.toml", &text).await;
    let refused = bash(&folder, test, &[]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("no route"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_on_its_issuers_database_is_told_to_have_its_own() {
    let folder = Folder::new();
    let (issuer, gateway) = (free_port(), free_port());
    let server = format!(
        "issuer = \"http://127.0.0.1:{issuer}\"\nlisten = \"127.0.0.1:{issuer}\"\n[admin]\nlisten = \"127.0.0.1:{}\"\n",
        free_port()
    );
    check(&folder, "symbolon.toml", &server).await;
    let own = block(BROWSER, "toml", "# gateway.toml")
        .replace(
            "https://login.example.com",
            &format!("http://127.0.0.1:{issuer}"),
        )
        .replace(
            "https://shop.example.com",
            &format!("http://127.0.0.1:{gateway}"),
        )
        .replace("127.0.0.1:8081", &format!("127.0.0.1:{gateway}"))
        .replace("[gateway]\n", "[gateway]\nadmin_listen = \"\"\n");
    let same = own.replace("data/gateway.db", "data/symbolon.db");
    check(&folder, "same.toml", &same).await;
    check(&folder, "own.toml", &own).await;
    // One that says nothing of a store has its own as well.
    let silent = own.split_once("[gateway]").unwrap().1;
    check(&folder, "gateway.toml", &format!("[gateway]{silent}")).await;
    let start = format!(
        "trap 'kill $(jobs -p)' EXIT\nsymbolon serve --config symbolon.toml >serve.log 2>&1 &\nfor try in $(seq 300); do curl -s -o /dev/null 127.0.0.1:{issuer}/healthz && break; sleep 0.1; done\n"
    );

    let held = format!("{start}symbolon gateway --config same.toml");
    let held = bash(&folder, &held, &[]).await;

    assert_eq!(held.code, Some(1), "{held:?}");
    assert!(held.errors.contains("error[store.locked]"), "{held:?}");
    assert!(held.errors.contains("sqlite://data/gateway.db"), "{held:?}");
    assert!(!held.lines.concat().contains("\"ready\""), "{held:?}");
    for file in ["own.toml", "gateway.toml"] {
        let started = format!(
            "{start}symbolon gateway --config {file} >{file}.log 2>&1 &\nfor try in $(seq 300); do grep -q '\"ready\"' {file}.log && exit 0; sleep 0.1; done; cat {file}.log; exit 1"
        );
        let started = bash(&folder, &started, &[]).await;
        assert_eq!(started.code, Some(0), "{file}: {started:?}");
    }
}
