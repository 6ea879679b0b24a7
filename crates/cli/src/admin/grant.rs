//! `symbolon grant`.

use clap::Subcommand;

use super::print::{self, Column};
use super::{Connection, Failed, Page, Target};

const COLUMNS: [Column; 5] = [
    ("ID", "id"),
    ("USER", "user"),
    ("CLIENT", "client"),
    ("SCOPES", "scopes"),
    ("UPDATED", "updated"),
];

const FAMILIES: [Column; 5] = [
    ("FAMILY", "id"),
    ("CREATED", "created"),
    ("LAST USED", "last_used"),
    ("GENERATION", "generation"),
    ("ENDS", "ends"),
];

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon grant list --user alice")]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: GrantCommand,
}

#[derive(Subcommand)]
enum GrantCommand {
    /// Lists the live grants of a person or to a client
    #[command(after_help = "Example:\n  symbolon grant list --client web")]
    List {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        page: Page,
    },
    /// Shows a grant, with its refresh families
    #[command(
        after_help = "Example:\n  symbolon grant get grt_0123456789abcdefghijkl\n\nOne family is taken back by `symbolon revoke --family ID`."
    )]
    Get {
        /// The grant's id
        id: String,
    },
    /// Withdraws a grant: every token of it dies
    #[command(
        alias = "withdraw",
        after_help = "Example:\n  symbolon grant delete grt_0123456789abcdefghijkl"
    )]
    Delete {
        /// The grant's id
        id: String,
    },
}

/// One of the two.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// User name or id
    #[arg(long)]
    user: Option<String>,
    /// The client identifier
    #[arg(long, value_name = "ID")]
    client: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    match arguments.command {
        GrantCommand::List { whose, page } => {
            let mut query = page.pairs();
            query.extend(whose.user.map(|user| ("user", user)));
            query.extend(whose.client.map(|client| ("client", client)));
            let answer = connection.read(&["grants"], &query).await?;
            print::list(&connection, &answer, &COLUMNS)
        }
        GrantCommand::Get { id } => {
            let answer = connection.read(&["grants", &id], &[]).await?;
            print::one_with(&connection, &answer, ("families", &FAMILIES))
        }
        GrantCommand::Delete { id } => {
            connection.delete(&["grants", &id]).await?;
            print::done(&connection, &format!("grant {id} is withdrawn"))
        }
    }
}
