//! `symbolon resource`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Subcommand;
use serde_json::{Map, Value};

use super::client::{add_lists, add_set, add_texts};
use super::print::{self, Column};
use super::{Connection, Failed, Page, Target, replace};

const COLUMNS: [Column; 4] = [
    ("IDENTIFIER", "identifier"),
    ("FORMAT", "token_format"),
    ("ORGANIZATION", "organization"),
    ("SCOPES", "scopes"),
];

/// What decides which format fits.
const QUESTIONS: [(&str, &str); 3] = [
    (
        "must_die_at_once",
        "Must a token die at once when it is taken back?",
    ),
    ("many_services_check", "Do many services check it?"),
    ("holder_may_read", "May the holder read what is in it?"),
];

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon resource create https://api.example.com --scope read:orders --token-format jwt"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: ResourceCommand,
}

#[derive(Subcommand)]
enum ResourceCommand {
    /// Lists resources
    #[command(after_help = "Example:\n  symbolon resource list")]
    List(#[command(flatten)] Page),
    /// Shows a resource
    #[command(after_help = "Example:\n  symbolon resource get https://api.example.com")]
    Get {
        /// The identifier
        identifier: String,
    },
    /// Creates a resource; without --token-format it asks three questions
    #[command(
        after_help = "Example:\n  symbolon resource create https://api.example.com --scope read:orders"
    )]
    Create {
        /// The identifier: the audience, exactly as clients send it
        identifier: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Changes a resource
    #[command(
        after_help = "Example:\n  symbolon resource update https://api.example.com --scope read:orders --scope write:orders"
    )]
    Update {
        /// The identifier
        identifier: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Deletes a resource
    #[command(after_help = "Example:\n  symbolon resource delete https://api.example.com")]
    Delete {
        /// The identifier
        identifier: String,
    },
}

#[derive(clap::Args)]
struct Fields {
    /// The name that people are shown
    #[arg(long)]
    name: Option<String>,
    /// jwt, opaque or macaroon
    #[arg(long, value_name = "FORMAT")]
    token_format: Option<String>,
    /// A scope it knows; repeat for several. `update` replaces all of them
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A scope that people are asked about by name; repeat for several. `update` replaces all of them
    #[arg(long = "sensitive-scope", value_name = "SCOPE")]
    sensitive_scopes: Vec<String>,
    /// Another spelling of the identifier; repeat for several. `update` replaces all of them
    #[arg(long = "alias", value_name = "IDENTIFIER")]
    aliases: Vec<String>,
    /// How long its access tokens live, as in 10m
    #[arg(long, value_name = "SPAN")]
    access_token_lifetime: Option<String>,
    /// A client that may introspect its tokens; repeat for several. `update` replaces all of them
    #[arg(long = "introspection-client", value_name = "ID")]
    introspection_clients: Vec<String>,
    /// A client that may move tokens of other APIs here, or the API that they come from; repeat for several. `update` replaces all of them
    #[arg(long = "exchange-from", value_name = "ID")]
    exchange_from: Vec<String>,
    /// The organization it belongs to
    #[arg(long)]
    organization: Option<String>,
    /// Any other member, as name=value with JSON or plain text; may repeat
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl Fields {
    fn object(self) -> Result<Map<String, Value>, Failed> {
        let mut object = Map::new();
        add_texts(
            &mut object,
            [
                ("name", self.name),
                ("token_format", self.token_format),
                ("access_token_lifetime", self.access_token_lifetime),
                ("organization", self.organization),
            ],
        );
        add_lists(
            &mut object,
            [
                ("scopes", self.scopes),
                ("sensitive_scopes", self.sensitive_scopes),
                ("aliases", self.aliases),
                ("introspection_clients", self.introspection_clients),
                ("exchange_from", self.exchange_from),
            ],
        );
        add_set(&mut object, &self.set)?;
        Ok(object)
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    let answer = match arguments.command {
        ResourceCommand::List(page) => {
            let answer = connection.read(&["resources"], &page.pairs()).await?;
            return print::list(&connection, &answer, &COLUMNS);
        }
        ResourceCommand::Get { identifier } => {
            connection.read(&["resources", &identifier], &[]).await?
        }
        ResourceCommand::Create { identifier, fields } => {
            let mut object = fields.object()?;
            if !object.contains_key("token_format") {
                let format = ask(&connection).await?;
                object.insert("token_format".to_owned(), format);
            }
            object.insert("identifier".to_owned(), identifier.into());
            connection.create(&["resources"], &object.into()).await?
        }
        ResourceCommand::Update { identifier, fields } => {
            replace::update(&connection, &["resources", &identifier], fields.object()?).await?
        }
        ResourceCommand::Delete { identifier } => {
            connection.delete(&["resources", &identifier]).await?;
            return print::done(&connection, &format!("resource {identifier} is deleted"));
        }
    };
    print::one(&connection, &answer)
}

/// Asks the three questions, and says what was chosen and why.
async fn ask(connection: &Connection) -> Result<Value, Failed> {
    if !std::io::stdin().is_terminal() {
        return Err(Failed::usage(
            "resource.token_format",
            "nobody is there to be asked: give `--token-format` with jwt, opaque or macaroon",
        ));
    }
    let mut answers = Map::new();
    for (name, question) in QUESTIONS {
        answers.insert(name.to_owned(), ask_one(question)?.into());
    }
    let advice = connection
        .create(&["resources:advise"], &answers.into())
        .await?;
    let text = |name: &str| {
        advice
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    eprintln!("Chosen: {}. Why: {}.", text("token_format"), text("why"));
    Ok(text("token_format").into())
}

fn ask_one(question: &str) -> Result<bool, Failed> {
    loop {
        let mut errors = std::io::stderr().lock();
        // A question that cannot be shown is answered by nobody, which is told below.
        let _ = write!(errors, "{question} [y/n] ").and_then(|()| errors.flush());
        drop(errors);
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(read) if read > 0 => {}
            _ => {
                return Err(Failed::usage(
                    "resource.token_format",
                    "no answer; give `--token-format` instead",
                ));
            }
        }
        if let Some(answer) = yes_or_no(&line) {
            return Ok(answer);
        }
    }
}

fn yes_or_no(line: &str) -> Option<bool> {
    match line.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_answer_counts() {
        assert_eq!(yes_or_no("Yes\n"), Some(true));
        assert_eq!(yes_or_no(" n \n"), Some(false));
        assert_eq!(yes_or_no("\n"), None);
        assert_eq!(yes_or_no("maybe"), None);
    }
}
