//! Every route of the public listener, in one table that can be read aloud.
//!
//! Spec: RFC 6797 §6.1, §7.2

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::response::Response;
use http::header::{ALLOW, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::app::App;
use crate::client_certificate;
use crate::cx::Cx;
use crate::endpoint;
use crate::failure::{Failure, Refusal};
use crate::received::{Received, check_host};
use crate::respond::{self, Written};
use crate::serve::Answer;

/// Who may call a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Anyone.
    Anyone,
    /// A client that proves itself, or a public one that names itself.
    Client,
    /// A confidential client that may know.
    ResourceServer,
    /// Whoever holds an access token with `openid`.
    Bearer,
    /// A client that acts for itself, by an access token for this server.
    Machine,
    /// Whoever holds the token of a client's own registration.
    Registrant,
    /// A person in a browser, with the form they were given.
    Browser,
}

type Outcome = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;
type Handler = fn(Cx, Received) -> Outcome;

/// One route.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below the issuer's own.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    cors: Cors,
    written: Written,
    handler: Handler,
}

/// Which origins may read the answer in a browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cors {
    /// None, or what the endpoint itself says.
    Never,
    /// Those of registered browser clients, and those that the file names for
    /// clients that register themselves.
    Registered,
    /// All: the answer is public.
    Everyone,
}

impl Cors {
    /// The answer, readable for the origins that may.
    async fn exposed(self, cx: &Cx, origin: Option<&str>, response: Response) -> Response {
        match self {
            Self::Never => response,
            Self::Registered => endpoint::preflight::expose(cx, origin, response).await,
            Self::Everyone => endpoint::preflight::expose_to_all(response),
        }
    }
}

macro_rules! table {
    ($($method:ident $path:literal $access:ident $written:ident $cors:ident $endpoint:path;)*) => {
        vec![$(Route {
            method: Method::$method,
            path: $path,
            access: Access::$access,
            written: Written::$written,
            cors: Cors::$cors,
            handler: |cx, received| Box::pin($endpoint(cx, received)),
        },)*]
    };
}

