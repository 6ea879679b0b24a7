//! A person in Chromium: signs in, agrees or does not, signs out, and sees each page.

use serde_json::json;
use thirtyfour::{By, Key};

use crate::browser::{Request, http, read, request};
use crate::dev::Dev;
use crate::program::{Engine, Folder, Program, Site};
use crate::stub::Stub;
use crate::webdriver::Chromium;

const SCOPES: &str = "openid profile email offline_access read:orders";

/// What every scenario begins with.
struct World {
    stub: Stub,
    site: Site,
    program: Program,
    chromium: Chromium,
}

impl World {
    async fn new(engine: Engine) -> Self {
        Self::with(engine, |_| String::new()).await
    }

    /// One whose configuration ends with further blocks.
    async fn with(engine: Engine, blocks: impl FnOnce(&Site) -> String) -> Self {
        let stub = Stub::start().await;
        let site = Site::new(engine, &stub.callback).await;
        site.configure("", &blocks(&site));
        let program = site.start().await;
        Self {
            stub,
            site,
            program,
            chromium: Chromium::start().await,
        }
    }

    async fn open(&self, path: &str) {
        self.chromium
            .go(&format!("{}{path}", self.site.issuer))
            .await;
    }

    async fn sign_in(&self) {
        self.chromium
            .sign_in("alice", &self.site.words.password)
            .await;
    }

    /// Signs in and agrees, and is back at the client.
    async fn grant(&self, request: &Request) -> String {
        self.open(&request.path()).await;
        self.sign_in().await;
        self.chromium.click("consent-allow").await;
        let arrival = self.stub.arrival("/callback").await;
        assert_eq!(arrival.fields.get("state"), request.pairs.get("state"));
        arrival.fields["code"].clone()
    }

    /// `allowed`: what the console may have said.
    async fn end(self, allowed: &[&str]) {
        self.chromium.end(allowed).await;
        assert!(self.program.end().await.success());
    }
}

/// Signs in, unticks the e-mail address, agrees; gives the code.
async fn agree_to_less(world: &World, request: &Request) -> String {
    let chromium = &world.chromium;
    world.open(&request.path()).await;
    chromium.look("login").await;
    world.sign_in().await;
    chromium.element("consent-allow").await;
    chromium.look("consent").await;
    let email = By::Css("input[name=scope][value=email]");
    chromium.click_on(email).await;
    chromium.click("consent-allow").await;
    let arrival = world.stub.arrival("/callback").await;
    assert_eq!(arrival.method, "GET");
    assert_eq!(arrival.fields["iss"], world.site.issuer);
    chromium.element("arrived").await;
    arrival.fields["code"].clone()
}

/// Redeems, renews, asks who it is, and takes it back.
async fn use_up(site: &Site, request: &Request, code: &str) {
    let tokens = site.form("/token", "web", &request.redemption(code)).await;
    let scope = tokens.text("scope");
    assert_eq!(scope, "offline_access openid profile read:orders");
    let first = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &first)];
    let renewed = site.form("/token", "web", &form).await;
    let access = renewed.text("access_token");
    let userinfo = http().get(format!("{}/userinfo", site.issuer));
    let known = read(userinfo.bearer_auth(&access).send().await.unwrap()).await;
    assert_eq!(known.text("name"), "Alice Example");
    assert_eq!(known.json().get("email"), None);
    assert_eq!(site.introspect(&access).await["active"], true);
    let refresh = renewed.text("refresh_token");
    let revoked = site.form("/revoke", "web", &[("token", &refresh)]).await;
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    assert_eq!(site.introspect(&access).await, json!({ "active": false }));
}

async fn a_person_signs_in_agrees_and_takes_it_back(engine: Engine) {
    let world = World::new(engine).await;
    let chromium = &world.chromium;
    let request = request(&world.site, "web", SCOPES);
    let code = agree_to_less(&world, &request).await;
    use_up(&world.site, &request, &code).await;

    world.open("/logout").await;
    chromium.element("logout-confirm").await;
    chromium.look("logout").await;
    chromium.click("logout-confirm").await;
    chromium
        .find(By::XPath("//h1[contains(., 'signed out')]"))
        .await;
    chromium.look("signed-out").await;
    world.open(&request.path()).await;
    assert!(chromium.has("login-submit").await, "it has not ended");
    world.end(&[]).await;
}

