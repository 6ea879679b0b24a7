//! A server that a busy machine keeps waiting.

use std::time::Duration;

use crate::app::App;

/// Lets whoever signs in wait for their turn for as long as a test does.
pub fn be_patient(app: &App) {
    app.passwords.be_patient(Duration::from_secs(30));
}
