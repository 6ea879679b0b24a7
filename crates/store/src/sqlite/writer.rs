//! The one thread that writes: drains what waits into a group, gives each act
//! a savepoint, commits once, then answers all.
//!
//! 1. `BEGIN IMMEDIATE`.
//! 2. For each act `SAVEPOINT`, the act, `RELEASE`, or `ROLLBACK TO` on a fault.
//! 3. `COMMIT`, which syncs the log; then every caller is answered.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use symbolon_protocol::planted;

use super::checkpoint::Log;
use super::file;
use super::job::{Job, Ran};
use super::reserve::{AGAIN, Reserve};
use super::thread::{Handle, Thread};
use crate::act::Shared;
use crate::fault::Fault;
use crate::revocation::Revocation;

/// How many acts may wait. One more is answered that the store is unavailable.
const WAITING: usize = 1024;
/// How many acts share one commit at most.
const GROUP: usize = 256;
/// How long to wait for one more act where the last group had more.
const PATIENCE: Duration = Duration::from_micros(100);

pub(crate) struct Writer {
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    thread: Thread,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        path: &Path,
        shared: Arc<Shared>,
        log: Arc<Log>,
    ) -> Result<Self, Fault> {
        let (queue, jobs) = sync_channel(WAITING);
        let mut writing = Writing {
            connection,
            path: path.to_owned(),
            shared,
            log,
            reserve: Reserve::of(path),
        };
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Thread::start("store-writer", move || writing.serve(&jobs))?,
        })
    }

    pub(crate) fn send(&self, job: Box<dyn Job>) -> Result<(), Fault> {
        let queue = self.queue.lock().ok();
        let sent = queue
            .as_ref()
            .and_then(|queue| queue.as_ref()?.try_send(job).ok());
        sent.ok_or_else(|| Fault::unavailable("sqlite: too many writes wait, or it was closed"))
    }

    /// Takes no more acts. Those that wait are still carried out.
    pub(crate) fn stop(&self) -> Handle {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        self.thread.handle()
    }
}

struct Writing {
    connection: Connection,
    path: PathBuf,
    shared: Arc<Shared>,
    log: Arc<Log>,
    reserve: Reserve,
}

impl Writing {
    fn serve(&mut self, jobs: &Receiver<Box<dyn Job>>) {
        let mut group = Vec::with_capacity(GROUP);
        let mut before = 0;
        while let Some(first) = self.next(jobs) {
            group.push(first);
            gather(&mut group, jobs, before);
            before = group.len();
            group.retain(|job| !job.is_abandoned());
            if !group.is_empty() {
                self.commit(&mut group);
            }
            self.log.restart_when_long(&self.connection);
        }
    }

    /// Waits for an act, and while the disk is full looks whether it still is.
    fn next(&mut self, jobs: &Receiver<Box<dyn Job>>) -> Option<Box<dyn Job>> {
        while self.reserve.is_given_up() {
            self.reserve.recover();
            self.tell();
            match jobs.recv_timeout(AGAIN) {
                Err(RecvTimeoutError::Timeout) => {}
                next => return next.ok(),
            }
        }
        jobs.recv().ok()
    }

    /// Lets others know whether the disk is full.
    fn tell(&self) {
        let is_full = self.reserve.is_given_up();
        self.shared.full.store(is_full, Ordering::Relaxed);
    }

    /// Runs a group and answers it.
    fn commit(&mut self, group: &mut Vec<Box<dyn Job>>) {
        let mut kept = Kept::default();
        let mut outcome = self.transact(group, &mut kept);
        if let Err(fault) = &outcome
            && fault.is_full()
        {
            // Once more, with the room that was kept, for what takes back.
            self.recover();
            self.reserve.give_up(&fault.to_string());
            self.tell();
            kept = Kept::default();
            outcome = self.transact(group, &mut kept);
        }
        if let Err(fault) = outcome {
            // None of them is known to be stored: not one may answer that it is.
            self.recover();
            let what = fault.to_string();
            for job in group.drain(..) {
                job.answer(Some(Fault::unavailable(what.clone())));
            }
            return;
        }
        self.shared
            .commits
            .fetch_add(kept.writes, Ordering::Relaxed);
        if kept.writes > 0 {
            self.log.grew();
        }
        for record in &kept.recorded {
            self.shared.seen.note(record.position);
        }
        if let Some(observer) = self
            .shared
            .observer
            .get()
            .filter(|_| !kept.recorded.is_empty() && !planted(33))
        {
            observer(&kept.recorded);
        }
        for job in group.drain(..) {
            job.answer(None);
        }
    }

    fn transact(&mut self, group: &mut [Box<dyn Job>], kept: &mut Kept) -> Result<(), Fault> {
        let shared = Arc::clone(&self.shared);
        let faults = &shared.faults;
        faults.pass("sqlite: before BEGIN")?;
        self.execute("BEGIN IMMEDIATE")?;
        for job in group {
            faults.pass("sqlite: before SAVEPOINT")?;
            self.execute("SAVEPOINT act")?;
            let ran = job.run(&mut self.connection, &self.shared);
            // A full disk and its like may have ended the whole transaction.
            if self.connection.is_autocommit() {
                let what = "sqlite rolled a transaction back";
                return Err(match ran {
                    Ran::Faulted { full: true } => Fault::full(what),
                    _ => Fault::unavailable(what),
                });
            }
            match ran {
                Ran::Kept { wrote, recorded }
                    if wrote
                        && recorded.is_empty()
                        && !job.frees()
                        && self.reserve.is_given_up() =>
                {
                    self.execute("ROLLBACK TO act")?;
                    job.refuse(Fault::full("sqlite: the disk is full"));
                }
                Ran::Kept { wrote, recorded } => {
                    kept.writes += u64::from(wrote);
                    kept.recorded.extend(recorded);
                }
                Ran::Faulted { full: true } if !self.reserve.is_given_up() => {
                    return Err(Fault::full("sqlite: the disk is full"));
                }
                Ran::Faulted { .. } => self.execute("ROLLBACK TO act")?,
            }
            faults.pass("sqlite: before RELEASE")?;
            self.execute("RELEASE act")?;
        }
        faults.pass("sqlite: before COMMIT")?;
        self.execute("COMMIT")?;
        faults.pass("sqlite: after COMMIT")
    }

    fn execute(&self, text: &str) -> Result<(), Fault> {
        self.connection.prepare_cached(text)?.execute([])?;
        Ok(())
    }

    /// After a group that failed the connection's state is not to be trusted.
    fn recover(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
        // Where it cannot be opened again, the old one is tried once more.
        if let Ok(connection) = file::open_writer(&self.path) {
            self.connection = connection;
        }
    }
}

/// Adds what waits. The callers of the last group have just been answered and
/// are about to come again: a moment's patience saves them from sharing their
/// commit with nobody, which would make every second sync a wasted one.
fn gather(group: &mut Vec<Box<dyn Job>>, jobs: &Receiver<Box<dyn Job>>, before: usize) {
    group.extend(jobs.try_iter().take(GROUP - 1));
    while group.len() < before {
        let Ok(next) = jobs.recv_timeout(PATIENCE) else {
            return;
        };
        group.push(next);
        let room = GROUP - group.len().min(GROUP);
        group.extend(jobs.try_iter().take(room));
    }
}

#[derive(Default)]
struct Kept {
    writes: u64,
    recorded: Vec<Revocation>,
}
