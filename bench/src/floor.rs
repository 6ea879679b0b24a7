//! The floors over HTTP: a bare Axum server that does only what nobody could
//! leave out. It runs as a process of its own, as the server under test does.
//!
//! Spec: RFC 9068 §2
//! Spec: RFC 7515 §3.1

use std::net::SocketAddr;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context, Result};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Form, Router};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::bench::Bench;
use crate::clock;
use crate::process::{Process, free_address};
use crate::proxy;

/// Serves one of the floors until it is killed.
#[derive(clap::Args)]
pub(crate) struct FloorArguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Answers the token endpoint with a fresh JWT of these claims (JSON)
    #[arg(long, conflicts_with = "bytes")]
    claims: Option<String>,
    /// Answers every endpoint with this many bytes
    #[arg(long, default_value_t = 0)]
    bytes: usize,
    /// Passes everything on to this address
    #[arg(long, conflicts_with_all = ["bytes", "claims"])]
    passes: Option<SocketAddr>,
}

/// What a floor answers with.
pub(crate) enum Floor<'a> {
    /// A fresh JWT of these claims.
    Signs(&'a str),
    /// As many bytes.
    Answers(usize),
    /// Whatever somebody else answers.
    Passes(SocketAddr),
}

impl Floor<'_> {
    pub(crate) fn start(&self, bench: &Bench) -> Result<Process> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["floor", "--listen", &address.to_string()]);
        match self {
            Self::Signs(claims) => command.args(["--claims", claims]),
            Self::Answers(bytes) => command.args(["--bytes", &bytes.to_string()]),
            Self::Passes(to) => command.args(["--passes", &to.to_string()]),
        };
        let log = format!("floor-{}.log", address.port());
        Process::start(command, address, &bench.folder.join(log))
    }
}

pub(crate) fn serve(arguments: &FloorArguments) -> Result<ExitCode> {
    let ready = Router::new().route("/readyz", get(async || "{}"));
    let app = match &arguments.claims {
        Some(claims) => {
            let signer = Arc::new(Signer::of(claims)?);
            Router::new()
                .route("/token", post(issue))
                .with_state(signer)
        }
        None => Router::new()
            .route("/token", post(answer))
            .route("/introspect", post(answer))
            .route("/.well-known/jwks.json", get(answer))
            .route("/orders/{id}", get(answer))
            .route("/open/{id}", get(answer))
            .with_state(Bytes::from(vec![b' '; arguments.bytes])),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.listen).await?;
        if let Some(to) = arguments.passes {
            proxy::serve(listener, to).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let listener = listener.tap_io(|stream| {
            // Where it cannot be set the floor is a little slower.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app.merge(ready)).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The body is read, as whoever answers a POST over keep-alive must.
async fn answer(State(bytes): State<Bytes>, _body: Bytes) -> Response {
    json(bytes)
}

fn json(body: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

/// A key, parsed once, and the claims to sign with it.
struct Signer {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    header: String,
    claims: Claims,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    client_id: String,
    scope: String,
    rev: Value,
}

#[derive(Serialize)]
struct Written<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: &'a str,
    client_id: &'a str,
    scope: &'a str,
    rev: &'a Value,
}

#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
}

#[derive(Serialize)]
struct TokenAnswer<'a> {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: &'a str,
}

const LIFETIME_SECONDS: i64 = 600;

impl Signer {
    fn of(claims: &str) -> Result<Self> {
        let header =
            r#"{"alg":"ES256","typ":"at+jwt","kid":"cdwFZ0JTRaKfEnbB6CNTZRhM6Vlu4ysTNcVPIlKeTzw"}"#;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Ok(Self {
            pair: pair.ok().context("no key could be made")?,
            random: SystemRandom::new(),
            header: BASE64_URL_SAFE_NO_PAD.encode(header),
            claims: serde_json::from_str(claims)?,
        })
    }

    fn token(&self) -> Option<String> {
        let mut id = [0; 16];
        self.random.fill(&mut id).ok()?;
        let claims = &self.claims;
        let now = clock::unix_seconds();
        let payload = serde_json::to_vec(&Written {
            iss: &claims.iss,
            sub: &claims.sub,
            aud: &claims.aud,
            exp: now + LIFETIME_SECONDS,
            iat: now,
            jti: &BASE64_URL_SAFE_NO_PAD.encode(id),
            client_id: &claims.client_id,
            scope: &claims.scope,
            rev: &claims.rev,
        })
        .ok()?;
        let mut token = String::with_capacity(1024);
        token.push_str(&self.header);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.pair.sign(&self.random, token.as_bytes()).ok()?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Some(token)
    }
}

async fn issue(State(signer): State<Arc<Signer>>, Form(form): Form<TokenRequest>) -> Response {
    if form.grant_type != "client_credentials" {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let answer = signer.token().and_then(|access_token| {
        let answer = TokenAnswer {
            access_token,
            token_type: "Bearer",
            expires_in: LIFETIME_SECONDS,
            scope: &signer.claims.scope,
        };
        serde_json::to_vec(&answer).ok()
    });
    match answer {
        Some(body) => json(body.into()),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
