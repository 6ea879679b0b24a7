//! `symbolon audit`.

use clap::Subcommand;

use super::print::{self, Column};
use super::{Connection, Failed, Page, Target};

const COLUMNS: [Column; 6] = [
    ("AT", "at"),
    ("ACTION", "action"),
    ("ACTOR", "actor"),
    ("SUBJECT", "subject"),
    ("CLIENT", "client"),
    ("DETAIL", "detail"),
];

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon audit list --action grant.withdraw")]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Lists what was done, oldest first
    #[command(after_help = "Example:\n  symbolon audit list --action client.create --limit 20")]
    List {
        /// Only what was done under this name
        #[arg(long)]
        action: Option<String>,
        #[command(flatten)]
        page: Page,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    let AuditCommand::List { action, page } = arguments.command;
    let mut query = page.pairs();
    query.extend(action.map(|action| ("action", action)));
    print::list(
        &connection,
        &connection.read(&["audit"], &query).await?,
        &COLUMNS,
    )
}
