//! Envoy asks over gRPC: messages declared here from its public ones, and the
//! client of `tonic`.

use http::uri::PathAndQuery;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use symbolon_gateway::{AskedAt, Asserted, Dialect, Expected, ForwardAuth, Mcp, Settings};
use symbolon_server::clock::SystemClock;
use symbolon_token::Clock;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

use crate::issuer::API;
use crate::message::{self, Field};
use crate::raw;
use crate::site::Site;
use crate::stream::until_refused;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// A request as Envoy describes it.
#[derive(Clone)]
struct HttpRequest {
    method: String,
    headers: Vec<(String, String)>,
    /// Headers one by one instead.
    apart: Vec<(String, String)>,
    path: String,
    host: String,
}

impl HttpRequest {
    /// `CheckRequest`, from `203.0.113.7`.
    fn question(&self) -> Vec<u8> {
        let pair = |key: &str, number: u64, value: &str| {
            [message::field(1, key), message::field(number, value)].concat()
        };
        let mut http = [
            message::field(1, "17"),
            message::field(2, &self.method),
            message::field(4, &self.path),
            message::field(5, &self.host),
            message::field(6, "https"),
            // A size that is not known.
            message::number(9, u64::MAX),
            message::field(10, "HTTP/2"),
        ]
        .concat();
        for (name, value) in &self.headers {
            http.extend(message::field(3, pair(name, 2, value)));
        }
        let apart = self.apart.iter();
        let apart: Vec<u8> = apart
            .flat_map(|(name, value)| message::field(1, pair(name, 3, value)))
            .collect();
        if !apart.is_empty() {
            http.extend(message::field(13, apart));
        }
        let socket = [
            message::number(1, 0),
            message::field(2, "203.0.113.7"),
            message::number(3, 4711),
        ];
        let address = message::field(1, socket.concat());
        let attributes = [
            message::field(1, message::field(1, address)),
            message::field(4, message::field(2, http)),
            message::field(10, pair("virtual_host", 2, "shop")),
        ];
        message::field(1, attributes.concat())
    }
}

/// What `CheckResponse` says.
#[derive(Debug, Default)]
struct CheckResponse {
    code: u64,
    ok: Option<Said>,
    denied: Option<Said>,
}

/// What `OkHttpResponse` or `DeniedHttpResponse` says.
#[derive(Debug, Default)]
struct Said {
    status: u64,
    headers: Vec<HeaderOption>,
    body: String,
    headers_to_remove: Vec<String>,
}

#[derive(Debug, Default)]
struct HeaderOption {
    key: String,
    value: String,
    /// Whether it says that it is to take the place of what is there.
    takes_place: bool,
}

impl CheckResponse {
    fn read(bytes: &[u8]) -> Self {
        let mut own = Self::default();
        for (number, field) in message::read(bytes) {
            match number {
                1 => own.code = message::first(&field, 1).number(),
                2 => own.denied = Some(Said::read(&field)),
                3 => own.ok = Some(Said::read(&field)),
                _ => {}
            }
        }
        own
    }
}

impl Said {
    fn read(field: &Field) -> Self {
        let mut own = Self::default();
        for (number, field) in message::read(field.bytes()) {
            match number {
                1 => own.status = message::first(&field, 1).number(),
                2 => own.headers.push(HeaderOption::read(&field)),
                3 => own.body = field.text(),
                5 => own.headers_to_remove.push(field.text()),
                _ => {}
            }
        }
        own
    }
}

impl HeaderOption {
    fn read(field: &Field) -> Self {
        let pair = message::first(field, 1);
        Self {
            key: message::first(&pair, 1).text(),
            value: message::first(&pair, 2).text(),
            takes_place: message::read(field.bytes())
                .iter()
                .any(|(number, own)| *number == 2 && message::first(own, 1).number() == 0),
        }
    }
}

/// Messages as they are.
#[derive(Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = CheckResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(to, &item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = CheckResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<CheckResponse>, Status> {
        let size = bytes::Buf::remaining(from);
        let bytes = bytes::Buf::copy_to_bytes(from, size);
        Ok(Some(CheckResponse::read(&bytes)))
    }
}

fn told(settings: &mut Settings) {
    settings.forward_auth = Some(ForwardAuth {
        dialect: Dialect::EnvoyGrpc,
        path: "/elsewhere".into(),
        asked_at: AskedAt::Shared,
        proxies: vec!["127.0.0.1/32".parse().unwrap()],
    });
}

