//! A long audit trail, searched in parts that are answered in time.

use std::time::Duration;

use symbolon_protocol::Timestamp;

use super::audit::Tamper;
use super::{Folder, timed};
use crate::audit::{AuditFilter, AuditPage, AuditPlace, ListAudit};
use crate::dialect::Engine;
use crate::statement::Sql;
use crate::store::Store;

/// How many rows a call looks through.
const PART: i64 = 20_000;
/// How many rows there are: six chunks of them.
const ROWS: i64 = 300_000;
/// What a call takes at most, on a machine that has much else to do.
const BOUND: Duration = Duration::from_secs(2);

/// Three rows at each instant, by two processes, and a few about one person.
macro_rules! chunk {
    ($from:literal, $last:literal) => {
        concat!(
            "WITH RECURSIVE n(i) AS (SELECT ",
            $from,
            " UNION ALL SELECT i + 1 FROM n WHERE i < ",
            $last,
            ") INSERT INTO audit (node, counter, at, action, actor, subject, detail, request)
            SELECT i % 2, i, 1000000 + i / 3,
                CASE WHEN i % 50 = 7 THEN 'some' ELSE 'most' END, 'tester',
                CASE WHEN i % 37501 = 5 THEN 'usr_x' ELSE 'usr_y' END, '{}', 'req'
            FROM n"
        )
    };
}

const CHUNKS: [&str; 6] = [
    chunk!(0, 49_999),
    chunk!(50_000, 99_999),
    chunk!(100_000, 149_999),
    chunk!(150_000, 199_999),
    chunk!(200_000, 249_999),
    chunk!(250_000, 299_999),
];

async fn fill(store: &Store) {
    for chunk in CHUNKS {
        store.act(Tamper(chunk)).await.unwrap();
    }
}

