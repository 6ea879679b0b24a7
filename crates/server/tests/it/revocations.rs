//! The revocation feed on the wire: who may read it, what is in it, and how a
//! reader that was away gets all of it.
//!
//! Spec: WHATWG HTML §9.2

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use symbolon_token::feed::{Head, Tally, Unpacked, unpack};
use symbolon_token::jose::{KeySet, Unverified};
use symbolon_token::revocation::{Revocation, Target, public_name, token_name};

use crate::browser::{Browser, request};
use crate::harness::{Answer, ORDERS, SECRET, Server, VAULT, read};
use crate::on_both_engines;

on_both_engines! {
    what_is_taken_back_comes_with_a_signed_head
    a_reader_that_comes_back_is_sent_what_it_missed
    a_place_that_nobody_knows_means_a_snapshot
    a_person_is_named_as_each_sector_knows_them
    what_another_node_takes_back_comes_too
}

/// How long a step may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream that is read event by event.
struct Stream {
    response: reqwest::Response,
    text: String,
    keys: KeySet,
}

/// What stands between two heads, and the second of them.
struct Batch {
    records: Vec<Revocation>,
    head: Head,
    place: String,
}

impl Batch {
    fn named(&self, target: Target, name: u64) -> bool {
        let is_it = |own: &Revocation| (own.target, own.name) == (target, name);
        self.records.iter().any(is_it)
    }
}

impl Stream {
    async fn open(server: &Server, client: &str, place: Option<&str>) -> Self {
        let mut request = server
            .request(Method::GET, "/revocations?nonce=abc")
            .basic_auth(client, Some(SECRET));
        if let Some(place) = place {
            request = request.header("last-event-id", place);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-accel-buffering"], "no");
        let keys = server.get("/.well-known/jwks-revocations.json").await;
        Self {
            response,
            text: String::new(),
            keys: KeySet::parse(keys.body.as_bytes()).unwrap(),
        }
    }

    /// The next event, as its fields; `None` where the stream has ended.
    async fn event(&mut self) -> Option<Vec<(String, String)>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let fields = event.lines().map(|line| line.split_once(": ").unwrap());
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                let fields = fields.map(owned).collect();
                self.text = rest.to_owned();
                return Some(fields);
            }
            let next = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let bytes = next.expect("it says nothing").ok()??;
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    async fn begin(&mut self) -> Value {
        let event = self.event().await.unwrap();
        assert_eq!(event[0].1, "begin");
        serde_json::from_str(&event[1].1).unwrap()
    }

    /// Everything up to the next head, which vouches for it.
    async fn batch(&mut self) -> Batch {
        self.try_batch().await.expect("a stream that goes on")
    }

    async fn try_batch(&mut self) -> Option<Batch> {
        let (mut records, mut tally) = (Vec::new(), Tally::default());
        loop {
            let event = self.event().await?;
            let data = &event.last().unwrap().1;
            match &*event[0].1 {
                "begin" => {}
                "records" => {
                    let packed = BASE64_URL_SAFE_NO_PAD.decode(data).unwrap();
                    tally.add(&packed);
                    records.extend(unpack(&packed).unwrap().map(|own| match own {
                        Unpacked::Known(record) => record,
                        Unpacked::Unknown(_) => panic!("not known"),
                    }));
                }
                "head" => {
                    let head = Head::verify(data, &self.keys).unwrap();
                    assert!(head.is_of(tally.take()));
                    let place = event[1].1.clone();
                    return Some(Batch {
                        records,
                        head,
                        place,
                    });
                }
                other => panic!("{other}"),
            }
        }
    }

    /// Reads on until a record of something has come.
    async fn until(&mut self, target: Target, name: u64) -> Batch {
        loop {
            let batch = self.batch().await;
            if batch.named(target, name) {
                return batch;
            }
        }
    }
}

fn claims(jwt: &str) -> Value {
    let token = Unverified::parse(jwt).unwrap();
    Value::Object(token.dangerous_claims_without_key().unwrap())
}

/// The name of a token by its `jti`.
fn name_of(token: &str) -> u64 {
    token_name(claims(token)["jti"].as_str().unwrap())
}

fn mark(token: &str, name: &str) -> u64 {
    u64::from_str_radix(claims(token)["rev"][name].as_str().unwrap(), 16).unwrap()
}

async fn issue(server: &Server) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    server.token("job", &form).await.text("access_token")
}

async fn revoke(server: &Server, client: &str, token: &str) {
    let answer = server.form("/revoke", client, &[("token", token)]).await;
    assert_eq!(answer.status, 200);
}

