//! The feed of revocations, read page by page while it grows.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use symbolon_testkit::Row;
use tokio::time::Instant;

use super::nodes::Schema;
use crate::{Position, read_feed};

/// What another node writes in between: the first is recorded again, under the
/// next number.
const GROW: &str = "WITH head AS (
        UPDATE feed_head SET sequence = sequence + 1 WHERE one = 1 RETURNING epoch, sequence)
    UPDATE revocation r SET sequence = head.sequence FROM head
    WHERE r.epoch = head.epoch AND r.sequence = (SELECT MIN(sequence) FROM revocation)";

/// Row R13 of the reliability catalogue: a node that starts knows of all that was
/// taken back, however much that is, and no page of it takes long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_of_many_pages_is_read_whole_while_it_grows() {
    let Some(schema) = Schema::new("pages").await else {
        return;
    };
    let store = schema.open(7).await;
    store.migrate().await.unwrap();
    let many = Row::R13.size(25_000_i64, 1_000_000);
    let (client, writer) = (schema.connect().await, schema.connect().await);
    let fill = format!(
        "INSERT INTO revocation (kind, target, epoch, sequence, expires, at)
            SELECT 3, decode(lpad(to_hex(n), 32, '0'), 'hex'), 1, n, 4102444800000, 0
            FROM generate_series(1, {many}) n;
        UPDATE feed_head SET sequence = {many}; ANALYZE revocation"
    );
    client.batch_execute(&fill).await.unwrap();
    let over = AtomicBool::new(false);
    let grow = async {
        while !over.load(Ordering::Relaxed) {
            writer.execute(GROW, &[]).await.unwrap();
        }
    };
    let read = async {
        let began = Instant::now();
        let whole = read_feed(&store, None).await;
        over.store(true, Ordering::Relaxed);
        (whole.unwrap(), began.elapsed())
    };

    let (_, (whole, took)) = tokio::join!(grow, read);
    let rest = read_feed(&store, Some(whole.head)).await.unwrap();

    println!("{many} records were read in {took:?}");
    assert!(whole.reset && !rest.reset);
    let all = whole.revocations.iter().chain(&rest.revocations);
    assert!(all.clone().is_sorted_by_key(|own| own.position.sequence));
    let targets: HashSet<_> = all.map(|own| format!("{:?}", own.target)).collect();
    assert_eq!(targets.len(), usize::try_from(many).unwrap());
    let elsewhere = Position {
        epoch: 0,
        ..whole.head
    };
    let again = read_feed(&store, Some(elsewhere)).await.unwrap();
    assert!(again.reset);
    assert_eq!(again.revocations.len(), targets.len());
    assert!(took < Duration::from_secs(60), "{took:?}");
    store.close().await;
    schema.drop().await;
}
