//! One request, from its first check to its upstream.
//!
//! Spec: RFC 9110 §7.6, §7.8, §10.1.1
//! Spec: RFC 6750 §3
//!
//! 1. A message that can be read in two ways is refused.
//! 2. Its path is brought to the one form that is judged and sent.
//! 3. `judge` finds the narrowest route, whose verifier lets it through, or says
//!    why not.
//! 4. `content` judges what is in the body, where the route has it judged.
//! 5. Policy and risk are asked.
//! 6. `quota` charges it, or says that there is no more.
//! 7. A request of the gateway's own is built, and what it answers passed back.
//!
//! No byte of a body is read before step 4, so whoever waits with `Expect:
//! 100-continue` sends none where it is refused.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONNECTION};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use symbolon_token::Secret;
use symbolon_verify::request_id;

use crate::body::{Body, Carried, Receiving, Sending, full};
use crate::client_certificate;
use crate::content::{self, Content};
use crate::decision;
use crate::document;
use crate::framing::{self, Connection};
use crate::gateway::Shared;
use crate::grpc;
use crate::header::{self, forwarded};
use crate::introduction::Introduction;
use crate::judge::{self, Judged};
use crate::listen::Running;
use crate::mcp;
use crate::plan::Plan;
use crate::policy;
use crate::problem::{BODY_LARGE, BROKEN, Problem, REQUEST_ID};
use crate::quota;
use crate::settings::PassToken;
use crate::target;
use crate::tunnel;
use crate::upstream::Failed;
use crate::vigil::{Bearer, Ended, Vigil, Watch};

/// Whoever sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) peer: SocketAddr,
    pub(crate) connection: Connection,
}

/// A request that was let through.
struct Passed<'a> {
    shared: &'a Arc<Shared>,
    plan: &'a Plan,
    judged: Judged,
    host: Authority,
    request_id: String,
    is_tls: bool,
    /// What is done with what the upstream answers.
    answering: Option<mcp::Answering>,
    /// What is in its body, for as long as the answer goes on.
    again: Option<content::Again>,
}

/// Answers a request, in the words of gRPC where it is a call, and not where
/// another proxy asks about one; `running` is held for as long as that lasts.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    caller: &Caller,
    request: Request<Incoming>,
    running: Running,
) -> Response<Body> {
    let plan = shared.plan();
    if let Some(own) = plan.asked(request.uri()) {
        // Whatever its caller speaks: a proxy reads the status, and 200 means yes.
        return own.answer(shared, &plan, caller, request).await;
    }
    let is_call = grpc::is_call(request.headers());
    let answer = decide((shared, plan), caller, request, running).await;
    match is_call {
        true => grpc::said(answer).await,
        false => answer,
    }
}

async fn decide(
    (shared, plan): (&Arc<Shared>, Arc<Plan>),
    caller: &Caller,
    request: Request<Incoming>,
    running: Running,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let id = request_id(&parts.headers, &*shared.edge.entropy);
    let is_http2 = parts.version == Version::HTTP_2;
    let target = target::read(&parts.method, &parts.uri, is_http2);
    let host = framing::check(&mut parts, named(&plan, caller));
    let (target, host) = match (target, host) {
        (Ok(target), Ok(host)) => (target, host),
        (Err(problem), _) | (_, Err(problem)) => {
            // What comes behind a doubtful message is not read.
            return last(judge::refuse(&parts, &id, problem), is_http2);
        }
    };
    if let Some(document) = plan.documents.get(target.path()) {
        return document::answer(&parts, document, &id);
    }
    plan.believed.note(caller.peer.ip(), &mut parts);
    match client_certificate::of_request(&plan.believed, caller, &parts.headers) {
        Ok(Some(certificate)) => drop(parts.extensions.insert(certificate)),
        Ok(None) => {}
        Err(problem) => return judge::refuse(&parts, &id, problem),
    }
    if let Some(browser) = &plan.browser
        && let Some(asked) = browser.asked(target.path())
    {
        return browser
            .answer(asked, &parts, Carried::Stream(body), &id)
            .await;
    }
    let page = mcp::Page::of(&plan, &parts, target.path());
    if let Some(answer) = page.preflight(&parts) {
        return answer;
    }
    let mut judged = match judge::judge(&plan, &mut parts, target, &id).await {
        Ok(judged) => judged,
        Err(answer) => {
            policy::noted(shared, &plan, &parts, answer.status());
            return page.shown(*answer);
        }
    };
    let of = Of {
        shared,
        plan: &plan,
        request_id: &id,
    };
    let admitted = match of.admit(&mut judged, &mut parts, body).await {
        Ok(admitted) => admitted,
        Err(answer) => return page.shown(*answer),
    };
    judged.log(&parts, &id);
    let passed = Passed {
        shared,
        plan: &plan,
        judged,
        host,
        request_id: id.clone(),
        is_tls: caller.connection.is_tls || plan.ends_tls(caller.peer.ip()),
        answering: admitted.content.answering,
        again: admitted.content.again,
    };
    let running = running.holding(admitted.places);
    let answer = passed.forward(parts, admitted.content.body, running).await;
    let answer = admitted.content.answer.of(answer, &id).await;
    page.shown(admitted.charged.settle(answer))
}

