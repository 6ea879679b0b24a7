//! `symbolon migrate`: the schema, brought up to date or planned.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use symbolon_server::launch::{Migration, migrate, newer_migrations, pending_migrations};

use crate::serve::{edge, load};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon migrate --config symbolon.toml --plan\n\nExit status: 0 up to date or done, 1 failed, 2 usage."
)]
pub(crate) struct MigrateArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Say what would be done, and do nothing: not even a file is made
    #[arg(long)]
    plan: bool,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &MigrateArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let entropy = edge().entropy;
    let newer = newer_migrations(&config, &*entropy).await?;
    let pending = pending_migrations(&config, &*entropy).await?;
    let run = if arguments.plan || pending.is_empty() {
        Vec::new()
    } else {
        migrate(&config, &*entropy).await?
    };
    if arguments.json {
        println!(
            "{}",
            json!({ "pending": listed(&pending), "run": listed(&run), "newer": newer })
        );
        return Ok(ExitCode::SUCCESS);
    }
    if !newer.is_empty() {
        let numbers: Vec<String> = newer.iter().map(i64::to_string).collect();
        println!(
            "a newer version has been here (migration {}): this one does not know what it added",
            numbers.join(", ")
        );
    }
    if pending.is_empty() {
        println!("the schema is up to date");
    }
    for migration in &pending {
        println!("{:>4}  {}", migration.number, migration.name);
    }
    if !run.is_empty() {
        println!("done");
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(migrations: &[Migration]) -> serde_json::Value {
    let one = |own: &Migration| json!({ "number": own.number, "name": own.name });
    migrations.iter().map(one).collect()
}
