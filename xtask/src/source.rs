//! Finds the workspace's Rust files and tells their shipped lines from their tests.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

/// The root folder of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    // Asked when it runs: several checkouts may share one target folder, and
    // then the path from compiling can be another checkout's.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).to_path_buf()
}

/// One Rust file of the workspace.
#[derive(Debug)]
pub struct SourceFile {
    /// Its path below the root, with `/` between the parts.
    pub path: String,
    /// What stands in it.
    pub text: String,
}

impl SourceFile {
    /// Whether the whole file is compiled for tests alone.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Its lines with their numbers, without what stands under `#[cfg(test)]`.
    #[must_use]
    pub fn shipped_lines(&self) -> Vec<(usize, &str)> {
        let mut shipped = Vec::new();
        let mut lines = (1..).zip(self.text.lines());
        while let Some((number, line)) = lines.next() {
            if line.trim() != "#[cfg(test)]" {
                shipped.push((number, line));
                continue;
            }
            // The item ends at its semicolon, or at the brace in the column
            // where it began: the files are formatted, so this holds.
            let indent = &line[..line.len() - line.trim_start().len()];
            let end = format!("{indent}}}");
            for (_, line) in lines.by_ref() {
                let attribute = line.trim_start().starts_with("#[");
                if line == end || (line.ends_with(';') && is_item(line, indent)) {
                    break;
                }
                // An item with its whole body in its line: `mod tests {}`.
                if !attribute && is_item(line, indent) && line.ends_with('}') {
                    break;
                }
            }
        }
        shipped
    }
}

/// Reads every Rust file below `folder`, a path under `root`, sorted by path.
///
/// # Errors
///
/// When a folder or a file cannot be read.
pub fn rust_files(root: &Path, folder: &str) -> Result<Vec<SourceFile>> {
    let mut paths = Vec::new();
    walk(&root.join(folder), &mut paths).with_context(|| format!("could not list `{folder}`"))?;
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("could not read `{}`", path.display()))?;
            let below = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            Ok(SourceFile {
                path: parts.join("/"),
                text,
            })
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path
                .file_name()
                .is_some_and(|name| name != "target" && name != "node_modules")
            {
                walk(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn is_item(line: &str, indent: &str) -> bool {
    line.strip_prefix(indent)
        .is_some_and(|rest| !rest.starts_with(char::is_whitespace) && !rest.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(text: &str) -> Vec<String> {
        let file = SourceFile {
            path: "crates/a/src/lib.rs".into(),
            text: text.into(),
        };
        file.shipped_lines()
            .into_iter()
            .map(|(_, line)| line.to_owned())
            .collect()
    }

    #[test]
    fn a_tests_module_at_the_end_is_left_out() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n";

        assert_eq!(shipped(text), ["fn a() {}", ""]);
    }

    #[test]
    fn a_tests_module_in_its_own_file_takes_two_lines_and_no_more() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests;\nfn c() {}\n";

        assert_eq!(shipped(text), ["fn a() {}", "fn c() {}"]);
    }

    #[test]
    fn what_follows_a_function_for_tests_is_shipped() {
        let text = "impl A {\n    #[cfg(test)]\n    #[must_use]\n    fn b() {\n        let c;\n    }\n    fn d() {}\n}\n";

        assert_eq!(shipped(text), ["impl A {", "    fn d() {}", "}"]);
    }

    #[test]
    fn a_file_of_tests_is_known_by_its_path() {
        let named = |path: &str| {
            SourceFile {
                path: path.into(),
                text: String::new(),
            }
            .is_test()
        };

        assert!(named("crates/server/src/grant/tests.rs"));
        assert!(named("crates/server/tests/it/token.rs"));
        assert!(!named("crates/server/src/endpoint/token.rs"));
    }
}
