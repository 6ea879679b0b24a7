//! The stylesheet and the icon, at addresses made of what they contain.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use symbolon_token::Digest;

/// The stylesheet of every page.
pub(crate) const STYLESHEET: &str = include_str!("../../templates/style.css");

/// The icon that a browser shows beside a page's title.
pub(crate) const ICON: &str = include_str!("../../templates/icon.svg");

/// The path of the stylesheet below the issuer's own path.
pub(crate) fn stylesheet_path() -> &'static str {
    &PATHS.stylesheet
}

/// The path of the icon below the issuer's own path.
pub(crate) fn icon_path() -> &'static str {
    &PATHS.icon
}

/// Answers for a path below the issuer's own path (`/assets/…`), if it is one of ours.
pub(crate) fn asset(path: &str) -> Option<Response> {
    let (text, content_type) = if path == stylesheet_path() {
        (STYLESHEET, "text/css; charset=utf-8")
    } else if path == icon_path() {
        (ICON, "image/svg+xml")
    } else {
        return None;
    };
    let mut response = Response::new(Body::from(text));
    let fixed: [(HeaderName, &'static str); 3] = [
        (CONTENT_TYPE, content_type),
        // The address changes with the content, so a copy never gets old.
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

struct Paths {
    stylesheet: String,
    icon: String,
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths {
    stylesheet: path_of(STYLESHEET, "css"),
    icon: path_of(ICON, "svg"),
});

fn path_of(text: &str, ending: &str) -> String {
    let [a, b, c, d, e, f, g, h, ..] = *Digest::of(text.as_bytes()).as_bytes();
    let name = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    format!("/assets/{name:016x}.{ending}")
}
