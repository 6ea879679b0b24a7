//! A node whose database is gone.

use crate::app::App;

/// Closes the store under a node that goes on: whatever reads it from now on
/// finds nothing there.
pub async fn lose_store(app: &App) {
    app.store.close().await;
}
