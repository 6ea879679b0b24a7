//! A program that is measured: started, awaited, looked at, ended.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;
use crate::wire::Request;

const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(1);

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From the start to the first good answer of `/readyz`.
    pub(crate) ready_after: Duration,
}

impl Process {
    /// Starts a program and waits until it is ready. What it says goes to a file.
    pub(crate) fn start(mut command: Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let log_file = File::create(log)?;
        command
            .stdin(Stdio::null())
            .stdout(log_file.try_clone()?)
            .stderr(log_file);
        let started = clock::now();
        let child = command
            .spawn()
            .with_context(|| format!("could not start {:?}", command.get_program()))?;
        let mut process = Self {
            child,
            address,
            ready_after: Duration::ZERO,
        };
        loop {
            let answer = Request::get("/readyz").send(address);
            if answer.is_ok_and(|answer| answer.status == 200) {
                process.ready_after = started.elapsed();
                return Ok(process);
            }
            let ended = process.child.try_wait()?;
            if ended.is_some() || started.elapsed() > READY_WITHIN {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{:?} did not get ready: {said}", command.get_program());
            }
            sleep(POLL);
        }
    }

    /// The memory that is resident, in MiB.
    pub(crate) fn resident(&self) -> Result<f64> {
        resident(&self.child.id().to_string())
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        let id = Pid::from_raw(id).context("a process without an id")?;
        kill_process(id, Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

/// The memory of this process that is resident, in MiB.
pub(crate) fn own_resident() -> Result<f64> {
    resident("self")
}

fn resident(process: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: f64 = kibibytes.context("no VmRSS")?.parse()?;
    Ok(kibibytes / 1024.0)
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of this machine that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
