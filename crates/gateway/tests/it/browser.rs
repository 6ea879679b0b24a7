//! People sign in at the gateway, and their tokens stay there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::json;
use symbolon_gateway::{BrowserUse, Launch, Running, Settings};
use symbolon_server::clock::SystemEntropy;
use symbolon_server::config::{Statements, StorePlace, StoreUrl};
use symbolon_server::launch::{Store, open_migrated};
use symbolon_server::testing::{self, Answer, read};
use symbolon_store::conformance::postgres_schema;
use symbolon_testkit::Row;
use symbolon_token::{Secret, random};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::issuer::{API, BRIEF, Issuer, SECRET, SHORT, http};
use crate::site::{edge, route, settings};
use crate::stream::PROMPT;
use crate::upstream::Upstream;

const PASSWORD: &str = "a password that is long enough";

/// What stands between the gateways and their issuer: it counts what goes to
/// `/token`, and may hold it back.
#[derive(Default)]
struct Front {
    redeemed: AtomicUsize,
    holds_back: watch::Sender<bool>,
}

/// An issuer, gateways that are one to browsers, and a service behind them.
struct Shop {
    issuer: Issuer,
    front: Arc<Front>,
    gateways: Vec<(SocketAddr, Running)>,
    origin: String,
    folder: std::path::PathBuf,
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One person's browser: cookies by host and port, and no script reads them.
struct Browser<'s> {
    shop: &'s Shop,
    cookies: BTreeMap<String, String>,
}

/// Passes on to the issuer, which is reached under this address alone.
async fn front(listener: tokio::net::TcpListener, to: SocketAddr, front: Arc<Front>) {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;

    let pass = move |request: Request| {
        let front = Arc::clone(&front);
        async move {
            let (parts, body) = request.into_parts();
            if parts.uri.path() == "/token" {
                front.redeemed.fetch_add(1, Ordering::SeqCst);
                let mut held = front.holds_back.subscribe();
                held.wait_for(|own| !own).await.unwrap();
            }
            let url = format!("http://{to}{}", parts.uri);
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let sent = http().request(parts.method, url).headers(parts.headers);
            let Ok(answer) = sent.body(body).send().await else {
                return axum::http::Response::builder()
                    .status(502)
                    .body(Body::empty())
                    .unwrap();
            };
            let mut response = axum::http::Response::builder().status(answer.status());
            for (name, value) in answer.headers() {
                if name != "transfer-encoding" {
                    response = response.header(name, value);
                }
            }
            let stream = futures_util::stream::unfold(answer, async |mut answer| {
                let piece = answer.chunk().await.transpose()?;
                Some((piece, answer))
            });
            response.body(Body::from_stream(stream)).unwrap()
        }
    };
    let router = axum::Router::new().fallback(pass);
    axum::serve(listener, router).await.unwrap();
}

async fn bound() -> (tokio::net::TcpListener, SocketAddr) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

impl Shop {
    async fn start() -> Self {
        let folder = folder();
        let store = store(&folder).await;
        Self::with(vec![store], folder).await
    }

    /// As many gateways as stores.
    async fn with(stores: Vec<Store>, folder: std::path::PathBuf) -> Self {
        let upstream = Upstream::start().await;
        let mut launches = Vec::new();
        for store in stores {
            let loopback = "127.0.0.1:0".parse().unwrap();
            let launch = Launch::bind(loopback, None).await.unwrap();
            launches.push((launch.public.local_addr().unwrap(), launch, store));
        }
        let origin = format!("http://{}", launches[0].0);
        let (outer, outside) = bound().await;
        let url = format!("http://{outside}");
        let issuer = Issuer::with(Some(outside), &clients(&origin)).await;
        let counting = Arc::new(Front::default());
        tokio::spawn(front(outer, issuer.address, Arc::clone(&counting)));
        let mut gateways = Vec::new();
        for (address, launch, store) in launches {
            let settings = with_browser(settings(&url, upstream.address), &url, &origin, store);
            let running = launch.start(settings, edge()).unwrap();
            running.gateway.warm().await;
            gateways.push((address, running));
        }
        Self {
            issuer,
            front: counting,
            gateways,
            origin,
            folder,
        }
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            shop: self,
            cookies: BTreeMap::new(),
        }
    }

    fn redeemed(&self) -> usize {
        self.front.redeemed.load(Ordering::SeqCst)
    }
}

