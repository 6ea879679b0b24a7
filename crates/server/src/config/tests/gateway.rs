//! `[gateway]`: what loads, what cannot be meant, and where it is told.

use super::*;

const HEAD: &str = "[gateway]
issuer = 'http://127.0.0.1:8080'
introspection_client = 'guard'
introspection_secret = 'a secret of thirty-two characters'
[[gateway.upstream]]
name = 'orders'
url = 'http://127.0.0.1:9000'
";
const ROUTE: &str = "[[gateway.route]]
path = '/orders/{id}'
methods = ['GET']
upstream = 'orders'
audience = 'https://api.test'
scopes = ['read:orders']
";

fn load(folder: &Folder, text: &str) -> GatewayLoaded {
    GatewayConfig::load(&folder.write("gateway.toml", text), [])
}

/// What was found, as `code:line`.
fn marks(loaded: &GatewayLoaded) -> Vec<String> {
    let (Ok((_, findings)) | Err(findings)) = loaded;
    let line = |finding: &Finding| finding.location.as_ref().map_or(0, |at| at.line);
    let mark = |finding: &Finding| format!("{}:{}", finding.code, line(finding));
    findings.iter().map(mark).collect()
}

#[test]
fn a_file_of_its_own_loads_with_what_a_route_needs() {
    let folder = Folder::new();

    let (config, advice) = load(&folder, &format!("{HEAD}{ROUTE}")).unwrap();

    assert_eq!(advice, []);
    assert_eq!(config.listen.port(), 8081);
    assert_eq!(config.admin_listen.unwrap().port(), 8091);
    let route = &config.routes[0];
    assert_eq!((&*route.name, &*route.upstream), ("/orders/{id}", "orders"));
    let RouteNeeds::Token {
        issuer,
        audience,
        scopes,
        ..
    } = &route.needs
    else {
        panic!("{route:?}")
    };
    assert_eq!(issuer, "http://127.0.0.1:8080");
    assert_eq!(audience, "https://api.test");
    assert_eq!(*scopes, ScopesNeeded::All(vec!["read:orders".into()]));
    assert_eq!(config.introspection.unwrap().id, "guard");
}

#[test]
fn the_servers_own_file_lends_issuer_algorithm_and_secret() {
    let folder = Folder::new();
    let text = format!(
        "issuer = 'http://127.0.0.1:8080'
[[client]]
id = 'guard'
kind = 'service'
secret = 'a secret of thirty-two characters'
grants = ['client_credentials']
[[resource]]
identifier = 'https://api.test'
scopes = ['read:orders']
signing_alg = 'EdDSA'
introspection_client = 'guard'
[gateway]
introspection_client = 'guard'
[[gateway.upstream]]
name = 'orders'
url = 'http://127.0.0.1:9000'
{ROUTE}"
    );

    let (config, _) = folder.load(&text).unwrap();

    let gateway = config.gateway.unwrap();
    let RouteNeeds::Token { algorithms, .. } = &gateway.routes[0].needs else {
        panic!("it is protected")
    };
    assert_eq!(*algorithms, [symbolon_token::jose::Algorithm::EdDsa]);
    assert!(gateway.introspection.is_some());
}

#[test]
fn another_issuers_tokens_serve_until_they_end_where_that_is_said() {
    let folder = Folder::new();
    let more = "issuer = 'https://other.test'\nrevocation = 'at_expiry'\n";

    let (config, _) = load(&folder, &format!("{HEAD}{ROUTE}{more}")).unwrap();

    assert_eq!(
        config.introspection.unwrap().issuer,
        "http://127.0.0.1:8080"
    );
    let needs = &config.routes[0].needs;
    assert!(
        matches!(needs, RouteNeeds::Token { at_expiry: true, issuer, .. } if issuer == "https://other.test")
    );
}

