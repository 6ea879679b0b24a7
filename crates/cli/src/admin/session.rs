//! `symbolon session`.

use clap::Subcommand;

use super::print::{self, Column};
use super::{Connection, Failed, Page, Target};

const COLUMNS: [Column; 4] = [
    ("ID", "id"),
    ("DEVICE", "device"),
    ("AUTHENTICATED", "authenticated"),
    ("SEEN", "seen"),
];

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon session list --user alice")]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Subcommand)]
enum SessionCommand {
    /// Lists the sessions of a person
    #[command(after_help = "Example:\n  symbolon session list --user alice")]
    List {
        /// User name or id
        #[arg(long)]
        user: String,
        #[command(flatten)]
        page: Page,
    },
    /// Shows a session
    #[command(after_help = "Example:\n  symbolon session get ses_0123456789abcdefghijkl")]
    Get {
        /// The session's id
        id: String,
    },
    /// Ends a session
    #[command(
        alias = "end",
        after_help = "Example:\n  symbolon session delete ses_0123456789abcdefghijkl"
    )]
    Delete {
        /// The session's id
        id: String,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    match arguments.command {
        SessionCommand::List { user, page } => {
            let mut query = page.pairs();
            query.push(("user", user));
            let answer = connection.read(&["sessions"], &query).await?;
            print::list(&connection, &answer, &COLUMNS)
        }
        SessionCommand::Get { id } => print::one(
            &connection,
            &connection.read(&["sessions", &id], &[]).await?,
        ),
        SessionCommand::Delete { id } => {
            connection.delete(&["sessions", &id]).await?;
            print::done(&connection, &format!("session {id} has ended"))
        }
    }
}
