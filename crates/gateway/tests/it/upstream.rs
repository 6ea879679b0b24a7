//! A service behind the gateway that says what it got.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How large a body may be here.
const MAX_BODY: usize = 64 * 1024 * 1024;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<AtomicUsize>,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let router = Router::new()
            .route("/events", get(events))
            .route("/flood", get(flood))
            .route("/ws", get(echo_bytes))
            .route("/moved", get(moved))
            .route("/public/trailers", get(trailers))
            .fallback(any(echo))
            .with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, seen }
    }

    /// How many requests have come to where they are said again.
    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

async fn echo(State(seen): State<Arc<AtomicUsize>>, request: Request) -> Response {
    seen.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let headers: Vec<Value> = parts
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let method = parts.method.to_string();
    let target = parts.uri.to_string();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return axum::http::StatusCode::BAD_REQUEST.into_response();
    };
    let said = json!({
        "method": method, "target": target, "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let own = [
        ("content-type", "application/json"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("x-upstream", "1"),
        ("set-cookie", "__Host-sym-session=forged; Path=/"),
    ];
    (own, said.to_string()).into_response()
}

/// A body with something to say at its end.
async fn trailers() -> Response {
    let mut late = axum::http::HeaderMap::new();
    late.insert("x-sum", "5".parse().unwrap());
    let frames = [Frame::data(Bytes::from("hello")), Frame::trailers(late)];
    let body = StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>)));
    ([("trailer", "x-sum")], Body::new(body)).into_response()
}

async fn moved() -> Response {
    let to = [("location", "http://elsewhere.example/")];
    (axum::http::StatusCode::FOUND, to).into_response()
}

/// An event every tenth of a second, for ever.
async fn events() -> Response {
    let events = stream::unfold(0_u64, async |number| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let event = Bytes::from(format!("data: {number}\n\n"));
        Some((Ok::<_, Infallible>(event), number + 1))
    });
    let kind = [("content-type", "text/event-stream")];
    (kind, Body::from_stream(events)).into_response()
}

/// Bytes without a pause, for ever.
async fn flood() -> Response {
    let piece = Bytes::from(vec![b'x'; 16 * 1024]);
    let flood = stream::repeat(Ok::<_, Infallible>(piece));
    Body::from_stream(flood).into_response()
}

/// Becomes a connection that says every byte again.
async fn echo_bytes(mut request: Request) -> Response {
    let asked = request.headers().get("upgrade").cloned();
    if asked.is_none_or(|own| own != "websocket") {
        return axum::http::StatusCode::UPGRADE_REQUIRED.into_response();
    }
    let becomes = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(becomes.await.unwrap());
        let mut bytes = [0; 1024];
        while let Ok(size) = stream.read(&mut bytes).await {
            if size == 0 || stream.write_all(&bytes[..size]).await.is_err() {
                return;
            }
        }
    });
    let said = [("connection", "upgrade"), ("upgrade", "websocket")];
    (axum::http::StatusCode::SWITCHING_PROTOCOLS, said).into_response()
}