/// The question about a request.
fn about(method: &str, path: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let mut all = vec![
        (":path".to_owned(), path.to_owned()),
        (":method".to_owned(), method.to_owned()),
        (":authority".to_owned(), "shop.test".to_owned()),
    ];
    for (name, value) in headers {
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    HttpRequest {
        method: method.into(),
        headers: all,
        apart: Vec::new(),
        path: path.into(),
        host: "shop.test".into(),
    }
}

async fn ask(site: &Site, http: HttpRequest) -> Result<CheckResponse, Status> {
    call(site, CHECK, http.question()).await
}

/// A call of gRPC.
async fn call(site: &Site, path: &'static str, question: Vec<u8>) -> Result<CheckResponse, Status> {
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(HttpConnector::new());
    let origin = format!("http://{}", site.gateway).parse().unwrap();
    let mut grpc = Grpc::with_origin(client, origin);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let answer = grpc.unary(tonic::Request::new(question), path, Plain);
    answer.await.map(tonic::Response::into_inner)
}

fn values<'a>(options: &'a [HeaderOption], name: &str) -> Vec<&'a str> {
    let own = options.iter().filter(|own| own.key == name);
    own.map(|own| own.value.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_is_told_in_a_message_what_the_judgement_is() {
    let site = Site::with(told).await;
    let token = site.issuer.token(API, "read").await;
    let bearer = format!("Bearer {token}");
    let with = [("authorization", &*bearer)];

    let good = ask(&site, about("GET", "/orders/7?x=1", &with))
        .await
        .unwrap();
    let open = ask(&site, about("GET", "/public/x", &with)).await.unwrap();
    let narrow = ask(&site, about("DELETE", "/orders/7", &with))
        .await
        .unwrap();
    let nobody = ask(&site, about("GET", "/orders/7", &[])).await.unwrap();
    let nowhere = ask(&site, about("GET", "/nowhere", &with)).await.unwrap();

    assert_eq!(good.code, 0);
    let ok = good.ok.unwrap();
    let assertion = values(&ok.headers, "symbolon-assertion")[0];
    let expected = Expected {
        upstream: "echo",
        method: "GET",
        path_and_query: "/orders/7?x=1",
        now: SystemClock::start().now(),
    };
    let keys = site.running.gateway.keys();
    let asserted = Asserted::check(keys.as_object().unwrap(), assertion, &expected).unwrap();
    assert_eq!(asserted.text("client_id"), Some("shop"));
    assert!(ok.headers.iter().all(|own| own.takes_place));
    assert_eq!(ok.headers_to_remove, ["authorization"]);
    let open = open.ok.unwrap();
    assert!(values(&open.headers, "symbolon-assertion").is_empty());
    assert_eq!(open.headers_to_remove, ["authorization"]);
    for (answer, code, status, said) in [
        (narrow, 7, 403, "insufficient_scope"),
        (nobody, 16, 401, "Bearer"),
    ] {
        assert_eq!(answer.code, code);
        assert!(answer.ok.is_none());
        let denied = answer.denied.unwrap();
        assert_eq!(denied.status, status);
        let challenges = values(&denied.headers, "www-authenticate");
        assert!(
            challenges.iter().any(|own| own.contains(said)),
            "{challenges:?}"
        );
    }
    let denied = nowhere.denied.unwrap();
    assert_eq!(denied.status, 404);
    assert!(denied.body.contains("no-route"), "{}", denied.body);
    assert_eq!(site.upstream.seen(), 0, "nothing is passed on");

    site.issuer.revoke(&token).await;
    until_refused(async || {
        let answer = ask(&site, about("GET", "/orders/7", &with)).await.unwrap();
        match answer.denied {
            Some(denied) => u16::try_from(denied.status).unwrap(),
            None => 200,
        }
    })
    .await;
}

/// What a proxy that asks in heads would let stand.
///
/// Attack: L321
/// Attack: L337
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_takes_out_what_the_service_may_not_hear_of_its_caller() {
    let site = Site::with(told).await;
    let token = site.issuer.token(API, "read").await;
    let bearer = format!("Bearer {token}");
    let sent = [
        ("authorization", &*bearer),
        ("x-auth-user", "alice"),
        ("x_auth_user", "alice"),
        ("grpc-metadata-x-user", "alice"),
        ("proxy", "http://evil.test"),
        ("cookie", "a=1; __Host-sym-session=x; b=2"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-envoy-internal", "true"),
        ("x-harmless", "1"),
        ("te", "trailers"),
    ];

    let answer = ask(&site, about("GET", "/orders/7", &sent)).await.unwrap();

    let ok = answer.ok.unwrap();
    let mut removed = ok.headers_to_remove.clone();
    removed.sort_unstable();
    assert_eq!(
        removed,
        [
            "authorization",
            "grpc-metadata-x-user",
            "proxy",
            "x-auth-user",
            "x_auth_user"
        ]
    );
    assert_eq!(values(&ok.headers, "cookie"), ["a=1; b=2"]);
    let own = [("cookie", "__Host-sym-session=x")];
    let answer = ask(&site, about("GET", "/public/x", &own)).await.unwrap();
    assert_eq!(answer.ok.unwrap().headers_to_remove, ["cookie"]);
    let told = [("authorization", &*bearer), ("x-caller", "alice")];
    let speaks = ask(&site, about("GET", "/told/7", &told)).await.unwrap();
    assert!(
        speaks
            .denied
            .unwrap()
            .body
            .contains("forward-auth-identity")
    );
    let answer = ask(&site, about("GET", "/told/7", &told[..1]))
        .await
        .unwrap();
    let ok = answer.ok.unwrap();
    assert_eq!(values(&ok.headers, "x-caller"), ["shop"]);
    assert!(
        ok.headers_to_remove.is_empty(),
        "the route passes the token on"
    );
}

/// Attack: L324
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_envoy_cannot_mean_in_one_way_does_not_pass() {
    let site = Site::with(told).await;
    let token = site.issuer.token(API, "read").await;
    let bearer = format!("Bearer {token}");
    let good = about("GET", "/orders/7", &[("authorization", &bearer)]);
    let code = async |http: HttpRequest| {
        let denied = ask(&site, http).await.unwrap().denied.unwrap();
        let rest = denied.body.split("/problems/").nth(1).unwrap_or_default();
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    let path = |path: &str| HttpRequest {
        path: path.into(),
        ..good.clone()
    };
    for (path_sent, why) in [
        ("/public/..%2forders/7", "path-separator"),
        ("/%6frders/7", "path-not-one-form"),
        ("http://shop.test/orders/7", "target-form"),
        ("", "forward-auth-malformed"),
    ] {
        assert_eq!(code(path(path_sent)).await, why, "{path_sent}");
    }
    let mut twice = good.clone();
    twice.apart = vec![("authorization".into(), bearer.clone())];
    assert_eq!(code(twice.clone()).await, "forward-auth-malformed");
    for (method, host, why) in [
        ("get", "shop.test", "forward-auth-malformed"),
        ("GET", "", "host-malformed"),
        ("GET", "a@b", "host-malformed"),
    ] {
        let bad = HttpRequest {
            method: method.into(),
            host: host.into(),
            ..good.clone()
        };
        assert_eq!(code(bad).await, why, "{method} {host}");
    }
    // Headers one by one, which is the other way of saying them.
    twice.headers.clear();
    let apart = ask(&site, twice).await.unwrap();
    assert_eq!(apart.code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_a_trusted_envoy_is_answered_and_nothing_but_its_call() {
    let site = Site::with(|settings| {
        told(settings);
        if let Some(own) = &mut settings.forward_auth {
            own.proxies = vec!["10.0.0.0/8".parse().unwrap()];
        }
    })
    .await;

    let stranger = ask(&site, about("GET", "/public/x", &[]))
        .await
        .unwrap_err();

    assert_eq!(stranger.code(), Code::PermissionDenied);
    let head = format!("POST {CHECK} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    let plain = raw::send(site.gateway, format!("{head}\r\n").as_bytes()).await;
    assert_eq!(raw::statuses(&plain), [415], "{plain}");
    let get = raw::get(site.gateway, CHECK.as_bytes(), "").await;
    assert_eq!(raw::statuses(&get), [405], "{get}");
    let elsewhere = raw::get(site.gateway, b"/elsewhere", "").await;
    assert_eq!(raw::statuses(&elsewhere), [404], "{elsewhere}");
}

/// Rules about what is in a body would be passed by here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_body_decides_envoy_may_pass_nothing() {
    let site = Site::with(|settings| {
        told(settings);
        let orders = settings.routes.iter_mut();
        for route in orders.filter(|own| own.path.matches("/orders/7")) {
            route.mcp = Some(Mcp::default());
        }
    })
    .await;
    let token = site.issuer.token(API, "read write").await;
    let bearer = format!("Bearer {token}");

    let answer = ask(
        &site,
        about("POST", "/orders/7", &[("authorization", &bearer)]),
    )
    .await;

    let denied = answer.unwrap().denied.unwrap();
    assert!(denied.body.contains("body-decides"), "{}", denied.body);
}

/// Libraries of gRPC read no status but their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_grpc_is_refused_in_its_own_status() {
    let site = Site::start().await;
    let question = Vec::new;

    let nobody = call(&site, "/orders/7", question()).await.unwrap_err();
    let nowhere = call(&site, "/nowhere", question()).await.unwrap_err();

    assert_eq!(nobody.code(), Code::Unauthenticated, "{nobody}");
    assert!(!nobody.message().is_empty());
    let challenge = nobody.metadata().get("www-authenticate").unwrap();
    assert!(challenge.to_str().unwrap().starts_with("Bearer"));
    assert_eq!(nowhere.code(), Code::Unimplemented);
    assert_eq!(nowhere.message(), "no route takes this path");
    assert!(nowhere.metadata().contains_key("x-request-id"));
}
