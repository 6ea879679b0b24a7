//! The Tower layer: no request reaches the route behind it unchecked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use symbolon_token::macaroon::Request as Described;
use tower_layer::Layer;
use tower_service::Service;

use crate::bearer::Presented;
use crate::decision::Decision;
use crate::grpc;
use crate::principal::Principal;
use crate::requirement::Requirement;
use crate::respond::request_id;
use crate::verifier::Verifier;

impl Verifier {
    /// A layer that lets through only requests with a good token that meets
    /// `requirement`, and puts the [`Principal`] into their extensions.
    pub fn require(&self, requirement: impl Into<Requirement>) -> RequireToken {
        RequireToken {
            verifier: self.clone(),
            requirement: Arc::new(requirement.into()),
            spoken: Spoken::Http,
        }
    }
}

/// Lets through only requests with a good token; see [`Verifier::require`].
#[derive(Debug, Clone)]
pub struct RequireToken {
    verifier: Verifier,
    requirement: Arc<Requirement>,
    spoken: Spoken,
}

/// How refusals are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    /// By the status of the answer.
    Http,
    /// To calls of gRPC by `grpc-status`.
    Grpc,
}

impl RequireToken {
    /// The same before a service that speaks gRPC: a call is refused in
    /// `grpc-status`, as gRPC has it, beside the HTTP status 200.
    ///
    /// It has to be said, because whoever looks at the HTTP status alone takes
    /// such an answer for a success: a proxy that asks before it passes a
    /// request on, whatever counts refusals. What a caller says of itself must
    /// not choose it.
    #[must_use]
    pub fn grpc(mut self) -> Self {
        self.spoken = Spoken::Grpc;
        self
    }
}

impl<S> Layer<S> for RequireToken {
    type Service = Guarded<S>;

    fn layer(&self, route: S) -> Guarded<S> {
        Guarded {
            route,
            guard: self.clone(),
        }
    }
}

/// A route behind a [`RequireToken`].
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    route: S,
    guard: RequireToken,
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.route.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready serves this request; its clone may not be yet.
        let fresh = self.route.clone();
        let mut route = std::mem::replace(&mut self.route, fresh);
        let guard = self.guard.clone();
        Box::pin(async move {
            // Whatever was in the extensions, only a check below puts one there.
            request.extensions_mut().remove::<Principal>();
            let (parts, body) = request.into_parts();
            let outcome = guard.decide(&parts).await;
            let mut request = Request::from_parts(parts, body);
            match outcome {
                Ok(principal) => {
                    request.extensions_mut().insert(principal);
                    route.call(request).await
                }
                Err(refused) => Ok(refused.map(R::from)),
            }
        })
    }
}

/// The address that a request comes from, in its extensions: for conditions of
/// macaroons. Whatever knows which proxies to believe puts it there; without
/// it, the address of the connection is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub std::net::IpAddr);

/// What is known of a request: the path is the one that was sent, before any
/// router took something off.
#[cfg(feature = "axum")]
pub(crate) fn described(parts: &http::request::Parts) -> Described<'_> {
    use axum::extract::{ConnectInfo, OriginalUri};

    let extensions = &parts.extensions;
    let uri = extensions.get::<OriginalUri>().map(|own| &own.0);
    let peer = extensions.get::<ConnectInfo<std::net::SocketAddr>>();
    let known = extensions.get::<ClientAddress>().map(|own| own.0);
    Described {
        method: Some(parts.method.as_str()),
        path: Some(uri.unwrap_or(&parts.uri).path()),
        address: known.or_else(|| peer.map(|peer| peer.0.ip())),
    }
}

/// What is known of a request.
#[cfg(not(feature = "axum"))]
pub(crate) fn described(parts: &http::request::Parts) -> Described<'_> {
    let known = parts.extensions.get::<ClientAddress>();
    Described {
        method: Some(parts.method.as_str()),
        path: Some(parts.uri.path()),
        address: known.map(|own| own.0),
    }
}

impl RequireToken {
    async fn decide(&self, parts: &http::request::Parts) -> Result<Principal, Response<String>> {
        let config = &self.verifier.inner.config;
        let sent = self.verifier.sent(Presented::from(parts));
        let judge = match &sent {
            Ok(sent) => self.verifier.of(sent.token),
            Err(_) => &self.verifier,
        };
        let outcome = match sent {
            Err(refusal) => Err(refusal),
            Ok(sent) => {
                let (api, asked) = (&self.verifier, Described::default());
                judge.judge_own(api, sent, &self.requirement, asked).await
            }
        };
        if outcome.is_ok() && config.hook.is_none() {
            return outcome.map_err(|_| Response::default());
        }
        let request_id = request_id(&parts.headers, &*config.entropy);
        if let Some(hook) = &config.hook {
            hook(&Decision {
                request_id: &request_id,
                outcome: outcome.as_ref(),
                feed: judge.feed(),
            });
        }
        outcome.map_err(|refusal| {
            let headers = &parts.headers;
            let answer = self
                .verifier
                .answer_to(headers, &refusal, &self.requirement, &request_id);
            match self.spoken == Spoken::Grpc && grpc::is_call(headers) {
                true => grpc::answer(&refusal, answer),
                false => answer,
            }
        })
    }
}
