//! `symbolon keys`.

use clap::Subcommand;

use super::print::{self, Column};
use super::{Connection, Failed, Target};

const COLUMNS: [Column; 4] = [
    ("KID", "kid"),
    ("ALGORITHM", "algorithm"),
    ("STATE", "state"),
    ("CREATED", "created"),
];

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon keys list")]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Lists the signing keys
    #[command(after_help = "Example:\n  symbolon keys list --json")]
    List,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    let KeysCommand::List = arguments.command;
    print::list(
        &connection,
        &connection.read(&["keys"], &[]).await?,
        &COLUMNS,
    )
}
