//! `symbolon token`: what a token says, whether it is good, and why not.
//!
//! Exit status: 0 valid, 1 refused, 2 usage, 3 cannot know.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use symbolon_token::jose::Unverified;
use symbolon_token::jose::jwe::claimed_header;
use symbolon_token::macaroon::{Request, is_macaroon};
use symbolon_token::mark::Kind;
use symbolon_verify::{
    Algorithm, Explanation, Outcome, Requirement, Revocation, Verdict, Verifier,
};

use crate::explain::{self, ExplainArguments};
use crate::macaroon::{self, AttenuateArguments};

/// How long a token given to these commands may be, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

#[derive(clap::Subcommand)]
pub(crate) enum TokenCommand {
    /// Shows what a token says. Nothing is checked, nobody is asked
    #[command(
        after_help = "Example:\n  symbolon token inspect eyJ…\n  echo eyJ… | symbolon token inspect --json"
    )]
    Inspect {
        /// The token; standard input where it is left out
        token: Option<String>,
        /// Print JSON for scripts
        #[arg(long)]
        json: bool,
    },
    /// Says whether a token is good for an API
    #[command(
        after_help = "Example:\n  symbolon token verify TOKEN --issuer https://as.example.com --audience https://api.example.com --client-id orders-api --client-secret-file orders-api.secret\n\nExit status: 0 valid, 1 refused, 2 usage, 3 cannot know."
    )]
    Verify(CheckArguments),
    /// Says which check failed, what differs, and what would repair it
    #[command(
        after_help = "Example:\n  symbolon token explain TOKEN --issuer https://as.example.com --audience https://api.example.com --scope read:orders --client-id orders-api --client-secret-file orders-api.secret\n  symbolon token explain --config gateway.toml --route 'GET https://api.example.com/orders/7' TOKEN\n  symbolon token explain --request-id req_5d0c1f3a9b7e2468 --admin http://127.0.0.1:8090\n\nExit status: 0 valid, 1 refused, 2 usage, 3 cannot know."
    )]
    Explain(ExplainArguments),
    /// Narrows a macaroon, without asking anyone
    #[command(
        after_help = "Example:\n  symbolon token attenuate TOKEN --caveat 'scope = read:orders' --caveat 'before = 2026-12-01T18:00:00Z'\n\nExit status: 0 narrowed, 1 refused, 2 usage."
    )]
    Attenuate(AttenuateArguments),
}

#[derive(clap::Args)]
pub(crate) struct CheckArguments {
    /// The token; standard input where it is left out
    pub(crate) token: Option<String>,
    /// Whose tokens are good
    #[arg(long, env = "SYMBOLON_ISSUER", value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// The API that the token has to be for
    #[arg(long, env = "SYMBOLON_AUDIENCE", value_name = "URI")]
    pub(crate) audience: Option<String>,
    /// A scope that is needed; may be given several times
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Vec<String>,
    /// An algorithm that is allowed; may be given several times
    #[arg(long, value_name = "ALG", default_values = ["ES256"])]
    algorithm: Vec<String>,
    /// The client that may ask whether a token was taken back
    #[arg(long, env = "SYMBOLON_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,
    /// The file with that client's secret
    #[arg(long, env = "SYMBOLON_CLIENT_SECRET_FILE", value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// The file with the API's private JWK, where its tokens are encrypted
    #[arg(long, env = "SYMBOLON_DECRYPTION_KEY_FILE", value_name = "FILE")]
    decryption_key_file: Option<PathBuf>,
    /// Do without asking whether a JWT was taken back: it may have been
    #[arg(long)]
    pub(crate) at_expiry: bool,
    /// The method of the request that a macaroon is judged for; asking counts as a use
    #[arg(long, value_name = "METHOD")]
    pub(crate) method: Option<String>,
    /// The path of that request
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// The address that it comes from
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) client_ip: Option<std::net::IpAddr>,
    /// Print JSON for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

