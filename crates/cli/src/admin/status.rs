//! `symbolon status`.

use serde_json::{Map, Value};

use super::{Connection, Failed, Target};
use super::{keys, print};

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
        let answer = connection.read(&["status"], &[]).await?;
        let answer = if connection.json {
            answer
        } else {
            flat(answer)
        };
        return print::one_with(&connection, &answer, ("keys", &keys::COLUMNS));
    }
    let answer = connection.tell(&["status-links"]).await?;
    match answer.get("url").and_then(Value::as_str) {
        Some(url) if !connection.json => print::text(url),
        _ => print::one(&connection, &answer),
    }
}

/// The members of members beside the others, named as a path.
fn flat(answer: Value) -> Value {
    let Value::Object(all) = answer else {
        return answer;
    };
    let each = all.into_iter().flat_map(|(name, value)| match value {
        Value::Object(inner) => inner
            .into_iter()
            .map(|(below, value)| (format!("{name}.{below}"), value))
            .collect(),
        value => vec![(name, value)],
    });
    Value::Object(each.collect::<Map<_, _>>())
}
