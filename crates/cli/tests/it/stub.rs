//! A client's own web server, which remembers what browsers bring.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Html;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::program::PATIENCE;

/// What arrived once.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) fields: BTreeMap<String, String>,
}

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// The running server.
pub(crate) struct Stub {
    pub(crate) callback: String,
    arrivals: Arrivals,
    task: JoinHandle<()>,
}

impl Stub {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let callback = format!("http://{}/callback", listener.local_addr().unwrap());
        let arrivals = Arrivals::default();
        let router = Router::new()
            .fallback(take)
            .with_state(Arc::clone(&arrivals));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            callback,
            arrivals,
            task,
        }
    }

    /// The next that was brought to a path, taken off the list.
    pub(crate) async fn arrival(&self, path: &str) -> Arrival {
        let begin = Instant::now();
        loop {
            let found = {
                let mut arrivals = self.arrivals.lock().unwrap();
                let at = arrivals.iter().position(|arrival| arrival.path == path);
                at.map(|at| arrivals.remove(at))
            };
            if let Some(found) = found {
                return found;
            }
            assert!(begin.elapsed() < PATIENCE, "nothing arrived at {path}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(arrivals): State<Arrivals>, request: Request) -> Html<&'static str> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query = head.uri.query().unwrap_or_default().as_bytes();
    let fields = form_urlencoded::parse(query)
        .into_owned()
        .chain(form_urlencoded::parse(&body).into_owned())
        .collect();
    let arrival = Arrival {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        fields,
    };
    arrivals.lock().unwrap().push(arrival);
    Html(
        "<!doctype html><html lang=en><title>The client</title><link rel=icon href=data:,><p id=arrived>You are back.",
    )
}