async fn what_is_taken_back_comes_with_a_signed_head(server: Server) {
    let tokens = [issue(&server).await, issue(&server).await];
    revoke(&server, "job", &tokens[0]).await;

    let mut stream = Stream::open(&server, "orders-api", None).await;
    let begin = stream.begin().await;
    let first = stream.batch().await;

    assert_eq!(
        (&begin["snapshot"], &begin["after"]),
        (&true.into(), &0.into())
    );
    assert!(first.head.snapshot && first.named(Target::Token, name_of(&tokens[0])));
    assert!(!first.named(Target::Token, name_of(&tokens[1])));
    assert_eq!(first.head.issuer, server.name());
    assert_eq!(first.head.reader, "orders-api");
    assert_eq!(first.head.nonce, "abc");
    assert_eq!(first.head.epoch, begin["epoch"].as_i64().unwrap());

    revoke(&server, "job", &tokens[1]).await;
    let next = stream.until(Target::Token, name_of(&tokens[1])).await;

    assert!(!next.head.snapshot && next.head.sequence > first.head.sequence);
    let record = next.records[0];
    let ends = claims(&tokens[1])["exp"].as_i64().unwrap();
    assert_eq!(record.expires.seconds(), ends);
    // Heads come where nothing happens, and go on from one another.
    let quiet = stream.batch().await;
    assert_eq!(quiet.head.after, next.head.sequence);
    assert_eq!(
        (quiet.head.sequence, quiet.records.len()),
        (next.head.sequence, 0)
    );
}

async fn a_reader_that_comes_back_is_sent_what_it_missed(server: Server) {
    let tokens = [issue(&server).await, issue(&server).await];
    revoke(&server, "job", &tokens[0]).await;
    let mut stream = Stream::open(&server, "orders-api", None).await;
    let seen = stream.batch().await;
    drop(stream);
    revoke(&server, "job", &tokens[1]).await;

    let mut stream = Stream::open(&server, "orders-api", Some(&seen.place)).await;
    let begin = stream.begin().await;
    let missed = stream.batch().await;

    assert_eq!(begin["snapshot"], false);
    assert_eq!(begin["after"], seen.head.sequence);
    assert!(!missed.head.snapshot && missed.head.after == seen.head.sequence);
    assert!(missed.named(Target::Token, name_of(&tokens[1])));
    assert!(
        !missed.named(Target::Token, name_of(&tokens[0])),
        "it has that"
    );
    let query = format!("/revocations?after={}", missed.place);
    let request = server.request(Method::GET, &query);
    let request = request.basic_auth("orders-api", Some(SECRET));
    let mut stream = Stream {
        response: request.send().await.unwrap(),
        ..stream
    };
    stream.text.clear();
    assert_eq!(stream.begin().await["after"], missed.head.sequence);
}

async fn a_place_that_nobody_knows_means_a_snapshot(server: Server) {
    let token = issue(&server).await;
    revoke(&server, "job", &token).await;
    let mut stream = Stream::open(&server, "orders-api", None).await;
    let place = stream.batch().await.place;
    let parts: Vec<&str> = place.split('.').collect();
    let [epoch, sequence, choice] = parts[..] else {
        panic!("{place}")
    };
    for unknown in [
        // Another epoch, a number above the head, another choice of records.
        format!("9.{sequence}.{choice}"),
        format!("{epoch}.999.{choice}"),
        format!("{epoch}.{sequence}.0000000000000000"),
        "garbage".to_owned(),
        String::new(),
    ] {
        let mut stream = Stream::open(&server, "orders-api", Some(&unknown)).await;

        assert_eq!(stream.begin().await["snapshot"], true, "{unknown}");
        let batch = stream.batch().await;
        assert!(batch.named(Target::Token, name_of(&token)), "{unknown}");
    }
}

