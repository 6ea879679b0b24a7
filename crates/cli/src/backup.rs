//! `symbolon backup`: all that a store remembers, in one file, while it works.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use symbolon_server::backup::{BackupError, Contents, KeepError, back_up, check};

use crate::serve::{edge, load};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon backup --config symbolon.toml --to symbolon-2026-12-01.backup --verify\n  symbolon backup --config symbolon.toml --verify symbolon-2026-12-01.backup\n\nThe server may be running. The file holds the keys, sealed; not the master key that they are sealed under, without which it is of no use: keep that somewhere else.\nExit status: 0 done, or it is good; 1 it is not; 2 usage."
)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["to", "file"]))]
pub(crate) struct BackupArguments {
    /// The configuration file; to check a backup without it leaves its seal unchecked
    #[arg(long, value_name = "FILE", required_unless_present = "file")]
    config: Option<PathBuf>,
    /// Where to write the backup; a file that exists is not written over
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Check a backup: the one that was written, or FILE
    #[arg(long)]
    verify: bool,
    /// A backup to check
    #[arg(value_name = "FILE", requires = "verify")]
    file: Option<PathBuf>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &BackupArguments) -> anyhow::Result<ExitCode> {
    let edge = edge();
    let config = arguments.config.as_deref().map(load).transpose()?;
    let known = config.as_ref().map(|config| (config, &edge));
    let contents = match (&arguments.to, &arguments.file, known) {
        (Some(to), _, Some((config, edge))) => {
            let written = back_up(config, edge, to)
                .await
                .map_err(|own| named(own, to))?;
            match arguments.verify {
                true => check(to, known).map_err(|own| named(own, to))?,
                false => written,
            }
        }
        (_, Some(file), known) => check(file, known).map_err(|own| named(own, file))?,
        _ => anyhow::bail!("--to needs --config"),
    };
    if arguments.json {
        say!("{}", shown(&contents));
        return Ok(ExitCode::SUCCESS);
    }
    let manifest = &contents.manifest;
    say!(
        "{} rows of {} tables, as they were at {} (epoch {}, sequence {})",
        contents.rows(),
        contents.tables.len(),
        manifest.created(),
        manifest.epoch,
        manifest.sequence
    );
    say!("sha256 {}", contents.sha256);
    if arguments.verify && config.is_none() {
        say!("the digests are right; give --config to check the seal, too");
    }
    Ok(ExitCode::SUCCESS)
}

/// Names the file of a backup in what went wrong with it.
pub(crate) fn named(error: KeepError, file: &Path) -> anyhow::Error {
    match error {
        KeepError::Backup(BackupError::File(_)) => {
            anyhow::Error::from(error).context(format!("`{}`", file.display()))
        }
        other => other.into(),
    }
}

/// What a backup holds, for scripts.
pub(crate) fn shown(contents: &Contents) -> Value {
    let tables = contents.tables.iter();
    let tables: serde_json::Map<_, _> = tables
        .map(|(name, rows)| (name.clone(), json!(rows)))
        .collect();
    json!({
        "created": contents.manifest.created().to_string(),
        "engine": contents.manifest.engine,
        "epoch": contents.manifest.epoch,
        "sequence": contents.manifest.sequence,
        "migrations": contents.manifest.migrations,
        "rows": contents.rows(),
        "tables": tables,
        "sha256": contents.sha256,
    })
}
