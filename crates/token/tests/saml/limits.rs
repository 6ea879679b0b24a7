//! Every limit is checked before the work that it bounds.

use std::time::{Duration, Instant};

use symbolon_protocol::SigningAlgorithm::Es256;
use symbolon_token::saml::{
    MAX_ASSERTION_BYTES, MAX_ATTRIBUTES_PER_TAG, MAX_DEPTH, MAX_NAMESPACES_PER_TAG, MAX_TAGS,
    Refused, open,
};

use crate::fixture::{Making, attribute, base64url, expected, good, read, trusted, xml};

fn code(xml: &str) -> &'static str {
    read(xml, Es256).map_or_else(|refused| refused.code(), |_| "accepted")
}

/// How long a refusal takes, at best of three. Debug builds are slow, so the
/// bound is generous; what it guards against takes seconds.
#[expect(clippy::disallowed_methods, reason = "the test measures real time")]
fn quick<T>(work: impl Fn() -> T) -> T {
    let timed = |_| {
        let start = Instant::now();
        (work(), start.elapsed())
    };
    let (done, least) = (0..3).map(timed).min_by_key(|(_, took)| *took).unwrap();
    assert!(least < Duration::from_secs(1), "{least:?}");
    done
}

#[test]
fn bytes_are_counted_before_they_are_decoded() {
    let long = "A".repeat(50 * 1024 * 1024);
    let refused = quick(|| {
        open(
            &long,
            &[],
            &[trusted(&crate::fixture::key(Es256))],
            &expected(),
        )
    });
    assert_eq!(refused.unwrap_err(), Refused::TooLarge("bytes"));

    let filled = |bytes: usize| {
        let good = good(Es256);
        let rest = bytes - good.len();
        format!("{good}{}", " ".repeat(rest))
    };
    assert_eq!(code(&filled(MAX_ASSERTION_BYTES)), "accepted");
    assert_eq!(code(&filled(MAX_ASSERTION_BYTES + 1)), "too_large");
}

/// Attack: J282
#[test]
fn attributes_and_namespaces_of_a_tag_are_counted() {
    let with = |count: usize, name: &str| {
        let many: String = (0..count)
            .map(|n| format!(" {name}{n}=\"urn:{n}\""))
            .collect();
        format!("<a{many}/>")
    };
    assert_eq!(code(&with(MAX_ATTRIBUTES_PER_TAG, "b")), "not_an_assertion");
    assert_eq!(code(&with(MAX_ATTRIBUTES_PER_TAG + 1, "b")), "too_large");
    assert_eq!(
        code(&with(MAX_NAMESPACES_PER_TAG, "xmlns:b")),
        "not_an_assertion"
    );
    assert_eq!(
        code(&with(MAX_NAMESPACES_PER_TAG + 1, "xmlns:b")),
        "too_large"
    );
    for name in ["b", "xmlns:b"] {
        let bomb: String = (0..11_000)
            .map(|n| format!(" {name}{n}=\"u{n}\""))
            .collect();
        assert_eq!(quick(|| code(&format!("<a{bomb}/>"))), "too_large");
    }
    // A sign inside a value is no attribute.
    let signs = format!("<a b=\"{}\"/>", "=>".repeat(500));
    assert_eq!(code(&signs), "not_an_assertion");
}

#[test]
fn depth_and_tags_are_counted() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert_eq!(code(&nested(MAX_DEPTH)), "not_an_assertion");
    assert_eq!(code(&nested(MAX_DEPTH + 1)), "too_large");
    assert_eq!(quick(|| code(&nested(30_000))), "too_large");
    let flat = |tags: usize| format!("<a>{}</a>", "<b/>".repeat(tags));
    assert_eq!(code(&flat(MAX_TAGS - 2)), "not_an_assertion");
    assert_eq!(code(&flat(MAX_TAGS)), "too_large");
    assert_eq!(
        code(&format!("<a>{}</a>", "<!---->".repeat(MAX_TAGS))),
        "too_large"
    );
}

#[test]
fn what_is_no_text_is_refused() {
    let judged = |text: &str| {
        let trusted = [trusted(&crate::fixture::key(Es256))];
        open(text, &[], &trusted, &expected()).map_or_else(|refused| refused.code(), |_| "accepted")
    };
    let good = good(Es256);
    let token = base64url(&good);
    assert_eq!(judged(&token), "accepted");
    assert_eq!(
        judged(&format!("{token}{}", "=".repeat((4 - token.len() % 4) % 4))),
        "accepted"
    );
    for bad in [
        "",
        "!",
        &format!("{token}!"),
        &format!(" {token}"),
        &base64url([0xff, 0xfe]),
        &base64url("x"),
        &base64url("<"),
        &base64url("<a"),
        &base64url("<a b='>"),
    ] {
        assert_eq!(judged(bad), "malformed", "{bad:.20}");
    }
    for declared in [
        "version=\"1.1\"",
        "version=\"1.0\" encoding=\"UTF-16\"",
        "version=\"1.0\" encoding=\"UTF-7\"",
    ] {
        assert_eq!(
            code(&format!("<?xml {declared}?>{good}")),
            "malformed",
            "{declared}"
        );
    }
}

#[test]
fn a_large_assertion_within_the_limits_is_read() {
    let values: Vec<String> = (0..1_000)
        .map(|n| format!("cn=group-{n},dc=corp"))
        .collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let attributes = [attribute("groups", &values)];
    let mut making = Making::new(Es256);
    making.rendering.attributes = &attributes;

    let assertion = read(&xml(&making.mint().unwrap()), Es256).unwrap();

    assert!(assertion.attributes().contains(&attributes[0]));
}
