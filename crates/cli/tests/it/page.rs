//! What the pages in `docs/` tell people to run, read out of them and run: a
//! page and its test cannot part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::program::{Said, Site};

/// The text of a page.
pub(crate) fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

/// The rows of the table below a heading, cell by cell, without the head.
pub(crate) fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let after = page.split(&format!("\n## {heading}\n")).nth(1);
    let part = after.unwrap().split("\n## ").next().unwrap();
    let rows = part.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| {
        let cells = row.trim_matches(['|', ' ']).split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

/// What stands between backticks in a cell.
pub(crate) fn code(cell: &str) -> Vec<String> {
    let parts = cell.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The blocks that are marked `sh rehearsed: NAME`, by name, in their order.
pub(crate) fn rehearsed(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("\n```sh rehearsed: ").skip(1);
    blocks
        .map(|block| {
            let (name, rest) = block.split_once('\n').unwrap();
            let script = rest.split("\n```").next().unwrap();
            (name.to_owned(), script.to_owned())
        })
        .collect()
}

/// The key that a JWT says it was signed by.
pub(crate) fn kid(jwt: &str) -> String {
    use base64::Engine as _;
    let header = jwt.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header);
    let header: serde_json::Value = serde_json::from_slice(&header.unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

/// A shell in the folder of an installation, in which `symbolon` is the binary
/// of this test and administers that installation.
pub(crate) struct Shell {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
}

impl Shell {
    pub(crate) fn at(site: &Site) -> Self {
        let folder = site.folder.join("");
        let bin = site.folder.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let link = bin.join("symbolon");
        if !link.exists() {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_symbolon"), &link).unwrap();
        }
        let configuration = site.folder.join("symbolon.toml");
        if !configuration.exists() {
            std::os::unix::fs::symlink(site.configuration(), configuration).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let token = site.folder.join("admin.token");
        let environment = [
            ("PATH", format!("{}:{path}", bin.display())),
            ("SYMBOLON_ADMIN_URL", site.admin.clone()),
            ("SYMBOLON_ADMIN_TOKEN_FILE", token.display().to_string()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        Self {
            folder,
            environment: environment.into(),
        }
    }

    /// Says what a name in the page stands for.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Runs a script as it stands in the page; nothing of it may fail.
    pub(crate) async fn run(&self, script: &str) -> Said {
        let said = self.attempt(script).await;
        assert_eq!(said.code, Some(0), "{script}\n{said:?}");
        said
    }

    /// The same, whatever comes of it.
    pub(crate) async fn attempt(&self, script: &str) -> Said {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script])
            .current_dir(&self.folder)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Said::of(bash.output().await.unwrap())
    }
}
