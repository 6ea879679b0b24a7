//! `symbolon policy`: looks at policies before they answer anybody.

mod files;
mod replay;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use files::{names, policies, strangers};

use crate::serve::counted;
use crate::usage;

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Says what is wrong with policies, with file, line and column
    #[command(
        after_help = "Example:\n  symbolon policy check --config gateway.toml\n  symbolon policy check orders.cedar\n\nExit status: 0 nothing wrong, 1 something wrong, 2 usage."
    )]
    Check {
        #[command(flatten)]
        sources: Sources,
        /// Files of policies, where no configuration names them
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Asks policies the questions of a file, and compares the answers
    #[command(
        after_help = "Example:\n  symbolon policy test --config gateway.toml cases.toml\n\nA file of cases, TOML or JSON:\n  [[case]]\n  name = \"a reader reads\"\n  expect = \"allow\"    # allow | deny | step_up | revoke | unknown\n  [case.request]\n  method = \"GET\"\n  principal = { kind = \"person\", id = \"usr_1\", scopes = [\"read:orders\"] }\n  resource = { route = \"orders\", path = \"/orders/7\" }\n\nExit status: 0 every answer is as expected, 1 one is not, 2 usage."
    )]
    Test(test::TestArguments),
    /// Asks policies again what a decision log recorded, and says what would change
    #[command(
        after_help = "Example:\n  symbolon policy replay --config new.toml gateway.log\n\nThe log is the gateway's in JSON, `-` for standard input.\nExit status: 0 nothing would change, 1 something would, 2 usage."
    )]
    Replay(replay::ReplayArguments),
}

/// Which policies.
#[derive(clap::Args)]
pub(crate) struct Sources {
    /// The configuration whose `[policy]` names the files
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A file of policies; may be given several times
    #[arg(long = "policies", value_name = "FILE", conflicts_with = "config")]
    policies: Vec<PathBuf>,
    /// A file with entity types and actions of your own; may be given several times
    #[arg(long = "schema", value_name = "FILE", conflicts_with = "config")]
    schemas: Vec<PathBuf>,
    /// A file of entities; may be given several times
    #[arg(long = "entities", value_name = "FILE", conflicts_with = "config")]
    entities: Vec<PathBuf>,
}

impl Sources {
    /// Whether anything says where policies are.
    fn is_named(&self) -> bool {
        self.config.is_some() || !self.policies.is_empty()
    }
}

pub(crate) fn run(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    let is_named = match &command {
        PolicyCommand::Check { sources, files } => sources.is_named() || !files.is_empty(),
        PolicyCommand::Test(arguments) => arguments.sources.is_named(),
        PolicyCommand::Replay(arguments) => arguments.sources.is_named(),
    };
    if !is_named {
        let way = "name policies: a file, or `--config` with `[policy] files`";
        return Ok(usage::refuse(way));
    }
    match command {
        PolicyCommand::Check { sources, files } => {
            let (policies, _) = sources.load(files)?;
            say!("{}, nothing wrong", counted(policies.len(), "policy rule"));
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Test(arguments) => test::run(&arguments),
        PolicyCommand::Replay(arguments) => replay::run(&arguments),
    }
}
