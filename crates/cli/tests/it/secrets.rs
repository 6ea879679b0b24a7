//! Every route of both tables, rightly and wrongly used, at TRACE: no secret and
//! no piece of one is in anything that the program prints. A route that nobody
//! drives here fails the test.

use std::cell::RefCell;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use symbolon_server::testing::{Known, is_of_route, probes};

use crate::browser::{Answer, Browser, http, read, request};
use crate::configuration::{VAULT, secret};
use crate::leak;
use crate::program::{Engine, PATIENCE, Program, Said, Site};

const SCOPES: &str = "openid profile email offline_access read:orders";
const FORM: &str = "application/x-www-form-urlencoded";
/// Everything that takes a body.
fn posted() -> impl Iterator<Item = &'static str> {
    let all = symbolon_server::routes::table().into_iter();
    all.filter(|route| route.method == Method::POST)
        .map(|route| route.path)
}
/// A name that would begin a line of its own, and colour it, in a naive log.
const FORGER: &str = "eve\n2026-01-01T00:00:00Z ERROR forged: line\r\n{\"level\":\"FORGED\"}\u{1b}[5;41m\u{85}\u{2028}end";

/// A run that keeps all that must not be printed.
struct Run {
    site: Site,
    secrets: Vec<String>,
    /// What was asked of the public listener, and of administration.
    driven: RefCell<Driven>,
}

#[derive(Default)]
struct Driven {
    public: Vec<(Method, String)>,
    admin: Vec<(Method, String)>,
}

impl Run {
    async fn start(engine: Engine, form: &str) -> (Self, Program) {
        let mut site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
        let environment = [
            ("SYMBOLON_LOG", "trace"),
            ("RUST_LOG", "trace"),
            ("SYMBOLON_LOG_FORM", form),
        ];
        site.environment = environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let program = site.start().await;
        let mut secrets = site.words.all();
        secrets.push(site.admin_token());
        let master = std::fs::read(site.folder.join("master.key")).unwrap();
        secrets.push(String::from_utf8_lossy(&master).trim().to_owned());
        let store = url::Url::parse(&site.store).ok();
        secrets.extend(
            store
                .and_then(|url| url.password().map(str::to_owned))
                .filter(|password| password.len() > 12),
        );
        let driven = RefCell::default();
        let run = Self {
            site,
            secrets,
            driven,
        };
        (run, program)
    }

    /// A secret that is made here and means nothing to the server.
    fn made(&mut self) -> String {
        let made = secret();
        self.secrets.push(made.clone());
        made
    }

    fn keep(&mut self, answer: &Answer, names: &[&str]) {
        let document: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        for name in names {
            // Of a link, the part that nobody can guess.
            let last = |text: &str| text.rsplit("link=").next().map(str::to_owned);
            self.secrets.extend(document[name].as_str().and_then(last));
        }
    }

    async fn form(&mut self, path: &str, client: &str, form: &[(&str, &str)]) -> Answer {
        self.note(Method::POST, path);
        let answer = self.site.form(path, client, form).await;
        self.keep(&answer, &["access_token", "refresh_token", "id_token"]);
        answer
    }

