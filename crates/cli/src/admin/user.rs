//! `symbolon user`.

use std::io::Read as _;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value};

use super::client::{add_set, add_texts};
use super::print::{self, Column};
use super::{Connection, Failed, Page, Target, replace};

const COLUMNS: [Column; 5] = [
    ("ID", "id"),
    ("USERNAME", "username"),
    ("NAME", "name"),
    ("EMAIL", "email"),
    ("ENABLED", "enabled"),
];
/// How large a password may be, in bytes.
const MAX_PASSWORD_BYTES: u64 = 4096;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon user create alice --email alice@example.com --password-file alice.password"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Lists people
    #[command(after_help = "Example:\n  symbolon user list --limit 20")]
    List(#[command(flatten)] Page),
    /// Shows a person
    #[command(after_help = "Example:\n  symbolon user get alice")]
    Get {
        /// User name or id
        user: String,
    },
    /// Creates a person
    #[command(
        after_help = "Example:\n  symbolon user create alice --name 'Alice Example' --password-file alice.password"
    )]
    Create {
        /// The user name
        username: String,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        password: PasswordFile,
    },
    /// Changes a person
    #[command(
        after_help = "Example:\n  symbolon user update alice --email alice@example.com --set email_verified=true"
    )]
    Update {
        /// User name or id
        user: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Deletes a person and takes back all they granted
    #[command(after_help = "Example:\n  symbolon user delete alice")]
    Delete {
        /// User name or id
        user: String,
    },
    /// Sets a password and signs the person out everywhere
    #[command(
        after_help = "Example:\n  symbolon user password alice --password-file - < alice.password"
    )]
    Password {
        /// User name or id
        user: String,
        #[command(flatten)]
        password: PasswordFile,
    },
    /// Lets a person sign in again
    #[command(after_help = "Example:\n  symbolon user enable alice")]
    Enable {
        /// User name or id
        user: String,
    },
    /// Keeps a person out and signs them out everywhere
    #[command(after_help = "Example:\n  symbolon user disable alice")]
    Disable {
        /// User name or id
        user: String,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// The full name
    #[arg(long)]
    name: Option<String>,
    /// The e-mail address
    #[arg(long)]
    email: Option<String>,
    /// Any other claim, as name=value with JSON or plain text; may repeat
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

/// Never on the command line itself, where every process can read it.
#[derive(clap::Args)]
struct PasswordFile {
    /// The file with the password; `-` is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The file with the password's Argon2 hash in PHC form
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    password_hash_file: Option<PathBuf>,
}

impl Fields {
    fn object(self) -> Result<Map<String, Value>, Failed> {
        let mut object = Map::new();
        add_texts(&mut object, [("name", self.name), ("email", self.email)]);
        add_set(&mut object, &self.set)?;
        Ok(object)
    }
}

impl PasswordFile {
    fn add_to(&self, object: &mut Map<String, Value>) -> Result<(), Failed> {
        for (name, file) in [
            ("password", &self.password_file),
            ("password_hash", &self.password_hash_file),
        ] {
            if let Some(file) = file {
                object.insert(name.to_owned(), read(file)?.into());
            }
        }
        Ok(())
    }
}

fn read(file: &PathBuf) -> Result<String, Failed> {
    let mut text = String::new();
    let outcome = if file.as_os_str() == "-" {
        std::io::stdin()
            .take(MAX_PASSWORD_BYTES)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(file)
            .and_then(|file| file.take(MAX_PASSWORD_BYTES).read_to_string(&mut text))
    };
    let failed = |error| {
        Failed::new(
            "user.password",
            format!(
                "could not read the password from `{}`: {error}",
                file.display()
            ),
        )
    };
    outcome.map_err(failed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    let answer = match arguments.command {
        UserCommand::List(page) => {
            let answer = connection.read(&["users"], &page.pairs()).await?;
            return print::list(&connection, &answer, &COLUMNS);
        }
        UserCommand::Get { user } => connection.read(&["users", &user], &[]).await?,
        UserCommand::Create {
            username,
            fields,
            password,
        } => {
            let mut object = fields.object()?;
            object.insert("username".to_owned(), username.into());
            password.add_to(&mut object)?;
            connection.create(&["users"], &object.into()).await?
        }
        UserCommand::Update { user, fields } => {
            replace::update(&connection, &["users", &user], fields.object()?).await?
        }
        UserCommand::Delete { user } => {
            connection.delete(&["users", &user]).await?;
            return print::done(
                &connection,
                &format!("user {user} is deleted, and all they granted is taken back"),
            );
        }
        UserCommand::Password { user, password } => {
            let mut object = Map::new();
            password.add_to(&mut object)?;
            if object.is_empty() {
                return Err(Failed::usage(
                    "user.password",
                    "name the password's file with --password-file; `-` is standard input",
                ));
            }
            connection
                .create(&["users", &user, "password"], &object.into())
                .await?
        }
        UserCommand::Enable { user } => connection.tell(&["users", &user, "enable"]).await?,
        UserCommand::Disable { user } => connection.tell(&["users", &user, "disable"]).await?,
    };
    print::one(&connection, &answer)
}
