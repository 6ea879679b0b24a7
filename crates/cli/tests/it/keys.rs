//! The master key: replaced while the process is killed, and kept in a token
//! that it never leaves.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::browser::http;
use crate::configuration::VAULT;
use crate::program::{Engine, Site, command, number};

/// How often the command is killed.
fn kills() -> usize {
    let rows = std::env::var("SYMBOLON_LONG_ROWS").unwrap_or_default();
    let is_long = std::env::var("SYMBOLON_LONG").is_ok_and(|long| long == "1")
        && (rows.is_empty() || rows.split(' ').any(|one| one == "R21"));
    if is_long { 100 } else { 6 }
}

async fn token(site: &Site) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("resource", VAULT),
        ("scope", "read:vault"),
    ];
    let request = http()
        .post(format!("{}/token", site.issuer))
        .basic_auth("job", Some(&site.words.job))
        .form(&form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["access_token"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

async fn is_active(site: &Site, token: &str) -> bool {
    let request = http()
        .post(format!("{}/introspect", site.issuer))
        .basic_auth("orders-api", Some(&site.words.api))
        .form(&[("token", token)]);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["active"] == true
}

/// Writes other lines in the place of the one that names the master key.
fn configure(site: &Site, lines: &str) {
    let path = site.configuration();
    let text = std::fs::read_to_string(&path).unwrap();
    let other = text
        .lines()
        .filter(|line| !line.contains("master_key"))
        .map(|line| match line {
            "[store]" => format!("[store]\n{lines}"),
            line => line.to_owned(),
        });
    std::fs::write(&path, other.collect::<Vec<_>>().join("\n")).unwrap();
}

fn random_key(path: &Path) {
    let words: Vec<String> = (0..4).map(|_| format!("{:016x}", number())).collect();
    std::fs::write(path, words.concat()).unwrap();
}

/// Runs `keys rewrap`; it is killed after a while where that is given.
async fn rewrap(site: &Site, kill_after: Option<Duration>) -> (bool, String) {
    let mut command = command();
    command
        .args(["keys", "rewrap", "--config"])
        .arg(site.configuration())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let Some(after) = kill_after {
        tokio::time::sleep(after).await;
        // Where it has ended already, nothing is killed.
        drop(child.kill().await);
    }
    let output = child.wait_with_output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

async fn a_new_master_key_wraps_all_keys_whenever_it_is_killed(engine: Engine) {
    let site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    let program = site.start().await;
    let before = token(&site).await;
    assert!(program.end().await.success());
    let mut old = "master.key".to_owned();

    for round in 0..kills() {
        let new = format!("master-{round}.key");
        random_key(&site.folder.join(&new));
        configure(
            &site,
            &format!("master_key_file = \"{new}\"\nprevious_master_key_file = \"{old}\""),
        );
        let after = Duration::from_micros(number() % 120_000);
        rewrap(&site, Some(after)).await;

        // Killed or not, both keys together open everything.
        let program = site.start().await;
        assert!(is_active(&site, &before).await, "round {round}");
        assert!(program.end().await.success());

        let (is_done, said) = rewrap(&site, None).await;
        assert!(is_done, "{said}");
        let (_, said) = rewrap(&site, None).await;
        assert!(said.contains("all keys are sealed"), "{said}");
        old = new;
    }
    configure(&site, &format!("master_key_file = \"{old}\""));
    let program = site.start().await;
    assert!(is_active(&site, &before).await);
    let log = site.printed();
    assert!(!log.contains("error"), "{log}");
    assert!(program.end().await.success());

    configure(&site, "master_key_file = \"master.key\"");
    let mut stranger = command();
    stranger
        .args(["serve", "--config"])
        .arg(site.configuration())
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let output = stranger.spawn().unwrap().wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("another master key"), "{said}");
}

on_both_engines! { a_new_master_key_wraps_all_keys_whenever_it_is_killed }

#[cfg(feature = "pkcs11")]
mod token_of_its_own {
    use super::*;

    const PIN: &str = "48291";

    /// Where Debian puts the library of SoftHSM.
    fn module() -> &'static str {
        let places = [
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
            "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        ];
        let found = places.into_iter().find(|place| Path::new(place).exists());
        found.expect("the Debian package softhsm2 is missing; `./test` installs it")
    }

    /// A token of the test's own with an AES key that never leaves it.
    async fn make_token(site: &Site) -> String {
        let folder = site.folder.join("tokens");
        std::fs::create_dir_all(&folder).unwrap();
        let config = site.folder.join("softhsm2.conf");
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        std::fs::write(site.folder.join("pin"), PIN).unwrap();
        run(
            &config,
            "softhsm2-util",
            &[
                "--init-token",
                "--free",
                "--label",
                "symbolon",
                "--pin",
                PIN,
                "--so-pin",
                "938475",
            ],
        )
        .await;
        run(
            &config,
            "pkcs11-tool",
            &[
                "--module",
                module(),
                "--token-label",
                "symbolon",
                "--login",
                "--pin",
                PIN,
                "--keygen",
                "--key-type",
                "AES:32",
                "--label",
                "master",
                "--sensitive",
            ],
        )
        .await;
        format!(
            "pkcs11:token=symbolon;object=master?module-path={}&pin-source=file:{}",
            module(),
            site.folder.join("pin").display()
        )
    }

    async fn run(config: &Path, program: &str, arguments: &[&str]) {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env("SOFTHSM2_CONF", config);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {said}");
    }

    #[tokio::test]
    async fn the_master_key_stays_in_its_token_and_moves_there_from_a_file() {
        let mut site = Site::new(Engine::Sqlite, "http://127.0.0.1:3000/callback").await;
        let program = site.start().await;
        let before = token(&site).await;
        assert!(program.end().await.success());
        let uri = make_token(&site).await;
        let softhsm = site.folder.join("softhsm2.conf").display().to_string();
        site.environment
            .push(("SOFTHSM2_CONF".to_owned(), softhsm.clone()));

        configure(
            &site,
            &format!("master_key_pkcs11 = \"{uri}\"\nprevious_master_key_file = \"master.key\""),
        );
        let mut command = command();
        command
            .args(["keys", "rewrap", "--config"])
            .arg(site.configuration())
            .env("SOFTHSM2_CONF", &softhsm);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        configure(&site, &format!("master_key_pkcs11 = \"{uri}\""));
        std::fs::remove_file(site.folder.join("master.key")).unwrap();

        let program = site.start().await;
        assert!(is_active(&site, &before).await);
        let after = token(&site).await;
        assert!(is_active(&site, &after).await);
        assert!(program.end().await.success());
        assert!(!site.folder.join("master.key").exists(), "none was made");
    }
}
