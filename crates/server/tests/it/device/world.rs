//! Clients that are devices, and what both sides of them do.

use crate::browser::Browser;
use crate::harness::{Answer, ORDERS, PASSWORD, SECRET, Server, VAULT};
use crate::setting::TENANT;

const GRANT: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");

/// What `tv` asks for where a test says nothing else.
pub(super) const SCOPES: &str = "openid email offline_access read:orders";

/// The clients.
pub(crate) fn configuration() -> String {
    let hub = format!(
        r#"
[[client]]
id = "hub"
name = "Device Hub"
kind = "service"
secret = "{SECRET}"
consent = "first_party"
grants = ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
scopes = ["openid", "offline_access", "read:orders", "read:vault"]
resources = ["{ORDERS}", "{VAULT}"]
default_resource = "{ORDERS}"

[[client]]
id = "tenant-tv"
kind = "device"
organization = "acme"
grants = ["device_code"]
scopes = ["rent"]
resources = ["{TENANT}"]
"#
    );
    let tv = |id: &str, name: &str| {
        format!(
            r#"
[[client]]
id = "{id}"
name = "{name}"
kind = "device"
client_uri = "https://{id}.example.com/about"
grants = ["device_code", "refresh_token"]
scopes = ["openid", "profile", "email", "offline_access", "read:orders", "write:orders", "delete:orders"]
optional_scopes = ["email"]
resources = ["{ORDERS}"]
"#
        )
    };
    [tv("tv", "Living Room TV"), tv("tv-2", "Bedroom TV"), hub].concat()
}

/// Asks for codes, whatever comes of it.
pub(crate) async fn begin(server: &Server, client: &str, form: &[(&str, &str)]) -> Answer {
    server.form("/device_authorization", client, form).await
}

/// Codes of `tv`.
pub(crate) async fn started(server: &Server) -> Answer {
    let asked = begin(server, "tv", &[("scope", SCOPES)]).await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    asked
}

/// One poll of a client.
pub(crate) async fn poll(server: &Server, client: &str, asked: &Answer) -> Answer {
    poll_with(server, client, asked, &[]).await
}

pub(super) async fn poll_with(
    server: &Server,
    client: &str,
    asked: &Answer,
    more: &[(&str, &str)],
) -> Answer {
    let code = asked.text("device_code");
    let form = [&[GRANT, ("device_code", &*code)], more].concat();
    server.token(client, &form).await
}

/// What a device is told, in one word.
pub(super) async fn told(server: &Server, asked: &Answer) -> String {
    let answer = poll(server, "tv", asked).await;
    if answer.status == 200 {
        return "tokens".to_owned();
    }
    answer.refusal()
}

/// Opens an address of the pages, and signs in where that is asked for.
pub(crate) async fn sign_in(browser: &mut Browser<'_>, username: &str, path: &str) -> Answer {
    let page = browser.get(path).await;
    if !page.body.contains(r#"id="login-submit""#) {
        return page;
    }
    browser.sign_in(&page, username, PASSWORD).await
}

/// The path and query of the address with the code in it.
pub(crate) fn page_of(server: &Server, asked: &Answer) -> String {
    let uri = asked.text("verification_uri_complete");
    uri.strip_prefix(&server.name()).unwrap().to_owned()
}

/// Types a code.
pub(crate) async fn enter(browser: &mut Browser<'_>, page: &Answer, code: &str) -> Answer {
    assert!(page.body.contains(r#"id="device-submit""#), "{}", page.body);
    browser
        .submit("/device", page, &[("user_code", code)])
        .await
}

/// Says yes or no, with boxes that are ticked.
pub(crate) async fn decide(
    browser: &mut Browser<'_>,
    page: &Answer,
    decision: &str,
    ticked: &[&str],
) -> Answer {
    assert!(page.body.contains(r#"id="device-allow""#), "{}", page.body);
    let mut fields = vec![("decision", decision)];
    fields.extend(ticked.iter().map(|scope| ("scope", *scope)));
    browser.submit("/device", page, &fields).await
}

/// The page that asks somebody about a device.
pub(super) async fn asked_about(
    browser: &mut Browser<'_>,
    username: &str,
    asked: &Answer,
) -> Answer {
    let page = sign_in(browser, username, "/device").await;
    enter(browser, &page, &asked.text("user_code")).await
}

/// A person signs in, types the code, and allows all that is ticked at first.
pub(crate) async fn allow<'s>(server: &'s Server, username: &str, asked: &Answer) -> Browser<'s> {
    let mut browser = Browser::new(server);
    let page = asked_about(&mut browser, username, asked).await;
    let done = decide(&mut browser, &page, "allow", &["email", "offline_access"]).await;
    assert!(done.body.contains("Device connected"), "{}", done.body);
    browser
}
