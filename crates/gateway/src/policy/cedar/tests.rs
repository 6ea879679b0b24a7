//! What policies decide, and what is refused when they are read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::policy::question::{Asked, Asker, Circumstances, Kind, Question};
use crate::policy::ruling::{Answer, Ruling, SignIn};

fn question() -> Question {
    Question {
        principal: Asker {
            kind: Kind::Person,
            id: "usr_1".into(),
            client: "shop".into(),
            organization: Some("acme".into()),
            roles: vec!["buyer".into()],
            scopes: vec!["read".into()],
            ..Asker::default()
        },
        method: "GET".into(),
        resource: Asked {
            route: "orders".into(),
            template: "/orders/{id}".into(),
            audience: "https://api.test".into(),
            upstream: "orders".into(),
            path: "/orders/7".into(),
            parameters: BTreeMap::from([("id".into(), "7".into())]),
        },
        context: Circumstances {
            address: "192.0.2.1".parse().ok(),
            // 2026-01-01T09:30:00Z, a Thursday.
            now: 1_767_259_800,
            acr: Some("pwd".into()),
            auth_time: Some(1_767_259_700),
            actors: vec!["agt_1".into()],
            ..Circumstances::default()
        },
    }
}

fn decide(policies: &str, question: &Question) -> Ruling {
    let policies = Policies::read(policies).unwrap_or_else(|all| panic!("{all:#?}"));
    policies.decide(question)
}

fn answer(policies: &str) -> Answer {
    decide(policies, &question()).answer
}

#[test]
fn nothing_is_allowed_that_no_policy_permits() {
    assert_eq!(answer(""), Answer::Deny);
    assert_eq!(
        answer("permit(principal, action, resource);"),
        Answer::Allow
    );
    let both =
        "permit(principal, action, resource);\n@id(\"no\") forbid(principal, action, resource);";
    let ruling = decide(both, &question());
    assert_eq!(
        (ruling.answer, ruling.policies),
        (Answer::Deny, vec!["no".to_owned()])
    );
}

#[test]
fn every_word_of_the_schema_can_be_asked() {
    for condition in [
        r#"principal is Person && principal == Person::"usr_1""#,
        r#"principal in Organization::"acme" && principal.roles.contains("buyer")"#,
        r#"principal.scopes.contains("read") && principal.client == "shop" && principal.issuer == """#,
        r#"action == Action::"GET" && action in Action::"read""#,
        r#"resource == Route::"orders" && resource in Api::"https://api.test""#,
        r#"resource.template == "/orders/{id}" && resource.path like "/orders/*""#,
        r#"resource.hasTag("id") && resource.getTag("id") == "7""#,
        r#"context has network && context.network.isInRange(ip("192.0.2.0/24")) && context.method == "GET""#,
        r#"context.hour == 9 && context.weekday == "thursday""#,
        r#"context.now > datetime("2026-01-01") && context.now.toDate() == datetime("2026-01-01")"#,
        r#"context has acr && context.acr == "pwd" && context has auth_age && context.auth_age == 100"#,
        r#"context has actor && context.actor == "agt_1" && context.actors.contains("agt_1")"#,
        r#"context.binding == "none" && context.risk < 50 && context.signals.isEmpty()"#,
    ] {
        let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
        assert_eq!(answer(&policy), Answer::Allow, "{condition}");
        let policy = format!("permit(principal, action, resource) unless {{ {condition} }};");
        assert_eq!(answer(&policy), Answer::Deny, "not {condition}");
    }
}