on_both_engines! { a_person_signs_in_agrees_and_takes_it_back }

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logout_with_a_hint_leads_back_to_the_client() {
    let world = World::new(Engine::Sqlite).await;
    let request = request(&world.site, "web", SCOPES);
    let code = world.grant(&request).await;
    let tokens = world
        .site
        .form("/token", "web", &request.redemption(&code))
        .await;
    let bye = world.stub.callback.replace("/callback", "/bye");
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("id_token_hint", &*tokens.text("id_token")),
            ("post_logout_redirect_uri", &bye),
            ("state", "x y"),
        ])
        .finish();

    world.open(&format!("/logout?{query}")).await;
    if world.chromium.has("logout-confirm").await {
        world.chromium.click("logout-confirm").await;
    }

    assert_eq!(world.stub.arrival("/bye").await.fields["state"], "x y");
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denying_tells_the_client_and_gives_nothing() {
    let world = World::new(Engine::Sqlite).await;
    let request = request(&world.site, "web", "openid delete:orders");
    world.open(&request.path()).await;
    world.chromium.sign_in("alice", "not the password").await;
    world.chromium.element("login-error").await;
    world.chromium.look("login-failed").await;
    world.sign_in().await;
    let sensitive = world
        .chromium
        .find(By::Css("input[name=scope][value='delete:orders']"))
        .await;
    assert!(
        !sensitive.is_selected().await.unwrap(),
        "a sensitive scope is never given by default"
    );
    world.chromium.look("consent-sensitive").await;
    world.chromium.click("consent-deny").await;

    let fields = world.stub.arrival("/callback").await.fields;

    assert_eq!(
        (&*fields["error"], &fields["iss"]),
        ("access_denied", &world.site.issuer)
    );
    assert_eq!(fields.get("state"), request.pairs.get("state"));
    assert!(!fields.contains_key("code"));
    world.end(&["status of 4"]).await;
}

