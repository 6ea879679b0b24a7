//! The administration listener: admin API, metrics, health, and the read-only
//! status page.
//!
//! 1. `routes` is the table of all operations, `openapi` describes it.
//! 2. `call` is a request as an operation sees it, `body` reads its document.
//! 3. Each other file is one noun with its operations.
//!
//! Every operation that changes something is one act, which writes its audit
//! event in the same transaction; what this node holds in memory follows
//! before the answer.

mod api_keys;
mod audit;
mod bearer;
mod body;
mod call;
mod claims;
mod clients;
mod explanations;
mod failed;
mod grants;
mod health;
mod host;
mod keys;
mod listing;
mod metrics;
mod named;
mod openapi;
mod organizations;
mod outbox;
mod resources;
mod revocations;
mod routes;
pub(crate) mod secrets;
mod sessions;
mod status;
mod status_link;
mod tokens;
mod trusted_issuers;
mod users;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request};
use symbolon_store::AuditEvent;

use crate::app::App;
use crate::cx::Cx;
use crate::respond::REQUEST_ID;

use self::failed::{Failed, Outcome, Refused};
use self::host::Hosts;

pub use self::bearer::Bearer;
pub use self::metrics::install_metrics;
pub use self::openapi::openapi;
pub use self::routes::{Access, Route, table};
pub(crate) use self::secrets::{fits, has_its_secret, hash_password, to_be_stored};
pub(crate) use self::status_link::StatusLinks;
pub(crate) use self::users::{canonical, login_names};

/// Serves administration for whoever shows the bearer, under addresses,
/// `localhost` and the names in `hosts`.
pub fn router(app: &Arc<App>, bearer: &Arc<Bearer>, hosts: &[String]) -> Router {
    install_metrics();
    let admin = Administration {
        app: Arc::clone(app),
        bearer: Arc::clone(bearer),
        hosts: Hosts::new(hosts),
    };
    Arc::new(admin).router()
}

/// The administration of a running server.
struct Administration {
    app: Arc<App>,
    bearer: Arc<Bearer>,
    hosts: Hosts,
}

impl Administration {
    fn router(self: &Arc<Self>) -> Router {
        let mut router = Router::new();
        for route in table() {
            let Ok(filter) = MethodFilter::try_from(route.method.clone()) else {
                continue;
            };
            let (admin, path) = (Arc::clone(self), route.path);
            let route = Arc::new(route);
            let endpoint = move |parts: Result<Path<BTreeMap<String, String>>, PathRejection>,
                                 request: Request<Body>| {
                let (admin, route) = (Arc::clone(&admin), Arc::clone(&route));
                async move { admin.answer(&route, parts.ok(), request).await }
            };
            router = router.route(path, on(filter, endpoint));
        }
        let (nothing, wrong) = (Arc::clone(self), Arc::clone(self));
        router
            .fallback(move |request: Request<Body>| async move {
                nothing.refuse(
                    &request,
                    Refused::not_found("there is nothing at this address"),
                )
            })
            .method_not_allowed_fallback(move |request: Request<Body>| async move {
                wrong.refuse(&request, Refused::method_not_allowed())
            })
    }

    async fn answer(
        self: Arc<Self>,
        route: &Route,
        parts: Option<Path<BTreeMap<String, String>>>,
        request: Request<Body>,
    ) -> Response {
        let cx = self.cx(&request);
        let outcome = match self.check_caller(route, &request) {
            Ok(()) => call::operate(&cx, route, parts, request).await,
            Err(refused) => Err(refused.into()),
        };
        finish(&cx, outcome)
    }

    fn refuse(&self, request: &Request<Body>, refused: Refused) -> Response {
        let cx = self.cx(request);
        // What exists below the API is for those who may call it.
        let is_api = request.uri().path().starts_with("/admin");
        let access = if is_api {
            Access::Token
        } else {
            Access::Anyone
        };
        let is_ours = self.hosts.is_ours(request);
        let outcome = is_ours.then_some(()).ok_or_else(Refused::misdirected);
        let outcome = outcome
            .and_then(|()| self.check_access(access, request.headers()))
            .and(Err(refused));
        finish(&cx, outcome.map_err(Failed::from))
    }

    fn cx(&self, request: &Request<Body>) -> Cx {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let source = crate::received::source(&self.app.settings(), peer, request.headers());
        self.app.cx(source)
    }

    /// Probes of a load balancer name whatever host they like.
    fn check_caller(&self, route: &Route, request: &Request<Body>) -> Result<(), Refused> {
        let is_probe = matches!(route.path, "/healthz" | "/readyz");
        if !is_probe && !self.hosts.is_ours(request) {
            return Err(Refused::misdirected());
        }
        self.check_access(route.access, request.headers())
    }

    fn check_access(&self, access: Access, headers: &HeaderMap) -> Result<(), Refused> {
        if access == Access::Anyone {
            return Ok(());
        }
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let Some(line) = lines.next() else {
            return Err(Refused::no_token());
        };
        let presented = line.to_str().ok().and_then(|line| line.split_once(' '));
        let bearer = presented.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
        let is_right = bearer.is_some_and(|(_, token)| self.bearer.is(token));
        if is_right && lines.next().is_none() {
            return Ok(());
        }
        Err(Refused::wrong_token())
    }
}

fn finish(cx: &Cx, outcome: Outcome) -> Response {
    let mut response = outcome.unwrap_or_else(|failed| failed.response(cx));
    if let Ok(id) = HeaderValue::from_str(&cx.request.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// What the audit trail says of something an administrator does.
fn event(cx: &Cx, action: &'static str) -> AuditEvent {
    let mut event = AuditEvent::new(action, "administrator");
    event.request = cx.request.to_string();
    event
}

/// How often a patch is merged again where somebody else wrote in between.
const MERGES: usize = 8;

/// Brings what this node holds in memory up to what was just committed.
async fn follow(cx: &Cx) {
    // The change is durable; a node that cannot read it now reads it with the
    // next poll.
    if let Err(broken) = cx.app.follow().await {
        tracing::warn!(request = %cx.request, cause = %broken, "could not follow a change");
    }
}
