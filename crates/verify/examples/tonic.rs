//! A Tonic service behind the layer. The methods of a generated service are
//! written here by hand, so that no compiler of protocol buffers is needed.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response};
use symbolon_verify::{Principal, Verifier};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;

/// What `tonic_build` would make.
#[derive(Clone)]
struct Orders;

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl tower::Service<Request<Body>> for Orders {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // In a generated service: `request.extensions()` of the `tonic::Request`.
        let caller = request.extensions().get::<Principal>();
        let caller = caller.map_or("nobody", Principal::subject);
        ready(Ok(tonic::Status::not_found(caller).into_http()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verifier = Verifier::from_env()?;
    let app = Routes::new(Orders)
        .into_axum_router()
        .layer(verifier.require(["read:orders"]).grpc());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8099").await?;
    Ok(axum::serve(listener, app).await?)
}
