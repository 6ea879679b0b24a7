//! A disk under SQLite that loses power at the worst moment, lies about what it
//! has synced, or is full. For tests only.
//!
//! 1. [`Disk::under`] watches every file below a folder, for all connections of
//!    this process that are opened from then on; all other files are SQLite's
//!    own business.
//! 2. Writes pass through and are noted; a sync makes what was noted durable.
//! 3. At the operation that [`Disk::cut_at`] names, what is durable and what is
//!    not is set aside: the power is gone.
//! 4. [`Disk::leave`] writes what a disk could hold after that into another
//!    folder: all that was synced, and of what was not, each write whole, torn
//!    at 512 bytes, or not at all, whatever its order.

mod image;
mod state;
mod vfs;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::image::Luck;
use self::state::State;

/// What a sync does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Syncs {
    /// It returns when what was written is durable.
    Kept,
    /// It returns, and nothing is: what `synchronous = OFF` asks for.
    Ignored,
}

/// A disk below one folder, until it is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    state: Arc<Mutex<State>>,
}

impl Disk {
    /// Watches a folder in which no database is open.
    ///
    /// # Panics
    ///
    /// Where SQLite refuses another file system, or the folder is watched.
    #[expect(
        clippy::expect_used,
        reason = "a test without a folder of its own stops there"
    )]
    pub fn under(folder: &Path, syncs: Syncs) -> Self {
        vfs::install();
        // SQLite follows links before it opens, so what it opens is compared.
        let folder = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
        let disk = Self {
            folder: folder.expect("a folder of the test's own"),
            state: Arc::new(Mutex::new(State::new(syncs))),
        };
        vfs::watch(&disk.folder, Arc::clone(&disk.state));
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Cuts the power at the `nth` operation from the beginning on: the first
    /// is 1.
    pub fn cut_at(&self, nth: u64) {
        self.state().cut_at(nth);
    }

    /// Whether the power is gone. What is answered after that nobody hears.
    pub fn is_cut(&self) -> bool {
        self.state().is_cut()
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.state().operations()
    }

    /// Lets the files grow by so many bytes more, all together, or for ever.
    pub fn leave_room(&self, bytes: Option<u64>) {
        self.state().leave_room(bytes);
    }

    /// Writes what the disk could hold into another folder, as luck would have it.
    pub fn leave(&self, luck: &mut Luck<'_>, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for (path, content) in self.state().remains(luck) {
            if let Some(name) = path.file_name() {
                std::fs::write(folder.join(name), content)?;
            }
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        vfs::forget(&self.folder);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
