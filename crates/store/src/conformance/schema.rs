//! A PostgreSQL schema of a test's own.

use symbolon_token::{Entropy, random};

use crate::fault::Fault;

/// Names the database that tests may use, as a URL.
pub const POSTGRES: &str = "SYMBOLON_TEST_POSTGRES";

/// Makes a schema with a random name in the database that [`POSTGRES`] names,
/// and answers with a URL that leads into it.
pub async fn postgres_schema(entropy: &dyn Entropy) -> Result<String, Fault> {
    let url = std::env::var(POSTGRES).map_err(|_| {
        Fault::broken("set SYMBOLON_TEST_POSTGRES to the URL of a PostgreSQL database for tests")
    })?;
    let name = format!("symbolon_{:016x}", u64::from_be_bytes(random(entropy)));
    let address = crate::postgres::address::parse(&url)?;
    let (client, connection) = address.config.connect(address.tls).await?;
    // The connection ends with the client.
    tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE SCHEMA {name}"))
        .await?;
    let sign = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{sign}options=-c%20search_path%3D{name}"))
}