/// The table.
#[rustfmt::skip]
pub fn table() -> Vec<Route> {
    // method path                                       who may call   written cors     endpoint
    let mut all = table! {
        GET  "/.well-known/openid-configuration"         Anyone         Json  Everyone   endpoint::metadata::get;
        GET  "/.well-known/oauth-authorization-server"   Anyone         Json  Everyone   endpoint::metadata::get;
        GET  "/.well-known/jwks.json"                    Anyone         Json  Everyone   endpoint::jwks::get;
        GET  "/.well-known/jwks-ml-dsa.json"             Anyone         Json  Everyone   endpoint::jwks::get_ml_dsa;
        GET  "/.well-known/jwks-revocations.json"        Anyone         Json  Everyone   endpoint::jwks::get_revocations;
        OPTIONS "/.well-known/openid-configuration"      Anyone         Json  Everyone   endpoint::preflight::anyone;
        OPTIONS "/.well-known/oauth-authorization-server" Anyone        Json  Everyone   endpoint::preflight::anyone;
        OPTIONS "/.well-known/jwks.json"                 Anyone         Json  Everyone   endpoint::preflight::anyone;
        OPTIONS "/.well-known/jwks-ml-dsa.json"          Anyone         Json  Everyone   endpoint::preflight::anyone;
        GET  "/.well-known/ssf-configuration"            Anyone         Json  Everyone   endpoint::ssf::configuration::get;
        POST "/ssf/streams"                              Machine        Json  Never      endpoint::ssf::stream::create;
        GET  "/ssf/streams"                              Machine        Json  Never      endpoint::ssf::stream::get;
        PATCH "/ssf/streams"                             Machine        Json  Never      endpoint::ssf::stream::update;
        PUT  "/ssf/streams"                              Machine        Json  Never      endpoint::ssf::stream::replace;
        DELETE "/ssf/streams"                            Machine        Json  Never      endpoint::ssf::stream::delete;
        GET  "/ssf/status"                               Machine        Json  Never      endpoint::ssf::status::get;
        POST "/ssf/status"                               Machine        Json  Never      endpoint::ssf::status::post;
        POST "/ssf/subjects/add"                         Machine        Json  Never      endpoint::ssf::subject::add;
        POST "/ssf/subjects/remove"                      Machine        Json  Never      endpoint::ssf::subject::remove;
        POST "/ssf/verify"                               Machine        Json  Never      endpoint::ssf::verification::post;
        POST "/ssf/poll/{stream}"                        Machine        Json  Never      endpoint::ssf::poll::post;
        POST "/signals/{id}"                             Anyone         Json  Never      endpoint::signals::post;
        POST "/global-token-revocation"                  Machine        Json  Never      endpoint::global_token_revocation::post;
        OPTIONS "/.well-known/jwks-revocations.json"     Anyone         Json  Everyone   endpoint::preflight::anyone;
        GET  "/authorize"                                Anyone         Page  Never      endpoint::authorize::get;
        POST "/authorize"                                Anyone         Page  Never      endpoint::authorize::post;
        GET  "/login"                                    Browser        Page  Never      endpoint::login::get;
        POST "/login"                                    Browser        Page  Never      endpoint::login::post;
        GET  "/consent"                                  Browser        Page  Never      endpoint::consent::get;
        POST "/consent"                                  Browser        Page  Never      endpoint::consent::post;
        POST "/device_authorization"                     Client         Json  Never      endpoint::device_authorization::post;
        GET  "/device"                                   Browser        Page  Never      endpoint::device::get;
        POST "/device"                                   Browser        Page  Never      endpoint::device::post;
        GET  "/account"                                  Browser        Page  Never      endpoint::account::get;
        POST "/account"                                  Browser        Page  Never      endpoint::account::post;
        GET  "/logout"                                   Anyone         Page  Never      endpoint::logout::get;
        POST "/logout"                                   Browser        Page  Never      endpoint::logout::post;
        POST "/token"                                    Client         Json  Registered endpoint::token::post;
        POST "/introspect"                               ResourceServer Json  Never      endpoint::introspect::post;
        POST "/revoke"                                   Client         Json  Registered endpoint::revoke::post;
        GET  "/revocations"                              ResourceServer Json  Never      endpoint::revocations::get;
        POST "/revocations"                              ResourceServer Json  Never      endpoint::revocations::post;
        POST "/macaroon-keys"                            ResourceServer Json  Never      endpoint::macaroon_keys::post;
        POST "/discharge/caveats"                        Client         Json  Never      endpoint::discharge::caveat::post;
        POST "/discharge"                                Anyone         Json  Never      endpoint::discharge::ask::post;
        POST "/discharge/poll"                           Anyone         Json  Never      endpoint::discharge::ask::poll;
        GET  "/approve"                                  Browser        Page  Never      endpoint::discharge::approve::get;
        POST "/approve"                                  Browser        Page  Never      endpoint::discharge::approve::post;
        POST "/register"                                 Anyone         Json  Registered endpoint::register::post;
        GET  "/register/{id}"                            Registrant     Json  Never      endpoint::register::manage::get;
        PUT  "/register/{id}"                            Registrant     Json  Never      endpoint::register::manage::put;
        DELETE "/register/{id}"                          Registrant     Json  Never      endpoint::register::manage::delete;
        GET  "/userinfo"                                 Bearer         Json  Registered endpoint::userinfo::get;
        POST "/userinfo"                                 Bearer         Json  Registered endpoint::userinfo::post;
        OPTIONS "/token"                                 Anyone         Json  Registered endpoint::preflight::options;
        OPTIONS "/register"                              Anyone         Json  Registered endpoint::preflight::options;
        OPTIONS "/revoke"                                Anyone         Json  Registered endpoint::preflight::options;
        OPTIONS "/userinfo"                              Anyone         Json  Registered endpoint::preflight::options;
        GET  "/status/{list}"                            Anyone         Json  Everyone   endpoint::status_list::get;
        GET  "/assets/{name}"                            Anyone         Page  Never      endpoint::assets::get;
        GET  "/healthz"                                  Anyone         Json  Never      endpoint::health::live;
        GET  "/readyz"                                   Anyone         Json  Never      endpoint::health::ready;
    };
    all.append(&mut of_saml());
    all
}