async fn a_person_is_named_as_each_sector_knows_them(server: Server) {
    let mut browser = Browser::new(&server);
    let public = browser.tokens("alice", &request()).await;
    let mut hidden = request();
    hidden.insert("client_id".into(), "legacy".into());
    let uri = "https://legacy.example.com/callback";
    hidden.insert("redirect_uri".into(), uri.into());
    hidden.insert("scope".into(), "openid read:orders".into());
    let hidden = browser.tokens("alice", &hidden).await;
    let [public, hidden] = [public, hidden].map(|own| own.text("access_token"));
    assert_ne!(mark(&public, "u"), mark(&hidden, "u"));

    let document = json!({ "subject": "alice" });
    let path = "/admin/v1/revoke";
    let answer = server.admin(Method::POST, path, Some(document)).await;
    assert_eq!(answer.status, 204, "{}", answer.body);

    let mut stream = Stream::open(&server, "orders-api", None).await;
    let batch = stream.batch().await;
    assert!(batch.named(Target::Subject, mark(&public, "u")));
    assert!(batch.named(Target::Subject, mark(&hidden, "u")));
    // No client of that sector asks for tokens of the other API.
    let mut stream = Stream::open(&server, "vault-api", None).await;
    let batch = stream.batch().await;
    assert!(batch.named(Target::Subject, mark(&public, "u")));
    assert!(!batch.named(Target::Subject, mark(&hidden, "u")));
}

async fn what_another_node_takes_back_comes_too(server: Server) {
    let Some(other) = server.second_node().await else {
        return;
    };
    let token = issue(&server).await;
    let mut stream = Stream::open(&other, "orders-api", None).await;
    stream.batch().await;

    revoke(&server, "job", &token).await;

    let batch = stream.until(Target::Token, name_of(&token)).await;
    // A node that has not read as far as the reader has asks its database.
    revoke(&server, "job", &issue(&server).await).await;
    let mut ahead = Stream::open(&server, "orders-api", Some(&batch.place)).await;
    let place = ahead.batch().await.place;
    let mut back = Stream::open(&other, "orders-api", Some(&place)).await;
    assert_eq!(back.begin().await["snapshot"], false);
}

/// Attack: C096
#[tokio::test]
async fn only_resource_servers_read_the_feed() {
    let server = Server::on_sqlite().await;
    let get = async |query: &str, client: Option<(&str, &str)>| {
        let mut request = server.request(Method::GET, &format!("/revocations{query}"));
        if let Some((id, secret)) = client {
            request = request.basic_auth(id, Some(secret));
        }
        let response = request.send().await.unwrap();
        match response.status().as_u16() {
            200 => (200, "good".to_owned()),
            status => (status, read(response).await.refusal()),
        }
    };
    let refused = |status, code: &str| (status, code.to_owned());
    let own = Some(("orders-api", SECRET));

    assert_eq!(get("", None).await, refused(401, "invalid_client"));
    let wrong = Some(("orders-api", "a wrong secret of thirty-two chars"));
    assert_eq!(get("", wrong).await, refused(401, "invalid_client"));
    assert_eq!(
        get("?client_id=spa", None).await,
        refused(401, "invalid_client")
    );
    let job = Some(("job", SECRET));
    assert_eq!(get("", job).await, refused(403, "unauthorized_client"));
    let query = format!(
        "?client_id=orders-api&client_secret={}",
        SECRET.replace(' ', "%20")
    );
    assert_eq!(get(&query, None).await, refused(400, "invalid_request"));
    let long = format!("?nonce={}", "a".repeat(65));
    assert_eq!(get(&long, own).await, refused(400, "invalid_request"));
    assert_eq!(
        get("?nonce=%22", own).await,
        refused(400, "invalid_request")
    );
    assert_eq!(
        get("?nonce=a&nonce=b", own).await,
        refused(400, "invalid_request")
    );
    let long = format!("?nonce={}", "a".repeat(64));
    assert_eq!(get(&long, own).await, (200, "good".to_owned()));
    // Whose tokens it is to be sent records of, it may say.
    let of = |resource: &str| format!("?resource={resource}");
    assert_eq!(get(&of(ORDERS), own).await, (200, "good".to_owned()));
    let unknown = of("https://nowhere.example");
    assert_eq!(
        get(&unknown, own).await,
        refused(403, "unauthorized_client")
    );
    let both = format!("{}&resource=https://nowhere.example", of(ORDERS));
    assert_eq!(get(&both, own).await, refused(403, "unauthorized_client"));

    let form = [
        ("nonce", "abc"),
        ("client_id", "orders-api"),
        ("client_secret", SECRET),
    ];
    let post = server.request(Method::POST, "/revocations");
    let answer = read(post.form(&form).send().await.unwrap()).await;
    assert_eq!(
        answer.refusal(),
        "invalid_client",
        "registered for the header"
    );
    let post = server
        .request(Method::POST, "/revocations")
        .form(&form[..1]);
    let post = post.basic_auth("orders-api", Some(SECRET));
    assert_eq!(post.send().await.unwrap().status(), 200);
    let head = server.request(Method::HEAD, "/revocations");
    let head = head.basic_auth("orders-api", Some(SECRET));
    let head = read(head.send().await.unwrap()).await;
    assert_eq!((head.status, &*head.body), (200, ""));
}

