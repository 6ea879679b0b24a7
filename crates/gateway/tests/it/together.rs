//! Limits that several gateways count together, in a real Redis.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use symbolon_gateway::{
    Counting, Launch, Limit, OnError, Period, Redis as Shared, Rule, Running, Settings,
};
use tokio::time::Instant;

use crate::issuer::{API, http};
use crate::quota::{daily, limit, put};
use crate::redis::{Cluster, Redis};
use crate::site::{Site, edge};

/// How long something may take that is repaired by the way.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an act may take where the time itself is not looked at.
const DEADLINE: Duration = Duration::from_secs(10);

/// Three gateways before one service.
struct Three {
    site: Site,
    addresses: Vec<SocketAddr>,
    _running: Vec<Running>,
    client: reqwest::Client,
    token: String,
}

impl Three {
    async fn start(redis: &[String], limits: &[Limit]) -> Self {
        Self::within(DEADLINE, redis, limits).await
    }

    /// The same with another deadline for each act.
    async fn within(deadline: Duration, redis: &[String], limits: &[Limit]) -> Self {
        let change = |own: &mut Settings| {
            put(own, "/orders/{id}", limits.to_vec());
            put(own, "/events", Vec::new());
            for route in &mut own.routes {
                if route.path.to_string() == "/events" {
                    route.quota.limits = limits.iter().map(|own| own.name.clone()).collect();
                }
            }
            own.quotas.redis = Some(Shared {
                addresses: redis.to_vec(),
                user: None,
                password: None,
                authority: None,
                deadline,
            });
        };
        let site = Site::with(change).await;
        let (mut addresses, mut running) = (vec![site.gateway], Vec::new());
        for _ in 0..2 {
            let mut settings = site.settings();
            change(&mut settings);
            let loopback = "127.0.0.1:0".parse().unwrap();
            let launch = Launch::bind(loopback, None).await.unwrap();
            addresses.push(launch.public.local_addr().unwrap());
            let own = launch.start(settings, edge()).unwrap();
            own.gateway.warm().await;
            running.push(own);
        }
        let token = site.issuer.token(API, "read").await;
        Self {
            site,
            addresses,
            _running: running,
            client: http(),
            token,
        }
    }

    fn call(
        &self,
        client: &reqwest::Client,
        at: usize,
        path: &str,
    ) -> impl Future<Output = reqwest::Response> + use<> {
        let address = self.addresses[at % self.addresses.len()];
        let request = client.get(format!("http://{address}{path}"));
        let sent = request.bearer_auth(&self.token).send();
        async move { sent.await.unwrap() }
    }

    async fn get(&self, at: usize, path: &str) -> reqwest::Response {
        self.call(&self.client, at, path).await
    }

    /// How many answers there are of each kind, of so many requests at once.
    async fn storm(&self, requests: usize) -> BTreeMap<u16, usize> {
        let client = http();
        let calls = (0..requests).map(|at| self.call(&client, at, "/orders/7"));
        let mut counts = BTreeMap::new();
        for answer in futures_util::future::join_all(calls).await {
            *counts.entry(answer.status().as_u16()).or_default() += 1;
        }
        counts
    }
}

