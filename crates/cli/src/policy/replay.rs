//! `symbolon policy replay`: asks policies again what a decision log recorded.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;
use symbolon_gateway::policy::{Policies, Question};

use super::Sources;
use super::test::named;
use crate::serve::counted;

/// How long a line may be, in bytes; longer ones are not read.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// What a line has in it that holds a decision.
const MARK: &[u8] = b"\"message\":\"policy\"";

#[derive(clap::Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(super) sources: Sources,
    /// The decision log, `-` for standard input
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Print a JSON list for scripts
    #[arg(long)]
    json: bool,
}

/// A line of the log, as far as it is a decision.
#[derive(Deserialize)]
struct Line {
    request: String,
    route: String,
    decision: String,
    #[serde(default)]
    policies: String,
    question: String,
}

/// A decision that would be another.
struct Changed {
    line: Line,
    method: String,
    answer: &'static str,
    policies: Vec<String>,
}

pub(super) fn run(arguments: &ReplayArguments) -> anyhow::Result<ExitCode> {
    let (policies, _) = arguments.sources.load(Vec::new())?;
    let log = open(&arguments.log)?;
    let (mut count, mut unread, mut changed) = (0_usize, 0_usize, Vec::new());
    for line in log.split(b'\n') {
        let line = line.with_context(|| format!("could not read `{}`", arguments.log.display()))?;
        match decision(&line) {
            Held::Decision(line, question) => {
                count += 1;
                changed.extend(again(&policies, *line, &question));
            }
            Held::Unread => unread += 1,
            Held::Nothing => {}
        }
    }
    if count == 0 {
        // Nothing that was asked is no proof that nothing would change.
        anyhow::bail!(
            "`{}` holds no decision: it takes the log of `symbolon gateway` in JSON (`SYMBOLON_LOG_FORM=json`), with `[policy]` set up and lines of `info` let through",
            arguments.log.display()
        );
    }
    match arguments.json {
        true => say!("{}", serde_json::to_string_pretty(&list(&changed))?),
        false => print(&changed, count),
    }
    if unread > 0 {
        // What was not asked again is no proof either.
        eprintln!(
            "{} of `{}` could not be read, and may change: they are of another version, longer than 64 KiB, or were cut",
            counted(unread, "decision"),
            arguments.log.display()
        );
    }
    Ok(ExitCode::from(u8::from(unread > 0 || !changed.is_empty())))
}

fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(path);
    let file = file.with_context(|| format!("could not read `{}`", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

/// What a line holds.
enum Held {
    /// A recorded decision, and its question.
    Decision(Box<Line>, Box<Question>),
    /// One that cannot be read.
    Unread,
    /// Something else.
    Nothing,
}

fn decision(line: &[u8]) -> Held {
    let text = match line.len() > MAX_LINE_BYTES {
        true => None,
        false => serde_json::from_slice::<serde_json::Value>(line).ok(),
    };
    let Some(text) = text else {
        let has_mark = line.windows(MARK.len()).any(|own| own == MARK);
        return if has_mark {
            Held::Unread
        } else {
            Held::Nothing
        };
    };
    // Of risk alone there is a line as well, without a question.
    if text["message"] != "policy" || text["question"].is_null() {
        return Held::Nothing;
    }
    let read = || {
        let line: Line = serde_json::from_value(text).ok()?;
        let question = serde_json::from_str(&line.question).ok()?;
        Some(Held::Decision(Box::new(line), Box::new(question)))
    };
    read().unwrap_or(Held::Unread)
}

fn again(policies: &Policies, line: Line, question: &Question) -> Option<Changed> {
    let ruling = policies.decide(question);
    (ruling.answer.word() != line.decision).then(|| Changed {
        line,
        method: question.method.clone(),
        answer: ruling.answer.word(),
        policies: ruling.policies,
    })
}

fn list(changed: &[Changed]) -> serde_json::Value {
    let one = |own: &Changed| {
        json!({
            "request": own.line.request,
            "route": own.line.route,
            "method": own.method,
            "was": own.line.decision,
            "was_by": own.line.policies,
            "would_be": own.answer,
            "would_be_by": own.policies,
        })
    };
    changed.iter().map(one).collect()
}

fn print(changed: &[Changed], count: usize) {
    let mut kinds = BTreeMap::<(&str, &str, &str), usize>::new();
    for own in changed {
        say!(
            "{}  {} {}\n  - {}  by {}\n  + {}  by {}",
            own.line.request,
            own.method,
            own.line.route,
            own.line.decision,
            match own.line.policies.is_empty() {
                true => "no policy",
                false => &own.line.policies,
            },
            own.answer,
            named(&own.policies),
        );
        let kind = (&*own.line.route, &*own.line.decision, own.answer);
        *kinds.entry(kind).or_default() += 1;
    }
    say!(
        "{}, {} would change",
        counted(count, "decision"),
        changed.len()
    );
    for ((route, was, would_be), count) in kinds {
        say!("  {route}: {was} -> {would_be}, {count}");
    }
}
