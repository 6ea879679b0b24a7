//! Administration by commands: every noun, what it refuses, and how it ends.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 not understood.

use serde_json::{Value, json};

use crate::browser::{Browser, request};
use crate::program::{Engine, Program, Said, Site};

const CALLBACK: &str = "http://127.0.0.1:3000/callback";

async fn site(engine: Engine) -> (Site, Program) {
    let site = Site::new(engine, CALLBACK).await;
    let program = site.start().await;
    (site, program)
}

/// What is said once of an answer that takes long.
const AT_WORK: &str = "No answer yet; still waiting for the server.\n";

impl Site {
    /// What a command answers as JSON; it must have done what it was told.
    pub(crate) async fn done(&self, arguments: &[&str]) -> Value {
        let said = self.administer(&[arguments, &["--json"]].concat()).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.errors);
        // A machine that does much else may keep an answer waiting.
        let errors = said.errors.replace(AT_WORK, "");
        assert_eq!(errors, "", "{arguments:?}");
        said.json()
    }

    /// What a command says on a terminal; it must have done what it was told.
    pub(crate) async fn told(&self, arguments: &[&str]) -> String {
        let said = self.administer(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.errors);
        said.lines.join("\n")
    }

    /// A refusal: its exit code and its error code; it answers nothing.
    pub(crate) async fn refused(&self, arguments: &[&str]) -> (i32, String) {
        let said = self.administer(arguments).await;
        assert_eq!(said.lines, [""; 0], "{arguments:?}");
        (said.code.unwrap(), code(&said))
    }
}

/// The stable code in `error[code]: …`; nothing where there is none.
fn code(said: &Said) -> String {
    let found = said
        .errors
        .split("error[")
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    found.unwrap_or_default().to_owned()
}

fn refusal(exit: i32, code: &str) -> (i32, String) {
    (exit, code.to_owned())
}

/// Makes a client that acts for itself.
const CREATE: [&str; 11] = [
    "client",
    "create",
    "billing",
    "--kind",
    "service",
    "--grant",
    "client_credentials",
    "--scope",
    "read:orders",
    "--resource",
    "https://orders.example.com",
];

/// Attack: O380
async fn clients_are_administrated(engine: Engine) {
    let (site, program) = site(engine).await;
    let made = site.done(&CREATE).await;

    assert!(
        made["secret"].as_str().unwrap().starts_with("sym_cs_"),
        "{made}"
    );
    assert_eq!(site.refused(&CREATE).await, refusal(1, "admin.conflict"));
    let shown = site.done(&["client", "get", "billing"]).await;
    assert_eq!(
        (&shown["kind"], shown.get("secret")),
        (&json!("service"), None)
    );
    let page = site.done(&["client", "list", "--limit", "1"]).await;
    let next = page["next"].as_str().unwrap();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    let rest = site.done(&["client", "list", "--after", next]).await;
    assert!(rest["items"].as_array().unwrap().len() > 3, "{rest}");
    let table = site.told(&["client", "list"]).await;
    assert!(
        table.starts_with("ID ") && table.contains("billing"),
        "{table}"
    );
    let update = [
        "client",
        "update",
        "billing",
        "--name",
        "Billing",
        "--set",
        "access_token_lifetime=5m",
    ];
    let changed = site.done(&update).await;
    assert_eq!(
        (&changed["name"], &changed["access_token_lifetime"]),
        (&json!("Billing"), &json!("5m"))
    );
    let told = async |claims: &str| {
        let set = format!("claims={claims}");
        let update = ["client", "update", "billing", "--set", &set];
        site.done(&update).await["claims"].clone()
    };
    let both = json!({
        "team": "organization", "plan": { "value": "x" },
    });
    let one = json!({ "team": "roles" });
    assert_eq!(told(&both.to_string()).await, both);
    assert_eq!(
        told(&one.to_string()).await,
        one,
        "what is set replaces what stood there"
    );
    let none = told("{}").await;
    assert!(none.is_null() || none == json!({}), "{none}");
    let gone = site.told(&["client", "delete", "billing"]).await;
    assert!(gone.contains("billing is deleted"), "{gone}");
    for verb in ["get", "delete", "enable", "disable", "secret"] {
        let refused = site.refused(&["client", verb, "billing"]).await;
        assert_eq!(refused, refusal(1, "admin.not_found"), "{verb}");
    }
    let wrong = ["client", "create", "bad", "--kind", "nonsense"];
    assert_eq!(
        site.refused(&wrong).await,
        refusal(1, "admin.invalid_request")
    );
    let wrong = ["client", "update", "web", "--set", "nothing"];
    assert_eq!(site.refused(&wrong).await, refusal(2, "admin.set"));
    assert!(program.end().await.success());
}

