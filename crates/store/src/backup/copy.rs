//! Loads rows into PostgreSQL with `COPY`, in its text form.

use std::io::{Cursor, Write};

use futures_util::SinkExt;
use tokio_postgres::Client;

use super::BackupError;
use super::catalog::{Kind, Table};
use super::file::{Cell, Reading};
use crate::fault::Fault;

/// How much is sent at once, in bytes.
const CHUNK: usize = 256 * 1024;

/// Copies the rows of a table, and lets numbers that the database gives begin
/// after them.
pub(super) async fn copy(
    client: &Client,
    table: &Table,
    reading: &mut Reading<impl std::io::BufRead>,
) -> Result<(), BackupError> {
    let text = format!("COPY {} ({}) FROM STDIN", table.name, table.names());
    let sink = client.copy_in::<_, Cursor<Vec<u8>>>(&text).await;
    let mut sink = std::pin::pin!(sink.map_err(Fault::from)?);
    let mut chunk = Vec::with_capacity(CHUNK + 4096);
    while let Some(cells) = reading.row(table)? {
        write_row(&mut chunk, &cells)?;
        if chunk.len() >= CHUNK {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK + 4096));
            sink.send(Cursor::new(full)).await.map_err(Fault::from)?;
        }
    }
    sink.send(Cursor::new(chunk)).await.map_err(Fault::from)?;
    sink.as_mut().finish().await.map_err(Fault::from)?;
    for (column, _) in table
        .columns
        .iter()
        .filter(|(_, kind)| *kind == Kind::Number)
    {
        let (table, column) = (&table.name, column);
        let text = format!(
            "SELECT setval(own, last) FROM (SELECT pg_get_serial_sequence('{table}', '{column}')
                AS own, (SELECT MAX({column}) FROM {table}) AS last) AS both_of_them
            WHERE own IS NOT NULL AND last IS NOT NULL"
        );
        client.batch_execute(&text).await.map_err(Fault::from)?;
    }
    Ok(())
}

fn write_row(out: &mut Vec<u8>, cells: &[Cell]) -> std::io::Result<()> {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(b'\t');
        }
        match cell {
            Cell::Nothing => out.extend(b"\\N"),
            Cell::Number(number) => write!(out, "{number}")?,
            Cell::Text(text) => write_text(out, text),
            Cell::Bytes(bytes) => {
                out.extend(b"\\\\x");
                for byte in bytes {
                    write!(out, "{byte:02x}")?;
                }
            }
        }
    }
    out.push(b'\n');
    Ok(())
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend(b"\\\\"),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            // PostgreSQL's text cannot hold it; it is bound likewise.
            0 => out.extend("\u{fffd}".as_bytes()),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_so_that_nothing_in_it_ends_it() {
        let cells = [
            Cell::Text("a\tb\\N\nc\0".to_owned()),
            Cell::Nothing,
            Cell::Number(-7),
            Cell::Bytes(vec![0, 255]),
        ];
        let mut out = Vec::new();

        write_row(&mut out, &cells).unwrap();

        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a\\tb\\\\N\\nc\u{fffd}\t\\N\t-7\t\\\\x00ff\n");
    }
}
