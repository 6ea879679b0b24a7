//! Explanations over the admin API, for `symbolon token explain`.

use serde_json::Value;

use super::connection::Connection;
use super::{Failed, Target};

/// Explains a request or a token by its id.
pub(crate) async fn explained(target: Target, id: &str) -> Result<Value, Failed> {
    let connection = Connection::open(target)?;
    connection.read(&["explanations", id], &[]).await
}

/// Explains a token, which the server reads and forgets.
pub(crate) async fn explain(target: Target, question: &Value) -> Result<Value, Failed> {
    let connection = Connection::open(target)?;
    connection.create(&["tokens:explain"], question).await
}
