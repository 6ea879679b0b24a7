//! Which family a refresh token belongs to, which it hides from its holder.

use symbolon_token::refresh::RefreshToken;
use symbolon_token::{Family, Id};

use crate::app::App;

/// The family of a refresh token of this server.
pub fn family_of(app: &App, refresh_token: &str) -> Option<Id<Family>> {
    let keys = app.keys.load();
    let token = RefreshToken::open(&keys.ring, refresh_token).ok()?;
    Some(token.family)
}
