//! `symbolon keys`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};
use symbolon_server::keys::{Masters, RewrapOutcome, rewrap};
use symbolon_server::launch::open_store;

use super::print::{self, Column};
use super::{Connection, Failed, Target};
use crate::serve::{edge, load};

pub(super) const COLUMNS: [Column; 7] = [
    ("KID", "kid"),
    ("PURPOSE", "purpose"),
    ("ALGORITHM", "algorithm"),
    ("STATE", "state"),
    ("CREATED", "created"),
    ("ACTIVATED", "activated"),
    ("ENDS", "ends"),
];
const PLANNED: [Column; 5] = [
    ("AT", "at"),
    ("DOES", "does"),
    ("PURPOSE", "purpose"),
    ("ALGORITHM", "algorithm"),
    ("KID", "kid"),
];
const ROTATED: [Column; 6] = [
    ("PURPOSE", "purpose"),
    ("ALGORITHM", "algorithm"),
    ("ROTATED", "rotated"),
    ("ACTIVE", "active"),
    ("NEXT", "next"),
    ("TAKES OVER", "takes_over"),
];

#[derive(clap::Args)]
#[command(after_help = "Example:\n  symbolon keys list")]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Lists the keys, those that sign and those that seal
    #[command(after_help = "Example:\n  symbolon keys list --json")]
    List,
    /// Uses the next keys, as soon as they have been published long enough
    #[command(
        after_help = "Example:\n  symbolon keys rotate --plan\n  symbolon keys rotate --algorithm ES256\n  symbolon keys rotate --purpose refresh-token"
    )]
    Rotate {
        /// What the keys are for: signing, access-token, refresh-token …
        #[arg(long, value_name = "PURPOSE")]
        purpose: Option<String>,
        /// Only the signing key of one algorithm
        #[arg(long, value_name = "ALG")]
        algorithm: Option<String>,
        /// Say what would happen when, and do nothing
        #[arg(long)]
        plan: bool,
    },
    /// Has a key make nothing more; what it made still counts
    #[command(after_help = "Example:\n  symbolon keys retire xS0wJ…")]
    Retire {
        /// The key's name, as `keys list` shows it
        kid: String,
    },
    /// Takes a key back that somebody else may have: all that it made is dead at once
    #[command(
        after_help = "Example:\n  symbolon keys distrust xS0wJ…\n  symbolon keys distrust --all"
    )]
    Distrust {
        /// The key's name, as `keys list` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        kid: Option<String>,
        /// Every key that makes tokens, codes or heads of the feed: somebody
        /// else may have them all
        #[arg(long)]
        all: bool,
    },
    /// Seals all keys under a new master key: `master_key_…` is the new one,
    /// `previous_master_key_…` the old one
    #[command(after_help = "Example:\n  symbolon keys rewrap --config symbolon.toml")]
    Rewrap {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failed> {
    if let KeysCommand::Rewrap { config } = &arguments.command {
        return run_rewrap(config).await;
    }
    let connection = Connection::open(arguments.target)?;
    match arguments.command {
        KeysCommand::List => {
            let answer = connection.read(&["keys"], &[]).await?;
            print::list(&connection, &answer, &COLUMNS)
        }
        KeysCommand::Rotate {
            purpose,
            algorithm,
            plan,
        } => {
            let mut body = Map::new();
            let given = [("purpose", purpose), ("algorithm", algorithm)];
            for (name, value) in given {
                body.extend(value.map(|value| (name.to_owned(), Value::from(value))));
            }
            body.insert("plan".to_owned(), json!(plan));
            let answer = connection
                .create(&["keys:rotate"], &Value::from(body))
                .await?;
            let columns = if plan { &PLANNED[..] } else { &ROTATED[..] };
            print::list(&connection, &answer, columns)
        }
        KeysCommand::Retire { kid } => {
            let answer = connection.tell(&["keys", &kid, "retire"]).await?;
            print::list(&connection, &answer, &ROTATED)
        }
        KeysCommand::Distrust { kid, .. } => distrust(&connection, kid).await,
        // Needs no server, so it was done above.
        KeysCommand::Rewrap { .. } => Ok(()),
    }
}

/// What keys are for that `--all` leaves: names that others keep depend on the
/// first two, stored secrets of clients on the next, and old anchors of the
/// audit trail on the last.
const KEPT: [&str; 5] = [
    "pairwise",
    "blinding",
    "secret-digest",
    "client-secret",
    "audit",
];

/// Distrusts one key, or all that were there when the command began.
async fn distrust(connection: &Connection, kid: Option<String>) -> Result<(), Failed> {
    if let Some(kid) = kid {
        let answer = distrust_one(connection, &kid).await?;
        warn(&answer);
        return print::list(connection, &answer, &COLUMNS);
    }
    // What is said of a purpose holds until its next key is distrusted.
    let mut last = BTreeMap::new();
    for (purpose, kid) in making(&connection.read(&["keys"], &[]).await?) {
        match distrust_one(connection, &kid).await {
            // It has gone, or was distrusted, since the list was read.
            Err(failed) if ["admin.not_found", "admin.conflict"].contains(&failed.code()) => {}
            outcome => drop(last.insert(purpose, outcome?)),
        }
    }
    last.values().for_each(warn);
    let answer = connection.read(&["keys"], &[]).await?;
    print::list(connection, &answer, &COLUMNS)
}

async fn distrust_one(connection: &Connection, kid: &str) -> Result<Value, Failed> {
    connection.tell(&["keys", kid, "distrust"]).await
}

fn warn(answer: &Value) {
    let warnings = answer["warnings"].as_array();
    for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("warning: {warning}");
    }
}

/// The keys of a list that make something, or whose work still counts, each
/// behind its purpose.
fn making(list: &Value) -> Vec<(String, String)> {
    let items = list["items"].as_array().into_iter().flatten();
    let is_making = |key: &&Value| {
        let is = |name: &str, words: &[&str]| {
            let own = key[name].as_str();
            own.is_some_and(|own| words.contains(&own))
        };
        is("state", &["active", "next", "retiring"]) && !is("purpose", &KEPT)
    };
    let making = items.filter(is_making);
    let named = |key: &Value, name: &str| key[name].as_str().map(str::to_owned);
    making
        .filter_map(|key| Some((named(key, "purpose")?, named(key, "kid")?)))
        .collect()
}

/// Works on the store itself: the master key is no business of the admin API.
async fn run_rewrap(path: &std::path::Path) -> Result<(), Failed> {
    let failed = |what: &dyn std::fmt::Display| Failed::new("keys.rewrap", what.to_string());
    let config = load(path).map_err(|error| failed(&error))?;
    let edge = edge();
    let masters =
        Masters::configured(&config.store, &*edge.entropy).map_err(|error| failed(&error))?;
    let store = open_store(&config, &*edge.entropy)
        .await
        .map_err(|error| failed(&error))?;
    let done = rewrap(&store, &masters, edge.clock.now(), &*edge.entropy).await;
    store.close().await;
    match done.map_err(|error| failed(&error))? {
        RewrapOutcome::Done(keys) => print::text(&format!(
            "{keys} keys are sealed under the new master key; take `previous_master_key_…` out of the configuration"
        )),
        RewrapOutcome::Already => print::text("all keys are sealed under this master key"),
    }
}
