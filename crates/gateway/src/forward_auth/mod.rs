//! Forward-auth: another proxy asks whether a request that it describes may
//! pass, and passes it on itself. The same judgement as for a request that the
//! gateway passes on.
//!
//! Spec: RFC 6750 §3
//! Spec: RFC 9110 §15.5.2, §15.5.4
//!
//! 1. Only a trusted proxy is heard: from anybody else a description proves
//!    nothing.
//! 2. `dialect` reads what is described, in the headers of one dialect alone,
//!    each of them once.
//! 3. Its path has to be in its one form already: the proxy sends what its
//!    caller sent, so nothing can be brought to that form here.
//! 4. A caller that writes the headers in which the gateway speaks is refused:
//!    nobody could take them out of a request that goes another way.
//! 5. `judge` decides, and the answer says who calls.
//!
//! `grpc` is the same for a proxy that asks in messages instead of heads.

mod dialect;
mod grpc;

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use symbolon_verify::{ClientAddress, request_id};

use self::dialect::Described;
pub use self::grpc::check_request;
use crate::assertion::ASSERTION;
use crate::body::{Body, full};
use crate::client_certificate;
use crate::exchange::Caller;
use crate::framing;
use crate::gateway::Shared;
use crate::header::forwarded::Believed;
use crate::introduction::Introduction;
use crate::judge::{self, Judged};
use crate::plan::Plan;
use crate::policy;
use crate::problem::{BROKEN, NO_ROUTE, Problem, REQUEST_ID};
use crate::quota;
use crate::settings::{AskedAt, Dialect, ForwardAuth, PassToken, Settings};
use crate::target::{self, Target};

/// Where other proxies ask, and who may.
pub(crate) struct Asking {
    settings: ForwardAuth,
    /// Whom to believe about the caller's address and certificate.
    believed: Believed,
}

