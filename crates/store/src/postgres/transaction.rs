//! A transaction. Behind a pooler it brings its limits along: a setting of the
//! connection would stay with somebody else's, and one of the transaction ends
//! with it.

use deadpool_postgres::Client;
use futures_util::FutureExt;
use tokio_postgres::Error;

use super::line::LIMITS;

/// A transaction that is rolled back unless it was committed.
pub(super) struct Transaction<'c> {
    client: &'c Client,
    is_over: bool,
}

impl<'c> Transaction<'c> {
    /// Begins one by these words. `BEGIN` and its limits, where it has some, are
    /// one message.
    pub(super) async fn begin(
        client: &'c mut Client,
        begin: &str,
        is_limited: bool,
    ) -> Result<Self, Error> {
        // Made first: whoever gives up waiting leaves no transaction open.
        let own = Self {
            client,
            is_over: false,
        };
        let limits = LIMITS.map(|(name, value)| format!("; SET LOCAL {name} = {value}"));
        let limits = if is_limited {
            limits.concat()
        } else {
            String::new()
        };
        own.client
            .batch_execute(&format!("{begin}{limits}"))
            .await?;
        Ok(own)
    }

    pub(super) fn client(&self) -> &'c Client {
        self.client
    }

    pub(super) async fn commit(mut self) -> Result<(), Error> {
        self.is_over = true;
        self.client.batch_execute("COMMIT").await
    }

    pub(super) async fn rollback(mut self) -> Result<(), Error> {
        self.is_over = true;
        self.client.batch_execute("ROLLBACK").await
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // Polled once, it is sent; nobody waits for the answer.
            let _ = self.client.batch_execute("ROLLBACK").now_or_never();
        }
    }
}