    async fn admin(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Answer {
        let driven = (method.clone(), path.to_owned());
        self.driven.get_mut().admin.push(driven);
        let mut request = http()
            .request(method, format!("{}{path}", self.site.admin))
            .bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = read(request.send().await.unwrap()).await;
        self.keep(
            &answer,
            &["secret", "client_secret", "key", "url", "link", "password"],
        );
        answer
    }

    fn note(&self, method: Method, path: &str) {
        let mut driven = self.driven.borrow_mut();
        driven.public.push((method, path.to_owned()));
    }

    async fn send(&self, method: Method, path: &str, body: &str, content: &str) -> Answer {
        self.note(method.clone(), path);
        let request = http().request(method, format!("{}{path}", self.site.issuer));
        read(
            request
                .header("content-type", content)
                .body(body.to_owned())
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    /// A person who mistypes, signs in, agrees, and signs out.
    async fn person(&mut self) {
        let wrong = self.made();
        let mut browser = Browser::new(&self.site);
        let request = request(&self.site, "web", SCOPES);
        let page = browser.authorize(&request).await;
        let page = browser
            .submit(
                "/login",
                &page,
                &[("username", "alice"), ("password", &wrong)],
            )
            .await;
        assert!(
            page.body.contains("login-error"),
            "{} {}",
            page.status,
            page.body
        );
        // People type their password where their name belongs.
        let page = browser
            .submit(
                "/login",
                &page,
                &[("username", &wrong), ("password", &wrong)],
            )
            .await;
        browser
            .submit(
                "/login",
                &page,
                &[("username", FORGER), ("password", &wrong)],
            )
            .await;
        let code = browser.code("alice", &request).await;
        let seen = std::mem::take(&mut browser.seen);
        let redemption = request.redemption(&code);
        let mut halved = redemption.clone();
        halved.truncate(3);
        let unbound = self.site.form("/token", "web", &halved).await;
        assert_eq!(unbound.text("error"), "invalid_grant");
        let tokens = self.site.form("/token", "web", &redemption).await;
        assert_eq!(tokens.status, 200, "{}", tokens.body);
        let query = [("id_token_hint", &*tokens.text("id_token"))];
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let page = browser.get(&format!("/logout?{query}")).await;
        browser
            .submit("/logout", &page, &[("confirm", "yes")])
            .await;
        let replayed = self.site.form("/token", "web", &redemption).await;
        assert_eq!(replayed.text("error"), "invalid_grant");
        let later = std::mem::take(&mut browser.seen);
        let visited = std::mem::take(&mut browser.visited);
        drop(browser);
        self.driven.get_mut().public.extend(visited);
        self.secrets.extend(
            seen.into_iter()
                .chain(later)
                .chain([request.verifier.clone()]),
        );
        self.keep(&tokens, &["access_token", "refresh_token", "id_token"]);
    }

    /// Somebody at their own account, who mistypes their password and leaves.
    async fn account(&mut self) {
        let (wrong, new) = (self.made(), self.made());
        let password = self.site.words.password.clone();
        let mut browser = Browser::new(&self.site);
        let login = browser.get("/account").await;
        let page = browser.sign_in(&login, "alice", &password).await;
        let at = page.body.find(r#"value="password""#);
        let form = &page.body[at.expect("a form for passwords")..];
        let csrf = symbolon_server::testing::hidden(form, "csrf").expect("its ties");
        self.secrets.push(csrf.clone());
        let fields = [
            ("transaction", "password"),
            ("csrf", &csrf),
            ("password", &wrong),
            ("new_password", &new),
            ("repeated_password", &new),
        ];
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let refused = browser.send(Method::POST, "/account", Some(&fields)).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        // The first button signs this browser out.
        browser.submit("/account", &page, &[]).await;
        let (seen, visited) = (browser.seen, browser.visited);
        // A button names what it ends, which whoever reads the trail may know.
        let secrets = seen.into_iter().filter(|own| !own.starts_with("sign-out "));
        self.secrets.extend(secrets);
        self.driven.get_mut().public.extend(visited);
    }

    /// Devices that are allowed, denied, and asked for too often.
    async fn device(&mut self) {
        let begin = [("scope", "openid offline_access read:orders")];
        let mut all = Vec::new();
        for decision in ["allow", "deny"] {
            let asked = self.form("/device_authorization", "tv", &begin).await;
            assert_eq!(asked.status, 200, "{}", asked.body);
            let (device, user) = (asked.text("device_code"), asked.text("user_code"));
            self.secrets.extend([device.clone(), user.clone()]);
            self.secrets.push(user.replace('-', ""));
            let mut browser = Browser::new(&self.site);
            let page = browser.get(&format!("/device?user_code={user}")).await;
            let page = browser
                .sign_in(&page, "alice", &self.site.words.password)
                .await;
            let wrong = [("user_code", "BCDFG-HJKLM")];
            let page = browser.submit("/device", &page, &wrong).await;
            let page = browser
                .submit("/device", &page, &[("user_code", &user)])
                .await;
            assert!(page.body.contains("device-allow"), "{}", page.body);
            let fields = [("decision", decision), ("scope", "offline_access")];
            browser.submit("/device", &page, &fields).await;
            let (seen, visited) = (browser.seen, browser.visited);
            let sealed = visited
                .iter()
                .filter_map(|(_, path)| path.split_once("transaction="));
            self.secrets
                .extend(sealed.map(|(_, sealed)| sealed.to_owned()));
            self.secrets.extend(seen);
            self.driven.get_mut().public.extend(visited);
            all.push(device);
        }
        for (device, codes) in all
            .iter()
            .zip([["", "invalid_grant"], ["access_denied"; 2]])
        {
            for code in codes {
                let form = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                    ("device_code", device),
                ];
                let answer = self.form("/token", "tv", &form).await;
                let error = answer.json()["error"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                assert_eq!(error, code, "{}", answer.body);
            }
        }
    }

    /// A client that renews, asks, reuses and gives back.
    async fn client(&mut self) {
        let scope = "openid offline_access read:vault";
        let request = request(&self.site, "shop", scope).with("resource", VAULT);
        let mut browser = Browser::new(&self.site);
        let tokens = browser.tokens("alice", &request).await;
        let seen = std::mem::take(&mut browser.seen);
        drop(browser);
        self.secrets.extend(seen);
        self.secrets.push(request.verifier.clone());
        self.keep(&tokens, &["access_token", "refresh_token", "id_token"]);
        let first = tokens.text("refresh_token");
        let second = self.renew(&first).await.text("refresh_token");
        let third = self.renew(&second).await;
        let (access, third) = (third.text("access_token"), third.text("refresh_token"));
        for token in [&access, &third] {
            self.site.introspect(token).await;
        }
        self.note(Method::GET, "/userinfo");
        let userinfo = http().get(format!("{}/userinfo", self.site.issuer));
        let known = read(userinfo.bearer_auth(&access).send().await.unwrap()).await;
        assert_eq!(known.status, 200, "{}", known.body);
        let body = format!("access_token={access}");
        let known = self.send(Method::POST, "/userinfo", &body, FORM).await;
        assert_eq!(known.status, 200, "{}", known.body);
        // Stolen: an old token ends the family, and is worth a line in the log.
        assert_eq!(self.renew(&first).await.text("error"), "invalid_grant");
        for token in [&third, &access] {
            self.form("/revoke", "shop", &[("token", token)]).await;
        }
        let grant = [("grant_type", "client_credentials"), ("resource", VAULT)];
        let machine = self.form("/token", "job", &grant).await;
        assert_eq!(machine.status, 200, "{}", machine.body);
    }

    async fn renew(&mut self, token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.form("/token", "shop", &form).await
    }

    /// What strangers and broken programs send, with secrets where none belong.
    async fn stranger(&mut self) {
        let wrong = self.made();
        let mut marked = self.secrets.iter().filter(|one| one.starts_with("sym_"));
        let token = marked.next().unwrap().clone();
        self.addresses(&wrong, &token).await;
        self.bodies(&wrong, &token).await;
        self.headers(&wrong, &token).await;
    }

    async fn addresses(&self, wrong: &str, token: &str) {
        let body = format!("password={wrong}&transaction={wrong}&csrf={wrong}");
        for path in [
            format!("/token?client_secret={wrong}"),
            format!("/userinfo?access_token={token}"),
            format!("/nothing/{token}?password={wrong}"),
            format!("/authorize?client_id={wrong}&state={token}&code={token}"),
            format!("/login?transaction={wrong}"),
            format!("/assets/{wrong}"),
            format!("/logout?id_token_hint={token}"),
        ] {
            for method in [Method::GET, Method::POST, Method::PUT] {
                let answer = self.send(method, &path, &body, FORM).await;
                assert!(answer.status < 500, "{path} {}", answer.body);
            }
        }
    }

    async fn bodies(&self, wrong: &str, token: &str) {
        let web = format!("client_id=web&client_secret={wrong}");
        let assertion = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion";
        let json = json!({ "client_secret": wrong, "refresh_token": token }).to_string();
        for (content, body) in [
            ("application/json", json),
            (
                FORM,
                format!("grant_type=refresh_token&refresh_token={token}x&{web}"),
            ),
            (
                FORM,
                format!("grant_type={wrong}&client_id={wrong}&client_secret={wrong}"),
            ),
            (
                FORM,
                format!("grant_type=authorization_code&code=sym_ac_{wrong}&{web}"),
            ),
            (
                FORM,
                format!(
                    "grant_type=client_credentials&{assertion}=eyJhbGciOiJIUzI1NiJ9.{wrong}.{wrong}"
                ),
            ),
            (FORM, format!("{wrong}%zz=\u{0}{wrong}")),
        ] {
            for path in posted() {
                let answer = self.send(Method::POST, path, &body, content).await;
                assert!(answer.status < 500, "{path} {body} {}", answer.body);
            }
        }
    }

    async fn headers(&self, wrong: &str, token: &str) {
        for value in [
            format!("Bearer {wrong}"),
            format!("Basic {wrong}"),
            wrong.to_owned(),
            format!("Bearer {token}, {token}"),
        ] {
            for path in posted() {
                let request = http()
                    .post(format!("{}{path}", self.site.issuer))
                    .header("authorization", &value)
                    .header("cookie", format!("session={wrong}; {wrong}"))
                    .header("x-request-id", wrong);
                assert!(request.send().await.unwrap().status().as_u16() < 500);
            }
        }
    }

    /// An administrator who makes secrets, and one who has none.
    async fn administrator(&mut self) {
        let (token, wrong, password) = (self.site.admin_token(), self.made(), self.made());
        let client = json!({ "id": "made", "name": "Made", "kind": "service", "grants": ["client_credentials"], "scopes": ["read:orders"], "resources": [crate::configuration::ORDERS] });
        let calls = [
            (Method::POST, "/admin/v1/clients", Some(client.clone())),
            (
                Method::POST,
                "/admin/v1/clients",
                Some(json!({ "id": "broken", "secret": wrong, "kind": wrong })),
            ),
            (
                Method::POST,
                "/admin/v1/clients/made/secret",
                Some(json!({})),
            ),
            (Method::GET, "/admin/v1/clients/made", None),
            (
                Method::POST,
                "/admin/v1/users",
                Some(json!({ "username": "bob", "password": password })),
            ),
            (
                Method::POST,
                "/admin/v1/users",
                Some(json!({ "username": FORGER, "password": [wrong] })),
            ),
            (
                Method::POST,
                "/admin/v1/users/bob/password",
                Some(json!({ "password": self.made() })),
            ),
            (Method::GET, "/admin/v1/users", None),
            (
                Method::POST,
                "/admin/v1/revoke",
                Some(json!({ "token": self.secrets.last() })),
            ),
            (Method::GET, "/admin/v1/audit", None),
            (Method::DELETE, "/admin/v1/clients/made", None),
            (Method::DELETE, "/admin/v1/users/bob", None),
        ];
        for (method, path, body) in calls {
            let refused = self.admin(method.clone(), path, &wrong, body.clone()).await;
            assert_eq!(refused.status, 401, "{path}");
            let answer = self.admin(method, path, &token, body).await;
            assert!(answer.status < 500, "{path} {}", answer.body);
            assert_ne!(answer.status, 401, "{path}");
        }
        self.operations(&token).await;
        let made = self
            .admin(Method::POST, "/admin/v1/clients", &token, Some(client))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
    }

    /// Every operation of the table once, as it should be called.
    async fn operations(&mut self, token: &str) {
        let mut ids = Vec::new();
        for what in ["grants", "sessions"] {
            let list = format!("/admin/v1/{what}?user=alice");
            let list = self.admin(Method::GET, &list, token, None).await;
            let first = list.json()["items"][0]["id"].as_str().map(str::to_owned);
            ids.push(first.unwrap_or_else(|| panic!("{}", list.body)));
        }
        let (session, grant) = (ids.remove(1), ids.remove(0));
        let password = self.made();
        let keys = self.admin(Method::GET, "/admin/v1/keys", token, None).await;
        let keys = keys.json();
        let spare =
            |key: &&serde_json::Value| key["algorithm"] == "ES384" && key["state"] == "active";
        let key = keys["items"].as_array().unwrap().iter().find(spare);
        let key = key.unwrap()["kid"].as_str().unwrap().to_owned();
        let held = serde_json::json!({
            "name": "held", "client": "job", "scopes": ["read:orders"], "resources": [crate::configuration::ORDERS],
        });
        let held = self
            .admin(Method::POST, "/admin/v1/api-keys", token, Some(held))
            .await;
        let api_key = held.json()["id"].as_str().map(str::to_owned);
        let api_key = api_key.unwrap_or_else(|| panic!("{}", held.body));
        let refused = http().get(format!("{}/userinfo", self.site.issuer));
        let refused = read(refused.send().await.unwrap()).await;
        for probe in probes(&Known {
            refused: refused.text("request_id"),
            key,
            api_key,
            grant,
            session,
            password,
        }) {
            let answer = self
                .admin(probe.method, &probe.path, token, probe.body)
                .await;
            assert!(answer.status < 300, "{} {}", probe.path, answer.body);
        }
        let link = self
            .admin(Method::POST, "/admin/v1/status-links", token, None)
            .await;
        let url = link.text("url");
        let path = url.strip_prefix(&self.site.admin).unwrap().to_owned();
        for _ in 0..2 {
            let visited = self.admin(Method::GET, &path, token, None).await;
            let cookie = visited.header("set-cookie").map(str::to_owned);
            let value =
                cookie.and_then(|line| Some(line.split(';').next()?.split_once('=')?.1.to_owned()));
            self.secrets.extend(value);
        }
        self.admin(Method::GET, "/assets/symbolon.css", token, None)
            .await;
    }

    /// What anybody may ask for, and browsers ask before they send.
    async fn anybody(&mut self) {
        for route in symbolon_server::routes::table() {
            let path = route.path.replace("{name}", "symbolon.css");
            if route.method != Method::POST {
                let answer = self.send(route.method, &path, "", FORM).await;
                assert!(answer.status < 500, "{path} {}", answer.body);
            }
        }
    }

    /// The routes that nobody drove.
    fn missed(&self) -> Vec<String> {
        let driven = self.driven.borrow();
        let is_driven = |driven: &[(Method, String)], method: &Method, route: &str| {
            driven
                .iter()
                .any(|(own, path)| own == method && is_of_route(route, path))
        };
        let public = symbolon_server::routes::table().into_iter();
        let public = public.filter(|route| !is_driven(&driven.public, &route.method, route.path));
        let public = public.map(|route| format!("{} {}", route.method, route.path));
        let admin = symbolon_server::admin::table().into_iter();
        let admin = admin.filter(|route| !is_driven(&driven.admin, &route.method, route.path));
        let admin = admin.map(|route| format!("admin {} {}", route.method, route.path));
        public.chain(admin).collect()
    }

    /// Commands that read the file with all secrets in it, right and wrong, and
    /// the same file read again while the program runs. What they print is theirs.
    async fn configuration(&mut self, program: &Program) -> String {
        let mut printed = String::new();
        let mut keep = |said: Said| {
            printed.push_str(&said.lines.join("\n"));
            printed.push_str(&said.errors);
            printed.push('\n');
        };
        keep(self.site.run(&["check"]).await);
        keep(self.site.run(&["check", "--json"]).await);
        program.signal(Signal::HUP);
        let wrong = self.made();
        self.site.configure(
            "",
            &format!(
                "[[client]]\nid = \"bad\"\nsecret = \"{wrong}\"\nkind = \"nonsense\"\nunknown = \"{wrong}\"\n"
            ),
        );
        let refused = self.site.run(&["check"]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        keep(refused);
        keep(self.site.run(&["check", "--json"]).await);
        keep(self.site.run(&["migrate", "--plan"]).await);
        keep(self.site.run(&["serve"]).await);
        program.signal(Signal::HUP);
        let begin = tokio::time::Instant::now();
        while !self.site.printed().contains("not applied") {
            assert!(begin.elapsed() < PATIENCE, "{}", self.site.printed());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.site.configure("", "");
        printed
    }
}

impl Run {
    /// What leaves the installation to be kept elsewhere, and what a doctor says
    /// of it: a backup, the audit trail.
    async fn kept(&self) -> String {
        let file = self.site.folder.join("all.backup");
        let made = ["backup", "--to", file.to_str().unwrap()];
        let made = self.site.run(&made).await;
        assert_eq!(made.code, Some(0), "{made:?}");
        let trail = self.site.administer(&["audit", "export"]).await;
        assert!(trail.lines.len() > 20, "{trail:?}");
        let doctor = self.site.run(&["doctor", "--json"]).await;
        let backup = std::fs::read_to_string(file).unwrap();
        [backup, trail.lines.join("\n"), doctor.lines.join("\n")].join("\n")
    }
}

/// What is secret of a credential: those of devices, sessions and families
/// begin with an id, which everybody may know and a backup holds.
fn secret_half(credential: &str) -> String {
    // Eight bytes are eleven characters: an id of sixteen, and before that of a
    // family eight bytes with the numbers of key and generation.
    let public = match credential {
        own if ["sym_dc_", "sym_ss_"]
            .iter()
            .any(|kind| own.starts_with(kind)) =>
        {
            22
        }
        own if own.starts_with("sym_rt_") => 33,
        _ => return credential.to_owned(),
    };
    credential["sym_dc_".len() + public..].to_owned()
}

async fn drive(engine: Engine, form: &str) -> (Run, String) {
    let (mut run, program) = Run::start(engine, form).await;
    run.person().await;
    run.account().await;
    run.client().await;
    run.device().await;
    run.stranger().await;
    run.anybody().await;
    run.administrator().await;
    assert_eq!(
        run.missed(),
        Vec::<String>::new(),
        "routes that nobody drove"
    );
    let commands = run.configuration(&program).await;
    assert_eq!(leak::found(&commands, &run.secrets), Vec::<String>::new());
    let kept = run.kept().await;
    let halves: Vec<String> = run.secrets.iter().map(|own| secret_half(own)).collect();
    assert_eq!(leak::found(&kept, &halves), Vec::<String>::new());
    assert!(program.end().await.success());
    let printed = run.site.printed();
    (run, printed)
}

/// Attack: O376, O379
async fn no_secret_is_printed_as_json(engine: Engine) {
    let (run, printed) = drive(engine, "json").await;
    assert!(run.secrets.len() > 30, "{}", run.secrets.len());
    assert_eq!(leak::found(&printed, &run.secrets), Vec::<String>::new());
    assert!(printed.lines().count() > 10, "{printed}");
    for line in printed.lines() {
        let parsed: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert_ne!(parsed["level"], "FORGED");
    }
}

/// Attack: O376, O379
async fn no_secret_is_printed_as_text(engine: Engine) {
    let (run, printed) = drive(engine, "text").await;
    assert_eq!(leak::found(&printed, &run.secrets), Vec::<String>::new());
    assert!(
        !printed.contains('\u{1b}'),
        "control characters are in what is no terminal"
    );
    for line in printed.lines() {
        assert!(
            !line.starts_with("2026-01-01T00:00:00Z ERROR forged")
                && !line.starts_with("{\"level\":\"FORGED\""),
            "{line}"
        );
    }
}

on_both_engines! { no_secret_is_printed_as_json no_secret_is_printed_as_text }
