//! A gateway beside its issuer in one file: what one asks for and the other does
//! not know; and that a mistake is told once, where it stands.

use super::*;

/// Issuer and gateway, where all fits.
const WHOLE: &str = "issuer = 'http://127.0.0.1:8080'
[[resource]]
identifier = 'https://api.test'
aliases = ['https://api.test/']
scopes = ['read:orders', 'pay']
introspection_client = 'guard'
[[client]]
id = 'guard'
kind = 'service'
secret = 'a secret of thirty-two characters'
[gateway]
introspection_client = 'guard'
[[gateway.upstream]]
name = 'orders'
url = 'http://127.0.0.1:9000'
[[gateway.route]]
path = '/orders/{id}'
upstream = 'orders'
audience = 'https://api.test'
scopes = ['read:orders']
";

/// What is put in the place of what, and what is told of it.
#[rustfmt::skip]
const ROWS: &[(&str, &str, &str, &str)] = &[
    ("introspection_client = 'guard'\n[[client]]", "[[client]]", "gateway.introspection_client.stranger:11", "introspection_client = \"guard\""),
    ("introspection_client = 'guard'\n[[client]]", "introspection_clients = ['other']\n[[client]]", "gateway.introspection_client.stranger:12", "introspection_clients"),
    ("scopes = ['read:orders']\n", "scopes = ['raed:orders']\n", "gateway.route.scopes.unknown:20", "write `read:orders`"),
    ("scopes = ['read:orders']\n", "any_scopes = ['read:orders', 'all']\n", "gateway.route.scopes.unknown:20", "add it to `scopes`"),
    ("scopes = ['read:orders']\n", "scopes = ['read:orders']\n[[gateway.route.mcp.tool]]\nname = 'x'\nscopes = ['pey']\n", "gateway.route.scopes.unknown:23", "write `pay`"),
    ("audience = 'https://api.test'", "audience = 'https://api.tst'", "gateway.route.audience.unknown:19", "audience = \"https://api.test\""),
    ("audience = 'https://api.test'", "audience = 'https://api.test/'", "gateway.route.audience.unknown:19", "that is what tokens carry"),
    ("/orders/{id}", "/orders/:id", "gateway.route.path.literal:17", "write `{id}`"),
    ("/orders/{id}", "/orders/*", "gateway.route.path.literal:17", "write `{*rest}`"),
    ("[gateway]\n", "[gateway]\nlisten = '127.0.0.1:8080'\n", "gateway.listen.taken:12", "another port"),
    ("[gateway]\n", "[gateway]\nadmin_listen = '0.0.0.0:8090'\n", "gateway.listen.taken:12", "another port"),
];

#[test]
fn what_a_route_asks_for_and_the_issuer_does_not_know_is_told() {
    let folder = Folder::new();
    let good = folder.load(WHOLE);
    assert!(
        marks(&good).iter().all(|own| !own.starts_with("gateway.")),
        "{}",
        printed(&good)
    );

    for (old, new, mark, repair) in ROWS {
        assert!(WHOLE.contains(old), "{old}");
        let loaded = folder.load(&WHOLE.replacen(old, new, 1));

        let all = printed(&loaded);
        assert!(
            marks(&loaded).contains(&(*mark).to_owned()),
            "{mark}: {all}"
        );
        let (code, _) = mark.split_once(':').unwrap();
        let own = findings(&loaded)
            .iter()
            .find(|own| own.code == code)
            .unwrap();
        assert!(own.repair.contains(repair), "{repair}: {own}");
        assert_eq!(own.is_error(), code.ends_with("stranger"), "{own}");
        assert_eq!(loaded.is_err(), own.is_error(), "{all}");
    }
    // A token that may serve until it ends is asked of nobody.
    let lent = "scopes = ['read:orders']\nrevocation = 'at_expiry'\n";
    let text = WHOLE
        .replacen(
            "introspection_client = 'guard'\n[[client]]",
            "[[client]]",
            1,
        )
        .replacen("scopes = ['read:orders']\n", lent, 1);
    let loaded = folder.load(&text);
    assert!(loaded.is_ok(), "{}", printed(&loaded));
}

/// The gateway alone finds it, too.
#[test]
fn a_gateway_that_reads_its_issuers_file_is_told_the_same() {
    let folder = Folder::new();
    let text = WHOLE.replacen(
        "introspection_client = 'guard'\n[[client]]",
        "[[client]]",
        1,
    );

    let loaded = GatewayConfig::load(&folder.write("symbolon.toml", &text), []);

    let found = loaded.unwrap_err();
    assert!(
        found
            .iter()
            .any(|own| own.code == "gateway.introspection_client.stranger"),
        "{found:?}"
    );
}

