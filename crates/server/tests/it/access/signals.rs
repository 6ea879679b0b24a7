//! Rows of what clients do that act for themselves: streams of events, the call
//! that takes all of a person back, and events of others.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Row, row};
use crate::browser::{Browser, request};
use crate::harness::{Answer, Server};
use crate::signals::{call, machine, token_of};

const STREAMS: &str = "ssf.manage";
const PEOPLE: &str = "global-token-revocation";

/// One call of a route about a stream, or about alice.
async fn ask(server: &Server, (method, route): (&Method, &str), token: &str, id: &str) -> Answer {
    let named = [Method::GET, Method::DELETE].contains(method);
    let path = match (named, route) {
        (true, _) => format!("{route}?stream_id={id}"),
        (false, "/ssf/poll/{stream}") => format!("/ssf/poll/{id}"),
        (false, _) => route.to_owned(),
    };
    let alice = json!({ "format": "email", "email": "alice@example.com" });
    let body = match route {
        "/global-token-revocation" => json!({ "sub_id": alice }),
        "/ssf/poll/{stream}" => json!({ "returnImmediately": true }),
        "/ssf/streams" if *method == Method::POST => json!({}),
        _ => json!({ "stream_id": id, "status": "enabled", "subject": alice }),
    };
    let body = Some(&body).filter(|_| !named);
    call(server, method.clone(), &path, (token, body)).await
}

async fn stream_of(server: &Server, token: &str) -> String {
    let path = "/ssf/streams";
    let made = call(server, Method::POST, path, (token, Some(&json!({})))).await;
    made.text("stream_id")
}

pub(super) async fn machine_alone(server: &Server, method: &Method, path: &str) -> Row {
    let scope = match path {
        "/global-token-revocation" => PEOPLE,
        _ => STREAMS,
    };
    machine(server, "machine", scope).await;
    machine(server, "second", scope).await;
    machine(server, "narrow", "something.else").await;
    let (good, second) = (
        token_of(server, "machine").await,
        token_of(server, "second").await,
    );
    let narrow = token_of(server, "narrow").await;
    let id = match scope {
        STREAMS => stream_of(server, &good).await,
        _ => String::new(),
    };
    let other = match scope {
        STREAMS => stream_of(server, &second).await,
        _ => String::new(),
    };
    let elsewhere = Server::on_sqlite().await;
    machine(&elsewhere, "machine", scope).await;
    let foreign = token_of(&elsewhere, "machine").await;
    let person = Browser::new(server).tokens("alice", &request()).await;
    let route = (method, path);
    let foreign = match (scope, path, method) {
        // A stream of another client, where one is named.
        (STREAMS, path, method) if path != "/ssf/streams" || *method != Method::POST => {
            ask(server, route, &good, &other).await
        }
        _ => ask(server, route, &foreign, &id).await,
    };
    let none = ask(server, route, "", &id).await;
    let wrong = ask(server, route, &person.text("access_token"), &id).await;
    let narrow = ask(server, route, &narrow, &id).await;
    let right = ask(server, route, &good, &id).await;
    let revoked = token_of(server, "machine").await;
    server
        .form("/revoke", "machine", &[("token", &revoked)])
        .await;
    let revoked = ask(server, route, &revoked, &id).await;
    server.advance(3600);
    let expired = ask(server, route, &good, &id).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        Some(&narrow),
        Some(&expired),
        Some(&revoked),
        Some(&foreign),
    ])
}

/// Nobody is a source here; what sources are told is tested where there is one.
pub(super) async fn source(server: &Server) -> Row {
    let path = "/signals/nobody";
    let none = call(server, Method::POST, path, ("", Some(&Value::Null))).await;
    let wrong = call(server, Method::POST, path, ("wrong", Some(&Value::Null))).await;
    row([None, Some(&none), Some(&wrong), None, None, None, None])
}
