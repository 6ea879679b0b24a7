//! Rows of what is about devices: the endpoint that they begin at, and the pages.

use reqwest::Method;

use super::{Row, row};
use crate::browser::{Browser, encode, hidden};
use crate::device::{begin, enter, sign_in, started};
use crate::harness::{Answer, Server, read};

/// Longer than a device waits, and than a page of it is good.
const TOO_LATE: u64 = 31 * 60;

pub(super) async fn authorization(server: &Server) -> Row {
    let request = server.request(Method::POST, "/device_authorization");
    let none = request.form(&[("scope", "openid")]).send().await.unwrap();
    let none = read(none).await;
    let wrong = begin(server, "web", &[]).await;
    let narrow = begin(server, "tv", &[("scope", "admin")]).await;
    let foreign = [("organization", "globex")];
    let tenant = begin(server, "tenant-tv", &foreign).await;
    let right = begin(server, "tv", &[]).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        Some(&narrow),
        None,
        None,
        Some(&tenant),
    ])
}

/// Opens the page of a form, or sends the form as it was found there.
async fn bring(browser: &mut Browser<'_>, method: &Method, page: &Answer) -> Answer {
    if *method == Method::POST {
        let allow = [("decision", "allow")];
        return browser.submit("/device", page, &allow).await;
    }
    let sealed = hidden(&page.body, "transaction").unwrap();
    let query = [("transaction".to_owned(), sealed)].into_iter().collect();
    browser.get(&format!("/device?{}", encode(&query))).await
}

/// A browser in which somebody is shown a device.
async fn shown<'s>(server: &'s Server, username: &str) -> (Browser<'s>, Answer) {
    let asked = started(server).await;
    let mut browser = Browser::new(server);
    let page = sign_in(&mut browser, username, "/device").await;
    let page = enter(&mut browser, &page, &asked.text("user_code")).await;
    (browser, page)
}

pub(super) async fn pages(server: &Server, method: &Method) -> Row {
    let mut nobody = Browser::new(server);
    let none = match *method {
        Method::POST => nobody.send(Method::POST, "/device", Some(&[])).await,
        _ => nobody.get("/device").await,
    };
    let (mut own, page) = shown(server, "alice").await;
    let (mut stranger, _) = shown(server, "alice").await;
    let wrong = bring(&mut stranger, method, &page).await;
    let (mut shared, first) = shown(server, "alice").await;
    let at = first.body.find("/login?transaction=").unwrap();
    let path = first.body[at..].split('"').next().unwrap().to_owned();
    let login = shared.get(&path).await;
    shared
        .sign_in(&login, "bob", crate::harness::PASSWORD)
        .await;
    let tenant = bring(&mut shared, method, &first).await;
    let (mut former, last) = shown(server, "alice").await;
    let confirm = former.get("/logout").await;
    let yes = [("confirm", "yes")];
    former.submit("/logout", &confirm, &yes).await;
    let replayed = bring(&mut former, method, &last).await;
    let right = bring(&mut own, method, &page).await;
    server.advance(TOO_LATE);
    let expired = bring(&mut own, method, &page).await;
    row([
        Some(&right),
        Some(&none),
        Some(&wrong),
        None,
        Some(&expired),
        Some(&replayed),
        Some(&tenant),
    ])
}
