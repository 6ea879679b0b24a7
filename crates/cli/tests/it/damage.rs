//! R06: an installation whose files are damaged does not start, and says what
//! to do; the doctor says the same, also beside a server that works.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::configuration::VAULT;
use crate::program::{Engine, Plan, Said, Site};

/// An installation that has worked, and was killed: its log is not copied back.
async fn killed() -> Site {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let program = site.start().await;
    let form = [("grant_type", "client_credentials"), ("resource", VAULT)];
    for _ in 0..8 {
        let token = site.form("/token", "job", &form).await.text("access_token");
        let form = [("token", &*token)];
        assert_eq!(site.form("/revoke", "job", &form).await.status, 200);
    }
    program.kill().await;
    site
}

fn change(site: &Site, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = site.folder.join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
}

async fn symptom(site: &Site, code: &str) -> Value {
    let said = site.run(&["doctor", "--json"]).await;
    let found = said.json()["symptoms"].as_array().unwrap().clone();
    let own = found.iter().find(|own| own["code"] == code).cloned();
    own.unwrap_or_else(|| panic!("{code}: {found:#?}"))
}

fn assert_refused(said: &Said, code: &str, words: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.errors.contains(&format!("error[{code}]")), "{said:?}");
    assert!(said.errors.contains(words), "{said:?}");
    assert!(!said.errors.contains("panicked"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_or_database_is_refused_and_the_doctor_says_why() {
    for (file, words) in [
        ("symbolon.db-wal", "the head of its log is damaged"),
        ("symbolon.db", "is damaged"),
    ] {
        let site = killed().await;
        if file == "symbolon.db" {
            // Copied back, so that no log stands before it.
            assert!(site.start().await.end().await.success());
            change(&site, file, |bytes| bytes[100..4096].fill(0x5a));
        } else {
            // Of the salt, which every frame repeats.
            change(&site, file, |log| log[17] ^= 1);
        }

        let refused = site.run(&["serve"]).await;

        assert_refused(&refused, "store.damaged", words);
        assert!(refused.errors.contains("symbolon restore"), "{refused:?}");
        let told = symptom(&site, "doctor.damage").await;
        assert_eq!(told["health"], "error");
        assert!(told["message"].as_str().unwrap().contains(words), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_or_broken_master_key_is_refused_and_told() {
    let site = killed().await;
    let good = std::fs::read_to_string(site.folder.join("master.key")).unwrap();
    assert!(site.start().await.end().await.success());
    assert_eq!(symptom(&site, "doctor.master_key").await["health"], "good");
    let other: String = good.trim().chars().rev().collect();

    for (key, words) in [
        (other.as_str(), "master key"),
        (&good[..40], "64 random hexadecimal digits"),
        ("", "64 random hexadecimal digits"),
    ] {
        std::fs::write(site.folder.join("master.key"), key).unwrap();

        let refused = site.run(&["serve"]).await;

        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.errors.contains("master"), "{words}: {refused:?}");
        assert!(!refused.errors.contains(&good[..16]), "{refused:?}");
        let checked = site.run(&["check"]).await;
        let doctor = site.run(&["doctor", "--json"]).await;
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
        if key.len() != good.trim().len() {
            assert_eq!(checked.code, Some(1), "{checked:?}");
        } else {
            let told = symptom(&site, "doctor.master_key").await;
            assert_eq!(told["health"], "error", "{told}");
        }
    }

    std::fs::write(site.folder.join("master.key"), &good).unwrap();
    assert!(
        site.start().await.end().await.success(),
        "nothing was changed"
    );
}

/// Without its key file a server of an installation that has keys makes none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_master_key_is_told() {
    let site = killed().await;
    let path: PathBuf = site.folder.join("master.key");
    let good = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();

    let told = symptom(&site, "doctor.master_key").await;
    let refused = site.run(&["serve"]).await;

    assert_eq!(told["health"], "error", "{told}");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.errors.contains("error[keys]"), "{refused:?}");
    assert!(!path.exists(), "another key stands in its place");
    std::fs::write(&path, good).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(site.start().await.end().await.success());
}