/// A request, for those who have a say once its head may pass.
struct Of<'a> {
    shared: &'a Arc<Shared>,
    plan: &'a Plan,
    request_id: &'a str,
}

/// What they left to be done.
struct Admitted {
    content: Content,
    charged: quota::Charged,
    places: quota::Held,
}

impl Of<'_> {
    /// What is in the body, policy and risk, and last of all quotas, so that a
    /// refusal for another reason spends nothing.
    async fn admit(
        &self,
        judged: &mut Judged,
        parts: &mut Parts,
        body: Incoming,
    ) -> Result<Admitted, Box<Response<Body>>> {
        let Self {
            shared,
            plan,
            request_id,
        } = *self;
        let own = (request_id, plan.key.sessions);
        let content = content::judge(judged, parts, body, own).await?;
        let asking = policy::Asking {
            shared,
            plan,
            parts,
            request_id,
        };
        policy::rule(&asking, judged).await?;
        // What says that it is too large is charged to nobody.
        if content.body.size_hint().lower() > judged.ready.route.max_body_bytes {
            let known = judge::known(parts, request_id, &judged.ready.route.name);
            decision::failed(&known, BODY_LARGE);
            return Err(Box::new(BODY_LARGE.answer(request_id)));
        }
        let asked = quota::Asked {
            shared,
            plan,
            judged,
            request_id,
            cost: content.cost,
        };
        let (charged, places) = asked.charge(parts).await?;
        Ok(Admitted {
            content,
            charged,
            places,
        })
    }
}

/// The host that a caller named when its connection began. A trusted proxy named
/// the gateway, for whomever it calls.
fn named<'c>(plan: &Plan, caller: &'c Caller) -> Option<&'c str> {
    let named = caller.connection.server_name.as_deref();
    named.filter(|_| !plan.believed.is_proxy(caller.peer.ip().to_canonical()))
}

/// Says that an answer is the last of its connection.
fn last(mut response: Response<Body>, is_http2: bool) -> Response<Body> {
    if !is_http2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}

