//! The part of a configuration that all tests share: the server, and two APIs.

use std::fmt::Write as _;

/// An API whose tokens are JWTs.
pub const ORDERS: &str = "https://orders.example.com";
/// An API whose tokens are opaque.
pub const VAULT: &str = "https://vault.example.com";

/// What differs from server to server.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Who it is.
    pub issuer: &'a str,
    /// Where it listens, as address and port.
    pub listen: &'a str,
    /// Where administration listens.
    pub admin: &'a str,
    /// What remembers.
    pub store: &'a str,
    /// Further lines for the top of the file.
    pub more: &'a str,
}

/// The top of the file, up to and with `[admin]`.
pub fn head(head: Head<'_>) -> String {
    let Head {
        issuer,
        listen,
        admin,
        store,
        more,
    } = head;
    format!(
        r#"issuer = "{issuer}"
listen = "{listen}"
{more}
[store]
url = "{store}"
master_key_file = "master.key"
[admin]
listen = "{admin}"
token_file = "admin.token"

"#
    )
}

/// Two APIs: the tokens of the second are introspected by the client `reader`.
pub fn resources(reader: &str) -> String {
    let mut text = format!(
        r#"[[resource]]
identifier = "{ORDERS}"
aliases = ["{ORDERS}/"]
name = "Orders"
scopes = ["read:orders", "write:orders", "delete:orders"]
sensitive_scopes = ["delete:orders"]
introspection_client = "orders-api"

[resource.scope_descriptions]
"read:orders" = "See your orders"
"write:orders" = "Change your orders"
"delete:orders" = "Delete your orders"

"#
    );
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        r#"[[resource]]
identifier = "{VAULT}"
name = "Vault"
scopes = ["read:vault"]
token_format = "opaque"
introspection_client = "{reader}"

"#
    );
    text
}