impl CheckArguments {
    /// Whether the issuer is asked about revocation.
    pub(crate) fn is_asked(&self) -> bool {
        self.client_id.is_some() && !self.at_expiry
    }

    /// Whether nothing was said of as whom to ask, and asking is meant.
    pub(crate) const fn is_anonymous(&self) -> bool {
        self.client_id.is_none() && !self.at_expiry
    }

    /// What is known of the request.
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            method: self.method.as_deref(),
            path: self.path.as_deref(),
            address: self.client_ip,
        }
    }
}

/// What stands in the way before a token is looked at is usage: a script must
/// not take it for a refusal.
pub(crate) async fn run(command: TokenCommand) -> anyhow::Result<ExitCode> {
    Ok(answer(command).await.unwrap_or_else(|error| {
        eprintln!("error[usage]: {error:#}");
        ExitCode::from(2)
    }))
}

async fn answer(command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Inspect { token, json } => inspect(&read(token)?, json),
        TokenCommand::Verify(arguments) => {
            let explanation = judged(&arguments).await?;
            if arguments.json {
                say!("{}", serde_json::to_string_pretty(&explanation)?);
            } else {
                say!("{}", explanation.cause);
            }
            Ok(status(explanation.verdict))
        }
        TokenCommand::Explain(arguments) => explain::run(arguments).await,
        TokenCommand::Attenuate(arguments) => {
            macaroon::narrow(&read(arguments.token.clone())?, &arguments)
        }
    }
}

/// The argument, or standard input; surrounding blanks are not part of a token.
pub(crate) fn read(token: Option<String>) -> anyhow::Result<String> {
    let text = match token {
        Some(token) => token,
        None => {
            let mut text = String::new();
            std::io::stdin()
                .take(MAX_TOKEN_BYTES)
                .read_to_string(&mut text)
                .context("standard input is not text")?;
            text
        }
    };
    let text = text.trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text).trim();
    if text.is_empty() {
        bail!("no token was given");
    }
    Ok(text.to_owned())
}

async fn judged(arguments: &CheckArguments) -> anyhow::Result<Explanation> {
    let token = read(arguments.token.clone())?;
    let issuer = arguments.issuer.as_deref().context("--issuer is needed")?;
    let audience = arguments
        .audience
        .as_deref()
        .context("--audience is needed")?;
    let verifier = verifier(arguments, issuer, audience)?;
    let mut requirement = Requirement::all(arguments.scope.iter().cloned());
    if !arguments.is_asked() {
        requirement = requirement.revocation(Revocation::AtExpiry);
    }
    let explained = verifier.explain_request(&token, &requirement, arguments.request());
    let mut explanation = explained.await;
    doubt(&mut explanation, arguments.at_expiry);
    Ok(explanation)
}

/// A verifier of an issuer's tokens for an API, which may ask where it was told
/// as whom.
pub(crate) fn verifier(
    arguments: &CheckArguments,
    issuer: &str,
    audience: &str,
) -> anyhow::Result<Verifier> {
    let algorithms: Vec<_> = arguments
        .algorithm
        .iter()
        .map(|name| Algorithm::named(name).context("no such algorithm"))
        .collect::<Result<_, _>>()?;
    let mut verifier = Verifier::new(issuer, audience, algorithms)?;
    if let Some(path) = &arguments.decryption_key_file {
        let key = std::fs::read_to_string(path)
            .with_context(|| format!("could not read `{}`", path.display()))?;
        verifier = verifier.decrypt_with(key)?;
    }
    match (&arguments.client_id, &arguments.client_secret_file) {
        (Some(id), Some(file)) => {
            let secret = std::fs::read_to_string(file)
                .with_context(|| format!("could not read `{}`", file.display()))?;
            Ok(verifier.introspect_as(id, secret.trim())?)
        }
        (None, None) => Ok(verifier),
        _ => bail!("--client-id and --client-secret-file belong together"),
    }
}

