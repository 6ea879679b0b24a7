//! Secrets of clients and passwords of people: made, hashed, shown once.

use symbolon_protocol::{Client, ClientAuthentication, Timestamp};
use symbolon_store::{ClientSecret, NewSecret};
use symbolon_token::mark::{Kind, write_fixed};
use symbolon_token::{Entropy, Keyring, Secret, random};

use crate::app::App;
use crate::authn::client::counts;
use crate::failure::Failure;

/// Whether a client has a secret that counts and that its method can be proved
/// by, where it asks for one: what is signed with has to be stored sealed, too.
pub(crate) fn has_its_secret(client: &Client, secrets: &[ClientSecret], now: Timestamp) -> bool {
    let mut counting = secrets.iter().filter(|own| counts(own, now));
    !needs_secret(client) || counting.any(|own| fits(client, own))
}

/// Whether a secret is stored in the form that the client's method needs.
pub(crate) fn fits(client: &Client, secret: &ClientSecret) -> bool {
    !is_signed_with(client) || secret.sealed.is_some()
}

fn is_signed_with(client: &Client) -> bool {
    client.authentication() == ClientAuthentication::ClientSecretJwt
}

/// Whether a client proves itself by a secret.
pub(crate) fn needs_secret(client: &Client) -> bool {
    matches!(
        client.authentication(),
        ClientAuthentication::ClientSecretBasic
            | ClientAuthentication::ClientSecretPost
            | ClientAuthentication::ClientSecretJwt
    )
}

/// A new secret of a client.
pub(crate) fn make_secret(entropy: &dyn Entropy) -> Secret {
    Secret::from(write_fixed(Kind::ClientSecret, &random::<32>(entropy)))
}

/// What is stored instead of a secret; where the client signs with it, it is
/// needed again and sealed.
pub(crate) fn to_be_stored(
    client: &Client,
    secret: &Secret,
    keys: &Keyring,
    entropy: &dyn Entropy,
) -> NewSecret {
    let seal = || keys.seal_secret(client.id.as_str(), secret.expose(), entropy);
    NewSecret {
        digest: keys.digest_secret(secret.expose()),
        sealed: is_signed_with(client).then(seal),
    }
}

/// Hashes a password, behind the bounded queue of sign-ins.
pub(crate) async fn hash_password(app: &App, password: Secret) -> Result<String, Failure> {
    app.passwords.hash(password).await
}
