//! A program of other people's libraries that is asked line by line, in JSON.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A script of `tests/peers` that runs in the Python that tests are given.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a script by its name.
    pub fn start(script: &str) -> Self {
        let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers");
        let mut child = Command::new(python)
            .arg(format!("{folder}/{script}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python that starts");
        let to = child.stdin.take().expect("it was asked for");
        let from = child.stdout.take().expect("it was asked for");
        let from = BufReader::new(from);
        Self { child, to, from }
    }

    /// Asks one question and waits for its answer.
    pub fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.to, "{request}").expect("a script that listens");
        let mut line = String::new();
        self.from
            .read_line(&mut line)
            .expect("a script that answers");
        serde_json::from_str(&line).expect("an answer in JSON")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has ended by itself where a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
