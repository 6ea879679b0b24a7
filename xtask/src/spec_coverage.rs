//! Makes the table of specifications and sections against the files that implement them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};

use crate::source::{SourceFile, rust_files};

/// The text of `docs/spec-coverage.md`, from the `//! Spec:` lines of the crates.
///
/// # Errors
///
/// When a file cannot be read or names no specification after `Spec:`.
pub fn render(root: &Path) -> Result<String> {
    let mut coverage = Coverage::default();
    for file in rust_files(root, "crates")? {
        coverage.add(&file)?;
    }
    Ok(coverage.to_markdown())
}

/// Files by section by specification, each in the order a reader expects.
#[derive(Debug, Default)]
struct Coverage(BTreeMap<Natural, BTreeMap<Natural, BTreeSet<String>>>);

impl Coverage {
    fn add(&mut self, file: &SourceFile) -> Result<()> {
        for line in file.text.lines().take_while(|line| line.starts_with("//!")) {
            let Some(named) = line.strip_prefix("//! Spec:") else {
                continue;
            };
            let citations = citations(named);
            if citations.is_empty() {
                bail!("`{}` has a `Spec:` line that names nothing", file.path);
            }
            for (specification, section) in citations {
                let sections = self.0.entry(Natural(specification)).or_default();
                sections
                    .entry(Natural(section))
                    .or_default()
                    .insert(file.path.clone());
            }
        }
        Ok(())
    }

    fn to_markdown(&self) -> String {
        let mut text = String::from(HEAD);
        for (specification, sections) in &self.0 {
            for (section, files) in sections {
                let files: Vec<_> = files.iter().map(|file| format!("`{file}`")).collect();
                let files = files.join("<br>");
                // Writing to a string cannot fail.
                let _ = writeln!(text, "| {} | {} | {files} |", specification.0, section.0);
            }
        }
        text
    }
}

/// The specifications and sections that one line names: `RFC 6749 §4.1, §5.2`
/// gives two; no section gives an empty one.
fn citations(line: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let without_remark = line.split(" (").next().unwrap_or(line);
    for piece in without_remark.split([',', ';']) {
        let piece = piece.trim().trim_end_matches('.');
        let (name, section) = match piece.split_once('§') {
            Some((name, section)) => (name.trim(), format!("§{}", section.trim())),
            None if is_section(piece) => ("", format!("§{piece}")),
            None => (piece, String::new()),
        };
        let name = match (name, found.last()) {
            ("", Some((previous, _))) => previous.clone(),
            ("", None) => continue,
            (name, _) => name.to_owned(),
        };
        if !(section.is_empty() && piece.is_empty()) {
            found.push((name, section));
        }
    }
    found
}

/// Whether a piece without its sign is a section all the same: `5.2`, `A.1`.
fn is_section(piece: &str) -> bool {
    let first = piece.split('.').next().unwrap_or(piece);
    let appendix = first.len() == 1 && first.starts_with(|c: char| c.is_ascii_uppercase());
    appendix || piece.starts_with(|c: char| c.is_ascii_digit())
}

/// Text in the order in which people count: `§4.2` before `§4.10`.
#[derive(Debug, PartialEq, Eq)]
struct Natural(String);

impl Natural {
    /// Runs of digits as numbers, the rest as text; numbers come first.
    fn key(&self) -> Vec<(u8, u64, &str)> {
        let mut key = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(first) = rest.chars().next() {
            let digits = first.is_ascii_digit();
            let end = rest
                .find(|c: char| c.is_ascii_digit() != digits)
                .unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            key.push(match run.parse() {
                Ok(number) if digits => (0, number, ""),
                _ => (1, 0, run),
            });
            rest = after;
        }
        key
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key()
            .cmp(&other.key())
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

const HEAD: &str = "\
# Spec coverage

Which file implements which section. Made by `cargo run -p xtask -- spec-coverage` from the
`//! Spec:` lines at the top of the files; `./test` fails when it is stale. Do not edit.

| specification | section | files |
|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<(String, String)> {
        citations(line)
    }

    fn pair(specification: &str, section: &str) -> (String, String) {
        (specification.into(), section.into())
    }

    #[test]
    fn one_specification_with_one_section() {
        assert_eq!(of(" RFC 6749 §4.1"), [pair("RFC 6749", "§4.1")]);
    }

    #[test]
    fn further_sections_belong_to_the_specification_before_them() {
        assert_eq!(
            of(" RFC 6749 §4.1, §5.2; RFC 7636 §4.6"),
            [
                pair("RFC 6749", "§4.1"),
                pair("RFC 6749", "§5.2"),
                pair("RFC 7636", "§4.6")
            ],
        );
    }

    #[test]
    fn an_appendix_is_a_section() {
        assert_eq!(
            of(" RFC 6749 §2.2, A.1"),
            [pair("RFC 6749", "§2.2"), pair("RFC 6749", "§A.1")],
        );
    }

    #[test]
    fn a_whole_specification_has_an_empty_section() {
        assert_eq!(of(" RFC 9207."), [pair("RFC 9207", "")]);
    }

    #[test]
    fn a_remark_in_brackets_is_left_out() {
        assert_eq!(
            of(" RFC 7662 §2 (signed: elsewhere)"),
            [pair("RFC 7662", "§2")]
        );
    }

    #[test]
    fn a_line_that_names_nothing_is_an_error() {
        let file = SourceFile {
            path: "a.rs".into(),
            text: "//! A file.\n//! Spec:\n".into(),
        };

        let problem = Coverage::default().add(&file).unwrap_err();

        assert!(problem.to_string().contains("a.rs"));
    }

    #[test]
    fn sections_are_in_the_order_in_which_people_count() {
        let file = SourceFile {
            path: "a.rs".into(),
            text: "//! A file.\n//! Spec: RFC 6749 §4.10\n//! Spec: RFC 6749 §4.2\n//! Spec: RFC 822 §1\n"
                .into(),
        };
        let mut coverage = Coverage::default();
        coverage.add(&file).unwrap();

        let text = coverage.to_markdown();

        let rows: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("| RFC"))
            .collect();
        assert_eq!(
            rows,
            [
                "| RFC 822 | §1 | `a.rs` |",
                "| RFC 6749 | §4.2 | `a.rs` |",
                "| RFC 6749 | §4.10 | `a.rs` |",
            ],
        );
    }

    #[test]
    fn only_the_head_of_a_file_is_read() {
        let text = "//! A file.\n\nconst A: &str = \"\n//! Spec: RFC 1 §1\n\";\n";
        let file = SourceFile {
            path: "a.rs".into(),
            text: text.into(),
        };
        let mut coverage = Coverage::default();

        coverage.add(&file).unwrap();

        assert_eq!(coverage.to_markdown(), HEAD);
    }
}