impl testing::Site for Shop {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        http().request(method, format!("{}{path}", self.issuer.url))
    }

    fn issuer(&self) -> String {
        self.issuer.url.clone()
    }

    fn password(&self) -> &str {
        PASSWORD
    }

    fn secret(&self, _: &str) -> Option<&str> {
        Some(SECRET)
    }
}

impl Browser<'_> {
    fn request(&self, gateway: usize, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.shop.gateways[gateway].0);
        let host = self.shop.origin.trim_start_matches("http://");
        let request = http().request(method, url).header("host", host);
        if self.cookies.is_empty() {
            return request;
        }
        let pairs = self.cookies.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request.header("cookie", pairs.join("; "))
    }

    /// What a script of the page asks for.
    fn script(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(0, method, path)
            .header("x-csrf", "1")
            .header("origin", &self.shop.origin)
            .header("sec-fetch-site", "same-origin")
    }

    async fn call(&mut self, path: &str) -> Answer {
        let sent = self.script(Method::GET, path).send().await.unwrap();
        self.take(sent).await
    }

    async fn take(&mut self, answer: Response) -> Answer {
        let answer = read(answer).await;
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            match value.is_empty() {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Opens an address of the gateway.
    async fn open(&mut self, path: &str) -> Answer {
        let request = self
            .request(0, Method::GET, path)
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document");
        let sent = request.send().await.unwrap();
        self.take(sent).await
    }

    /// Goes to the issuer, signs in there, and comes back to the gateway.
    async fn sign_in(&mut self, query: &str) -> Answer {
        let begun = self.open(&format!("/auth/sign-in{query}")).await;
        assert_eq!(begun.status, 302, "{}", begun.body);
        let at_issuer = location(&begun);
        let mut there = testing::Browser::new(self.shop);
        let path = at_issuer.strip_prefix(&self.shop.issuer.url).unwrap();
        let page = there.grant_at("alice", path).await;
        let back = location(&page);
        let path = back.strip_prefix(&self.shop.origin).unwrap().to_owned();
        self.open(&path).await
    }
}

fn location(answer: &Answer) -> String {
    let to = answer.header("location");
    to.unwrap_or_else(|| panic!("{} {}", answer.status, answer.body))
        .to_owned()
}

pub(crate) fn folder() -> std::path::PathBuf {
    let name = u64::from_be_bytes(random(&SystemEntropy));
    let folder = std::env::temp_dir().join(format!("symbolon-browser-{name:016x}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) async fn store(folder: &std::path::Path) -> Store {
    let place = StorePlace {
        url: StoreUrl::Sqlite(folder.join("sessions.db")),
        statements: Statements::Named,
    };
    open_migrated(&place, &SystemEntropy).await.unwrap()
}

fn clients(origin: &str) -> String {
    format!(
        r#"
[[user]]
username = "alice"
password = "{PASSWORD}"
name = "Alice"
[[client]]
id = "shop-web"
kind = "web"
secret = "{SECRET}"
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["{origin}/auth/callback"]
post_logout_redirect_uris = ["{origin}/bye"]
backchannel_logout_uri = "{origin}/auth/back-channel-logout"
scopes = ["openid", "profile", "offline_access", "read", "write"]
resources = ["{API}", "{SHORT}", "{BRIEF}"]
consent = "first_party"
"#
    )
}

pub(crate) fn with_browser(
    mut settings: Settings,
    issuer: &str,
    origin: &str,
    store: Store,
) -> Settings {
    settings.external_url = Some(origin.to_owned());
    let demand = |path: &str, audience: &str, usage: BrowserUse| {
        let mut own = route(path, crate::site::needs(issuer, audience, "read"));
        own.browser = Some(usage);
        own
    };
    settings
        .routes
        .push(demand("/api/{*rest}", API, BrowserUse::Api));
    settings
        .routes
        .push(demand("/quick/{*rest}", SHORT, BrowserUse::Api));
    settings
        .routes
        .push(demand("/brief/{*rest}", BRIEF, BrowserUse::Api));
    settings
        .routes
        .push(demand("/pages/{*rest}", API, BrowserUse::Pages));
    for own in &mut settings.routes {
        if own.name == "/events" {
            own.browser = Some(BrowserUse::Api);
        }
    }
    settings.browser = Some(symbolon_gateway::Browser {
        issuer: issuer.to_owned(),
        client_id: "shop-web".into(),
        client_secret: Secret::from(SECRET),
        external_url: origin.to_owned(),
        path: "/auth".into(),
        scopes: ["openid", "profile", "offline_access", "read"]
            .map(str::to_owned)
            .to_vec(),
        resources: [API, SHORT, BRIEF].map(str::to_owned).to_vec(),
        session_idle: Duration::from_secs(3600),
        session_absolute: Duration::from_secs(7200),
        after_sign_out: "/bye".into(),
        authorities: Vec::new(),
        sessions: store,
    });
    settings
}

#[tokio::test]
async fn a_person_signs_in_calls_and_signs_out_and_no_token_leaves_the_gateway() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    assert_eq!(browser.call("/api/orders").await.status, 401);
    let back = browser.sign_in("?return_to=/shop%3Fpage%3D2").await;
    assert_eq!(back.status, 303, "{}", back.body);
    assert_eq!(location(&back), "/shop?page=2");
    assert_eq!(browser.cookies.len(), 1, "{:?}", browser.cookies.keys());

    let answer = browser.call("/api/orders").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let got = answer.json();
    let names: Vec<&str> = got["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair[0].as_str().unwrap())
        .collect();
    assert!(names.contains(&"symbolon-assertion"));
    assert!(
        !names.contains(&"authorization") && !names.contains(&"cookie"),
        "{names:?}"
    );

    let session = browser.call("/auth/session").await;
    assert_eq!(session.json()["claims"]["name"], json!("Alice"));
    assert!(session.json()["ends_in"].as_u64().unwrap() > 7000);

    let held = browser.cookies.clone();
    let out = browser.script(Method::POST, "/auth/sign-out");
    let sent = out.send().await.unwrap();
    let out = browser.take(sent).await;
    assert_eq!(out.status, 200);
    assert!(
        out.text("go_to")
            .starts_with(&format!("{}/logout?", shop.issuer.url))
    );
    assert!(browser.cookies.is_empty());
    // Somebody kept the cookie.
    browser.cookies = held;
    assert_eq!(browser.call("/api/orders").await.status, 401);
}

/// Attack: L327
#[tokio::test]
async fn whatever_is_not_a_session_is_nobody() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    browser.sign_in("").await;
    let (name, value) = browser.cookies.pop_first().unwrap();
    let mut changed = value.clone().into_bytes();
    changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
    for bad in [
        String::new(),
        "%00".into(),
        value[..40].to_owned(),
        String::from_utf8(changed).unwrap(),
        format!("{value}; {name}={value}"),
        format!("{value}; {name}="),
        "A".repeat(30_000),
    ] {
        browser.cookies = BTreeMap::from([(name.clone(), bad.clone())]);
        let sent = browser.script(Method::GET, "/api/orders");
        let answer = read(sent.send().await.unwrap()).await;
        assert_eq!(answer.status, 401, "{bad}");
    }
    browser.cookies = BTreeMap::from([(name, value)]);
    assert_eq!(browser.call("/api/orders").await.status, 200);
}

#[tokio::test]
async fn what_another_site_causes_is_refused() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    browser.sign_in("").await;
    let asked = |headers: &[(&'static str, &'static str)], path: &str, method: Method| {
        let mut request = browser.request(0, method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
    };
    let evil = ("origin", "https://evil.example.com");
    for (headers, path, method) in [
        (&[][..], "/api/orders", Method::GET),
        (&[("x-csrf", "1"), evil], "/api/orders", Method::POST),
        (
            &[("x-csrf", "1"), ("sec-fetch-site", "cross-site")],
            "/api/orders",
            Method::GET,
        ),
        (&[evil], "/auth/sign-out", Method::POST),
        (&[], "/auth/sign-out", Method::POST),
        (&[], "/auth/session", Method::GET),
        (
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            "/auth/sign-in",
            Method::GET,
        ),
        (
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            "/pages/a",
            Method::GET,
        ),
    ] {
        let answer = asked(headers, path, method).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path} {headers:?}");
    }
    assert_eq!(browser.call("/api/orders").await.status, 200);
}

#[tokio::test]
async fn a_page_sends_a_person_to_sign_in_and_a_script_is_told() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    let page = browser.open("/pages/cart?item=7").await;
    assert_eq!(page.status, 302);
    assert_eq!(
        location(&page),
        "/auth/sign-in?return_to=%2Fpages%2Fcart%3Fitem%3D7"
    );
    assert_eq!(browser.call("/pages/cart").await.status, 401);
    browser.sign_in("").await;
    assert_eq!(browser.open("/pages/cart?item=7").await.status, 200);
}

