//! The file system that SQLite is given: its own, with every operation on a
//! watched file noted on the way.
//!
//! A file is ours first and SQLite's own right behind it in the same memory,
//! which SQLite reserves by our size and gives back itself.
//!
//! Spec: SQLite OS Interface

#![expect(
    unsafe_code,
    reason = "a file system for SQLite is a table of C functions"
)]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock};

use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_IOERR, SQLITE_OK, sqlite3_file, sqlite3_filename, sqlite3_initialize,
    sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use crate::image::Asked;
use crate::lock;
use crate::state::State;

const NAME: &CStr = c"faultdisk";

/// SQLite's own file system, under ours.
struct Own(*mut sqlite3_vfs);

// SAFETY: SQLite's table of functions is written once, before it is found, and
// its functions may be called on any thread.
unsafe impl Send for Own {}
// SAFETY: as above.
unsafe impl Sync for Own {}

static OWN: OnceLock<Own> = OnceLock::new();
static WATCHED: Mutex<Vec<(PathBuf, Arc<Mutex<State>>)>> = Mutex::new(Vec::new());

/// A file of a watched folder. SQLite's own lies behind it.
#[repr(C)]
struct File {
    base: sqlite3_file,
    watched: *mut Watched,
}

/// Where it is, and on which disk.
struct Watched {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

/// Makes our file system the one that every connection is opened on, once.
pub(crate) fn install() {
    OWN.get_or_init(|| {
        // SAFETY: SQLite is initialised before its file systems are asked for;
        // the copy of the table lives for ever, as its registration does.
        unsafe {
            assert_eq!(sqlite3_initialize(), SQLITE_OK);
            let own = sqlite3_vfs_find(ptr::null());
            assert!(!own.is_null(), "SQLite has a file system");
            let mut ours = *own;
            ours.zName = NAME.as_ptr();
            ours.pNext = ptr::null_mut();
            let size = c_int::try_from(size_of::<File>()).unwrap_or(c_int::MAX);
            ours.szOsFile = size + (*own).szOsFile;
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            let ours = Box::leak(Box::new(ours));
            assert_eq!(sqlite3_vfs_register(ours, 1), SQLITE_OK);
            Own(own)
        }
    });
}

pub(crate) fn watch(folder: &Path, state: Arc<Mutex<State>>) {
    let mut watched = lock(&WATCHED);
    assert!(
        !watched.iter().any(|(own, _)| own == folder),
        "watched already"
    );
    watched.push((folder.to_owned(), state));
}

pub(crate) fn forget(folder: &Path) {
    lock(&WATCHED).retain(|(own, _)| own != folder);
}

/// The disk that a file is on, where it is a watched one.
///
/// # Safety
///
/// The name is null or a C string.
unsafe fn watched(name: *const c_char) -> Option<Watched> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    let path = PathBuf::from(OsStr::from_bytes(bytes));
    let all = lock(&WATCHED);
    let (_, state) = all.iter().find(|(folder, _)| path.starts_with(folder))?;
    let state = Arc::clone(state);
    Some(Watched { path, state })
}

/// SQLite's own file system.
fn own() -> *mut sqlite3_vfs {
    OWN.get().map_or(ptr::null_mut(), |own| own.0)
}

unsafe extern "C" fn open(
    _ours: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with memory of the size that we registered, and
    // with its own file system's table found at the installation.
    unsafe {
        let Some(open) = (*own()).xOpen else {
            return SQLITE_IOERR;
        };
        let Some(watched) = watched(name) else {
            return open(own(), name, file, flags, out);
        };
        let ours = file.cast::<File>();
        let status = open(own(), name, real(file), flags, out);
        // No methods: SQLite does not close what was not opened.
        (*ours).base.pMethods = ptr::null();
        if status == SQLITE_OK {
            (*ours).watched = Box::into_raw(Box::new(watched));
            (*ours).base.pMethods = &raw const METHODS;
        }
        status
    }
}

