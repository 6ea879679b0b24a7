//! A SAML assertion of a trusted issuer as a grant: good once, for one resource
//! and one organization.
//!
//! 1. The assertion is checked with the issuer's certificates and rules.
//! 2. From there it is the way of any other assertion: `jwt_bearer`.
//!
//! Spec: RFC 7521 §4.1
//! Spec: RFC 7522 §2.1, §3.1

use symbolon_protocol::Parameters;

use super::issue::Issued;
use super::trusted_issuer::Sent;
use super::{jwt_bearer, partner_assertion};
use crate::authn::client::AuthenticatedClient;
use crate::cx::Cx;
use crate::failure::Failure;

/// Issues an access token for whom a trusted issuer vouches.
pub(crate) async fn issue(
    cx: &Cx,
    client: &AuthenticatedClient,
    form: &Parameters,
) -> Result<Issued, Failure> {
    let client = client.client();
    let presented = jwt_bearer::presented(client, form)?;
    cx.check_fresh()?;
    let vouched = partner_assertion::verify(cx, client, presented, Sent::AsGrant);
    jwt_bearer::of_vouched(cx, client, form, vouched).await
}
