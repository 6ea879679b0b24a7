//! `symbolon audit`: the trail listed, exported, and proved to be whole.

mod chain;
mod export;
mod search;
mod verify;

use std::path::PathBuf;

use clap::Subcommand;

use super::print::{self, Column};
use super::{Connection, Failed, Page, Target};

const COLUMNS: [Column; 6] = [
    ("AT", "at"),
    ("ACTION", "action"),
    ("ACTOR", "actor"),
    ("SUBJECT", "subject"),
    ("CLIENT", "client"),
    ("DETAIL", "detail"),
];

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon audit list --action grant.withdraw")]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Lists what was done, oldest first
    #[command(
        after_help = "Example:\n  symbolon audit list --action client.create --since 2026-12-01T00:00:00Z --limit 20"
    )]
    List {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        page: Page,
    },
    /// Prints the whole trail as JSON lines, in the order of its chain
    #[command(
        after_help = "Example:\n  symbolon audit export > audit.jsonl && symbolon audit verify audit.jsonl\n\nWith a filter the lines come in the order of time, and prove nothing: what is missing cannot be told from what was left out."
    )]
    Export {
        #[command(flatten)]
        filter: Filter,
        /// Begin after this link: the last one of an earlier export; not with a
        /// filter, whose lines are not the chain
        #[arg(long, value_name = "LINK")]
        after: Option<i64>,
        /// Go on with what is done from now on
        #[arg(long)]
        follow: bool,
    },
    /// Says whether anything in the trail was changed, removed or put in
    #[command(
        after_help = "Example:\n  symbolon audit verify audit.jsonl --expect 4711:Y2hhaW4…\n\nWithout a file, the server's own trail. The head that is printed, kept somewhere else, is what --expect takes later: it tells a trail that was cut from one that is young.\nExit status: 0 it holds, 1 it does not, 2 usage."
    )]
    Verify {
        /// An export; `-` reads standard input
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// A head that was printed before: LINK:HASH
        #[arg(long, value_name = "LINK:HASH")]
        expect: Vec<String>,
        /// The key that anchors: NAME=PUBLIC. Without it, the ones that the
        /// server or the export names
        #[arg(long, value_name = "NAME=PUBLIC")]
        key: Vec<String>,
    },
}

/// Which entries.
#[derive(clap::Args)]
struct Filter {
    /// Only what was done under this name
    #[arg(long)]
    action: Option<String>,
    /// Only what this one did: a person's id, a client, `administrator`, `system`
    #[arg(long)]
    actor: Option<String>,
    /// Only what was done to this one: a person's id (`usr_…`), which
    /// `symbolon user get NAME` shows
    #[arg(long)]
    subject: Option<String>,
    /// Only what was about this client
    #[arg(long)]
    client: Option<String>,
    /// Only what this request did
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Only what was done then or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was done before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Filter {
    fn pairs(self) -> Vec<(&'static str, String)> {
        let all = [
            ("action", self.action),
            ("actor", self.actor),
            ("subject", self.subject),
            ("client", self.client),
            ("request", self.request_id),
            ("since", self.since),
            ("until", self.until),
        ];
        let given = all.into_iter();
        given.filter_map(|(name, own)| Some((name, own?))).collect()
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.command {
        AuditCommand::List { filter, page } => {
            let connection = Connection::open(arguments.target)?;
            let answer = search::page(&connection, filter.pairs(), page).await?;
            print::list(&connection, &answer, &COLUMNS)
        }
        AuditCommand::Export {
            filter,
            after,
            follow,
        } => {
            let filter = filter.pairs();
            if after.is_some() && !filter.is_empty() {
                return Err(Failed::usage(
                    "usage",
                    "--after names a link of the chain: without a filter; with one, --since says from when on",
                ));
            }
            let connection = Connection::open(arguments.target)?;
            if filter.is_empty() {
                export::chain(&connection, after.unwrap_or(0), follow).await
            } else {
                export::filtered(&connection, filter, follow).await
            }
        }
        AuditCommand::Verify { file, expect, key } => {
            let known = verify::Known::parse(&expect, &key)?;
            match file {
                Some(file) => verify::file(&file, known, arguments.target.json),
                None => {
                    let connection = Connection::open(arguments.target)?;
                    verify::server(&connection, known).await
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[tokio::test]
    async fn an_export_by_filter_takes_no_link_to_begin_after() {
        let command = Arguments::augment_args(clap::Command::new("audit"));
        let given = [
            "audit",
            "export",
            "--after",
            "4711",
            "--action",
            "key.rotate",
        ];
        let given = command.try_get_matches_from(given).unwrap();
        let arguments = Arguments::from_arg_matches(&given).unwrap();

        let refused = run(arguments).await.unwrap_err();

        assert!(refused.is_usage(), "{refused}");
        assert!(refused.to_string().contains("--after"), "{refused}");
    }
}
