//! A gateway whose client the issuer does not let know of the API's tokens:
//! nobody is told that a good token was taken back, and the operator is told why.

use std::time::Duration;

use symbolon_gateway::{Launch, Running};
use symbolon_token::Secret;

use crate::issuer::{API, Issuer, OPAQUE, SECRET, http};
use crate::site::{edge, needs, route, settings};
use crate::upstream::Upstream;

/// A client that serves no API, and one that serves another.
const MORE: &str = r#"
[[client]]
id = "stranger"
kind = "service"
secret = "a secret that is long enough for anybody"
grants = ["client_credentials"]
[[client]]
id = "neighbour"
kind = "service"
secret = "a secret that is long enough for anybody"
grants = ["client_credentials"]
[[resource]]
identifier = "https://other.example"
scopes = ["read"]
introspection_client = "neighbour"
"#;

/// A gateway that asks as this client, with this secret, and where it listens.
async fn asking_as(
    (issuer, upstream): (&Issuer, &Upstream),
    client: &str,
    secret: &str,
) -> (Running, String) {
    let mut settings = settings(&issuer.url, upstream.address);
    settings.routes = vec![
        route("/orders/{id}", needs(&issuer.url, API, "read")),
        route("/opaque/{id}", needs(&issuer.url, OPAQUE, "read")),
    ];
    let own = settings.credentials.as_mut().unwrap();
    own.id = client.to_owned();
    own.secret = Secret::from(secret);
    let launch = Launch::bind("127.0.0.1:0".parse().unwrap(), None);
    let launch = launch.await.unwrap();
    let url = format!("http://{}", launch.public.local_addr().unwrap());
    (launch.start(settings, edge()).unwrap(), url)
}

async fn get(url: &str, token: &str) -> reqwest::Response {
    let request = http().get(url).bearer_auth(token);
    request.send().await.unwrap()
}

/// Attack: L342
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_may_know_nothing_says_so_and_takes_no_token_for_taken_back() {
    let (issuer, upstream) = (Issuer::with(None, MORE).await, Upstream::start().await);
    let token = issuer.token(API, "read").await;
    let opaque = issuer.token(OPAQUE, "read").await;
    let good = asking_as((&issuer, &upstream), "guard", SECRET).await;
    let answer = get(&format!("{}/orders/7", good.1), &token).await;
    assert_eq!(answer.status(), 200);

    for (client, secret, code) in [
        ("stranger", SECRET, "introspection_client"),
        // It reads what was taken back for another API, and nothing of this one.
        ("neighbour", SECRET, "introspection_client"),
        ("guard", "another secret that is long enough", "secret"),
    ] {
        let (running, url) = asking_as((&issuer, &upstream), client, secret).await;
        for (path, token) in [("/orders/7", &token), ("/opaque/7", &opaque)] {
            let answer = get(&format!("{url}{path}"), token).await;
            assert_eq!(answer.status(), 503, "{client}, {path}");
            assert!(answer.headers().contains_key("retry-after"), "{client}");
            let told = answer.text().await.unwrap();
            assert!(!told.contains(client), "{told}");
        }
        let why = running.gateway.readiness().await.unwrap_err();
        assert!(why.contains(code), "{client}: {why}");
        assert!(why.contains(client) && why.contains(&issuer.url), "{why}");
        tokio::time::timeout(Duration::from_secs(10), running.stop())
            .await
            .unwrap();
    }
}
