//! `symbolon outbox`: what waits to be told to others, and what nobody took.

use clap::Subcommand;
use serde_json::{Value, json};

use super::print::{self, Column};
use super::{Connection, Failed, Page, Target};

const WAITING: [Column; 7] = [
    ("RECEIVER", "receiver"),
    ("WAITING", "waiting"),
    ("OLDEST", "oldest"),
    ("DEAD", "dead"),
    ("DROPPED", "dropped"),
    ("FAILURES", "failures"),
    ("NEXT TRY", "next_try"),
];

const DEAD: [Column; 5] = [
    ("NUMBER", "number"),
    ("RECEIVER", "receiver"),
    ("EVENT", "event"),
    ("ATTEMPTS", "attempts"),
    ("REASON", "reason"),
];

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon outbox list\n  symbolon outbox retry --receiver client:web"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: OutboxCommand,
}

#[derive(Subcommand)]
enum OutboxCommand {
    /// Shows what waits, receiver by receiver
    #[command(after_help = "Example:\n  symbolon outbox list --limit 20")]
    List(Page),
    /// Lists what nobody took
    #[command(after_help = "Example:\n  symbolon outbox dead --receiver client:web")]
    Dead {
        /// Only what this receiver should have had
        #[arg(long, value_name = "RECEIVER")]
        receiver: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Offers dead letters again
    #[command(after_help = "Example:\n  symbolon outbox retry --number 17")]
    Retry(Letters),
    /// Forgets dead letters
    #[command(
        alias = "drop",
        after_help = "Example:\n  symbolon outbox delete --number 17"
    )]
    Delete(Letters),
}

/// Which dead letters.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Letters {
    /// One, by its number
    #[arg(long, value_name = "N")]
    number: Option<i64>,
    /// All of a receiver, as `client:web`
    #[arg(long, value_name = "RECEIVER")]
    receiver: Option<String>,
}

impl Letters {
    fn document(&self) -> Value {
        match (self.number, &self.receiver) {
            (Some(number), _) => json!({ "number": number }),
            (None, receiver) => json!({ "receiver": receiver }),
        }
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    match arguments.command {
        OutboxCommand::List(page) => {
            let answer = connection.read(&["outbox"], &page.pairs()).await?;
            print::list(&connection, &answer, &WAITING)
        }
        OutboxCommand::Dead { receiver, page } => {
            let mut query = page.pairs();
            query.extend(receiver.map(|receiver| ("receiver", receiver)));
            let answer = connection.read(&["dead-letters"], &query).await?;
            print::list(&connection, &answer, &DEAD)
        }
        OutboxCommand::Retry(letters) => {
            let path = ["dead-letters:retry"];
            let answer = connection.create(&path, &letters.document()).await?;
            print::done(&connection, &retried(&answer))
        }
        OutboxCommand::Delete(letters) => {
            let path = ["dead-letters:drop"];
            let answer = connection.create(&path, &letters.document()).await?;
            print::done(&connection, &format!("{} forgotten", answer["letters"]))
        }
    }
}

/// What became of dead letters that were to be offered again.
fn retried(answer: &Value) -> String {
    let mut done = format!("{} offered again", answer["letters"]);
    if answer["untold"].as_u64().is_some_and(|untold| untold > 0) {
        let untold = &answer["untold"];
        done += &format!(
            "; {untold} dead still, since the stream asks for no such event, or tells of the person no more"
        );
    }
    if answer["full"] == true {
        done += "; as many messages as may wait for the receiver, so the others are dead still: once it has taken some, run this again";
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_offers_letters_again_reads_how_many_are_dead_still() {
        let told = |untold: u32, full: bool| {
            retried(&json!({ "letters": 2, "untold": untold, "full": full }))
        };

        assert_eq!(told(0, false), "2 offered again");
        let untold = told(3, false);
        assert!(
            untold.starts_with("2 offered again; 3 dead still"),
            "{untold}"
        );
        assert!(told(3, true).ends_with("run this again"));
    }
}
