//! How the engines carry out what every request does: by the slot and an
//! index, and in one partition where there are several.

use super::Folder;
use crate::dialect::Engine;
use crate::statement::Sql;

/// Tables whose keys the slot leads.
const SLOTTED: &[&str] = &[
    "family",
    "family_authority",
    "grants",
    "session",
    "spent",
    "discharge",
    "device_authorization",
    "api_key",
];

/// The statements of hot acts: all of these files, less what only an
/// administrator asks for.
fn hot() -> Vec<&'static Sql> {
    let all = [
        crate::api_key::STATEMENTS,
        crate::api_key::used::STATEMENTS,
        crate::authorization_code::STATEMENTS,
        crate::device_authorization::STATEMENTS,
        crate::discharge::STATEMENTS,
        crate::grant::STATEMENTS,
        crate::refresh_family::STATEMENTS,
        crate::refresh_family::list::STATEMENTS,
        crate::refresh_family::rotation::STATEMENTS,
        crate::refresh_family::used::STATEMENTS,
        crate::session::STATEMENTS,
        crate::session_others::STATEMENTS,
        crate::spent::STATEMENTS,
    ];
    let cold: [&Sql; 3] = [
        &crate::grant::OF_CLIENT,
        // Keys from elsewhere name no slot: a table of digests says it.
        &crate::api_key::BY_DIGEST,
        &crate::api_key::HAS_IMPORTED,
    ];
    let mut hot = all.concat();
    hot.retain(|sql| !cold.iter().any(|cold| std::ptr::eq(*cold, *sql)));
    hot
}

#[test]
fn every_hot_statement_names_its_slot() {
    for sql in hot() {
        let text = sql.text(Engine::Sqlite);
        let names = match text.contains("INSERT INTO") {
            true => text.contains("(slot, ") || text.contains("(day, slot, "),
            false => text.contains("slot = ?1") || text.contains("slot = ?2"),
        };
        assert!(names, "{text}");
    }
}

#[tokio::test]
async fn sqlite_finds_what_is_hot_by_slot_and_index() {
    let folder = Folder::new();
    folder.store().await.close().await;
    let path = folder.path().join("symbolon.db");
    let connection = crate::sqlite::file::open_writer(&path).unwrap();
    // Names and aliases of what is small or has no slot.
    let elsewhere = ["p", "h", "m", "person", "feed_head"];

    for sql in hot().into_iter().filter(|sql| sql.is_for(Engine::Sqlite)) {
        let text = sql.text(Engine::Sqlite);
        let mut plan = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
            .unwrap();
        let nothing = (0..plan.parameter_count()).map(|_| rusqlite::types::Null);
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for step in steps {
            let mut words = step.split(' ');
            let (verb, table) = (words.next().unwrap(), words.next().unwrap_or_default());
            if !["SCAN", "SEARCH"].contains(&verb) || elsewhere.contains(&table) {
                continue;
            }
            assert!(
                verb == "SEARCH" && step.contains("slot=?"),
                "{step}: {text}"
            );
        }
    }
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_finds_what_is_hot_by_index_in_one_partition() {
    use tokio_postgres::types::Type;

    let Some(schema) = super::nodes::Schema::new("plans").await else {
        return;
    };
    schema.open(1).await.migrate().await.unwrap();
    let client = schema.connect().await;
    // Of empty tables nothing is cheaper than to read them whole; and a plan
    // has to be good for every value.
    let settings = "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan";
    client.batch_execute(settings).await.unwrap();
    let today = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) / 86400)::BIGINT";
    let today: i64 = client.query_one(today, &[]).await.unwrap().get(0);

    let mut partitioned = 0;
    for sql in hot().into_iter().filter(|sql| sql.is_for(Engine::Postgres)) {
        let text = sql.text(Engine::Postgres);
        let prepared = client.prepare(text).await.unwrap();
        let values = prepared.params().iter().map(|kind| match *kind {
            Type::INT8 => today.to_string(),
            Type::BYTEA => r"'\x00'".to_owned(),
            Type::TEXT => "'x'".to_owned(),
            _ => panic!("{kind}: {text}"),
        });
        let values: Vec<String> = values.collect();
        let explain = format!(
            "DEALLOCATE ALL; PREPARE hot AS {text}; EXPLAIN EXECUTE hot{}",
            if values.is_empty() {
                String::new()
            } else {
                format!("({})", values.join(", "))
            }
        );
        let lines: Vec<String> = client
            .simple_query(&explain)
            .await
            .unwrap()
            .into_iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0)?.to_owned()),
                _ => None,
            })
            .collect();
        let plan = lines.join("\n");
        for table in SLOTTED {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
        }
        // The head of a plan that writes to many tables names their parent.
        let partitions = lines
            .iter()
            .filter(|line| line.contains("Scan") && line.contains(" on spent_"));
        let partitions = partitions.count();
        assert!(partitions <= 1, "{plan}");
        partitioned += partitions;
    }

    assert!(partitioned > 0, "nothing reads a partition");
    schema.drop().await;
}
