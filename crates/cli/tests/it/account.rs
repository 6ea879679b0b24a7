//! A person in Chromium at their own account: sees it, takes access away, and
//! changes their password.

use symbolon_server::testing::Browser;
use thirtyfour::By;

use crate::browser::request;
use crate::program::{Engine, Site};
use crate::webdriver::Chromium;

const CALLBACK: &str = "http://127.0.0.1:3000/callback";

async fn people_look_after_their_account_in_a_browser(engine: Engine) {
    let site = Site::new(engine, CALLBACK).await;
    let program = site.start().await;
    let asked = request(
        &site,
        "web",
        "openid profile email offline_access read:orders",
    );
    let mut elsewhere = Browser::new(&site);
    let tokens = elsewhere.tokens("alice", &asked).await;
    let chromium = Chromium::start().await;
    let account = format!("{}/account", site.issuer);
    chromium.go(&account).await;
    chromium.sign_in("alice", &site.words.password).await;
    chromium.element("end-everything").await;
    chromium.look("account").await;

    // The application of the other browser, then that browser itself.
    let take = By::XPath("//button[normalize-space()='Take away']");
    chromium.click_on(take).await;
    chromium
        .until_says("account-notice", "Example Shop has no access any more.")
        .await;
    let token = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
    assert_eq!(site.form("/token", "web", &form).await.status, 400);
    chromium.click("sign-out-others").await;
    chromium
        .until_says("account-notice", "One other device is signed out.")
        .await;
    assert!(
        elsewhere
            .get("/account")
            .await
            .body
            .contains("login-submit")
    );
    assert!(!chromium.has("sign-out-others").await);

    // Mistyped, then right; this browser stays signed in.
    let new = [&*site.words.password, " and more"].concat();
    for (old, id) in [
        ("not the password", "password-error"),
        (&*site.words.password, "account-notice"),
    ] {
        for (field, text) in [
            ("password", old),
            ("new-password", &new),
            ("repeated-password", &new),
        ] {
            chromium.element(field).await.send_keys(text).await.unwrap();
        }
        chromium.click("password-submit").await;
        chromium.element(id).await;
        chromium.look(&format!("account-{id}")).await;
    }
    chromium.click("end-everything").await;
    chromium.element("account-back").await;
    chromium.look("account-ended").await;
    chromium.click("account-back").await;
    chromium.sign_in("alice", &new).await;
    chromium.element("end-everything").await;
    chromium.end(&["status of 4"]).await;
    assert!(program.end().await.success());
}

on_both_engines! { people_look_after_their_account_in_a_browser }
