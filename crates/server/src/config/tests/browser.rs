//! `[gateway.browser]`: sessions of people, and the routes that take them.

use super::gateway::{HEAD, ROUTE, load, marks};
use super::*;

const BROWSER: &str = "[gateway.browser]
client = 'shop'
client_secret = 'a secret of thirty-two characters'
";

/// A gateway's file with sessions, and what is otherwise in it.
fn with_browser(browser: &str, route: &str) -> String {
    let head = HEAD.replacen(
        "[gateway]\n",
        "[gateway]\nexternal_url = 'http://127.0.0.1:8081'\n",
        1,
    );
    format!("{head}{ROUTE}{route}{browser}")
}

#[test]
fn sessions_are_for_routes_of_the_gateways_issuer() {
    let folder = Folder::new();

    let (config, advice) = load(&folder, &with_browser(BROWSER, "browser = 'api'\n")).unwrap();

    assert_eq!(advice, []);
    assert_eq!(config.routes[0].browser, Some(BrowserUse::Api));
    let browser = config.browser.unwrap();
    assert_eq!((&*browser.client_id, &*browser.path), ("shop", "/auth"));
    assert_eq!(browser.resources, ["https://api.test"]);
    assert_eq!(browser.scopes, ["openid", "read:orders", "offline_access"]);
    assert_eq!(browser.session_idle.as_seconds(), 8 * 3600);
}

#[test]
fn sessions_that_nobody_could_mean_are_refused_where_they_stand() {
    let folder = Folder::new();
    let api = "browser = 'api'\n";
    let with = |line: &str| with_browser(&format!("{BROWSER}{line}\n"), api);
    for (text, mark) in [
        (with_browser("", api), "gateway.route.browser.invalid"),
        (
            with_browser(BROWSER, "browser = 'all'\n"),
            "gateway.route.browser.invalid",
        ),
        (
            with_browser("[gateway.browser]\n", api),
            "gateway.browser.client.invalid",
        ),
        (
            with_browser("[gateway.browser]\nclient = 'shop'\n", api),
            "gateway.browser.client.invalid",
        ),
        (with("path = 'auth'"), "gateway.browser.path.invalid"),
        (with("path = '/'"), "gateway.browser.path.invalid"),
        (with("path = '/a/'"), "gateway.browser.path.invalid"),
        (with("path = '/a/../b'"), "gateway.browser.path.invalid"),
        (
            with("path = '//evil.example'"),
            "gateway.browser.path.invalid",
        ),
        (
            with("after_sign_out = 'https://evil.example'"),
            "gateway.browser.after_sign_out.invalid",
        ),
        (
            with("session_idle = '1s'"),
            "gateway.browser.session_idle.invalid",
        ),
        (with("scopes = ['a b']"), "gateway.browser.scopes.invalid"),
        (
            format!("{HEAD}{ROUTE}{api}{BROWSER}"),
            "gateway.external_url.missing",
        ),
        (
            format!("issuer = 'http://127.0.0.1:8080'\n{}", with("")),
            "gateway.browser.store",
        ),
    ] {
        let found = marks(&load(&folder, &text));
        let is_there = |own: &String| own.starts_with(&format!("{mark}:"));
        assert!(
            found.iter().any(is_there),
            "{mark} not in {found:?}\n{text}"
        );
    }
}
