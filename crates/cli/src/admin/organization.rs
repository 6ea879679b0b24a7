//! `symbolon organization`.

use clap::Subcommand;
use serde_json::json;

use super::print::{self, Column};
use super::{Connection, Failed, Page, Target};

const COLUMNS: [Column; 3] = [("ID", "id"), ("NAME", "name"), ("ENABLED", "enabled")];
const MEMBERS: [Column; 3] = [("NAME", "username"), ("USER", "user"), ("ROLES", "roles")];

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon organization create acme --name Acme\n  symbolon organization add-member acme alice --role buyer"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: OrganizationCommand,
}

#[derive(Subcommand)]
enum OrganizationCommand {
    /// Lists organizations
    #[command(after_help = "Example:\n  symbolon organization list")]
    List(#[command(flatten)] Page),
    /// Shows an organization
    #[command(after_help = "Example:\n  symbolon organization get acme")]
    Get {
        /// The organization's id
        id: String,
    },
    /// Creates an organization
    #[command(after_help = "Example:\n  symbolon organization create acme --name Acme")]
    Create {
        /// The organization's id
        id: String,
        /// The name that people are shown
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Renames an organization
    #[command(after_help = "Example:\n  symbolon organization update acme --name 'Acme Ltd'")]
    Update {
        /// The organization's id
        id: String,
        /// The name that people are shown
        #[arg(long)]
        name: String,
    },
    /// Deletes an organization and takes back all that was done for it
    #[command(after_help = "Example:\n  symbolon organization delete acme")]
    Delete {
        /// The organization's id
        id: String,
    },
    /// Lets people act for an organization again
    #[command(after_help = "Example:\n  symbolon organization enable acme")]
    Enable {
        /// The organization's id
        id: String,
    },
    /// Stops all that is done for an organization
    #[command(after_help = "Example:\n  symbolon organization disable acme")]
    Disable {
        /// The organization's id
        id: String,
    },
    /// Lists the members of an organization
    #[command(after_help = "Example:\n  symbolon organization members acme")]
    Members {
        /// The organization's id
        id: String,
        #[command(flatten)]
        page: Page,
    },
    /// Makes a person a member, or gives a member other roles
    #[command(
        after_help = "Example:\n  symbolon organization add-member acme alice --role buyer --role admin"
    )]
    AddMember {
        /// The organization's id
        id: String,
        /// User name or id
        user: String,
        /// What they are there; may repeat
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Ends a membership and all that was done through it
    #[command(after_help = "Example:\n  symbolon organization remove-member acme alice")]
    RemoveMember {
        /// The organization's id
        id: String,
        /// User name or id
        user: String,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    const ALL: &str = "organizations";
    let connection = Connection::open(arguments.target)?;
    let answer = match arguments.command {
        OrganizationCommand::List(page) => {
            let answer = connection.read(&[ALL], &page.pairs()).await?;
            return print::list(&connection, &answer, &COLUMNS);
        }
        OrganizationCommand::Members { id, page } => {
            let answer = connection
                .read(&[ALL, &id, "members"], &page.pairs())
                .await?;
            return print::list(&connection, &answer, &MEMBERS);
        }
        OrganizationCommand::Delete { id } => {
            connection.delete(&[ALL, &id]).await?;
            return print::done(&connection, &format!("organization {id} is deleted"));
        }
        OrganizationCommand::RemoveMember { id, user } => {
            connection.delete(&[ALL, &id, "members", &user]).await?;
            return print::done(
                &connection,
                &format!("user {user} is no member of {id} any more"),
            );
        }
        OrganizationCommand::Get { id } => connection.read(&[ALL, &id], &[]).await?,
        OrganizationCommand::Create { id, name } => {
            connection
                .create(&[ALL], &json!({ "id": id, "name": name }))
                .await?
        }
        OrganizationCommand::Update { id, name } => {
            connection
                .patch(&[ALL, &id], &json!({ "name": name }))
                .await?
        }
        OrganizationCommand::Enable { id } => connection.tell(&[ALL, &id, "enable"]).await?,
        OrganizationCommand::Disable { id } => connection.tell(&[ALL, &id, "disable"]).await?,
        OrganizationCommand::AddMember { id, user, roles } => {
            connection
                .put(&[ALL, &id, "members", &user], &json!({ "roles": roles }))
                .await?
        }
    };
    print::one(&connection, &answer)
}
