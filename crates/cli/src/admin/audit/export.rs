//! The trail as JSON lines: page by page, so that memory does not grow with it.
//!
//! 1. `{"symbolon_audit": 1, "after", "keys"}`, and `"start"`, an anchor, where
//!    what was before it was let go.
//! 2. A line for each record, and `{"anchor": …}` before those it holds.
//! 3. `{"end": {"link", "hash", "records", "strays"}}`; without it the export
//!    was cut short.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::chain::{self, unreadable};
use super::search::Search;
use crate::admin::Failed;
use crate::admin::connection::Connection;

/// How often what is new is asked for.
const FOLLOW: Duration = Duration::from_secs(1);
/// How many entries a page may have.
const MAX_LIMIT: u32 = 1000;

/// Prints the chain.
pub(super) async fn chain(
    connection: &Connection,
    mut after: i64,
    follow: bool,
) -> Result<(), Failed> {
    let (mut records, mut begun) = (0_u64, false);
    loop {
        let part = chain::part(connection, after).await?;
        if !begun {
            let mut first = json!({ "symbolon_audit": 1, "after": after, "keys": part.keys });
            let link = part.start.as_ref().and_then(|start| start["link"].as_i64());
            if let (Some(link), Some(start)) = (link.filter(|link| *link > after), &part.start) {
                after = link;
                first["after"] = link.into();
                first["start"] = start.clone();
            }
            say(&first)?;
            begun = true;
        }
        for anchor in &part.anchors {
            say(&json!({ "anchor": anchor }))?;
        }
        for line in &part.items {
            after = line
                .get("link")
                .and_then(Value::as_i64)
                .ok_or_else(|| unreadable("the server's answer"))?;
            records += 1;
            say(line)?;
        }
        if part.next.is_some() {
            continue;
        }
        if !follow {
            let (link, hash) = (&part.head["link"], &part.head["hash"]);
            let end =
                json!({ "link": link, "hash": hash, "records": records, "strays": part.strays });
            return say(&json!({ "end": end }));
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

/// Prints the entries that a filter lets through, in the order of time.
pub(super) async fn filtered(
    connection: &Connection,
    filter: Vec<(&'static str, String)>,
    follow: bool,
) -> Result<(), Failed> {
    say(&json!({ "symbolon_audit": 1, "filtered": true }))?;
    let mut search = Search::new(connection, filter, None);
    loop {
        let (items, more) = search.part(MAX_LIMIT).await?;
        for item in &items {
            say(item)?;
        }
        if more {
            continue;
        }
        if !follow {
            return say(&json!({ "end": { "records": search.found() } }));
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

fn say(line: &Value) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{line}");
    written.map_err(|error| {
        Failed::new(
            "admin.output",
            format!("could not print the export: {error}"),
        )
    })
}
