//! A receiver: keeps what it is sent, and answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::claims;

/// How long it waits for what has to come.
/// Longer than the lease of a sender that could not give it back.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

/// Something that was received.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

impl Letter {
    /// The logout token of a form.
    pub(crate) fn logout_token(&self) -> String {
        assert_eq!(self.kind, "application/x-www-form-urlencoded");
        let mut pairs = form_urlencoded::parse(self.body.as_bytes());
        let (name, token) = pairs.next().unwrap();
        assert_eq!(name, "logout_token");
        assert!(pairs.next().is_none());
        token.into_owned()
    }

    /// What the token in it says, whatever it is.
    pub(crate) fn says(&self) -> serde_json::Map<String, Value> {
        match &*self.kind {
            "application/secevent+jwt" => claims(&self.body),
            _ => claims(&self.logout_token()),
        }
    }

    /// Whom it is about.
    pub(crate) fn subject(&self) -> String {
        let said = self.says();
        let whole = said.get("sub").or_else(|| said["sub_id"].get("sub"));
        whole.unwrap().as_str().unwrap().to_owned()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) retry_after: Option<u32>,
}

#[derive(Default)]
struct Kept {
    letters: Vec<Letter>,
    reply: Option<Reply>,
    /// Whom it is told nothing of: the answer is 500.
    unwanted: Option<String>,
    /// What was not taken.
    turned_away: Vec<Letter>,
    /// Whether answers are held back; requests that wait for theirs look on.
    is_held: watch::Sender<bool>,
}

/// The receiver.
#[derive(Clone)]
pub(crate) struct Inbox {
    pub(crate) url: String,
    kept: Arc<Mutex<Kept>>,
}

impl Inbox {
    /// One that takes everything.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept::default()));
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&kept));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, kept }
    }

    /// From now on it answers otherwise.
    pub(crate) fn answer(&self, status: u16, body: &str) {
        self.kept.lock().unwrap().reply = Some(Reply {
            status,
            body: body.to_owned(),
            retry_after: None,
        });
    }

    /// From now on it asks for so many seconds.
    pub(crate) fn ask_for_time(&self, seconds: u32) {
        self.kept.lock().unwrap().reply = Some(Reply {
            status: 503,
            body: String::new(),
            retry_after: Some(seconds),
        });
    }

    /// From now on it breaks at what it is told of one person, or of nobody.
    pub(crate) fn break_at(&self, subject: Option<&str>) {
        self.kept.lock().unwrap().unwanted = subject.map(str::to_owned);
    }

    /// From now on it takes everything, once it is let go.
    pub(crate) fn hold(&self) {
        self.answer(200, "");
        self.kept.lock().unwrap().is_held.send_replace(true);
    }

    /// Answers what it holds back, and whatever comes.
    pub(crate) fn let_go(&self) {
        self.kept.lock().unwrap().is_held.send_replace(false);
    }

    /// How many requests wait for their answer, and were not given up.
    pub(crate) fn held(&self) -> usize {
        self.kept.lock().unwrap().is_held.receiver_count()
    }

    /// Waits until a request waits for its answer.
    pub(crate) async fn wait_until_held(&self) {
        let until = Instant::now() + PATIENCE;
        while self.held() == 0 {
            assert!(Instant::now() < until, "nothing came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What it took so far.
    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.kept.lock().unwrap().letters.clone()
    }

    /// How often it did not take what it was sent.
    pub(crate) fn turned_away(&self) -> usize {
        self.kept.lock().unwrap().turned_away.len()
    }

    /// Waits until it did not take so many letters.
    pub(crate) async fn wait_until_turned_away(&self, count: usize) -> Vec<Letter> {
        let until = Instant::now() + PATIENCE;
        while self.turned_away() < count {
            let came = self.turned_away();
            assert!(Instant::now() < until, "{came} of {count} were turned away");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.kept.lock().unwrap().turned_away.clone()
    }

    /// Waits until it took so many letters.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Letter> {
        let until = Instant::now() + PATIENCE;
        loop {
            let letters = self.letters();
            if letters.len() >= count {
                return letters;
            }
            assert!(Instant::now() < until, "{} of {count} came", letters.len());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Lets so much time pass that whatever was sent would be here.
    pub(crate) async fn settle(&self) -> Vec<Letter> {
        tokio::time::sleep(Duration::from_millis(900)).await;
        self.letters()
    }
}

async fn receive(
    State(kept): State<Arc<Mutex<Kept>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let letter = Letter {
        path: uri.path().to_owned(),
        kind: header("content-type"),
        authorization: header("authorization"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let (mut reply, mut is_held) = {
        let kept = kept.lock().unwrap();
        let reply = kept.reply.clone().unwrap_or(Reply {
            status: 200,
            body: String::new(),
            retry_after: None,
        });
        (reply, kept.is_held.subscribe())
    };
    let unwanted = kept.lock().unwrap().unwanted.clone();
    if unwanted.is_some_and(|unwanted| letter.subject() == unwanted) {
        reply.status = 500;
    }
    is_held.wait_for(|is_held| !is_held).await.unwrap();
    drop(is_held);
    let mut kept = kept.lock().unwrap();
    if reply.status < 300 {
        kept.letters.push(letter);
    } else {
        kept.turned_away.push(letter);
    }
    let status = StatusCode::from_u16(reply.status).unwrap();
    let mut response = (status, reply.body).into_response();
    if let Some(seconds) = reply.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
