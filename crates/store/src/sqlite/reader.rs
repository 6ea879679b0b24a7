//! Threads that read, each with a connection of its own. A read ends when its
//! caller has gone, so that no thread is lost to it.

use std::ffi::c_int;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use super::file;
use super::job::Job;
use super::thread::{Handle, Thread};
use crate::act::Shared;
use crate::fault::Fault;

/// How many reads may wait.
const WAITING: usize = 1024;
/// After how many instructions of SQLite's machine it is asked whether somebody
/// still waits for the read: well below a millisecond.
const INSTRUCTIONS: c_int = 1000;

pub(crate) struct Readers {
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    threads: Vec<Thread>,
}

impl Readers {
    pub(crate) fn start(path: &Path, many: usize, shared: Arc<Shared>) -> Result<Self, Fault> {
        let (queue, jobs) = sync_channel(WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut threads = Vec::with_capacity(many);
        for _ in 0..many {
            let connection = file::open_reader(path)?;
            let (jobs, shared) = (Arc::clone(&jobs), Arc::clone(&shared));
            let run = move || serve(connection, &jobs, &shared);
            threads.push(Thread::start("store-reader", run)?);
        }
        let queue = Mutex::new(Some(queue));
        Ok(Self { queue, threads })
    }

    pub(crate) fn send(&self, job: Box<dyn Job>) -> Result<(), Fault> {
        let queue = self.queue.lock().ok();
        let sent = queue
            .as_ref()
            .and_then(|queue| queue.as_ref()?.try_send(job).ok());
        sent.ok_or_else(|| Fault::unavailable("sqlite: too many reads wait, or it was closed"))
    }

    pub(crate) fn stop(&self) -> Vec<Handle> {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        self.threads.iter().map(Thread::handle).collect()
    }
}

fn serve(mut connection: Connection, jobs: &Mutex<Receiver<Box<dyn Job>>>, shared: &Shared) {
    loop {
        let next = jobs.lock().ok().and_then(|jobs| jobs.recv().ok());
        let Some(mut job) = next else { return };
        if job.is_abandoned() {
            continue;
        }
        let undone = read(&mut connection, job.as_mut(), shared).err();
        job.answer(undone);
    }
}

/// Several statements see one snapshot; one needs no transaction for that.
fn read(connection: &mut Connection, job: &mut dyn Job, shared: &Shared) -> Result<(), Fault> {
    shared.faults.pass("sqlite: before reading")?;
    if job.is_single() {
        return run(connection, job, shared);
    }
    connection.prepare_cached("BEGIN DEFERRED")?.execute([])?;
    let ran = run(connection, job, shared);
    // Whatever ended it: the next read begins a transaction of its own.
    if !connection.is_autocommit() {
        connection.prepare_cached("COMMIT")?.execute([])?;
    }
    ran
}

/// Runs an act for as long as its caller waits.
fn run(connection: &mut Connection, job: &mut dyn Job, shared: &Shared) -> Result<(), Fault> {
    let caller = job.caller();
    connection.progress_handler(INSTRUCTIONS, Some(move || caller.has_gone()))?;
    job.run(connection, shared);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    Ok(())
}