fn credits(name: &str, capacity: u64) -> Limit {
    let every = Duration::from_secs(86_400);
    limit(
        name,
        Rule::Credits {
            capacity,
            refill: 0,
            every,
        },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_credit_is_spent_once_by_sixty_four_through_three_gateways() {
    let redis = Redis::start();
    let three = Three::start(&[redis.url()], &[credits("last", 1)]).await;

    let counts = three.storm(64).await;

    assert_eq!(counts, BTreeMap::from([(200, 1), (429, 63)]));
    assert_eq!(three.site.upstream.seen(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_limit_adds_one_round_trip_and_several_of_one_caller_no_more() {
    let redis = Redis::start();
    let each = Duration::from_secs(1);
    let rate = Rule::Rate {
        limit: 1_000,
        period: each,
        burst: 1_000,
    };
    let limits = [
        daily("daily", 1_000),
        limit("burst", rate),
        credits("paid", 1_000),
    ];
    let three = Three::start(&[redis.url()], &limits).await;
    three.get(0, "/orders/7").await;
    let before = redis.acts();

    for at in 0..30 {
        assert_eq!(three.get(at, "/orders/7").await.status(), 200);
    }

    assert_eq!(redis.acts() - before, 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_counts_each_kind_as_one_process_does() {
    let redis = Redis::start();
    let hour = Duration::from_secs(3600);
    for rule in [
        Rule::Rate {
            limit: 5,
            period: hour,
            burst: 3,
        },
        Rule::Quota {
            limit: 3,
            period: Period::Month,
        },
        Rule::Quota {
            limit: 3,
            period: Period::Week,
        },
        Rule::Rolling {
            limit: 3,
            window: 24 * hour,
        },
        Rule::Credits {
            capacity: 3,
            refill: 1,
            every: 300 * hour,
        },
    ] {
        redis.ask(&["FLUSHALL"]);
        let mut alone = limit("alone", rule);
        alone.counting = Counting::Process;
        let three = Three::start(&[redis.url()], &[limit("both", rule), alone]).await;
        for status in [200, 200, 200, 429] {
            let begin = Instant::now();
            let answer = three.get(0, "/orders/7").await;
            assert_eq!(answer.status(), status, "{rule:?}");
            let told = answer.headers()["ratelimit"].to_str().unwrap().to_owned();
            let apart = 2 + begin.elapsed().as_secs().cast_signed();
            let numbers = |name: &str| {
                let own = told.split(", ").find(|own| own.contains(name)).unwrap();
                let mut all = own.split(';').skip(1);
                let left: u64 = all.next().unwrap()[2..].parse().unwrap();
                let reset: i64 = all.next().unwrap()[2..].parse().unwrap();
                (left, reset)
            };
            // A refusal names the first of them alone.
            if status == 200 {
                let (both, alone) = (numbers("both"), numbers("alone"));
                assert_eq!(both.0, alone.0, "{rule:?} {told}");
                assert!((both.1 - alone.1).abs() <= apart, "{rule:?} {told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_pass_a_limit_by_one_for_each_gateway_at_most() {
    const BATCH: u64 = 5;
    let redis = Redis::start();
    let second = Duration::from_secs(1);
    let mut rate = limit(
        "rate",
        Rule::Rate {
            limit: 40,
            period: second,
            burst: 40,
        },
    );
    rate.counting = Counting::Leased { batch: BATCH };
    let three = Three::start(&[redis.url()], &[rate]).await;
    let (begin, mut passed) = (Instant::now(), 0);

    while begin.elapsed() < 3 * second || passed < 100 {
        assert!(begin.elapsed() < PATIENCE, "{passed}");
        passed += three.storm(60).await.get(&200).copied().unwrap_or(0);
    }

    let most = 40.0 + 40.0 * begin.elapsed().as_secs_f64() + 3.0 * 5.0;
    assert!(passed as f64 <= most, "{passed} of {most}");
    let acts = redis.acts();
    assert!(acts > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_batch_goes_back_after_a_second() {
    let redis = Redis::start();
    let mut quota = daily("daily", 10);
    quota.counting = Counting::Leased { batch: 8 };
    let three = Three::start(&[redis.url()], &[quota]).await;
    for _ in 0..5 {
        assert_eq!(three.get(0, "/orders/7").await.status(), 200);
    }
    // Five are spent of those that were taken; the others go back.
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let own = redis.ask(&["--scan", "--pattern", "*:year"]);
        if redis.ask(&["HGET", &own, "u"]) == "5" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let counts = three.storm(30).await;

    assert_eq!(counts[&200], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_counted_together_and_those_of_a_gateway_that_died_come_back() {
    let redis = Redis::start();
    let places = limit("open", Rule::Concurrent { limit: 1 });
    let three = Three::start(&[redis.url()], &[places]).await;
    let mut open = three.get(0, "/events").await;
    assert!(open.chunk().await.unwrap().is_some());
    assert_eq!(three.get(1, "/events").await.status(), 429);

    // As if nobody had asked for it for thirty seconds; its gateway asks now and then.
    let key = redis.ask(&["--scan", "--pattern", "*:open"]);
    let place = redis.ask(&["ZRANGE", &key, "0", "-1"]);
    let begin = Instant::now();
    let second = loop {
        redis.ask(&["ZADD", &key, "XX", "1", &place]);
        let second = three.get(1, "/events").await;
        if second.status() == 200 {
            break second;
        }
        assert!(begin.elapsed() < PATIENCE);
    };
    drop(second);

    let begin = Instant::now();
    while three.get(2, "/events").await.status() != 200 {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_redis_is_down_or_slow_each_limit_does_as_it_says() {
    let mut redis = Redis::start();
    let usual = Shared::DEADLINE;
    let strict = Three::within(usual, &[redis.url()], &[daily("strict", 100)]).await;
    let mut own = daily("own", 2);
    own.on_error = OnError::Local;
    // What took too long once would be counted here as well.
    let local = Three::within(Duration::from_secs(2), &[redis.url()], &[own]).await;
    let begin = Instant::now();
    while strict.get(0, "/orders/7").await.status() != 200 {
        assert!(begin.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(local.get(0, "/orders/7").await.status(), 200);

    for way in ["slow", "down"] {
        match way {
            "slow" => redis.signal("STOP"),
            _ => redis.kill(),
        }
        let client = http();
        for _ in 0..5 {
            let begin = Instant::now();
            let refused = strict.call(&client, 0, "/orders/7").await;
            assert_eq!(refused.status(), 503, "{way}");
            assert!(begin.elapsed() < Duration::from_secs(2), "{way}");
            assert_eq!(refused.headers()["retry-after"], "1");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(
                problem["type"],
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
            );
        }
        if way == "slow" {
            // Each counts for itself for the while: two each, and no more.
            for (at, status) in [(0, 200), (0, 200), (0, 429), (1, 200)] {
                assert_eq!(local.get(at, "/orders/7").await.status(), status, "{at}");
            }
            redis.signal("CONT");
        } else {
            redis.begin_again();
        }
        let begin = Instant::now();
        while strict.get(0, "/orders/7").await.status() != 200 {
            assert!(begin.elapsed() < PATIENCE, "{way}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_answers_nonsense_lets_nobody_through() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let nonsense = async {
                    let said = "+OK\r\n*1\r\n:7\r\n".repeat(50);
                    while tokio::io::AsyncWriteExt::write_all(&mut write, said.as_bytes())
                        .await
                        .is_ok()
                    {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                };
                let mut sink = tokio::io::sink();
                tokio::join!(nonsense, async {
                    let _ = tokio::io::copy(&mut read, &mut sink).await;
                });
            });
        }
    });
    let three = Three::within(Shared::DEADLINE, &[url], &[daily("daily", 100)]).await;

    for at in 0..6 {
        assert_eq!(three.get(at, "/orders/7").await.status(), 503);
    }
    assert_eq!(three.site.upstream.seen(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_that_loses_a_node_keeps_batches_within_their_bound() {
    const LIMIT: u64 = 600;
    let mut cluster = Cluster::start();
    let mut quota = daily("daily", LIMIT);
    quota.counting = Counting::Leased { batch: 10 };
    let three = Arc::new(Three::start(&cluster.urls(), &[quota]).await);
    assert_eq!(three.get(0, "/orders/7").await.status(), 200);
    let (passed, is_done) = (
        Arc::new(AtomicUsize::new(1)),
        Arc::new(AtomicBool::new(false)),
    );
    let client = http();
    let load: Vec<_> = (0..12)
        .map(|at| {
            let (three, passed) = (Arc::clone(&three), Arc::clone(&passed));
            let (is_done, client) = (Arc::clone(&is_done), client.clone());
            tokio::spawn(async move {
                while !is_done.load(Ordering::SeqCst) {
                    if three.call(&client, at, "/orders/7").await.status() == 200 {
                        passed.fetch_add(1, Ordering::SeqCst);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;

    cluster.owner().kill();

    // It is decided again, and then all of it is used up.
    let begin = Instant::now();
    while three.get(0, "/orders/7").await.status() != 429 {
        assert!(begin.elapsed() < 4 * PATIENCE, "{passed:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    is_done.store(true, Ordering::SeqCst);
    for own in load {
        own.await.unwrap();
    }
    let passed = three.site.upstream.seen();
    assert!(passed <= 600 + 3 * 10, "{passed}");
    assert!(passed >= 500, "{passed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_is_told_of_all_gateways_for_thirty_days_and_not_at_all_where_nobody_knows() {
    let mut redis = Redis::start();
    let three = Three::start(&[redis.url()], &[daily("daily", 100)]).await;
    for at in 0..3 {
        assert_eq!(three.get(at, "/orders/7").await.status(), 200);
    }
    let ask = async || {
        let (admin, issuer) = (three.site.admin, &three.site.issuer.url);
        let url = format!("http://{admin}/usage?per=client&issuer={issuer}&name=shop");
        http().get(url).send().await.unwrap()
    };
    let days = async || {
        let told: Value = ask().await.json().await.unwrap();
        let days = told["limits"][0]["days"].as_array().unwrap().clone();
        let used = days.iter().map(|own| own["used"].as_u64().unwrap());
        used.collect::<Vec<_>>()
    };
    assert_eq!(days().await, [3]);
    let key = redis.ask(&["KEYS", "symbolon:limit:*:days"]);
    let today: i64 = redis.ask(&["HKEYS", &key]).parse().unwrap();

    for (ago, used) in [(1, "7"), (29, "8"), (30, "9"), (400, "9")] {
        redis.ask(&["HSET", &key, &(today - ago).to_string(), used]);
    }

    assert_eq!(days().await, [8, 7, 3]);
    redis.kill();
    assert_eq!(ask().await.status(), 503);
}
