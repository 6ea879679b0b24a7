//! Administration over the admin API, as commands.
//!
//! Each noun has a file with its subcommands; `connection` speaks to the
//! server, `print` shows answers. Exit codes: 0 done, 1 refused or failed,
//! 2 not understood.

mod apikey;
mod audit;
mod client;
mod connection;
mod explanation;
mod grant;
mod keys;
mod organization;
mod outbox;
mod print;
mod replace;
mod resource;
mod revoke;
mod secret_file;
mod session;
mod status;
mod trusted_issuer;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use self::connection::Connection;
pub(crate) use self::explanation::{explain, explained};

/// Everything that administrators do.
#[derive(Subcommand)]
pub(crate) enum AdminCommand {
    /// Applications
    Client(client::Arguments),
    /// APIs that take access tokens
    Resource(resource::Arguments),
    /// Keys for programs that only know how to send one
    #[command(name = "apikey", alias = "api-key")]
    ApiKey(apikey::Arguments),
    /// People who sign in
    User(user::Arguments),
    /// Organizations and their members
    Organization(organization::Arguments),
    /// Partners whose JWTs are taken
    #[command(alias = "issuer")]
    TrustedIssuer(trusted_issuer::Arguments),
    /// What people let applications do
    Grant(grant::Arguments),
    /// People in browsers
    Session(session::Arguments),
    /// Signing keys
    Keys(keys::Arguments),
    /// What waits to be told to others, and what nobody took
    Outbox(outbox::Arguments),
    /// What was done, by whom
    Audit(audit::Arguments),
    /// Takes something back, and all that hangs on it
    Revoke(revoke::Arguments),
    /// The state of the server
    Status(status::Arguments),
}

/// Which server, and how answers are shown.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// Where the admin API is
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "SYMBOLON_ADMIN_URL",
        default_value = "http://127.0.0.1:8090"
    )]
    admin: String,
    /// The file with the administration token
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SYMBOLON_ADMIN_TOKEN_FILE",
        default_value = "data/admin.token"
    )]
    admin_token_file: PathBuf,
    /// Print answers as JSON
    #[arg(long, global = true)]
    json: bool,
}

impl Target {
    /// The admin API at an address.
    pub(crate) fn at(address: &str, admin_token_file: PathBuf) -> Self {
        Self {
            admin: address.to_owned(),
            admin_token_file,
            json: true,
        }
    }
}

/// Which part of a list.
#[derive(clap::Args)]
pub(crate) struct Page {
    /// Begin after this entry: what the last page named
    #[arg(long, value_name = "ENTRY")]
    after: Option<String>,
    /// At most how many
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

impl Page {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        let after = self.after.clone().map(|after| ("after", after));
        after.into_iter().chain(limit).collect()
    }
}

/// Why a command did nothing.
#[derive(Debug)]
pub(crate) struct Failed {
    code: String,
    message: String,
    exit: u8,
}

impl Failed {
    /// What was asked cannot be done.
    fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            exit: 1,
        }
    }

    /// A stable word.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// Whether the command was not understood.
    pub(crate) fn is_usage(&self) -> bool {
        self.exit == 2
    }

    /// The command was not understood.
    fn usage(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            exit: 2,
        }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// Runs a command.
pub(crate) async fn run(command: AdminCommand) -> ExitCode {
    let outcome = match command {
        AdminCommand::Client(arguments) => client::run(arguments).await,
        AdminCommand::Resource(arguments) => resource::run(arguments).await,
        AdminCommand::ApiKey(arguments) => apikey::run(arguments).await,
        AdminCommand::User(arguments) => user::run(arguments).await,
        AdminCommand::Organization(arguments) => organization::run(arguments).await,
        AdminCommand::TrustedIssuer(arguments) => trusted_issuer::run(arguments).await,
        AdminCommand::Grant(arguments) => grant::run(arguments).await,
        AdminCommand::Session(arguments) => session::run(arguments).await,
        AdminCommand::Keys(arguments) => keys::run(arguments).await,
        AdminCommand::Outbox(arguments) => outbox::run(arguments).await,
        AdminCommand::Audit(arguments) => audit::run(arguments).await,
        AdminCommand::Revoke(arguments) => revoke::run(arguments).await,
        AdminCommand::Status(arguments) => status::run(arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("error[{}]: {}", failed.code, failed.message);
            ExitCode::from(failed.exit)
        }
    }
}
