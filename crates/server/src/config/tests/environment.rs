//! Variables laid over the file.

use super::*;

const BASE: &str = "issuer = 'http://127.0.0.1:8080'\n";

#[test]
fn a_variable_overrides_a_key() {
    let folder = Folder::new();
    let text = format!("{BASE}[lifetimes]\naccess_token = '10m'\n");
    let variables = [
        ("SYMBOLON_ISSUER", "http://localhost:2"),
        ("SYMBOLON_STORE__URL", "sqlite://other.db"),
        ("SYMBOLON_LIFETIMES__ACCESS_TOKEN", "5m"),
        ("SYMBOLON_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.0.0/16"),
        ("SYMBOLON_REGISTRATION__ENABLED", "false"),
        ("HOME", "/nowhere"),
        ("SYMBOLON_LOG", "debug"),
    ];

    let loaded = folder.load_with(&text, &variables);

    assert_eq!(printed(&loaded), "");
    let (config, _) = loaded.unwrap();
    assert_eq!(config.issuer.as_str(), "http://localhost:2");
    assert_eq!(config.lifetimes.access_token, Lifetime::seconds(300));
    assert_eq!(config.trusted_proxies.len(), 2);
    let other = folder.0.join("other.db");
    assert!(matches!(&config.store.url, StoreUrl::Sqlite(path) if *path == other));
}

#[test]
fn a_variable_reaches_into_a_block_and_adds_the_next() {
    let folder = Folder::new();
    let text = format!(
        "{BASE}[[client]]\nid = 'app'\nkind = 'native'\nredirect_uris = ['http://127.0.0.1/']\n"
    );
    let variables = [
        ("SYMBOLON_CLIENT__0__NAME", "Other"),
        ("SYMBOLON_CLIENT__0__REQUIRE_AUTH_TIME", "true"),
        ("SYMBOLON_CLIENT__1__ID", "svc"),
        ("SYMBOLON_CLIENT__1__KIND", "service"),
        ("SYMBOLON_CLIENT__1__GRANTS", "client_credentials"),
        (
            "SYMBOLON_CLIENT__1__SECRET",
            "0123456789abcdef0123456789abcdef",
        ),
    ];

    let loaded = folder.load_with(&text, &variables);

    assert_eq!(printed(&loaded), "");
    let (config, _) = loaded.unwrap();
    assert_eq!(config.clients[0].client.name, "Other");
    assert!(config.clients[0].client.require_auth_time);
    assert_eq!(config.clients[1].client.id.as_str(), "svc");
    assert!(config.clients[1].secret.is_some());
}

#[test]
fn a_secret_from_a_variable_replaces_every_other_form() {
    let folder = Folder::new();
    let text = "issuer = 'https://login.example.com'\n[[client]]\nid = 'svc'\nkind = 'service'\ngrants = ['client_credentials']\nsecret_file = 'missing'\n";
    let variables = [(
        "SYMBOLON_CLIENT__0__SECRET",
        "0123456789abcdef0123456789abcdef",
    )];

    let loaded = folder.load_with(text, &variables);

    assert_eq!(printed(&loaded), "");
}

#[test]
fn a_variable_that_sets_no_key_is_said_with_the_nearest() {
    let folder = Folder::new();
    for (name, nearest) in [
        ("SYMBOLON_STORE__ULR", "`SYMBOLON_STORE__URL`"),
        ("SYMBOLON_LIFETIME__ID_TOKEN", "`SYMBOLON_LIFETIMES`"),
        ("SYMBOLON_ISSUR", "`SYMBOLON_ISSUER`"),
        ("SYMBOLON_CLIENT__7__NAME", "`SYMBOLON_CLIENT__0__ID`"),
        ("SYMBOLON_CLIENT__7__NAME", "the next one is 0"),
        ("SYMBOLON_CLIENT__WEB__NAME", "`SYMBOLON_CLIENT__0__ID`"),
        ("SYMBOLON_CLIENT__WEB__NAME", "numbered from 0"),
        ("SYMBOLON_CLIENT", "`SYMBOLON_CLIENT__0__ID`"),
        ("SYMBOLON_USER__0", "`SYMBOLON_USER__0__USERNAME`"),
        ("SYMBOLON_STORE", "`SYMBOLON_STORE__URL`"),
        ("SYMBOLON_ISSUER__X", "`SYMBOLON_ISSUER`"),
    ] {
        let loaded = folder.load_with(BASE, &[(name, "x")]);
        assert_eq!(findings(&loaded)[0].code, "environment.unknown", "{name}");
        assert!(printed(&loaded).contains(nearest), "{}", printed(&loaded));
    }
}

#[test]
fn a_wrong_value_is_said_by_the_name_of_its_variable() {
    let folder = Folder::new();
    let variables = [
        ("SYMBOLON_LISTEN", "nowhere"),
        ("SYMBOLON_REGISTRATION__ENABLED", "maybe"),
        ("SYMBOLON_GATEWAY__REDIS_URL", "http://127.0.0.1"),
    ];

    let loaded = folder.load_with(BASE, &variables);

    let mut codes: Vec<_> = findings(&loaded)
        .iter()
        .map(|finding| finding.code)
        .collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            "environment.invalid",
            "gateway.redis_url.invalid",
            "listen.invalid"
        ]
    );
    assert!(printed(&loaded).contains("$SYMBOLON_LISTEN: error[listen.invalid]"));
}
