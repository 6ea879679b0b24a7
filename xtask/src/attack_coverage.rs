//! Makes the table of attacks against the tests that send them, from the
//! `/// Attack:` lines above those tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};

use crate::attack_rows::ROWS;
use crate::source::{SourceFile, rust_files};

/// The text of `docs/attack-coverage.md`.
///
/// # Errors
///
/// When a file cannot be read, a line names no row, or a row has neither a test
/// nor a reason why none is owed.
pub fn render(root: &Path) -> Result<String> {
    let mut found = Found::default();
    for file in rust_files(root, "crates")? {
        found.add(&file)?;
    }
    found.to_markdown(ROWS)
}

/// Tests by row: the file and the name of each.
#[derive(Debug, Default)]
struct Found(BTreeMap<String, BTreeSet<(String, String)>>);

impl Found {
    fn add(&mut self, file: &SourceFile) -> Result<()> {
        let mut named: Vec<String> = Vec::new();
        for line in file.text.lines().map(str::trim_start) {
            if let Some(list) = line.strip_prefix("/// Attack:") {
                let ids: Vec<_> = list.split(',').map(|id| id.trim().to_owned()).collect();
                if let Some(wrong) = ids.iter().find(|id| !is_row(id)) {
                    bail!("`{}` names `{wrong}`, which is no row", file.path);
                }
                named.extend(ids);
            } else if let Some(name) = function(line).filter(|_| !named.is_empty()) {
                for id in named.drain(..) {
                    let test = (file.path.clone(), name.to_owned());
                    self.0.entry(id).or_default().insert(test);
                }
            }
        }
        match named.first() {
            Some(id) => bail!("`{}` names `{id}` above no test", file.path),
            None => Ok(()),
        }
    }

    fn to_markdown(&self, rows: &[(&str, &str, &str)]) -> Result<String> {
        let mut text = String::from(HEAD);
        let mut missing = Vec::new();
        for &(id, name, waits) in rows {
            let tests = self.0.get(id).map(|tests| {
                let tests = tests.iter();
                let tests = tests.map(|(file, name)| format!("`{name}` in `{file}`"));
                tests.collect::<Vec<_>>().join("<br>")
            });
            let last = match (tests, waits) {
                (Some(tests), _) => tests,
                (None, "") => {
                    missing.push(id);
                    continue;
                }
                (None, waits) => format!("none yet: {waits}"),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {id} | {} | {last} |", name.replace('|', "\\|"));
        }
        if missing.is_empty() {
            return Ok(text);
        }
        bail!(
            "no test says `/// Attack:` with {}; write one, or say in `attack_rows.rs` why none is owed",
            missing.join(", ")
        )
    }
}

/// Whether a text can name a row: a letter and three digits.
fn is_row(id: &str) -> bool {
    let digits = id.strip_prefix(|c: char| c.is_ascii_uppercase());
    digits.is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let rest = line
        .trim_start_matches("pub(crate) ")
        .trim_start_matches("pub ");
    let rest = rest.trim_start_matches("async ").strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}

const HEAD: &str = "\
# Attack coverage

Which test sends which attack. Made by `cargo run -p xtask -- generated` from the `/// Attack:` lines
above the tests; a row without a test or a reason fails, and `./test` fails when this is stale. Do
not edit.

| row | attack | tests |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Found> {
        let mut found = Found::default();
        found.add(&SourceFile {
            path: "a.rs".into(),
            text: text.into(),
        })?;
        Ok(found)
    }

    const TEST: &str = "/// Says more.\n///\n/// Attack: A001, A002\n/// Attack: B001\n#[test]\nfn one() {}\nfn two() {}\n";

    #[test]
    fn a_row_belongs_to_the_next_function_and_to_no_other() {
        let found = found(TEST).unwrap();

        let rows: Vec<_> = found.0.keys().map(String::as_str).collect();
        assert_eq!(rows, ["A001", "A002", "B001"]);
        for tests in found.0.values() {
            let tests: Vec<_> = tests.iter().map(|(_, name)| name.as_str()).collect();
            assert_eq!(tests, ["one"]);
        }
    }

    #[test]
    fn a_row_without_a_test_or_a_reason_is_an_error() {
        let found = found(TEST).unwrap();

        let whole = found.to_markdown(&[("A001", "a", ""), ("A003", "b", "no such part")]);
        let lacking = found.to_markdown(&[("A001", "a", ""), ("A003", "b", "")]);

        let whole = whole.unwrap();
        assert!(whole.contains("| A001 | a | `one` in `a.rs` |"), "{whole}");
        assert!(
            whole.contains("| A003 | b | none yet: no such part |"),
            "{whole}"
        );
        assert!(lacking.unwrap_err().to_string().contains("A003"));
    }

    #[test]
    fn what_names_no_row_or_stands_above_no_test_is_an_error() {
        for wrong in [
            "/// Attack: A1\nfn a() {}\n",
            "/// Attack:\nfn a() {}\n",
            "/// Attack: A001\n",
        ] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_are_in_order_and_each_once() {
        assert!(ROWS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(ROWS.iter().all(|(id, ..)| is_row(id)));
    }
}
