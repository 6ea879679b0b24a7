//! Benchmarks: each figure beside a floor that was measured in the same run.

mod bench;
mod clock;
mod figure;
mod floor;
mod histogram;
mod load;
mod measure;
mod postgres;
mod process;
mod proxy;
mod server;
mod sign_in;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::bench::Bench;
use crate::figure::Figure;

#[derive(Parser)]
#[command(
    name = "symbolon-bench",
    about = "Measures the server and the library against floors in the same run; exit 1 where a bound is missed",
    after_help = "Example:\n  cargo build --profile dist -p symbolon -p symbolon-bench\n  target/dist/symbolon-bench all"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How often floor and ours take turns
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    /// How long each turn takes
    #[arg(long, global = true, default_value_t = 3)]
    seconds: u64,
    /// The binary under test [default: beside this one, then target/dist, then target/release]
    #[arg(long, global = true, value_name = "PATH")]
    server: Option<PathBuf>,
    /// A PostgreSQL database whose user may create databases: measures there too
    #[arg(long, global = true, value_name = "URL")]
    postgres: Option<String>,
    /// Where databases are made; a disk, not memory, or a commit costs nothing
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = "target/symbolon-bench"
    )]
    folder: PathBuf,
    /// Prints every round as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Everything
    All,
    /// Client credentials: JWT and opaque
    Issue,
    /// Exchange of a JWT for a narrower JWT
    Exchange,
    /// Introspection of opaque tokens
    Introspect,
    /// Refresh on SQLite, and on PostgreSQL with `--postgres`
    Refresh,
    /// Refresh on SQLite among ten thousand families and among five million;
    /// takes minutes and 8 GiB of disk, so `all` leaves it out
    Families,
    /// The gateway before a small service
    Gateway,
    /// The key set
    Keys,
    /// Checking in process: first time and seen before
    Verify,
    /// Checking a token bound to a key, with its proof
    Dpop,
    /// A macaroon with five caveats, proved and judged in process
    Macaroon,
    /// An operation of forty fields at the gateway, new and seen before
    Graphql,
    /// What a limit costs in one process
    Limit,
    /// A question put to ten policies and to a thousand, in process
    Policy,
    /// A million live revocations in a verifier that follows the feed
    Revocations,
    /// Resident memory, idle and under load
    Memory,
    /// From start to ready on an existing database
    Startup,
    #[command(hide = true)]
    Floor(floor::FloorArguments),
}

fn main() -> ExitCode {
    let outcome = run(Arguments::parse());
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    if let Command::Floor(own) = &arguments.command {
        return floor::serve(own);
    }
    let folder = arguments.folder.join(std::process::id().to_string());
    std::fs::create_dir_all(&folder)?;
    let bench = Bench {
        rounds: arguments.rounds.max(1),
        seconds: arguments.seconds.max(1),
        server: arguments.server,
        folder: folder.canonicalize()?,
        postgres: arguments.postgres,
    };
    let figures = measure(&arguments.command, &bench);
    // What is left of a failed run tells why it failed.
    let figures = figures.with_context(|| format!("logs are in {}", bench.folder.display()))?;
    std::fs::remove_dir_all(&bench.folder)?;
    if arguments.json {
        println!("{}", figure::document(&figures));
    } else {
        let (rounds, seconds) = (bench.rounds, bench.seconds);
        println!("medians of {rounds} rounds of {seconds} s, floor and ours in turn\n");
        print!("{}", figure::table(&figures));
    }
    let all_hold = figures.iter().all(Figure::holds);
    Ok(ExitCode::from(u8::from(!all_hold)))
}

fn measure(command: &Command, bench: &Bench) -> Result<Vec<Figure>> {
    match command {
        Command::Issue => measure::issue(bench),
        Command::Exchange => measure::exchange_tokens(bench),
        Command::Introspect => measure::introspect(bench),
        Command::Refresh => measure::refresh(bench),
        Command::Families => measure::families(bench),
        Command::Gateway => measure::gateway(bench),
        Command::Keys => measure::keys(bench),
        Command::Verify => measure::verify(bench),
        Command::Dpop => measure::dpop(bench),
        Command::Graphql => measure::graphql(bench),
        Command::Macaroon => measure::macaroon(bench),
        Command::Limit => measure::limit(bench),
        Command::Policy => measure::policy(bench),
        Command::Revocations => measure::revocations(bench),
        Command::Memory => measure::memory(bench),
        Command::Startup => measure::startup(bench),
        Command::All | Command::Floor(_) => {
            let mut figures = Vec::new();
            for one in measure::ALL {
                figures.extend(one(bench)?);
            }
            Ok(figures)
        }
    }
}
