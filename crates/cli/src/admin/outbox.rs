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
            let rest = match answer["full"] == true {
                true => {
                    "; as many messages as may wait for the receiver, so the others are dead still: once it has taken some, run this again"
                }
                false => "",
            };
            let done = format!("{} offered again{rest}", answer["letters"]);
            print::done(&connection, &done)
        }
        OutboxCommand::Delete(letters) => {
            let path = ["dead-letters:drop"];
            let answer = connection.create(&path, &letters.document()).await?;
            print::done(&connection, &format!("{} forgotten", answer["letters"]))
        }
    }
}
