//! `[gateway]`: what loads, what cannot be meant, and where it is told.

use super::*;

pub(super) const HEAD: &str = "[gateway]
issuer = 'http://127.0.0.1:8080'
introspection_client = 'guard'
introspection_secret = 'a secret of thirty-two characters'
[[gateway.upstream]]
name = 'orders'
url = 'http://127.0.0.1:9000'
";
pub(super) const ROUTE: &str = "[[gateway.route]]
path = '/orders/{id}'
methods = ['GET']
upstream = 'orders'
audience = 'https://api.test'
scopes = ['read:orders']
";

pub(super) fn load(folder: &Folder, text: &str) -> GatewayLoaded {
    GatewayConfig::load(&folder.write("gateway.toml", text), [])
}

/// What was found, as `code:line`.
pub(super) fn marks(loaded: &GatewayLoaded) -> Vec<String> {
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

#[test]
fn limits_and_plans_are_read_as_they_stand() {
    let folder = Folder::new();
    let more = "limits = ['burst']
cost = 3
feature = 'exports'
[[limit]]
name = 'burst'
rate = 100
period = '1m'
burst = 20
[[limit]]
name = 'monthly'
per = 'organization'
quota = 1000
period = 'month'
give_back = true
[[limit]]
name = 'credits'
credits = 50
[[plan]]
name = 'pro'
limits = ['monthly']
features = ['exports']
clients = ['web']
default = true
";

    let (config, advice) = load(&folder, &format!("{HEAD}{ROUTE}{more}")).unwrap();

    assert_eq!(advice, []);
    let own = &config.routes[0].quota;
    assert_eq!((own.cost, own.feature.as_deref()), (3, Some("exports")));
    let quotas = &config.quotas;
    let minute = std::time::Duration::from_secs(60);
    assert_eq!(
        quotas.limits[0].rule,
        LimitRule::Rate {
            limit: 100,
            period: minute,
            burst: 20
        }
    );
    assert_eq!(quotas.limits[0].mode, LimitMode::Process);
    assert!(quotas.limits[1].give_back && !quotas.limits[1].local_on_error);
    assert!(quotas.plans[0].is_default);
}

#[test]
fn limits_without_a_gateway_are_read_by_nobody_and_refused() {
    let folder = Folder::new();
    let text = "issuer = 'http://127.0.0.1:8080'\n[[limit]]\nname = 'a'\nconcurrency = 1";

    let findings = folder.load(text).unwrap_err();

    assert!(
        findings.iter().any(|own| own.code == "limit.unused"),
        "{findings:?}"
    );
}

#[cfg(feature = "redis")]
#[test]
fn gateways_count_together_where_they_are_told_where() {
    let folder = Folder::new();
    let text = format!(
        "{HEAD}{ROUTE}[[limit]]\nname = 'a'\nquota = 500\nperiod = 'day'\n[[limit]]\nname = 'b'\nquota = 500\nperiod = 'day'\nmode = 'leased'"
    );
    let redis = "redis_url = 'redis://127.0.0.1:7000,127.0.0.1:7001'\n[[gateway.upstream]]";
    let text = text.replacen("[[gateway.upstream]]", redis, 1);

    let (config, advice) = load(&folder, &text).unwrap();

    assert_eq!(advice, []);
    let redis = config.quotas.redis.unwrap();
    assert_eq!(
        redis.addresses,
        ["redis://127.0.0.1:7000", "redis://127.0.0.1:7001"]
    );
    let far = text.replacen("127.0.0.1:7001", "counts.internal:7001", 1);
    let (_, advice) = load(&folder, &far).unwrap();
    let codes: Vec<&str> = advice.iter().map(|own| own.code).collect();
    assert_eq!(
        codes,
        ["gateway.redis_url.plain"],
        "the second goes without TLS"
    );
    let modes = config.quotas.limits.iter().map(|own| own.mode);
    assert_eq!(
        modes.collect::<Vec<_>>(),
        [LimitMode::Strict, LimitMode::Leased(5)]
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
    #[cfg(not(feature = "redis"))]
    ("[[gateway.upstream]]", "redis_url = 'redis://127.0.0.1'\n[[gateway.upstream]]", "key.not_built:5"),
    ("[[gateway.upstream]]", "redis_url = 'redis://:secret@127.0.0.1'\n[[gateway.upstream]]", "gateway.redis_url.invalid:5"),
    ("[[gateway.upstream]]", "redis_url = 'http://127.0.0.1'\n[[gateway.upstream]]", "gateway.redis_url.invalid:5"),
    ("[[gateway.upstream]]", "redis_url = 'rediss://127.0.0.1,redis://127.0.0.2'\n[[gateway.upstream]]", "gateway.redis_url.invalid:5"),
    ("[[gateway.upstream]]", "redis_url = 'rediss://127.0.0.1'\nredis_ca = 'none.pem'\n[[gateway.upstream]]", "file.missing:6"),
    ("[[gateway.upstream]]", "redis_url = 'redis://127.0.0.1'\nredis_ca = 'symbolon.toml'\n[[gateway.upstream]]", "gateway.redis_ca.invalid:6"),
    ("[[gateway.upstream]]", "redis_url = 'redis://127.0.0.1'\nredis_user = 'x'\n[[gateway.upstream]]", "gateway.redis_user.invalid:6"),
    ("[[gateway.upstream]]", "limit_webhook = { upstream = 'x', path = '/y' }\n[[gateway.upstream]]", "gateway.limit_webhook.invalid:5"),
    ("", "limits = ['none']", "gateway.route.limits.invalid:14"),
    ("", "limits = ['small']\ncost = 6\n[[limit]]\nname = 'small'\nquota = 5\nperiod = 'day'", "gateway.route.limits.invalid:14"),
    ("", "feature = 'exports'", "gateway.route.feature.invalid:14"),
    ("", "[[limit]]\nname = 'a'", "limit.rate.invalid:14"),
    ("", "[[limit]]\nname = 'a'\nrate = 1\nquota = 1", "limit.quota.invalid:17"),
    ("", "[[limit]]\nname = 'a'\nrate = 1", "limit.period.invalid:14"),
    ("", "[[limit]]\nname = 'a'\nrate = 1\nperiod = '1m'\nburst = 2", "limit.rate.invalid:16"),
    ("", "[[limit]]\nname = 'a'\nrate = 0\nperiod = '1m'", "limit.rate.invalid:16"),
    ("", "[[limit]]\nname = 'a'\nquota = 1\nperiod = '1m'", "limit.period.invalid:17"),
    ("", "[[limit]]\nname = 'a'\nquota = 1\nwindow = '5s'", "limit.window.invalid:17"),
    ("", "[[limit]]\nname = 'a'\nquota = 1\nwindow = '1d'\nevery = '1h'", "limit.every.invalid:18"),
    ("", "[[limit]]\nname = 'a'\ncredits = 1\nrefill = 1", "limit.refill.invalid:17"),
    ("", "[[limit]]\nname = 'a b'\nconcurrency = 1", "limit.name.invalid:15"),
    ("", "[[limit]]\nname = 'a'\nconcurrency = 1\nper = 'ip'", "limit.per.invalid:17"),
    ("", "[[limit]]\nname = 'a'\nconcurrency = 1\nmode = 'strict'", "limit.mode.invalid:17"),
    ("", "[[limit]]\nname = 'a'\nconcurrency = 1\nlease = 1", "limit.lease.invalid:17"),
    ("", "[[limit]]\nname = 'a'\nconcurrency = 1\non_error = 'pass'", "limit.on_error.invalid:17"),
    ("", "[[limit]]\nname = 'a'\nconcurrency = 1\nburts = 1", "key.unknown:17"),
    ("", "[[limit]]\nname = 'a'\nconcurrency = 1\n[[limit]]\nname = 'a'\nconcurrency = 2", "gateway.twice:18"),
    ("", "[[plan]]\nname = 'a'\nlimits = ['none']", "plan.limits.invalid:16"),
    ("", "[[plan]]\nname = 'a'\nclients = ['x']\n[[plan]]\nname = 'b'\nclients = ['x']", "gateway.twice:19"),
    ("", "[[plan]]\nname = 'a'\ndefault = true\n[[plan]]\nname = 'b'\ndefault = true", "gateway.twice:19"),
    ("[[gateway.upstream]]", "assertion_key = 'x'\n[[gateway.upstream]]", "gateway.assertion_key.invalid:5"),
    ("[[gateway.upstream]]", "assertion_key_other = 'x'\n[[gateway.upstream]]", "gateway.assertion_key_other.invalid:5"),
    ("[[gateway.upstream]]", "external_url = 'https://a.test/x'\n[[gateway.upstream]]", "gateway.external_url.invalid:5"),
    ("[[gateway.upstream]]", "client_certificates = true\n[[gateway.upstream]]", "gateway.client_certificates.invalid:5"),
    ("", "stale_if_error = '10s'", "gateway.route.stale_if_error.invalid:14"),
    ("[[gateway.route]]", "urls = ['http://127.0.0.1:9001']\n[[gateway.route]]", "gateway.upstream.urls.invalid:8"),
    ("[[gateway.route]]", "eject_after = 2\n[[gateway.route]]", "gateway.upstream.eject_after.invalid:8"),
    ("[[gateway.route]]", "health_interval = '1s'\n[[gateway.route]]", "gateway.upstream.health_interval.invalid:8"),
    ("[[gateway.route]]", "health_path = 'healthz'\n[[gateway.route]]", "gateway.upstream.health_path.invalid:8"),
    ("[[gateway.route]]", "health_path = '/x'\nunhealthy_after = 0\n[[gateway.route]]", "gateway.upstream.unhealthy_after.invalid:9"),
    ("[[gateway.route]]", "balance = 'random'\n[[gateway.route]]", "gateway.upstream.balance.invalid:8"),
    ("url = 'http://127.0.0.1:9000'", "urls = ['http://127.0.0.1:9000', 'http://127.0.0.1:9000']", "gateway.upstream.urls.invalid:7"),
    ("url = 'http://127.0.0.1:9000'", "urls = ['http://127.0.0.1:9000', 'https://127.0.0.1:9001']", "gateway.upstream.urls.invalid:7"),
    ("url = 'http://127.0.0.1:9000'\n", "", "gateway.upstream.url.invalid:5"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ndialect = 'nginx'\n[[gateway.upstream]]", "gateway.forward_auth.trusted_proxies.invalid:5"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ntrusted_proxies = ['127.0.0.1/32']\n[[gateway.upstream]]", "gateway.forward_auth.dialect.invalid:5"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ndialect = 'apache'\ntrusted_proxies = ['127.0.0.1/32']\n[[gateway.upstream]]", "gateway.forward_auth.dialect.invalid:6"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ndialect = 'nginx'\ntrusted_proxies = ['0.0.0.0/0']\n[[gateway.upstream]]", "gateway.forward_auth.trusted_proxies.invalid:7"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ndialect = 'nginx'\ntrusted_proxies = ['0.0.0.0/1', '128.0.0.0/1']\n[[gateway.upstream]]", "gateway.forward_auth.trusted_proxies.invalid:7"),
    ("[gateway]", "trusted_proxies = ['0.0.0.0/0']\n[gateway]", "trusted_proxies.everyone:1"),
    ("[gateway]", "trusted_proxies = ['::/0']\n[gateway]", "trusted_proxies.everyone:1"),
    ("[gateway]", "trusted_proxies = ['10.0.0.0/8',\n'128.0.0.0/1', '0.0.0.0/2', '64.0.0.0/2']\n[gateway]", "trusted_proxies.everyone:1"),
    ("[gateway]", "clock_skew = '10m'\n[gateway]", "clock_skew.wide:1"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ndialect = 'nginx'\ntrusted_proxies = []\n[[gateway.upstream]]", "gateway.forward_auth.trusted_proxies.invalid:7"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ndialect = 'nginx'\ntrusted_proxies = ['127.0.0.1/32']\npath = '/{*rest}'\n[[gateway.upstream]]", "gateway.forward_auth.path.invalid:8"),
    ("[[gateway.upstream]]", "[gateway.forward_auth]\ndialect = 'envoy-grpc'\ntrusted_proxies = ['127.0.0.1/32']\npath = '/ask'\n[[gateway.upstream]]", "gateway.forward_auth.path.invalid:8"),
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

/// What is wrong with `graphql`, at the end of a route.
#[cfg(feature = "graphql")]
#[rustfmt::skip]
const BAD_GRAPHS: &[(&str, &str)] = &[
    ("graphql = 's'", "gateway.route.graphql.invalid:14"),
    ("graphql = {}", "gateway.route.graphql.schema.invalid:14"),
    ("graphql = { schema = 's', max_costs = 1 }", "key.unknown:14"),
    ("[gateway.route.graphql]\nschema = 's'\non_denied = 'hide'", "gateway.route.graphql.on_denied.invalid:16"),
    ("graphql = { schema = 's', mode = 'dry' }", "gateway.route.graphql.mode.invalid:14"),
    ("graphql = { schema = 's', introspection = [] }", "gateway.route.graphql.introspection.invalid:14"),
    ("graphql = { schema = 's', introspection = ['a b'] }", "gateway.route.graphql.introspection.invalid:14"),
    ("graphql = { schema = 's', persisted = 'only' }", "gateway.route.graphql.manifest.invalid:14"),
    ("graphql = { schema = 's', manifest = 'm' }", "gateway.route.graphql.manifest.invalid:14"),
    ("graphql = { schema = 's', policies = { a = 'b' } }", "gateway.route.graphql.policies.invalid:14"),
    ("graphql = { schema = 's', max_depth = 0 }", "gateway.route.graphql.max_depth.invalid:14"),
    ("graphql = { schema = 's', max_cost = -1 }", "gateway.route.graphql.max_cost.invalid:14"),
];
#[cfg(not(feature = "graphql"))]
const BAD_GRAPHS: &[(&str, &str)] = &[("graphql = { schema = 's' }", "key.not_built:14")];

#[test]
fn what_cannot_be_meant_of_a_graph_is_told_by_its_line() {
    let folder = Folder::new();
    for (more, mark) in BAD_GRAPHS {
        let loaded = load(&folder, &format!("{HEAD}{ROUTE}{more}\n"));

        let marks = marks(&loaded);
        assert!(loaded.is_err(), "{more}");
        assert!(marks.contains(&(*mark).to_owned()), "{mark}: {marks:?}");
    }
}

#[cfg(feature = "graphql")]
#[test]
fn a_graph_loads_with_what_is_usual() {
    let folder = Folder::new();
    let text = format!("{HEAD}{ROUTE}graphql = {{ schema = 'a/s.graphql', max_batch = 0 }}\n");

    let (config, advice) = load(&folder, &text).unwrap();

    assert_eq!(advice, []);
    let graph = config.routes[0].graphql.as_ref().unwrap();
    assert!(graph.schema.is_absolute() && graph.schema.ends_with("a/s.graphql"));
    assert_eq!((graph.on_denied, graph.mode), ("refuse", "enforce"));
    assert_eq!(
        (graph.persisted, graph.introspection.as_ref()),
        ("off", None)
    );
}

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
fn several_servers_and_other_proxies_are_read() {
    let folder = Folder::new();
    let urls = "urls = ['http://127.0.0.1:9000', 'http://127.0.0.1:9001']
balance = 'least_requests'
health_path = '/healthz'";
    let asked = "[gateway.forward_auth]
dialect = 'ingress-nginx'
trusted_proxies = ['127.0.0.1/32']
[[gateway.upstream]]
name = 'elsewhere'
[[gateway.upstream]]";
    let text = format!("{HEAD}{ROUTE}")
        .replace("url = 'http://127.0.0.1:9000'", urls)
        .replace("[[gateway.upstream]]", asked);

    let (config, _) = load(&folder, &text).unwrap();

    let own = config.forward_auth.unwrap();
    assert_eq!(own.dialect, AskedIn::IngressNginx);
    assert_eq!(own.path, "/.symbolon/forward-auth");
    let [elsewhere, orders] = &config.upstreams[..] else {
        panic!("{:?}", config.upstreams)
    };
    assert!(elsewhere.urls.is_empty() && elsewhere.ejection.is_none());
    assert_eq!(
        (orders.urls.len(), orders.balance),
        (2, Balance::LeastRequests)
    );
    let check = orders.check.as_ref().unwrap();
    assert_eq!((check.healthy, check.unhealthy), (2, 3));
    assert!(orders.ejection.is_some());
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
fn whom_a_gateway_of_its_own_file_believes_is_looked_over_as_the_servers_is() {
    let folder = Folder::new();
    let head = format!("clock_skew = '90s'\ntrusted_proxies = ['0.0.0.0/1']\n{HEAD}{ROUTE}");
    let asked = "[gateway.forward_auth]
dialect = 'nginx'
trusted_proxies = ['128.0.0.0/1']
";

    let loaded = load(&folder, &format!("{head}{asked}"));

    assert!(loaded.is_ok());
    assert_eq!(
        marks(&loaded),
        [
            "clock_skew.wide:1",
            "trusted_proxies.wide:2",
            "gateway.forward_auth.trusted_proxies.wide:18"
        ]
    );
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