/// What is put in the place of what, at the end where that is nothing, and what
/// is told of it.
#[rustfmt::skip]
const BAD: &[(&str, &str, &str)] = &[
    ("scopes = ['read:orders']\n", "", "gateway.route.scopes.invalid:8"),
    ("audience = 'https://api.test'\n", "", "gateway.route.audience.invalid:8"),
    ("upstream = 'orders'\n", "", "gateway.route.upstream.invalid:8"),
    ("path = '/orders/{id}'\n", "", "gateway.route.path.invalid:8"),
    ("issuer = 'http://127.0.0.1:8080'\n", "", "gateway.route.issuer.invalid:7"),
    ("introspection_client = 'guard'\n", "", "gateway.introspection_client.invalid:1"),
    ("introspection_secret = 'a secret of thirty-two characters'\n", "", "gateway.introspection_client.invalid:3"),
    ("['read:orders']", "[]", "gateway.route.scopes.invalid:13"),
    ("['read:orders']", "['a b']", "gateway.route.scopes.invalid:13"),
    ("upstream = 'orders'", "upstream = 'order'", "gateway.route.upstream.invalid:11"),
    ("'/orders/{id}'", "'/orders/'", "gateway.route.path.invalid:9"),
    ("['GET']", "['get']", "gateway.route.methods.invalid:10"),
    ("['GET']", "['TRACE']", "gateway.route.methods.invalid:10"),
    (":9000'", ":9000/base'", "gateway.upstream.url.invalid:7"),
    ("'http://127.0.0.1:9000'", "'ftp://127.0.0.1'", "gateway.upstream.url.invalid:7"),
    ("'http://127.0.0.1:9000'", "'http://a:b@127.0.0.1'", "gateway.upstream.url.invalid:7"),
    ("[[gateway.upstream]]", "redis_url = 'redis://127.0.0.1'\n[[gateway.upstream]]", "key.not_built:5"),
    ("[[gateway.upstream]]", "assertion_key = 'x'\n[[gateway.upstream]]", "gateway.assertion_key.invalid:5"),
    ("[[gateway.upstream]]", "external_url = 'https://a.test/x'\n[[gateway.upstream]]", "gateway.external_url.invalid:5"),
    ("[[gateway.upstream]]", "client_certificates = true\n[[gateway.upstream]]", "gateway.client_certificates.invalid:5"),
    ("", "any_scopes = ['x']", "gateway.route.any_scopes.invalid:14"),
    ("", "scope = ['x']", "key.unknown:14"),
    ("", "issuer = 'https://other.test'", "gateway.route.revocation.invalid:14"),
    ("", "revocation = 'never'", "gateway.route.revocation.invalid:14"),
    ("", "on_expiry = 'never'", "gateway.route.on_expiry.invalid:14"),
    ("", "claims = { 'X_User' = 'sub' }", "gateway.route.claims.invalid:14"),
    ("", "claims = { 'Host' = 'sub' }", "gateway.route.claims.invalid:14"),
    ("", "public = true", "gateway.route.audience.invalid:12"),
    ("", "[[gateway.route]]\npath = '/x'\nupstream = 'orders'\npublic = true\npass_token = true", "gateway.route.pass_token.invalid:18"),
];

#[test]
fn what_cannot_be_meant_is_told_by_its_line() {
    let folder = Folder::new();
    for (old, new, mark) in BAD {
        let text = match old.is_empty() {
            true => format!("{HEAD}{ROUTE}{new}\n"),
            false => format!("{HEAD}{ROUTE}").replace(old, new),
        };

        let loaded = load(&folder, &text);

        let marks = marks(&loaded);
        assert!(loaded.is_err(), "{text}");
        assert!(
            marks.contains(&(*mark).to_owned()),
            "{mark}: {marks:?}\n{text}"
        );
    }
    let nothing = load(&folder, "clock_skew = '10s'\n");
    assert_eq!(marks(&nothing), ["gateway.missing:0"]);
}

#[test]
fn routes_that_share_requests_are_told_with_both_their_lines() {
    let folder = Folder::new();
    let and = |path: &str, method: &str| {
        let second = ROUTE.replace("/orders/{id}", path).replace("GET", method);
        load(&folder, &format!("{HEAD}{ROUTE}{second}"))
    };
    for path in ["/orders/{other}", "/{any}/new"] {
        let Err(findings) = and(path, "GET") else {
            panic!("{path} was taken")
        };
        let told = findings[0].to_string();
        assert!(told.contains("gateway.toml:15:"), "{told}");
        assert!(told.contains("gateway.toml:9:"), "{told}");
        assert!(and(path, "POST").is_ok(), "{path}");
    }
    for narrower in ["/orders/new", "/orders/{*rest}", "/{*rest}"] {
        assert!(and(narrower, "GET").is_ok(), "{narrower}");
    }
}

#[test]
fn what_is_open_and_what_is_never_reached_is_named() {
    let folder = Folder::new();
    let text = format!(
        "{HEAD}{ROUTE}[[gateway.upstream]]
name = 'other'
url = 'http://service.test'
[[gateway.route]]
path = '/health'
upstream = 'orders'
public = true
[[gateway.route]]
path = '/.well-known/oauth-protected-resource'
upstream = 'orders'
public = true
"
    );

    let loaded = load(&folder, &text);

    let marks = marks(&loaded);
    assert!(loaded.is_ok(), "{marks:?}");
    for mark in [
        "gateway.upstream.unused:15",
        "gateway.upstream.plain:16",
        "gateway.route.public:20",
        "gateway.route.unreachable:22",
    ] {
        assert!(marks.contains(&mark.to_owned()), "{mark}: {marks:?}");
    }
}
