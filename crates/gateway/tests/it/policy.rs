//! Policies and risk in front of a service: who passes, who does not, what is
//! said, and how what is open ends.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use symbolon_gateway::Settings;
use symbolon_gateway::policy::{Mode, Policies, PolicySettings, Watched};
use symbolon_gateway::risk::{RiskSettings, Signal, Thresholds, Weights};
use tokio::time::{Instant, timeout};

use crate::issuer::{API, http};
use crate::site::Site;
use crate::stream::{PROMPT, until_refused};

const PERMIT: &str = "@id(\"all\") permit(principal, action, resource);";

fn policy(text: &str, mode: Mode) -> Option<PolicySettings> {
    Some(PolicySettings {
        policies: Some(Arc::new(Policies::read(text).unwrap())),
        mode,
        ..PolicySettings::default()
    })
}

async fn with(text: &'static str) -> Site {
    Site::with(|settings| settings.policy = policy(text, Mode::Enforce)).await
}

async fn problem(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let kind = body["type"].as_str().unwrap_or_default();
    let kind = kind.rsplit('/').next().unwrap_or_default();
    (status, kind.to_owned())
}

/// Attack: L328
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_none_is_in_no_network() {
    let site = Site::with(|settings| {
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        settings.policy = policy(
            "permit(principal, action, resource)
             when { context has network && context.network.isInRange(ip(\"127.0.0.0/8\")) };",
            Mode::Enforce,
        );
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;
    for (forwarded, status) in [
        (None, 403),
        (Some("127.0.0.9"), 200),
        (Some("a"), 403),
        (Some(""), 403),
        (Some("203.0.113.1"), 403),
        (Some("127.0.0.9, a"), 403),
        (Some("a, 127.0.0.9"), 403),
    ] {
        let mut request = http().get(site.url("/orders/7")).bearer_auth(&token);
        if let Some(own) = forwarded {
            request = request.header("x-forwarded-for", own);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{forwarded:?}");
    }
    let both = http().get(site.url("/orders/7")).bearer_auth(&token);
    let both = both.header("x-forwarded-for", "127.0.0.9");
    let both = both.header("forwarded", "for=127.0.0.9");
    assert_eq!(both.send().await.unwrap().status(), 403);
}

/// Attack: L328
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_whom_another_proxy_does_not_say_where_they_are_is_in_no_network() {
    let nginx = symbolon_gateway::Dialect::Nginx;
    let site = Site::with(|settings| {
        settings.forward_auth = Some(crate::forward_auth::told(nginx));
        settings.policy = policy(
            "permit(principal, action, resource) when { context has network
             && (context.network.isInRange(ip(\"127.0.0.0/8\")) || context.network.isInRange(ip(\"203.0.113.0/24\"))) };",
            Mode::Enforce,
        );
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;
    for (forwarded, status) in [
        (Some("203.0.113.9"), 200),
        (Some("a, 203.0.113.9"), 200),
        (Some("198.51.100.1"), 403),
        (Some("203.0.113.9, a"), 403),
        (Some("a"), 403),
        (Some("127.0.0.1"), 403),
        (None, 403),
    ] {
        let ask = crate::forward_auth::question(&site, nginx, ("GET", "/orders/7"));
        let mut ask = ask.bearer_auth(&token);
        if let Some(own) = forwarded {
            ask = ask.header("x-forwarded-for", own);
        }
        let answer = ask.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{forwarded:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_policy_permits_goes_nowhere_and_says_nothing_of_policies() {
    let site = with(
        "@id(\"internal-name\") permit(principal == Client::\"shop\", action in Action::\"read\", resource)
         when { resource.hasTag(\"id\") && resource.getTag(\"id\") != \"secret\" };",
    )
    .await;
    let token = site.issuer.token(API, "read write").await;
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);

    let read = site.get("/orders/secret", &token).await;
    let escaped = site.get("/orders/%73ecret", &token).await;
    let write = http().post(site.url("/orders/7")).bearer_auth(&token);
    let write = write.send().await.unwrap();

    for answer in [read, escaped, write] {
        assert!(answer.headers().contains_key("x-request-id"));
        let text = answer.text().await.unwrap();
        assert!(text.contains("policy-denied"), "{text}");
        assert!(
            !text.contains("internal-name") && !text.contains("shop"),
            "{text}"
        );
    }
    assert_eq!(site.upstream.seen(), 1);
    // A token that is not good is told so first, and a public route is open.
    assert_eq!(site.get("/orders/secret", "nonsense").await.status(), 401);
    let public = http().get(site.url("/public/x")).send().await.unwrap();
    assert_eq!(public.status(), 200);
}

/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_cannot_be_evaluated_lets_nobody_through() {
    let site = with(
        "permit(principal, action, resource);
         forbid(principal, action, resource) when { context.risk + 9223372036854775807 + 1 > 0 };",
    )
    .await;
    let token = site.issuer.token(API, "read").await;

    let refused = problem(site.get("/orders/7", &token).await).await;

    assert_eq!(refused, (503, "policy-unknown".to_owned()));
    assert_eq!(site.upstream.seen(), 0);
    let public = http().get(site.url("/public/x")).send().await.unwrap();
    assert_eq!(public.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_asks_for_another_sign_in_as_the_standard_says() {
    let site = with(
        "permit(principal, action, resource);
         @step_up(\"acr=phr max_age=300\") forbid(principal, action, resource)
         unless { context has acr && context.acr == \"phr\" };",
    )
    .await;
    let token = site.issuer.token(API, "read").await;

    let answer = site.get("/orders/7", &token).await;

    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    for part in [
        "error=\"insufficient_user_authentication\"",
        "acr_values=\"phr\"",
        "max_age=\"300\"",
        "resource_metadata=",
    ] {
        assert!(challenge.contains(part), "{challenge}");
    }
    assert_eq!(site.upstream.seen(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_shadow_nothing_is_refused_and_a_route_decides_for_itself() {
    let site = Site::with(|settings| {
        settings.policy = policy("", Mode::Shadow);
        for route in &mut settings.routes {
            match route.name.as_str() {
                "/told/{*rest}" => route.policy = Watched::In(Mode::Enforce),
                "/public/{*rest}" => route.policy = Watched::In(Mode::Enforce),
                _ => {}
            }
        }
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
    assert_eq!(site.get("/told/x", &token).await.status(), 403);
    let public = http().get(site.url("/public/x")).send().await.unwrap();
    assert_eq!(problem(public).await, (403, "policy-denied".to_owned()));

    let mut settings = site.settings();
    settings.policy = policy("", Mode::Enforce);
    settings.routes[0].policy = Watched::Off;
    site.running.gateway.reload(settings).await.unwrap();

    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
    assert_eq!(site.get("/told/x", &token).await.status(), 403);
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_ends_when_a_new_policy_would_refuse_it() {
    let site = with(PERMIT).await;
    let token = site.issuer.token(API, "read").await;
    let mut answer = site.get("/events", &token).await;
    assert_eq!(answer.status(), 200);
    answer.chunk().await.unwrap().unwrap();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = answer.chunk().await {} });
    let reload = async |text| {
        let mut settings: Settings = site.settings();
        settings.policy = policy(text, Mode::Enforce);
        site.running.gateway.reload(settings).await.unwrap();
    };
    reload("permit(principal, action == Action::\"GET\", resource == Route::\"/events\");").await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(!reading.is_finished(), "it ended though it is permitted");

    let begin = Instant::now();
    reload("permit(principal, action == Action::\"POST\", resource);").await;

    timeout(PROMPT, reading).await.expect("it goes on").unwrap();
    assert!(begin.elapsed() < PROMPT);
}

/// How long something open has to go on.
const ON: Duration = Duration::from_millis(1_200);

/// Opens events, and reads them until they end.
async fn open(site: &Site, token: Option<&str>) -> tokio::task::JoinHandle<()> {
    let mut request = http().get(site.url("/events"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.chunk().await.unwrap().unwrap();
    tokio::spawn(async move { while let Ok(Some(_)) = answer.chunk().await {} })
}

async fn reload(site: &Site, change: impl FnOnce(&mut Settings)) {
    let mut settings = site.settings();
    change(&mut settings);
    site.running.gateway.reload(settings).await.unwrap();
}

type Change = fn(&mut RiskSettings);

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_ends_when_risk_would_refuse_it() {
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let ends: [Change; 3] = [
        |own| own.thresholds.refuse = Some(10),
        |own| own.thresholds.step_up = Some(10),
        |own| own.thresholds.revoke = Some(1),
    ];
    for end in ends {
        let reading = open(&site, Some(&token)).await;
        reload(&site, |own| {
            own.risk = risk(|own| {
                end(own);
                own.mode = Mode::Shadow;
                own.thresholds.sign_in.max_age = Some(Duration::from_secs(300));
            });
        })
        .await;
        tokio::time::sleep(ON).await;
        assert!(!reading.is_finished(), "what is tried out acts");

        reload(&site, |own| {
            own.risk = risk(|own| {
                end(own);
                own.thresholds.sign_in.max_age = Some(Duration::from_secs(300));
            });
        })
        .await;

        timeout(PROMPT, reading).await.expect("it goes on").unwrap();
        assert_ne!(site.get("/orders/7", &token).await.status(), 200);
        reload(&site, |_| ()).await;
    }
    // The first one was taken back.
    let token = site.issuer.token(API, "read").await;
    let reading = open(&site, Some(&token)).await;
    reload(&site, |own| {
        own.risk = risk(|own| own.thresholds.refuse = Some(11));
    })
    .await;
    tokio::time::sleep(ON).await;
    assert!(!reading.is_finished(), "it ended below the threshold");
    reading.abort();
}

fn is_open(settings: &mut Settings) {
    for route in &mut settings.routes {
        if route.path.to_string() == "/events" {
            route.demand = symbolon_gateway::Demand::Public;
            route.policy = Watched::In(Mode::Enforce);
        }
    }
}

/// Attack: L331
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_open_to_everybody_ends_when_it_is_no_more() {
    let site = Site::with(|own| {
        is_open(own);
        own.policy = policy(PERMIT, Mode::Enforce);
    })
    .await;
    let reading = open(&site, None).await;
    reload(&site, |own| {
        is_open(own);
        own.policy = policy(
            "permit(principal is Anonymous, action, resource);",
            Mode::Enforce,
        );
    })
    .await;
    tokio::time::sleep(ON).await;
    assert!(!reading.is_finished(), "it ended though it is permitted");

    reload(&site, |own| {
        is_open(own);
        own.policy = policy(
            "permit(principal is Person, action, resource);",
            Mode::Enforce,
        );
    })
    .await;

    timeout(PROMPT, reading).await.expect("it goes on").unwrap();
    reload(&site, |own| {
        is_open(own);
        own.policy = policy(PERMIT, Mode::Enforce);
    })
    .await;
    let reading = open(&site, None).await;
    // From now on it takes a token.
    reload(&site, |_| ()).await;
    timeout(PROMPT, reading).await.expect("it goes on").unwrap();
}

fn risk(change: impl FnOnce(&mut RiskSettings)) -> Option<RiskSettings> {
    let mut own = RiskSettings::default();
    change(&mut own);
    Some(own)
}

async fn get_as(site: &Site, agent: &str, token: &str) -> reqwest::Response {
    let request = http().get(site.url("/orders/7")).bearer_auth(token);
    request.header("user-agent", agent).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn risk_refuses_past_its_threshold_and_policies_see_it() {
    let site = Site::with(|settings| {
        settings.policy = policy(
            "permit(principal, action, resource) unless { context.signals.contains(\"new_user_agent\") && context.risk > 10 };",
            Mode::Shadow,
        );
        settings.risk = risk(|own| {
            own.weights.set(Signal::NewUserAgent, 50);
            own.weights.set(Signal::MissingBinding, 0);
            own.thresholds.refuse = Some(50);
        });
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;
    assert_eq!(get_as(&site, "one", &token).await.status(), 200);
    assert_eq!(get_as(&site, "one", &token).await.status(), 200);

    let other = problem(get_as(&site, "two", &token).await).await;
    let again = get_as(&site, "two", &token).await;

    assert_eq!(other, (403, "risk-refused".to_owned()));
    assert_eq!(again.status(), 403, "who is refused does not become usual");
    assert_eq!(get_as(&site, "one", &token).await.status(), 200);
    let mut settings = site.settings();
    settings.policy = policy(
        "permit(principal, action, resource) unless { context.signals.contains(\"new_user_agent\") };",
        Mode::Enforce,
    );
    settings.risk = risk(|_| ());
    site.running.gateway.reload(settings).await.unwrap();
    assert_eq!(
        problem(get_as(&site, "two", &token).await).await.1,
        "policy-denied"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn risk_asks_for_a_sign_in_and_is_quiet_where_signals_are_off() {
    let site = Site::with(|settings| {
        settings.risk = risk(|own| {
            own.thresholds = Thresholds {
                step_up: Some(10),
                ..Thresholds::default()
            };
            own.thresholds.sign_in.max_age = Some(Duration::from_secs(300));
        });
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;

    let answer = site.get("/orders/7", &token).await;

    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("max_age=\"300\""), "{challenge}");
    let mut settings = site.settings();
    settings.risk = risk(|own| {
        own.thresholds.refuse = Some(1);
        own.weights = Weights::default();
        for signal in Signal::ALL {
            own.weights.set(signal, 0);
        }
    });
    site.running.gateway.reload(settings).await.unwrap();
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_an_address_make_its_next_requests_risky() {
    let site = Site::with(|settings| {
        settings.risk = risk(|own| {
            own.weights.set(Signal::MissingBinding, 0);
            own.thresholds.refuse = Some(20);
            own.limits.failures = 3;
        });
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;
    for _ in 0..5 {
        // Whoever shows nothing tries nothing.
        assert_eq!(
            http()
                .get(site.url("/orders/7"))
                .send()
                .await
                .unwrap()
                .status(),
            401
        );
    }
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
    for _ in 0..3 {
        assert_eq!(site.get("/orders/7", "nonsense").await.status(), 401);
    }
    assert_eq!(site.get("/orders/7", &token).await.status(), 403);
}

/// A page calls several times at once: each of its calls is told to have the
/// person sign in, and none of that speaks against them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_told_to_sign_in_again_has_not_failed() {
    let site = Site::with(|settings| {
        settings.risk = risk(|own| {
            own.thresholds.step_up = Some(10);
            own.thresholds.refuse = Some(30);
            own.thresholds.sign_in.max_age = Some(Duration::from_secs(300));
            own.limits.failures = 3;
        });
    });
    let site = site.await;
    let token = site.issuer.token(API, "read").await;

    for _ in 0..8 {
        assert_eq!(site.get("/orders/7", &token).await.status(), 401);
    }

    let mut settings = site.settings();
    settings.risk = risk(|own| {
        own.thresholds.refuse = Some(20);
        own.limits.failures = 3;
    });
    site.running.gateway.reload(settings).await.unwrap();
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
}

/// Libraries of gRPC read no other status than their own.
///
/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_grpc_is_told_of_another_sign_in_in_its_own_words() {
    let site = with(
        "permit(principal, action, resource);
         @step_up(\"acr=phr\") forbid(principal, action, resource);",
    )
    .await;
    let token = site.issuer.token(API, "read").await;

    let call = http().post(site.url("/public/x")).bearer_auth(&token);
    let open = call.header("content-type", "application/grpc");
    let call = http().get(site.url("/orders/7")).bearer_auth(&token);
    let call = call.header("content-type", "application/grpc");
    let answer = call.send().await.unwrap();

    assert_eq!(open.send().await.unwrap().status(), 200);
    assert_eq!(answer.headers()["grpc-status"], "16");
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("acr_values=\"phr\""), "{challenge}");
}

/// A record of the feed about what the token stands for, and not about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_security_event_about_a_subject_makes_its_next_token_risky() {
    let site = Site::with(|settings| {
        settings.risk = risk(|own| {
            own.weights = Weights::default();
            for signal in Signal::ALL {
                own.weights.set(signal, 0);
            }
            own.weights.set(Signal::SecurityEvent, 30);
            own.thresholds.refuse = Some(30);
        });
    });
    let site = site.await;
    let before = site.issuer.token(API, "read").await;
    assert_eq!(site.get("/orders/7", &before).await.status(), 200);

    site.issuer.revoke_client("shop").await;

    until_refused(async || site.get("/orders/7", &before).await.status().as_u16()).await;
    let after = site.issuer.token(API, "read").await;
    assert_eq!(
        problem(site.get("/orders/7", &after).await).await.1,
        "risk-refused"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_too_risky_is_taken_back_at_its_issuer() {
    let issuer_admin = |site: &Site| site.issuer.administration();
    let site = Site::start().await;
    let token = site.issuer.token(API, "read").await;
    let other = site.issuer.token(API, "read").await;
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
    let (url, bearer) = issuer_admin(&site);
    let mut settings = site.settings();
    settings.policy = policy(
        "permit(principal, action, resource);
         @revoke(\"\") forbid(principal, action, resource) when { context.path == \"/orders/trap\" };",
        Mode::Enforce,
    );
    settings.risk = risk(|own| {
        own.revoke_at = Some(symbolon_gateway::risk::RevokeAt {
            url: url.parse().unwrap(),
            token: bearer.as_str().into(),
        });
    });
    site.running.gateway.reload(settings).await.unwrap();

    assert_eq!(site.get("/orders/trap", &token).await.status(), 403);

    // Here at once, at the issuer soon, and nobody else's.
    assert_ne!(site.get("/orders/7", &token).await.status(), 200);
    let begin = Instant::now();
    while site.get("/orders/7", &token).await.status() != 401 {
        // One second to tell the issuer, one to hear of it, and five times that.
        assert!(begin.elapsed() < 2 * PROMPT, "it is not taken back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(site.get("/orders/7", &other).await.status(), 200);
}
