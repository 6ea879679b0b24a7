//! What clients and holders of tokens call.

use reqwest::Method;

use super::{Row, bare, row};
use crate::browser::{Browser, redemption, request};
use crate::harness::{Answer, CALLBACK, Server, VAULT, read};
use crate::revocations::probe;

const SERVICE: (&str, &str) = ("grant_type", "client_credentials");

/// Tokens in every state that one can be in.
struct Tokens {
    good: Answer,
    revoked: Answer,
    expired: Answer,
    /// Without `openid`.
    narrow: Answer,
}

impl Tokens {
    async fn of(server: &Server) -> Self {
        let mut browser = Browser::new(server);
        let expired = browser.tokens("alice", &request()).await;
        server.advance(700);
        let revoked = browser.tokens("alice", &request()).await;
        let token = revoked.text("access_token");
        server.form("/revoke", "web", &[("token", &token)]).await;
        let form = [SERVICE, ("scope", "read:orders")];
        Self {
            good: browser.tokens("alice", &request()).await,
            revoked,
            expired,
            narrow: server.token("job", &form).await,
        }
    }
}

/// A form with no client's name in it.
async fn unnamed(server: &Server, path: &str, form: &[(&str, &str)]) -> Answer {
    let request = server.request(Method::POST, path).form(form);
    read(request.send().await.unwrap()).await
}

pub(super) async fn token(server: &Server) -> Row {
    let mut browser = Browser::new(server);
    let old = browser.code("alice", &request()).await;
    server.advance(61);
    let code = browser.code("alice", &request()).await;
    let good = redemption(&code, CALLBACK);
    let none = unnamed(server, "/token", &[SERVICE]).await;
    let wrong = server.form("/token", "other", &good).await;
    let wide = [SERVICE, ("scope", "write:orders")];
    let narrow = server.form("/token", "job", &wide).await;
    let old = redemption(&old, CALLBACK);
    let expired = server.form("/token", "web", &old).await;
    let right = server.form("/token", "web", &good).await;
    let replayed = server.form("/token", "web", &good).await;
    let elsewhere = [SERVICE, ("resource", VAULT)];
    let foreign = server.form("/token", "other", &elsewhere).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        Some(&narrow),
        Some(&expired),
        Some(&replayed),
        Some(&foreign),
    ])
}

pub(super) async fn revocations(server: &Server, method: &Method) -> Row {
    let open = async |client| probe(server, method.clone(), client).await;
    let right = open(Some("orders-api")).await;
    let none = open(None).await;
    let wrong = open(Some("spa")).await;
    let narrow = open(Some("job")).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        Some(&narrow),
        None,
        None,
        None,
    ])
}

pub(super) async fn introspect(server: &Server) -> Row {
    let tokens = Tokens::of(server).await;
    let ask = async |client: &str, tokens: &Answer| {
        let token = tokens.text("access_token");
        server
            .form("/introspect", client, &[("token", &token)])
            .await
    };
    let access = tokens.good.text("access_token");
    let none = unnamed(server, "/introspect", &[("token", &access)]).await;
    row([
        Some(&ask("orders-api", &tokens.good).await),
        Some(&none),
        Some(&ask("spa", &tokens.good).await),
        Some(&ask("job", &tokens.good).await),
        Some(&ask("orders-api", &tokens.expired).await),
        Some(&ask("orders-api", &tokens.revoked).await),
        Some(&ask("vault-api", &tokens.good).await),
    ])
}

pub(super) async fn revoke(server: &Server) -> Row {
    let tokens = Tokens::of(server).await;
    let ask = async |client: &str, tokens: &Answer| {
        let token = tokens.text("access_token");
        server.form("/revoke", client, &[("token", &token)]).await
    };
    let access = tokens.good.text("access_token");
    let none = unnamed(server, "/revoke", &[("token", &access)]).await;
    let (wrong, foreign) = (
        ask("other", &tokens.good).await,
        ask("job", &tokens.good).await,
    );
    row([
        Some(&ask("web", &tokens.good).await),
        Some(&none),
        Some(&wrong),
        None,
        Some(&ask("web", &tokens.expired).await),
        Some(&ask("web", &tokens.revoked).await),
        Some(&foreign),
    ])
}

pub(super) async fn userinfo(server: &Server, method: &Method) -> Row {
    let tokens = Tokens::of(server).await;
    let elsewhere = Server::on_sqlite().await;
    let foreign = Browser::new(&elsewhere).tokens("alice", &request()).await;
    let ask = async |token: String| {
        let request = server.request(method.clone(), "/userinfo");
        read(request.bearer_auth(token).send().await.unwrap()).await
    };
    row([
        Some(&ask(tokens.good.text("access_token")).await),
        Some(&bare(server, method.clone(), "/userinfo").await),
        Some(&ask(tokens.good.text("id_token")).await),
        Some(&ask(tokens.narrow.text("access_token")).await),
        Some(&ask(tokens.expired.text("access_token")).await),
        Some(&ask(tokens.revoked.text("access_token")).await),
        Some(&ask(foreign.text("access_token")).await),
    ])
}

/// Browsers ask this before they send; only the header says whether they may.
pub(super) async fn preflight(server: &Server, path: &str) -> Row {
    let ask = async |origin: &str| {
        let request = server
            .request(Method::OPTIONS, path)
            .header("origin", origin);
        let answer = read(request.send().await.unwrap()).await;
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed.is_some(), origin.contains("spa."), "{origin}");
        answer
    };
    let right = ask("https://spa.example.com").await;
    let none = bare(server, Method::OPTIONS, path).await;
    let wrong = ask("https://evil.example").await;
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
