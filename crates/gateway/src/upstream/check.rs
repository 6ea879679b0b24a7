//! Whether a server is well: asked every so often, for as long as the upstream
//! is in use.
//!
//! Spec: RFC 9110 §9.3.1

use std::sync::{Arc, Weak};

use http::header::USER_AGENT;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Limited};
use tokio::time::{sleep, timeout};

use super::Upstream;
use super::server::Server;
use crate::body::Lent;
use crate::settings::Check;

/// How much of an answer is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Begins to ask every server of an upstream, where the settings say so.
pub(super) fn begin(upstream: &Arc<Upstream>) {
    for at in 0..upstream.servers.len() {
        tokio::spawn(run(Arc::downgrade(upstream), at));
    }
}

async fn run(upstream: Weak<Upstream>, at: usize) {
    // Whoever drops the upstream ends this.
    while let Some(own) = upstream.upgrade() {
        let (Some(check), Some(server)) = (&own.settings.check, own.servers.get(at)) else {
            return;
        };
        let before = server.answered();
        let asked = timeout(check.timeout, is_well(server, check));
        let is_good = asked.await.unwrap_or_else(|_| {
            server.was_silent(before);
            false
        });
        server.tell(server.standing.checked(is_good, check));
        // A server that was left alone comes back by itself.
        server.show(server.is_up());
        let interval = check.interval;
        drop(own);
        sleep(interval).await;
    }
}

/// Whether it answers with success, to the end.
async fn is_well(server: &Server, check: &Check) -> bool {
    let Some(uri) = server.address(check.target.clone()) else {
        return false;
    };
    let mut request = Request::new(Lent::nothing());
    *request.uri_mut() = uri;
    let agent = HeaderValue::from_static("symbolon-gateway");
    request.headers_mut().insert(USER_AGENT, agent);
    let Ok(answer) = server.ask(request).await else {
        return false;
    };
    let is_good = answer.status().is_success();
    let whole = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect();
    is_good && whole.await.is_ok()
}
