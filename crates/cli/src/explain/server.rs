//! What the admin API says: of an opaque token, a macaroon or an assertion,
//! which only the issuer can read; of a token that it calls inactive; and of a
//! request or a token by its id.

use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::{Value, json};
use symbolon_verify::{Explanation, Verdict, What};

use super::demand::Demand;
use super::{ExplainArguments, print, text};
use crate::admin::{self, Target};

/// The admin API where nothing else was said.
const ADMIN: &str = "http://127.0.0.1:8090";

/// Explains a request or a token by its id.
pub(super) async fn by_id(arguments: &ExplainArguments, id: &str) -> anyhow::Result<ExitCode> {
    let told = match admin::explained(target(arguments), id).await {
        Ok(told) => told,
        Err(failed) if failed.is_usage() => return Err(anyhow!("{failed}")),
        Err(failed) => {
            eprintln!("error[{}]: {failed}", failed.code());
            return Ok(ExitCode::from(3));
        }
    };
    if arguments.check.json {
        say!("{}", serde_json::to_string_pretty(&told)?);
    } else {
        print::told(&told);
    }
    let is_refused =
        told["kind"] == "request" || !text(&told, "cause").starts_with("nothing that is known");
    Ok(ExitCode::from(u8::from(is_refused)))
}

/// Asks where only the issuer can say, and an address was given.
pub(super) async fn about(
    arguments: &ExplainArguments,
    demand: &Demand,
    token: &str,
    explanation: &Explanation,
) -> anyhow::Result<Option<Value>> {
    let is_open = matches!(
        explanation.root,
        "inactive" | "revoked" | "not_taken_here" | "unknown_key"
    ) || explanation.verdict == Verdict::CannotKnow
        || matches!(
            explanation.shown,
            What::Assertion | What::OpaqueToken | What::Macaroon
        ) && explanation.verdict != Verdict::Valid;
    if arguments.admin.is_none() || !is_open {
        return Ok(None);
    }
    let route = demand.route();
    let question = json!({
        "token": token,
        "audience": demand.audience(),
        "scopes": demand.scopes(),
        "method": route.map(|own| &own.method).or(arguments.check.method.as_ref()),
        "path": route.map(|own| &own.path).or(arguments.check.path.as_ref()),
        "client_ip": arguments.check.client_ip,
    });
    match admin::explain(target(arguments), &question).await {
        Ok(told) => Ok(Some(told)),
        Err(failed) => Err(anyhow!("{failed}")),
    }
}

/// What the issuer says of a token goes before what was guessed from outside:
/// its own admin listener is believed. What this API or request refuses by
/// itself stays refused.
pub(super) fn merge(document: &mut Value, told: &Value) {
    // That nobody set up introspection for this command is no word about the token.
    let is_refused_here = told["verdict"] == "valid"
        && document["verdict"] == "refused"
        && document["root"] != "not_taken_here";
    if !is_refused_here {
        for name in ["verdict", "code", "root", "cause", "repair", "checks"] {
            document[name] = told[name].clone();
        }
    }
    document["known"] = told["known"].clone();
    document["taken_back"] = told["taken_back"].clone();
}

fn target(arguments: &ExplainArguments) -> Target {
    let address = arguments.admin.as_deref().unwrap_or(ADMIN);
    Target::at(address, arguments.admin_token_file.clone())
}
