//! `symbolon apikey`: keys for programs that only know how to send one.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::client::{add_lists, add_texts};
use super::print::{self, Column};
use super::secret_file::SecretTo;
use super::{Connection, Failed, Page, Target};

const ALL: &str = "api-keys";
const COLUMNS: [Column; 8] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("CLIENT", "client"),
    ("STATUS", "status"),
    ("ENVIRONMENT", "environment"),
    ("SCOPES", "scopes"),
    ("EXPIRES", "expires"),
    ("LAST USED", "last_used"),
];
/// How many keys one call brings along: a call is at most 256 KiB.
const BATCH: usize = 100;
/// How long a line of a file may be, in bytes.
const MAX_LINE_BYTES: usize = 2048;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon apikey create 'nightly job' --client billing --scope read:orders \\\n    --resource https://api.example.com --lifetime 90d"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: ApiKeyCommand,
}

#[derive(Subcommand)]
enum ApiKeyCommand {
    /// Lists API keys, those that ended within a month among them
    #[command(after_help = "Example:\n  symbolon apikey list --client billing --json")]
    List {
        #[command(flatten)]
        page: Page,
        /// Only those of one client
        #[arg(long, value_name = "ID")]
        client: Option<String>,
        /// Only those that act for one person
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Only those that act for one organization
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
    },
    /// Shows an API key, without its text
    #[command(after_help = "Example:\n  symbolon apikey get key_2mVtQ9…")]
    Get {
        /// The key's id
        id: String,
    },
    /// Makes an API key and prints it, once
    #[command(
        after_help = "Example:\n  symbolon apikey create 'nightly job' --client billing --scope read:orders \\\n    --resource https://api.example.com --network 192.0.2.0/24 --lifetime 90d"
    )]
    Create {
        /// What people call it
        name: String,
        /// The client that it acts through
        #[arg(long, value_name = "ID")]
        client: String,
        /// The person that it acts for; the client itself by default
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// The organization that it acts for
        #[arg(long, value_name = "ID")]
        organization: Option<String>,
        /// live, or test: where real work is done, no test key passes
        #[arg(long, value_name = "WORD")]
        environment: Option<String>,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        secret: SecretTo,
    },
    /// Changes an API key; what is taken away is gone within a second
    #[command(after_help = "Example:\n  symbolon apikey update key_2mVtQ9… --network 192.0.2.0/24")]
    Update {
        /// The key's id
        id: String,
        /// What people call it
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Makes another key in the place of one, which stays good for a while
    #[command(after_help = "Example:\n  symbolon apikey rotate key_2mVtQ9… --overlap 24h")]
    Rotate {
        /// The key's id
        id: String,
        /// How long the old key holds beside the new one
        #[arg(long, value_name = "SPAN", default_value = "24h")]
        overlap: String,
        /// How long the new key is good; as long as the old one by default
        #[arg(long, value_name = "SPAN")]
        lifetime: Option<String>,
        #[command(flatten)]
        secret: SecretTo,
    },
    /// Takes an API key back, and all that was made of it
    #[command(after_help = "Example:\n  symbolon apikey revoke key_2mVtQ9…")]
    Revoke {
        /// The key's id
        id: String,
    },
    /// Lets an API key work again
    #[command(after_help = "Example:\n  symbolon apikey enable key_2mVtQ9…")]
    Enable {
        /// The key's id
        id: String,
    },
    /// Stops an API key until it is enabled again
    #[command(after_help = "Example:\n  symbolon apikey disable key_2mVtQ9…")]
    Disable {
        /// The key's id
        id: String,
    },
    /// Brings keys along from elsewhere: JSON lines with their SHA-256 digests
    #[command(
        after_help = "Each line is one key: the members of a new one, and `digest`, which is\nthe SHA-256 of its text in hex. Bring only keys that were drawn at random, with\nat least 128 bits: whoever holds the digest of a guessable one has the key. For example, on one line:\n{\"name\":\"job\",\"client\":\"billing\",\"scopes\":[\"read:orders\"],\n\"resources\":[\"https://api.example.com\"],\"digest\":\"2c26…\"}\n\nExample:\n  symbolon apikey import old-keys.jsonl\n  symbolon apikey import - < old-keys.jsonl"
    )]
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
    },
}

