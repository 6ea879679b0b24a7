//! The one page of the back end: a person could not be signed in.

use askama::Template;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use symbolon_client::sign_in::Failed;

use crate::body::{Body, full};

/// Nothing is loaded, nothing runs, and nobody frames it.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// The page; what is written into it is escaped.
#[derive(Template)]
#[template(path = "not_signed_in.html")]
struct NotSignedIn<'p> {
    words: &'p str,
    again: &'p str,
    code: &'p str,
    request_id: &'p str,
}

/// Says what went wrong, and what to do.
pub(super) fn failed(why: &Failed, again: &str, request_id: &str) -> Response<Body> {
    let (status, code, words) = told(why);
    let page = NotSignedIn {
        words,
        again,
        code: &code,
        request_id,
    };
    page.response(status)
}

/// Says that there is no such sign-in any more.
pub(super) fn lost(again: &str, request_id: &str) -> Response<Body> {
    let page = NotSignedIn {
        words: "This sign-in is done already, waited too long, or was begun in another browser.",
        again,
        code: "sign_in_lost",
        request_id,
    };
    page.response(StatusCode::BAD_REQUEST)
}

impl NotSignedIn<'_> {
    fn response(&self, status: StatusCode) -> Response<Body> {
        // Writing into a text never fails.
        let mut response = Response::new(full(self.render().unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, POLICY),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn told(why: &Failed) -> (StatusCode, String, &'static str) {
    match why {
        Failed::Refused(code) if code == "access_denied" => (
            StatusCode::FORBIDDEN,
            code.clone(),
            "Access was not granted. Nothing was changed.",
        ),
        Failed::Refused(code) => (
            StatusCode::FORBIDDEN,
            code.clone(),
            "The sign-in service did not complete the sign-in.",
        ),
        Failed::Unreachable | Failed::Status(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "issuer_unavailable".into(),
            "The sign-in service cannot be reached right now. Please try again in a moment.",
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            "sign_in_mismatch".into(),
            "The answer of the sign-in service does not fit what was asked for.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn nothing_that_a_stranger_says_becomes_part_of_the_page() {
        let page = failed(&Failed::Refused("<script>'&".into()), "/a\"b", "r");
        assert_eq!(page.status(), StatusCode::FORBIDDEN);
        let page = page.into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(
            page.contains("id=\"error-code\">&#60;script&#62;&#39;&#38;<"),
            "{page}"
        );
        assert!(page.contains("href=\"/a&#34;b\""), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }
}
