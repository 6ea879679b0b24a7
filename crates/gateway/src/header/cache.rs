//! What caches on the way are told of an answer that is not for everybody.
//!
//! Spec: RFC 9111 §3, §3.5, §5.2.2
//! Spec: RFC 9213 §2.1, §2.2

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Says that an answer is for one person, where it does not say so itself: of a
/// request with a cookie no cache can know.
///
/// What is said to some caches alone would be heeded before that.
///
/// Spec: RFC 9111 §3, §5.2.2.7
/// Spec: RFC 9213 §2.1, §2.2
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    tell_all_caches(headers);
    if !is_private(headers) {
        let private = HeaderValue::from_static("private, no-cache");
        headers.insert(CACHE_CONTROL, private);
    }
    headers.append(VARY, HeaderValue::from_static("Cookie"));
}

/// Says that an answer is for whoever has the token, where it lets caches keep it:
/// a service that checks none calls everything public, and a cache in front would
/// give it to callers who never came this far.
///
/// Spec: RFC 9111 §3.5, §5.2.2.7
/// Spec: RFC 9213 §2.1, §2.2
pub(crate) fn keep_from_others(headers: &mut HeaderMap) {
    tell_all_caches(headers);
    if !headers.contains_key(CACHE_CONTROL) || is_private(headers) {
        return;
    }
    let is_for_all = |own: &str| {
        let name = own.split('=').next().unwrap_or_default().trim();
        FOR_ALL.iter().any(|all| name.eq_ignore_ascii_case(all))
    };
    let mut left: Vec<String> = directives(headers)
        .filter(|own| !own.is_empty() && !is_for_all(own))
        .map(str::to_owned)
        .collect();
    left.push("private".into());
    let value = HeaderValue::from_str(&left.join(", "));
    let value = value.unwrap_or(HeaderValue::from_static("private, no-cache"));
    headers.insert(CACHE_CONTROL, value);
}

/// Takes out what single caches would heed before what all are told.
fn tell_all_caches(headers: &mut HeaderMap) {
    let to_some = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with("-cache-control") || TO_SOME_CACHES.contains(&name)
    };
    let targeted: Vec<HeaderName> = headers.keys().filter(to_some).cloned().collect();
    for name in targeted {
        headers.remove(name);
    }
}

/// Whether an answer says by itself that it is for nobody else.
fn is_private(headers: &HeaderMap) -> bool {
    let mut all = directives(headers);
    all.any(|own| own.eq_ignore_ascii_case("no-store") || own.eq_ignore_ascii_case("private"))
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(CACHE_CONTROL).iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
}

/// What lets caches keep an answer for everybody.
const FOR_ALL: [&str; 3] = ["public", "s-maxage", "proxy-revalidate"];

/// How single caches are spoken to that know no `…-Cache-Control`.
const TO_SOME_CACHES: [&str; 3] = ["surrogate-control", "edge-control", "x-accel-expires"];

#[cfg(test)]
mod tests {
    use super::super::tests::headers;
    use super::*;

    #[test]
    fn what_a_token_opened_is_kept_by_no_cache_for_others() {
        let of = |pairs: &[(&str, &str)]| {
            let mut headers = headers(pairs);
            keep_from_others(&mut headers);
            let left = headers.get("cache-control");
            let left = left.map(|own| own.to_str().unwrap().to_owned());
            (headers.len(), left.unwrap_or_default())
        };
        for (said, left) in [
            ("public, max-age=600", "max-age=600, private"),
            ("max-age=600, S-MaxAge=60", "max-age=600, private"),
            (
                "max-age=0, must-revalidate",
                "max-age=0, must-revalidate, private",
            ),
            ("public=\"x\"", "private"),
            ("no-store", "no-store"),
            ("Private, max-age=5", "Private, max-age=5"),
        ] {
            assert_eq!(of(&[("cache-control", said)]).1, left, "{said}");
        }
        let twice = [("cache-control", "max-age=5"), ("cache-control", "public")];
        assert_eq!(of(&twice).1, "max-age=5, private");
        let targeted = [
            ("cdn-cache-control", "public, max-age=600"),
            ("surrogate-control", "max-age=600"),
            ("etag", "\"a\""),
        ];
        assert_eq!(of(&targeted), (1, String::new()));
    }

    /// Attack: L339
    #[test]
    fn an_answer_to_a_cookie_is_kept_for_one_person() {
        for (said, kept) in [
            ("public, max-age=600", "private, no-cache"),
            ("s-maxage=60", "private, no-cache"),
            ("Private, max-age=5", "Private, max-age=5"),
            ("no-store", "no-store"),
            ("x-private", "private, no-cache"),
        ] {
            let mut all = headers(&[("cache-control", said)]);
            keep_private(&mut all);
            assert_eq!(all[CACHE_CONTROL], kept, "{said}");
            assert_eq!(all[VARY], "Cookie");
        }
        let mut none = headers(&[
            ("cdn-cache-control", "public, max-age=600"),
            ("acme-cdn-cache-control", "max-age=600"),
            ("surrogate-control", "max-age=600"),
            ("x-accel-expires", "600"),
            ("expires", "0"),
        ]);
        keep_private(&mut none);
        assert_eq!(none[CACHE_CONTROL], "private, no-cache");
        let mut left: Vec<&str> = none.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["cache-control", "expires", "vary"]);
    }
}
