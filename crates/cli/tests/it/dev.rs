//! `symbolon dev`, and `symbolon token` on what it gives.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::program::{Folder, PATIENCE, Said, command, send};

/// How soon a built binary is ready: two seconds, and five times as much for a
/// build without optimisation on a machine that runs other tests.
const READY: Duration = Duration::from_secs(2 * 5);

/// A running `symbolon dev`.
pub(crate) struct Dev {
    child: Child,
    /// The line that scripts read.
    pub(crate) ready: Value,
    took: Duration,
}

impl Dev {
    pub(crate) async fn start(data: &Path) -> Self {
        let mut command = command();
        command
            .args(["dev", "--json", "--port", "0", "--data"])
            .arg(data);
        command.stderr(Stdio::null());
        Self::run(command).await
    }

    /// The same at TRACE, whose log goes to a file.
    pub(crate) async fn start_logging(data: &Path, log: &Path) -> Self {
        let mut command = command();
        command
            .args(["dev", "--json", "--port", "0", "--data"])
            .arg(data);
        command.envs([("SYMBOLON_LOG", "trace"), ("SYMBOLON_LOG_FORM", "text")]);
        command.stderr(std::fs::File::create(log).unwrap());
        Self::run(command).await
    }

    async fn run(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let begin = Instant::now();
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .expect("nothing was printed")
            .unwrap();
        let took = begin.elapsed();
        let ready = serde_json::from_str(&line.expect("it ended")).expect("the first line is JSON");
        Self { child, ready, took }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.ready[name]
            .as_str()
            .unwrap_or_else(|| panic!("no `{name}` in {}", self.ready))
    }

    pub(crate) async fn end(mut self) -> Option<i32> {
        send(&self.child, Signal::TERM);
        timeout(PATIENCE, self.child.wait())
            .await
            .expect("it did not end")
            .unwrap()
            .code()
    }

    /// `symbolon token VERB` for the demo API, with what else is given.
    async fn token(&self, verb: &str, data: &Path, arguments: &[&str]) -> Said {
        let mut command = command();
        command.args([
            "token",
            verb,
            "--issuer",
            self.text("issuer"),
            "--audience",
            self.text("gateway"),
        ]);
        command
            .args(["--client-id", "demo-api", "--client-secret-file"])
            .arg(data.join("demo-api.secret"));
        Said::of(command.args(arguments).output().await.unwrap())
    }
}