/// The places of some rows, as a list has them.
fn places(is_one: impl Fn(i64) -> bool) -> Vec<AuditPlace> {
    let all = (0..ROWS).filter(|i| is_one(*i)).map(|i| AuditPlace {
        at: Timestamp::from_millis(1_000_000 + i / 3),
        node: i % 2,
        counter: i,
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

fn of(entries: &AuditPage) -> impl Iterator<Item = AuditPlace> {
    entries.entries.iter().map(|entry| entry.place)
}

async fn read(
    store: &Store,
    after: Option<AuditPlace>,
    limit: u32,
    filter: &AuditFilter,
) -> AuditPage {
    let filter = filter.clone();
    let list = ListAudit {
        after,
        limit,
        filter,
    };
    let (page, took) = timed(store.read(list)).await;
    assert!(took < BOUND, "{took:?}");
    page.unwrap()
}

/// Goes through all pages; answers how many there were.
async fn search(store: &Store, limit: u32, filter: AuditFilter) -> (Vec<AuditPlace>, usize) {
    let (mut found, mut after) = (Vec::new(), None);
    for pages in 1..1_000 {
        let page = read(store, after, limit, &filter).await;
        assert!(page.entries.len() <= limit as usize);
        found.extend(of(&page));
        if page.next.is_none() {
            return (found, pages);
        }
        assert!(page.next > after, "it goes on");
        after = page.next;
    }
    panic!("it does not end");
}

async fn a_filter_is_answered_in_parts(store: Store) {
    fill(&store).await;
    let about = |subject: &str| AuditFilter {
        subject: Some(subject.to_owned()),
        ..AuditFilter::default()
    };

    let first = read(&store, None, 100, &about("usr_nobody")).await;
    let few = search(&store, 100, about("usr_x")).await;
    let action = AuditFilter {
        action: Some("some".to_owned()),
        ..AuditFilter::default()
    };
    let many = search(&store, 70, action.clone()).await;
    let all = search(&store, 1_000, AuditFilter::default()).await;

    let everything = places(|_| true);
    assert!(first.entries.is_empty());
    assert_eq!(first.next, Some(everything[PART as usize - 1]));
    let parts = (ROWS / PART + 1) as usize;
    assert_eq!(few, (places(|i| i % 37_501 == 5), parts));
    assert_eq!(many.0, places(|i| i % 50 == 7));
    assert!(many.1 <= parts + 6_000 / 70 + 1, "{}", many.1);
    assert_eq!(all, (everything, 301));

    // Times bound what is looked through, wherever they are.
    let between = AuditFilter {
        since: Some(Timestamp::from_millis(1_090_000)),
        until: Some(Timestamp::from_millis(1_093_000)),
        ..action
    };
    let some = |i| i % 50 == 7 && (90_000..93_000).contains(&(i / 3));
    assert_eq!(search(&store, 1_000, between).await, (places(some), 1));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_answered_in_parts_on_sqlite() {
    let folder = Folder::new();
    a_filter_is_answered_in_parts(folder.store().await).await;
}

const BOTH: [&Sql; 2] = [&crate::audit::list::END_OF_PART, &crate::audit::list::LIST];

/// Nothing before the part is read, nothing behind it, and nothing is sorted.
#[tokio::test]
async fn sqlite_reads_a_part_of_the_trail_by_its_index() {
    let folder = Folder::new();
    folder.store().await.close().await;
    let path = folder.path().join("symbolon.db");
    let connection = crate::sqlite::file::open_writer(&path).unwrap();

    for sql in BOTH {
        let text = sql.text(Engine::Sqlite);
        let steps = super::plans::steps(&connection, text).join("; ");
        let bounds = "((at,node,counter)>(?,?,?) AND (at,node,counter)<(?,?,?))";
        assert!(steps.contains("INDEX audit_at"), "{steps}");
        assert!(steps.contains(bounds), "{steps}");
        assert!(!steps.contains("TEMP B-TREE"), "{steps}");
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::*;
    use crate::tests::nodes::Schema;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_filter_is_answered_in_parts_on_postgresql() {
        let Some(schema) = Schema::new("trail").await else {
            return;
        };
        let store = schema.open(1).await;
        store.migrate().await.unwrap();

        a_filter_is_answered_in_parts(store).await;
        plans(&schema).await;

        schema.drop().await;
    }

    /// Whether the values are known when it plans or not.
    async fn plans(schema: &Schema) {
        let client = schema.connect().await;
        for settings in [
            "ANALYZE audit; ANALYZE audit_link; SET plan_cache_mode = force_generic_plan",
            "SET plan_cache_mode = force_custom_plan",
        ] {
            client.batch_execute(settings).await.unwrap();
            for sql in BOTH {
                let text = sql.text(Engine::Postgres);
                let is_end = text.contains("OFFSET");
                let values = match is_end {
                    true => format!("1050000, 0, 0, {0}, {0}, {0}, 19999", i64::MAX),
                    false => {
                        "1050000, 0, 0, 1056667, 0, 0, NULL, NULL, 'usr_x', NULL, NULL, 100".into()
                    }
                };
                let explain = format!(
                    "DEALLOCATE ALL; PREPARE part AS {text}; EXPLAIN EXECUTE part({values})"
                );
                let rows = client.simple_query(&explain).await.unwrap();
                let lines = rows.into_iter().filter_map(|message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0)?.to_owned()),
                    _ => None,
                });
                let plan = lines.collect::<Vec<String>>().join("\n");
                let bound = plan.lines().find(|line| line.contains("Index Cond: "));
                let bound = bound.unwrap_or_else(|| panic!("{plan}"));
                assert!(
                    bound.contains("> ROW(") && bound.contains("<= ROW("),
                    "{plan}"
                );
                assert!(plan.contains(" audit_at"), "{plan}");
                // A part may be sorted, but not all that follows.
                assert!(!is_end || !plan.contains("Sort"), "{plan}");
            }
        }
    }
}
