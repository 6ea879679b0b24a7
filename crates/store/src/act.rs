//! An act: what one request changes, as one transaction.

use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::task::{Context, Poll, Waker};

use crate::bind::Bind;
use crate::dialect::Engine;
use crate::fault::Fault;
use crate::faults::Faults;
use crate::revocation::Revocation;
use crate::row::Row;
use crate::statement::Sql;

/// An act: a struct of its arguments and what it does with them.
///
/// A refusal is an `Out` and commits; a [`Fault`] rolls back this act alone.
/// It is taken by reference, because a serialization failure runs it again.
pub trait Act: Send + Sync + 'static {
    /// What the caller learns.
    type Out: Send + 'static;

    /// Whether one statement is all: on PostgreSQL it is sent without `BEGIN`.
    const SINGLE: bool = false;

    /// Whether it does nothing but take back, and locks nothing before the head
    /// of the feed: on PostgreSQL those that wait on a node share a transaction.
    const ONLY_TAKES_BACK: bool = false;

    /// Whether it does nothing but end or forget rows, or claims the right to:
    /// on SQLite it is carried out although the disk is full, as is whatever
    /// records that something was taken back.
    const FREES: bool = false;

    /// Whether what a node knows is only as young as this read: on SQLite it
    /// waits for no reads but its own kind.
    const READS_THE_FEED: bool = false;

    /// Carries the act out. It can await nothing but the store.
    fn run<'a>(
        &'a self,
        tx: &'a mut Tx<'_>,
    ) -> impl Future<Output = Result<Self::Out, Fault>> + Send;

    /// The one statement that decides the common case, where there is one:
    /// PostgreSQL is sent it alone, and [`Act::run`] follows only where it
    /// decided nothing, and so changed nothing.
    fn first<'a>(
        &'a self,
        _tx: &'a mut Tx<'_>,
    ) -> impl Future<Output = Result<Option<Self::Out>, Fault>> + Send {
        std::future::ready(Ok(None))
    }

    /// Finds out what became of this act when the answer to its commit was
    /// lost. It must wait for a transaction that is still under way, so it
    /// begins with a statement that meets that one's locks; what it writes is
    /// rolled back. Only PostgreSQL asks.
    fn settled<'a>(
        &'a self,
        _tx: &'a mut Tx<'_>,
    ) -> impl Future<Output = Result<Settled<Self::Out>, Fault>> + Send {
        std::future::ready(Ok(Settled::Unknown))
    }
}

/// What became of an act whose commit was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled<T> {
    /// It was stored, with this outcome.
    Done(T),
    /// It was not stored, or changes nothing where it is run once more.
    Undone,
    /// Nothing that was stored tells.
    Unknown,
}

/// What all acts of one process share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Names this process in audit rows.
    pub(crate) node: i64,
    /// Numbers its audit rows.
    pub(crate) counter: AtomicI64,
    /// Numbers its messages.
    pub(crate) messages: AtomicI64,
    /// Whom it has written messages to since it looked last.
    pub(crate) outbox: crate::outbox::bound::Noted,
    /// How many acts that wrote were committed.
    pub(crate) commits: AtomicU64,
    /// The furthest place of the feed that was seen committed.
    pub(crate) seen: crate::feed::Seen,
    /// Told of every committed revocation before the caller is answered.
    pub(crate) observer: OnceLock<Observer>,
    /// Whether the disk is full: only what takes back is written.
    pub(crate) full: AtomicBool,
    /// Where tests let something go wrong.
    pub(crate) faults: Faults,
}

pub(crate) type Observer = Box<dyn Fn(&[Revocation]) + Send + Sync>;

/// The transaction that an act runs in. Only this crate can use it.
pub struct Tx<'c> {
    link: Link<'c>,
    pub(crate) shared: &'c Shared,
    /// Whether rows were written.
    pub(crate) wrote: bool,
    /// Whether a statement was sent that writes, whatever came of it.
    pub(crate) asked_to_write: bool,
    /// Whether the head of the feed is locked.
    pub(crate) has_head: bool,
    pub(crate) recorded: Vec<Revocation>,
}

pub(crate) enum Link<'c> {
    // Not `&Connection`: that would not be `Send`.
    Sqlite(&'c mut rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Postgres(crate::postgres::Link<'c>),
}

impl<'c> Tx<'c> {
    pub(crate) fn new(link: Link<'c>, shared: &'c Shared) -> Self {
        Self {
            link,
            shared,
            wrote: false,
            asked_to_write: false,
            has_head: false,
            recorded: Vec::new(),
        }
    }

    pub(crate) fn engine(&self) -> Engine {
        match &self.link {
            Link::Sqlite(_) => Engine::Sqlite,
            #[cfg(feature = "postgres")]
            Link::Postgres(_) => Engine::Postgres,
        }
    }

    /// A fault of a statement that was sent without `BEGIN`: where it writes
    /// and its answer was lost, it may have been stored.
    #[cfg(feature = "postgres")]
    pub(crate) fn doubted(&self, fault: Fault) -> Fault {
        if self.asked_to_write {
            fault.doubted()
        } else {
            fault
        }
    }

    /// At most one row; what follows it is not read.
    pub(crate) async fn one(
        &mut self,
        sql: &'static Sql,
        binds: &[Bind<'_>],
    ) -> Result<Option<Row>, Fault> {
        let mut found = None;
        self.each(sql, binds, |row| {
            found.get_or_insert(row);
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Every row, read into what it means.
    pub(crate) async fn all<T: Send>(
        &mut self,
        sql: &'static Sql,
        binds: &[Bind<'_>],
        read: fn(&Row) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut rows = Vec::new();
        self.each(sql, binds, |row| {
            rows.push(read(&row)?);
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// No row: how many were changed.
    pub(crate) async fn run(
        &mut self,
        sql: &'static Sql,
        binds: &[Bind<'_>],
    ) -> Result<u64, Fault> {
        self.each(sql, binds, |_| Ok(())).await
    }

    /// Gives each row to `take` as it arrives; answers how many rows came or
    /// were changed. On SQLite the future is ready at its first poll.
    pub(crate) async fn each(
        &mut self,
        sql: &'static Sql,
        binds: &[Bind<'_>],
        take: impl FnMut(Row) -> Result<(), Fault> + Send,
    ) -> Result<u64, Fault> {
        self.asked_to_write |= sql.writes();
        let faults = &self.shared.faults;
        let rows = match &mut self.link {
            Link::Sqlite(connection) => {
                faults.pass("sqlite: before a statement")?;
                let rows = crate::sqlite::each(connection, sql, binds, take)?;
                faults.pass("sqlite: after a statement")?;
                rows
            }
            #[cfg(feature = "postgres")]
            Link::Postgres(link) => {
                faults.reach("postgres: before a statement").await?;
                let rows = link.each(sql, binds, take).await?;
                faults.reach("postgres: after a statement").await?;
                rows
            }
        };
        self.wrote |= rows > 0 && sql.writes();
        Ok(rows)
    }
}

/// Polls once. An act awaits nothing but the store, which on SQLite is never
/// pending, so nothing slow can ever stand inside the writer.
pub(crate) fn ready<T>(future: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => Err(Fault::broken("an act waited for something else")),
    }
}

impl Tx<'_> {
    /// Several statements without parameters: a migration.
    pub(crate) async fn batch(&mut self, text: &str) -> Result<(), Fault> {
        match &mut self.link {
            Link::Sqlite(connection) => Ok(connection.execute_batch(text)?),
            #[cfg(feature = "postgres")]
            Link::Postgres(link) => link.batch(text).await,
        }
    }
}
