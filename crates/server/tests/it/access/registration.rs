//! What clients that register themselves call.

use reqwest::Method;
use serde_json::Value;

use super::{Row, row};
use crate::harness::{Answer, Server, read};
use crate::registration::{OPEN, confidential, register, small};

const TOKEN: &str = "an initial access token that is long enough";

pub(super) async fn registered() -> Row {
    let more = format!("{OPEN}initial_access_token = \"{TOKEN}\"\n");
    let server = Server::on_sqlite_with(&more).await;
    let with = async |token: &str| {
        let request = server.request(Method::POST, "/register").json(&small());
        read(request.bearer_auth(token).send().await.unwrap()).await
    };
    let right = with(TOKEN).await;
    let none = register(&server, &small()).await;
    let wrong = with("another").await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        None,
        None,
        None,
    ])
}

async fn call(server: &Server, method: &Method, at: &str, token: Option<&str>) -> Answer {
    let request = server.request(method.clone(), &format!("/register/{at}"));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let request = match *method {
        Method::PUT => {
            let mut said = confidential();
            said["client_id"] = at.into();
            request.json(&said)
        }
        _ => request,
    };
    read(request.send().await.unwrap()).await
}

pub(super) async fn managed(method: &Method) -> Row {
    let server = Server::on_sqlite_with(OPEN).await;
    let made = register(&server, &confidential()).await.json();
    let other = register(&server, &confidential()).await.json();
    let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
    let (id, token) = (
        text(&made, "client_id"),
        text(&made, "registration_access_token"),
    );
    let theirs = text(&other, "registration_access_token");
    let none = call(&server, method, &id, None).await;
    let wrong = call(&server, method, &id, Some(&theirs)).await;
    let right = call(&server, method, &id, Some(&token)).await;
    // What was changed or ended took its token along.
    let replayed = match *method {
        Method::GET => None,
        _ => Some(call(&server, &Method::GET, &id, Some(&token)).await),
    };
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        None,
        replayed.as_ref(),
        None,
    ])
}
