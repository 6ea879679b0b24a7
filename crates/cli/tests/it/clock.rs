//! R30: the database's clock and a node's are apart. Half a minute is borne;
//! more than one is told, and the node is not ready until it is over.

use std::time::Duration;

use symbolon_testkit::Row;
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::program::{Engine, PATIENCE, Plan, Site};

/// A database whose clock a test sets: a function of the schema's own stands
/// before the server's.
struct Shifted {
    site: Site,
    client: Client,
}

impl Shifted {
    async fn new() -> Self {
        let mut site = Site::planned(Plan::new(Engine::Postgres)).await;
        let (client, connection) = tokio_postgres::connect(&site.store, tokio_postgres::NoTls)
            .await
            .unwrap();
        // Ends with the client.
        tokio::spawn(connection);
        client
            .batch_execute(
                "CREATE TABLE test_shift (span interval NOT NULL);
                 INSERT INTO test_shift VALUES ('0');
                 CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
                 AS 'SELECT pg_catalog.clock_timestamp() + span FROM test_shift'",
            )
            .await
            .unwrap();
        // The server's own functions are found first unless they are named.
        site.store = format!("{},pg_catalog", site.store);
        site.configure("", "");
        Self { site, client }
    }

    async fn shift(&self, seconds: i32) {
        let set = format!("UPDATE test_shift SET span = '{seconds} seconds'");
        self.client.batch_execute(&set).await.unwrap();
    }

    /// Waits until the node says so; how long that took.
    async fn until(&self, status: u16) -> Duration {
        let began = Instant::now();
        loop {
            let answer = self.site.get("/readyz").await;
            if answer.status == status {
                if status == 503 {
                    assert_eq!(answer.json()["reason"], "clock");
                }
                return began.elapsed();
            }
            assert!(began.elapsed() < PATIENCE, "{}", self.site.printed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How far the node says that it is ahead, in seconds.
    async fn ahead(&self) -> f64 {
        let address = format!("{}/metrics", self.site.admin);
        let token = self.site.admin_token();
        let asked = self.site.http.get(address).bearer_auth(token).send();
        let text = asked.await.unwrap().text().await.unwrap();
        let own = text
            .lines()
            .find_map(|line| line.strip_prefix("symbolon_clock_ahead_seconds "));
        own.expect("it is measured").parse().unwrap()
    }
}

/// Row R30 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_is_far_from_the_databases_is_not_ready() {
    let shifted = Shifted::new().await;
    let program = shifted.site.start().await;
    let soon = Row::R30.size(PATIENCE, Duration::from_secs(12));
    for seconds in Row::R30.size(vec![300], vec![300, -300, 61, -61]) {
        shifted.shift(seconds).await;
        let took = shifted.until(503).await;
        assert!(took < soon, "{took:?}");
        let ahead = shifted.ahead().await;
        assert!((ahead + f64::from(seconds)).abs() < 2.0, "{ahead}");

        // Half a minute either way is borne, and what was wrong is over.
        shifted.shift(if seconds < 0 { -30 } else { 30 }).await;
        let took = shifted.until(200).await;
        assert!(took < soon, "{took:?}");
    }

    let printed = shifted.site.printed();
    assert!(printed.contains("are too far apart"), "{printed}");
    assert!(printed.contains("are together again"), "{printed}");
    assert!(program.end().await.success());
}

/// A node that starts with a wrong clock does not get ready first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_far_from_the_database_says_so() {
    let shifted = Shifted::new().await;
    shifted.shift(-600).await;
    let program = shifted.site.start_until(503).await;

    let answer = shifted.site.get("/readyz").await;

    assert_eq!(
        (answer.status, &answer.json()["reason"]),
        (503, &"clock".into())
    );
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let served = shifted.site.form("/token", "job", &form).await;
    assert_eq!(served.status, 200, "who comes in spite of that is served");
    assert!(program.end().await.success());
}
