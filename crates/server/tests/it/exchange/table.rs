//! Every kind of token that may be presented against every kind that may be
//! asked for.
//!
//! The golden file is `docs/exchange-table.md`. `SYMBOLON_UPDATE_GOLDEN=1`
//! writes it anew.

use std::fmt::Write as _;

use serde_json::json;

use super::world::{Asked, Partner, SAFE, STOCK, client, furnish, own_token, signed_in, urn};
use crate::dpop::{Wallet, proved, web_tokens};
use crate::harness::{ORDERS, Server};
use crate::on_both_engines;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exchange-table.md");

on_both_engines! {
    the_table_of_pairs_is_what_the_golden_file_says
}

/// A third API; its tokens are macaroons.
pub(super) const CELLAR: &str = "https://cellar.example.com";

/// What is asked for: a title, the kind, and the API.
const COLUMNS: [(&str, &str, &str); 8] = [
    ("access token, JWT", "access_token", STOCK),
    ("access token, opaque", "access_token", SAFE),
    ("access token, macaroon", "access_token", CELLAR),
    ("`jwt`", "jwt", STOCK),
    ("`jwt`, opaque API", "jwt", SAFE),
    ("`id_token`", "id_token", ORDERS),
    ("`saml2`", "saml2", STOCK),
    ("`refresh_token`", "refresh_token", STOCK),
];

