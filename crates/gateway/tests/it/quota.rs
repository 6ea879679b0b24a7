//! Limits and plans on real sockets, one gateway counting for itself.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use symbolon_gateway::{
    Counting, Limit, Notices, OnError, Per, Period, Rule, ServicePlan, Settings, Spent,
};
use tokio::time::{Instant, timeout};

use crate::issuer::{API, http};
use crate::site::{Site, to};

/// How long something may take that happens by the way.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn limit(name: &str, rule: Rule) -> Limit {
    Limit {
        name: name.to_owned(),
        per: Per::Client,
        rule,
        counting: Counting::Strict,
        on_error: OnError::Refuse,
        upstream_failed: Spent::Stays,
    }
}

pub(crate) fn daily(name: &str, limit: u64) -> Limit {
    let period = Period::Year;
    self::limit(name, Rule::Quota { limit, period })
}

fn plan(name: &str) -> ServicePlan {
    ServicePlan {
        name: name.to_owned(),
        features: Vec::new(),
        limits: Vec::new(),
        clients: Vec::new(),
        organizations: Vec::new(),
        is_default: false,
    }
}

/// Puts limits on every route of a path.
pub(crate) fn put(settings: &mut Settings, path: &str, limits: Vec<Limit>) {
    let names: Vec<String> = limits.iter().map(|own| own.name.clone()).collect();
    settings.quotas.limits.extend(limits);
    for route in &mut settings.routes {
        if route.path.to_string() == path {
            route.quota.limits.clone_from(&names);
        }
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    let value = answer.headers().get(name);
    value.map_or("", |own| own.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_told_on_each_answer_and_then_refused_in_the_words_of_the_draft() {
    let site = Site::with(|own| put(own, "/orders/{id}", vec![daily("daily", 2)])).await;
    let token = site.issuer.token(API, "read").await;

    let first = site.get("/orders/7", &token).await;
    assert_eq!(first.status(), 200);
    assert_eq!(
        header(&first, "ratelimit-policy"),
        "\"daily\";q=2;w=31622400"
    );
    assert!(header(&first, "ratelimit").starts_with("\"daily\";r=1;t="));
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);

    let refused = site.get("/orders/7", &token).await;

    assert_eq!(refused.status(), 429);
    assert!(header(&refused, "ratelimit").starts_with("\"daily\";r=0;t="));
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!(header(&refused, "ratelimit").ends_with(&format!("t={wait}")));
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(
        problem["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(problem["violated-policies"], json!(["daily"]));
    assert_eq!(site.upstream.seen(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_before_spends_nothing_and_is_told_nothing_of_limits() {
    let site = Site::with(|own| put(own, "/orders/{id}", vec![daily("daily", 1)])).await;
    let (good, other) = (
        site.issuer.token(API, "read").await,
        site.issuer.token(API, "write").await,
    );
    for token in ["nonsense", &other] {
        let refused = site.get("/orders/7", token).await;
        assert!([401, 403].contains(&refused.status().as_u16()));
        assert_eq!(header(&refused, "ratelimit"), "");
    }

    assert_eq!(site.get("/orders/7", &good).await.status(), 200);
    assert_eq!(site.get("/orders/7", &good).await.status(), 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_says_that_it_is_too_large_spends_nothing() {
    let site = Site::with(|own| {
        put(own, "/orders/{id}", vec![daily("daily", 1)]);
        for route in &mut own.routes {
            route.max_body_bytes = 10;
        }
    })
    .await;
    let token = site.issuer.token(API, "write").await;
    let send = async |body: &'static str| {
        let request = http().post(site.url("/orders/7")).bearer_auth(&token);
        request.body(body).send().await.unwrap().status().as_u16()
    };

    for _ in 0..3 {
        assert_eq!(send("eleven byte").await, 413);
    }

    assert_eq!(send("ten bytes!").await, 200);
    assert_eq!(send("ten bytes!").await, 429);
    assert_eq!(site.upstream.seen(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_spend_exactly_what_there_is() {
    let site = Site::with(|own| put(own, "/orders/{id}", vec![daily("daily", 10)])).await;
    let token = site.issuer.token(API, "read").await;
    let client = http();
    let call = || client.get(site.url("/orders/7")).bearer_auth(&token).send();

    let calls = (0..64).map(|_| call());
    let answers = futures_util::future::join_all(calls).await;

    let count = |status: u16| {
        let own = answers.iter().map(|own| own.as_ref().unwrap().status());
        own.filter(|own| *own == status).count()
    };
    assert_eq!((count(200), count(429)), (10, 54));
    assert_eq!(site.upstream.seen(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_costs_what_it_says_and_one_that_costs_nothing_asks_for_nothing() {
    let site = Site::with(|own| {
        put(own, "/orders/{id}", vec![daily("daily", 7)]);
        for route in &mut own.routes {
            route.quota.cost = 3;
            if route.path.to_string() == "/told/{*rest}" {
                route.quota.cost = 0;
                route.quota.limits = vec!["daily".into()];
            }
        }
    })
    .await;
    let token = site.issuer.token(API, "read").await;

    for expected in [200, 200, 429, 429] {
        assert_eq!(site.get("/orders/7", &token).await.status(), expected);
    }
    assert_eq!(site.get("/told/7", &token).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_held_until_the_answer_has_ended_or_the_caller_has_gone() {
    let places = limit("open", Rule::Concurrent { limit: 1 });
    let site = Site::with(|own| put(own, "/events", vec![places])).await;
    let token = site.issuer.token(API, "read").await;
    let mut open = site.get("/events", &token).await;
    assert!(open.chunk().await.unwrap().is_some());

    let refused = site.get("/events", &token).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(
        header(&refused, "ratelimit-policy"),
        "\"open\";q=1;qu=\"concurrent-requests\""
    );
    drop(open);

    let begin = Instant::now();
    while site.get("/events", &token).await.status() != 200 {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_upstream_failed_is_given_back_where_the_limit_says_so() {
    let site = Site::with(|own| {
        let mut back = daily("back", 1);
        back.upstream_failed = Spent::GivenBack;
        put(own, "/orders/{id}", vec![back, daily("stays", 3)]);
        // Nobody listens there.
        own.upstreams[0] = to("echo", "127.0.0.1:9".parse().unwrap());
    })
    .await;
    let token = site.issuer.token(API, "read").await;

    for left in ["2", "1", "0"] {
        let failed = site.get("/orders/7", &token).await;
        assert_eq!(failed.status(), 502);
        let told = header(&failed, "ratelimit");
        assert!(told.contains("\"back\";r=1"), "{told}");
        assert!(told.contains(&format!("\"stays\";r={left}")), "{told}");
    }
    assert_eq!(site.get("/orders/7", &token).await.status(), 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feature_is_for_plans_that_have_it_and_a_downgrade_acts_at_once() {
    let with = |clients: &[&str]| {
        let clients: Vec<String> = clients.iter().map(|own| (*own).to_owned()).collect();
        move |own: &mut Settings| {
            own.quotas.issuer = own.credentials.as_ref().map(|of| of.issuer.clone());
            let mut pro = plan("pro");
            pro.features = vec!["exports".into()];
            pro.clients = clients;
            let mut free = plan("free");
            free.limits = vec!["daily".into()];
            free.is_default = true;
            own.quotas.limits.push(daily("daily", 1));
            own.quotas.plans = vec![pro, free];
            for route in &mut own.routes {
                if route.path.to_string() == "/told/{*rest}" {
                    route.quota.feature = Some("exports".into());
                }
            }
        }
    };
    let site = Site::with(with(&["shop"])).await;
    let token = site.issuer.token(API, "read").await;
    for _ in 0..3 {
        assert_eq!(site.get("/told/7", &token).await.status(), 200);
    }

    let mut settings = site.settings();
    with(&[])(&mut settings);
    site.running.gateway.reload(settings).await.unwrap();

    let refused = site.get("/told/7", &token).await;
    assert_eq!(refused.status(), 403);
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(
        problem["type"],
        "https://symbolon.dev/problems/feature-not-in-plan"
    );
    // The limits of the plan hold on every route, this one's included.
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
    assert_eq!(site.get("/orders/7", &token).await.status(), 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_go_on_through_a_reload_and_a_raised_limit_holds_at_once() {
    let site = Site::with(|own| put(own, "/orders/{id}", vec![daily("daily", 1)])).await;
    let token = site.issuer.token(API, "read").await;
    assert_eq!(site.get("/orders/7", &token).await.status(), 200);
    for (limit, expected) in [(1, 429), (2, 200), (2, 429)] {
        let mut settings = site.settings();
        put(&mut settings, "/orders/{id}", vec![daily("daily", limit)]);

        site.running.gateway.reload(settings).await.unwrap();

        assert_eq!(site.get("/orders/7", &token).await.status(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_public_route_counts_by_address() {
    let site = Site::with(|own| {
        let mut each = daily("each", 1);
        each.per = Per::Address;
        put(own, "/public/{*rest}", vec![each]);
    })
    .await;
    let call = async || {
        http()
            .get(site.url("/public/x"))
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(call().await, 200);
    assert_eq!(call().await, 429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_on_long_after_is_told_that_it_is_abnormal() {
    let site = Site::with(|own| put(own, "/orders/{id}", vec![daily("daily", 1)])).await;
    let token = site.issuer.token(API, "read").await;
    let client = http();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..110 {
        let call = client.get(site.url("/orders/7")).bearer_auth(&token);
        let answer = call.send().await.unwrap();
        if answer.status() == 429 {
            let problem: Value = answer.json().await.unwrap();
            let kind = problem["type"]
                .as_str()
                .unwrap()
                .rsplit('#')
                .next()
                .unwrap();
            *kinds.entry(kind.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(kinds["quota-exceeded"], 100);
    assert_eq!(kinds["abnormal-usage-detected"], 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_is_told_on_the_admin_listener_by_day() {
    let site = Site::with(|own| put(own, "/orders/{id}", vec![daily("daily", 10)])).await;
    let token = site.issuer.token(API, "read").await;
    for _ in 0..3 {
        site.get("/orders/7", &token).await;
    }
    let ask = async |query: &str| {
        let url = format!("http://{}/usage?{query}", site.admin);
        http().get(url).send().await.unwrap()
    };

    let used = ask(&format!("per=client&issuer={}&name=shop", site.issuer.url)).await;

    let used: Value = used.json().await.unwrap();
    let own = &used["limits"][0];
    assert_eq!((&own["limit"], &own["left"]), (&json!("daily"), &json!(7)));
    assert_eq!(own["days"][0]["used"], 3);
    assert_eq!(ask("per=client").await.status(), 400);
    assert_eq!(ask("per=nobody&name=x").await.status(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_fifths_and_the_end_are_told_to_the_webhook_signed() {
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().route(
        "/limits",
        axum::routing::post(async move |body: String| {
            sender.send(body).unwrap();
            axum::http::StatusCode::ACCEPTED
        }),
    );
    tokio::spawn(async move { axum::serve(listener, router).await });
    let site = Site::with(|own| {
        put(own, "/orders/{id}", vec![daily("daily", 5)]);
        own.upstreams.push(to("billing", address));
        own.quotas.notices = Some(Notices {
            upstream: "billing".into(),
            path: "/limits".into(),
        });
    })
    .await;
    let token = site.issuer.token(API, "read").await;
    let keys = site.running.gateway.keys();

    for _ in 0..6 {
        site.get("/orders/7", &token).await;
    }

    let mut events = Vec::new();
    for _ in 0..2 {
        let event = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
        let keys = symbolon_token::jose::KeySet::from_json(keys.as_object().unwrap()).unwrap();
        let event = symbolon_token::jose::Unverified::parse(&event).unwrap();
        assert_eq!(event.claimed_type(), Some("secevent+jwt"));
        let algorithm = event.algorithm().unwrap();
        let key = keys
            .candidates(event.claimed_kid(), algorithm)
            .next()
            .unwrap();
        let claims = event.verify(key).unwrap();
        assert_eq!(claims["aud"], "billing");
        let (kind, said) = claims["events"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(
            (&said["limit"], &said["name"]),
            (&json!("daily"), &json!("shop"))
        );
        events.push((
            kind.rsplit('/').next().unwrap().to_owned(),
            said["left"].clone(),
        ));
    }
    events.sort_by_key(|(kind, _)| kind.len());
    assert_eq!(
        events,
        [
            ("limit-used".to_owned(), json!(0)),
            ("limit-nearly-used".to_owned(), json!(1))
        ]
    );
    assert!(told.try_recv().is_err());
}
