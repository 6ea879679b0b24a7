//! The token endpoint: who asks, by which grant, and what comes of it.
//!
//! Spec: RFC 6749 §3.2, §5
//! Spec: OAuth 2.1 §3.2
//! Spec: RFC 9449 §5, §8

use axum::response::Response;
use http::StatusCode;
use symbolon_protocol::GrantType;

use crate::authn::client::{AuthenticatedClient, authenticate};
use crate::cx::Cx;
use crate::failure::{Failure, Refusal};
#[cfg(feature = "saml")]
use crate::grant::saml2_bearer;
use crate::grant::{
    authorization_code, client_credentials, device_code, jwt_bearer, refresh_token, token_exchange,
};
use crate::holder;
use crate::received::Received;
use crate::respond;

/// Answers `POST /token`.
pub(crate) async fn post(cx: Cx, received: Received) -> Result<Response, Failure> {
    let form = received.form()?;
    let client = authenticate(&cx, &received, &form).await?;
    let grant = form
        .one("grant_type")
        .ok_or(Refusal::invalid_request("grant_type is missing"))?;
    let grant: GrantType = grant
        .parse()
        .map_err(|_| Refusal::unsupported_grant_type("there is no such grant"))?;
    check_may_use(&client, grant)?;
    let cx = holder::prove(cx, &received)?;
    match grant {
        // Their acts use the proof up.
        GrantType::AuthorizationCode | GrantType::DeviceCode | GrantType::RefreshToken => {
            holder::note(&cx)?;
        }
        _ => holder::spend(&cx)?,
    }
    // A future is as large as the largest that it may hold, and all of it is
    // moved at every request: only the smallest grant stands in this one.
    let issued = match grant {
        GrantType::AuthorizationCode => {
            let request = authorization_code::CodeRequest::parse(&cx, &form)?;
            Box::pin(authorization_code::exchange(&cx, &client, request)).await?
        }
        GrantType::DeviceCode => {
            let request = device_code::DeviceCodeRequest::parse(&form)?;
            Box::pin(device_code::exchange(&cx, &client, request)).await?
        }
        GrantType::ClientCredentials => client_credentials::issue(&cx, &client, &form).await?,
        GrantType::RefreshToken => {
            let request = refresh_token::RefreshRequest::parse(&cx, &form)?;
            Box::pin(refresh_token::renew(&cx, &client, request)).await?
        }
        GrantType::TokenExchange => {
            let request = token_exchange::ExchangeRequest::parse(&form)?;
            Box::pin(token_exchange::exchange(&cx, &client, request)).await?
        }
        GrantType::JwtBearer => Box::pin(jwt_bearer::issue(&cx, &client, &form)).await?,
        #[cfg(feature = "saml")]
        GrantType::Saml2Bearer => Box::pin(saml2_bearer::issue(&cx, &client, &form)).await?,
        #[cfg(not(feature = "saml"))]
        GrantType::Saml2Bearer => {
            let why = "this program was built without SAML";
            return Err(Refusal::unsupported_grant_type(why).into());
        }
    };
    crate::metric::issued(grant);
    let mut response = respond::json(StatusCode::OK, &issued);
    if cx.holder().key().is_some()
        && let Some(nonce) = holder::next_nonce(&cx)
    {
        response.headers_mut().insert(respond::DPOP_NONCE, nonce);
    }
    Ok(response)
}

fn check_may_use(client: &AuthenticatedClient, grant: GrantType) -> Result<(), Refusal> {
    if client.client().may_use(grant) {
        Ok(())
    } else {
        Err(Refusal::unauthorized_client(
            "this client may not use this grant",
        ))
    }
}
