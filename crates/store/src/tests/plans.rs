//! How the engines carry out every statement there is: by the slot and an index,
//! and in one partition where there are several. What does otherwise is named
//! here, with its reason.

use super::Folder;
use super::slots::{names, unnamed};
use crate::dialect::Engine;
use crate::statement::Sql;

/// Tables whose keys the slot leads.
const SLOTTED: &[&str] = &[
    "family",
    "family_authority",
    "grants",
    "session",
    "session_client",
    "spent",
    "discharge",
    "device_authorization",
    "api_key",
    "browser_session",
];

/// Tables without slots that grow with what is done.
#[cfg(feature = "postgres")]
const LARGE: &[&str] = &[
    "revocation",
    "outbox",
    "audit",
    "audit_link",
    "attempt",
    "client",
    "client_secret",
    "person",
    "login_name",
    "membership",
    "organization",
    "registered_client",
    "api_key_digest",
    "signal_stream",
    "signal_subject",
    "status_entry",
];

/// What is carried out over many slots: by a node that sweeps, by an
/// administrator, or by whoever knows no slot. Every other statement there is
/// names its own.
fn wide() -> Vec<&'static Sql> {
    let mut wide: Vec<&Sql> = vec![
        // An end of an index is one row of each slot: whoever takes something
        // wide back asks them all, and a refresh does not come here.
        &crate::revocation::LONGEST_FAMILY,
        &crate::key::LONGEST_FAMILY,
        // A client or an organization, as far as it is small (`ending::many`).
        &crate::ending::GRANTS_OF_CLIENT,
        &crate::ending::FAMILIES_OF_CLIENT,
        &crate::ending::KEYS_OF_CLIENT,
        &crate::ending::GRANTS_OF_ORGANIZATION,
        &crate::ending::FAMILIES_OF_ORGANIZATION,
        &crate::ending::KEYS_OF_ORGANIZATION,
        &crate::ending::many::GRANTS_OF_CLIENT,
        &crate::ending::many::KEYS_OF_CLIENT,
        &crate::ending::many::GRANTS_OF_ORGANIZATION,
        &crate::ending::many::KEYS_OF_ORGANIZATION,
        &crate::ending::many::LEFT_FAMILIES_OF_CLIENT,
        &crate::ending::many::LEFT_FAMILIES_OF_ORGANIZATION,
        &crate::ending::many::LEFT_KEYS_OF_CLIENT,
        &crate::ending::many::LEFT_KEYS_OF_ORGANIZATION,
        &crate::ending::many::LEFT_GRANTS_OF_CLIENT,
        &crate::ending::many::LEFT_GRANTS_OF_ORGANIZATION,
        &crate::ending::many::LISTENERS,
        &crate::signal_stream::FORGET_CLIENT,
        // An issuer names its session, and not always whose it is.
        &crate::browser_session::END_OF_ISSUER,
        // An administrator reads a list.
        &crate::grant::OF_CLIENT,
        &crate::api_key::list::LIST,
        &crate::count::COUNT,
        // Once a minute one node looks for clients that nobody uses.
        &crate::registered_client::LOOK,
        &crate::registered_client::DELETE_UNUSED,
    ];
    wide.extend(sweeps());
    wide.extend(crate::backup::void::STATEMENTS);
    wide
}

/// What forgets by time, a few rows at once.
fn sweeps() -> Vec<&'static Sql> {
    let outbox: [&Sql; 3] = [
        &crate::outbox::dead_letter::DIE,
        &crate::outbox::dead_letter::FORGET,
        &crate::outbox::dead_letter::FORGET_SESSIONS,
    ];
    [crate::purge::STATEMENTS, &outbox].concat()
}

/// What goes through a slot from its begin to its end.
fn through_a_slot() -> Vec<&'static Sql> {
    let many: [&Sql; 3] = [
        &crate::ending::many::FORGET_LISTENER,
        &crate::ending::many::END_FAMILIES_OF_ORGANIZATION,
        &crate::ending::many::END_GRANTS_OF_ORGANIZATION,
    ];
    [crate::idle::STATEMENTS, &many].concat()
}

/// What reads a table whole that grows with what is kept: for an administrator,
/// a start, a migration, or one row of it.
fn whole() -> Vec<&'static Sql> {
    let own: [&Sql; 6] = [
        &crate::count::COUNT,
        &crate::api_key::HAS_IMPORTED,
        &crate::ending::many::LISTENERS,
        // A restore.
        &crate::status_list::FORGET,
        // An administrator deletes an organization.
        &crate::naming::CLIENTS,
        // A client has a few streams.
        &crate::outbox::part::UNSETTLED,
    ];
    let all = [
        crate::backup::void::STATEMENTS,
        crate::schema::shape::STATEMENTS,
        &own,
    ];
    [all.concat(), vec![&crate::signal_stream::FORGET_CLIENT]].concat()
}

/// Tables, and names for them or for a part of a statement, that have a row, a
/// few, or one for each thing that an administrator made, and are read as they
/// are.
const SMALL: &[&str] = &[
    "CONSTANT",
    "audit_anchor",
    "audit_node",
    "audit_start",
    "feed_head",
    "meta",
    "migration",
    "outbox_receiver",
    "resource",
    "trusted_issuer",
    "working_key",
    // The head, a receiver, a process, a start of the trail, and parts.
    "h",
    "r",
    "n",
    "s",
    "e",
    "waiting",
];

