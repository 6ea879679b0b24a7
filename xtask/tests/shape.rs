//! The shape of the source files: each says what it is, stays short, and cannot panic by shortcut.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the workspace should fail"
)]

use xtask::source::{SourceFile, root, rust_files};

/// Lines at which a file, its tests aside, has to be split.
const LONGEST_FILE: usize = 600;

#[test]
fn every_file_says_first_what_it_is() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();

    assert!(silent.is_empty(), "no `//!` in the first line: {silent:#?}");
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|file| !file.is_test())
        .map(|file| (file.shipped_lines().len(), file.path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .collect();

    assert!(
        long.is_empty(),
        "over {LONGEST_FILE} lines without tests: {long:#?}"
    );
}

#[test]
fn nothing_that_ships_unwraps_or_waits_to_be_written() {
    let forbidden = [".unwrap()", "todo!(", "unimplemented!("];
    let mut found = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test()) {
        for (number, line) in file.shipped_lines() {
            let code = line.trim_start();
            if !code.starts_with("//") && forbidden.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{number}: {code}", file.path));
            }
        }
    }

    assert!(found.is_empty(), "{found:#?}");
}

/// Every file under `crates/*/src`.
fn sources() -> Vec<SourceFile> {
    let files: Vec<_> = rust_files(&root(), "crates")
        .unwrap()
        .into_iter()
        .filter(|file| file.path.split('/').nth(2) == Some("src"))
        .collect();
    assert!(!files.is_empty(), "no files were read");
    files
}
