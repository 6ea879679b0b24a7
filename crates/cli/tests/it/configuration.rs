//! The configuration of every test here, with secrets made for one test alone.

use symbolon_server::clock::SystemEntropy;
use symbolon_server::testing::{Head, head, resources};
use symbolon_token::random;

use crate::program::Site;

pub(crate) use symbolon_server::testing::{ORDERS, VAULT};

/// What only one test knows.
pub(crate) struct Words {
    pub(crate) callback: String,
    /// The secret of client `web`, and of `shop`, which asks for no consent.
    pub(crate) web: String,
    /// The secret of client `orders-api`.
    pub(crate) api: String,
    /// The secret of client `job`.
    pub(crate) job: String,
    /// The secret with which client `hasher` authenticates its assertions.
    pub(crate) hasher: String,
    /// The password of alice.
    pub(crate) password: String,
}

impl Words {
    pub(crate) fn new(callback: &str) -> Self {
        let [web, api, job, hasher, password] = std::array::from_fn(|_| secret());
        Self {
            callback: callback.to_owned(),
            web,
            api,
            job,
            hasher,
            password,
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        vec![
            self.web.clone(),
            self.api.clone(),
            self.job.clone(),
            self.hasher.clone(),
            self.password.clone(),
        ]
    }
}

/// Forty random letters and digits.
pub(crate) fn secret() -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let bytes = random::<40>(&SystemEntropy);
    bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// Where the browser goes after it signed out.
pub(crate) fn bye(callback: &str) -> String {
    callback.replace("/callback", "/bye")
}

/// The file, with further lines at its top.
pub(crate) fn text(site: &Site, keys: &str, more: &str) -> String {
    let top = head(Head {
        issuer: &site.issuer,
        listen: &site.listen.to_string(),
        admin: site.admin.trim_start_matches("http://"),
        store: &site.store,
        more,
    });
    [
        top,
        resources("orders-api"),
        machines(&site.words, keys),
        applications(&site.words),
    ]
    .concat()
}

/// Clients that act for themselves.
fn machines(words: &Words, keys: &str) -> String {
    let Words {
        api, job, hasher, ..
    } = words;
    format!(
        r#"[[client]]
id = "orders-api"
kind = "service"
secret = "{api}"
grants = ["client_credentials"]

[[client]]
id = "job"
kind = "service"
secret = "{job}"
grants = ["client_credentials"]
scopes = ["read:orders", "read:vault"]
resources = ["{ORDERS}", "{VAULT}"]
default_resource = "{ORDERS}"

[[client]]
id = "hasher"
kind = "service"
secret = "{hasher}"
authentication = "client_secret_jwt"
assertion_audience = "issuer_or_token_endpoint"
grants = ["client_credentials"]
scopes = ["read:orders"]
resources = ["{ORDERS}"]

[[client]]
id = "signer"
kind = "service"
jwks = {keys}
authentication = "private_key_jwt"
assertion_audience = "issuer_or_token_endpoint"
grants = ["client_credentials"]
scopes = ["read:orders"]
resources = ["{ORDERS}"]

"#
    )
}

/// Clients that act for people, and a person.
fn applications(words: &Words) -> String {
    let Words {
        callback,
        web,
        password,
        ..
    } = words;
    let bye = bye(callback);
    format!(
        r#"[[client]]
id = "web"
name = "Example Shop"
secret = "{web}"
redirect_uris = ["{callback}"]
post_logout_redirect_uris = ["{bye}"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "read:orders", "delete:orders", "read:vault"]
optional_scopes = ["email"]
resources = ["{ORDERS}", "{VAULT}"]
default_resource = "{ORDERS}"

[[client]]
id = "shop"
name = "Our own Shop"
secret = "{web}"
consent = "first_party"
redirect_uris = ["{callback}"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:orders", "read:vault"]
resources = ["{ORDERS}", "{VAULT}"]
default_resource = "{ORDERS}"

[[client]]
id = "tv"
name = "Living Room TV"
kind = "device"
client_uri = "https://tv.example.com"
grants = ["device_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "read:orders", "delete:orders"]
optional_scopes = ["email"]
resources = ["{ORDERS}"]

[[user]]
username = "alice"
password = "{password}"
email = "alice@example.com"
email_verified = true
name = "Alice Example"
"#
    )
}
