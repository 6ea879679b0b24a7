//! A device that others wrote the program for, and a person in Chromium.

use std::process::Stdio;

use serde_json::{Value, json};
use thirtyfour::By;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::leak;
use crate::program::{Engine, PATIENCE, Site};
use crate::webdriver::Chromium;

/// The device: Authlib and its own polling.
struct Device {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl Device {
    fn start(site: &Site) -> Self {
        let python = std::env::var("SYMBOLON_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/peers/device_flow.py"
        );
        let mut child = Command::new(python)
            .args([path, &site.issuer])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next thing that it says.
    async fn said(&mut self) -> Value {
        let line = timeout(PATIENCE * 2, self.lines.next_line()).await;
        let line = line.unwrap().unwrap().expect("the device has ended");
        serde_json::from_str(&line).unwrap()
    }
}

async fn a_device_shows_a_code_and_a_person_decides_in_a_browser(engine: Engine) {
    let mut site = Site::new(engine, "http://127.0.0.1:3000/callback").await;
    site.environment = vec![
        ("SYMBOLON_LOG".into(), "trace".into()),
        ("RUST_LOG".into(), "trace".into()),
    ];
    let program = site.start().await;
    let mut device = Device::start(&site);
    let chromium = Chromium::start().await;

    let codes = device.said().await;
    let uri = |name: &str| codes[name].as_str().unwrap().to_owned();
    chromium.go(&uri("verification_uri_complete")).await;
    chromium.sign_in("alice", &site.words.password).await;
    let field = chromium.element("user_code").await;
    assert_eq!(field.value().await.unwrap().unwrap(), uri("user_code"));
    chromium.look("device-code").await;
    chromium.click("device-submit").await;
    chromium.element("device-allow").await;
    chromium.look("device").await;
    let sensitive = By::Css("input[name=scope][value='delete:orders']");
    let sensitive = chromium.find(sensitive).await;
    assert!(!sensitive.is_selected().await.unwrap());
    chromium.click("device-allow").await;
    chromium
        .find(By::XPath("//h1[contains(., 'Device connected')]"))
        .await;
    chromium.look("device-connected").await;

    let got = device.said().await;
    assert_eq!(got["token_type"], "Bearer", "{got:#}");
    assert_eq!(got["scope"], "email offline_access openid read:orders");
    assert_eq!(got["userinfo"]["email"], "alice@example.com");
    assert_eq!(
        (&got["renewed"], &got["again"]),
        (&json!(true), &json!("invalid_grant"))
    );
    assert!(
        got["waited"]
            .as_array()
            .unwrap()
            .iter()
            .all(|code| code == "authorization_pending")
    );

    // The next one is denied, by a code that a person types.
    let codes = device.said().await;
    chromium
        .go(codes["verification_uri"].as_str().unwrap())
        .await;
    let field = chromium.element("user_code").await;
    field.send_keys("BCDFG-HJKLM").await.unwrap();
    chromium.click("device-submit").await;
    chromium.element("code-error").await;
    chromium.look("device-wrong").await;
    let typed = codes["user_code"].as_str().unwrap().to_lowercase();
    let field = chromium.element("user_code").await;
    field.send_keys(typed.replace('-', " ")).await.unwrap();
    chromium.click("device-submit").await;
    chromium.click("device-deny").await;
    chromium
        .find(By::XPath("//h1[contains(., 'Denied')]"))
        .await;
    assert_eq!(device.said().await["refused"], "access_denied");

    let secrets = device.said().await;
    assert!(device.child.wait().await.unwrap().success());
    chromium.end(&["status of 4"]).await;
    assert!(program.end().await.success());
    let mut all = site.words.all();
    let secrets = secrets["secrets"].as_array().unwrap().iter();
    all.extend(secrets.map(|secret| secret.as_str().unwrap().to_owned()));
    assert_eq!(leak::found(&site.printed(), &all), Vec::<String>::new());
}

on_both_engines! { a_device_shows_a_code_and_a_person_decides_in_a_browser }
