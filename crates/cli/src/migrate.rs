//! `symbolon migrate`: the schema, brought up to date or planned.

use std::path::PathBuf;
use std::process::ExitCode;

use symbolon_server::launch::open_store;

use crate::serve::{edge, load};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon migrate --config symbolon.toml --plan")]
pub(crate) struct MigrateArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    plan: bool,
}

pub(crate) async fn run(arguments: &MigrateArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let store = open_store(&config, &*edge().entropy).await?;
    let pending = store.pending_migrations().await?;
    if pending.is_empty() {
        println!("the schema is up to date");
    }
    for migration in &pending {
        println!("{:>4}  {}", migration.number, migration.name);
    }
    if !arguments.plan && !pending.is_empty() {
        store.migrate().await?;
        println!("done");
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