#[tokio::test]
async fn a_stream_ends_where_its_reader_may_read_other_records() {
    let server = Server::on_sqlite().await;
    let mut stream = Stream::open(&server, "orders-api", None).await;
    stream.batch().await;
    let path = format!("/admin/v1/resources/{}", VAULT.replace('/', "%2F"));
    let change = json!({ "introspection_clients": ["orders-api"] });
    let answer = server.admin(Method::PATCH, &path, Some(change)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);

    while stream.try_batch().await.is_some() {}

    let mut stream = Stream::open(&server, "orders-api", None).await;
    stream.batch().await;
    let disable = "/admin/v1/clients/orders-api/disable";
    let answer = server.admin(Method::POST, disable, None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    while stream.try_batch().await.is_some() {}
    let request = server.request(Method::GET, "/revocations");
    let request = request.basic_auth("orders-api", Some(SECRET));
    assert_eq!(request.send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_ends_ends_its_streams_at_once() {
    let mut server = Server::on_sqlite().await;
    let mut stream = Stream::open(&server, "orders-api", None).await;
    stream.batch().await;

    let running = server.running.take().unwrap();
    let ended = tokio::time::timeout(PATIENCE, running.stop());

    let (ended, ()) = tokio::join!(ended, async { while stream.try_batch().await.is_some() {} });
    assert!(ended.is_ok());
}

#[tokio::test]
async fn the_keys_of_the_feed_are_in_a_set_of_their_own() {
    let server = Server::on_sqlite().await;
    let metadata = server
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    let name = server.name();
    assert_eq!(
        metadata["revocations_endpoint"],
        format!("{name}/revocations")
    );
    let own = "/.well-known/jwks-revocations.json";
    assert_eq!(metadata["revocations_jwks_uri"], format!("{name}{own}"));

    let tokens = server.get("/.well-known/jwks.json").await.json();
    let feed = server.get(own).await.json();

    let kids = |set: &Value| {
        let keys = set["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(kids(&feed).len(), 2, "one in use, one announced");
    assert!(kids(&feed).iter().all(|kid| !kids(&tokens).contains(kid)));
    let document = server
        .admin(Method::GET, "/admin/v1/keys", None)
        .await
        .json();
    let rows = document["items"].as_array().unwrap();
    let active = rows
        .iter()
        .find(|row| row["purpose"] == "feed" && row["state"] == "active")
        .unwrap();
    let kid = active["kid"].as_str().unwrap();
    let path = format!("/admin/v1/keys/{}/distrust", kid.replace(':', "%3A"));
    let answer = server.admin(Method::POST, &path, None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);

    let mut stream = Stream::open(&server, "orders-api", None).await;
    let batch = stream.batch().await;
    assert!(batch.named(Target::Key, public_name(Target::Key, kid)));
    let left = kids(&server.get(own).await.json());
    assert!(!left.contains(&kid.trim_start_matches("feed:").into()));
}

#[tokio::test]
async fn a_resource_server_is_told_by_what_a_token_can_be_hit() {
    let server = Server::on_sqlite().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "read:vault"),
        ("resource", VAULT),
    ];
    let token = server.token("job", &form).await.text("access_token");

    let told = server.introspect("vault-api", &token).await;
    let holder = server.introspect("job", &token).await;

    assert!(told["rev"]["k"].is_string() && told["rev"]["c"].is_string());
    assert_eq!(holder["active"], true);
    assert!(
        holder["rev"].is_null(),
        "what it hangs on is not the client's to know"
    );
    let jwt = issue(&server).await;
    let told = server.introspect("orders-api", &jwt).await;
    assert_eq!(told["rev"], claims(&jwt)["rev"]);
    assert_eq!(told["aud"], ORDERS);
}

/// The row of the access table.
pub(crate) async fn probe(server: &Server, method: Method, client: Option<&str>) -> Answer {
    let mut request = server.request(method.clone(), "/revocations");
    if method == Method::POST {
        request = request.form(&[("nonce", "abc")]);
    }
    if let Some(client) = client {
        request = request.basic_auth(client, Some(SECRET));
    }
    let response = request.send().await.unwrap();
    if response.status() != 200 {
        return read(response).await;
    }
    Answer {
        status: 200,
        headers: response.headers().clone(),
        body: String::new(),
    }
}
