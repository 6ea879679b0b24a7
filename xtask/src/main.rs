//! Chores in Rust: `cargo run -p xtask -- <chore>`.

use std::process::ExitCode;

use xtask::generated::{self, Mode};
use xtask::planted;
use xtask::source;
use xtask::upgrade;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["generated"] => generated::run(&source::root(), Mode::Write),
        ["generated", "--check"] => generated::run(&source::root(), Mode::Check),
        ["spec-coverage"] => generated::run_one(&source::root(), "docs/spec-coverage.md"),
        ["planted", numbers @ ..] => planted::run(&source::root(), numbers),
        ["upgrade"] => upgrade::run(&source::root(), "HEAD~1"),
        ["upgrade", before] => upgrade::run(&source::root(), before),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
usage: cargo run -p xtask -- <chore>

  generated           writes every generated file
  generated --check   fails naming the generated files that are stale
  spec-coverage       writes docs/spec-coverage.md from the `//! Spec:` lines
  planted [N…]        plants each bug of docs/planted.md, or those of these numbers, and
                      fails where the tests do not find them
  upgrade [REVISION]  builds the version before (HEAD~1), and runs it and this one side
                      by side under load over SYMBOLON_TEST_POSTGRES, and back again
";
