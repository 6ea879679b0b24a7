//! Whether a request that a cookie came along with was meant by the page that
//! the cookie is for.
//!
//! Spec: RFC 10017 §6.1.3.3
//! Spec: Fetch Metadata Request Headers §2

use http::header::{ACCEPT, HeaderName, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::problem::Problem;
use crate::settings::BrowserUse;
use crate::tunnel;

/// The header that no page of another origin can send without being asked first.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-csrf");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

pub(super) const FORGED: Problem = Problem::new(
    403,
    "not-from-this-site",
    "the request does not come from a page of this site, or lacks `X-CSRF: 1`",
);

/// Refuses what another site may have caused.
///
/// | request | needs |
/// |---|---|
/// | any | an `Origin` of ours and `Sec-Fetch-Site: same-origin`, where it has these |
/// | of a script | `X-CSRF: 1` |
/// | WebSocket, whose script cannot set headers | an `Origin` of ours |
/// | `EventSource`, likewise | `Sec-Fetch-Site: same-origin` |
/// | a page of ours that is opened | to be a GET that opens a document |
pub(super) fn check(parts: &Parts, usage: BrowserUse, origin: &str) -> Result<(), Problem> {
    let headers = &parts.headers;
    if usage == BrowserUse::Pages && is_opened(parts) {
        return Ok(());
    }
    let named = sole(headers, &ORIGIN)?;
    if named.is_some_and(|own| own != origin) {
        return Err(FORGED);
    }
    let site = sole(headers, &SITE)?;
    if site.is_some_and(|own| own != "same-origin") {
        return Err(FORGED);
    }
    let has_header = sole(headers, &HEADER)? == Some("1");
    let is_socket = tunnel::is_asked_for(parts) && named.is_some();
    let accepts = sole(headers, &ACCEPT).ok().flatten();
    let is_events = parts.method == Method::GET
        && accepts == Some("text/event-stream")
        && site == Some("same-origin");
    match has_header || is_socket || is_events {
        true => Ok(()),
        false => Err(FORGED),
    }
}

/// The same for a form of a page of ours: a browser says whose it is.
pub(super) fn check_form(parts: &Parts, origin: &str) -> Result<(), Problem> {
    let site = sole(&parts.headers, &SITE)?;
    let is_ours = sole(&parts.headers, &ORIGIN)? == Some(origin)
        && site.is_none_or(|own| own == "same-origin");
    match is_ours {
        true => Ok(()),
        false => Err(FORGED),
    }
}

/// Whether a person opens a page: what is answered is shown to them, and no
/// script of another site can read it.
pub(super) fn is_opened(parts: &Parts) -> bool {
    let says = |name: &HeaderName, what: &str| matches!(sole(&parts.headers, name), Ok(Some(own)) if own == what);
    matches!(parts.method, Method::GET | Method::HEAD)
        && says(&MODE, "navigate")
        && says(&DEST, "document")
}

/// Whether a request can be a script's or an image's, where only a person who
/// follows a link is meant.
pub(super) fn is_embedded(headers: &HeaderMap) -> bool {
    let mode = headers.get(&MODE);
    let dest = headers.get(&DEST);
    mode.is_some_and(|own| own != "navigate") || dest.is_some_and(|own| own != "document")
}

/// The one value of a header; of two, nobody knows which was meant.
fn sole<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| FORGED),
        (Some(_), Some(_)) => Err(FORGED),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const OURS: &str = "https://shop.example.com";

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/api/orders");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn passes(usage: BrowserUse, method: &str, headers: &[(&str, &str)]) -> bool {
        check(&parts(method, headers), usage, OURS).is_ok()
    }

    #[test]
    fn a_script_of_this_site_passes_and_nobody_elses() {
        let api = |headers: &[(&str, &str)]| passes(BrowserUse::Api, "POST", headers);
        assert!(api(&[("x-csrf", "1")]));
        assert!(api(&[
            ("x-csrf", "1"),
            ("origin", OURS),
            ("sec-fetch-site", "same-origin")
        ]));
        for bad in [
            &[][..],
            &[("origin", OURS), ("sec-fetch-site", "same-origin")],
            &[("x-csrf", "0")],
            &[("x-csrf", "1"), ("x-csrf", "1")],
            &[("x-csrf", "1"), ("origin", "https://evil.example.com")],
            &[("x-csrf", "1"), ("origin", "null")],
            &[("x-csrf", "1"), ("origin", OURS), ("origin", OURS)],
            &[("x-csrf", "1"), ("sec-fetch-site", "cross-site")],
            &[("x-csrf", "1"), ("sec-fetch-site", "same-site")],
            &[("x-csrf", "1"), ("sec-fetch-site", "none")],
        ] {
            assert!(!api(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_set_headers_has_to_say_where_it_comes_from() {
        let socket = [("connection", "Upgrade"), ("upgrade", "websocket")];
        let with = |more: &[(&'static str, &'static str)]| {
            let mut all = socket.to_vec();
            all.extend_from_slice(more);
            passes(BrowserUse::Api, "GET", &all)
        };
        assert!(with(&[("origin", OURS)]));
        assert!(!with(&[]));
        assert!(!with(&[("origin", "https://evil.example.com")]));
        let events = [("accept", "text/event-stream")];
        assert!(!passes(BrowserUse::Api, "GET", &events));
        let ours = [events[0], ("sec-fetch-site", "same-origin")];
        assert!(passes(BrowserUse::Api, "GET", &ours));
        assert!(!passes(BrowserUse::Api, "POST", &ours));
    }

    #[test]
    fn a_page_is_opened_by_a_get_alone_and_only_where_pages_are() {
        let opened = [
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "cross-site"),
        ];
        assert!(passes(BrowserUse::Pages, "GET", &opened));
        assert!(!passes(BrowserUse::Pages, "POST", &opened));
        assert!(!passes(BrowserUse::Api, "GET", &opened));
        let framed = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert!(!passes(BrowserUse::Pages, "GET", &framed));
    }
}
