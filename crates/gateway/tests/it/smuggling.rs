//! Two requests that want to be taken for one, or one for two.

use crate::raw;
use crate::site::Site;

/// A request that only whoever is fooled would send on.
const HIDDEN: &str = "GET /public/hidden HTTP/1.1\r\nHost: a\r\n\r\n";

fn post(headers: &str, body: &str) -> String {
    format!("POST /public/x HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}")
}

/// Headers and a body behind which nothing may be read.
#[rustfmt::skip]
const UNMEASURED: &[(&str, &str, &str)] = &[
    ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
    ("a list of lengths", "Content-Length: 5, 6\r\n", "hello"),
    ("a sign", "Content-Length: +5\r\n", "hello"),
    ("a negative", "Content-Length: -1\r\n", ""),
    ("hexadecimal", "Content-Length: 0x5\r\n", "hello"),
    ("a blank inside", "Content-Length: 1 0\r\n", "hello"),
    ("a blank before the colon", "Content-Length : 5\r\n", "hello"),
    ("the same, chunked", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
    ("a folded line", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
    ("a folded line after a header", "X: a\r\n Transfer-Encoding: chunked\r\n", ""),
    ("another coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    ("identity", "Transfer-Encoding: identity\r\n", ""),
    ("chunked is not last", "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"),
    ("a control in the coding", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"),
    ("a bare return", "X: a\rTransfer-Encoding: chunked\r\n", ""),
    ("a name with a blank", "X Y: a\r\n", ""),
    ("no name", ": a\r\n", ""),
    ("a null in a value", "X: a\0b\r\n", ""),
    ("a size that is none", CHUNKED, "z\r\nhello\r\n0\r\n\r\n"),
    ("a size with a sign", CHUNKED, "+5\r\nhello\r\n0\r\n\r\n"),
    ("a size that overflows", CHUNKED, "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("a chunk that is too long", CHUNKED, "3\r\nhello\r\n0\r\n\r\n"),
    ("a length that Connection names", "Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"),
];
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// Attack: L330
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_measured_is_refused_and_the_connection_ends() {
    let site = Site::start().await;
    let listed = UNMEASURED
        .iter()
        .map(|(name, headers, body)| (*name, post(headers, body)));
    let versions = [
        ("chunked in HTTP/1.0", "1.0"),
        ("a version that is none", "1.9"),
    ];
    let versions = versions.map(|(name, version)| {
        let request = post(CHUNKED, "0\r\n\r\n");
        (
            name,
            request.replace("HTTP/1.1", &format!("HTTP/{version}")),
        )
    });
    for (name, request) in listed.chain(versions) {
        let bytes = format!("{request}{HIDDEN}");

        let answer = raw::send(site.gateway, bytes.as_bytes()).await;

        let statuses = raw::statuses(&answer);
        let is_refused = statuses.is_empty() || statuses == [400];
        assert!(is_refused, "{name}: {answer}");
        assert!(!answer.contains("/public/hidden"), "{name}: {answer}");
    }
}

/// Attack: L330
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_ends_the_chunks_count_and_nothing_behind_them_is_read() {
    let site = Site::start().await;
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 44\r\nConnection: keep-alive\r\n",
    ] {
        let bytes = format!("{}{HIDDEN}", post(headers, "5\r\nhello\r\n0\r\n\r\n"));

        let answer = raw::send(site.gateway, bytes.as_bytes()).await;

        let statuses = raw::statuses(&answer);
        assert!(statuses == [200] || statuses == [400], "{answer}");
        assert!(!answer.contains("/public/hidden"), "{headers}: {answer}");
        if statuses == [200] {
            assert!(answer.contains("\"body\":\"hello\""), "{answer}");
            assert!(!answer.contains("[\"content-length\""), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_either_kind_arrives_whole_with_one_length() {
    let site = Site::start().await;
    let close = "Connection: close\r\n";
    let sized = post(&format!("{close}Content-Length: 5\r\n"), "hello");
    let chunks = post(
        &format!("{close}Transfer-Encoding: chunked\r\n"),
        "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Auth-User: alice\r\n\r\n",
    );

    let sized = raw::send(site.gateway, sized.as_bytes()).await;
    let chunks = raw::send(site.gateway, chunks.as_bytes()).await;

    assert!(sized.contains("\"body\":\"hello\""), "{sized}");
    assert!(sized.contains("[\"content-length\",\"5\"]"), "{sized}");
    assert!(chunks.contains("\"body\":\"hello\""), "{chunks}");
    assert!(
        chunks.contains("[\"transfer-encoding\",\"chunked\"]"),
        "{chunks}"
    );
    assert!(!chunks.contains("alice"), "{chunks}");
}
