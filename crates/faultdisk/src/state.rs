//! All files of a disk, and when its power goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Syncs;
use crate::image::{Asked, Image, Luck};

/// A disk.
#[derive(Debug)]
pub(crate) struct State {
    syncs: Syncs,
    files: BTreeMap<PathBuf, Image>,
    operations: u64,
    cut_at: Option<u64>,
    /// The files at the moment of the cut.
    left: Option<BTreeMap<PathBuf, Image>>,
    /// How many bytes more there is room for; no limit where none is set.
    room: Option<u64>,
}

impl State {
    pub(crate) fn new(syncs: Syncs) -> Self {
        Self {
            syncs,
            files: BTreeMap::new(),
            operations: 0,
            cut_at: None,
            left: None,
            room: None,
        }
    }

    pub(crate) fn cut_at(&mut self, nth: u64) {
        self.cut_at = Some(nth);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.left.is_some()
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations
    }

    pub(crate) fn leave_room(&mut self, bytes: Option<u64>) {
        self.room = bytes;
    }

    /// Takes room for what grows a file; whether there is enough.
    pub(crate) fn take_room(&mut self, growth: u64) -> bool {
        let Some(room) = self.room else {
            return true;
        };
        let left = room.checked_sub(growth);
        self.room = Some(left.unwrap_or(room));
        left.is_some()
    }

    /// Gives room back where a file shrinks.
    pub(crate) fn give_room(&mut self, shrunk: u64) {
        self.room = self.room.map(|room| room + shrunk);
    }

    /// Counts an operation; the power goes before the one that was named.
    fn count(&mut self) {
        self.operations += 1;
        if self.left.is_none() && self.cut_at == Some(self.operations) {
            self.left = Some(self.files.clone());
        }
    }

    fn file(&mut self, path: &Path) -> &mut Image {
        self.files.entry(path.to_owned()).or_default()
    }

    pub(crate) fn ask(&mut self, path: &Path, asked: Asked) {
        self.count();
        if !self.is_cut() {
            self.file(path).ask(asked);
        }
    }

    /// Makes a file durable, and where it is a new log or journal the names in
    /// its folder too, as SQLite's own file system does.
    pub(crate) fn sync(&mut self, path: &Path) {
        self.count();
        if self.is_cut() || self.syncs == Syncs::Ignored {
            return;
        }
        let name = path.as_os_str().as_encoded_bytes();
        let is_log = name.ends_with(b"-wal") || name.ends_with(b"-journal");
        if is_log && self.file(path).is_new() {
            self.files.values_mut().for_each(Image::sync_name);
        }
        self.file(path).sync();
    }

    /// Deletes a file, durably where its folder is synced with it.
    pub(crate) fn delete(&mut self, path: &Path, syncs_folder: bool) {
        self.ask(path, Asked::Delete);
        if syncs_folder && !self.is_cut() && self.syncs == Syncs::Kept {
            self.files.remove(path);
        }
    }

    /// What is left of each file.
    pub(crate) fn remains(&self, luck: &mut Luck<'_>) -> Vec<(PathBuf, Vec<u8>)> {
        let files = self.left.as_ref().unwrap_or(&self.files);
        files
            .iter()
            .filter_map(|(path, image)| Some((path.clone(), image.remains(luck)?)))
            .collect()
    }
}
