//! The setting of every sequence: people, an organization, clients of each
//! kind, and APIs with tokens of each format.

use symbolon_server::testing::{ORDERS, VAULT, resources};

/// Secrets of the confidential clients.
pub(super) const SECRET: &str = "a secret of thirty-two characters";
/// The password of everybody.
pub(super) const PASSWORD: &str = "correct horse battery";

pub(super) const STOCK: &str = "https://stock.example.com";
pub(super) const SAFE: &str = "https://safe.example.com";
pub(super) const FILES: &str = "https://files.example.com";

/// The people, by their number.
pub(super) const PEOPLE: [&str; 2] = ["alice", "bob"];
/// Whose password is guessed.
pub(super) const GUESSED: &str = "carol";
/// Who sits before which browser.
pub(super) const BROWSERS: [usize; 3] = [0, 0, 1];
/// The clients that are switched off, and deleted and made again.
pub(super) const CLIENTS: [&str; 5] = ["web", "cli", "baker", "job", "carrier"];

/// What a person may be asked for.
#[derive(Debug)]
pub(super) struct Want {
    pub(super) client: &'static str,
    pub(super) redirect_uri: &'static str,
    pub(super) scopes: &'static str,
    pub(super) resource: &'static str,
    /// Whether it is for the organization.
    pub(super) organization: bool,
}

#[rustfmt::skip]
pub(super) const WANTS: [Want; 8] = [
    Want { client: "web", redirect_uri: WEB, scopes: "openid offline_access read:orders write:orders", resource: ORDERS, organization: false },
    Want { client: "web", redirect_uri: WEB, scopes: "offline_access read:vault", resource: VAULT, organization: false },
    Want { client: "cli", redirect_uri: CLI, scopes: "openid read:orders", resource: ORDERS, organization: false },
    Want { client: "baker", redirect_uri: BAKER, scopes: "openid offline_access read:files write:files", resource: FILES, organization: false },
    Want { client: "web", redirect_uri: WEB, scopes: "openid offline_access read:orders", resource: ORDERS, organization: true },
    Want { client: "legacy", redirect_uri: LEGACY, scopes: "openid offline_access read:orders", resource: ORDERS, organization: false },
    Want { client: "web", redirect_uri: WEB, scopes: "openid read:orders", resource: ORDERS, organization: false },
    Want { client: "leased", redirect_uri: LEASED, scopes: "openid offline_access read:orders", resource: ORDERS, organization: false },
];

const WEB: &str = "https://app.example.com/callback";
const CLI: &str = "http://127.0.0.1/callback";
const BAKER: &str = "https://bakery.example.com/callback";
const LEGACY: &str = "https://legacy.example.com/callback";
const LEASED: &str = "https://leased.example.com/callback";

/// What clients ask for themselves: client, API, scopes.
pub(super) const ALONE: [(&str, &str, &str); 5] = [
    ("job", ORDERS, "read:orders"),
    ("job", VAULT, "read:vault"),
    ("baker", FILES, "read:files write:files"),
    ("carrier", ORDERS, "read:orders"),
    ("signer", ORDERS, "read:orders"),
];

/// Which sector a client knows people in by names of its own.
pub(super) fn sector(client: &str) -> Option<&'static str> {
    ["legacy", "leased"].into_iter().find(|own| *own == client)
}

/// Who may ask about tokens for an API.
pub(super) fn reader(resource: &str) -> &'static str {
    match resource {
        ORDERS => "orders-api",
        FILES => "files-api",
        _ => "vault-api",
    }
}

/// The blocks of the configuration.
pub(super) fn blocks() -> String {
    let people = [PEOPLE[0], PEOPLE[1], GUESSED]
        .map(|name| format!("[[user]]\nusername = \"{name}\"\npassword = \"{PASSWORD}\"\n\n"));
    let organization = r#"[[organization]]
id = "acme"
name = "Acme"
members = [{ user = "alice", roles = ["buyer"] }]

"#;
    [
        resources("vault-api"),
        apis(),
        services(),
        applications(),
        people.concat(),
        organization.to_owned(),
    ]
    .concat()
}

fn apis() -> String {
    let behind = [(STOCK, "jwt"), (SAFE, "opaque")].map(|(identifier, format)| {
        format!(
            r#"[[resource]]
identifier = "{identifier}"
scopes = ["read:orders"]
token_format = "{format}"
introspection_client = "vault-api"
exchange_from = ["carrier"]

"#
        )
    });
    let files = format!(
        r#"[[resource]]
identifier = "{FILES}"
scopes = ["read:files", "write:files"]
token_format = "macaroon"
introspection_client = "files-api"

"#
    );
    behind.concat() + &files
}

fn services() -> String {
    let apis = ["orders-api", "vault-api", "files-api"].map(|id| service(id, ""));
    let job = format!(
        r#"scopes = ["read:orders", "read:vault"]
resources = ["{ORDERS}", "{VAULT}"]
"#
    );
    let carrier = format!(
        r#"grants = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"]
scopes = ["read:orders"]
resources = ["{ORDERS}", "{STOCK}", "{SAFE}"]
default_resource = "{ORDERS}"
exchange = {{ from = ["{ORDERS}"], to = ["{STOCK}", "{SAFE}"], accepts = ["access_token", "saml2"], issues = ["access_token", "saml2"] }}
"#
    );
    apis.concat() + &service("job", &job) + &service("carrier", &carrier)
}

fn service(id: &str, more: &str) -> String {
    let grants = match more.contains("grants") {
        true => "",
        false => "grants = [\"client_credentials\"]\n",
    };
    format!(
        "[[client]]\nid = \"{id}\"\nkind = \"service\"\nsecret = \"{SECRET}\"\n{grants}{more}\n"
    )
}

fn applications() -> String {
    let both = r#"grants = ["authorization_code", "refresh_token"]"#;
    let all = r#"grants = ["client_credentials", "authorization_code", "refresh_token"]"#;
    let web = format!(
        r#"{both}
scopes = ["openid", "profile", "email", "offline_access", "read:orders", "write:orders", "read:vault"]
resources = ["{ORDERS}", "{VAULT}"]
default_resource = "{ORDERS}""#
    );
    let baker = format!(
        r#"{all}
scopes = ["openid", "offline_access", "read:files", "write:files"]
resources = ["{FILES}"]"#
    );
    let pairwise = format!(
        r#"{both}
subject_type = "pairwise"
scopes = ["openid", "offline_access", "read:orders"]
resources = ["{ORDERS}"]"#
    );
    let spare = format!(
        r#"{all}
scopes = ["openid", "offline_access", "read:orders"]
resources = ["{ORDERS}"]"#
    );
    let cli = format!(
        r#"{both}
kind = "native"
scopes = ["openid", "read:orders"]
resources = ["{ORDERS}"]"#
    );
    let confidential = [
        ("web", WEB, web),
        ("baker", BAKER, baker),
        ("legacy", LEGACY, pairwise.clone()),
        ("leased", LEASED, pairwise),
        ("spare", "https://spare.example.com/callback", spare),
    ];
    let confidential = confidential.map(|(id, uri, more)| {
        let secret = format!("secret = \"{SECRET}\"");
        application(id, uri, &format!("{secret}\n{more}"))
    });
    confidential.concat() + &application("cli", CLI, &cli)
}

fn application(id: &str, redirect_uri: &str, more: &str) -> String {
    format!("[[client]]\nid = \"{id}\"\nredirect_uris = [\"{redirect_uri}\"]\n{more}\n\n")
}