/// The rows that a binary with SAML has besides.
#[rustfmt::skip]
fn of_saml() -> Vec<Route> {
    #[cfg(feature = "saml")]
    return table! {
        GET  "/saml/certificates"                        Anyone         Json  Never      endpoint::saml_certificates::get;
        GET  "/saml/encryption-certificates"             Anyone         Json  Never      endpoint::saml_certificates::get_encryption;
    };
    #[cfg(not(feature = "saml"))]
    return Vec::new();
}

/// The public listener: finds the route that a request means.
#[derive(Clone)]
pub struct Public {
    app: Arc<App>,
    /// By path: the routes that differ in their method alone.
    routes: Arc<matchit::Router<Vec<Arc<Route>>>>,
}

impl Public {
    /// The public listener of an application.
    pub fn new(app: &Arc<App>) -> Self {
        Self {
            app: Arc::clone(app),
            routes: Arc::new(by_path(app.settings().issuer.path())),
        }
    }

    /// A person in a browser is shown a page, a program gets JSON.
    fn nothing(&self, peer: SocketAddr, request: &Request<Incoming>) -> Response {
        let cx = self.app.cx(peer.ip());
        let refusal = Refusal::invalid_request("there is nothing at this address");
        let accept = request.headers().get(http::header::ACCEPT);
        let is_browser = accept.is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"));
        let written = if is_browser {
            Written::Page
        } else {
            Written::Json
        };
        let failure = refusal.with_status(404).into();
        cx.recent.refused(&cx, "none", &failure);
        respond::failure(&cx, failure, written)
    }

    /// Readable for the origins that may read what the address answers otherwise.
    async fn wrong_method(
        &self,
        peer: SocketAddr,
        request: &Request<Incoming>,
        known: &[Arc<Route>],
    ) -> Response {
        let cx = self.app.cx(peer.ip());
        let refusal = Refusal::invalid_request("this address does not take that method");
        let written = known.first().map_or(Written::Json, |route| route.written);
        let mut response = respond::failure(&cx, refusal.with_status(405).into(), written);
        let methods: Vec<&str> = known.iter().map(|route| route.method.as_str()).collect();
        if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
            response.headers_mut().insert(ALLOW, methods);
        }
        let cors = known.first().map_or(Cors::Never, |route| route.cors);
        let origin = origin_of(request);
        cors.exposed(&cx, origin.as_deref(), response).await
    }
}

impl Answer for Public {
    fn is_proxy(&self, peer: IpAddr) -> bool {
        self.app.settings().is_trusted_proxy(peer)
    }

    async fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        let mut response = self.find(peer, request).await;
        // Not for a host that is not ours: what reaches us under another name
        // may have to stay reachable without TLS.
        let is_ours = response.status() != StatusCode::MISDIRECTED_REQUEST;
        if is_ours && self.app.settings().https_alone {
            let headers = response.headers_mut();
            headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_FOR_TWO_YEARS);
        }
        response
    }
}

/// Browsers use https alone for this host from now on (RFC 6797 §6.1). Hosts
/// below it are not ours to speak for.
const HTTPS_FOR_TWO_YEARS: HeaderValue = HeaderValue::from_static("max-age=63072000");

