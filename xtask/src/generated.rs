//! The generated files of the repository: what makes each, and whether it is up to date.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{attack_coverage, spec_coverage};

/// What to do with the generated files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Write them.
    Write,
    /// Compare them with what would be written, and change nothing.
    Check,
}

/// A generator: makes the text of one file from the workspace at the root.
type Generator = fn(&Path) -> Result<String>;

/// Every generated file with its generator. A new one is a line here.
const GENERATED: &[(&str, Generator)] = &[
    ("docs/attack-coverage.md", attack_coverage::render),
    ("docs/spec-coverage.md", spec_coverage::render),
];

/// Runs every generator.
///
/// # Errors
///
/// When a generator fails, or, under [`Mode::Check`], when a file is stale.
pub fn run(root: &Path, mode: Mode) -> Result<()> {
    let mut stale = Vec::new();
    for &(path, generate) in GENERATED {
        let wanted = generate(root).with_context(|| format!("could not generate `{path}`"))?;
        let file = root.join(path);
        if fs::read_to_string(&file).is_ok_and(|found| found == wanted) {
            continue;
        }
        match mode {
            Mode::Write => write(&file, &wanted)?,
            Mode::Check => stale.push(path),
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!(
        "stale: {}; run `cargo run -p xtask -- generated`",
        stale.join(", ")
    )
}

/// Runs the generator of the file at `path`.
///
/// # Errors
///
/// When nothing generates that file, or its generator fails.
pub fn run_one(root: &Path, path: &str) -> Result<()> {
    let Some((_, generate)) = GENERATED.iter().find(|(name, _)| *name == path) else {
        bail!("nothing generates `{path}`");
    };
    write(&root.join(path), &generate(root)?)
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("could not write `{}`", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}
