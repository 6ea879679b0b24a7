//! `symbolon token explain` with a gateway's whole file: as whom the gateway asks,
//! and what its policies say.

use serde_json::Value;

use crate::gateway::{Guard, token};
use crate::program::{Engine, Plan, Said, Site, command, ended};

const PERMIT: &str = "@id(\"jobs\")\npermit(principal == Client::\"job\", action in Action::\"read\", resource == Route::\"/orders/{id}\")\nunless { resource.hasTag(\"id\") && resource.getTag(\"id\") == \"secret\" };\n@id(\"not-nine\")\nforbid(principal, action, resource) when { resource.path == \"/orders/9\" };\n";

async fn explained(guard: &Guard, path: &str, token: &str) -> Said {
    let route = format!("GET http://{}{path}", guard.address);
    let mut command = command();
    command.args(["token", "explain", "--json", "--route", &route, "--config"]);
    command.arg(&guard.file).arg(token);
    Said::of(command.output().await.unwrap())
}

fn outcome<'v>(told: &'v Value, check: &str) -> &'v str {
    let mut steps = told["checks"].as_array().unwrap().iter();
    let own = steps.find(|own| own["check"] == check).unwrap();
    own["outcome"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gateway_refuses_by_policy_is_not_explained_as_valid() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let file = site.folder.join("orders.cedar");
    std::fs::write(&file, PERMIT).unwrap();
    let guard = Guard::with(&site, "[policy]\nfiles = [\"orders.cedar\"]\n").await;
    let token = token(&site).await;

    for (path, status, code, root) in [
        ("/orders/7", 200, 0, "valid"),
        ("/orders/secret", 403, 1, "policy_denied"),
        ("/orders/9", 403, 1, "policy_denied"),
    ] {
        assert_eq!(guard.get(path, &token).await.0, status, "{path}");
        let said = explained(&guard, path, &token).await;
        let told = said.json();
        assert_eq!(
            (said.code, told["root"].as_str()),
            (Some(code), Some(root)),
            "{told}"
        );
        // The gateway's own client has asked.
        assert_eq!(outcome(&told, "revocation"), "passed", "{told}");
        let policy = if code == 0 { "passed" } else { "failed" };
        assert_eq!(outcome(&told, "policy"), policy, "{told}");
    }
    let named = explained(&guard, "/orders/9", &token).await.json();
    assert!(
        named["cause"].as_str().unwrap().contains("`not-nine`"),
        "{named}"
    );

    // Policies that cannot be read are not asked, and that is said first.
    std::fs::remove_file(&file).unwrap();
    let told = explained(&guard, "/orders/9", &token).await.json();
    assert_eq!(outcome(&told, "policy"), "not_asked", "{told}");
    let cause = told["cause"].as_str().unwrap();
    assert!(cause.contains("policy, which was not asked"), "{cause}");

    ended(guard.child).await;
    assert!(server.end().await.success());
}
