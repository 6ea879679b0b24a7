//! What `symbolon dev` prints for people: every line that is meant to be copied
//! works as it stands, in a shell that knows nothing of the program.

use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::program::{Folder, PATIENCE, command, send};

/// Starts `dev` and reads what it prints, to its last line.
async fn greeted(data: &Path) -> (Child, String) {
    let mut command = command();
    command.args(["dev", "--port", "0", "--data"]).arg(data);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut text = String::new();
    let read = async {
        let mut bytes = [0; 16 * 1024];
        while !text.contains("Ctrl-C ends it.") {
            let size = output.read(&mut bytes).await.unwrap();
            assert!(size > 0, "it ended:\n{text}");
            text.push_str(std::str::from_utf8(&bytes[..size]).unwrap());
        }
    };
    timeout(PATIENCE, read).await.expect("nothing was printed");
    (child, text)
}

/// The lines that a heading is followed by, up to the next one.
fn below<'t>(text: &'t str, heading: &str) -> Vec<&'t str> {
    let rest = text
        .split_once(heading)
        .unwrap_or_else(|| panic!("no `{heading}` in {text}"))
        .1;
    let lines = rest.lines().skip(1).skip_while(|line| line.is_empty());
    let is_code = |line: &&str| line.is_empty() || line.starts_with("    ");
    lines.take_while(is_code).map(str::trim_end).collect()
}

/// Runs lines in a shell; answers its status and what it printed.
async fn shell(folder: &Path, lines: &[&str]) -> (i32, String) {
    let script = format!("{}\n", lines.join("\n"));
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script]).current_dir(folder);
    shell
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    let output = shell.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_to_copy_works_as_it_is_printed() {
    let folder = Folder::new();
    let here = folder.join("here");
    std::fs::create_dir(&here).unwrap();
    let (child, text) = greeted(&folder.join("a data folder")).await;

    let read = shell(&here, &below(&text, "Read an invoice")).await;
    assert!(
        read.0 == 0 && read.1.trim_end().ends_with("200"),
        "{read:?}"
    );
    let bad = shell(&here, &below(&text, "Try to delete it")).await;
    assert!(bad.0 == 0 && bad.1.trim_end().ends_with("403"), "{bad:?}");
    let explained = shell(&here, &below(&text, "Have the refusal explained")).await;
    assert_eq!(explained.0, 1, "{explained:?}");
    assert!(
        explained.1.starts_with("scope: needed `delete:invoices`"),
        "{explained:?}"
    );
    let renewed = shell(&here, &below(&text, "Get another:")).await;
    let renewed: Value = serde_json::from_str(&renewed.1).unwrap();
    assert!(renewed["access_token"].is_string(), "{renewed}");

    // An API of one's own, from registration to a token that it takes.
    let registered = shell(&here, &below(&text, "Register it,")).await;
    assert_eq!(registered.0, 0, "{registered:?}");
    let token = shell(&here, &below(&text, "Get a token for it")).await;
    let token: Value = serde_json::from_str(&token.1).unwrap();
    let token = token["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{token}"));
    let explain = below(&text, "Have the refusal explained");
    let program = explain[0].split_whitespace().next().unwrap();
    let issuer = text.split_once("issuer ").unwrap().1.trim_start();
    let issuer = issuer.split_whitespace().next().unwrap();
    let line = format!(
        "{program} token verify --issuer {issuer} --audience http://127.0.0.1:8099 --scope read:orders --client-id orders-api --client-secret-file orders-api.secret '{token}'"
    );
    let verified = shell(&here, &[&line]).await;
    assert_eq!(verified.0, 0, "{verified:?}");

    send(&child, Signal::TERM);
    let output = timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it did not end");
    assert!(output.unwrap().status.success());
}

/// The program that is printed is the example that the tests of the library
/// compile, with this server's addresses, and its dependencies are named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_that_is_printed_is_the_one_that_is_compiled() {
    let folder = Folder::new();
    let (child, text) = greeted(&folder.join("data")).await;
    send(&child, Signal::TERM);
    let issuer = text.split_once("issuer ").unwrap().1.trim_start();
    let issuer = issuer.split_whitespace().next().unwrap();
    let example = include_str!("../../../verify/examples/orders.rs");
    let compiled: Vec<_> = example
        .lines()
        .skip_while(|line| !line.starts_with("use "))
        .map(|line| line.replace("http://127.0.0.1:8080", issuer))
        .collect();

    let printed = below(&text, "src/main.rs:");
    let printed: Vec<_> = printed
        .iter()
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    assert_eq!(printed[..compiled.len()], compiled);

    let manifest = below(&text, "Cargo.toml:").join("\n");
    let path = manifest
        .split("path = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    assert!(Path::new(path).join("Cargo.toml").is_file(), "{path}");
    for name in ["axum", "symbolon-verify", "tokio"] {
        assert!(manifest.contains(&format!("{name} = ")), "{manifest}");
    }
    let readme = include_str!("../../../../README.md");
    let body = example.lines().skip_while(|line| !line.starts_with("use "));
    let body: Vec<_> = body.collect();
    assert!(
        readme.contains(&body.join("\n")),
        "README.md shows another program"
    );
}
