//! Where secrets come from, and that they are never shown.

use super::*;

const LONG: &str = "0123456789abcdef0123456789abcdef";

fn service(secret: &str) -> String {
    format!(
        "issuer = 'http://127.0.0.1:8080'\n[[client]]\nid = 'svc'\nkind = 'service'\ngrants = ['client_credentials']\n{secret}\n"
    )
}

fn secret_of(loaded: Loaded) -> String {
    let (config, findings) = loaded.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    config.clients[0]
        .secret
        .as_ref()
        .unwrap()
        .expose_str()
        .to_owned()
}

#[test]
fn a_secret_comes_from_a_file_a_variable_or_a_program() {
    let folder = Folder::new();
    folder.write("svc.secret", &format!("{LONG}\r\n"));
    folder.write_with_mode("say", &format!("#!/bin/sh\necho {LONG}\n"), 0o700);
    let variables = [("SVC", LONG), ("SYMBOLON_SVC__SECRET", LONG)];
    for line in [
        "secret = '0123456789abcdef0123456789abcdef'",
        "secret_file = 'svc.secret'",
        "secret_env = 'SVC'",
        "secret_env = 'SYMBOLON_SVC__SECRET'",
        "secret_command = 'cat svc.secret'",
        "secret_command = './say'",
        "secret_command = ['sh', '-c', 'printf %s \"$SVC\"']",
    ] {
        let variables = match line.contains("SYMBOLON") {
            true => &variables[..],
            false => &variables[..1],
        };
        assert_eq!(
            secret_of(folder.load_with(&service(line), variables)),
            LONG,
            "{line}"
        );
    }
}

#[test]
fn a_secret_that_cannot_be_had_is_said() {
    let folder = Folder::new();
    folder.write("empty", "\n");
    for (line, code) in [
        ("secret_file = 'missing'", "secret.file.unreadable"),
        ("secret_file = 'empty'", "secret.empty"),
        ("secret_env = 'NOT_SET'", "secret.env.missing"),
        ("secret_command = 'false'", "secret.command.failed"),
        (
            "secret_command = 'no-such-program-here'",
            "secret.command.failed",
        ),
        ("secret_command = 'echo $HOME'", "secret.command.invalid"),
        ("secret_command = []", "secret.command.invalid"),
        ("secret_command = 'true'", "secret.empty"),
        ("secret = 5", "secret.invalid"),
        ("secret = ''", "secret.empty"),
    ] {
        let loaded = folder.load(&service(line));
        assert_eq!(marks(&loaded), [format!("{code}:6")], "{line}");
    }
}

#[test]
fn a_program_that_says_nothing_in_time_is_ended() {
    let folder = Folder::new();
    let text = service("secret_command = 'sleep 60'");
    let path = folder.write("symbolon.toml", &text);
    let written = Written {
        text: &text,
        file: "symbolon.toml",
        path: &path,
    };

    let loaded = written.read(BTreeMap::new(), Duration::from_millis(50));

    assert_eq!(marks(&loaded), ["secret.command.timeout:6"]);
}

#[test]
fn a_file_that_others_can_read_is_unwise() {
    let folder = Folder::new();
    folder.write_with_mode("svc.secret", LONG, 0o644);
    let loaded = folder.load(&service("secret_file = 'svc.secret'"));
    assert_eq!(marks(&loaded), ["secret.file.readable:6"]);

    let inline = service(&format!("secret = '{LONG}'"));
    let path = folder.write_with_mode("open.toml", &inline, 0o644);
    let loaded = Config::load(&path, []);
    assert_eq!(marks(&loaded), ["secret.file.readable:0"]);
}

#[test]
fn a_file_without_secrets_may_be_read_by_everybody() {
    let folder = Folder::new();
    let path = folder.write_with_mode("example.toml", example(), 0o644);
    assert_eq!(printed(&Config::load(&path, [])), "");
}

const MASTER: &str = "5f1d3b9a7c02e4866d81f0a39b4c7e2510d9ab63cf7284e1b05c96d83a417efb";

#[test]
fn a_master_key_with_which_nothing_starts_is_said() {
    let text = "issuer = 'http://127.0.0.1:8080'\n[store]\nmaster_key_file = 'own.key'";
    for (key, expected) in [
        (Some("zz"), &["store.master_key.invalid:3"][..]),
        (Some(""), &["store.master_key.invalid:3"]),
        (Some(&*"00".repeat(32)), &["store.master_key.invalid:3"]),
        (Some(MASTER), &[]),
        (None, &[]),
    ] {
        let folder = Folder::new();
        if let Some(key) = key {
            folder.write("own.key", key);
        }

        let loaded = folder.load(text);

        assert_eq!(marks(&loaded), expected, "{key:?}");
        assert!(expected.is_empty() || printed(&loaded).contains("own.key"));
    }
    let folder = Folder::new();
    let bare = "issuer = 'http://127.0.0.1:8080'";
    let variable = |key| folder.load_with(bare, &[("SYMBOLON_STORE__MASTER_KEY", key)]);
    assert_eq!(marks(&variable("aa")), ["store.master_key.invalid:0"]);
    assert!(marks(&variable(MASTER)).is_empty());
    let before = |key: &str| {
        folder.write("former.key", key);
        folder.load(
            "issuer = 'http://127.0.0.1:8080'\n[store]\nprevious_master_key_file = 'former.key'",
        )
    };
    assert_eq!(marks(&before("aa")), ["store.master_key.invalid:3"]);
    assert!(marks(&before(MASTER)).is_empty());
}

#[test]
fn an_administrators_token_with_which_nothing_starts_is_said() {
    let text = "issuer = 'http://127.0.0.1:8080'\n[admin]\ntoken_file = 'own.token'";
    for (token, expected) in [
        (Some(&b"too short\n"[..]), &["admin.token.short:3"][..]),
        (Some(&[0xff; 40]), &["secret.file.unreadable:3"]),
        (Some(LONG.as_bytes()), &[]),
        (None, &[]),
    ] {
        let folder = Folder::new();
        if let Some(token) = token {
            let path = folder.write("own.token", "");
            fs::write(path, token).unwrap();
        }

        let loaded = folder.load(text);

        assert_eq!(marks(&loaded), expected, "{}", printed(&loaded));
        assert!(!printed(&loaded).contains("too short"));
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let folder = Folder::new();
    let secrets = [
        "hunter2-client",
        "hunter2-admin",
        "hunter2-person",
        "hunter2-master",
    ];
    let good = format!(
        "issuer = 'http://127.0.0.1:8080'\n[store]\nmaster_key_env = 'MASTER'\n[admin]\ntoken = '{}'\n[[client]]\nid = 'svc'\nkind = 'service'\ngrants = ['client_credentials']\nsecret = '{}'\n[[user]]\nusername = 'alice'\npassword = '{}'\n",
        secrets[1], secrets[0], secrets[2]
    );
    let bad = good
        .replace("secret =", "secret_env = 'X'\nsecret =")
        .replace("password =", "password_hash =");
    let numbers = good.replace("secret = 'hunter2-client'", "secret = ['hunter2-client']");
    for text in [good, bad, numbers] {
        let loaded = folder.load_with(&text, &[("MASTER", secrets[3])]);
        let shown = format!("{loaded:?}\n{}", printed(&loaded));
        for secret in secrets {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
