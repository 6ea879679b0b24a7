//! `[policy]` and `[risk]`: what loads, what cannot be meant, and where it is
//! told.

use super::*;

const GATEWAY: &str = "[gateway]
issuer = 'http://127.0.0.1:8080'
introspection_client = 'guard'
introspection_secret = 'a secret of thirty-two characters'
[[gateway.upstream]]
name = 'orders'
url = 'http://127.0.0.1:9000'
[[gateway.route]]
path = '/orders/{id}'
upstream = 'orders'
audience = 'https://api.test'
scopes = ['read:orders']
";
const BEARER: &str = "a bearer of thirty-two characters";

fn load(text: &str) -> GatewayLoaded {
    let folder = Folder::new();
    GatewayConfig::load(&folder.write("gateway.toml", text), [])
}

#[cfg(feature = "cedar")]
#[test]
fn what_is_said_is_read_and_the_rest_is_as_usual() {
    let text = format!(
        "{GATEWAY}policy = 'off'
[policy]
files = ['a.cedar']
mode = 'shadow'
authzen_url = 'https://pdp.test/access/v1/evaluation'
evaluation_token = '{BEARER}'
evaluation_url = 'https://gate.test/'
[risk]
weights = {{ new_network = 0, failures = 100 }}
refuse = 70
step_up = 40
revoke = 90
revoke_url = 'http://127.0.0.1:8090'
revoke_token = 'x'
"
    );

    let (config, _) = load(&text).unwrap();

    assert_eq!(config.routes[0].policy, RoutePolicy::Off);
    let policy = config.policy.unwrap();
    assert!(policy.is_shadow && policy.files[0].ends_with("a.cedar"));
    assert_eq!(policy.authzen_timeout, Lifetime::seconds(1));
    assert_eq!(policy.evaluation_url.as_deref(), Some("https://gate.test"));
    let risk = config.risk.unwrap();
    assert_eq!(risk.weights.len(), 2);
    assert_eq!(
        (risk.step_up, risk.refuse, risk.revoke),
        (Some(40), Some(70), Some(90))
    );
    assert_eq!(risk.step_up_max_age, Some(Lifetime::seconds(300)));
    assert_eq!(risk.revoke_at.unwrap().0.as_str(), "http://127.0.0.1:8090/");
}

/// Refuses a file for each of these, and says where.
fn are_told(cases: &[(&str, &str)]) {
    for (more, mark) in cases {
        let findings = load(&format!("{GATEWAY}{more}\n")).map(|_| ()).unwrap_err();
        let mark_of = |own: &Finding| {
            let line = own.location.as_ref().map_or(0, |at| at.line);
            format!("{}:{line}", own.code)
        };
        let marks: Vec<String> = findings.iter().map(mark_of).collect();
        assert!(
            marks.iter().any(|own| own == mark),
            "{mark}: {marks:?}\n{more}"
        );
    }
}

#[test]
fn policies_that_cannot_be_meant_are_told_by_their_line() {
    are_told(&[
        (
            "policy = 'sometimes'\n[policy]\nauthzen_url = 'https://a.test'",
            "gateway.route.policy.invalid:13",
        ),
        ("policy = 'shadow'", "gateway.route.policy.invalid:13"),
        ("[policy]", "policy.files.invalid:13"),
        (
            "[policy]\nmode = 'dry'\nauthzen_url = 'https://a.test'",
            "policy.mode.invalid:14",
        ),
        (
            "[policy]\nauthzen_url = 'http://pdp.test'",
            "policy.authzen_url.invalid:14",
        ),
        (
            "[policy]\nauthzen_url = 'https://a:b@pdp.test'",
            "policy.authzen_url.invalid:14",
        ),
        (
            "[policy]\nauthzen_url = 'https://a.test'\nauthzen_timeout = '0s'",
            "policy.authzen_timeout.invalid:15",
        ),
        (
            "[policy]\nfiles = ['a']\nevaluation_token = 'short'",
            "policy.evaluation_token.invalid:15",
        ),
        (
            "[policy]\nauthzen_url = 'https://a.test'\nevaluation_token = 'a bearer of thirty-two characters'",
            "policy.evaluation_token.invalid:15",
        ),
    ]);
}

#[test]
fn risks_that_cannot_be_meant_are_told_by_their_line() {
    are_told(&[
        (
            "[risk]\nweights = { new_netwrk = 1 }",
            "risk.weights.invalid:14",
        ),
        (
            "[risk]\nweights = { failures = 101 }",
            "risk.weights.invalid:14",
        ),
        (
            "[risk]\nweights = { failures = -1 }",
            "risk.weights.invalid:14",
        ),
        ("[risk]\nrefuse = 0", "risk.refuse.invalid:14"),
        ("[risk]\nrefuse = 101", "risk.refuse.invalid:14"),
        ("[risk]\nfailures = 17", "risk.failures.invalid:14"),
        ("[risk]\nmax_speed_kmh = 0", "risk.max_speed_kmh.invalid:14"),
        ("[risk]\nrevoke = 90", "risk.revoke_url.invalid:14"),
        (
            "[risk]\nrevoke_url = 'https://as.test'",
            "risk.revoke_token.invalid:14",
        ),
        ("[risk]\nrevoke_token = 'x'", "risk.revoke_url.invalid:14"),
        (
            "[risk]\nrevoke_url = 'https://as.test/admin'\nrevoke_token = 'x'",
            "risk.revoke_url.invalid:14",
        ),
        (
            "[risk]\nrevoke_url = 'http://as.test'\nrevoke_token = 'x'",
            "risk.revoke_url.invalid:14",
        ),
    ]);
}

#[test]
fn nobody_would_ask_what_has_no_gateway() {
    let folder = Folder::new();
    let text = "issuer = 'http://127.0.0.1:8080'\n[risk]\nrefuse = 70\n";

    let findings = folder.load(text).map(|_| ()).unwrap_err();

    assert!(
        findings
            .iter()
            .any(|own| own.message.contains("`[gateway]`")),
        "{findings:?}"
    );
}

#[cfg(not(feature = "cedar"))]
#[test]
fn a_binary_without_the_part_refuses_files_and_names_the_feature() {
    let findings = load(&format!("{GATEWAY}[policy]\nfiles = ['a.cedar']\n")).unwrap_err();

    assert!(
        findings
            .iter()
            .any(|own| own.message.contains("feature `cedar`")),
        "{findings:?} {BEARER}"
    );
}
