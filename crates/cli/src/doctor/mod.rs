//! `symbolon doctor`: looks a running installation over, or proves a database.

mod engine;
mod running;

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use symbolon_server::config::{Config, GatewayConfig};
use symbolon_server::doctor::{Health, Symptom, look_over};

use crate::serve::{counted, edge};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon doctor --config symbolon.toml\n  symbolon doctor --store postgres://symbolon@db.example.com/test\n\nWith --store it runs the behaviour and race tests of the store in a place of its own there (a schema, behind a pooler a database; beside a SQLite file), which it takes away again.\nExit status: 0 nothing has to be repaired, 1 something has, 2 usage."
)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["config", "store"]))]
pub(crate) struct DoctorArguments {
    /// The configuration of the installation to look over
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A database to prove: its URL
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Send statements without names: behind a pooler in transaction mode
    #[arg(long, requires = "store")]
    unnamed: bool,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &DoctorArguments) -> anyhow::Result<ExitCode> {
    if let Some(url) = &arguments.store {
        return engine::prove(url, arguments.unnamed, arguments.json).await;
    }
    let Some(path) = &arguments.config else {
        anyhow::bail!("--config or --store");
    };
    if GatewayConfig::is_own_file(path) {
        anyhow::bail!(
            "`{}` is a gateway's own file: `symbolon check` looks it over, and `/readyz` on its `admin_listen` says how the gateway is that runs by it",
            path.display()
        );
    }
    let (mut found, findings) = match Config::load(path, std::env::vars()) {
        Ok((config, advice)) => {
            let edge = edge();
            let mut found = look_over(&config, &edge).await;
            found.extend(running::look(&config, &*edge.clock).await);
            (found, advice)
        }
        Err(findings) => (Vec::new(), findings),
    };
    let wrong = findings.iter().filter(|own| own.is_error()).count();
    found.insert(0, configuration(wrong, findings.len() - wrong));
    let worst = found.iter().map(|own| own.health).max();
    if arguments.json {
        say!(
            "{}",
            json!({ "symptoms": found, "configuration": findings })
        );
    } else {
        for finding in &findings {
            say!("{finding}\n");
        }
        found.iter().for_each(|own| say!("{}", told(own)));
    }
    let has_error = worst == Some(Health::Error);
    Ok(ExitCode::from(u8::from(has_error)))
}

fn configuration(wrong: usize, unwise: usize) -> Symptom {
    let code = "doctor.configuration";
    let message = format!(
        "{} and {} in the configuration",
        counted(wrong, "mistake"),
        counted(unwise, "warning")
    );
    let repair = "symbolon check says where, and what would be right";
    match (wrong, unwise) {
        (0, 0) => Symptom::good(code, message),
        (0, _) => Symptom::warning(code, message, repair),
        _ => Symptom::error(code, message, repair),
    }
}

/// A symptom as people read it.
fn told(symptom: &Symptom) -> String {
    let word = match symptom.health {
        Health::Good => "ok     ",
        Health::Warning => "warning",
        Health::Error => "ERROR  ",
    };
    let Symptom {
        code,
        message,
        repair,
        ..
    } = symptom;
    if repair.is_empty() {
        return format!("{word}  {message}");
    }
    format!("{word}  {message} [{code}]\n         {repair}")
}

/// An outcome of a behaviour test, for scripts.
fn outcome(name: &str, broken: Option<String>) -> Value {
    json!({ "name": name, "holds": broken.is_none(), "otherwise": broken })
}