impl Asking {
    /// What the settings say of it, where they do.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        let mut own = settings.forward_auth.clone()?;
        if own.dialect == Dialect::EnvoyGrpc {
            grpc::PATH.clone_into(&mut own.path);
        }
        let proxies = own.proxies.iter().chain(&settings.trusted_proxies);
        Some(Self {
            believed: Believed {
                proxies: proxies.copied().collect(),
                header: settings.forwarded_header,
                takes_certificates: settings.takes_certificates,
            },
            settings: own,
        })
    }

    /// Whether a target is where proxies ask.
    pub(crate) fn is_asked(&self, uri: &Uri) -> bool {
        let rest = uri.path().strip_prefix(&*self.settings.path);
        match (rest, self.settings.dialect) {
            (Some(""), _) => true,
            (Some(rest), Dialect::Envoy) => rest.starts_with('/'),
            _ => false,
        }
    }

    /// Whether whoever has this address may ask.
    pub(crate) fn is_heard(&self, address: IpAddr) -> bool {
        self.settings
            .proxies
            .iter()
            .any(|own| own.contains(&address))
    }

    /// Whether the listener for everybody answers here too.
    pub(crate) fn is_shared(&self) -> bool {
        self.settings.asked_at == AskedAt::Shared
    }

    /// Answers a proxy that asks.
    pub(crate) async fn answer(
        &self,
        shared: &Arc<Shared>,
        plan: &Plan,
        caller: &Caller,
        request: Request<Incoming>,
    ) -> Response<Body> {
        if self.settings.dialect == Dialect::EnvoyGrpc {
            return grpc::answer(self, (shared, plan), caller, request).await;
        }
        // A body that came along is nobody's business here.
        let (mut parts, _) = request.into_parts();
        let id = request_id(&parts.headers, &*shared.edge.entropy);
        let target = match self.read(plan, caller, &mut parts) {
            Ok(target) => target,
            Err(problem) => return self.said(judge::refuse(&parts, &id, problem)),
        };
        let decided = self.decide((shared, plan), &mut parts, target, &id);
        match decided.await {
            Ok(allowed) => allowed.answer,
            Err(refusal) => self.said(*refusal),
        }
    }

    /// Judges a request that was described; what it says stands in the head.
    async fn decide(
        &self,
        (shared, plan): (&Arc<Shared>, &Plan),
        parts: &mut Parts,
        target: Target,
        id: &str,
    ) -> Result<Allowed, Box<Response<Body>>> {
        let judged = match judge::judge(plan, parts, target, id).await {
            Ok(judged) => judged,
            Err(answer) => {
                policy::noted(shared, plan, parts, answer.status());
                return Err(answer);
            }
        };
        let route = &judged.ready.route;
        if route.graphql.is_some() || route.mcp.is_some() {
            // Nobody here sees the body that decides.
            return Err(Box::new(judge::refuse(parts, id, BODY_DECIDES)));
        }
        let asking = policy::Asking {
            shared,
            plan,
            parts,
            request_id: id,
        };
        policy::rule(&asking, &judged).await?;
        let asked = quota::Asked {
            shared,
            plan,
            judged: &judged,
            request_id: id,
            cost: None,
        };
        // Nobody here sees the answer end, so what runs at a time is not held.
        let (charged, _) = asked.charge(parts).await?;
        let introduction = Introduction {
            shared,
            plan,
            request_id: id,
            method: &parts.method,
        };
        let Some(answer) = allowed(&introduction, &judged) else {
            return Err(Box::new(judge::refuse(parts, id, BROKEN)));
        };
        judged.log(parts, id);
        Ok(Allowed {
            answer: charged.settle(answer),
            pass_token: match judged.ready.guard {
                Some(_) => judged.ready.route.pass_token,
                // Nobody checked it, so nobody knows whose it is.
                None => PassToken::No,
            },
        })
    }

    /// Turns the head of the question into that of the request which it
    /// describes.
    fn read(&self, plan: &Plan, caller: &Caller, parts: &mut Parts) -> Result<Target, Problem> {
        let peer = caller.peer.ip().to_canonical();
        if !self.is_heard(peer) {
            return Err(NOT_A_PROXY);
        }
        framing::check_described(parts)?;
        let described = dialect::read(self.settings.dialect, &self.settings.path, parts)?;
        let target = described.take_place(plan, parts)?;
        // A proxy that asks for others and does not say where they are lends
        // nobody its own address.
        if self.believed.is_told(&parts.headers) {
            self.believed.note(peer, parts);
        }
        // Nobody who calls is the proxy that asks: it did not say who is.
        let address = parts.extensions.get::<ClientAddress>();
        if address.is_some_and(|own| self.believed.is_proxy(own.0)) {
            parts.extensions.remove::<ClientAddress>();
        }
        if let Some(own) = client_certificate::of_request(&self.believed, caller, &parts.headers)? {
            parts.extensions.insert(own);
        }
        Ok(target)
    }

    /// A refusal in the statuses that the proxy passes on.
    ///
    /// nginx passes 401 and 403 and makes 500 of everything else that is no
    /// success (`ngx_http_auth_request_module`). Where a person is to sign in, its
    /// configuration finds the address in `Location`.
    fn said(&self, mut refusal: Response<Body>) -> Response<Body> {
        let is_nginx = matches!(
            self.settings.dialect,
            Dialect::Nginx | Dialect::IngressNginx
        );
        let status = refusal.status();
        let becomes = match status {
            StatusCode::UNAUTHORIZED => status,
            own if own.is_client_error() => StatusCode::FORBIDDEN,
            own if own.is_redirection() => StatusCode::UNAUTHORIZED,
            own => own,
        };
        if is_nginx {
            *refusal.status_mut() = becomes;
        }
        refusal
    }
}

/// A request that may pass.
struct Allowed {
    /// What its proxy is answered.
    answer: Response<Body>,
    pass_token: PassToken,
}

