//! What tests of consent, sectors and guesses need besides the shared
//! configuration: resources with the same scopes, clients of our own, people
//! who may not come in or whose hash came from elsewhere.

use std::collections::BTreeMap;

use crate::browser::request;
use crate::harness::SECRET;

/// Two APIs with the same scopes.
pub(crate) const NORTH: &str = "https://north.example.com";
pub(crate) const SOUTH: &str = "https://south.example.com";
/// An API of an organization.
pub(crate) const TENANT: &str = "https://tenant.example.com";

/// Where the codes of a client go.
pub(crate) fn callback(client: &str) -> String {
    format!("https://{client}.example.com/callback")
}

/// A request by a client, with some parameters changed.
pub(crate) fn by(client: &str, pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut asked = request();
    asked.insert("client_id".into(), client.into());
    asked.insert("redirect_uri".into(), callback(client));
    for (name, value) in pairs {
        asked.insert((*name).to_owned(), (*value).to_owned());
    }
    asked
}

/// `imported password`, hashed by another program: Argon2i, 8 MiB, 3 passes.
const IMPORTED: &str = "$argon2i$v=19$m=8192,t=3,p=2$c29tZXNhbHRzb21lc2FsdA$rUjbEht3o86C5zR55/7n/d0einpgx2tbB5LrPtSM2dA";

/// The blocks.
pub(crate) fn blocks() -> String {
    let pairwise = r#"subject_type = "pairwise"
consent = "first_party"
post_logout_redirect_uris = ["https://bye.example.com/"]
scopes = ["openid", "offline_access", "read:orders"]
resources = ["https://orders.example.com"]"#;
    let both = format!(
        r#"scopes = ["read", "write"]
optional_scopes = ["write"]
resources = ["{NORTH}", "{SOUTH}"]"#
    );
    let tenant = format!(
        r#"organization = "acme"
scopes = ["openid", "rent"]
resources = ["{TENANT}"]"#
    );
    let signs = r#"introspection_signed_response_alg = "ES256""#;
    let proves = r#"authentication = "client_secret_jwt""#;
    [
        resources(),
        client("both", &both),
        client("sector-one", pairwise),
        client("sector-two", pairwise),
        client("tenant", &tenant),
        machine("signed", signs),
        machine("maker", proves),
        ours(),
    ]
    .concat()
}

fn client(id: &str, more: &str) -> String {
    format!(
        r#"
[[client]]
id = "{id}"
secret = "{SECRET}"
redirect_uris = ["{}"]
grants = ["authorization_code", "refresh_token"]
{more}
"#,
        callback(id)
    )
}

fn machine(id: &str, more: &str) -> String {
    format!(
        r#"
[[client]]
id = "{id}"
kind = "service"
secret = "{SECRET}"
grants = ["client_credentials"]
scopes = ["read:orders"]
resources = ["https://orders.example.com"]
{more}
"#
    )
}

fn resources() -> String {
    format!(
        r#"
[[resource]]
identifier = "{NORTH}"
scopes = ["read", "write"]

[[resource]]
identifier = "{SOUTH}"
scopes = ["read", "write"]

[[resource]]
identifier = "{TENANT}"
organization = "acme"
scopes = ["rent"]
"#
    )
}

/// A public client of our own, and people.
fn ours() -> String {
    format!(
        r#"
[[client]]
id = "ours"
kind = "native"
consent = "first_party"
redirect_uris = ["http://127.0.0.1/callback", "com.example.ours:/callback", "{}"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "read:orders"]
resources = ["https://orders.example.com"]

[[user]]
username = "carol"
password = "carol's own password"
enabled = false

[[user]]
username = "dora"
password_hash = "{IMPORTED}"
"#,
        callback("ours")
    )
}
