//! Proves a database by the behaviour and race tests of the store.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use symbolon_server::clock::SystemEntropy;
use symbolon_server::proof::{Outcome, prove as behaviours};

use super::outcome;
use crate::serve::{counted, edge};

pub(super) async fn prove(url: &str, unnamed: bool, json: bool) -> anyhow::Result<ExitCode> {
    let now = edge().clock.now();
    let outcomes = behaviours(url, unnamed, Arc::new(SystemEntropy), now).await?;
    let broken = outcomes.iter().filter(|own| own.result.is_err()).count();
    if json {
        let all = outcomes.iter().map(|own| outcome(own.name, otherwise(own)));
        say!("{}", json!({ "outcomes": all.collect::<Vec<_>>() }));
    } else {
        for own in &outcomes {
            let name = own.name.replace('_', " ");
            match otherwise(own) {
                None => say!("ok       {name}"),
                Some(why) => say!("BROKEN   {name}: {why}"),
            }
        }
        say!(
            "{}, {} broken",
            counted(outcomes.len(), "behaviour"),
            broken
        );
    }
    Ok(ExitCode::from(u8::from(broken > 0)))
}

fn otherwise(outcome: &Outcome) -> Option<String> {
    outcome.result.as_ref().err().map(ToString::to_string)
}
