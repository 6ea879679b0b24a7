//! `symbolon token explain`: why a token is refused, by itself, for a route, or
//! by the id of a request or a token.
//!
//! 1. `demand` gathers what is demanded: from the command line, or from a
//!    configuration with its lines.
//! 2. The library judges the token, alone or in the request that `sent` makes.
//! 3. `server` asks the admin API about what only the issuer can read.
//! 4. `print` writes the cause, the repair, and the rest.
//!
//! Exit status: 0 valid, 1 refused, 2 usage, 3 cannot know.

mod demand;
mod print;
mod sent;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;
use symbolon_verify::{Demanded, Explanation, Outcome, Verdict};

use self::demand::Demand;
use crate::token::{CheckArguments, doubt, read, status, verifier};

#[derive(clap::Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    check: CheckArguments,
    /// The request that the token is judged for
    #[arg(long, value_name = "METHOD URL")]
    route: Option<String>,
    /// The configuration whose issuer, resources and gateway routes demand; each
    /// demand is shown with its line
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The DPoP proof that came with the request
    #[arg(long, value_name = "PROOF", requires = "route")]
    dpop: Option<String>,
    /// The certificate that the connection showed, PEM
    #[arg(long, value_name = "FILE", requires = "route")]
    certificate: Option<PathBuf>,
    /// Explain a refused request by its id instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["token", "route", "jti"])]
    request_id: Option<String>,
    /// Explain a token by its id instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["token", "route"])]
    jti: Option<String>,
    /// Where the admin API is, which says more of what only the issuer can read
    #[arg(long, value_name = "URL", env = "SYMBOLON_ADMIN_URL")]
    admin: Option<String>,
    /// The file with the administration token
    #[arg(
        long,
        value_name = "FILE",
        env = "SYMBOLON_ADMIN_TOKEN_FILE",
        default_value = "data/admin.token"
    )]
    admin_token_file: PathBuf,
}

pub(crate) async fn run(arguments: ExplainArguments) -> anyhow::Result<ExitCode> {
    if let Some(id) = arguments.request_id.as_ref().or(arguments.jti.as_ref()) {
        return server::by_id(&arguments, id).await;
    }
    let token = read(arguments.check.token.clone())?;
    let demand = Demand::gather(&arguments, &token)?;
    let mut explanation = judged(&arguments, &demand, &token).await?;
    if !arguments.check.at_expiry {
        doubt(&mut explanation);
    }
    demand.apply(&mut explanation);
    let mut document = serde_json::to_value(&explanation)?;
    if let Some(told) = server::about(&arguments, &demand, &token, &explanation).await? {
        server::merge(&mut document, &told);
    }
    if arguments.check.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print::explanation(&document);
    }
    Ok(match text(&document, "verdict") {
        "valid" => status(Verdict::Valid),
        "refused" => status(Verdict::Refused),
        _ => status(Verdict::CannotKnow),
    })
}

async fn judged(
    arguments: &ExplainArguments,
    demand: &Demand,
    token: &str,
) -> anyhow::Result<Explanation> {
    let mut verifier = verifier(&arguments.check, &demand.issuer(), &demand.audience())?;
    if let Some(skew) = demand.clock_skew() {
        verifier = verifier.clock_skew(skew)?;
    }
    for alias in demand.aliases() {
        verifier = verifier.also_known_as(&alias)?;
    }
    let requirement = demand.requirement(&arguments.check);
    let Some(route) = demand.route() else {
        let request = arguments.check.request();
        return Ok(verifier.explain_request(token, &requirement, request).await);
    };
    let verifier = verifier.reached_at(&route.origin)?;
    match sent::parts(arguments, route, token)? {
        Some(parts) => Ok(verifier.explain_presented(&parts, &requirement).await),
        // What no header can hold never came as one.
        None => {
            let request = symbolon_token::macaroon::Request {
                method: Some(&route.method),
                path: Some(&route.path),
                address: arguments.check.client_ip,
            };
            Ok(verifier.explain_request(token, &requirement, request).await)
        }
    }
}

/// Says that policy refuses what every check let through.
fn refuse(explanation: &mut Explanation, root: &'static str, cause: String, repair: &str) {
    explanation.verdict = Verdict::Refused;
    explanation.code = root;
    explanation.root = root;
    explanation.cause = cause;
    explanation.repair = repair.to_owned();
    set_policy(explanation, Outcome::Failed);
}

fn set_policy(explanation: &mut Explanation, outcome: Outcome) {
    let mut steps = explanation.checks.iter_mut();
    if let Some(step) = steps.find(|step| step.check == "policy") {
        step.outcome = outcome;
    }
}

/// A setting that demanded something, with its line or the option that stands
/// for it.
fn demanded(setting: &'static str, value: String, place: String) -> Demanded {
    Demanded::new(setting, value).at(place)
}

/// A word of an answer of the admin API.
fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Refuses what the command line leaves out.
fn needed(value: Option<String>, option: &str) -> anyhow::Result<String> {
    match value {
        Some(value) => Ok(value),
        None => bail!("{option} is needed, or --config with a file that says it"),
    }
}
