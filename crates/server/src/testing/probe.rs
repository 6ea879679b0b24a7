//! One good call of every route of the administration listener, in an order in
//! which each works: what is looked at exists by then.

use reqwest::Method;
use serde_json::{Value, json};

use crate::admin;

/// What only a running server knows.
#[derive(Debug, Clone)]
pub struct Known {
    /// A grant of alice's.
    pub grant: String,
    /// A session of alice's.
    pub session: String,
    /// A key that signs, and that nothing here needs afterwards.
    pub key: String,
    /// An API key that nothing here needs afterwards.
    pub api_key: String,
    /// A request that was refused.
    pub refused: String,
    /// A password for whoever is created.
    pub password: String,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The method.
    pub method: Method,
    /// The path, as the table has it.
    pub route: &'static str,
    /// The path to call.
    pub path: String,
    /// The document to send.
    pub body: Option<Value>,
}

/// A call of every route of the table that a script can make by itself; the
/// status page needs a link first.
#[rustfmt::skip]
#[expect(clippy::too_many_lines, reason = "a table: one line for each route")]
pub fn probes(known: &Known) -> Vec<Probe> {
    let call = |method: Method, route: &'static str, path: &str, body: Value| Probe {
        method,
        route,
        path: path.to_owned(),
        body: Some(body).filter(|body| !body.is_null()),
    };
    let (get, post, patch, put, delete) = (|| Method::GET, || Method::POST, || Method::PATCH, || Method::PUT, || Method::DELETE);
    let none = || Value::Null;
    let api = "https:%2F%2Fmade.example.com";
    let partner = "/admin/v1/trusted-issuers/https:%2F%2Fpartner.example.net";
    let grant = format!("/admin/v1/grants/{}", known.grant);
    let session = format!("/admin/v1/sessions/{}", known.session);
    let (key, password) = (&known.key, &known.password);
    let held = format!("/admin/v1/api-keys/{}", known.api_key);
    let new_key = json!({ "name": "made", "client": "job", "scopes": ["read:orders"], "resources": ["https://orders.example.com"] });
    let mut brought = new_key.clone();
    brought["digest"] = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".into();
    vec![
        call(get(),    "/metrics",                                    "/metrics", none()),
        call(get(),    "/healthz",                                    "/healthz", none()),
        call(get(),    "/readyz",                                     "/readyz", none()),
        call(get(),    "/openapi.json",                               "/openapi.json", none()),
        call(get(),    "/admin/v1/status",                            "/admin/v1/status", none()),
        call(post(),   "/admin/v1/status-links",                      "/admin/v1/status-links", none()),

        call(post(),   "/admin/v1/resources:advise",                  "/admin/v1/resources:advise", json!({ "must_die_at_once": true, "many_services_check": true, "holder_may_read": true })),
        call(post(),   "/admin/v1/resources",                         "/admin/v1/resources", json!({ "identifier": "https://made.example.com", "scopes": ["read:made"], "token_format": "jwt" })),
        call(get(),    "/admin/v1/resources",                         "/admin/v1/resources?limit=1", none()),
        call(post(),   "/admin/v1/trusted-issuers",                   "/admin/v1/trusted-issuers", json!({ "issuer": "https://partner.example.net", "jwks_uri": "https://partner.example.net/jwks", "resource": "https://made.example.com", "scopes": ["read:made"] })),
        call(get(),    "/admin/v1/trusted-issuers",                   "/admin/v1/trusted-issuers?limit=1", none()),
        call(get(),    "/admin/v1/trusted-issuers/{issuer}",          partner, none()),
        call(patch(),  "/admin/v1/trusted-issuers/{issuer}",          partner, json!({ "scopes": [] })),
        call(post(),   "/admin/v1/trusted-issuers/{issuer}/distrust", &format!("{partner}/distrust"), none()),
        call(post(),   "/admin/v1/trusted-issuers/{issuer}/trust",    &format!("{partner}/trust"), none()),
        call(delete(), "/admin/v1/trusted-issuers/{issuer}",          partner, none()),
        call(get(),    "/admin/v1/resources/{identifier}",            &format!("/admin/v1/resources/{api}"), none()),
        call(patch(),  "/admin/v1/resources/{identifier}",            &format!("/admin/v1/resources/{api}"), json!({ "name": "Made" })),
        call(delete(), "/admin/v1/resources/{identifier}",            &format!("/admin/v1/resources/{api}"), none()),

        call(post(),   "/admin/v1/clients",                           "/admin/v1/clients", json!({ "id": "made", "kind": "service", "grants": ["client_credentials"], "scopes": ["read:orders"], "resources": ["https://orders.example.com"] })),
        call(get(),    "/admin/v1/clients",                           "/admin/v1/clients?limit=1", none()),
        call(get(),    "/admin/v1/clients/{id}",                      "/admin/v1/clients/made", none()),
        call(patch(),  "/admin/v1/clients/{id}",                      "/admin/v1/clients/made", json!({ "name": "Made" })),
        call(post(),   "/admin/v1/clients/{id}/secret",               "/admin/v1/clients/made/secret", json!({ "overlap": "1m" })),
        call(post(),   "/admin/v1/clients/{id}/disable",              "/admin/v1/clients/made/disable", none()),
        call(post(),   "/admin/v1/clients/{id}/enable",               "/admin/v1/clients/made/enable", none()),
        call(delete(), "/admin/v1/clients/{id}",                      "/admin/v1/clients/made", none()),

        call(post(),   "/admin/v1/api-keys",                          "/admin/v1/api-keys", new_key),
        call(get(),    "/admin/v1/api-keys",                          "/admin/v1/api-keys?limit=1", none()),
        call(post(),   "/admin/v1/api-keys:import",                   "/admin/v1/api-keys:import", json!({ "keys": [brought] })),
        call(get(),    "/admin/v1/api-keys/{id}",                     &held, none()),
        call(patch(),  "/admin/v1/api-keys/{id}",                     &held, json!({ "name": "other" })),
        call(post(),   "/admin/v1/api-keys/{id}/disable",             &format!("{held}/disable"), none()),
        call(post(),   "/admin/v1/api-keys/{id}/enable",              &format!("{held}/enable"), none()),
        call(post(),   "/admin/v1/api-keys/{id}/rotate",              &format!("{held}/rotate"), none()),
        call(delete(), "/admin/v1/api-keys/{id}",                     &held, none()),

        call(post(),   "/admin/v1/users",                             "/admin/v1/users", json!({ "username": "made", "password": password })),
        call(get(),    "/admin/v1/users",                             "/admin/v1/users?limit=1", none()),
        call(get(),    "/admin/v1/users/{user}",                      "/admin/v1/users/made", none()),
        call(patch(),  "/admin/v1/users/{user}",                      "/admin/v1/users/made", json!({ "name": "Made" })),
        call(post(),   "/admin/v1/users/{user}/password",             "/admin/v1/users/made/password", json!({ "password": format!("{password}2") })),
        call(post(),   "/admin/v1/users/{user}/disable",              "/admin/v1/users/made/disable", none()),
        call(post(),   "/admin/v1/users/{user}/enable",               "/admin/v1/users/made/enable", none()),

        call(post(),   "/admin/v1/organizations",                     "/admin/v1/organizations", json!({ "id": "made", "name": "Made" })),
        call(get(),    "/admin/v1/organizations",                     "/admin/v1/organizations?limit=1", none()),
        call(get(),    "/admin/v1/organizations/{id}",                "/admin/v1/organizations/made", none()),
        call(patch(),  "/admin/v1/organizations/{id}",                "/admin/v1/organizations/made", json!({ "name": "Made Ltd" })),
        call(post(),   "/admin/v1/organizations/{id}/disable",        "/admin/v1/organizations/made/disable", none()),
        call(post(),   "/admin/v1/organizations/{id}/enable",         "/admin/v1/organizations/made/enable", none()),
        call(put(),    "/admin/v1/organizations/{id}/members/{user}", "/admin/v1/organizations/made/members/made", json!({ "roles": ["buyer"] })),
        call(get(),    "/admin/v1/organizations/{id}/members",        "/admin/v1/organizations/made/members", none()),
        call(delete(), "/admin/v1/organizations/{id}/members/{user}", "/admin/v1/organizations/made/members/made", none()),
        call(delete(), "/admin/v1/organizations/{id}",                "/admin/v1/organizations/made", none()),
        call(delete(), "/admin/v1/users/{user}",                      "/admin/v1/users/made", none()),

        call(get(),    "/admin/v1/grants",                            "/admin/v1/grants?user=alice", none()),
        call(get(),    "/admin/v1/grants/{id}",                       &grant, none()),
        call(delete(), "/admin/v1/grants/{id}",                       &grant, none()),
        call(get(),    "/admin/v1/sessions",                          "/admin/v1/sessions?user=alice", none()),
        call(get(),    "/admin/v1/sessions/{id}",                     &session, none()),
        call(delete(), "/admin/v1/sessions/{id}",                     &session, none()),
        call(get(),    "/admin/v1/keys",                              "/admin/v1/keys", none()),
        call(post(),   "/admin/v1/keys:rotate",                       "/admin/v1/keys:rotate", json!({ "plan": true })),
        call(post(),   "/admin/v1/keys/{kid}/retire",                 &format!("/admin/v1/keys/{key}/retire"), none()),
        call(post(),   "/admin/v1/keys/{kid}/distrust",               &format!("/admin/v1/keys/{key}/distrust"), none()),
        call(post(),   "/admin/v1/revoke",                            "/admin/v1/revoke", json!({ "subject": "alice" })),
        call(post(),   "/admin/v1/tokens:explain",                    "/admin/v1/tokens:explain", json!({ "token": "sym_rt_abc" })),
        call(get(),    "/admin/v1/explanations/{id}",                 &format!("/admin/v1/explanations/{}", known.refused), none()),
        call(get(),    "/admin/v1/outbox",                            "/admin/v1/outbox", none()),
        call(get(),    "/admin/v1/dead-letters",                      "/admin/v1/dead-letters?limit=1", none()),
        call(post(),   "/admin/v1/dead-letters:retry",                "/admin/v1/dead-letters:retry", json!({ "receiver": "client:web" })),
        call(post(),   "/admin/v1/dead-letters:drop",                 "/admin/v1/dead-letters:drop", json!({ "receiver": "client:web" })),
        call(get(),    "/admin/v1/audit",                             "/admin/v1/audit?limit=1", none()),
        call(get(),    "/admin/v1/audit/chain",                       "/admin/v1/audit/chain?limit=1", none()),
    ]
}

/// The routes of the administration table that no call of [`probes`] reaches,
/// besides those that a browser opens.
pub fn without_a_probe(probes: &[Probe]) -> Vec<String> {
    let is_reached = |route: &admin::Route| {
        let opened = matches!(route.path, "/status" | "/assets/{name}");
        opened
            || probes
                .iter()
                .any(|probe| probe.method == route.method && probe.route == route.path)
    };
    let missed = admin::table()
        .into_iter()
        .filter(|route| !is_reached(route));
    missed
        .map(|route| format!("{} {}", route.method, route.path))
        .collect()
}

/// Whether a path is one of a route's: `{name}` stands for one part.
pub fn is_of_route(route: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let fits = |(own, part): (&&str, &&str)| own.starts_with('{') || own == part;
    route.len() == path.len() && route.iter().zip(&path).all(fits)
}
