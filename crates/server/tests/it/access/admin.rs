//! What administrators call.

use std::collections::BTreeMap;

use reqwest::Method;
use symbolon_server::testing::{Known, Probe, probes, without_a_probe};

use super::{Row, asset, row};
use crate::browser::{Browser, request};
use crate::harness::{Answer, PASSWORD, Server, read};

/// What is shown to the listener.
enum Shown<'a> {
    Nothing,
    Bearer(&'a str),
    Cookie(&'a str),
}

async fn call(server: &Server, probe: &Probe, shown: Shown<'_>) -> Answer {
    let url = format!("{}{}", server.admin, probe.path);
    let mut request = server.http.request(probe.method.clone(), url);
    request = match shown {
        Shown::Nothing => request,
        Shown::Bearer(token) => request.bearer_auth(token),
        Shown::Cookie(cookie) => request.header("cookie", cookie),
    };
    if let Some(body) = &probe.body {
        request = request.json(body);
    }
    read(request.send().await.unwrap()).await
}

/// A link to the status page, on the port that this test got.
async fn link(server: &Server) -> String {
    let made = server.admin(Method::POST, "/admin/v1/status-links", None);
    let url = made.await.text("url");
    format!("{}/{}", server.admin, url.splitn(4, '/').last().unwrap())
}

async fn open(server: &Server, link: &str, cookie: Option<&str>) -> Answer {
    let mut request = server.http.get(link);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    read(request.send().await.unwrap()).await
}

/// Opens a link; what the browser holds from then on.
async fn visit(server: &Server, link: &str) -> String {
    let opened = open(server, link, None).await;
    assert_eq!(opened.status, 303, "{}", opened.body);
    let cookie = opened.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// What the calls of the routes are about, made.
pub(crate) async fn known(server: &Server) -> Known {
    Browser::new(server).tokens("alice", &request()).await;
    let first = async |what: &str| {
        let path = format!("/admin/v1/{what}?user=alice");
        let list = server.admin(Method::GET, &path, None).await;
        list.json()["items"][0]["id"].as_str().unwrap().to_owned()
    };
    let keys = server.admin(Method::GET, "/admin/v1/keys", None).await;
    let keys = keys.json();
    let spare = |key: &&serde_json::Value| key["algorithm"] == "ES384" && key["state"] == "active";
    let key = keys["items"].as_array().unwrap().iter().find(spare);
    Known {
        refused: server.get("/userinfo").await.text("request_id"),
        key: key.unwrap()["kid"].as_str().unwrap().to_owned(),
        grant: first("grants").await,
        session: first("sessions").await,
        api_key: crate::api_key::make(server, serde_json::json!({})).await.0,
        password: PASSWORD.to_owned(),
    }
}

/// A row for every route of the table; one without a call of its own fails.
pub(super) async fn rows() -> BTreeMap<String, Row> {
    let (server, elsewhere) = (Server::on_sqlite().await, Server::on_sqlite().await);
    let probes = probes(&known(&server).await);
    let missed = without_a_probe(&probes);
    assert!(missed.is_empty(), "no call in `testing::probe`: {missed:?}");
    let access = Browser::new(&server).tokens("bob", &request()).await;
    let access = access.text("access_token");
    let visitor = visit(&server, &link(&server).await).await;
    let mut rows = BTreeMap::new();
    for probe in &probes {
        let none = call(&server, probe, Shown::Nothing).await;
        let wrong = call(&server, probe, Shown::Bearer(&access)).await;
        let narrow = call(&server, probe, Shown::Cookie(&visitor)).await;
        let foreign = call(&server, probe, Shown::Bearer(&elsewhere.admin_token)).await;
        let right = call(&server, probe, Shown::Bearer(&server.admin_token)).await;
        assert!(right.status < 300, "{} {}", probe.path, right.body);
        let name = format!("admin {} {}", probe.route, probe.method);
        let cells = if none.status == 200 {
            row([Some(&none), None, None, None, None, None, None])
        } else {
            row([
                Some(&right),
                Some(&none),
                Some(&wrong),
                Some(&narrow),
                None,
                None,
                Some(&foreign),
            ])
        };
        rows.insert(name, cells);
    }
    rows.insert(
        "admin /status GET".to_owned(),
        status(&server, &elsewhere).await,
    );
    let page = open(&server, &format!("{}/status", server.admin), None).await;
    let asset = format!("{}{}", server.admin, asset(&page.body));
    let asset = open(&server, &asset, None).await;
    let cells = row([Some(&asset), None, None, None, None, None, None]);
    rows.insert("admin /assets/{name} GET".to_owned(), cells);
    rows
}

/// The page opens by a link, once, and then to the browser that opened it.
async fn status(server: &Server, elsewhere: &Server) -> Row {
    let page = format!("{}/status", server.admin);
    let used = link(server).await;
    let visitor = visit(server, &used).await;
    let right = open(server, &page, Some(&visitor)).await;
    let none = open(server, &page, None).await;
    let wrong = open(server, &format!("{page}?link=sym_adm_wrong"), None).await;
    let replayed = open(server, &used, None).await;
    let foreign = visit(elsewhere, &link(elsewhere).await).await;
    let foreign = open(server, &page, Some(&foreign)).await;
    let late = link(server).await;
    server.advance(11 * 60);
    let expired = open(server, &late, None).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        Some(&replayed),
        Some(&foreign),
    ])
}