/// What is presented: a title, the kind, the token, and who presents it.
type Presented = (&'static str, &'static str, String, &'static str);

/// What is presented, and by whose key it is proved.
struct Row {
    presented: Presented,
    by: Option<Wallet>,
}

/// Makes the third API, and lets `orders-api` move tokens there.
pub(super) async fn furnish_macaroons(server: &Server) {
    let resource = json!({
        "identifier": CELLAR, "token_format": "macaroon", "introspection_client": "vault-api",
        "scopes": ["read:orders"], "exchange_from": ["orders-api"],
    });
    let path = "/admin/v1/resources";
    let made = server
        .admin(reqwest::Method::POST, path, Some(resource))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let more = json!({
        "resources": [ORDERS, STOCK, SAFE, CELLAR],
        "exchange": { "from": [ORDERS], "to": [STOCK, SAFE, CELLAR] },
    });
    client(server, "orders-api", more).await;
}

/// An API key of the client that may move tokens.
async fn key(server: &Server) -> String {
    let change = json!({
        "client": "orders-api", "scopes": ["read:orders"], "resources": [ORDERS, STOCK, SAFE, CELLAR],
    });
    crate::api_key::make(server, change).await.1
}

async fn rows(server: &Server, partner: &Partner) -> Vec<Row> {
    let tokens = signed_in(server, "alice").await;
    let access = tokens.text("access_token");
    let actor = own_token(server, "orders-api").await;
    let moved = |target| {
        let asked = Asked::of("access_token", &access).acting("access_token", &actor);
        asked.with("resource", target)
    };
    let opaque = moved(SAFE).token(server, "orders-api").await;
    let macaroon = moved(CELLAR).token(server, "orders-api").await;
    let derived = moved(STOCK).token(server, "orders-api").await;
    let jwt = partner.jwt(server, json!({}));
    let policy = json!({ "exchange": { "accepts": ["access_token"], "issues": ["saml2"] } });
    client(server, "web", policy).await;
    let assertion = Asked::of("access_token", &access)
        .with("requested_token_type", &urn("saml2"))
        .token(server, "web")
        .await;
    let key = key(server).await;
    let own = Wallet::new();
    let bound = web_tokens(server, Some(&own)).await.text("access_token");
    let plain = [
        ("access token, JWT", "access_token", access.clone(), "web"),
        ("access token as `jwt`", "jwt", access, "web"),
        ("access token, opaque", "access_token", opaque, "orders-api"),
        (
            "access token, macaroon",
            "access_token",
            macaroon,
            "orders-api",
        ),
        ("exchanged before", "access_token", derived, "orders-api"),
        (
            "access token of a service",
            "access_token",
            own_token(server, "job").await,
            "job",
        ),
        (
            "`refresh_token`",
            "refresh_token",
            tokens.text("refresh_token"),
            "web",
        ),
        ("`id_token`", "id_token", tokens.text("id_token"), "web"),
        ("JWT of a trusted issuer", "jwt", jwt, "orders-api"),
        ("API key", "api_key", key, "orders-api"),
        ("`saml2`", "saml2", assertion, "web"),
        (
            "bound to a key, without its proof",
            "access_token",
            bound.clone(),
            "web",
        ),
    ];
    let with_proof = Row {
        presented: (
            "bound to a key, with its proof",
            "access_token",
            bound,
            "web",
        ),
        by: Some(own),
    };
    let plain = plain.into_iter().map(|presented| Row {
        presented,
        by: None,
    });
    plain.chain([with_proof]).collect()
}

/// Lets the clients present and ask for everything, and move it anywhere.
pub(super) async fn permit(server: &Server, issuer: &str) {
    let kinds = [
        "access_token",
        "refresh_token",
        "id_token",
        "jwt",
        "saml2",
        "api_key",
    ];
    for resource in [STOCK, SAFE, CELLAR] {
        let path = format!(
            "/admin/v1/resources/{}",
            resource.replace(':', "%3A").replace('/', "%2F")
        );
        let open = json!({ "exchange_from": ["web", "orders-api", "job"] });
        server
            .admin(reqwest::Method::PATCH, &path, Some(open))
            .await;
    }
    for (id, grants) in [
        (
            "web",
            json!([
                "authorization_code",
                "refresh_token",
                super::world::EXCHANGE
            ]),
        ),
        (
            "orders-api",
            json!(["client_credentials", super::world::EXCHANGE]),
        ),
        ("job", json!(["client_credentials", super::world::EXCHANGE])),
    ] {
        let patch = json!({
            "grants": grants, "resources": [ORDERS, STOCK, SAFE, CELLAR], "default_resource": ORDERS,
            "exchange": {
                "from": [ORDERS, STOCK, SAFE, CELLAR], "to": [STOCK, SAFE, CELLAR], "accepts": kinds,
                "issues": ["access_token", "jwt", "id_token", "saml2"], "issuers": [issuer], "impersonate": true,
            },
        });
        client(server, id, patch).await;
    }
}

async fn print(server: &Server, rows: &[Row], out: &mut String) {
    let titles: Vec<_> = COLUMNS.iter().map(|(title, ..)| *title).collect();
    writeln!(out, "| presented | {} |", titles.join(" | ")).unwrap();
    writeln!(out, "|---|{}", "---|".repeat(COLUMNS.len())).unwrap();
    for Row { presented, by } in rows {
        let (title, kind, token, who) = presented;
        let mut cells = Vec::new();
        for (_, wanted, target) in COLUMNS {
            let asked = Asked::of(kind, token).with("requested_token_type", &urn(wanted));
            // A partner's JWT opens its own resource and no other.
            let target = match (*title, target) {
                ("JWT of a trusted issuer", STOCK) => ORDERS,
                _ => target,
            };
            let asked = asked.with("resource", target);
            let answer = match by {
                Some(own) => proved(server, who, &asked.form(), own).await,
                None => asked.by(server, who).await,
            };
            cells.push(match answer.status {
                200 => {
                    assert_eq!(answer.text("issued_token_type"), urn(wanted));
                    "yes".to_owned()
                }
                _ => format!("`{}`", answer.refusal()),
            });
        }
        writeln!(out, "| {title} | {} |", cells.join(" | ")).unwrap();
    }
}

async fn the_table_of_pairs_is_what_the_golden_file_says(server: Server) {
    furnish(&server).await;
    furnish_macaroons(&server).await;
    let partner = Partner::trusted(&server).await;
    let rows = rows(&server, &partner).await;
    let mut table = String::from(
        "# Exchange table\n\nWhat each kind of token may be exchanged for, and the error where it may not. Generated by the\ntests, over HTTP, on both engines. Columns are what is asked for by `requested_token_type`, at an API\nwhose tokens are JWTs unless they say otherwise. How to read the policies: [token-exchange.md](token-exchange.md).\n\n## Where client and API say nothing\n\n",
    );
    for id in ["web", "orders-api"] {
        client(&server, id, json!({ "exchange": null })).await;
    }
    client(
        &server,
        "job",
        json!({ "grants": ["client_credentials", super::world::EXCHANGE] }),
    )
    .await;
    print(&server, &rows, &mut table).await;
    table.push_str("\n## Where both allow everything\n\n");
    permit(&server, &partner.issuer).await;
    print(&server, &rows, &mut table).await;

    if std::env::var_os("SYMBOLON_UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(GOLDEN).unwrap_or_default(), table);
}
