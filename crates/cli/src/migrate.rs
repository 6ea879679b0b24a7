//! `symbolon migrate`: the schema, brought up to date or planned.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use symbolon_server::launch::{
    Contract, Finished, Migration, PlannedStep, migrate, migration_plan, newer_migrations,
    pending_migrations,
};

use crate::serve::{counted, edge, load};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  symbolon migrate --config symbolon.toml --plan\n\nServers may be running; none has to wait longer than half a second. A server adds by itself at its start what it needs; what takes long (`fill`) is done here, in chunks, and can be stopped and begun again.\nExit status: 0 up to date or done, 1 failed, 2 usage."
)]
pub(crate) struct MigrateArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Say what would be done, statement by statement, and do nothing: not even a file is made
    #[arg(long)]
    plan: bool,
    /// Take away, too, what no version needs any more: every node has to be of this version
    #[arg(long, conflicts_with = "plan")]
    contract: bool,
    /// Print JSON for scripts
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: &MigrateArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let entropy = edge().entropy;
    let newer = newer_migrations(&config, &*entropy).await?;
    let pending = pending_migrations(&config, &*entropy).await?;
    let plan = migration_plan(&config, &*entropy).await?;
    let contract = match arguments.contract {
        true => Contract::Now,
        false => Contract::Later,
    };
    let done = match arguments.plan || plan.is_empty() {
        true => None,
        false => Some(migrate(&config, &*entropy, contract).await?),
    };
    if arguments.json {
        let plan = arguments.plan.then_some(&*plan);
        say!("{}", answer((&pending, &newer), plan, done.as_ref()));
        return Ok(ExitCode::SUCCESS);
    }
    if !newer.is_empty() {
        let numbers: Vec<String> = newer.iter().map(i64::to_string).collect();
        say!(
            "a newer version has been here (migration {}): this one does not know what it added",
            numbers.join(", ")
        );
    }
    if plan.is_empty() {
        say!("the schema is up to date");
    }
    for step in &plan {
        say!(
            "{:>4}  {}  ({})",
            step.number,
            step.name,
            step.phase.as_str()
        );
        if arguments.plan {
            tell(step);
        }
    }
    if let Some((_, finished)) = done {
        for (name, rows) in finished.filled {
            let rows = usize::try_from(rows).unwrap_or(usize::MAX);
            say!("{name}: {}", counted(rows, "row"));
        }
        say!("done");
    }
    Ok(ExitCode::SUCCESS)
}

/// A step as people read it.
fn tell(step: &PlannedStep) {
    for own in &step.statements {
        let rows = own.rows.map_or_else(
            || "new".to_owned(),
            |rows| format!("{rows} rows, as far as is known"),
        );
        let chunks = if step.is_chunked {
            ", in chunks that can be stopped"
        } else {
            ""
        };
        say!(
            "        {}: {rows}; {}; about {} ms{chunks}",
            own.table,
            own.lock.as_str(),
            own.estimate_ms
        );
        say!("          {}", own.text);
    }
}

fn answer(
    (pending, newer): (&[Migration], &[i64]),
    plan: Option<&[PlannedStep]>,
    done: Option<&(Vec<Migration>, Finished)>,
) -> Value {
    let (run, finished) = done.map_or((&[][..], None), |(run, finished)| (&**run, Some(finished)));
    let mut body = json!({ "pending": listed(pending), "run": listed(run), "newer": newer });
    if let Some(plan) = plan {
        body["plan"] = plan.iter().map(planned).collect();
    }
    if let Some(finished) = finished {
        let filled = finished.filled.iter();
        let filled = filled.map(|(name, rows)| json!({ "name": name, "rows": rows }));
        body["filled"] = filled.collect();
        body["contracted"] = listed(&finished.contracted);
    }
    body
}

fn planned(step: &PlannedStep) -> Value {
    let statement = |own: &symbolon_server::launch::PlannedStatement| {
        json!({
            "text": own.text,
            "table": own.table,
            "rows": own.rows,
            "lock": own.lock.as_str(),
            "estimate_ms": own.estimate_ms,
        })
    };
    json!({
        "number": step.number,
        "name": step.name,
        "phase": step.phase.as_str(),
        "chunked": step.is_chunked,
        "statements": step.statements.iter().map(statement).collect::<Vec<_>>(),
    })
}

fn listed(migrations: &[Migration]) -> Value {
    let one = |own: &Migration| json!({ "number": own.number, "name": own.name });
    migrations.iter().map(one).collect()
}
