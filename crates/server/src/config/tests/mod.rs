//! Tests of the configuration file.

mod bad;
mod beside;
mod browser;
mod environment;
mod gateway;
mod good;
mod mcp;
mod policy;
mod reference;
mod secret;
mod unwise;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A folder of one test alone.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("symbolon-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        self.write_with_mode(name, text, 0o600)
    }

    fn write_with_mode(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn load(&self, text: &str) -> Loaded {
        self.load_with(text, &[])
    }

    fn load_with(&self, text: &str, variables: &[(&str, &str)]) -> Loaded {
        let path = self.write("symbolon.toml", text);
        let variables = variables.iter();
        Config::load(
            &path,
            variables.map(|(name, value)| ((*name).into(), (*value).into())),
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Everything that was found, wrong or unwise.
fn findings(loaded: &Loaded) -> &[Finding] {
    match loaded {
        Ok((_, findings)) | Err(findings) => findings,
    }
}

/// What was found, as `code:line`.
fn marks(loaded: &Loaded) -> Vec<String> {
    let mark = |finding: &Finding| {
        let line = finding
            .location
            .as_ref()
            .map_or(0, |location| location.line);
        format!("{}:{line}", finding.code)
    };
    findings(loaded).iter().map(mark).collect()
}

fn printed(loaded: &Loaded) -> String {
    let lines: Vec<_> = findings(loaded).iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Every row must be found with the severity, at the line, with reason and
/// repair; nothing else may be wrong.
fn check_rows(rows: &[(&str, &str, u32)], severity: Severity) {
    let folder = Folder::new();
    for (text, code, line) in rows {
        let loaded = folder.load(text);
        let found = findings(&loaded).iter().find(|finding| {
            let at = finding.location.as_ref().unwrap();
            finding.code == *code && at.line == *line && finding.severity == severity
        });
        let all = printed(&loaded);
        assert!(
            found.is_some(),
            "{text}\nwants {code} at {line}, has\n{all}"
        );
        assert_eq!(
            loaded.is_err(),
            severity == Severity::Error,
            "{text}\n{all}"
        );
        for finding in findings(&loaded) {
            assert!(!finding.message.is_empty(), "{finding}");
            assert!(!finding.reason.is_empty(), "{finding}");
            assert!(!finding.repair.is_empty(), "{finding}");
            assert!(!finding.message.ends_with('.'), "{finding}");
        }
        if severity == Severity::Error {
            let errors = findings(&loaded)
                .iter()
                .filter(|finding| finding.is_error());
            assert_eq!(errors.count(), 1, "{text}\n{all}");
        }
    }
}
