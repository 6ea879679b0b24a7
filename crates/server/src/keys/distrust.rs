//! A key that somebody else may have: dead everywhere, and replaced, in one
//! commit.

use std::sync::Arc;

use symbolon_store::{DistrustKey, Distrusted, WorkingKey};

use super::KeysError;
use super::fresh::Maker;
use super::policy::{KeyPurpose, kid};
use super::rotate::Asker;
use crate::app::App;

/// Takes a key back. What it made is refused by this node when this returns,
/// by the others as soon as they have read the record.
pub(crate) async fn distrust(
    app: &App,
    key: &WorkingKey,
    asker: &Asker,
) -> Result<Distrusted, KeysError> {
    let (loaded, now) = (app.keys.load_full(), app.edge.clock.now());
    let purpose = KeyPurpose::named(&key.purpose)
        .filter(|purpose| purpose.changes())
        .ok_or_else(|| KeysError::Unusable(key.id.clone()))?;
    let maker = Maker {
        master: loaded.master.clone(),
        entropy: Arc::clone(&app.edge.entropy),
        now,
    };
    // Both places may be empty by the time of the act; it numbers them.
    let (one, other) = tokio::try_join!(maker.make(purpose, 0), maker.make(purpose, 0))?;
    let act = DistrustKey {
        id: key.id.clone(),
        name: kid(key).to_owned(),
        spares: [one, other],
        master: loaded.fingerprint(),
        horizon: app.horizon(now),
        now,
        audit: asker.event("key.distrust", key),
    };
    let outcome = app.store.act(act).await?;
    // It is dead by its record, whether this node can read the keys or not.
    if let Err(error) = app.reload_keys().await {
        tracing::error!(cause = %error, "a key was distrusted, and this node cannot read the others");
    }
    crate::metric::key_changed(purpose.word());
    Ok(outcome)
}
