//! Policies through the binary: files with mistakes, a change while it runs,
//! what the log tells, and what `symbolon policy` makes of it.

use std::path::PathBuf;

use serde_json::{Value, json};
use symbolon_server::testing::http;

use crate::gateway::{Guard, token};
use crate::program::{Engine, Folder, Plan, Said, Site, command, ended, free_port};

const PERMIT: &str = "@id(\"jobs\")\npermit(principal == Client::\"job\", action in Action::\"read\", resource)\nunless { resource.hasTag(\"id\") && resource.getTag(\"id\") == \"secret\" };\n";
const BEARER: &str = "a bearer that is long enough for anybody";

fn write(path: PathBuf, text: &str) -> PathBuf {
    std::fs::write(&path, text).unwrap();
    path
}

async fn run(arguments: &[&str]) -> Said {
    let mut command = command();
    Said::of(command.args(arguments).output().await.unwrap())
}

/// The lines of the log that say what policies said.
fn rulings(printed: &str) -> Vec<Value> {
    let lines = printed
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let lines: Vec<Value> = lines.collect();
    let own = lines.into_iter().filter(|line| line["message"] == "policy");
    own.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_decide_through_good_files_and_bad_ones_and_can_be_replayed() {
    let site = Site::planned(Plan::new(Engine::Sqlite)).await;
    let server = site.start().await;
    let policies = write(site.folder.join("orders.cedar"), PERMIT);
    let more = format!(
        "[policy]\nfiles = [\"orders.cedar\"]\nevaluation_token = \"{BEARER}\"\nevaluation_url = \"https://pdp.example\"\n[risk]\nweights = {{ \"missing_binding\" = 7 }}\n[[limit]]\nname = \"each\"\nquota = 1000\nperiod = \"year\"\n[[plan]]\nname = \"free\"\nlimits = [\"each\"]\ndefault = true\n"
    );
    let guard = Guard::with(&site, &more).await;
    let token = token(&site).await;
    assert_eq!(guard.get("/orders/7", &token).await.0, 200);
    let (status, text) = guard.get("/orders/secret", &token).await;
    assert!(status == 403 && text.contains("policy-denied"), "{text}");

    // A mistake at a reload: the old ones stay.
    write(
        site.folder.join("orders.cedar"),
        &PERMIT.replace("resource)\n", "resorce)\n"),
    );
    guard.change(&guard.text, "the old one stays").await;
    assert!(
        guard.printed().contains("orders.cedar:2:"),
        "{}",
        guard.printed()
    );
    assert_eq!(guard.get("/orders/7", &token).await.0, 200);
    write(
        site.folder.join("orders.cedar"),
        "@id(\"nobody\") forbid(principal, action, resource);",
    );
    guard.change(&guard.text, "configuration applied").await;
    assert_eq!(guard.get("/orders/7", &token).await.0, 403);

    assert!(!guard.printed().contains(&token));
    is_recorded(&guard.printed());
    can_be_replayed(&site, &guard).await;
    is_counted(&guard).await;
    decides_for_others(&guard).await;
    let _ = std::fs::remove_file(policies);
    ended(guard.child).await;
    assert!(server.end().await.success());
}

/// Each answer has a line, with the policies and the request.
fn is_recorded(printed: &str) {
    assert!(!printed.contains(BEARER));
    let all = rulings(printed);
    let said: Vec<(&str, &str)> = all
        .iter()
        .map(|own| {
            (
                own["decision"].as_str().unwrap(),
                own["policies"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("allow", "jobs"),
            ("deny", ""),
            ("allow", "jobs"),
            ("deny", "nobody")
        ]
    );
    for own in &all {
        assert_eq!(
            (own["risk"].as_u64(), own["signals"].as_str()),
            (Some(7), Some("missing_binding"))
        );
        let request = own["request"].as_str().unwrap();
        assert!(
            printed.matches(request).count() >= 2,
            "its request has a line, too"
        );
    }
}

/// What was recorded, asked of the first policies again.
async fn can_be_replayed(site: &Site, guard: &Guard) {
    let file = write(site.folder.join("again.cedar"), PERMIT);
    let (file, log) = (file.display().to_string(), guard.log.display().to_string());
    let same = run(&["policy", "replay", "--policies", &file, &log]).await;
    assert_eq!(same.code, Some(1), "{same:?}");
    let last = same
        .lines
        .iter()
        .find(|line| line.starts_with("4 decisions"));
    assert_eq!(
        last.map(String::as_str),
        Some("4 decisions, 1 would change"),
        "{same:?}"
    );
    let listed = run(&["policy", "replay", "--json", "--policies", &file, &log]).await;
    let changed = listed.json();
    assert_eq!(changed[0]["was"], "deny");
    assert_eq!(changed[0]["would_be_by"], json!(["jobs"]));

    // Nor does one that cannot be read whole.
    let whole = std::fs::read_to_string(&guard.log).unwrap();
    let odd = "{\"message\":\"policy\",\"request\":\"r\",\"route\":\"r\",\"decision\":\"allow\",\"question\":\"{\\\"later\\\":1}\"}\n";
    let cut = "{\"message\":\"policy\",\"request\":\"r";
    let before = whole
        .split("\"decision\":\"deny\",\"mode\"")
        .next()
        .unwrap();
    let kept = before.rsplit_once('\n').unwrap().0;
    for more in [odd, cut] {
        let part = write(site.folder.join("part.log"), &format!("{kept}\n{more}"));
        let part = part.display().to_string();
        let unread = run(&["policy", "replay", "--policies", &file, &part]).await;
        assert_eq!(unread.code, Some(1), "{unread:?}");
        assert!(unread.errors.contains("1 decision of"), "{unread:?}");
        assert!(unread.lines[0].ends_with("0 would change"), "{unread:?}");
    }

    // A log of something else proves nothing.
    let other = write(
        site.folder.join("other.log"),
        "{\"message\":\"policy\"}\nallow\n",
    );
    let other = other.display().to_string();
    let nothing = run(&["policy", "replay", "--policies", &file, &other]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.errors.contains("holds no decision"), "{nothing:?}");

    // Where nothing says which policies, nothing was asked.
    for verb in [&["check"][..], &["test", &other], &["replay", &other]] {
        let unclear = run(&[&["policy"], verb].concat()).await;
        assert_eq!(unclear.code, Some(2), "{unclear:?}");
        assert!(unclear.errors.contains("name policies"), "{unclear:?}");
    }
}

/// What was decided and charged stands in the numbers.
async fn is_counted(guard: &Guard) {
    let numbers = http().get(format!("http://{}/metrics", guard.admin));
    let numbers = numbers.send().await.unwrap().text().await.unwrap();
    for line in [
        "symbolon_gateway_policy_total{decision=\"allow\",mode=\"enforce\"} 2",
        "symbolon_gateway_policy_total{decision=\"deny\",mode=\"enforce\"} 2",
        "symbolon_gateway_risk_signals_total{signal=\"missing_binding\"} 4",
        "symbolon_gateway_limits_total{limit=\"each\",outcome=\"charged\"} 2",
        "symbolon_gateway_limit_units_total{limit=\"each\"} 2",
    ] {
        assert!(numbers.lines().any(|own| own == line), "{line}: {numbers}");
    }
}

/// The gateway as a decision point: who asks shows the bearer.
async fn decides_for_others(guard: &Guard) {
    let at = |path: &str| format!("http://{}{path}", guard.admin);
    let document = http().get(at("/.well-known/authzen-configuration"));
    let document: Value = document.send().await.unwrap().json().await.unwrap();
    assert_eq!(document["policy_decision_point"], "https://pdp.example");
    assert_eq!(
        document["access_evaluation_endpoint"],
        "https://pdp.example/access/v1/evaluation"
    );
    assert_eq!(
        document["search_resource_endpoint"],
        "https://pdp.example/access/v1/search/resource"
    );
    let question = json!({
        "subject": { "type": "client", "id": "job" },
        "action": { "name": "GET" },
        "resource": { "type": "route", "id": "orders" },
    });
    let post = |path: &str| http().post(at(path)).header("x-request-id", "caller's own");
    let answer = post("/access/v1/evaluation")
        .bearer_auth(BEARER)
        .json(&question);
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-request-id"], "caller's own");
    assert_eq!(answer.json::<Value>().await.unwrap()["decision"], false);
    let several = json!({ "subject": question["subject"], "action": question["action"], "evaluations": [{ "resource": question["resource"] }] });
    let several = post("/access/v1/evaluations")
        .bearer_auth(BEARER)
        .json(&several);
    let several: Value = several.send().await.unwrap().json().await.unwrap();
    assert_eq!(several["evaluations"].as_array().unwrap().len(), 1);
    for (request, status) in [
        (post("/access/v1/evaluation").json(&question), 401),
        (
            post("/access/v1/evaluation")
                .bearer_auth("a guess")
                .json(&question),
            401,
        ),
        (
            post("/access/v1/evaluation").bearer_auth(BEARER).body("{"),
            400,
        ),
        (
            post("/access/v1/evaluation")
                .bearer_auth(BEARER)
                .json(&json!({})),
            400,
        ),
        (
            http().get(at("/access/v1/evaluation")).bearer_auth(BEARER),
            405,
        ),
        (
            http()
                .post(format!("http://{}/access/v1/evaluation", guard.address))
                .bearer_auth(BEARER)
                .json(&question),
            404,
        ),
    ] {
        assert_eq!(request.send().await.unwrap().status().as_u16(), status);
    }
}

fn head() -> String {
    let listen = free_port();
    format!(
        "[gateway]\nlisten = '127.0.0.1:{listen}'\nadmin_listen = ''\nissuer = 'http://127.0.0.1:1'\nintrospection_client = 'a'\nintrospection_secret = 'b'\n[[gateway.upstream]]\nname = 'a'\nurl = 'http://127.0.0.1:1'\n[[gateway.route]]\npath = '/a'\nupstream = 'a'\naudience = 'https://a.test'\nscopes = ['x']\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_a_policy_or_a_table_stops_a_start_and_check_tells_where() {
    let folder = Folder::new();
    let file = write(
        folder.join("gateway.toml"),
        &format!(
            "{}[policy]\nfiles = ['p.cedar']\n[risk]\nplaces = 'places.csv'\n",
            head()
        ),
    );
    let file = file.display().to_string();
    write(
        folder.join("p.cedar"),
        "permit(principal, action, resource)\nwhen { context.rsk > 1 };\n",
    );
    write(
        folder.join("places.csv"),
        "192.0.2.0/24,1,2\n192.0.2.0,91,2\n",
    );

    for verb in ["check", "gateway"] {
        let said = run(&[verb, "--config", &file]).await;
        assert_eq!(said.code, Some(1), "{said:?}");
        let told = format!("{}{}", said.lines.join("\n"), said.errors);
        assert!(
            told.contains("p.cedar:2:8") && told.contains("rsk"),
            "{told}"
        );
        assert!(told.contains("places.csv:2:"), "{told}");
    }
    let said = run(&["policy", "check", "--config", &file]).await;
    assert!(
        said.code == Some(1) && said.errors.contains("p.cedar:2:8"),
        "{said:?}"
    );

    write(
        folder.join("p.cedar"),
        "permit(principal, action, resource);\n",
    );
    write(folder.join("places.csv"), "192.0.2.0/24,1,2\n");
    let said = run(&["check", "--config", &file]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = run(&["policy", "check", "--config", &file]).await;
    assert_eq!(
        (said.code, said.line(0)),
        (Some(0), "1 policy rule, nothing wrong")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cases_are_judged_and_a_difference_is_shown() {
    let folder = Folder::new();
    let policies = write(
        folder.join("p.cedar"),
        "@id(\"read\") permit(principal, action in Action::\"read\", resource)\nwhen { principal.scopes.contains(\"read:orders\") && context.hour >= 8 };\n",
    );
    let policies = policies.display().to_string();
    let case = |expect: &str, hour: &str| {
        format!(
            "[[case]]\nname = \"reads at {hour}\"\nexpect = \"{expect}\"\npolicies = [\"read\"]\nat = \"2026-01-01T{hour}:00:00Z\"\n[case.request]\nmethod = \"GET\"\nprincipal = {{ kind = \"person\", id = \"usr_1\", scopes = [\"read:orders\"] }}\nresource = {{ route = \"orders\", path = \"/orders/7\" }}\n"
        )
    };
    let good = write(folder.join("good.toml"), &case("allow", "09"));
    let good = good.display().to_string();
    let bad = write(
        folder.join("bad.toml"),
        &format!("{}{}", case("allow", "09"), case("allow", "03")),
    );
    let bad = bad.display().to_string();

    let passed = run(&["policy", "test", "--policies", &policies, &good]).await;
    let failed = run(&["policy", "test", "--policies", &policies, &bad]).await;

    assert_eq!(passed.code, Some(0), "{passed:?}");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let told = failed.lines.join("\n");
    for line in [
        "ok    reads at 09",
        "FAIL  reads at 03",
        "- expected  allow",
        "+ answered  deny",
        "+ by        no policy",
        "2 cases, 1 failed",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let listed = run(&["policy", "test", "--json", "--policies", &policies, &bad])
        .await
        .json();
    assert_eq!(listed[1]["passed"], false);
    let odd = write(folder.join("odd.toml"), "[[case]]\nname = \"x\"\n");
    let odd = run(&[
        "policy",
        "test",
        "--policies",
        &policies,
        &odd.display().to_string(),
    ])
    .await;
    assert_eq!(odd.code, Some(1));
    assert!(odd.errors.contains("odd.toml"), "{odd:?}");
}
