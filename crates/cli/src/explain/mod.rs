//! `symbolon token explain`: why a token is refused, by itself, for a route, or
//! by the id of a request or a token.
//!
//! 1. `demand` gathers what is demanded: from the command line, or from a
//!    configuration with its lines.
//! 2. The library judges the token, alone or in the request that `sent` makes;
//!    `policies` asks those of the configuration.
//! 3. `server` asks the admin API about what only the issuer can read.
//! 4. `print` writes the cause, the repair, and the rest.
//!
//! Exit status: 0 valid, 1 refused, 2 usage, 3 cannot know.

mod around;
mod demand;
#[cfg(feature = "cedar")]
mod policies;
mod print;
mod sent;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;
use symbolon_token::Secret;
use symbolon_token::macaroon::is_counted;
use symbolon_verify::{Demanded, Explanation, Outcome, Verdict};

use self::around::Around;
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
    let around = Around::of(arguments.config.as_deref());
    let explanation = judged(&arguments, (&demand, &around), &token).await?;
    let mut document = serde_json::to_value(&explanation)?;
    if let Some(told) = server::about(&arguments, &demand, &token, &explanation).await? {
        server::merge(&mut document, &told);
    }
    if arguments.check.json {
        say!("{}", serde_json::to_string_pretty(&document)?);
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
    (demand, around): (&Demand, &Around),
    token: &str,
) -> anyhow::Result<Explanation> {
    let check = &arguments.check;
    let mut verifier = verifier(check, &demand.issuer(), &demand.audience())?;
    let issuer = demand.issuer();
    let lent = around.client(&issuer).filter(|_| check.is_anonymous());
    if let Some((id, secret)) = lent {
        verifier = verifier.introspect_as(id, Secret::new(secret.to_vec()))?;
    }
    if let Some(skew) = demand.clock_skew() {
        verifier = verifier.clock_skew(skew)?;
    }
    for alias in demand.aliases() {
        verifier = verifier.also_known_as(&alias)?;
    }
    let is_asked = check.is_asked() || lent.is_some();
    let requirement = demand.requirement(is_asked);
    let finish = |mut own: Explanation| {
        doubt(&mut own, check.at_expiry);
        demand.apply(&mut own);
        own
    };
    let Some(route) = demand.route() else {
        let asked = verifier.explain_request(token, &requirement, check.request());
        return Ok(finish(asked.await));
    };
    let verifier = verifier.reached_at(&route.origin)?;
    let Some(parts) = sent::parts(arguments, route, token)? else {
        // What no header can hold never came as one.
        let request = symbolon_token::macaroon::Request {
            method: Some(&route.method),
            path: Some(&route.path),
            address: check.client_ip,
        };
        let asked = verifier.explain_request(token, &requirement, request);
        return Ok(finish(asked.await));
    };
    let mut own = finish(verifier.explain_presented(&parts, &requirement).await);
    let asks = demand.block().and_then(|at| around.asks_at(at));
    if let Some(asks) = asks.filter(|_| own.verdict == Verdict::Valid) {
        if is_counted(token) {
            around::not_asked(&mut own, "that would count as a use");
        } else {
            #[cfg(feature = "cedar")]
            let judged = policies::Judged {
                verifier: &verifier,
                requirement: &requirement,
                parts: &parts,
            };
            #[cfg(feature = "cedar")]
            policies::ask(&mut own, arguments, (&asks, route), &judged).await;
            #[cfg(not(feature = "cedar"))]
            around::not_asked(
                &mut own,
                &format!("route `{}` at {}", asks.route.name, asks.config.listen),
            );
        }
    }
    Ok(own)
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
