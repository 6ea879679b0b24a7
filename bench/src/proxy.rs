//! The floor under the gateway: a proxy that passes on whatever comes, with
//! hyper, and kept connections on both sides.
//!
//! Spec: RFC 9110 §7.6

use std::net::SocketAddr;

use anyhow::Result;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::CONNECTION;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

/// What an answer carries: what came, or nothing.
type Body = Either<Incoming, http_body_util::Empty<hyper::body::Bytes>>;

/// Passes everything on until it is killed; `/readyz` of the service says when
/// it is ready.
pub(crate) async fn serve(listener: TcpListener, to: SocketAddr) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Incoming> = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(256)
        .build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        // Where it cannot be set the floor is a little slower.
        let _ = stream.set_nodelay(true);
        let client = client.clone();
        tokio::spawn(async move {
            let pass = service_fn(move |request| pass(client.clone(), to, request));
            let builder = Builder::new(TokioExecutor::new());
            // How a connection ends is its caller's business.
            let _ = builder.serve_connection(TokioIo::new(stream), pass).await;
        });
    }
}

async fn pass(
    client: Client<HttpConnector, Incoming>,
    to: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |own| own.as_str());
    *request.uri_mut() = format!("http://{to}{target}").parse::<Uri>()?;
    request.headers_mut().remove(CONNECTION);
    match client.request(request).await {
        Ok(answer) => Ok(answer.map(Either::Left)),
        Err(_) => {
            let mut failed = Response::new(Either::Right(http_body_util::Empty::new()));
            *failed.status_mut() = StatusCode::BAD_GATEWAY;
            Ok(failed)
        }
    }
}
