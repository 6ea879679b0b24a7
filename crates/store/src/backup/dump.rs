//! Writes a backup: every table of one snapshot, row by row.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use symbolon_protocol::Timestamp;
use symbolon_token::{Digest, Digesting};

use super::catalog::{self, Kind, Table};
use super::engine::Snapshot;
use super::{BackupError, Contents, FORM, Manifest, SealsBackups, hex};
use crate::fault::Fault;
use crate::key::MASTER_KEY;
use crate::row::Row;
use crate::store::Options;

/// Writes all that a store remembers. The store may be in use: what is written
/// is what it held at one instant.
pub async fn back_up(
    options: &Options,
    out: &mut (dyn Write + Send),
    seals: &dyn SealsBackups,
    now: Timestamp,
) -> Result<Contents, BackupError> {
    let mut snapshot = Snapshot::open(options).await?;
    let manifest = manifest(&mut snapshot, now).await?;
    let master = manifest.fingerprint().ok_or(BackupError::OtherMaster)?;
    if !seals.knows(&master) {
        return Err(BackupError::OtherMaster);
    }
    let mut out = Out {
        inner: out,
        whole: Digesting::new(),
        part: Digesting::new(),
        line: Vec::new(),
    };
    out.json(&manifest)?;
    let mut tables = Vec::new();
    for table in catalog::tables(&manifest.migrations)? {
        let rows = write_table(&mut snapshot, &table, &mut out).await?;
        tables.push((table.name, rows));
    }
    snapshot.close().await?;
    let digest = out.whole.clone().finish();
    let seal = seals.seal(&master, &digest);
    let seal = seal.ok_or(BackupError::OtherMaster)?;
    let rows: u64 = tables.iter().map(|(_, rows)| rows).sum();
    let sha256 = hex(&digest);
    let seal = URL_SAFE_NO_PAD.encode(seal);
    out.json(&json!({ "tables": tables.len(), "rows": rows, "sha256": sha256, "seal": seal }))?;
    Ok(Contents {
        manifest,
        tables,
        sha256,
    })
}

async fn manifest(snapshot: &mut Snapshot, now: Timestamp) -> Result<Manifest, BackupError> {
    let migrations = snapshot.migrations().await?;
    if migrations.is_empty() {
        return Err(BackupError::NoSchema);
    }
    if let Some(newer) = catalog::unknown(&migrations) {
        return Err(BackupError::Newer(newer));
    }
    let head = "SELECT epoch, sequence FROM feed_head WHERE one = 1";
    let mut place = None;
    let read = |row: Row| {
        place = Some((row.number(0)?, row.number(1)?));
        Ok(())
    };
    snapshot.each(head, read).await?;
    let (epoch, sequence) = place.ok_or_else(|| Fault::broken("the feed has no head"))?;
    let mut master = None;
    let key = format!("SELECT value FROM meta WHERE name = '{MASTER_KEY}'");
    let read = |row: Row| {
        master = Some(Digest::from_bytes(row.array(0)?));
        Ok(())
    };
    snapshot.each(&key, read).await?;
    Ok(Manifest {
        symbolon_backup: FORM,
        created_ms: now.millis(),
        engine: snapshot.engine().to_owned(),
        epoch,
        sequence,
        // A store that no server was started on has no keys either.
        master_key: master.as_ref().map(hex).ok_or(BackupError::NoSchema)?,
        migrations,
    })
}

async fn write_table(
    snapshot: &mut Snapshot,
    table: &Table,
    out: &mut Out<'_>,
) -> Result<u64, BackupError> {
    out.part = Digesting::new();
    out.json(table)?;
    let mut rows = 0;
    let mut failed = None;
    let select = table.select();
    let each = snapshot.each(&select, |row| {
        rows += 1;
        match out.row(table, &row) {
            Ok(()) => Ok(()),
            Err(BackupError::Store(fault)) => Err(fault),
            Err(error) => {
                failed = Some(error);
                Err(Fault::unavailable("the backup could not be written"))
            }
        }
    });
    let outcome = each.await;
    if let Some(error) = failed {
        return Err(error);
    }
    outcome?;
    let sha256 = hex(&out.part.clone().finish());
    out.json(&json!({ "rows": rows, "sha256": sha256 }))?;
    Ok(rows)
}

/// What is written, and digested on its way.
struct Out<'a> {
    inner: &'a mut (dyn Write + Send),
    whole: Digesting,
    part: Digesting,
    line: Vec<u8>,
}

impl Out<'_> {
    fn json<T: serde::Serialize>(&mut self, value: &T) -> Result<(), BackupError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value).map_err(std::io::Error::from)?;
        self.end()
    }

    fn end(&mut self) -> Result<(), BackupError> {
        self.line.push(b'\n');
        self.whole.update(&self.line);
        self.part.update(&self.line);
        Ok(self.inner.write_all(&self.line)?)
    }

    fn row(&mut self, table: &Table, row: &Row) -> Result<(), BackupError> {
        self.line.clear();
        for (at, (_, kind)) in table.columns.iter().enumerate() {
            self.line.push(if at == 0 { b'[' } else { b',' });
            match kind {
                Kind::Number => match row.number_or_none(at)? {
                    Some(number) => write!(self.line, "{number}")?,
                    None => self.line.extend(b"null"),
                },
                Kind::Text => {
                    let text = row.text_or_none(at)?;
                    serde_json::to_writer(&mut self.line, &text).map_err(std::io::Error::from)?;
                }
                Kind::Bytes => match row.bytes_or_none(at)? {
                    Some(bytes) => write!(self.line, "\"{}\"", URL_SAFE_NO_PAD.encode(bytes))?,
                    None => self.line.extend(b"null"),
                },
            }
        }
        self.line.push(b']');
        self.end()
    }
}
