//! The status page: what an administrator sees of a running server, read-only.

use std::time::Duration;

use askama::Template;

use super::page::Page;
use super::parts::Site;
use super::policy::{FormAction, Policy};
use super::text::duration_words;

/// Shows the state of a server.
#[derive(Debug, Template)]
#[template(path = "status.html")]
pub(crate) struct StatusPage {
    /// The site.
    pub(crate) site: Site,
    /// The version of the binary.
    pub(crate) version: String,
    /// The issuer.
    pub(crate) issuer: String,
    /// The engine of the store ("SQLite 3.50").
    pub(crate) store_engine: String,
    /// How long this process runs.
    pub(crate) uptime: Duration,
    /// The revocation feed as this process knows it.
    pub(crate) feed: FeedState,
    /// How many rows there are.
    pub(crate) counts: RowCounts,
    /// The signing keys.
    pub(crate) keys: Vec<KeyRow>,
}

/// How far this process has followed the revocation feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedState {
    /// The last sequence applied.
    pub(crate) sequence: u64,
    /// How long ago the feed was last heard of.
    pub(crate) age: Duration,
}

/// How many rows the store holds of each noun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowCounts {
    /// Clients.
    pub(crate) clients: u64,
    /// Resources.
    pub(crate) resources: u64,
    /// People.
    pub(crate) people: u64,
    /// Live sessions.
    pub(crate) sessions: u64,
    /// Live grants.
    pub(crate) grants: u64,
}

/// One signing key.
#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    /// Its `kid`.
    pub(crate) id: String,
    /// Its algorithm.
    pub(crate) alg: String,
    /// Its state in a word ("signing").
    pub(crate) state: String,
    /// How old it is.
    pub(crate) age: Duration,
}

impl StatusPage {
    fn running_for(&self) -> String {
        duration_words(self.uptime)
    }

    fn rows(&self) -> [(&'static str, String); 5] {
        let counts = self.counts;
        [
            ("Clients", grouped(counts.clients)),
            ("Resources", grouped(counts.resources)),
            ("People", grouped(counts.people)),
            ("Sessions", grouped(counts.sessions)),
            ("Grants", grouped(counts.grants)),
        ]
    }
}

impl FeedState {
    fn sequence(self) -> String {
        grouped(self.sequence)
    }

    fn age(self) -> String {
        duration_words(self.age)
    }
}

impl KeyRow {
    fn age(&self) -> String {
        duration_words(self.age)
    }
}

impl Page for StatusPage {
    fn policy(&self) -> Policy {
        Policy::new(FormAction::none())
    }
}

/// Writes a number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            // A narrow space that does not break.
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
impl StatusPage {
    /// A server with some traffic behind it.
    pub(crate) fn sample() -> Self {
        let days = |count: u64| Duration::from_secs(count * 86_400);
        let key = |id: &str, alg: &str, state: &str, age| KeyRow {
            id: id.to_owned(),
            alg: alg.to_owned(),
            state: state.to_owned(),
            age,
        };
        Self {
            site: super::tests::site(),
            version: "0.1.0".to_owned(),
            issuer: "https://id.example.com".to_owned(),
            store_engine: "PostgreSQL 17.2".to_owned(),
            uptime: Duration::from_secs(3 * 86_400 + 4 * 3_600),
            feed: FeedState {
                sequence: 184_213,
                age: Duration::from_millis(400),
            },
            counts: RowCounts {
                clients: 42,
                resources: 7,
                people: 18_204,
                sessions: 3_911,
                grants: 1_250_377,
            },
            keys: vec![
                key("2026-11-es256", "ES256", "signing", days(12)),
                key("2026-11-rs256", "RS256", "signing", days(12)),
                key("2026-08-es256", "ES256", "retiring", days(102)),
                key("2027-02-es256", "ES256", "published", days(1)),
            ],
        }
    }
}