impl Public {
    async fn find(&self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        let Ok(found) = self.routes.at(request.uri().path()) else {
            return self.nothing(peer, &request);
        };
        // What GET answers, HEAD answers without its body.
        let method = match *request.method() {
            Method::HEAD => &Method::GET,
            ref method => method,
        };
        match found.value.iter().find(|route| route.method == *method) {
            Some(route) => answer(&self.app, peer, request, route).await,
            None => self.wrong_method(peer, &request, found.value).await,
        }
    }
}

/// All routes below the issuer's path.
#[expect(
    clippy::expect_used,
    reason = "a URI holds no braces, so no path of an issuer is a pattern, and no two are alike"
)]
fn by_path(base: &str) -> matchit::Router<Vec<Arc<Route>>> {
    let mut by_path: BTreeMap<String, Vec<Arc<Route>>> = BTreeMap::new();
    for route in table() {
        let route = Arc::new(route);
        for path in paths(base, route.path) {
            by_path.entry(path).or_default().push(Arc::clone(&route));
        }
    }
    let mut routes = matchit::Router::new();
    for (path, own) in by_path {
        routes.insert(path, own).expect("paths differ");
    }
    routes
}

/// Where a route is served: below the issuer's path, and for well-known
/// documents also with that path inserted behind the name (RFC 8414 §3.1).
fn paths(base: &str, path: &str) -> Vec<String> {
    let mut all = vec![format!("{base}{path}")];
    if !base.is_empty()
        && path.starts_with("/.well-known/")
        && !path.starts_with("/.well-known/jwks")
    {
        all.push(format!("{path}{base}"));
    }
    if !base.is_empty() && matches!(path, "/healthz" | "/readyz") {
        all.push(path.to_owned());
    }
    all
}

async fn answer(
    app: &Arc<App>,
    peer: SocketAddr,
    request: Request<Incoming>,
    route: &Route,
) -> Response {
    let address = crate::received::source(&app.settings(), peer.ip(), request.headers());
    let cx = app.cx(address);
    let origin = origin_of(&request);
    let outcome = match receive(app, peer, request, route).await {
        Ok(received) => (route.handler)(cx.clone(), received).await,
        Err(refusal) => Err(refusal.into()),
    };
    let outcome = outcome.unwrap_or_else(|failure| {
        cx.recent.refused(&cx, route.path, &failure);
        respond::failure(&cx, failure, route.written)
    });
    let response = respond::named(&cx, outcome);
    route.cors.exposed(&cx, origin.as_deref(), response).await
}

fn origin_of(request: &Request<Incoming>) -> Option<String> {
    let origin = request.headers().get(http::header::ORIGIN)?;
    origin.to_str().ok().map(str::to_owned)
}

/// Probes of a load balancer name whatever host they like.
async fn receive(
    app: &Arc<App>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
    route: &Route,
) -> Result<Received, Refusal> {
    if !matches!(route.path, "/healthz" | "/readyz") {
        check_host(app, &request)?;
    }
    let certificate = client_certificate::of_request(&app.settings(), peer.ip(), &mut request)?;
    let mut received = Received::read(request).await?;
    received.certificate = certificate;
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_may_have_any_path_that_a_uri_may_have() {
        for base in ["", "/tenant", "/:t", "/*x", "/a//b", "/%7Bx%7D", "/a/b/c"] {
            let routes = by_path(base);

            let path = format!("{base}/token");
            let found = routes.at(&path).unwrap();

            assert_eq!(found.value.len(), 2, "{base}");
            assert!(routes.at("/nothing").is_err());
        }
    }

    #[test]
    fn well_known_documents_are_found_in_both_orders() {
        let routes = by_path("/tenant");
        for path in [
            "/tenant/.well-known/openid-configuration",
            "/.well-known/openid-configuration/tenant",
            "/.well-known/oauth-authorization-server/tenant",
        ] {
            assert!(routes.at(path).is_ok(), "{path}");
        }
    }
}