/// The status that a line for `curl` ends with, when a shell runs it.
async fn status_of(command: &str) -> u64 {
    let output = Command::new("sh")
        .args(["-c", command])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_line_holds_all_that_a_script_needs_and_both_commands_do_what_they_say() {
    let folder = Folder::new();
    let mut dev = Dev::start(&folder.join("data")).await;
    // Other tests may have the machine to themselves for a moment.
    for other in ["other", "third"] {
        if dev.took < READY {
            break;
        }
        assert_eq!(dev.end().await, Some(0));
        dev = Dev::start(&folder.join(other)).await;
    }
    assert!(dev.took < READY, "ready after {:?}", dev.took);
    for name in [
        "issuer",
        "gateway",
        "client_id",
        "client_secret",
        "username",
        "password",
        "admin_url",
        "access_token",
    ] {
        assert!(!dev.text(name).is_empty());
    }
    for name in ["good", "bad"] {
        let attempt = &dev.ready[name];
        let command = attempt["command"].as_str().unwrap();
        assert!(command.starts_with("curl "), "{command}");
        assert_eq!(
            Some(status_of(command).await),
            attempt["expect"].as_u64(),
            "{command}"
        );
    }
    assert_eq!(
        (&dev.ready["good"]["expect"], &dev.ready["bad"]["expect"]),
        (&200.into(), &403.into())
    );
    assert_eq!(dev.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_that_the_greeting_gets_again_works_too() {
    let folder = Folder::new();
    let dev = Dev::start(&folder.join("data")).await;
    let [id, secret, issuer, gateway] =
        ["client_id", "client_secret", "issuer", "gateway"].map(|name| dev.text(name));
    let renew = format!(
        "curl -s -u '{id}:{secret}' -d grant_type=client_credentials -d scope=read:invoices {issuer}/token"
    );
    let output = Command::new("sh")
        .args(["-c", &renew])
        .output()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let token = answer["access_token"].as_str().unwrap();
    let read =
        |header: &str| format!("curl -s -w '\\n%{{http_code}}\\n' {header} {gateway}/invoices/17");
    assert_eq!(
        status_of(&read(&format!("-H 'Authorization: Bearer {token}'"))).await,
        200
    );
    assert_eq!(status_of(&read("")).await, 401);
    assert_eq!(dev.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_says_the_cause_first_and_the_repair_second() {
    let folder = Folder::new();
    let data = folder.join("data");
    let dev = Dev::start(&data).await;
    let token = dev.text("access_token");
    let last = token.chars().last().unwrap();
    let changed = format!(
        "{}{}",
        &token[..token.len() - 1],
        if last == 'A' { 'Q' } else { 'A' }
    );

    let good = dev
        .token("explain", &data, &["--scope", "read:invoices", token])
        .await;
    let narrow = dev
        .token("explain", &data, &["--scope", "delete:invoices", token])
        .await;
    let forged = dev.token("explain", &data, &[&changed]).await;

    assert_eq!(good.code, Some(0), "{good:?}");
    assert_eq!(narrow.code, Some(1), "{narrow:?}");
    assert!(
        narrow
            .line(0)
            .starts_with("scope: needed `delete:invoices`"),
        "{narrow:?}"
    );
    assert!(
        narrow.line(1).starts_with("repair: ") && narrow.line(1).contains("delete:invoices"),
        "{narrow:?}"
    );
    assert_eq!(forged.code, Some(1), "{forged:?}");
    assert!(
        forged.line(0).starts_with("signature: ") && forged.line(1).starts_with("repair: "),
        "{forged:?}"
    );
    assert_eq!(dev.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_commands_end_with_zero_one_two_or_three() {
    let folder = Folder::new();
    let data = folder.join("data");
    let dev = Dev::start(&data).await;
    let token = dev.text("access_token").to_owned();
    let bare =
        async |arguments: &[&str]| Said::of(command().args(arguments).output().await.unwrap()).code;

    assert_eq!(dev.token("verify", &data, &[&token]).await.code, Some(0));
    assert_eq!(
        dev.token("verify", &data, &["--scope", "delete:invoices", &token])
            .await
            .code,
        Some(1)
    );
    assert_eq!(
        dev.token("verify", &data, &["--no-such-option", &token])
            .await
            .code,
        Some(2)
    );
    assert_eq!(
        dev.token("verify", &data, &["--algorithm", "none", &token])
            .await
            .code,
        Some(2)
    );
    assert_eq!(bare(&["token", "verify", &token]).await, Some(2));
    assert_eq!(
        bare(&[
            "token",
            "verify",
            "--issuer",
            dev.text("issuer"),
            "--audience",
            dev.text("gateway"),
            ""
        ])
        .await,
        Some(2)
    );
    assert_eq!(bare(&["token", "inspect", &token]).await, Some(0));
    assert_eq!(
        bare(&["token", "inspect", "this is no token"]).await,
        Some(1)
    );

    let inspected = Said::of(
        command()
            .args(["token", "inspect", "--json", &token])
            .output()
            .await
            .unwrap(),
    );
    let document: Value = serde_json::from_str(&inspected.lines.join("\n")).unwrap();
    assert_eq!(
        document["unverified_claims"]["iss"],
        dev.text("issuer"),
        "{}",
        inspected.errors
    );
    assert_eq!(dev.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_can_be_asked_a_token_is_neither_valid_nor_refused() {
    let folder = Folder::new();
    let dev = Dev::start(&folder.join("data")).await;
    let mut command = command();
    command.args(["token", "verify", "--issuer", dev.text("issuer")]);
    command.args(["--audience", dev.text("gateway"), dev.text("access_token")]);
    assert_eq!(dev.end().await, Some(0));

    let said = Said::of(command.output().await.unwrap());

    assert_eq!(said.code, Some(3), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_never_called_valid_where_nobody_asked() {
    let folder = Folder::new();
    let data = folder.join("data");
    let dev = Dev::start(&data).await;
    let unasked = async |verb: &str, more: &[&str]| {
        let mut command = command();
        command.args(["token", verb, "--issuer", dev.text("issuer")]);
        command.args(["--audience", dev.text("gateway"), dev.text("access_token")]);
        Said::of(command.args(more).output().await.unwrap())
    };
    let mut revoke = command();
    let admin = dev.text("admin_url").split("/status").next().unwrap();
    revoke.args([
        "revoke",
        "--client",
        "demo",
        "--admin",
        admin,
        "--admin-token-file",
    ]);
    revoke.arg(data.join("admin.token"));
    assert!(revoke.output().await.unwrap().status.success());

    for verb in ["verify", "explain"] {
        let plain = unasked(verb, &[]).await;
        assert_eq!(plain.code, Some(3), "{plain:?}");
        assert!(plain.line(0).starts_with("cannot know: "), "{plain:?}");
        let json = unasked(verb, &["--json"]).await;
        let document: Value = serde_json::from_str(&json.lines.join("\n")).unwrap();
        assert_eq!(document["verdict"], "cannot_know");
        assert_eq!(document["code"], "revocation_not_asked");
        assert_eq!(document["checks"][4]["outcome"], "not_asked", "{document}");
        let content = unasked(verb, &["--at-expiry"]).await;
        assert_eq!(content.code, Some(0), "{content:?}");
        assert!(
            content
                .line(0)
                .contains("but revocation, which was not asked"),
            "{content:?}"
        );
        // What can be known without asking is still said.
        let narrow = unasked(verb, &["--scope", "delete:invoices"]).await;
        assert_eq!(narrow.code, Some(1), "{narrow:?}");
        let asked = dev.token(verb, &data, &[dev.text("access_token")]).await;
        assert_eq!(asked.code, Some(1), "{asked:?}");
    }
    assert_eq!(dev.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_on_the_same_data_keeps_what_the_first_made() {
    let folder = Folder::new();
    let data = folder.join("data");
    let first = Dev::start(&data).await;
    let made = ["client_secret", "password"].map(|name| first.text(name).to_owned());
    assert_eq!(first.end().await, Some(0));

    let second = Dev::start(&data).await;

    assert_eq!(
        made,
        ["client_secret", "password"].map(|name| second.text(name).to_owned())
    );
    assert_eq!(
        status_of(second.ready["good"]["command"].as_str().unwrap()).await,
        200
    );
    assert_eq!(second.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_beside_the_first_changes_nothing_of_it() {
    let folder = Folder::new();
    let data = folder.join("data");
    let first = Dev::start(&data).await;
    let config = data.join("symbolon.toml");
    let before = std::fs::read_to_string(&config).unwrap();

    let second = Command::new(env!("CARGO_BIN_EXE_symbolon"))
        .args(["dev", "--json", "--port", "0", "--data"])
        .arg(&data)
        .output()
        .await
        .unwrap();

    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("error[store.locked]"), "{said}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), before);
    assert_eq!(
        status_of(first.ready["good"]["command"].as_str().unwrap()).await,
        200
    );
    assert_eq!(first.end().await, Some(0));
}

/// Attack: E169, O382
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_may_read_the_data_whatever_the_umask_says() {
    let folder = Folder::new();
    let data = folder.join("data");
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "umask 000; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_symbolon"),
    ]);
    shell
        .args(["dev", "--json", "--port", "0", "--data"])
        .arg(&data)
        .kill_on_drop(true);
    let dev = Dev::run(shell).await;

    let mut waiting = vec![data.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(path) = waiting.pop() {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
            files.push(path);
        }
    }

    let names: Vec<_> = files
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .collect();
    for name in [
        "symbolon.db",
        "master.key",
        "admin.token",
        "secrets.json",
        "symbolon.toml",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(dev.end().await, Some(0));
}