/// People sign in at the gateway, and both are on PostgreSQL.
#[cfg(feature = "postgres")]
#[test]
fn the_client_of_sessions_is_compared_with_what_they_need() {
    let folder = Folder::new();
    let client = "[[client]]
id = 'shop'
secret = 'a secret of thirty-two characters'
redirect_uris = ['http://127.0.0.1:8081/auth/callback']
post_logout_redirect_uris = ['http://127.0.0.1:8081/']
backchannel_logout_uri = 'http://127.0.0.1:8081/auth/back-channel-logout'
grants = ['authorization_code', 'refresh_token']
scopes = ['openid', 'offline_access', 'read:orders']
resources = ['https://api.test']
[store]
url = 'postgres://symbolon@127.0.0.1/symbolon'
";
    let gateway = "[gateway]
external_url = 'http://127.0.0.1:8081'
browser = { client = 'shop' }
";
    let whole = WHOLE.replacen("[gateway]\n", &format!("{client}{gateway}"), 1);
    let whole = format!("{whole}browser = 'api'\n");
    let of = |loaded: &Loaded| {
        let mut all = marks(loaded);
        all.retain(|own| own.starts_with("gateway.browser.client"));
        all.len()
    };
    let good = folder.load(&whole);
    assert!(good.is_ok() && of(&good) == 0, "{}", printed(&good));

    for line in [
        "post_logout_redirect_uris = ['http://127.0.0.1:8081/']\n",
        "backchannel_logout_uri = 'http://127.0.0.1:8081/auth/back-channel-logout'\n",
        ", 'refresh_token'",
        ", 'offline_access'",
        "/auth/callback",
        "resources = ['https://api.test']\n",
    ] {
        let loaded = folder.load(&whole.replacen(line, "", 1));

        assert_eq!(of(&loaded), 1, "{line}: {}", printed(&loaded));
    }
}

#[test]
fn a_mistake_is_told_where_it_stands_and_nowhere_else() {
    let folder = Folder::new();
    for (old, new, mark) in [
        (
            "['read:orders']\n",
            "['read orders']\n",
            "gateway.route.scopes.invalid:20",
        ),
        (
            "'http://127.0.0.1:9000'",
            "'ftp://127.0.0.1'",
            "gateway.upstream.url.invalid:15",
        ),
    ] {
        // Of the route's own, which stands last.
        let at = WHOLE.rfind(old).unwrap();
        let text = format!("{}{new}{}", &WHOLE[..at], &WHOLE[at + old.len()..]);
        let loaded = folder.load(&text);

        assert_eq!(marks(&loaded), [mark], "{}", printed(&loaded));
    }
    let own = "[gateway]\nissuer = 'http://127.0.0.1:8080/'\n";
    let text = WHOLE.replacen("[gateway]\n", own, 1);
    let text = text.split_once("[gateway]").unwrap().1;
    let text = format!("[gateway]{text}").replacen(
        "introspection_client = 'guard'\n",
        "introspection_client = 'guard'\nintrospection_secret = 'a secret of thirty-two characters'\n",
        1,
    );
    let loaded = GatewayConfig::load(&folder.write("gateway.toml", &text), []);
    let found = loaded.unwrap_err();
    let codes: Vec<&str> = found.iter().map(|own| own.code).collect();
    assert_eq!(codes, ["gateway.issuer.invalid"], "{found:?}");
    let twice = folder
        .load("issuer = 'http://127.0.0.1:8080'\nlisten = '127.0.0.1:1'\nlisten = '127.0.0.1:2'\n");
    let told = printed(&twice);
    assert!(told.contains("`listen` stands there twice"), "{told}");
    let rate = format!("{WHOLE}[[limit]]\nname = 'a'\nrate = 6\nperiod = 'minute'\n");
    let told = printed(&folder.load(&rate));
    assert!(told.contains("`period = \"1m\"`"), "{told}");
    let foreign =
        folder.load("issuer = 'http://127.0.0.1:8080'\n[[client]]\nid = 'a'\ntype = 'service'\n");
    let told = printed(&foreign);
    assert!(told.contains("the nearest is `kind`"), "{told}");
}

#[test]
fn sessions_of_a_gateway_lie_elsewhere_than_what_its_issuer_remembers() {
    let folder = Folder::new();
    let server = folder.load("issuer = 'http://127.0.0.1:8080'\n").unwrap().0;
    let text = WHOLE.split_once("[gateway]").unwrap().1;
    let text = format!(
        "[gateway]\nissuer = 'http://127.0.0.1:8080'\nexternal_url = 'http://127.0.0.1:8081'\nintrospection_secret = 'a secret of thirty-two characters'{text}browser = 'api'\n[gateway.browser]\nclient = 'shop'\nclient_secret = 'a secret of thirty-two characters'\n"
    );

    let gateway = GatewayConfig::load(&folder.write("gateway.toml", &text), []);

    let gateway = gateway.unwrap().0.browser.unwrap();
    let path = |url: &StoreUrl| match url {
        StoreUrl::Sqlite(path) => path.clone(),
        StoreUrl::Postgres(_) => panic!("SQLite is the default"),
    };
    assert_eq!(path(&gateway.store.url), folder.0.join("data/gateway.db"));
    assert_eq!(path(&server.store.url), folder.0.join("data/symbolon.db"));
}