#[derive(clap::Args, Default)]
struct Fields {
    /// A scope that it permits; repeat for several. `update` replaces all of them
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A resource that it is for; repeat for several. `update` replaces all of them
    #[arg(long = "resource", value_name = "IDENTIFIER")]
    resources: Vec<String>,
    /// A network that it is good from, everywhere by default; repeat for several. `update` replaces all of them
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// The plan that gateways let it have, instead of its client's
    #[arg(long, value_name = "PLAN")]
    plan: Option<String>,
    /// How long it is good from now, or `never` for without an end
    #[arg(long, value_name = "SPAN", conflicts_with = "expires")]
    lifetime: Option<String>,
    /// Until when it is good, or `never`
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

impl Fields {
    fn object(self) -> Map<String, Value> {
        let mut object = Map::new();
        add_lists(
            &mut object,
            [
                ("scopes", self.scopes),
                ("resources", self.resources),
                ("networks", self.networks),
            ],
        );
        let texts = [
            ("plan", self.plan),
            ("lifetime", self.lifetime),
            ("expires", self.expires),
        ];
        add_texts(&mut object, texts);
        object
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    let answer = match arguments.command {
        ApiKeyCommand::List {
            page,
            client,
            user,
            organization,
        } => {
            let mut pairs = page.pairs();
            let of = [
                ("client", client),
                ("user", user),
                ("organization", organization),
            ];
            pairs.extend(of.into_iter().filter_map(|(name, own)| Some((name, own?))));
            let answer = connection.read(&[ALL], &pairs).await?;
            return print::list(&connection, &answer, &COLUMNS);
        }
        ApiKeyCommand::Get { id } => connection.read(&[ALL, &id], &[]).await?,
        ApiKeyCommand::Create {
            name,
            client,
            user,
            organization,
            environment,
            fields,
            secret,
        } => {
            let mut object = fields.object();
            let texts = [
                ("name", Some(name)),
                ("client", Some(client)),
                ("user", user),
                ("organization", organization),
                ("environment", environment),
            ];
            add_texts(&mut object, texts);
            let file = secret.prepare()?;
            file.keep(connection.create(&[ALL], &object.into()).await)?
        }
        ApiKeyCommand::Update { id, name, fields } => {
            let mut object = fields.object();
            add_texts(&mut object, [("name", name)]);
            connection.patch(&[ALL, &id], &object.into()).await?
        }
        ApiKeyCommand::Rotate {
            id,
            overlap,
            lifetime,
            secret,
        } => {
            let file = secret.prepare()?;
            let mut rotation = Map::new();
            let texts = [("overlap", Some(overlap)), ("lifetime", lifetime)];
            add_texts(&mut rotation, texts);
            let path = [ALL, &id, "rotate"];
            file.keep(connection.create(&path, &rotation.into()).await)?
        }
        ApiKeyCommand::Revoke { id } => {
            connection.delete(&[ALL, &id]).await?;
            let words = format!("API key {id} is taken back, and all that was made of it");
            return print::done(&connection, &words);
        }
        ApiKeyCommand::Enable { id } => connection.tell(&[ALL, &id, "enable"]).await?,
        ApiKeyCommand::Disable { id } => connection.tell(&[ALL, &id, "disable"]).await?,
        ApiKeyCommand::Import { file } => return import(&connection, &file).await,
    };
    print::one(&connection, &answer)
}

/// Brings the keys of a file, and says of each line what became of it.
async fn import(connection: &Connection, file: &Path) -> Result<(), Failed> {
    let unreadable = |error: std::io::Error| {
        let why = format!("could not read `{}`: {error}", file.display());
        Failed::new("apikey.import", why)
    };
    let input: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(file).map_err(unreadable)?),
    };
    let (mut batch, mut refused, mut line) = (Vec::new(), 0, 0);
    for text in BufReader::new(input).lines() {
        line += 1;
        let text = text.map_err(unreadable)?;
        if text.trim().is_empty() {
            continue;
        }
        match key_of(&text) {
            Ok(key) => batch.push((line, key)),
            Err(why) => {
                refused += 1;
                say(connection, line, &json!({ "taken": false, "why": why }))?;
            }
        }
        if batch.len() == BATCH {
            refused += send(connection, std::mem::take(&mut batch)).await?;
        }
    }
    refused += send(connection, batch).await?;
    match refused {
        0 => Ok(()),
        refused => Err(Failed::new(
            "apikey.import",
            format!("{refused} of the keys were not taken; the others are"),
        )),
    }
}

fn key_of(line: &str) -> Result<Value, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("the line has more than {MAX_LINE_BYTES} bytes"));
    }
    match serde_json::from_str(line) {
        Ok(Value::Object(key)) => Ok(Value::Object(key)),
        Ok(_) => Err("the line is no JSON object".to_owned()),
        Err(error) => Err(format!("the line is no JSON: {error}")),
    }
}

/// Sends some keys; how many were not taken.
async fn send(connection: &Connection, batch: Vec<(usize, Value)>) -> Result<usize, Failed> {
    if batch.is_empty() {
        return Ok(0);
    }
    let (lines, keys): (Vec<usize>, Vec<Value>) = batch.into_iter().unzip();
    let path = [&*format!("{ALL}:import")];
    let answer = connection.create(&path, &json!({ "keys": keys })).await?;
    let items = answer.get("items").and_then(Value::as_array);
    let items = items.map_or(&[][..], Vec::as_slice);
    let mut refused = 0;
    for (line, item) in lines.into_iter().zip(items) {
        refused += usize::from(item.get("taken") != Some(&Value::Bool(true)));
        say(connection, line, item)?;
    }
    Ok(refused)
}

/// One line for each key.
fn say(connection: &Connection, line: usize, item: &Value) -> Result<(), Failed> {
    if connection.json {
        let mut item = item.clone();
        item["line"] = line.into();
        return print::text(&item.to_string());
    }
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    print::text(&match item.get("taken") {
        Some(Value::Bool(true)) => format!("line {line}: taken as {}", text("id")),
        _ => format!("line {line}: not taken: {}", text("why")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_sent() {
        let fields = Fields {
            scopes: vec!["read:orders".to_owned()],
            lifetime: Some("never".to_owned()),
            ..Fields::default()
        };
        let object = Value::Object(fields.object());
        assert_eq!(
            object,
            json!({ "scopes": ["read:orders"], "lifetime": "never" })
        );
    }

    #[test]
    fn a_line_is_one_object() {
        assert!(key_of("{\"name\":\"a\"}").is_ok());
        for bad in ["[]", "{", "7", &"x".repeat(MAX_LINE_BYTES + 1)] {
            assert!(key_of(bad).is_err(), "{bad}");
        }
    }
}
