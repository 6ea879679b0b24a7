//! Clients that are described by the document at their identifier.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, redemption, response};
use crate::harness::{Answer, Server, read};
use crate::registration::{OPEN, asking};

const CALLBACK: &str = "http://127.0.0.1:4711/callback";

/// A host that publishes a document, and counts who comes.
struct Host {
    id: String,
    asked: Arc<AtomicUsize>,
    says: Arc<Mutex<(u16, &'static str, String)>>,
}

type Shared = (Arc<AtomicUsize>, Arc<Mutex<(u16, &'static str, String)>>);

async fn answer(State((asked, says)): State<Shared>) -> Response {
    asked.fetch_add(1, Ordering::Relaxed);
    let (status, kind, body) = says.lock().unwrap().clone();
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let headers = [
        ("content-type", kind),
        ("location", "/elsewhere"),
        ("cache-control", "max-age=60"),
    ];
    (status, headers, body).into_response()
}

impl Host {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let id = format!("http://{}/client.json", listener.local_addr().unwrap());
        let (asked, says) = (Arc::<AtomicUsize>::default(), Arc::default());
        let router = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&asked), Arc::clone(&says)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let own = Self { id, asked, says };
        own.says(&own.document());
        own
    }

    fn document(&self) -> Value {
        json!({
            "client_id": self.id,
            "client_name": "Assistant",
            "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "refresh_token"],
        })
    }

    fn says(&self, document: &Value) {
        self.answers(200, "application/json", &document.to_string());
    }

    fn answers(&self, status: u16, kind: &'static str, body: &str) {
        *self.says.lock().unwrap() = (status, kind, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn redeem(server: &Server, id: &str, code: &str) -> Answer {
    let mut form = redemption(code, CALLBACK);
    form.push(("client_id", id));
    let request = server.request(Method::POST, "/token").form(&form);
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_client_by_its_document_signs_a_person_in_who_sees_its_host() {
    let (server, host) = (Server::on_sqlite_with(OPEN).await, Host::start().await);
    let metadata = server.get("/.well-known/openid-configuration").await;
    assert_eq!(
        metadata.json()["client_id_metadata_document_supported"],
        true
    );
    let asking = asking(&host.id, CALLBACK);
    let mut browser = Browser::new(&server);
    let page = browser.authorize(&asking).await;
    let page = browser
        .sign_in(&page, "alice", crate::harness::PASSWORD)
        .await;
    assert!(page.body.contains(r#"id="client-host""#), "{}", page.body);
    assert!(page.body.contains("any program could say"), "{}", page.body);

    let code = browser.code("alice", &asking).await;
    let tokens = redeem(&server, &host.id, &code).await;

    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert_eq!(host.asked(), 1, "it is read once");
    let token = tokens.text("access_token");
    let told = server.introspect("orders-api", &token).await;
    assert_eq!(
        (&told["active"], &told["client_id"]),
        (&true.into(), &json!(host.id))
    );
    let form = [("token", &*token), ("client_id", &host.id)];
    let request = server.request(Method::POST, "/revoke").form(&form);
    assert_eq!(read(request.send().await.unwrap()).await.status, 200);
    assert!(!server.is_active(&token).await);
    let account = browser.get("/account").await;
    assert!(account.body.contains("Assistant"), "{}", account.body);
}

#[tokio::test]
async fn what_was_given_is_good_where_nobody_has_read_the_document() {
    let (server, host) = (Server::on_sqlite_with(OPEN).await, Host::start().await);
    let asking = asking(&host.id, CALLBACK);
    let code = Browser::new(&server).code("alice", &asking).await;
    let token = redeem(&server, &host.id, &code).await.text("access_token");
    let before = server.introspect("orders-api", &token).await;
    assert_eq!(before["scope"], "read:orders", "{before}");

    let server = server.restart().await;

    assert_eq!(server.introspect("orders-api", &token).await, before);
    assert_eq!(host.asked(), 1, "and nobody was asked for it");
}

/// Attack: I243
/// Attack: I232
/// Attack: I246
#[tokio::test]
async fn a_document_that_is_not_the_clients_own_is_answered_without_a_redirect() {
    let server = Server::on_sqlite_with(OPEN).await;
    for change in 0..9 {
        let host = Host::start().await;
        let mut document = host.document();
        match change {
            0 => document["client_id"] = "https://other.example.com/client".into(),
            1 => document["redirect_uris"] = json!(["https://elsewhere.example.com/cb"]),
            2 => document["token_endpoint_auth_method"] = "client_secret_basic".into(),
            3 => document["client_secret"] = "x".into(),
            4 => document["client_uri"] = "javascript:alert(1)".into(),
            5 => document["contacts"] = json!(vec!["x".repeat(600); 10]),
            _ => {}
        }
        host.says(&document);
        match change {
            6 => host.answers(302, "application/json", &document.to_string()),
            7 => host.answers(200, "text/html", &document.to_string()),
            8 => host.answers(500, "application/json", &document.to_string()),
            _ => {}
        }

        let refused = Browser::new(&server)
            .authorize(&asking(&host.id, CALLBACK))
            .await;

        assert_eq!(refused.status, 400, "{change}");
        assert!(refused.header("location").is_none(), "{change}");
        assert_eq!(host.asked(), 1, "{change}: nothing is followed");
    }
}

/// Attack: I247
#[tokio::test]
async fn a_flow_keeps_what_it_began_with_and_a_failure_is_never_kept() {
    let (server, host) = (Server::on_sqlite_with(OPEN).await, Host::start().await);
    let asking = asking(&host.id, CALLBACK);
    let code = Browser::new(&server).code("alice", &asking).await;
    let mut moved = host.document();
    moved["redirect_uris"] = json!(["http://127.0.0.1:4711/elsewhere"]);
    host.says(&moved);

    let tokens = redeem(&server, &host.id, &code).await;

    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let again = redeem(&server, &host.id, &code).await;
    assert_eq!(again.refusal(), "invalid_grant");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_read_an_older_document_burns_no_code() {
    let (server, host) = (Server::on_postgres_with(OPEN).await, Host::start().await);
    let other = server.second_node().await.unwrap();
    let older = "http://127.0.0.1:4711/older";
    let mut document = host.document();
    document["redirect_uris"] = json!([older]);
    host.says(&document);
    Browser::new(&other)
        .code("alice", &asking(&host.id, older))
        .await;
    host.says(&host.document());
    let code = Browser::new(&server)
        .code("alice", &asking(&host.id, CALLBACK))
        .await;

    let refused = redeem(&other, &host.id, &code).await;

    assert_eq!(refused.refusal(), "invalid_grant");
    let tokens = redeem(&server, &host.id, &code).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
}

/// Attack: I244
#[tokio::test]
async fn an_identifier_of_another_form_asks_nobody() {
    let (server, host) = (Server::on_sqlite_with(OPEN).await, Host::start().await);
    let base = host.id.trim_end_matches("/client.json");
    for bad in [
        base.to_owned(),
        format!("{base}/"),
        format!("{}#a", host.id),
        format!("{}?a=b", host.id),
        format!("{base}/a/../client.json"),
        format!("{base}//client.json"),
        host.id.replace("http://", "http://user@"),
        host.id.replace("http://", "HTTP://"),
        host.id.replace("127.0.0.1", "127.1"),
        host.id.replace("127.0.0.1", "10.0.0.1"),
        "https://app.example.com:8443/client".to_owned(),
    ] {
        let refused = Browser::new(&server)
            .authorize(&asking(&bad, CALLBACK))
            .await;
        assert_eq!(refused.status, 400, "{bad}");
        assert!(refused.header("location").is_none());
    }
    assert_eq!(host.asked(), 0);
}

#[tokio::test]
async fn hosts_that_are_refused_or_not_named_are_never_asked() {
    for more in [
        "refused_document_hosts = [\"127.0.0.1\"]\n",
        "document_hosts = [\"app.example.com\"]\n",
        "client_id_metadata_documents = false\n",
    ] {
        let server = Server::on_sqlite_with(&format!("{OPEN}{more}")).await;
        let host = Host::start().await;

        let refused = Browser::new(&server)
            .authorize(&asking(&host.id, CALLBACK))
            .await;

        assert_eq!((refused.status, host.asked()), (400, 0), "{more}");
    }
}

#[tokio::test]
async fn an_administrator_stops_a_client_by_its_document() {
    let (server, host) = (Server::on_sqlite_with(OPEN).await, Host::start().await);
    let asking = asking(&host.id, CALLBACK);
    let code = Browser::new(&server).code("alice", &asking).await;
    let token = redeem(&server, &host.id, &code).await.text("access_token");
    let at: String = form_urlencoded::byte_serialize(host.id.as_bytes()).collect();
    let act = async |verb: &str| {
        let path = format!("/admin/v1/clients/{at}/{verb}");
        server.admin(Method::POST, &path, None).await
    };

    let stopped = act("disable").await;

    assert_eq!(stopped.json()["enabled"], false, "{}", stopped.body);
    assert!(!server.is_active(&token).await);
    assert_eq!(Browser::new(&server).authorize(&asking).await.status, 400);
    act("enable").await;
    let answer = Browser::new(&server).grant("alice", &asking).await;
    assert!(response(&answer).contains_key("code"));
}
