//! Reads a backup, line by line, and believes nothing before it is checked.

use std::io::{BufRead, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use symbolon_token::{Digest, Digesting};

use super::catalog::{self, Kind, Table};
use super::{BackupError, Contents, FORM, MAX_LINE, Manifest, SealsBackups, hex, open};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Nothing,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Checks a backup from its first line to its last: form, digests, and the seal
/// where `seals` knows the master key. It changes nothing.
pub fn check(path: &Path, seals: Option<&dyn SealsBackups>) -> Result<Contents, BackupError> {
    let mut reading = Reading::begin(open(path)?)?;
    let mut tables = Vec::new();
    while let Some(table) = reading.table()? {
        let mut rows = 0;
        while reading.row(&table)?.is_some() {
            rows += 1;
        }
        tables.push((table.name, rows));
    }
    let (manifest, ending) = reading.end(&tables)?;
    if let Some(seals) = seals {
        let master = manifest.fingerprint().ok_or(BackupError::Foreign)?;
        if !seals.knows(&master) {
            return Err(BackupError::OtherMaster);
        }
        let opened = seals.open(&master, &ending.seal);
        if !opened.is_some_and(|own| own.matches(&ending.digest)) {
            return Err(BackupError::Unsealed);
        }
    }
    Ok(Contents {
        manifest,
        tables,
        sha256: hex(&ending.digest),
    })
}

/// A backup that is being read.
pub(crate) struct Reading<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    whole: Digesting,
    part: Digesting,
    rows: u64,
    expected: std::vec::IntoIter<Table>,
    pub(crate) manifest: Manifest,
}

pub(crate) struct Ending {
    pub(crate) digest: Digest,
    seal: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartEnd {
    rows: u64,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEnd {
    tables: usize,
    rows: u64,
    sha256: String,
    seal: String,
}

impl<R: BufRead> Reading<R> {
    /// Reads the first line.
    pub(crate) fn begin(mut input: R) -> Result<Self, BackupError> {
        let mut line = Vec::new();
        let limited = &mut input.by_ref().take(64 * 1024);
        limited.read_until(b'\n', &mut line)?;
        let value: Value = serde_json::from_slice(&line).map_err(|_| BackupError::Foreign)?;
        match value["symbolon_backup"].as_u64() {
            None => return Err(BackupError::Foreign),
            Some(form) if form != u64::from(FORM) => {
                return Err(BackupError::Damaged {
                    line: 1,
                    what: "it has a form that this version does not know",
                });
            }
            Some(_) => {}
        }
        let manifest: Manifest =
            serde_json::from_value(value).map_err(|_| BackupError::Damaged {
                line: 1,
                what: "what stands first cannot be read",
            })?;
        if let Some(newer) = catalog::unknown(&manifest.migrations) {
            return Err(BackupError::Newer(newer));
        }
        let mut whole = Digesting::new();
        whole.update(&line);
        Ok(Self {
            input,
            line,
            number: 1,
            whole,
            part: Digesting::new(),
            rows: 0,
            expected: catalog::tables(&manifest.migrations)?.into_iter(),
            manifest,
        })
    }

    /// The next line, which does not count towards digests yet.
    fn next(&mut self) -> Result<(), BackupError> {
        self.line.clear();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let read = self
            .input
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.line)?;
        self.number += 1;
        if read == 0 || self.line.last() != Some(&b'\n') && read < MAX_LINE {
            return Err(BackupError::Cut(self.number));
        }
        Ok(())
    }

    fn count(&mut self) {
        self.whole.update(&self.line);
        self.part.update(&self.line);
    }

    fn damaged(&self, what: &'static str) -> BackupError {
        let line = self.number;
        BackupError::Damaged { line, what }
    }

    /// The next table, which has to be the one that the schema has there.
    pub(crate) fn table(&mut self) -> Result<Option<Table>, BackupError> {
        let Some(expected) = self.expected.next() else {
            return Ok(None);
        };
        self.next()?;
        let table: Option<Table> = serde_json::from_slice(&self.line).ok();
        if table.as_ref() != Some(&expected) {
            return Err(self.damaged("a table is not the one that belongs there"));
        }
        (self.part, self.rows) = (Digesting::new(), 0);
        self.count();
        Ok(table)
    }

    /// The next row; nothing at the end of the table, whose digest is checked.
    pub(crate) fn row(&mut self, table: &Table) -> Result<Option<Vec<Cell>>, BackupError> {
        self.next()?;
        if self.line.first() == Some(&b'[') {
            let values: Option<Vec<Value>> = serde_json::from_slice(&self.line).ok();
            let cells = values.and_then(|values| cells(table, values));
            let cells = cells.ok_or_else(|| self.damaged("a row does not fit its table"))?;
            self.count();
            self.rows += 1;
            return Ok(Some(cells));
        }
        let end: Option<PartEnd> = serde_json::from_slice(&self.line).ok();
        let end = end.ok_or_else(|| self.damaged("neither a row nor the end of a table"))?;
        if end.rows != self.rows {
            return Err(self.damaged("the table has another number of rows"));
        }
        if end.sha256 != hex(&self.part.clone().finish()) {
            return Err(self.damaged("the digest of the table is another"));
        }
        self.count();
        Ok(None)
    }

    /// The last line, after which nothing comes.
    pub(crate) fn end(
        mut self,
        tables: &[(String, u64)],
    ) -> Result<(Manifest, Ending), BackupError> {
        let digest = self.whole.clone().finish();
        self.next()?;
        let end: Option<FileEnd> = serde_json::from_slice(&self.line).ok();
        let end = end.ok_or_else(|| self.damaged("the last line cannot be read"))?;
        let rows: u64 = tables.iter().map(|(_, rows)| rows).sum();
        if end.sha256 != hex(&digest) || end.tables != tables.len() || end.rows != rows {
            return Err(self.damaged("the digest of the whole is another"));
        }
        let seal = URL_SAFE_NO_PAD.decode(&end.seal);
        let seal = seal.map_err(|_| self.damaged("the seal cannot be read"))?;
        let mut more = [0];
        if self.input.read(&mut more)? > 0 {
            self.number += 1;
            return Err(self.damaged("something comes after the end"));
        }
        Ok((self.manifest, Ending { digest, seal }))
    }
}

fn cells(table: &Table, values: Vec<Value>) -> Option<Vec<Cell>> {
    if values.len() != table.columns.len() {
        return None;
    }
    let pairs = values.into_iter().zip(&table.columns);
    pairs
        .map(|(value, (_, kind))| {
            Some(match (value, kind) {
                (Value::Null, _) => Cell::Nothing,
                (Value::Number(number), Kind::Number) => Cell::Number(number.as_i64()?),
                (Value::String(text), Kind::Text) => Cell::Text(text),
                (Value::String(text), Kind::Bytes) => {
                    Cell::Bytes(URL_SAFE_NO_PAD.decode(text).ok()?)
                }
                _ => return None,
            })
        })
        .collect()
}