/// Attack: D124
async fn secrets_of_a_client_overlap_and_end_with_it(engine: Engine) {
    let (site, program) = site(engine).await;
    let made = site.done(&CREATE).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    let token = async |secret: &str| {
        let form = [("grant_type", "client_credentials")];
        let request = site.request(reqwest::Method::POST, "/token").form(&form);
        let request = request.basic_auth("billing", Some(secret));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(token(&secret).await, 200);
    let other = site
        .done(&["client", "secret", "billing", "--overlap", "1h"])
        .await;
    let other = other["secret"].as_str().unwrap().to_owned();
    assert_eq!((token(&secret).await, token(&other).await), (200, 200));
    site.done(&["client", "disable", "billing"]).await;
    assert_eq!(token(&other).await, 401);
    site.done(&["client", "enable", "billing"]).await;
    assert_eq!(token(&other).await, 200);
    site.done(&["client", "delete", "billing"]).await;
    assert_eq!(token(&other).await, 401);
    assert!(program.end().await.success());
}

async fn resources_are_administrated(engine: Engine) {
    let (site, program) = site(engine).await;
    let (api, own) = ("https://made.example.com", "resource");
    let create = [
        own,
        "create",
        api,
        "--scope",
        "read:made",
        "--token-format",
        "opaque",
    ];

    let made = site.done(&create).await;

    assert_eq!(
        (&made["identifier"], &made["token_format"]),
        (&json!(api), &json!("opaque"))
    );
    assert_eq!(site.refused(&create).await, refusal(1, "admin.conflict"));
    let changed = site
        .done(&[own, "update", api, "--access-token-lifetime", "30m"])
        .await;
    assert_eq!(changed["access_token_lifetime"], json!("30m"));
    assert_eq!(
        site.done(&[own, "get", api]).await["scopes"],
        json!(["read:made"])
    );
    assert!(site.told(&[own, "list"]).await.contains(api));
    site.done(&[own, "delete", api]).await;
    assert_eq!(
        site.refused(&[own, "get", api]).await,
        refusal(1, "admin.not_found")
    );
    let (exit, code) = site
        .refused(&[own, "create", api, "--scope", "read:made"])
        .await;
    assert!(
        exit != 0 && code == "resource.token_format",
        "nobody is there to be asked: {exit} {code}"
    );
    let wrong = [own, "create", api, "--token-format", "paper"];
    assert_eq!(
        site.refused(&wrong).await,
        refusal(1, "admin.invalid_request")
    );
    assert!(program.end().await.success());
}

/// Attack: O380
async fn people_are_administrated(engine: Engine) {
    let (site, program) = site(engine).await;
    let file = site.folder.join("password");
    std::fs::write(&file, "correct horse battery\n").unwrap();
    let file = file.to_str().unwrap();
    let create = [
        "user",
        "create",
        "carol",
        "--email",
        "carol@example.com",
        "--password-file",
        file,
    ];

    let made = site.done(&create).await;

    assert!(made["id"].as_str().unwrap().starts_with("usr_"), "{made}");
    assert!(!made.to_string().contains("correct horse"), "{made}");
    assert_eq!(site.refused(&create).await, refusal(1, "admin.conflict"));
    let update = [
        "user",
        "update",
        "carol",
        "--name",
        "Carol",
        "--set",
        "email_verified=true",
    ];
    let changed = site.done(&update).await;
    assert_eq!(
        (&changed["name"], &changed["email_verified"]),
        (&json!("Carol"), &json!(true))
    );
    assert!(
        site.told(&["user", "list"])
            .await
            .contains("carol@example.com")
    );
    site.done(&["user", "delete", "carol"]).await;
    assert_eq!(
        site.refused(&["user", "get", "carol"]).await,
        refusal(1, "admin.not_found")
    );
    let wrong = site.refused(&["user", "create", "carol@example.com"]).await;
    assert_eq!(wrong, refusal(1, "admin.invalid_request"));
    let nothing = site.refused(&["user", "password", "alice"]).await;
    assert_eq!(nothing, refusal(2, "user.password"));
    let missing = [
        "user",
        "create",
        "dave",
        "--password-file",
        "/nowhere/password",
    ];
    assert_eq!(site.refused(&missing).await, refusal(1, "user.password"));
    assert!(program.end().await.success());
}

async fn a_password_is_set_and_a_person_kept_out_by_command(engine: Engine) {
    let (site, program) = site(engine).await;
    let file = site.folder.join("password");
    std::fs::write(&file, "correct horse battery\n").unwrap();
    let file = file.to_str().unwrap();
    let create = [
        "user",
        "create",
        "carol",
        "--email",
        "carol@example.com",
        "--password-file",
        file,
    ];
    site.done(&create).await;
    let signs_in = async |password: &str| {
        let mut browser = Browser::new(&site);
        let page = browser.authorize(&request(&site, "web", "openid")).await;
        let page = browser.sign_in(&page, "carol", password).await;
        page.body.contains(r#"id="consent-allow""#)
    };
    assert!(signs_in("correct horse battery").await);

    std::fs::write(file, "another horse battery").unwrap();
    site.done(&["user", "password", "carol", "--password-file", file])
        .await;
    assert!(!signs_in("correct horse battery").await);
    assert!(signs_in("another horse battery").await);
    site.done(&["user", "disable", "carol"]).await;
    assert!(!signs_in("another horse battery").await);
    site.done(&["user", "enable", "carol"]).await;
    assert!(signs_in("another horse battery").await);
    site.done(&["user", "delete", "carol"]).await;
    assert!(!signs_in("another horse battery").await);
    assert!(program.end().await.success());
}

async fn organizations_are_administrated(engine: Engine) {
    let (site, program) = site(engine).await;
    let own = "organization";

    let made = site.done(&[own, "create", "acme", "--name", "Acme"]).await;

    assert_eq!(made["name"], json!("Acme"));
    let create = [own, "create", "acme"];
    assert_eq!(site.refused(&create).await, refusal(1, "admin.conflict"));
    assert_eq!(
        site.done(&[own, "update", "acme", "--name", "Acme Ltd"])
            .await["name"],
        json!("Acme Ltd")
    );
    let member = [
        own,
        "add-member",
        "acme",
        "alice",
        "--role",
        "buyer",
        "--role",
        "admin",
    ];
    let member = site.done(&member).await;
    assert_eq!(member["roles"].as_array().unwrap().len(), 2, "{member}");
    let members = site.told(&[own, "members", "acme"]).await;
    assert!(
        members.contains("buyer") && members.contains("alice"),
        "{members}"
    );
    let access = async || {
        let asked = request(&site, "web", "openid read:orders").with("organization", "acme");
        Browser::new(&site)
            .grant("alice", &asked)
            .await
            .header("location")
            .unwrap()
            .to_owned()
    };
    assert!(access().await.contains("code="));
    site.done(&[own, "disable", "acme"]).await;
    assert!(access().await.contains("error="));
    site.done(&[own, "enable", "acme"]).await;
    assert!(access().await.contains("code="));
    site.done(&[own, "remove-member", "acme", "alice"]).await;
    assert!(access().await.contains("error=access_denied"));
    let nobody = [own, "remove-member", "acme", "alice"];
    assert_eq!(site.refused(&nobody).await, refusal(1, "admin.not_found"));
    assert!(site.told(&[own, "list"]).await.contains("Acme Ltd"));
    site.done(&[own, "delete", "acme"]).await;
    assert_eq!(
        site.refused(&[own, "get", "acme"]).await,
        refusal(1, "admin.not_found")
    );
    assert!(program.end().await.success());
}

async fn grants_and_sessions_are_shown_and_ended(engine: Engine) {
    let (site, program) = site(engine).await;
    let asked = || request(&site, "web", "openid offline_access read:orders");
    let mut browser = Browser::new(&site);
    let access = async |browser: &mut Browser<'_>| {
        let tokens = browser.tokens("alice", &asked()).await;
        tokens.text("access_token")
    };
    let first = async |noun: &str| {
        let list = site.done(&[noun, "list", "--user", "alice"]).await;
        list["items"][0]["id"].as_str().unwrap().to_owned()
    };
    let token = access(&mut browser).await;
    assert_eq!(site.introspect(&token).await["active"], true);
    let grant = first("grant").await;
    assert_eq!(
        site.done(&["grant", "get", &grant]).await["client"],
        json!("web")
    );
    let shown = site.told(&["grant", "get", &grant]).await;
    let family = shown.lines().find(|line| line.starts_with("fam_")).unwrap();
    let family = family.split_whitespace().next().unwrap();
    site.told(&["revoke", "--family", family]).await;
    let shown = site.told(&["grant", "get", &grant]).await;
    assert!(!shown.contains(family), "{shown}");
    let token = access(&mut browser).await;
    let to_client = site.done(&["grant", "list", "--client", "web"]).await;
    assert_eq!(to_client["items"][0]["id"], json!(grant));

    site.done(&["grant", "delete", &grant]).await;

    assert_eq!(site.introspect(&token).await["active"], false);
    let session = first("session").await;
    assert_eq!(
        site.done(&["session", "get", &session]).await["id"],
        json!(session)
    );
    assert!(
        site.told(&["session", "list", "--user", "alice"])
            .await
            .contains(&session)
    );
    site.told(&["session", "delete", &session]).await;
    let page = browser.authorize(&asked()).await;
    assert!(page.body.contains(r#"id="login-submit""#), "signed out");
    let never = ["grt_0000000000000000000000", "ses_0000000000000000000000"];
    for (noun, id) in ["grant", "session"].into_iter().zip(never) {
        for verb in ["get", "delete"] {
            let refused = site.refused(&[noun, verb, id]).await;
            assert_eq!(refused, refusal(1, "admin.not_found"), "{noun} {verb}");
        }
    }
    assert_eq!(site.refused(&["grant", "list"]).await.0, 2);
    assert_eq!(site.refused(&["session", "list"]).await.0, 2);
    assert!(program.end().await.success());
}

async fn keys_audit_and_status_are_shown(engine: Engine) {
    let (site, program) = site(engine).await;

    let keys = site.done(&["keys", "list"]).await;

    let signing = |key: &&serde_json::Value| key["purpose"] == "signing";
    let listed = keys["items"].as_array().unwrap().iter().filter(signing);
    assert_eq!(listed.count(), 12, "two of each algorithm: {keys}");
    assert!(!keys.to_string().contains("\"d\""), "{keys}");
    assert!(site.told(&["keys", "list"]).await.contains("ES256"));
    site.done(&["client", "disable", "job"]).await;
    let audit = site
        .done(&["audit", "list", "--action", "client.disable"])
        .await;
    let rows = audit["items"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["client"]),
        (1, &json!("job")),
        "{audit}"
    );
    let status = site.done(&["status"]).await;
    assert_eq!(status["issuer"], json!(site.issuer));
    let told = site.told(&["status"]).await;
    assert!(
        told.contains(&site.issuer) && told.contains("ES256"),
        "{told}"
    );
    let widest = told.lines().map(|line| line.chars().count()).max();
    assert!(widest < Some(200) && !told.contains('{'), "{told}");
    let link = site.told(&["status", "--link"]).await;
    assert!(
        link.starts_with(&format!("{}/status?link=", site.admin)),
        "{link}"
    );
    assert!(program.end().await.success());
}

async fn everything_can_be_taken_back_by_a_command(engine: Engine) {
    let (site, program) = site(engine).await;
    site.done(&["organization", "create", "acme"]).await;
    for what in [
        "token",
        "grant",
        "session",
        "subject",
        "client",
        "organization",
        "membership",
    ] {
        site.done(&["organization", "add-member", "acme", "alice"])
            .await;
        let asked = request(&site, "web", "openid read:orders").with("organization", "acme");
        let tokens = Browser::new(&site).tokens("alice", &asked).await;
        let access = tokens.text("access_token");
        let newest = async |noun: &str| {
            let list = site.done(&[noun, "list", "--user", "alice"]).await;
            let items = list["items"].as_array().unwrap().clone();
            let named = items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned());
            named.collect::<Vec<_>>()
        };
        let values = match what {
            "token" => vec![access.clone()],
            "grant" => newest("grant").await,
            "session" => newest("session").await,
            "subject" => vec!["alice".to_owned()],
            "client" => vec!["web".to_owned()],
            _ => vec!["acme".to_owned()],
        };
        assert_eq!(site.introspect(&access).await["active"], true, "{what}");

        for value in values {
            let flag = format!("--{what}");
            let mut arguments = vec!["revoke", &flag, &value];
            if what == "membership" {
                arguments.extend(["--user", "alice"]);
            }
            site.told(&arguments).await;
        }

        assert_eq!(site.introspect(&access).await["active"], false, "{what}");
    }
    for wrong in [
        &["revoke"][..],
        &["revoke", "--subject", "alice", "--client", "web"],
        &["revoke", "--membership", "acme"],
    ] {
        assert_eq!(site.refused(wrong).await.0, 2, "{wrong:?}");
    }
    let nobody = site.refused(&["revoke", "--subject", "nobody"]).await;
    assert_eq!(nobody, refusal(1, "admin.not_found"));
    assert!(program.end().await.success());
}

/// Nothing waits in a site that tells nobody anything.
async fn what_waits_and_what_nobody_took_is_shown_by_command(engine: Engine) {
    let (site, program) = site(engine).await;

    let table = site.told(&["outbox", "list", "--limit", "1"]).await;

    for title in ["RECEIVER", "WAITING", "DEAD", "DROPPED", "FAILURES"] {
        assert!(table.contains(title), "{table}");
    }
    let after = ["outbox", "list", "--after", "client:web"];
    let list = site.done(&after).await;
    assert_eq!(list["items"], json!([]));
    for verb in ["retry", "delete"] {
        let refused = site.refused(&["outbox", verb, "--number", "999"]).await;
        assert_eq!(refused, refusal(1, "admin.not_found"), "{verb}");
        let all = ["outbox", verb, "--receiver", "client:web"];
        let told = site.told(&all).await;
        assert!(told.starts_with('0'), "{told}");
    }
    assert!(program.end().await.success());
}

on_both_engines! {
    clients_are_administrated
    secrets_of_a_client_overlap_and_end_with_it
    resources_are_administrated
    people_are_administrated
    a_password_is_set_and_a_person_kept_out_by_command
    organizations_are_administrated
    grants_and_sessions_are_shown_and_ended
    keys_audit_and_status_are_shown
    everything_can_be_taken_back_by_a_command
    what_waits_and_what_nobody_took_is_shown_by_command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_reaches_nobody_or_may_not_says_so() {
    let (site, program) = site(Engine::Sqlite).await;
    for wrong in [
        &["client"][..],
        &["client", "fetch", "web"],
        &["client", "get"],
        &["client", "list", "--limit", "many"],
        &["user", "list", "--colour"],
    ] {
        assert_eq!(site.refused(wrong).await.0, 2, "{wrong:?}");
    }
    let file = site.folder.join("admin.token");
    let right = std::fs::read(&file).unwrap();
    std::fs::write(&file, "sym_adm_wrong").unwrap();
    let refused = site.refused(&["client", "list"]).await;
    assert_eq!(refused, refusal(1, "admin.invalid_token"));
    std::fs::write(&file, "several\nlines\n").unwrap();
    let refused = site.refused(&["client", "list"]).await;
    assert_eq!(refused, refusal(1, "admin.token"));
    std::fs::remove_file(&file).unwrap();
    let refused = site.refused(&["client", "list"]).await;
    assert_eq!(refused, refusal(1, "admin.token"));
    std::fs::write(&file, right).unwrap();
    assert!(program.end().await.success());

    let refused = site.refused(&["client", "list"]).await;

    assert_eq!(refused, refusal(1, "admin.unreachable"));
}
