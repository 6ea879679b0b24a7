//! Entries that a filter lets through, asked for until there are enough.
//!
//! The server looks through a bounded part of the trail for each request, so a
//! page may be empty while more follows. A long search says how far it is.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::admin::connection::Connection;
use crate::admin::{Failed, Page};

/// How many entries a list has where nobody says.
const DEFAULT_LIMIT: u32 = 100;
/// How often a long search says how far it is.
const TELL: Duration = Duration::from_secs(2);

/// A search through the trail.
pub(super) struct Search<'a> {
    connection: &'a Connection,
    filter: Vec<(&'static str, String)>,
    after: Option<String>,
    found: usize,
    told: Instant,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        filter: Vec<(&'static str, String)>,
        after: Option<String>,
    ) -> Self {
        Self {
            connection,
            filter,
            after,
            found: 0,
            told: Instant::now(),
        }
    }

    /// How many entries were found.
    pub(super) fn found(&self) -> usize {
        self.found
    }

    /// Asks once: what was found, and whether more may follow.
    pub(super) async fn part(&mut self, limit: u32) -> Result<(Vec<Value>, bool), Failed> {
        let mut query = self.filter.clone();
        query.push(("limit", limit.to_string()));
        query.extend(self.after.clone().map(|after| ("after", after)));
        let mut answer = self.connection.read(&["audit"], &query).await?;
        let items = match answer["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        self.found += items.len();
        let next = answer["next"].as_str();
        let last = items.last().and_then(|last| last["place"].as_str());
        if let Some(place) = next.or(last) {
            self.after = Some(place.to_owned());
        }
        if next.is_some() {
            self.tell(answer["reached"].as_str().unwrap_or_default());
        }
        Ok((items, next.is_some()))
    }

    fn tell(&mut self, reached: &str) {
        if self.told.elapsed() >= TELL {
            eprintln!("Searched until {reached}: {} found so far.", self.found);
            self.told = Instant::now();
        }
    }
}

/// A page of what a filter lets through, as full as the trail allows.
pub(super) async fn page(
    connection: &Connection,
    filter: Vec<(&'static str, String)>,
    page: Page,
) -> Result<Value, Failed> {
    let limit = page.limit.unwrap_or(DEFAULT_LIMIT);
    let mut search = Search::new(connection, filter, page.after);
    let (mut items, mut more) = search.part(limit).await?;
    while more && let Some(left) = left(limit, items.len()) {
        let (found, follows) = search.part(left).await?;
        items.extend(found);
        more = follows;
    }
    let mut answer = json!({ "items": items });
    if let Some(next) = search.after.filter(|_| more) {
        answer["next"] = next.into();
    }
    Ok(answer)
}

/// How many entries are missing from a page, where any are.
fn left(limit: u32, found: usize) -> Option<u32> {
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    Some(limit.saturating_sub(found)).filter(|left| *left > 0)
}
