//! Each act of `docs/revocation.md` by each command that the page names: what it
//! should stop has stopped when the command returns, and nothing else has.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::browser::{Answer, Browser, request};
use crate::configuration::{ORDERS, VAULT};
use crate::feed::partner::Partner;
use crate::page::{Shell, code, kid, page, rows};
use crate::program::{Engine, Site};

const CALLBACK: &str = "http://127.0.0.1:3000/callback";
/// Where APIs carry requests on to.
const STOCK: &str = "https://stock.example.com";
/// An API whose tokens are macaroons.
const NOTES: &str = "https://notes.example.com";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What the installation has besides the usual.
fn blocks(site: &Site, partner: &Partner) -> String {
    let (secret, password, issuer) = (&site.words.web, &site.words.password, &partner.issuer);
    format!(
        r#"
[[resource]]
identifier = "{STOCK}"
scopes = ["read:orders"]
introspection_client = "orders-api"
exchange_from = ["relay"]

[[resource]]
identifier = "{NOTES}"
scopes = ["read:notes"]
token_format = "macaroon"
introspection_client = "orders-api"

[[client]]
id = "relay"
kind = "service"
secret = "{secret}"
grants = ["client_credentials", "{EXCHANGE}"]
scopes = ["read:orders"]
resources = ["{ORDERS}", "{STOCK}"]
default_resource = "{STOCK}"

[client.exchange]
from = ["{ORDERS}"]
to = ["{STOCK}"]
impersonate = true

[[client]]
id = "mail"
name = "Mail"
kind = "native"
redirect_uris = ["{CALLBACK}"]
grants = ["authorization_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:orders", "read:notes"]
resources = ["{ORDERS}", "{NOTES}"]
default_resource = "{ORDERS}"

[[client]]
id = "importer"
kind = "service"
secret = "{secret}"
grants = ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
scopes = ["read:orders"]
resources = ["{ORDERS}"]

[client.exchange]
issuers = ["{issuer}"]

[[organization]]
id = "acme"
name = "Acme"
members = [{{ user = "alice", roles = ["buyer", "seller"] }}]

[[trusted_issuer]]
issuer = "{issuer}"
jwks_uri = "{issuer}/jwks"
resource = "{ORDERS}"
scopes = ["read:orders"]

[[user]]
username = "bob"
password = "{password}"
"#
    )
}

/// What there is before an act: alice's by one application, what was made of
/// it, a partner's, and bob's.
struct World<'s> {
    site: &'s Site,
    alice: Browser<'s>,
    bob: Browser<'s>,
    tokens: Answer,
    macaroon: String,
    attenuated: String,
    exchanged: String,
    delegated: String,
    imported: String,
    bobs: Answer,
}

async fn exchange(site: &Site, more: &[(&str, &str)]) -> String {
    let form = [
        &[
            ("grant_type", EXCHANGE),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", STOCK),
        ],
        more,
    ];
    let answer = site.form("/token", "relay", &form.concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("access_token")
}

impl<'s> World<'s> {
    async fn new(site: &'s Site, shell: &Shell, partner: &Partner) -> Self {
        let asked = |scope: &str, resource: &str| {
            let asked = request(site, "mail", scope).with("resource", resource);
            asked.with("organization", "acme")
        };
        let mut alice = Browser::new(site);
        let online = asked("openid read:orders", ORDERS);
        let tokens = alice.tokens("alice", &online).await;
        let notes = asked("offline_access read:notes", NOTES);
        let macaroon = alice.tokens("alice", &notes).await.text("access_token");
        let script = format!("symbolon token attenuate '{macaroon}' --caveat 'method = GET'");
        let attenuated = shell.run(&script).await.line(0).to_owned();
        let access = tokens.text("access_token");
        let exchanged = exchange(site, &[("subject_token", &access)]).await;
        let own = [
            ("grant_type", "client_credentials"),
            ("scope", "read:orders"),
        ];
        let own = site
            .form("/token", "relay", &own)
            .await
            .text("access_token");
        let acting = [
            ("subject_token", &*access),
            ("actor_token", &own),
            ("actor_token_type", ACCESS_TOKEN),
        ];
        let delegated = exchange(site, &acting).await;
        let assertion = partner.assertion(&site.issuer);
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &*assertion),
        ];
        let imported = site.form("/token", "importer", &form).await;
        assert_eq!(imported.status, 200, "{}", imported.body);
        let mut bob = Browser::new(site);
        let asked = request(site, "shop", "openid offline_access read:vault");
        let bobs = bob.tokens("bob", &asked.with("resource", VAULT)).await;
        Self {
            site,
            alice,
            bob,
            tokens,
            macaroon,
            attenuated,
            exchanged,
            delegated,
            imported: imported.text("access_token"),
            bobs,
        }
    }

    async fn is_active(&self, token: &str) -> bool {
        // A macaroon is asked about with what it is used for.
        let form = [("token", token), ("method", "GET"), ("uri", "/")];
        let answer = self.site.form("/introspect", "orders-api", &form).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["active"] == true
    }

    async fn renews(&self, client: &str, tokens: &Answer) -> bool {
        let token = tokens.text("refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        self.site.form("/token", client, &form).await.status == 200
    }

    /// What lives; asked once, because asking renews.
    async fn living(&mut self) -> BTreeSet<&'static str> {
        let mut living = BTreeSet::new();
        for (name, token) in [
            ("access token", self.tokens.text("access_token")),
            ("exchanged", self.exchanged.clone()),
            ("delegated", self.delegated.clone()),
            ("macaroon", self.macaroon.clone()),
            ("attenuated", self.attenuated.clone()),
            ("partner's", self.imported.clone()),
            ("bob's", self.bobs.text("access_token")),
        ] {
            if self.is_active(&token).await {
                living.insert(name);
            }
        }
        for (name, client, tokens) in [
            ("refresh", "mail", &self.tokens),
            ("bob's refresh", "shop", &self.bobs),
        ] {
            if self.renews(client, tokens).await {
                living.insert(name);
            }
        }
        for (name, browser) in [
            ("session", &mut self.alice),
            ("bob's session", &mut self.bob),
        ] {
            if browser
                .get("/account")
                .await
                .body
                .contains("end-everything")
            {
                living.insert(name);
            }
        }
        living
    }

    /// What the names in the page stand for.
    async fn name(&self, shell: &mut Shell) {
        let access = self.tokens.text("access_token");
        shell.set("TOKEN", &access);
        let list = shell.run("symbolon session list --user alice --json").await;
        let session = newest(&list.json());
        shell.set("SESSION", &session);
        let list = shell.run("symbolon grant list --user alice --json").await;
        let grant = newest(&list.json());
        shell.set("GRANT", &grant);
        let shown = format!("symbolon grant get {grant} --json");
        let families = shell.run(&shown).await.json()["families"].clone();
        let families = families.as_array().unwrap();
        // The newest is that of the macaroon, which was got after this one.
        shell.set("FAMILY", families[1]["id"].as_str().unwrap());
        let list = shell.run("symbolon keys list --json").await.json();
        let keys = list["items"].as_array().unwrap();
        let is_signing = |key: &&Value| key["purpose"] == "signing" && key["state"] == "active";
        let own = kid(&access);
        let is_own = |key: &&Value| key["kid"] == own.as_str();
        assert!(keys.iter().any(|key| is_signing(&key) && is_own(&key)));
        shell.set("KID", &own);
    }
}

