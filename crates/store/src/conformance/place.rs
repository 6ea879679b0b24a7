//! A place of its own in somebody's database: made for the behaviour tests, and
//! taken away after them.

use symbolon_token::{Entropy, random};

use crate::fault::Fault;
use crate::store::sqlite_path;

/// A place that nobody else uses.
#[derive(Debug)]
pub struct Place {
    /// The URL that leads there.
    pub url: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A file, with what SQLite puts beside it.
    File(std::path::PathBuf),
    /// A schema, or a database, and the URL of where it was made.
    #[cfg(feature = "postgres")]
    Schema { name: String, within: String },
    #[cfg(feature = "postgres")]
    Database { name: String, within: String },
}

/// How a place is made on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// As a schema, which the URL names.
    Schema,
    /// As a database: a pooler passes no schema on.
    Database,
}

impl Place {
    /// Makes one beside or within what a URL names.
    pub async fn make(url: &str, apart: Apart, entropy: &dyn Entropy) -> Result<Self, Fault> {
        let number = u64::from_be_bytes(random(entropy));
        let name = format!("symbolon_doctor_{number:016x}");
        if let Some(path) = sqlite_path(url) {
            let path = std::path::PathBuf::from(format!("{path}.{name}"));
            return Ok(Self {
                url: format!("sqlite://{}", path.display()),
                kind: Kind::File(path),
            });
        }
        Self::on_server(url, name, apart).await
    }

    #[cfg(not(feature = "postgres"))]
    async fn on_server(_: &str, _: String, _: Apart) -> Result<Self, Fault> {
        Err(crate::store::without_postgres())
    }

    #[cfg(feature = "postgres")]
    async fn on_server(url: &str, name: String, apart: Apart) -> Result<Self, Fault> {
        let client = crate::backup::engine::connect(url).await?;
        let within = url.to_owned();
        if apart == Apart::Schema {
            client
                .batch_execute(&format!("CREATE SCHEMA {name}"))
                .await?;
            let sign = if url.contains('?') { '&' } else { '?' };
            return Ok(Self {
                url: format!("{url}{sign}options=-c%20search_path%3D{name}"),
                kind: Kind::Schema { name, within },
            });
        }
        client
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await?;
        Ok(Self {
            url: of_database(url, &name)?,
            kind: Kind::Database { name, within },
        })
    }

    /// Takes the place away with all that is in it.
    pub async fn remove(self) -> Result<(), Fault> {
        match self.kind {
            Kind::File(path) => {
                for ending in ["", "-wal", "-shm", ".lock", ".reserve"] {
                    let path = crate::sqlite::file::beside(&path, ending);
                    // What was never made need not go.
                    let _ = std::fs::remove_file(path);
                }
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Kind::Schema { name, within } => {
                let client = crate::backup::engine::connect(&within).await?;
                let text = format!("DROP SCHEMA {name} CASCADE");
                Ok(client.batch_execute(&text).await?)
            }
            #[cfg(feature = "postgres")]
            Kind::Database { name, within } => {
                let client = crate::backup::engine::connect(&within).await?;
                let text = format!("DROP DATABASE {name} WITH (FORCE)");
                Ok(client.batch_execute(&text).await?)
            }
        }
    }
}

/// The URL with another database.
#[cfg(feature = "postgres")]
fn of_database(url: &str, name: &str) -> Result<String, Fault> {
    let unreadable = || Fault::broken("postgresql: the URL cannot be read");
    let (base, query) = url
        .split_once('?')
        .map_or((url, None), |(a, b)| (a, Some(b)));
    let (scheme, rest) = base.split_once("://").ok_or_else(unreadable)?;
    let host = rest.split('/').next().unwrap_or(rest);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{scheme}://{host}/{name}{query}"))
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn another_database_keeps_all_else_of_the_url() {
        for (url, expected) in [
            ("postgres://a:b@h:1/x", "postgres://a:b@h:1/n"),
            ("postgres://h", "postgres://h/n"),
            (
                "postgres://h/x?sslmode=disable",
                "postgres://h/n?sslmode=disable",
            ),
        ] {
            assert_eq!(of_database(url, "n").ok().as_deref(), Some(expected));
        }
    }
}
