//! Which route takes a request: of those whose paths are like it, the narrowest.
//! What its service could take for a narrower one's is taken by none.

use std::sync::Arc;

use http::Method;
use symbolon_token::macaroon::PathIndex;

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

/// Every route, narrow ones first, and by its path.
pub(crate) struct Routes {
    all: Vec<Arc<Ready>>,
    index: PathIndex,
}

/// Why no route takes a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotFound {
    /// No path is like it.
    Path,
    /// Some are, and take these methods.
    Method(String),
    /// A service could take it for one of a narrower route.
    Doubtful,
}

impl Routes {
    pub(crate) fn new(mut all: Vec<Arc<Ready>>) -> Self {
        all.sort_by_key(|own| own.route.path.rank());
        let index = PathIndex::new(all.iter().map(|own| &own.route.path));
        Self { all, index }
    }

    /// The names of all routes.
    #[cfg(feature = "cedar")]
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(|own| own.route.name.clone())
    }

    /// The route that takes a request.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<&Arc<Ready>, NotFound> {
        let near = self.index.like(path).into_iter();
        let near: Vec<&Arc<Ready>> = near.filter_map(|at| self.all.get(at)).collect();
        let like = || near.iter().filter(|own| own.route.path.matches(path));
        if let Some(&found) = like().find(|own| takes(&own.route, method)) {
            return match is_doubtful(&near, found, method) {
                true => Err(NotFound::Doubtful),
                false => Ok(found),
            };
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

/// Whether a careless service would read a path that a route takes as one of a
/// route within it, of which more may be demanded. What is near stands in order,
/// and what takes it exactly would have been found first.
fn is_doubtful(near: &[&Arc<Ready>], found: &Arc<Ready>, method: &Method) -> bool {
    let narrower = near.iter().take_while(|own| !Arc::ptr_eq(own, found));
    let mut narrower = narrower.map(|own| &own.route);
    narrower.any(|own| takes(own, method) && found.route.path.covers(&own.path))
}

/// TRACE would show the upstream's view, and CONNECT is no request for a path.
fn takes(route: &Route, method: &Method) -> bool {
    let is_never = *method == Method::TRACE || *method == Method::CONNECT;
    !is_never && (route.methods.is_empty() || route.methods.contains(method))
}