/// A token of which nobody asked whether it was taken back is not called valid
/// to somebody who did not say that they do without; and one that only the
/// issuer can read is not called refused where nobody asked it.
pub(crate) fn doubt(explanation: &mut Explanation, at_expiry: bool) {
    if explanation.root == "not_taken_here" {
        explanation.verdict = Verdict::CannotKnow;
        explanation.cause = "cannot know: only the issuer can read such a token".to_owned();
        explanation.repair =
            "give --client-id and --client-secret-file of a client that may introspect".to_owned();
        return;
    }
    let mut steps = explanation.checks.iter();
    let is_unasked =
        steps.any(|step| step.check == "revocation" && step.outcome == Outcome::NotAsked);
    if at_expiry || explanation.verdict != Verdict::Valid || !is_unasked {
        return;
    }
    let rest = explanation.cause.trim_start_matches("valid: ");
    explanation.cause = format!("cannot know: {rest}");
    explanation.verdict = Verdict::CannotKnow;
    explanation.code = "revocation_not_asked";
    explanation.root = "revocation_not_asked";
    explanation.repair =
        "give --client-id and --client-secret-file of a client that may introspect, or --at-expiry to do without"
            .to_owned();
}

/// A value on one line, with instants as dates.
pub(crate) fn shown(name: &str, value: &Value) -> String {
    let text = value.to_string().replace(char::is_control, " ");
    match value.as_i64() {
        Some(seconds) if matches!(name, "exp" | "iat" | "nbf" | "auth_time") => {
            format!(
                "{text} ({})",
                symbolon_protocol::Timestamp::from_seconds(seconds)
            )
        }
        _ => text,
    }
}

pub(crate) fn status(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Valid => 0,
        Verdict::Refused => 1,
        Verdict::CannotKnow => 3,
    })
}

fn macaroon_shown(token: &str) -> Option<Value> {
    is_macaroon(token).then(|| macaroon::document(token))?
}

fn inspect(token: &str, json: bool) -> anyhow::Result<ExitCode> {
    let document = if let Some(document) = macaroon_shown(token) {
        document
    } else if let Some(claimed) = symbolon_token::api_key::read(token) {
        json!({
            "rendering": "api_key", "id": claimed.id, "environment": claimed.environment,
            "note": "what it permits, only the issuer knows",
        })
    } else if let Some(kind) = Kind::claimed_by(token) {
        json!({ "rendering": "opaque", "kind": kind.name(), "note": "only the issuer can read it" })
    } else if let Some(header) = claimed_header(token) {
        json!({ "rendering": "jwe", "unverified_header": header, "note": "only whoever has the private key can read it" })
    } else {
        let Ok(jws) = Unverified::parse(token) else {
            eprintln!(
                "error[refused]: this is neither a compact JWT, a macaroon nor a credential that Symbolon makes"
            );
            return Ok(ExitCode::from(1));
        };
        json!({
            "rendering": "jwt",
            "type": jws.claimed_type(),
            "algorithm": jws.claimed_algorithm(),
            "key": jws.claimed_kid(),
            "unverified_claims": jws.dangerous_claims_without_key().map_err(|invalid| anyhow::anyhow!("{invalid}"))?,
        })
    };
    if json {
        say!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(ExitCode::SUCCESS);
    }
    for (name, value) in document.as_object().into_iter().flatten() {
        match value {
            Value::Array(caveats) if name == "caveats" => {
                say!("caveats (nothing was checked):");
                macaroon::print_caveats(caveats);
            }
            Value::Object(claims) => {
                say!("{name} (nothing was checked):");
                claims
                    .iter()
                    .for_each(|(name, value)| say!("  {name:<11} {}", shown(name, value)));
            }
            Value::String(text) => say!("{name:<11} {text}"),
            other => say!("{name:<11} {other}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}
