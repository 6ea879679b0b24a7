//! What a browser of another origin is told before it asks.

use reqwest::Method;

use crate::harness::{Answer, Server, read};

async fn ask(server: &Server, origin: &str, headers: &str) -> Answer {
    let request = server
        .request(Method::OPTIONS, "/token")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", headers);
    read(request.send().await.unwrap()).await
}

fn allowed(answer: &Answer) -> Vec<String> {
    let own = answer.header("access-control-allow-headers");
    let names = own.unwrap_or_default().split(", ");
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_origin_may_send_whatever_header_it_names() {
    let server = Server::on_sqlite().await;
    let always = ["authorization", "content-type", "dpop"];
    let (many, long) = (["x-a"; 40].join(","), "x".repeat(600));
    for (asked, more) in [
        (
            "x-requested-with,Traceparent",
            &["x-requested-with", "traceparent"][..],
        ),
        ("dpop, baggage", &["baggage"][..]),
        ("x-good, x bad, *, x-b\"ad,", &["x-good"][..]),
        (many.as_str(), &[][..]),
        (long.as_str(), &[][..]),
        ("", &[][..]),
    ] {
        let answer = ask(&server, "https://spa.example.com", asked).await;

        assert_eq!(answer.status, 204);
        assert_eq!(allowed(&answer), [&always[..], more].concat(), "{asked}");
    }
    let stranger = ask(&server, "https://evil.example", "x-requested-with").await;
    assert_eq!(allowed(&stranger), [""; 0]);
}
