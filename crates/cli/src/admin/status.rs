//! `symbolon status`.

use serde_json::Value;

use super::print;
use super::{Connection, Failed, Target};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon status\n  symbolon status --link")]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Print a link that opens the read-only status page once
    #[arg(long)]
    link: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    if !arguments.link {
        return print::one(&connection, &connection.read(&["status"], &[]).await?);
    }
    let answer = connection.tell(&["status-links"]).await?;
    match answer.get("url").and_then(Value::as_str) {
        Some(url) if !connection.json => print::text(url),
        _ => print::one(&connection, &answer),
    }
}
