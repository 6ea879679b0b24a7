//! `symbolon check`: what is wrong with a configuration, and what is unwise.

use std::path::PathBuf;
use std::process::ExitCode;

use symbolon_server::config::{Config, GatewayConfig};

use crate::serve::counted;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon check --config symbolon.toml --strict\n\nExit status: 0 nothing wrong, 1 something wrong (with --strict also something unwise)."
)]
pub(crate) struct CheckArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Fail on what is allowed but unwise, too
    #[arg(long)]
    strict: bool,
    /// Print a JSON list for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &CheckArguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.config;
    let read = match GatewayConfig::is_own_file(path) {
        true => GatewayConfig::load(path, std::env::vars())
            .map(|(config, advice)| (Some(config), None, advice)),
        false => Config::load(path, std::env::vars()).map(|(config, advice)| {
            let clients = config.clients.iter().map(|own| own.client.id.to_string());
            let clients: Vec<String> = clients.collect();
            (config.gateway, Some(clients), advice)
        }),
    };
    let findings = match read {
        Ok((gateway, clients, mut advice)) => {
            // What the files say that the configuration names.
            if let Some(gateway) = gateway {
                let graphs = crate::graphql::graphs(&gateway.routes);
                advice.extend(graphs.err().into_iter().flatten());
                advice.extend(crate::watched::findings(gateway, clients));
            }
            advice
        }
        Err(findings) => findings,
    };
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        for finding in &findings {
            say!("{finding}\n");
        }
        say!(
            "{}, {}",
            counted(errors, "mistake"),
            counted(findings.len() - errors, "warning")
        );
    }
    let bad = errors > 0 || arguments.strict && !findings.is_empty();
    Ok(ExitCode::from(u8::from(bad)))
}