fn is_among(sql: &Sql, some: &[&'static Sql]) -> bool {
    some.iter().any(|own| std::ptr::eq(*own, sql))
}

/// Every statement but those of some.
fn but(some: &[&'static Sql]) -> Vec<&'static Sql> {
    let mut all = crate::statement::registered();
    all.retain(|sql| !is_among(sql, some));
    all
}

/// Whatever stands in a table that slots lead is asked for by its slot, in each
/// part of a statement.
#[test]
fn every_statement_names_its_slot_but_those_that_are_known_to_be_wide() {
    for sql in but(&wide()) {
        let text = sql.text(Engine::Sqlite);
        let unnamed = unnamed(text, SLOTTED);
        assert!(unnamed.is_empty(), "{unnamed:?}: {text}");
    }
    let lists = [sweeps(), crate::backup::void::STATEMENTS.to_vec()].concat();
    for sql in wide() {
        let text = sql.text(Engine::Sqlite);
        let is_wide = !unnamed(text, SLOTTED).is_empty();
        assert!(is_wide || is_among(sql, &lists), "names its slot: {text}");
    }
}

/// How SQLite carries a statement out.
pub(super) fn steps(connection: &rusqlite::Connection, text: &str) -> Vec<String> {
    let mut plan = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let nothing = (0..plan.parameter_count()).map(|_| rusqlite::types::Null);
    plan.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

async fn connection(folder: &Folder) -> rusqlite::Connection {
    folder.store().await.close().await;
    let path = folder.path().join("symbolon.db");
    crate::sqlite::file::open_writer(&path).unwrap()
}

/// Nothing grows with what others have: each part is found by an index, and
/// what has a slot by more than that.
#[tokio::test]
async fn sqlite_finds_everything_by_an_index_and_in_a_slot_by_more() {
    let folder = Folder::new();
    let connection = connection(&folder).await;
    let (wide, through) = (wide(), through_a_slot());

    for sql in but(&whole()) {
        if !sql.is_for(Engine::Sqlite) {
            continue;
        }
        let text = sql.text(Engine::Sqlite);
        let slotted = names(text, SLOTTED);
        for step in steps(&connection, text) {
            let mut words = step.split(' ');
            let (verb, table) = (words.next().unwrap(), words.next().unwrap_or_default());
            assert!(verb != "SCAN" || SMALL.contains(&table), "{step}: {text}");
            if verb != "SEARCH" || !slotted.contains(&table) || is_among(sql, &wide) {
                continue;
            }
            let is_found = step.contains("slot=? AND") || step.contains("AND slot=?");
            let is_through = step.contains("slot=?") && is_among(sql, &through);
            assert!(is_found || is_through, "{step}: {text}");
        }
    }
}

/// A sweep reads no more rows than it deals with: from an end of an index, and
/// without sorting.
#[tokio::test]
async fn sqlite_sweeps_from_the_end_of_an_index() {
    let folder = Folder::new();
    let connection = connection(&folder).await;

    for sql in sweeps() {
        let text = sql.text(Engine::Sqlite);
        let steps = steps(&connection, text);
        let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
        let from_an_end = steps.iter().any(|step| step.contains("<?)"));
        assert!(!sorts && from_an_end, "{steps:?}: {text}");
    }
}

/// A page of a list costs what is on it, whatever else the list has.
#[tokio::test]
async fn sqlite_reads_the_grants_of_a_client_in_their_order() {
    let folder = Folder::new();
    let connection = connection(&folder).await;

    let text = crate::grant::OF_CLIENT.text(Engine::Sqlite);
    let steps = steps(&connection, text).join("; ");

    assert!(
        steps.contains("grants_client_id (client=? AND id>?)"),
        "{steps}"
    );
    assert!(!steps.contains("TEMP B-TREE"), "{steps}");
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
    let (wide, whole) = (wide(), whole());
    for sql in crate::statement::registered() {
        if !sql.is_for(Engine::Postgres) || is_among(sql, &whole) {
            continue;
        }
        let text = sql.text(Engine::Postgres);
        let prepared = client.prepare(text).await.unwrap();
        let values = prepared.params().iter().map(|kind| match *kind {
            Type::INT8 => today.to_string(),
            Type::BYTEA => r"'\x00'".to_owned(),
            Type::TEXT => "'x'".to_owned(),
            Type::INT4 => "1".to_owned(),
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
        for table in SLOTTED.iter().chain(LARGE) {
            let is_read_whole = lines.iter().any(|line| {
                let whole = format!("Seq Scan on {table}");
                line.split("->").any(|part| {
                    let part = part.trim_start();
                    part == whole || part.starts_with(&format!("{whole} "))
                })
            });
            assert!(!is_read_whole, "{text}: {plan}");
        }
        // The head of a plan that writes to many tables names their parent.
        let partitions = lines
            .iter()
            .filter(|line| line.contains("Scan") && line.contains(" on spent_"));
        let partitions = partitions.count();
        assert!(partitions <= 1 || is_among(sql, &wide), "{plan}");
        partitioned += partitions;
    }

    assert!(partitioned > 0, "nothing reads a partition");
    schema.drop().await;
}
