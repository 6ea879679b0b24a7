//! The floor of refresh on SQLite: one loop that writes the same rows of the
//! same schema by the same statement, in groups, every commit on disk.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use crate::clock;
use crate::load::CONNECTIONS;

/// How many rows share a commit: as many as the server can bring together when
/// each of its connections waits for one.
const GROUP: usize = CONNECTIONS;
/// How long a family then lives where it is not used.
const IDLE_MS: i64 = 14 * 24 * 3600 * 1000;

/// What `refresh_family/rotation.rs` in the store runs for each refresh.
pub(crate) const ROTATE: &str = "UPDATE family SET generation = generation + 1,
        previous_secret = current_secret, current_secret = ?5, working_key = ?6,
        rotated = ?7, idle_ends = min(?8, absolute_ends)
    WHERE slot = ?1 AND id = ?2 AND generation = ?3 AND current_secret = ?4
        AND ended IS NULL AND idle_ends > ?7 AND absolute_ends > ?7
        AND EXISTS (SELECT 1 FROM family_authority a
            JOIN grants g ON g.slot = a.slot AND g.id = a.grant_id
            LEFT JOIN session s ON s.slot = a.slot AND s.id = a.session_id
            WHERE a.slot = ?1 AND a.id = ?2 AND a.client = ?9
                AND g.withdrawn IS NULL AND s.ended IS NULL)
    RETURNING generation, working_key, idle_ends, absolute_ends,
        (SELECT a.grant_id FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id),
        (SELECT a.session_id FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id),
        (SELECT a.client FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id),
        (SELECT a.person FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id),
        (SELECT a.document FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id),
        (SELECT a.epoch FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id),
        (SELECT a.sequence FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id),
        (SELECT a.created FROM family_authority a WHERE a.slot = family.slot AND a.id = family.id)";

/// Whether a statement is planned once.
#[derive(Clone, Copy)]
pub(crate) enum Plans {
    /// As SQLite does by itself: where statistics are compiled in, a statement
    /// is planned anew when other values are bound.
    Renewed,
    /// Once, as the store has it.
    Kept,
}

/// Families in a database that nobody else has open.
pub(crate) struct Rows {
    connection: Connection,
    families: Vec<Family>,
    next: usize,
    written: u64,
}

struct Family {
    slot: i64,
    id: Vec<u8>,
    generation: i64,
    secret: Vec<u8>,
    key: i64,
    client: String,
}

impl Rows {
    /// Copies a server's database, with all its families, and opens the copy.
    pub(crate) fn copy(database: &Path, to: &Path, plans: Plans) -> Result<Self> {
        let theirs = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        theirs.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        let connection = Connection::open(to)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -8192;
             PRAGMA wal_autocheckpoint = 0;",
        )?;
        let kept = matches!(plans, Plans::Kept);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, kept)?;
        let families = families(&connection)?;
        ensure!(families.len() >= GROUP, "too few families to write");
        Ok(Self {
            connection,
            families,
            next: 0,
            written: 0,
        })
    }

    /// Writes groups for a while; rows a second. The log is copied back before
    /// the time runs, as the store does beside its writer.
    pub(crate) fn run(&mut self, warm_up: Duration, measured: Duration) -> Result<f64> {
        self.write_for(warm_up)?;
        let checkpoint = "PRAGMA wal_checkpoint(RESTART)";
        self.connection.query_row(checkpoint, [], |_| Ok(()))?;
        let began = clock::now();
        let rows = self.write_for(measured)?;
        Ok(rows as f64 / began.elapsed().as_secs_f64())
    }

    /// Writes at least one group, however short the time is.
    fn write_for(&mut self, span: Duration) -> Result<u64> {
        let began = clock::now();
        let before = self.written;
        loop {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            for _ in 0..GROUP {
                self.rotate()?;
            }
            self.connection.execute_batch("COMMIT")?;
            if began.elapsed() >= span {
                return Ok(self.written - before);
            }
        }
    }

    fn rotate(&mut self) -> Result<()> {
        let now = clock::unix_milliseconds();
        let mut secret = vec![0; 16];
        self.written += 1;
        secret[..8].copy_from_slice(&self.written.to_be_bytes());
        let family = &mut self.families[self.next];
        let mut statement = self.connection.prepare_cached(ROTATE)?;
        let values = params![
            family.slot,
            family.id,
            family.generation,
            family.secret,
            secret,
            family.key,
            now,
            now + IDLE_MS,
            family.client
        ];
        family.generation = statement.query_row(values, |row| {
            for column in 4..12 {
                row.get_ref(column)?;
            }
            row.get(0)
        })?;
        family.secret = secret;
        self.next = (self.next + 1) % self.families.len();
        Ok(())
    }
}