impl Passed<'_> {
    /// Sends it on and passes back what is answered.
    async fn forward(
        mut self,
        mut parts: Parts,
        body: Carried,
        running: Running,
    ) -> Response<Body> {
        let limit = self.judged.ready.route.max_body_bytes;
        let upgrade = match tunnel::is_asked_for(&parts) {
            true => parts.extensions.remove::<OnUpgrade>(),
            false => None,
        };
        let again = self.again.take();
        let watch = self.watch(&parts, again);
        let idle = self.judged.ready.upstream.settings.idle_timeout;
        let vigil = || Vigil::new(watch.clone(), idle);
        let (body, verdict, has_sent) = Sending::new(body, limit, &self.plan.claimed, vigil());
        let Some(request) = self.request(&parts, body, upgrade.is_some()) else {
            return self.fail(&parts, BROKEN);
        };
        let sent = self.judged.ready.upstream.send(request, verdict, has_sent);
        let (mut response, at_work) = match sent.await {
            Ok(answered) => (answered.response, answered.at_work),
            Err(Failed::Problem(problem)) => return self.fail(&parts, problem),
            Err(Failed::Ended(ended)) => return self.end(&parts, &ended),
        };
        let mut headers = header::for_caller(response.headers());
        if self.judged.session.is_some() {
            header::keep_private(&mut headers);
        } else if self.judged.principal.is_some() {
            header::keep_from_others(&mut headers);
        }
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            let (Some(caller), true) = (upgrade, tunnel::is_websocket(response.headers())) else {
                // It became what nobody asked for.
                return self.fail(&parts, BROKEN);
            };
            tunnel::say(&mut headers);
            let upstream = hyper::upgrade::on(&mut response);
            let held = (running, at_work);
            tokio::spawn(tunnel::run(caller, upstream, vigil(), held));
            return with(status, headers, full(String::new()));
        }
        let answering = self.answering.take();
        let body = Receiving::body(response.into_body(), vigil(), (running, at_work));
        match answering {
            None => with(status, headers, body),
            Some(answering) => match answering.apply((status, &mut headers), body).await {
                Ok(body) => with(status, headers, body),
                Err(problem) => self.fail(&parts, problem),
            },
        }
    }

    /// The request as the upstream gets it.
    fn request(&self, parts: &Parts, body: Sending, upgrades: bool) -> Option<Request<Sending>> {
        let plan = self.plan;
        let ready = &self.judged.ready;
        let pass_token = match ready.guard {
            Some(_) => ready.route.pass_token,
            // Nobody checked it, so nobody knows whose it is.
            None => PassToken::No,
        };
        let mut headers = header::for_upstream(&parts.headers, &plan.claimed, pass_token);
        let hop = parts.extensions.get::<forwarded::LastHop>()?;
        forwarded::write(&mut headers, hop.0, &self.host, self.is_tls);
        headers.insert(REQUEST_ID, HeaderValue::from_str(&self.request_id).ok()?);
        if upgrades {
            tunnel::say(&mut headers);
        }
        let introduction = Introduction {
            shared: self.shared,
            plan,
            request_id: &self.request_id,
            method: &parts.method,
        };
        introduction.write(&self.judged, &mut headers)?;
        let target = self.judged.target.path_and_query();
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = Uri::from(target.clone());
        *request.version_mut() = match ready.upstream.settings.spoken {
            crate::settings::Spoken::Http1 => Version::HTTP_11,
            crate::settings::Spoken::Http2 => Version::HTTP_2,
        };
        *request.headers_mut() = headers;
        Some(request)
    }

    /// What watches over it for as long as it is open.
    fn watch(&self, parts: &Parts, content: Option<content::Again>) -> Option<Arc<Watch>> {
        let bearer = match (&self.judged.ready.guard, &self.judged.principal) {
            (Some(guard), Some(principal)) => {
                let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
                let (_, token) = value.split_once(' ')?;
                Some(Bearer {
                    token: Secret::from(token),
                    principal: principal.clone(),
                    of: Arc::clone(&guard.of),
                })
            }
            _ => None,
        };
        Some(Arc::new(Watch {
            shared: Arc::clone(self.shared),
            method: parts.method.clone(),
            path: self.judged.target.path().to_owned(),
            bearer,
            session: self.judged.session.clone(),
            began: self.shared.edge.clock.now(),
            content,
            again: policy::Again::of(parts),
        }))
    }

    fn fail(&self, parts: &Parts, problem: Problem) -> Response<Body> {
        let known = judge::known(parts, &self.request_id, &self.judged.ready.route.name);
        decision::failed(&known, problem);
        problem.answer(&self.request_id)
    }

    /// The token ended while the request was on its way.
    fn end(&self, parts: &Parts, ended: &Ended) -> Response<Body> {
        let (Ended::Refused(refusal), Some(guard)) = (ended, &self.judged.ready.guard) else {
            return self.fail(parts, ended.problem());
        };
        let known = judge::known(parts, &self.request_id, &self.judged.ready.route.name);
        decision::refused(&known, guard, refusal);
        guard.answer_to(parts, refusal, &self.request_id)
    }
}

fn with(status: StatusCode, headers: http::HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