#[tokio::test]
async fn nobody_is_sent_off_this_site() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    for bad in [
        "https://evil.example.com",
        "//evil.example.com",
        "/\\evil.example.com",
        "\\/evil",
        "/%0d%0aset-cookie:a=b\r\n",
        "/a/../../b",
        "javascript:alert(1)",
        "relative",
        "",
        "/\t/evil.example.com",
    ] {
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("return_to", bad)
            .finish();
        let answer = browser.open(&format!("/auth/sign-in?{query}")).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    let twice = browser
        .open("/auth/sign-in?return_to=/a&return_to=/b")
        .await;
    assert_eq!(twice.status, 400);
}

#[tokio::test]
async fn a_sign_in_ends_only_in_the_browser_that_began_it() {
    let shop = Shop::start().await;
    let (mut victim, mut other) = (shop.browser(), shop.browser());
    let begun = victim.open("/auth/sign-in").await;
    let there = location(&begun);
    let mut at_issuer = testing::Browser::new(&shop);
    let path = there.strip_prefix(&shop.issuer.url).unwrap();
    let back = location(&at_issuer.grant_at("alice", path).await);
    let back = back.strip_prefix(&shop.origin).unwrap().to_owned();
    let stolen = other.open(&back).await;
    assert_eq!((stolen.status, other.cookies.len()), (400, 0));
    for (name, value) in [("iss", "https://evil.example.com"), ("state", "another")] {
        let mut url = url::Url::parse(&format!("{}{back}", shop.origin)).unwrap();
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(own, old)| {
                let value = if own == name {
                    value.into()
                } else {
                    old.into_owned()
                };
                (own.into_owned(), value)
            })
            .collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        let kept = victim.cookies.clone();
        let answer = victim.open(&url[url::Position::BeforePath..]).await;
        assert_eq!(answer.status, 400, "{name}");
        victim.cookies = kept;
    }
    assert_eq!(victim.open(&back).await.status, 303);
    // A code is good once.
    let again = victim.open(&back).await;
    assert_eq!(again.status, 400);
    // A person reads a page that leads on, whatever was lost.
    for lost in [&stolen, &again, &other.open("/auth/callback").await] {
        assert_eq!(lost.status, 400);
        let kind = lost.header("content-type");
        assert_eq!(kind, Some("text/html; charset=utf-8"), "{}", lost.body);
        let leads_on = lost.body.contains("href=\"/auth/sign-in");
        assert!(
            leads_on && lost.body.contains("sign_in_lost"),
            "{}",
            lost.body
        );
    }
}