fn families(connection: &Connection) -> Result<Vec<Family>> {
    let mut statement = connection.prepare(
        "SELECT f.slot, f.id, f.generation, f.current_secret, f.working_key, a.client
        FROM family f JOIN family_authority a ON a.slot = f.slot AND a.id = f.id",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Family {
            slot: row.get(0)?,
            id: row.get(1)?,
            generation: row.get(2)?,
            secret: row.get(3)?,
            key: row.get(4)?,
            client: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let quoteless = text.replace(['"', '\\'], "");
        quoteless.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_statement_is_the_stores_own() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../crates/store/src/refresh_family/rotation.rs"
        );
        let source = std::fs::read_to_string(path).unwrap();
        let theirs = words(&source).replace("{least}", "min");
        let ours = words(ROTATE);
        let (change, columns) = ours.split_once(", (SELECT").unwrap();

        assert!(theirs.contains(change), "{change}");
        let returned = source.matches("beside!(").count();
        assert_eq!(columns.matches("FROM family_authority").count(), returned);
    }

    #[test]
    fn a_loop_over_a_copy_rotates_every_family() {
        let folder = std::env::temp_dir().join(format!("symbolon-rows-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("theirs.db");
        let theirs = Connection::open(&path).unwrap();
        theirs.execute_batch(&schema()).unwrap();
        for n in 0..GROUP {
            theirs.execute_batch(&family_row(n)).unwrap();
        }

        let mut rows = Rows::copy(&path, &folder.join("ours.db"), Plans::Kept).unwrap();
        let rate = rows.run(Duration::ZERO, Duration::from_millis(20)).unwrap();

        let least = "SELECT min(generation) FROM family";
        let least = rows.connection.query_row(least, [], |row| row.get(0));
        assert!(rate > 0.0);
        assert!(least.is_ok_and(|least: i64| least >= 1));
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// The store's tables as SQLite reads them.
    fn schema() -> String {
        let text = include_str!("../../../crates/store/src/migrations/0001_first_tables.sql");
        let words = [
            ("{integer}", "INTEGER"),
            ("{blob}", "BLOB"),
            ("{serial}", "INTEGER PRIMARY KEY"),
            ("{strict}", "STRICT"),
            ("{clustered}", "STRICT, WITHOUT ROWID"),
            ("{hot}", "STRICT, WITHOUT ROWID"),
        ];
        words
            .iter()
            .fold(text.to_owned(), |text, (word, own)| text.replace(word, own))
    }

    fn family_row(n: usize) -> String {
        let id = format!("x'{n:032x}'");
        let far = 9_000_000_000_000_i64;
        format!(
            "INSERT INTO family VALUES ({n}, {id}, 0, x'00', NULL, 1, 0, {far}, {far}, NULL);
            INSERT INTO grants VALUES ({n}, {id}, x'01', 'web', '', '{{}}', 0, 0, 1, 0, NULL);
            INSERT INTO family_authority
                VALUES ({n}, {id}, {id}, NULL, 'web', x'01', 0, 1, 0, x'00');"
        )
    }
}
