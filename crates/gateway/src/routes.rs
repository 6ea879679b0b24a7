//! Which route takes a request: of those whose paths are like it, the narrowest.

use std::sync::Arc;

use http::Method;

use crate::guard::Guard;
use crate::settings::Route;
use crate::upstream::Upstream;

/// A route with all that it needs.
pub(crate) struct Ready {
    pub(crate) route: Route,
    pub(crate) upstream: Arc<Upstream>,
    /// Who checks; nobody where the route is public in writing.
    pub(crate) guard: Option<Guard>,
}

/// Every route, narrow ones first.
pub(crate) struct Routes(Vec<Arc<Ready>>);

/// Why no route takes a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// No path is like it.
    Path,
    /// Some are, and take these methods.
    Method(String),
}

impl Routes {
    pub(crate) fn new(mut all: Vec<Arc<Ready>>) -> Self {
        all.sort_by_key(|own| own.route.path.rank());
        Self(all)
    }

    /// The route that takes a request.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<&Arc<Ready>, NotFound> {
        let like = || self.0.iter().filter(|own| own.route.path.matches(path));
        if let Some(found) = like().find(|own| takes(&own.route, method)) {
            return Ok(found);
        }
        let mut allowed: Vec<&str> = like()
            .flat_map(|own| own.route.methods.iter().map(Method::as_str))
            .collect();
        if allowed.is_empty() && like().next().is_none() {
            return Err(NotFound::Path);
        }
        allowed.sort_unstable();
        allowed.dedup();
        Err(NotFound::Method(allowed.join(", ")))
    }
}

/// TRACE would show the upstream's view, and CONNECT is no request for a path.
fn takes(route: &Route, method: &Method) -> bool {
    let is_never = *method == Method::TRACE || *method == Method::CONNECT;
    !is_never && (route.methods.is_empty() || route.methods.contains(method))
}
