//! Whatever the gateway asks is down, slow or wrong, one thing at a time: nobody
//! gets in whose token is no good, and whoever may not be let in is told that
//! nobody knows.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use symbolon_gateway::{Demand, Launch, Running};
use symbolon_verify::Revocation;
use tokio::net::TcpListener;

use crate::binding::Maker;
use crate::issuer::{API, Issuer, OPAQUE, http};
use crate::site::{edge, needs, route, settings};
use crate::upstream::Upstream;

/// What of the issuer the gateway depends on: the paths of it.
const PARTS: [(&str, &[&str]); 4] = [
    (
        "metadata",
        &[
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
        ],
    ),
    ("keys", &["/.well-known/jwks.json"]),
    ("introspection", &["/introspect"]),
    ("feed", &["/revocations"]),
];

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// It fails.
    Down,
    /// It says nothing for longer than anybody waits.
    Slow,
    /// It says something else.
    Says(&'static str, &'static str),
}

const WRONGS: [Wrong; 5] = [
    Wrong::Down,
    Wrong::Slow,
    Wrong::Says("text/html", "<p>hello"),
    Wrong::Says("application/json", "{}"),
    Wrong::Says(
        "application/json",
        r#"{"active":"yes","keys":7,"issuer":"x"}"#,
    ),
];

type Fault = Arc<Mutex<Option<(&'static [&'static str], Wrong)>>>;

#[derive(Clone)]
struct Middle {
    to: Arc<Mutex<Option<SocketAddr>>>,
    fault: Fault,
}

/// Passes on to the issuer, save what is wrong with it now.
async fn pass_on(State(own): State<Middle>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let fault = *own.fault.lock().unwrap();
    if let Some((paths, wrong)) = fault
        && paths.contains(&parts.uri.path())
    {
        return match wrong {
            Wrong::Down => StatusCode::BAD_GATEWAY.into_response(),
            Wrong::Slow => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                StatusCode::OK.into_response()
            }
            Wrong::Says(kind, text) => ([("content-type", kind)], text).into_response(),
        };
    }
    let to = own.to.lock().unwrap().unwrap();
    let target = parts.uri.path_and_query().unwrap();
    let body = axum::body::to_bytes(body, 1024 * 1024).await.unwrap();
    let request = http().request(parts.method, format!("http://{to}{target}"));
    let Ok(answer) = request.headers(parts.headers).body(body).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for name in ["content-type", "cache-control", "www-authenticate"] {
        if let Some(value) = answer.headers().get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    let pieces = stream::unfold(answer, async |mut answer| {
        let piece = answer.chunk().await.ok().flatten()?;
        Some((Ok::<_, Infallible>(piece), answer))
    });
    *response.body_mut() = Body::from_stream(pieces);
    response
}

/// A gateway that has asked nothing yet.
async fn new_gateway(issuer: &str, upstream: SocketAddr) -> (SocketAddr, Running) {
    let mut settings = settings(issuer, upstream);
    let mut written = needs(issuer, API, "read");
    if let Demand::Token(demand) = &mut written {
        demand.revocation = Revocation::AtExpiry;
    }
    settings.routes = vec![
        route("/orders/{id}", needs(issuer, API, "read")),
        route("/opaque/{id}", needs(issuer, OPAQUE, "read")),
        route("/written/{id}", written),
        route("/public/{*rest}", Demand::Public),
    ];
    let launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None);
    let launch = launch.await.unwrap();
    let address = launch.public.local_addr().unwrap();
    (address, launch.start(settings, edge()).unwrap())
}

async fn status(gateway: SocketAddr, path: &str, token: Option<&str>) -> u16 {
    let mut request = http().get(format!("http://{gateway}{path}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap().status().as_u16()
}

/// Attack: L342
/// Fault: R43
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_thing_that_is_down_slow_or_wrong_lets_nobody_in_who_is_not_let_in_in_writing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap();
    let middle = Middle {
        to: Arc::default(),
        fault: Fault::default(),
    };
    let router = Router::new().fallback(pass_on).with_state(middle.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let issuer = Issuer::behind(Some(front)).await;
    *middle.to.lock().unwrap() = Some(issuer.address);
    let upstream = Upstream::start().await;
    let jwt = issuer.token(API, "read").await;
    let opaque = issuer.token(OPAQUE, "read").await;
    let (dead_jwt, dead_opaque) = (
        issuer.token(API, "read").await,
        issuer.token(OPAQUE, "read").await,
    );
    issuer.revoke(&dead_jwt).await;
    issuer.revoke(&dead_opaque).await;
    let forged = Maker::start().await.named(&issuer.url).token(json!({}));

    // The twin: nothing is wrong.
    let (gateway, _running) = new_gateway(&issuer.url, upstream.address).await;
    assert_eq!(status(gateway, "/orders/7", Some(&jwt)).await, 200);
    assert_eq!(status(gateway, "/opaque/7", Some(&opaque)).await, 200);
    assert_eq!(status(gateway, "/orders/7", Some(&dead_jwt)).await, 401);

    for (part, paths) in PARTS {
        for wrong in WRONGS {
            *middle.fault.lock().unwrap() = Some((paths, wrong));
            let (gateway, _running) = new_gateway(&issuer.url, upstream.address).await;
            let ask = |path, token| status(gateway, path, token);
            let (good, sealed, dead, dead_sealed, forged, open) = tokio::join!(
                ask("/orders/7", Some(&*jwt)),
                ask("/opaque/7", Some(&*opaque)),
                ask("/orders/7", Some(&*dead_jwt)),
                ask("/opaque/7", Some(&*dead_opaque)),
                ask("/written/7", Some(&*forged)),
                ask("/public/x", None),
            );
            let case = format!("{part}: {wrong:?}");
            for bad in [dead, dead_sealed, forged] {
                assert!(matches!(bad, 401 | 503), "{case}: {bad}");
            }
            // Nobody says of a good token that it is bad, because nobody knows.
            for known in [good, sealed] {
                assert!(matches!(known, 200 | 503), "{case}: {known}");
            }
            if matches!(part, "metadata" | "introspection") {
                assert_eq!(sealed, 503, "{case}");
            }
            if matches!(part, "metadata" | "keys") {
                assert_eq!(good, 503, "{case}");
            }
            assert_eq!(open, 200, "{case}");
        }
    }
}