impl Described {
    /// Takes the place of the question, where its path is in its one form.
    fn take_place(self, plan: &Plan, parts: &mut Parts) -> Result<Target, Problem> {
        let Self { method, sent } = self;
        let uri: Uri = sent.parse().map_err(|_| NOT_DESCRIBED)?;
        let target = target::read(&method, &uri, false)?;
        if target.path_and_query().as_str() != sent {
            return Err(NOT_ONE_FORM);
        }
        if parts.headers.keys().any(|name| is_ours(name, plan)) {
            return Err(SPEAKS_FOR_US);
        }
        parts.uri = Uri::from(target.path_and_query().clone());
        parts.method = method;
        Ok(target)
    }
}

/// Answers on a listener that is there for nothing else.
pub(crate) async fn answer_alone(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: Request<Incoming>,
) -> Response<Body> {
    let plan = shared.plan();
    match &plan.asking {
        Some(own) if own.is_asked(request.uri()) => {
            own.answer(shared, &plan, caller, request).await
        }
        _ => {
            let (parts, _) = request.into_parts();
            let id = request_id(&parts.headers, &*shared.edge.entropy);
            judge::refuse(&parts, &id, NO_ROUTE)
        }
    }
}

/// The answer that lets a request through, and says who calls.
fn allowed(introduction: &Introduction<'_>, judged: &Judged) -> Option<Response<Body>> {
    let mut response = Response::new(full(String::new()));
    let headers: &mut HeaderMap = response.headers_mut();
    introduction.write(judged, headers)?;
    headers.insert(
        REQUEST_ID,
        HeaderValue::from_str(introduction.request_id).ok()?,
    );
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(http::header::CACHE_CONTROL, no_store);
    Some(response)
}

/// Whether a service could take a header for one that the gateway wrote,
/// however it is written.
fn is_ours(name: &HeaderName, plan: &Plan) -> bool {
    let plain = |own: u8| match own.is_ascii_alphanumeric() {
        true => own,
        false => b'-',
    };
    let same = |own: &HeaderName| {
        own.as_str().len() == name.as_str().len()
            && own
                .as_str()
                .bytes()
                .zip(name.as_str().bytes())
                .all(|(one, two)| plain(one) == plain(two))
    };
    same(&ASSERTION) || plan.claimed.iter().any(same)
}

const NOT_A_PROXY: Problem = Problem::new(
    403,
    "forward-auth-stranger",
    "only a trusted proxy may ask about requests",
);
const NOT_DESCRIBED: Problem = Problem::bad(
    "forward-auth-malformed",
    "the headers that describe the request are missing, doubled or malformed",
);
const BODY_DECIDES: Problem = Problem::new(
    403,
    "body-decides",
    "what is in the body decides on this route, so only a request that passes through the gateway may pass",
);
const NOT_ONE_FORM: Problem = Problem::bad(
    "path-not-one-form",
    "the path can be written in another way, and the proxy would send it as it is",
);
const SPEAKS_FOR_US: Problem = Problem::new(
    403,
    "forward-auth-identity",
    "the caller wrote a header in which only the gateway speaks",
);

#[cfg(test)]
mod tests {
    use http::header::LOCATION;

    use super::*;
    use crate::settings::ForwardedHeader;

    /// nginx would make 500 of it.
    #[test]
    fn a_person_who_is_to_sign_in_is_401_to_nginx_and_sent_there_by_others() {
        for (dialect, status) in [(Dialect::Nginx, 401), (Dialect::Caddy, 302)] {
            let asking = Asking {
                settings: ForwardAuth {
                    dialect,
                    path: "/ask".into(),
                    asked_at: AskedAt::Shared,
                    proxies: Vec::new(),
                },
                believed: Believed {
                    proxies: Vec::new(),
                    header: ForwardedHeader::Either,
                    takes_certificates: false,
                },
            };
            let mut answer = Response::new(full(String::new()));
            *answer.status_mut() = StatusCode::FOUND;
            let to = HeaderValue::from_static("/auth/sign-in");
            answer.headers_mut().insert(LOCATION, to);

            let said = asking.said(answer);

            assert_eq!(said.status(), status, "{dialect:?}");
            assert_eq!(said.headers()[LOCATION], "/auth/sign-in");
        }
    }
}