#[tokio::test]
async fn a_new_sign_in_has_a_new_session_and_the_old_one_ends() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    browser.sign_in("").await;
    let before = browser.cookies.clone();
    browser.sign_in("").await;
    assert_ne!(browser.cookies, before);
    assert_eq!(browser.call("/api/orders").await.status, 200);
    browser.cookies = before;
    assert_eq!(browser.call("/api/orders").await.status, 401);
}

/// Signs alice in; what comes back is her session at the issuer.
async fn signed_in<'s>(shop: &'s Shop, browser: &mut Browser<'_>) -> testing::Browser<'s, Shop> {
    let begun = browser.open("/auth/sign-in").await;
    let there = location(&begun);
    let mut at_issuer = testing::Browser::new(shop);
    let path = there.strip_prefix(&shop.issuer.url).unwrap();
    let back = location(&at_issuer.grant_at("alice", path).await);
    browser.open(back.strip_prefix(&shop.origin).unwrap()).await;
    at_issuer
}

/// Signs her out there.
async fn sign_out(at_issuer: &mut testing::Browser<'_, Shop>) {
    let page = at_issuer.get("/logout").await;
    at_issuer
        .submit("/logout", &page, &[("confirm", "yes")])
        .await;
}

#[tokio::test]
async fn a_session_ends_when_the_issuer_says_so() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    let mut at_issuer = signed_in(&shop, &mut browser).await;
    assert_eq!(browser.call("/api/orders").await.status, 200);

    sign_out(&mut at_issuer).await;
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = browser.call("/auth/session").await;
        if answer.status == 401 {
            break;
        }
        assert!(Instant::now() < until, "the session goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for bad in [
        "",
        "logout_token=x",
        "logout_token=a.b.c&logout_token=a.b.c",
    ] {
        let request = browser.request(0, Method::POST, "/auth/back-channel-logout");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(bad).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{bad}");
    }
}

