//! The line to PostgreSQL while the network between fails.

use std::time::Duration;

use symbolon_testkit::{Proxy, Row};
use tokio::time::Instant;

use super::nodes::Schema;
use super::{Count, End, Write};
use crate::store::{Options, Store};

/// A store behind a proxy, which fails on command.
pub(super) struct Behind {
    pub(super) schema: Schema,
    pub(super) proxy: Proxy,
    pub(super) store: Store,
}

impl Behind {
    pub(super) async fn new(name: &str) -> Option<Self> {
        let schema = Schema::new(name).await?;
        let (user, database) = schema.around_host();
        let proxy = Proxy::start(schema.host().as_str()).unwrap();
        let url = format!("{user}{}{database}", proxy.address());
        let options = Options {
            pool_size: 4,
            ..Options::new(url, 1)
        };
        let store = Store::open(&options).await.unwrap();
        store.migrate().await.unwrap();
        Some(Self {
            schema,
            proxy,
            store,
        })
    }

    /// Whether it works, and how long that took to tell.
    async fn works(&self) -> (bool, Duration) {
        let began = Instant::now();
        let read = self.store.read(Count("row".to_owned())).await;
        if let Err(fault) = &read {
            assert!(fault.is_unavailable(), "{fault}");
        }
        (read.is_ok(), began.elapsed())
    }

    /// How long it takes until it works again.
    async fn recovers(&self) -> Duration {
        let began = Instant::now();
        while !self.works().await.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        began.elapsed()
    }

    async fn end(self) {
        self.store.close().await;
        self.schema.drop().await;
    }
}

/// R11: nothing comes back, and nothing is closed either.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_says_nothing_costs_the_deadline_once_and_then_nothing() {
    let Some(behind) = Behind::new("stall").await else {
        return;
    };
    behind.proxy.stall();

    let first = behind.works().await;
    assert!(!first.0);
    let bound = Row::R11.size(Duration::from_secs(6), Duration::from_millis(3_500));
    assert!(first.1 < bound, "{:?}", first.1);
    let began = Instant::now();
    while behind.works().await.1 >= Duration::from_secs(1) {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it is never known"
        );
    }
    for _ in 0..50 {
        let (works, took) = behind.works().await;
        assert!(!works && took < Duration::from_secs(1), "{took:?}");
    }
    behind.proxy.heal();

    let took = behind.recovers().await;
    let bound = Row::R11.size(Duration::from_secs(15), Duration::from_secs(3));
    assert!(took < bound, "{took:?}");
    behind.end().await;
}

/// R10: whoever waits for a connection is told as soon as it is known that
/// none will come, and no connection is lost over it.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told_at_once_and_found_again() {
    let Some(behind) = Behind::new("away").await else {
        return;
    };
    for _ in 0..3 {
        behind.proxy.cut();
        let calls = (0..64).map(|_| behind.works());
        for (works, took) in futures_util::future::join_all(calls).await {
            // Less than the deadline, which whoever is not told waits for.
            let bound = Row::R10.size(Duration::from_millis(2_500), Duration::from_secs(1));
            assert!(!works && took < bound, "{took:?}");
        }
        behind.proxy.heal();

        let took = behind.recovers().await;
        let bound = Row::R10.size(Duration::from_secs(15), Duration::from_secs(3));
        assert!(took < bound, "{took:?}");
    }
    let calls = (0..64).map(|_| behind.works());
    let all = futures_util::future::join_all(calls).await;
    assert!(all.iter().all(|(works, _)| *works));
    let (size, idle) = behind.store.counts();
    assert!(size <= 4 && size == idle, "{idle} of {size} are idle");
    behind.end().await;
}

/// Connections that the server ends are nobody's concern.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_end_between_two_calls_are_replaced_within_the_next() {
    let Some(behind) = Behind::new("ended").await else {
        return;
    };
    for round in 0..10 {
        behind.proxy.cut();
        behind.proxy.heal();

        let calls = (0..8).map(|number| {
            let write = Write(format!("row{round}-{number}"), End::Out);
            behind.store.act(write)
        });
        let all = futures_util::future::join_all(calls).await;

        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }
    behind.end().await;
}

/// A call that is given up leaves no connection behind that somebody waits on.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_given_up_leave_the_pool_as_it_was() {
    let Some(behind) = Behind::new("given_up").await else {
        return;
    };
    for micros in (0..4_000).step_by(50) {
        let name = format!("row{micros}");
        let call = behind.store.act(Write(name.clone(), End::Out));
        let span = Duration::from_micros(micros);
        let answered = tokio::time::timeout(span, call).await.is_ok();
        let rows = behind.store.read(Count(name)).await.unwrap();
        assert!(rows == 1 || !answered, "{micros}: {rows} rows");
    }

    let began = Instant::now();
    loop {
        let (size, idle) = behind.store.counts();
        if size == idle {
            break;
        }
        let is_early = began.elapsed() < Duration::from_secs(10);
        assert!(is_early, "{idle} of {size} are idle");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    behind.end().await;
}
