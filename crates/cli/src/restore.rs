//! `symbolon restore`: a backup, into an empty store of either engine.

use std::path::PathBuf;
use std::process::ExitCode;

use symbolon_server::backup::{Existing, restore};

use crate::backup::{named, shown};
use crate::serve::{edge, load};

/// What has to be said for a store that is not empty.
const WORDS: &str = "delete what is there";

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon restore --config symbolon.toml symbolon-2026-12-01.backup\n\nA new epoch begins: tokens, codes, sessions, consents and refresh families from before are void, and keys that make tokens are replaced. API keys are disabled and trusted issuers distrusted. People, clients, resources, organizations and the audit trail are as they were when the backup was made.\nWhat is in the store already is deleted only with: --replace \"delete what is there\"\nExit status: 0 done; 1 refused, and nothing was changed; 2 usage."
)]
pub(crate) struct RestoreArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Delete what the store holds: has to be `delete what is there`
    #[arg(long, value_name = "WORDS", value_parser = [WORDS])]
    replace: Option<String>,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &RestoreArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let existing = match arguments.replace {
        Some(_) => Existing::Delete,
        None => Existing::Keep,
    };
    let restored = restore(&config, &edge(), &arguments.file, existing).await;
    let (contents, epoch) = restored.map_err(|own| named(own, &arguments.file))?;
    if arguments.json {
        let mut body = shown(&contents);
        body["epoch_now"] = epoch.into();
        say!("{body}");
        return Ok(ExitCode::SUCCESS);
    }
    say!(
        "{} rows restored, as they were at {}",
        contents.rows(),
        contents.manifest.created()
    );
    say!("epoch {epoch} begins: everybody signs in anew, and agrees anew");
    say!(
        "API keys are disabled and trusted issuers distrusted: enable and trust those again that nobody has taken back since"
    );
    say!(
        "yours to do again, where it was done since: disabling people, clients and organizations, ending memberships, taking roles, changing secrets and passwords, distrusting keys of the audit trail, of client secrets and for decrypting SAML, deleting signal streams and taking people out of them"
    );
    Ok(ExitCode::SUCCESS)
}