unsafe extern "C" fn delete(
    _ours: *mut sqlite3_vfs,
    name: *const c_char,
    syncs_folder: c_int,
) -> c_int {
    // SAFETY: SQLite's own file system takes what SQLite gives.
    unsafe {
        let Some(delete) = (*own()).xDelete else {
            return SQLITE_IOERR;
        };
        let status = delete(own(), name, 0);
        if let Some(watched) = watched(name).filter(|_| status == SQLITE_OK) {
            lock(&watched.state).delete(&watched.path, syncs_folder != 0);
        }
        status
    }
}

/// SQLite's own file behind ours.
///
/// # Safety
///
/// The file is one of ours.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: our size was reserved with that of the own file behind it.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// Calls a function of SQLite's own file with the rest of the arguments.
macro_rules! pass {
    ($file:ident . $function:ident ( $($argument:expr),* )) => {{
        let own = real($file);
        match (*(*own).pMethods).$function {
            Some(function) => function(own, $($argument),*),
            None => SQLITE_IOERR,
        }
    }};
}

/// Functions that only pass on.
macro_rules! passing {
    ($($name:ident = $function:ident ( $($argument:ident : $kind:ty),* );)*) => {
        $(unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $kind)*) -> c_int {
            // SAFETY: SQLite calls this with a file that `open` made.
            unsafe { pass!(file.$function($($argument),*)) }
        })*
    };
}

passing! {
    read = xRead(to: *mut c_void, length: c_int, at: sqlite3_int64);
    file_size = xFileSize(size: *mut sqlite3_int64);
    take_lock = xLock(level: c_int);
    unlock = xUnlock(level: c_int);
    check_reserved_lock = xCheckReservedLock(out: *mut c_int);
    file_control = xFileControl(operation: c_int, argument: *mut c_void);
    sector_size = xSectorSize();
    device_characteristics = xDeviceCharacteristics();
    shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
    shm_lock = xShmLock(offset: c_int, number: c_int, flags: c_int);
    shm_unmap = xShmUnmap(delete: c_int);
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: SQLite calls this with a file that `open` made.
    unsafe {
        let own = real(file);
        if let Some(barrier) = (*(*own).pMethods).xShmBarrier {
            barrier(own);
        }
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes once what `open` made, and does not touch it again.
    unsafe {
        let status = pass!(file.xClose());
        drop(Box::from_raw((*file.cast::<File>()).watched));
        status
    }
}

/// How long a file is.
///
/// # Safety
///
/// The file is one of ours.
unsafe fn length(file: *mut sqlite3_file) -> u64 {
    let mut size = 0;
    // SAFETY: the caller's promise.
    unsafe { pass!(file.xFileSize(&raw mut size)) };
    u64::try_from(size).unwrap_or(0)
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    bytes: c_int,
    at: sqlite3_int64,
) -> c_int {
    let (Ok(size), Ok(place)) = (usize::try_from(bytes), usize::try_from(at)) else {
        return SQLITE_IOERR;
    };
    // SAFETY: SQLite calls this with a file that `open` made and with as many
    // bytes as it says.
    unsafe {
        let watched = &*(*file.cast::<File>()).watched;
        let mut state = lock(&watched.state);
        let growth = (place as u64 + size as u64).saturating_sub(length(file));
        if !state.take_room(growth) {
            return SQLITE_FULL;
        }
        let status = pass!(file.xWrite(from, bytes, at));
        if status == SQLITE_OK {
            let content = std::slice::from_raw_parts(from.cast::<u8>(), size).to_vec();
            state.ask(&watched.path, Asked::Write(place, content));
        }
        status
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let Ok(place) = usize::try_from(size) else {
        return SQLITE_IOERR;
    };
    // SAFETY: SQLite calls this with a file that `open` made.
    unsafe {
        let watched = &*(*file.cast::<File>()).watched;
        let mut state = lock(&watched.state);
        let before = length(file);
        let status = pass!(file.xTruncate(size));
        if status == SQLITE_OK {
            state.give_room(before.saturating_sub(place as u64));
            state.ask(&watched.path, Asked::Truncate(place));
        }
        status
    }
}

/// The real file is not synced: what is left of it is written elsewhere.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite calls this with a file that `open` made.
    let watched = unsafe { &*(*file.cast::<File>()).watched };
    lock(&watched.state).sync(&watched.path);
    SQLITE_OK
}

/// The second version: SQLite maps no file into memory, where nobody would see
/// it written.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(take_lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
