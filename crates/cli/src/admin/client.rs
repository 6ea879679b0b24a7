//! `symbolon client`.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::print::{self, Column};
use super::secret_file::SecretTo;
use super::{Connection, Failed, Page, Target, replace};

const COLUMNS: [Column; 6] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("KIND", "kind"),
    ("AUTHENTICATION", "authentication"),
    ("ENABLED", "enabled"),
    ("SCOPES", "scopes"),
];

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon client create billing --kind service --grant client_credentials \\\n    --scope read:orders --resource https://api.example.com"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Subcommand)]
enum ClientCommand {
    /// Lists clients
    #[command(after_help = "Example:\n  symbolon client list --json")]
    List(#[command(flatten)] Page),
    /// Shows a client
    #[command(after_help = "Example:\n  symbolon client get web")]
    Get {
        /// The client identifier
        id: String,
    },
    /// Creates a client and prints its secret, once
    #[command(
        after_help = "Example:\n  symbolon client create web --redirect-uri https://shop.example.com/callback --scope openid"
    )]
    Create {
        /// The client identifier
        id: String,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        secret: SecretTo,
    },
    /// Changes a client
    #[command(after_help = "Example:\n  symbolon client update web --set require_auth_time=true")]
    Update {
        /// The client identifier
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Deletes a client and takes back all it was given
    #[command(after_help = "Example:\n  symbolon client delete web")]
    Delete {
        /// The client identifier
        id: String,
    },
    /// Gives a client another secret and prints it, once
    #[command(after_help = "Example:\n  symbolon client secret billing --overlap 1h")]
    Secret {
        /// The client identifier
        id: String,
        /// How long the old secret holds beside the new one
        #[arg(long, value_name = "SPAN", default_value = "1h")]
        overlap: String,
        /// The method that it is for, where the client is about to get another
        #[arg(long, value_name = "METHOD")]
        authentication: Option<String>,
        #[command(flatten)]
        secret: SecretTo,
    },
    /// Lets a client work again
    #[command(after_help = "Example:\n  symbolon client enable web")]
    Enable {
        /// The client identifier
        id: String,
    },
    /// Stops a client and takes back all it was given
    #[command(after_help = "Example:\n  symbolon client disable web")]
    Disable {
        /// The client identifier
        id: String,
    },
}

#[derive(clap::Args, Default)]
struct Fields {
    /// The name that people are shown
    #[arg(long)]
    name: Option<String>,
    /// web, browser, native, service, device or agent
    #[arg(long)]
    kind: Option<String>,
    /// How it proves itself, as in client_secret_basic
    #[arg(long, value_name = "METHOD")]
    authentication: Option<String>,
    /// Where codes may be sent; repeat for several. `update` replaces all of them
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// A grant it may use; repeat for several. `update` replaces all of them
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
    /// A scope it may ask for; repeat for several. `update` replaces all of them
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A resource it may ask for; repeat for several. `update` replaces all of them
    #[arg(long = "resource", value_name = "IDENTIFIER")]
    resources: Vec<String>,
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
                ("kind", self.kind),
                ("authentication", self.authentication),
                ("organization", self.organization),
            ],
        );
        add_lists(
            &mut object,
            [
                ("redirect_uris", self.redirect_uris),
                ("grants", self.grants),
                ("scopes", self.scopes),
                ("resources", self.resources),
            ],
        );
        add_set(&mut object, &self.set)?;
        Ok(object)
    }
}

/// Adds the texts that were given.
pub(super) fn add_texts<const N: usize>(
    object: &mut Map<String, Value>,
    given: [(&str, Option<String>); N],
) {
    for (name, value) in given {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.into());
        }
    }
}

/// Adds the lists that were given.
pub(super) fn add_lists<const N: usize>(
    object: &mut Map<String, Value>,
    given: [(&str, Vec<String>); N],
) {
    for (name, values) in given {
        if !values.is_empty() {
            object.insert(name.to_owned(), values.into());
        }
    }
}

/// Adds `name=value`: JSON where it is JSON, text where it is not.
pub(super) fn add_set(object: &mut Map<String, Value>, set: &[String]) -> Result<(), Failed> {
    for pair in set {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Failed::usage(
                "admin.set",
                format!("`--set {pair}` has no `=`; write it as in `--set name=value`"),
            )
        })?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        object.insert(name.to_owned(), value);
    }
    Ok(())
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    let connection = Connection::open(arguments.target)?;
    let answer = match arguments.command {
        ClientCommand::List(page) => {
            let answer = connection.read(&["clients"], &page.pairs()).await?;
            return print::list(&connection, &answer, &COLUMNS);
        }
        ClientCommand::Get { id } => connection.read(&["clients", &id], &[]).await?,
        ClientCommand::Create { id, fields, secret } => {
            let mut object = fields.object()?;
            object.insert("id".to_owned(), id.into());
            let file = secret.prepare()?;
            file.keep(connection.create(&["clients"], &object.into()).await)?
        }
        ClientCommand::Update { id, fields } => {
            replace::update(&connection, &["clients", &id], fields.object()?).await?
        }
        ClientCommand::Delete { id } => {
            connection.delete(&["clients", &id]).await?;
            return print::done(
                &connection,
                &format!("client {id} is deleted, and all it was given is taken back"),
            );
        }
        ClientCommand::Secret {
            id,
            overlap,
            authentication,
            secret,
        } => {
            let file = secret.prepare()?;
            let mut rotation = json!({ "overlap": overlap });
            if let Some(method) = authentication {
                rotation["authentication"] = method.into();
            }
            let path = ["clients", &id, "secret"];
            file.keep(connection.create(&path, &rotation).await)?
        }
        ClientCommand::Enable { id } => connection.tell(&["clients", &id, "enable"]).await?,
        ClientCommand::Disable { id } => connection.tell(&["clients", &id, "disable"]).await?,
    };
    print::one(&connection, &answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_json_where_it_can_be() {
        let mut object = Map::new();
        add_set(
            &mut object,
            &[
                "a=true".into(),
                "b=plain text".into(),
                "c=[\"x\"]".into(),
                "d=".into(),
            ],
        )
        .unwrap();
        assert_eq!(
            Value::Object(object),
            json!({"a": true, "b": "plain text", "c": ["x"], "d": ""})
        );
        assert_eq!(
            add_set(&mut Map::new(), &["nothing".into()])
                .unwrap_err()
                .exit,
            2
        );
    }
}
