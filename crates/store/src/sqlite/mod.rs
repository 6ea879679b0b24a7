//! SQLite inside the binary: one writer thread that groups the acts that wait,
//! two reader threads and one for the feed, checkpoints off the writer's path,
//! and some room that is kept for taking back.

mod checkpoint;
pub(crate) mod file;
mod job;
mod log_file;
pub(crate) mod plan;
mod reader;
mod reserve;
pub(crate) mod sound;
mod thread;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::params_from_iter;
use rusqlite::types::{Value, ValueRef};

use crate::act::{Act, Shared};
use crate::bind::Bind;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::migration::Migration;
use crate::row::Row;
use crate::schema::apply::{Contract, Next};
use crate::statement::Sql;

use checkpoint::Checkpointer;
use file::Lock;
use reader::Readers;
use writer::Writer;

/// How many threads read.
const READERS: usize = 2;
/// How long one migration may take.
const MIGRATED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// An open SQLite database.
pub(crate) struct Sqlite {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
    /// Reads the feed alone: a node that knows nothing new in time answers
    /// nobody, so that must not wait for what somebody else reads.
    feed_reader: Readers,
    checkpointer: Checkpointer,
    /// Keeps a second process out for as long as the store is open.
    lock: Lock,
}

impl Sqlite {
    pub(crate) fn open(path: &str, shared: Arc<Shared>, patience: Duration) -> Result<Self, Fault> {
        let path = PathBuf::from(path);
        file::create(&path)?;
        let lock = Lock::take(&path, patience)?;
        let writer = sound::open_writer(&path)?;
        let log = Arc::default();
        Ok(Self {
            checkpointer: Checkpointer::start(&path, Arc::clone(&log))?,
            readers: Readers::start(&path, READERS, Arc::clone(&shared))?,
            feed_reader: Readers::start(&path, 1, Arc::clone(&shared))?,
            writer: Writer::start(writer, &path, shared, log)?,
            path,
            lock,
        })
    }

    pub(crate) async fn act<A: Act>(&self, act: A) -> Result<A::Out, Fault> {
        job::submit(act, |job| self.writer.send(job)).await
    }

    pub(crate) async fn read<A: Act>(&self, act: A) -> Result<A::Out, Fault> {
        let readers = match A::READS_THE_FEED {
            true => &self.feed_reader,
            false => &self.readers,
        };
        job::submit(act, |job| readers.send(job)).await
    }

    /// Runs what is missing of a list, each in a transaction of its own.
    pub(crate) async fn migrate(
        &self,
        of: &'static [Migration],
        contract: Contract,
    ) -> Result<Vec<Migration>, Fault> {
        let mut run = Vec::new();
        loop {
            let next = Next { of, contract };
            let step = job::submit_within(MIGRATED_WITHIN, next, |job| self.writer.send(job));
            match step.await? {
                Some(step) => run.push(step),
                None => return Ok(run),
            }
        }
    }

    /// Waits for the threads, copies the log back and lets the file go.
    pub(crate) async fn close(&self) {
        let writer = self.writer.stop();
        let readers = [self.readers.stop(), self.feed_reader.stop()];
        let checkpointer = self.checkpointer.stop();
        let path = self.path.clone();
        let ended = tokio::task::spawn_blocking(move || {
            writer.join();
            readers.into_iter().flatten().for_each(thread::Handle::join);
            checkpointer.join();
            file::fold_log(&path);
        });
        // The folding is a courtesy to the next start, which does it too.
        let _ = ended.await;
        self.lock.release();
    }
}

/// Runs a statement on a connection, row by row.
pub(crate) fn each(
    connection: &rusqlite::Connection,
    sql: &Sql,
    binds: &[Bind<'_>],
    mut take: impl FnMut(Row) -> Result<(), Fault>,
) -> Result<u64, Fault> {
    let mut statement = connection.prepare_cached(sql.text(Engine::Sqlite))?;
    if statement.column_count() == 0 {
        let changed = statement.execute(params_from_iter(binds))?;
        return Ok(u64::try_from(changed).unwrap_or(0));
    }
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(binds))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        take(read(row, columns)?)?;
        count += 1;
    }
    Ok(count)
}

/// The same for a text that is not known beforehand, and has no parameters.
pub(crate) fn rows(
    connection: &rusqlite::Connection,
    text: &str,
    mut take: impl FnMut(Row) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut statement = connection.prepare(text)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(read(row, columns)?)?;
    }
    Ok(())
}

fn read(row: &rusqlite::Row<'_>, columns: usize) -> Result<Row, Fault> {
    let mut values = Vec::with_capacity(columns);
    for column in 0..columns {
        values.push(owned(row.get_ref(column)?)?);
    }
    Ok(Row::Sqlite(values))
}

fn owned(value: ValueRef<'_>) -> Result<Value, Fault> {
    Value::try_from(value).map_err(|_| Fault::broken("sqlite: a text is not UTF-8"))
}