/// What comes of events that a page listens to, until they end.
async fn listen(browser: &Browser<'_>) -> tokio::task::JoinHandle<()> {
    let events = browser.script(Method::GET, "/events");
    let mut events = events.send().await.unwrap();
    assert_eq!(events.status(), 200);
    assert!(events.chunk().await.unwrap().is_some());
    tokio::spawn(async move { while let Ok(Some(_)) = events.chunk().await {} })
}

/// The token goes on where nobody could be told that it should not.
///
/// Attack: L331
#[tokio::test]
async fn what_a_session_opened_ends_with_it_though_its_token_lives_on() {
    let mut shop = Shop::start().await;
    let mut browser = shop.browser();
    browser.sign_in("").await;
    let held = browser.cookies.clone();
    let (own, mut other) = (listen(&browser).await, shop.browser());
    other.sign_in("").await;
    let others = listen(&other).await;
    shop.issuer.stop().await;

    let mut browser = shop.browser();
    browser.cookies = held;
    let out = browser.script(Method::POST, "/auth/sign-out");
    assert_eq!(out.send().await.unwrap().status(), 200);

    tokio::time::timeout(PROMPT, own).await.unwrap().unwrap();
    assert!(!others.is_finished(), "another session ended with it");
    others.abort();
}

/// Consent to stay signed in outlives a session of the issuer's, and with it the
/// token.
///
/// Attack: L331
#[tokio::test]
async fn what_a_session_opened_ends_when_the_issuer_signs_its_person_out() {
    let shop = Shop::start().await;
    let mut browser = shop.browser();
    let mut at_issuer = signed_in(&shop, &mut browser).await;
    let events = listen(&browser).await;

    sign_out(&mut at_issuer).await;

    // The issuer tells the gateway, which ends it.
    let ended = tokio::time::timeout(PROMPT * 3, events).await;
    ended.expect("the stream goes on").unwrap();
}

#[tokio::test]
async fn a_login_outlives_an_issuer_that_is_away() {
    let mut shop = Shop::start().await;
    let mut browser = shop.browser();
    browser.sign_in("").await;
    let held = browser.cookies.clone();
    assert_eq!(browser.call("/quick/a").await.status, 200);
    shop.issuer.stop().await;
    tokio::time::sleep(Duration::from_millis(3200)).await;
    let mut browser = shop.browser();
    browser.cookies = held.clone();
    let answer = browser.call("/quick/a").await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(browser.cookies, held);
    assert_eq!(browser.call("/auth/session").await.status, 200);
}

async fn one_redemption(stores: Vec<Store>, folder: std::path::PathBuf) {
    let shop = Shop::with(stores, folder).await;
    let mut browser = shop.browser();
    browser.sign_in("").await;
    assert_eq!(browser.call("/brief/a").await.status, 200);
    tokio::time::sleep(Duration::from_millis(12_200)).await;
    let before = shop.redeemed();
    shop.front.holds_back.send_replace(true);
    let sent = Arc::new(AtomicUsize::new(0));
    let calls = (0..50).map(|at| {
        let gateway = at % shop.gateways.len();
        let request = browser
            .request(gateway, Method::GET, "/brief/a")
            .header("x-csrf", "1");
        let sent = Arc::clone(&sent);
        tokio::spawn(async move {
            sent.fetch_add(1, Ordering::SeqCst);
            request.send().await.unwrap().status().as_u16()
        })
    });
    let calls: Vec<_> = calls.collect();
    let begin = Instant::now();
    while sent.load(Ordering::SeqCst) < 50 || shop.redeemed() == before {
        assert!(begin.elapsed() < Duration::from_secs(30), "nobody renews");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Long enough for them to arrive.
    tokio::time::sleep(Duration::from_millis(Row::R38.size(500, 10_000))).await;
    shop.front.holds_back.send_replace(false);
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(shop.redeemed() - before, 1);
    drop(shop);
}

#[tokio::test]
async fn fifty_requests_through_three_gateways_renew_once() {
    let folder = folder();
    let store = store(&folder).await;
    one_redemption(vec![store.clone(), store.clone(), store], folder).await;
}

#[tokio::test]
async fn fifty_requests_through_three_gateways_over_postgresql_renew_once() {
    let url = postgres_schema(&SystemEntropy).await.unwrap();
    let mut stores = Vec::new();
    for _ in 0..3 {
        let place = StorePlace {
            url: StoreUrl::Postgres(Secret::from(url.as_str())),
            statements: Statements::Named,
        };
        stores.push(open_migrated(&place, &SystemEntropy).await.unwrap());
    }
    one_redemption(stores, folder()).await;
}