/// The newest thing of a list: what an act of before did not end.
fn newest(list: &Value) -> String {
    let items = list["items"].as_array().unwrap().iter();
    let newest = items.max_by_key(|item| item["created"].as_str().map(str::to_owned));
    newest.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Everything that lives before an act.
const ALL: [&str; 11] = [
    "access token",
    "exchanged",
    "delegated",
    "macaroon",
    "attenuated",
    "partner's",
    "bob's",
    "refresh",
    "bob's refresh",
    "session",
    "bob's session",
];

/// What an act of the page stops, in the words of [`ALL`].
fn stopped_by(act: &str) -> &'static [&'static str] {
    match act {
        "this token" => &["access token", "exchanged", "delegated"],
        "this family" => &["access token", "exchanged", "delegated", "refresh"],
        "this application" | "this client" | "this organization" | "this membership" => &[
            "access token",
            "exchanged",
            "delegated",
            "macaroon",
            "attenuated",
            "refresh",
        ],
        "this device" => &[
            "access token",
            "exchanged",
            "delegated",
            "refresh",
            "session",
        ],
        "this person" => &[
            "access token",
            "exchanged",
            "delegated",
            "macaroon",
            "attenuated",
            "refresh",
            "session",
        ],
        "this key" => &["access token", "exchanged", "delegated", "partner's"],
        "this trusted issuer" => &["partner's"],
        other => panic!("nobody says here what `{other}` stops"),
    }
}

/// Makes whatever an act switched off as it was.
const AGAIN: &str = "
symbolon user enable alice
symbolon user password alice --password-file alice.password
symbolon client enable mail
symbolon organization enable acme
symbolon organization add-member acme alice --role buyer --role seller
symbolon trusted-issuer trust \"$ISSUER\"
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_of_the_page_stops_what_it_names_and_nothing_else() {
    let site = Site::new(Engine::Sqlite, CALLBACK).await;
    let partner = Partner::start().await;
    let more = "outbound_allow = [\"127.0.0.0/8\"]";
    site.configure(more, &blocks(&site, &partner));
    let program = site.start().await;
    let mut shell = Shell::at(&site);
    shell.set("ISSUER", &partner.issuer);
    std::fs::write(site.folder.join("alice.password"), &site.words.password).unwrap();
    let mut commands = 0;
    for row in rows(&page("revocation.md"), "Each act") {
        let stopped: BTreeSet<&str> = stopped_by(&row[0]).iter().copied().collect();
        for command in code(&row[2]) {
            let mut world = World::new(&site, &shell, &partner).await;
            world.name(&mut shell).await;

            shell.run(&command).await;

            let living = world.living().await;
            let wanted: BTreeSet<&str> = ALL
                .into_iter()
                .filter(|own| !stopped.contains(own))
                .collect();
            assert_eq!(living, wanted, "{}: {command}", row[0]);
            shell.run(AGAIN).await;
            commands += 1;
        }
    }
    assert!(commands >= 18, "{commands}");
    assert!(program.end().await.success());
}

/// Before any act all of it lives: what is dead afterwards died of the act.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_an_act_everything_lives() {
    let site = Site::new(Engine::Sqlite, CALLBACK).await;
    let partner = Partner::start().await;
    let more = "outbound_allow = [\"127.0.0.0/8\"]";
    site.configure(more, &blocks(&site, &partner));
    let program = site.start().await;
    let shell = Shell::at(&site);

    let mut world = World::new(&site, &shell, &partner).await;

    assert_eq!(world.living().await, ALL.into_iter().collect());
    assert!(program.end().await.success());
}
