//! The one binary: issues access tokens and proves them on each request.

#[macro_use]
mod output;

mod admin;
mod backup;
mod check;
mod dev;
mod doctor;
mod explain;
mod gateway;
mod graphql;
mod handed;
mod log;
mod macaroon;
mod migrate;
#[cfg(feature = "cedar")]
mod policy;
mod quota;
mod restore;
mod serve;
mod token;
mod usage;
mod watched;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Requests make and drop many small things on every thread: this allocator
/// keeps them apart by thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    name = "symbolon",
    version,
    about = "Issues access tokens, proves them on each request, and takes them back within a second",
    after_help = "Begin with:\n  symbolon dev\n\nEvery command has `--help` with an example."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on this machine: server, demo API, a token, and two curl lines to try
    Dev(dev::DevArguments),
    /// The authorization server
    Serve(serve::ServeArguments),
    /// The gateway: checks each request before a service behind it sees it
    Gateway(gateway::GatewayArguments),
    /// Says what is wrong with a configuration, with file and line
    Check(check::CheckArguments),
    /// Brings the schema up to date, or says what it would do
    Migrate(migrate::MigrateArguments),
    /// Writes all that a store remembers into one file, while it works
    Backup(backup::BackupArguments),
    /// Loads a backup into an empty store of either engine
    Restore(restore::RestoreArguments),
    /// Looks a running installation over and says what to repair; proves a database
    Doctor(doctor::DoctorArguments),
    /// Looks at policies before they answer: checks, tests, replays them
    #[cfg(feature = "cedar")]
    #[command(
        subcommand,
        after_help = "Example:\n  symbolon policy test --config gateway.toml cases.toml"
    )]
    Policy(policy::PolicyCommand),
    /// Looks at access tokens: what they say, whether they are good, why not
    #[command(
        subcommand,
        after_help = "Example:\n  symbolon token explain --issuer https://as.example.com --audience https://api.example.com \\\n    --client-id orders-api --client-secret-file orders-api.secret TOKEN"
    )]
    Token(token::TokenCommand),
    /// Clients, resources, people and everything else, over the admin API
    #[command(flatten)]
    Admin(admin::AdminCommand),
}

fn main() -> ExitCode {
    if let Err(unclear) = log::start() {
        return usage::refuse(&unclear.to_string());
    }
    harden();
    let arguments = match usage::parse() {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail("runtime", &error.into()),
    };
    let outcome = runtime.block_on(async {
        match arguments.command {
            Command::Dev(arguments) => dev::run(arguments).await,
            Command::Serve(arguments) => serve::run(arguments).await,
            Command::Gateway(arguments) => gateway::run(arguments).await,
            Command::Check(arguments) => check::run(&arguments),
            Command::Migrate(arguments) => migrate::run(&arguments).await,
            Command::Backup(arguments) => backup::run(&arguments).await,
            Command::Restore(arguments) => restore::run(&arguments).await,
            Command::Doctor(arguments) => doctor::run(&arguments).await,
            #[cfg(feature = "cedar")]
            Command::Policy(command) => policy::run(command),
            Command::Token(command) => token::run(command).await,
            Command::Admin(command) => Ok(admin::run(command).await),
        }
    });
    outcome.unwrap_or_else(|error| fail(code_of(&error), &error))
}

/// A stable word for what stopped a command.
fn code_of(error: &anyhow::Error) -> &'static str {
    use symbolon_server::launch::LaunchError;
    use symbolon_server::serve::ServeError;

    if error.is::<serve::Misconfigured>() {
        return "configuration";
    }
    if error.is::<handed::HandedError>() {
        return "listen";
    }
    if error.is::<dev::home::Taken>() || error.is::<gateway::Held>() {
        return "store.locked";
    }
    if let Some(kept) = error.downcast_ref::<symbolon_server::backup::KeepError>() {
        return kept.code();
    }
    let launch = error.downcast_ref::<LaunchError>().map(LaunchError::code);
    let listen = error.downcast_ref::<ServeError>().map(ServeError::code);
    let gateway = error.downcast_ref::<symbolon_gateway::LaunchError>();
    let gateway = gateway.map(symbolon_gateway::LaunchError::code);
    let bound = error.downcast_ref::<symbolon_gateway::ServeError>();
    let bound = bound.map(symbolon_gateway::ServeError::code);
    let own = launch.or(listen).or(gateway).or(bound);
    own.unwrap_or("failed")
}

/// Prints an error with its causes, each once.
fn fail(code: &str, error: &anyhow::Error) -> ExitCode {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            said.push_str(if said.is_empty() { "" } else { ": " });
            said.push_str(&cause);
        }
    }
    eprintln!("error[{code}]: {said}");
    ExitCode::from(1)
}

/// No core dumps: they would hold keys. As many open files as the system lets
/// anybody have: each connection is one.
fn harden() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Where the system refuses, it makes no dumps that it did not make before.
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let files = rustix::process::getrlimit(Resource::Nofile);
    // Where it cannot be raised, fewer connections are taken.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: files.maximum,
            maximum: files.maximum,
        },
    );
}
