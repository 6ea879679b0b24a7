//! `symbolon policy test`: cases of a file, each a question and what has to be
//! answered.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;
use symbolon_gateway::policy::{Names, Policies, Question, Ruling};
use symbolon_protocol::Timestamp;

use super::Sources;
use crate::serve::counted;

#[derive(clap::Args)]
pub(crate) struct TestArguments {
    #[command(flatten)]
    pub(super) sources: Sources,
    /// The file of cases, TOML or JSON
    #[arg(value_name = "CASES")]
    cases: PathBuf,
    /// Print a JSON list for scripts
    #[arg(long)]
    json: bool,
}

/// All cases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    request: Question,
    expect: Expected,
    /// Exactly these policies determine it, where any are named.
    policies: Option<Vec<String>>,
    /// When it is asked; at the beginning of 1970 where nothing is said, so that the
    /// answer is the same each time.
    #[serde(default, deserialize_with = "time")]
    at: Option<Timestamp>,
}

/// Reads a time as RFC 3339 writes it.
fn time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(from)?;
    let time = text.parse().map_err(serde::de::Error::custom)?;
    Ok(Some(time))
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Expected {
    Allow,
    Deny,
    StepUp,
    Revoke,
    Unknown,
}

impl Expected {
    const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::StepUp => "step_up",
            Self::Revoke => "revoke",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) fn run(arguments: &TestArguments) -> anyhow::Result<ExitCode> {
    let (policies, names) = arguments.sources.load(Vec::new())?;
    let cases = read(&arguments.cases)?;
    if let Some(names) = names {
        check_routes(&cases, &names, &arguments.cases)?;
    }
    let (mut failed, count) = (0, cases.case.len());
    let mut list = Vec::new();
    for case in cases.case {
        let (ruling, differences) = judge(&policies, &case);
        failed += usize::from(!differences.is_empty());
        if arguments.json {
            list.push(json!({
                "name": case.name,
                "passed": differences.is_empty(),
                "expected": case.expect.word(),
                "answered": ruling.answer.word(),
                "policies": ruling.policies,
            }));
            continue;
        }
        let mark = if differences.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        say!("{mark}  {}", case.name);
        for line in differences {
            say!("      {line}");
        }
    }
    match arguments.json {
        true => say!("{}", serde_json::to_string_pretty(&list)?),
        false => say!("{}, {failed} failed", counted(count, "case")),
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// A question about a route that is not there says nothing of what will be
/// answered.
fn check_routes(cases: &Cases, names: &Names, file: &Path) -> anyhow::Result<()> {
    let stranger = |case: &Case| {
        let why = names.stranger(&case.request.resource.route)?;
        Some(format!("`{}`: {why}", case.name))
    };
    let strangers: Vec<String> = cases.case.iter().filter_map(stranger).collect();
    if !strangers.is_empty() {
        anyhow::bail!("{}: {}", file.display(), strangers.join("; "));
    }
    Ok(())
}

/// What is answered, and how it differs from what was expected.
fn judge(policies: &Policies, case: &Case) -> (Ruling, Vec<String>) {
    let mut question = case.request.clone();
    if let Some(at) = case.at {
        question.context.now = at.seconds();
    }
    let ruling = policies.decide(&question);
    let mut differences = Vec::new();
    if ruling.answer.word() != case.expect.word() {
        differences.push(format!("- expected  {}", case.expect.word()));
        differences.push(format!("+ answered  {}", ruling.answer));
    }
    let mut wanted = case.policies.clone();
    if let Some(wanted) = &mut wanted {
        wanted.sort_unstable();
        if *wanted != ruling.policies {
            differences.push(format!("- by        {}", named(wanted)));
            differences.push(format!("+ by        {}", named(&ruling.policies)));
        }
    } else if !differences.is_empty() {
        differences.push(format!("  by        {}", named(&ruling.policies)));
    }
    if !differences.is_empty() {
        let asked = serde_json::to_string(&question).unwrap_or_default();
        differences.push(format!("  asked     {asked}"));
    }
    (ruling, differences)
}

/// Policies by their ids.
pub(super) fn named(policies: &[String]) -> String {
    match policies.is_empty() {
        true => "no policy".to_owned(),
        false => policies.join(", "),
    }
}

fn read(path: &Path) -> anyhow::Result<Cases> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("could not read `{}`", path.display()))?;
    let is_json = path.extension().is_some_and(|own| own == "json");
    let read = match is_json {
        true => serde_json::from_str(&text).map_err(anyhow::Error::from),
        false => toml::from_str(&text).map_err(anyhow::Error::from),
    };
    let cases: Cases = read.with_context(|| format!("`{}` holds no cases", path.display()))?;
    if cases.case.is_empty() {
        anyhow::bail!("`{}` holds no cases", path.display());
    }
    Ok(cases)
}
