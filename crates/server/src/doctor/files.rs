//! Files: who may read what nobody else should, and how much room is left.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Symptom;
use crate::config::{Config, MasterSource, SecretSource, StoreUrl};

/// Less room than this is told, in bytes and in hundredths of the whole.
const LEAST_BYTES: u64 = 1024 * 1024 * 1024;
const LEAST_PERCENT: u64 = 10;
/// Less than this is an error, in bytes: a database that is full writes nothing
/// but what takes back, and that not for ever.
const TOO_LITTLE_BYTES: u64 = 100 * 1024 * 1024;

pub(super) fn look(config: &Config) -> Vec<Symptom> {
    let mut found = Vec::new();
    let mut private = |what: &str, path: &Path| found.extend(mode(what, path));
    if let MasterSource::File(path) = &config.store.master_key {
        private("the master key", path);
    }
    if let SecretSource::File(path) = &config.admin.token {
        private("the administration token", path);
    }
    if let Some(tls) = &config.tls {
        private("the key of the certificate", &tls.key);
    }
    if let StoreUrl::Sqlite(path) = &config.store.url {
        private("the database", path);
        let folder = path.parent().filter(|own| !own.as_os_str().is_empty());
        found.extend(room(folder.unwrap_or_else(|| Path::new("."))));
    }
    found
}

fn mode(what: &str, path: &Path) -> Option<Symptom> {
    let name = path.display();
    let Ok(metadata) = std::fs::metadata(path) else {
        return Some(Symptom::warning(
            "doctor.file_missing",
            format!("{what} is not at `{name}`, or cannot be looked at"),
            "start the server once, or run this as the user that it runs as",
        ));
    };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        let message = format!("{what} `{name}` is its owner's alone");
        return Some(Symptom::good("doctor.file_mode", message));
    }
    Some(Symptom::error(
        "doctor.file_mode",
        format!("{what} `{name}` can be read or written by others: mode {mode:03o}"),
        "chmod 600; if others had access, replace what is in it",
    ))
}

fn room(folder: &Path) -> Option<Symptom> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let whole = found.f_blocks.saturating_mul(found.f_frsize);
    Some(judged_room(free, whole))
}

fn judged_room(free: u64, whole: u64) -> Symptom {
    let code = "doctor.disk";
    let mib = free / (1024 * 1024);
    let message = format!("{mib} MiB are free where the database is");
    let repair =
        "make room, or move the database: when it is full, nothing is written but what takes back";
    if free < TOO_LITTLE_BYTES {
        Symptom::error(code, message, repair)
    } else if free < LEAST_BYTES || free < whole / 100 * LEAST_PERCENT {
        Symptom::warning(code, message, repair)
    } else {
        Symptom::good(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn little_room_is_told_and_too_little_is_an_error() {
        let gib = 1024 * 1024 * 1024;
        for (free, whole, health) in [
            (50 * gib, 100 * gib, Health::Good),
            (5 * gib, 100 * gib, Health::Warning),
            (gib / 2, gib, Health::Warning),
            (gib / 20, gib, Health::Error),
        ] {
            assert_eq!(judged_room(free, whole).health, health, "{free}");
        }
    }
}
