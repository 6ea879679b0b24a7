//! Readers of the revocation feed that lose what they came in by: their streams
//! end at once, and whoever still may comes again.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use symbolon_protocol::SigningAlgorithm;
use symbolon_testkit::START;
use symbolon_token::jose::SigningKey;
use tokio::time::timeout;

use crate::harness::{ORDERS, SECRET, Server};
use crate::on_both_engines;

on_both_engines! {
    a_stream_ends_with_the_secret_that_opened_it
    a_stream_ends_when_the_secret_that_was_replaced_is_due
    a_stream_ends_with_the_key_that_opened_it
    keys_that_no_reader_proved_itself_by_are_not_asked_for
    a_stream_ends_with_its_client
    a_stream_ends_with_the_right_to_read_it
    a_stream_goes_on_where_its_client_changes_in_other_ways
}

/// How long a stream that has to end may go on.
const PROMPT: Duration = Duration::from_secs(10);

fn with_secret(server: &Server) -> RequestBuilder {
    let request = server.request(Method::GET, "/revocations");
    request.basic_auth("orders-api", Some(SECRET))
}

async fn open(request: RequestBuilder) -> Response {
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(is_going_on(&mut stream).await);
    stream
}

async fn is_going_on(stream: &mut Response) -> bool {
    let next = timeout(PROMPT, stream.chunk()).await;
    matches!(next.expect("it says nothing"), Ok(Some(_)))
}

/// Reads on until it ends.
async fn ended(mut stream: Response) {
    let end = async { while is_going_on(&mut stream).await {} };
    timeout(PROMPT, end).await.expect("it goes on");
}

async fn admin(server: &Server, method: Method, path: &str, body: Value) {
    let path = format!("/admin/v1/{path}");
    let body = Some(body).filter(|body| !body.is_null());
    let answer = server.admin(method, &path, body).await;
    assert!(answer.status < 300, "{path}: {}", answer.body);
}

async fn replace_secret(server: &Server, overlap: &str) {
    let body = json!({ "overlap": overlap });
    admin(server, Method::POST, "clients/orders-api/secret", body).await;
}

async fn a_stream_ends_with_the_secret_that_opened_it(server: Server) {
    let stream = open(with_secret(&server)).await;

    replace_secret(&server, "0s").await;

    ended(stream).await;
    let again = with_secret(&server).send().await.unwrap();
    assert_eq!(again.status(), 401);
}

async fn a_stream_ends_when_the_secret_that_was_replaced_is_due(server: Server) {
    let mut stream = open(with_secret(&server)).await;
    replace_secret(&server, "10m").await;
    for _ in 0..3 {
        assert!(is_going_on(&mut stream).await, "both secrets hold");
    }

    server.advance(600);

    ended(stream).await;
}

async fn a_stream_ends_with_the_key_that_opened_it(server: Server) {
    let algorithm = SigningAlgorithm::Es256;
    let key = || {
        let document = SigningKey::generate(algorithm).unwrap();
        SigningKey::from_pkcs8(algorithm, &document).unwrap()
    };
    let (own, other) = (key(), key());
    let set = |keys: &[&SigningKey]| {
        let keys: Vec<Value> = keys.iter().map(|key| json!(key.public_jwk())).collect();
        json!({ "authentication": "private_key_jwt", "jwks": { "keys": keys } })
    };
    let path = "clients/orders-api";
    admin(&server, Method::PATCH, path, set(&[&own])).await;
    let now = START.seconds();
    let claims = json!({
        "iss": "orders-api", "sub": "orders-api", "aud": server.name(), "jti": "one",
        "iat": now, "exp": now + 60,
    });
    let form = [
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        (
            "client_assertion",
            &*own.sign("JWT", claims.to_string().as_bytes()),
        ),
    ];
    let stream = open(server.request(Method::POST, "/revocations").form(&form)).await;

    admin(&server, Method::PATCH, path, set(&[&other])).await;

    ended(stream).await;
}

async fn keys_that_no_reader_proved_itself_by_are_not_asked_for(server: Server) {
    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let uri = format!("http://{}/jwks", host.local_addr().unwrap());
    let keys = json!({ "jwks_uri": uri });
    admin(&server, Method::PATCH, "clients/orders-api", keys).await;

    open(with_secret(&server)).await;

    assert!(host.accept().is_err(), "somebody came");
}

async fn a_stream_ends_with_its_client(server: Server) {
    let stream = open(with_secret(&server)).await;

    let path = "clients/orders-api/disable";
    admin(&server, Method::POST, path, Value::Null).await;

    ended(stream).await;
}

async fn a_stream_ends_with_the_right_to_read_it(server: Server) {
    let stream = open(with_secret(&server)).await;
    let path = format!("resources/{}", ORDERS.replace('/', "%2F"));

    let other = json!({ "introspection_client": "vault-api" });
    admin(&server, Method::PATCH, &path, other).await;

    ended(stream).await;
}

async fn a_stream_goes_on_where_its_client_changes_in_other_ways(server: Server) {
    let mut stream = open(with_secret(&server)).await;

    let name = json!({ "name": "Orders" });
    admin(&server, Method::PATCH, "clients/orders-api", name).await;

    for _ in 0..4 {
        assert!(is_going_on(&mut stream).await);
    }
}