/// Attack: A028
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn form_post_carries_a_hostile_state_unchanged_with_and_without_script() {
    const HOSTILE: &str = r#""><script>document.title='x'</script>&amp;'"#;
    let world = World::new(Engine::Sqlite).await;
    let request = || {
        request(&world.site, "web", SCOPES)
            .with("response_mode", "form_post")
            .with("state", HOSTILE)
    };
    world.grant(&request()).await;

    world
        .chromium
        .tool(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": true }),
        )
        .await
        .unwrap();
    world.open(&request().path()).await;
    if world.chromium.has("consent-allow").await {
        world.chromium.click("consent-allow").await;
    }
    // The page before has buttons of other names.
    let button = world
        .chromium
        .find(By::XPath(
            "//main//form//button[@type='submit' and normalize-space()='Continue']",
        ))
        .await;
    world
        .chromium
        .tool(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": false }),
        )
        .await
        .unwrap();
    world.chromium.look("form-post").await;
    button.click().await.unwrap();

    let arrival = world.stub.arrival("/callback").await;
    assert_eq!(
        (&*arrival.method, &*arrival.fields["state"]),
        ("POST", HOSTILE)
    );
    assert!(arrival.fields.contains_key("code"));
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_must_not_redirect_shows_a_page_with_code_and_description() {
    let world = World::new(Engine::Sqlite).await;
    let request =
        request(&world.site, "web", SCOPES).with("redirect_uri", "https://evil.example/callback");

    world.open(&request.path()).await;

    assert_eq!(world.chromium.text("error-code").await, "invalid_request");
    assert!(!world.chromium.text("error-description").await.is_empty());
    world.chromium.look("error").await;
    world.end(&["status of 400"]).await;
}

/// An API that takes macaroons, and a client that gets them.
fn bakery(site: &Site) -> String {
    format!(
        r#"
[[resource]]
identifier = "https://files.example.com"
scopes = ["read:files"]
token_format = "macaroon"
introspection_client = "orders-api"

[[client]]
id = "baker"
name = "Bakery"
secret = "{}"
redirect_uris = ["{}"]
grants = ["authorization_code"]
scopes = ["openid", "read:files"]
resources = ["https://files.example.com"]
default_resource = "https://files.example.com"
"#,
        site.words.web, site.words.callback
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_approves_what_a_macaroon_is_used_for() {
    let world = World::with(Engine::Sqlite, bakery).await;
    let request = request(&world.site, "baker", "openid read:files");
    let code = world.grant(&request).await;
    let tokens = world
        .site
        .form("/token", "baker", &request.redemption(&code))
        .await;
    let root = tokens.text("access_token");
    let caveat = [
        ("token", &*root),
        ("require", "approval"),
        ("person", "alice"),
        ("purpose", "Send the tax files of 2025 to the bookkeeper"),
    ];
    let caveat = world
        .site
        .form("/discharge/caveats", "baker", &caveat)
        .await;
    let id = caveat.text("caveat_id");
    let asked = world.site.form("/discharge", "baker", &[("id", &id)]).await;
    assert_eq!(asked.status, 202, "{}", asked.body);

    world.chromium.go(&asked.text("interaction_uri")).await;
    world.chromium.element("consent-allow").await;
    world.chromium.look("approve").await;
    world.chromium.click("consent-allow").await;
    world
        .chromium
        .find(By::XPath("//h1[contains(., 'Done')]"))
        .await;
    world.chromium.look("approved").await;

    let poll = [("poll_token", &*asked.text("poll_token"))];
    let polled = world.site.form("/discharge/poll", "baker", &poll).await;
    assert!(!polled.text("discharge").is_empty());
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_is_enough() {
    let world = World::new(Engine::Sqlite).await;
    let chromium = &world.chromium;
    world
        .open(&request(&world.site, "web", SCOPES).path())
        .await;
    chromium.element("login-submit").await;
    chromium.until_focus("username").await;
    chromium.write("alice").await;
    chromium.press(Key::Tab).await;
    assert_eq!(chromium.focus().await, "password");
    chromium.write(&world.site.words.password).await;
    chromium.press(Key::Enter).await;
    chromium.element("consent-allow").await;
    let mut seen = Vec::new();
    while chromium.focus().await != "consent-allow" {
        chromium.press(Key::Tab).await;
        seen.push(chromium.focus().await);
        assert!(seen.len() < 30, "{seen:?}");
    }
    assert!(seen.contains(&"consent-deny".to_owned()), "{seen:?}");

    chromium.press(Key::Enter).await;

    assert!(
        world
            .stub
            .arrival("/callback")
            .await
            .fields
            .contains_key("code")
    );
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_each_end_with_their_own_answer() {
    let world = World::new(Engine::Sqlite).await;
    let driver = &world.chromium.driver;
    let [first, second] =
        [SCOPES, "openid delete:orders"].map(|scope| request(&world.site, "web", scope));
    let one = driver.window().await.unwrap();
    world.open(&first.path()).await;
    let two = driver.new_tab().await.unwrap();
    driver.switch_to_window(two.clone()).await.unwrap();
    world.open(&second.path()).await;

    // The tab that was opened first is finished while the other waits.
    for (tab, request) in [(one, first), (two, second)] {
        driver.switch_to_window(tab).await.unwrap();
        world.sign_in().await;
        world.chromium.click("consent-allow").await;
        let fields = world.stub.arrival("/callback").await.fields;
        assert_eq!(fields.get("state"), request.pairs.get("state"));
        let tokens = world
            .site
            .form("/token", "web", &request.redemption(&fields["code"]))
            .await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        world.chromium.element("arrived").await;
    }
    world.end(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_link_opens_once() {
    let folder = Folder::new();
    let dev = Dev::start(&folder.join("data")).await;
    let chromium = Chromium::start().await;

    chromium.go(dev.text("admin_url")).await;

    chromium
        .find(By::XPath("//h1[contains(., 'Status')]"))
        .await;
    chromium.look("status").await;
    chromium.go(dev.text("admin_url")).await;
    assert!(!chromium.driver.title().await.unwrap().starts_with("Status"));
    chromium.end(&["status of 4"]).await;
    assert_eq!(dev.end().await, Some(0));
}
