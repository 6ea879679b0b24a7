//! In which of its renderings a token was sent, by its form alone.

use symbolon_token::api_key;
use symbolon_token::explain::{Refused, Shown};
use symbolon_token::jose::{Invalid, MAX_JWT_BYTES};
use symbolon_token::macaroon;
use symbolon_token::mark::{self, Kind};

/// Which rendering a text has, as far as its form says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rendering {
    Jwt,
    Opaque,
    Macaroon,
    ApiKey,
}

impl Rendering {
    /// Refuses by form alone what nobody needs to be asked about.
    pub(crate) fn of(token: &str) -> Result<Self, Refused> {
        if macaroon::is_macaroon(token) {
            return Ok(Self::Macaroon);
        }
        if token.len() > MAX_JWT_BYTES {
            return Err(Refused::Signature(Invalid::Form));
        }
        let shown = match Kind::claimed_by(token) {
            None => return Ok(Self::Jwt),
            Some(Kind::AccessToken) if mark::is_whole_access_token(token) => {
                return Ok(Self::Opaque);
            }
            Some(Kind::AccessToken) => return Err(Refused::Seal),
            Some(Kind::RefreshToken) => Shown::RefreshToken,
            Some(Kind::AuthorizationCode) => Shown::Other("an authorization code"),
            Some(Kind::DeviceCode) => Shown::Other("a device code"),
            Some(Kind::ClientSecret) => Shown::Other("a client secret"),
            Some(Kind::ApiKey) if api_key::read(token).is_some() => return Ok(Self::ApiKey),
            Some(Kind::ApiKey) => Shown::Other("an API key"),
            Some(Kind::SessionCookie) => Shown::Other("a session cookie"),
            Some(Kind::Registration) => Shown::Other("a registration token"),
            Some(Kind::Administration) => Shown::Other("an administration token"),
            Some(_) => Shown::Unknown,
        };
        Err(Refused::NotAnAccessToken(shown))
    }
}