#[test]
fn the_policies_of_the_guide_are_right() {
    const GUIDE: &str = include_str!("../../../../../docs/policy.md");
    let blocks: Vec<&str> = GUIDE.split("```cedar\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let text = block.split("```").next().unwrap();
        let policies = Policies::read(text).unwrap_or_else(|all| panic!("{all:#?}"));
        let mut reader = question();
        reader.resource.audience = "https://api.example.com".into();
        assert_eq!(policies.decide(&reader).answer, Answer::Allow);
        reader.method = "POST".into();
        reader.resource.route = "payments".into();
        assert_eq!(policies.decide(&reader).answer, Answer::Deny);
    }
}

#[test]
fn a_person_of_another_issuer_is_somebody_else() {
    let policies = r#"permit(principal == Person::"usr_1", action, resource);
permit(principal in Organization::"acme", action, resource);"#;
    let mut question = question();
    question.principal.issuer = "https://other.test".into();
    assert_eq!(decide(policies, &question).answer, Answer::Deny);
    let other = r#"permit(principal == Person::"https://other.test usr_1", action, resource);"#;
    assert_eq!(decide(other, &question).answer, Answer::Allow);
    question.principal.kind = Kind::Client;
    assert_eq!(decide(other, &question).answer, Answer::Deny);
}

#[test]
fn a_method_without_a_name_writes() {
    let mut question = question();
    question.method = "PROPFIND".into();
    let reads = r#"permit(principal, action in Action::"read", resource);"#;
    assert_eq!(decide(reads, &question).answer, Answer::Deny);
    let other = r#"permit(principal, action == Action::"OTHER", resource) when { context.method == "PROPFIND" };"#;
    assert_eq!(decide(other, &question).answer, Answer::Allow);
}

#[test]
fn a_policy_asks_for_another_sign_in_where_that_would_help() {
    let step = r#"@id("strong") @step_up("acr=phr max_age=300")
forbid(principal, action, resource) unless { context has acr && context.acr == "phr" };"#;
    let permit = "permit(principal, action, resource);";
    let demanded = Answer::StepUp(SignIn::read("acr=phr max_age=300").unwrap());
    assert_eq!(answer(&format!("{permit}{step}")), demanded);
    // Nobody would be let in afterwards.
    assert_eq!(answer(step), Answer::Deny);
    let never = r#"forbid(principal, action, resource) when { context.risk == 0 };"#;
    assert_eq!(answer(&format!("{permit}{step}{never}")), Answer::Deny);
    let more = r#"@id("soon") @step_up("max_age=60") forbid(principal, action, resource) when { context has auth_age && context.auth_age > 60 };"#;
    let both = Answer::StepUp(SignIn::read("acr=phr max_age=60").unwrap());
    assert_eq!(answer(&format!("{permit}{step}{more}")), both);
    let revoke = "@revoke(\"\") forbid(principal, action, resource);";
    assert_eq!(answer(&format!("{permit}{step}{revoke}")), Answer::Revoke);
}

#[test]
fn what_cannot_be_evaluated_is_no_yes() {
    let overflow = "9223372036854775807 + context.risk < 0";
    let mut question = question();
    question.context.risk = 1;
    let permit = "permit(principal, action, resource);";
    let broken =
        format!("@id(\"broken\") forbid(principal, action, resource) when {{ {overflow} }};");
    let ruling = decide(&format!("{permit}{broken}"), &question);
    assert_eq!(
        (ruling.answer, ruling.policies),
        (Answer::Unknown, vec!["broken".to_owned()])
    );
    let sure = "forbid(principal, action, resource);";
    assert_eq!(
        decide(&format!("{permit}{broken}{sure}"), &question).answer,
        Answer::Deny
    );
    question.context.risk = 0;
    assert_eq!(
        decide(&format!("{permit}{broken}"), &question).answer,
        Answer::Allow
    );
}

/// Where the first mistake of a text is.
fn mistake(policies: &str) -> (u32, u32, String) {
    let all = Policies::read(policies).map(|_| ()).unwrap_err();
    assert!(
        all.iter()
            .all(|own| own.is_error && own.file == "policies.cedar"),
        "{all:?}"
    );
    (all[0].line, all[0].column, all[0].message.clone())
}

#[test]
fn a_mistake_is_told_with_its_line_and_nothing_is_loaded() {
    let good = "permit(principal, action, resource);\n";
    let mut found = Vec::new();
    for (bad, line, column) in [
        ("permit(principal, action, resource)", 2, 36),
        (
            "permit(principal, action == Action::\"FLY\", resource);",
            2,
            29,
        ),
        ("permit(principal is Persn, action, resource);", 2, 21),
        (
            "permit(principal, action, resource) when { context.rsk > 1 };",
            2,
            44,
        ),
        (
            "permit(principal, action, resource) when { context.risk > \"1\" };",
            2,
            59,
        ),
        (
            "permit(principal, action, resource) when { context.acr == \"x\" };",
            2,
            44,
        ),
        (
            "permit(principal, action, resource) when { resource.getTag(\"x\") == \"y\" };",
            2,
            44,
        ),
        (
            "@step_up(\"often\") forbid(principal, action, resource);",
            2,
            10,
        ),
        (
            "@step_up(\"acr=x\") permit(principal, action, resource);",
            2,
            10,
        ),
        ("permit(principal == ?principal, action, resource);", 2, 21),
        (
            "@id(\"policies.cedar#1\") permit(principal, action, resource);",
            2,
            5,
        ),
    ] {
        let (at, in_line, message) = mistake(&format!("{good}{bad}"));
        if (at, in_line) != (line, column) {
            found.push(format!("{bad}: {at}:{in_line} {message}"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn folder(files: &[(&str, &str)]) -> (PathBuf, Vec<PathBuf>) {
    let name = format!(
        "symbolon-policy-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let paths = files.iter().map(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    let paths = paths.collect();
    (folder, paths)
}

#[test]
fn a_file_of_entities_says_who_is_in_which_group() {
    let groups = r#"[
 { "uid": { "type": "Group", "id": "staff" }, "attrs": {}, "parents": [{ "type": "Group", "id": "all" }] },
 { "uid": { "type": "Group", "id": "all" }, "attrs": {}, "parents": [] },
 { "uid": { "type": "Person", "id": "usr_1" }, "parents": [{ "type": "Group", "id": "staff" }] },
 { "uid": { "type": "Route", "id": "orders" }, "parents": [{ "type": "Group", "id": "internal" }] }
]"#;
    let policies = r#"permit(principal in Group::"all", action, resource in Group::"internal");"#;
    let (folder, paths) = folder(&[("p.cedar", policies), ("e.json", groups)]);
    let files = PolicyFiles {
        policies: vec![paths[0].clone()],
        entities: vec![paths[1].clone()],
        ..PolicyFiles::default()
    };
    let (loaded, _) = Policies::load(&files).unwrap();
    assert_eq!(loaded.decide(&question()).answer, Answer::Allow);
    let mut other = question();
    other.principal.id = "usr_2".into();
    assert_eq!(loaded.decide(&other).answer, Answer::Deny);

    for (bad, why) in [
        (
            groups.replace(
                "\"parents\": [{ \"type\": \"Group\", \"id\": \"internal\" }]",
                "\"attrs\": { \"path\": \"/\" }",
            ),
            "nothing else",
        ),
        (
            groups.replace("\"id\": \"internal\" }]", "\"id\": 7 }]"),
            "named by",
        ),
        (
            groups.replace(
                "\"Group\", \"id\": \"internal\"",
                "\"Api\", \"id\": \"internal\"",
            ),
            "no group",
        ),
        (
            groups.replace(
                "\"attrs\": {}, \"parents\": []",
                "\"attrs\": { \"x\": 1 }, \"parents\": []",
            ),
            "x",
        ),
        ("{".to_owned(), "EOF"),
    ] {
        std::fs::write(&paths[1], &bad).unwrap();
        let all = Policies::load(&files).map(|_| ()).unwrap_err();
        assert!(all[0].message.contains(why), "{why}: {}", all[0]);
        assert!(all[0].file.ends_with("e.json"));
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_an_operator_names_can_be_asked_by_others() {
    let schema = "entity user = { department: String };
entity record = { owner: String };
action can_read appliesTo { principal: [user], resource: [record], context: { hour?: Long } };";
    let policies = r#"permit(principal is user, action == Action::"can_read", resource is record)
when { principal.department == "sales" && resource.owner == "alice" };"#;
    let known = r#"[{ "uid": { "type": "record", "id": "r1" }, "attrs": { "owner": "alice" }, "parents": [] }]"#;
    let (folder, paths) = folder(&[
        ("o.cedarschema", schema),
        ("o.cedar", policies),
        ("o.json", known),
    ]);
    let files = PolicyFiles {
        schemas: vec![paths[0].clone()],
        policies: vec![paths[1].clone()],
        entities: vec![paths[2].clone()],
    };
    let (loaded, _) = Policies::load(&files).unwrap_or_else(|all| panic!("{all:#?}"));
    let ask = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = serde_json::json!({
            "subject": { "type": "user", "id": "bob", "properties": { "department": "sales" } },
            "action": { "name": "can_read" },
            "resource": { "type": "record", "id": "r1" },
        });
        change(&mut body);
        let asked = crate::policy::Evaluation::read(&body, &serde_json::Value::Null).unwrap();
        loaded.evaluate(&asked, symbolon_protocol::Timestamp::EPOCH)
    };
    assert_eq!(ask(&|_| ()).0.answer, Answer::Allow);
    assert_eq!(
        ask(&|own| own["context"] = serde_json::json!({ "hour": 7 }))
            .0
            .answer,
        Answer::Allow
    );
    for (pointer, value) in [
        ("/subject/properties/department", serde_json::json!("art")),
        ("/subject/properties/department", serde_json::json!(7)),
        ("/subject/properties", serde_json::json!({})),
        ("/resource/id", serde_json::json!("r2")),
        ("/resource/type", serde_json::json!("user")),
        ("/subject/type", serde_json::json!("nobody")),
        ("/action/name", serde_json::json!("can_fly")),
    ] {
        let (ruling, _) = ask(&|own| *own.pointer_mut(pointer).unwrap() = value.clone());
        assert_eq!(ruling.answer, Answer::Deny, "{pointer} {value}");
    }
    let (ruling, why) = ask(&|own| own["context"] = serde_json::json!({ "surprise": 1 }));
    assert!(ruling.answer == Answer::Deny && why.is_some());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn policies_that_cannot_apply_cost_nothing_and_change_nothing() {
    let mut text =
        String::from("@id(\"yes\") permit(principal, action, resource == Route::\"orders\");\n");
    for at in 0..500 {
        text +=
            &format!("@id(\"p{at}\") forbid(principal, action, resource == Route::\"r{at}\");\n");
    }
    let policies = Policies::read(&text).unwrap();
    assert_eq!(policies.len(), 501);
    assert_eq!(policies.slices.at("orders", 0).policies().count(), 1);
    assert_eq!(policies.slices.at("r7", 0).policies().count(), 1);
    assert_eq!(policies.slices.at("elsewhere", 0).policies().count(), 0);
    assert_eq!(
        policies.decide(&question()),
        policies.decide_by_all(&question())
    );
}

/// Attack: N367
#[test]
fn a_pattern_in_a_policy_takes_no_time_to_speak_of() {
    let policies = Policies::read(
        "permit(principal, action, resource) when { resource.path like \"*a*a*a*a*a*a*a*a*b\" };",
    );
    let policies = policies.unwrap();
    let mut question = question();
    question.resource.path = "a".repeat(8 * 1024);
    policies.decide_by_all(&question);

    let spans = (0..5).map(|_| {
        #[expect(clippy::disallowed_methods, reason = "this measures")]
        let begin = Instant::now();
        let ruling = policies.decide_by_all(&question);
        assert_eq!(ruling.answer, Answer::Deny);
        begin.elapsed()
    });
    let best = spans.min().unwrap();

    assert!(best < Duration::from_millis(100), "{best:?}");
    question.resource.path.push('b');
    assert_eq!(policies.decide(&question).answer, Answer::Allow);
}

fn scope() -> impl Strategy<Value = String> {
    let effect = proptest::sample::select(vec!["permit", "forbid"]);
    let action = proptest::sample::select(vec![
        "action",
        "action == Action::\"GET\"",
        "action in Action::\"read\"",
        "action in [Action::\"POST\", Action::\"write\"]",
        "action in Action::\"write\"",
    ]);
    let resource = proptest::sample::select(vec![
        "resource",
        "resource == Route::\"orders\"",
        "resource == Route::\"other\"",
        "resource is Route",
        "resource in Api::\"https://api.test\"",
        "resource in Group::\"internal\"",
    ]);
    (effect, action, resource).prop_map(|(effect, action, resource)| {
        format!("{effect}(principal, {action}, {resource});\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn leaving_out_what_cannot_apply_changes_no_answer(
        scopes in proptest::collection::vec(scope(), 0..8),
        method in proptest::sample::select(vec!["GET", "POST", "DELETE", "BREW"]),
        route in proptest::sample::select(vec!["orders", "other", "third"]),
    ) {
        let policies = Policies::read(&scopes.concat());
        // What can never apply is a warning, no mistake.
        let policies = policies.unwrap();
        let mut question = question();
        question.method = method.to_owned();
        question.resource.route = route.to_owned();
        prop_assert_eq!(policies.decide(&question), policies.decide_by_all(&question));
    }
}

/// A policy about one thing that a question tells.
const LOOKS: [&str; 12] = [
    "principal.roles.contains(\"buyer\")",
    "principal.scopes.containsAny([\"read:orders\", \"b\"])",
    "principal.client == \"shop\"",
    "principal has organization && principal.organization == \"acme\"",
    "principal in Organization::\"acme\"",
    "resource.path like \"/orders/*\"",
    "resource.hasTag(\"id\") && resource.getTag(\"id\") == \"7\"",
    "context.hour < 12",
    "context.risk > 50",
    "context has network && context.network.isInRange(ip(\"10.0.0.0/8\"))",
    "context has acr && context.acr == \"phr\"",
    "context.now < datetime(\"2026-06-01T00:00:00Z\")",
];

fn any_question() -> impl Strategy<Value = Question> {
    let pick = |all: &'static [&'static str]| proptest::sample::select(all.to_vec());
    (
        (
            pick(&["usr_1", "usr_2"]),
            pick(&["", "shop", "b"]),
            pick(&["", "acme", "other"]),
            proptest::sample::subsequence(vec!["buyer", "b", "read:orders"], 0..3),
            pick(&["", "https://other.test"]),
        ),
        (pick(&["/orders/7", "/orders/8", "/x"]), pick(&["7", "8"])),
        (
            0..2_000_000_000_i64,
            0..100_u8,
            proptest::option::of(pick(&["10.1.2.3", "203.0.113.7"])),
            proptest::option::of(pick(&["phr", "b"])),
        ),
    )
        .prop_map(|(who, what, how)| {
            let (id, client, organization, words, issuer) = who;
            let mut question = question();
            question.principal.id = id.into();
            question.principal.client = client.into();
            question.principal.issuer = issuer.into();
            question.principal.organization =
                (!organization.is_empty()).then(|| organization.to_owned());
            question.principal.roles = words.iter().map(|own| (*own).to_owned()).collect();
            question
                .principal
                .scopes
                .clone_from(&question.principal.roles);
            question.resource.path = what.0.into();
            question
                .resource
                .parameters
                .insert("id".into(), what.1.into());
            question.context.now = how.0;
            question.context.risk = how.1;
            question.context.address = how.2.map(|own| own.parse().unwrap());
            question.context.acr = how.3.map(str::to_owned);
            question
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_answer_that_was_kept_is_the_one_that_would_be_made(
        looks in proptest::sample::subsequence(LOOKS.to_vec(), 1..4),
        questions in proptest::collection::vec(any_question(), 1..40),
    ) {
        let conditions = looks.iter().enumerate().map(|(at, look)| {
            format!("@id(\"f{at}\") forbid(principal, action, resource) when {{ {look} }};\n")
        });
        let text: String = conditions.collect();
        let text = format!("{text}@id(\"p\") permit(principal, action, resource);\n");
        let policies = Policies::read(&text).unwrap();
        for question in questions.iter().chain(&questions) {
            prop_assert_eq!(policies.decide(question), policies.decide_by_all(question));
        }
    }
}
