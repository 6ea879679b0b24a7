//! Chromium without a window, driven as a person would use it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities;
use thirtyfour::error::{WebDriverErrorInner, WebDriverResult};
use thirtyfour::{By, ChromeCapabilities, Key, LoggingPrefsLogLevel, WebDriver, WebElement};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::browser::http;
use crate::program::{Folder, PATIENCE, free_port, send};

const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--lang=en",
];

/// The sizes in which pages are looked at.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1280, 900), ("narrow", 390, 844)];

/// A browser with its driver.
pub(crate) struct Chromium {
    pub(crate) driver: WebDriver,
    process: Child,
    _folder: Folder,
}

impl Chromium {
    /// A browser that a busy machine did not bring up is started once more.
    pub(crate) async fn start() -> Self {
        let mut failures = Vec::new();
        for _ in 0..3 {
            match Self::try_start().await {
                Ok(started) => return started,
                Err(error) => failures.push(error.to_string()),
            }
        }
        panic!("Chromium does not start: {failures:#?}");
    }

    async fn try_start() -> WebDriverResult<Self> {
        let folder = Folder::new();
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver has to be installed; `./test` does it");
        let address = format!("http://127.0.0.1:{port}");
        let begin = Instant::now();
        while http()
            .get(format!("{address}/status"))
            .send()
            .await
            .is_err()
        {
            assert!(begin.elapsed() < PATIENCE, "chromedriver does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut wanted = ChromeCapabilities::new();
        for argument in ARGUMENTS {
            wanted.add_arg(argument)?;
        }
        wanted.add_arg(&format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))?;
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let driver = WebDriver::new(&address, wanted).await?;
        Ok(Self {
            driver,
            process,
            _folder: folder,
        })
    }

    /// Ends the browser; what its console said must be nothing but these.
    pub(crate) async fn end(self, allowed: &[&str]) {
        let log = self.driver.browser_log().await.unwrap();
        let complaints: Vec<_> = log
            .iter()
            .map(|entry| format!("{} {}", entry.level, entry.message))
            .collect();
        self.driver.clone().quit().await.unwrap();
        send(&self.process, Signal::TERM);
        let mut process = self.process;
        process.wait().await.unwrap();
        let unexpected = complaints
            .iter()
            .filter(|line| !allowed.iter().any(|part| line.contains(part)));
        assert_eq!(unexpected.collect::<Vec<_>>(), Vec::<&String>::new());
    }

    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// The element with an id, once it is there.
    pub(crate) async fn element(&self, id: &str) -> WebElement {
        self.find(By::Id(id)).await
    }

    pub(crate) async fn find(&self, by: By) -> WebElement {
        let begin = Instant::now();
        loop {
            match self.driver.find(by.clone()).await {
                Ok(element) => return element,
                Err(error) => {
                    if begin.elapsed() > PATIENCE {
                        let source = self.driver.source().await.unwrap_or_default();
                        panic!("{error}\n{:?}\n{source}", self.driver.current_url().await);
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn has(&self, id: &str) -> bool {
        self.driver.find(By::Id(id)).await.is_ok()
    }

    pub(crate) async fn click(&self, id: &str) {
        self.click_on(By::Id(id)).await;
    }

    /// Clicks on an element.
    pub(crate) async fn click_on(&self, by: By) {
        self.at(by, async |own: WebElement| own.click().await).await;
    }

    /// Does something to an element. What was hidden, moving or replaced just
    /// then was missed, and is looked for again.
    async fn at<T>(&self, by: By, act: impl AsyncFn(WebElement) -> WebDriverResult<T>) -> T {
        let begin = Instant::now();
        loop {
            let error = match act(self.find(by.clone()).await).await {
                Ok(done) => return done,
                Err(error) => error,
            };
            let was_missed = matches!(
                error.as_inner(),
                WebDriverErrorInner::ElementClickIntercepted(_)
                    | WebDriverErrorInner::ElementNotInteractable(_)
                    | WebDriverErrorInner::StaleElementReference(_)
            );
            assert!(was_missed && begin.elapsed() < PATIENCE, "{by:?}: {error}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn text(&self, id: &str) -> String {
        let text = async |own: WebElement| own.text().await;
        self.at(By::Id(id), text).await
    }

    /// Waits until an element says something: the page before may have one of
    /// the same name, which goes away while it is read.
    pub(crate) async fn until_says(&self, id: &str, wanted: &str) {
        let begin = Instant::now();
        loop {
            let said = match self.driver.find(By::Id(id)).await {
                Ok(element) => element.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if said == wanted {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "`{said}`, not `{wanted}`");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Fills in the sign-in form and sends it.
    pub(crate) async fn sign_in(&self, username: &str, password: &str) {
        self.fill("username", username).await;
        self.fill("password", password).await;
        self.click("login-submit").await;
    }

    /// Writes into a field, in place of what it holds.
    pub(crate) async fn fill(&self, id: &str, text: &str) {
        let write = async |own: WebElement| {
            own.clear().await?;
            own.send_keys(text).await
        };
        self.at(By::Id(id), write).await;
    }

    /// Presses a key wherever the keyboard goes now.
    pub(crate) async fn press(&self, key: Key) {
        self.write(&char::from(key).to_string()).await;
    }

    pub(crate) async fn write(&self, text: &str) {
        self.driver
            .action_chain()
            .send_keys(text)
            .perform()
            .await
            .unwrap();
    }

    /// Waits until the keyboard is at an element: a page moves it there once it
    /// is drawn.
    pub(crate) async fn until_focus(&self, id: &str) {
        let begin = Instant::now();
        while self.focus().await != id {
            assert!(begin.elapsed() < PATIENCE, "the keyboard is not at `{id}`");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The id of the element that the keyboard is at.
    pub(crate) async fn focus(&self) -> String {
        let element = self.driver.active_element().await.unwrap();
        element.attr("id").await.unwrap().unwrap_or_default()
    }

    /// Sends a command of the developer tools.
    pub(crate) async fn tool(&self, command: &str, parameters: Value) -> WebDriverResult<Value> {
        self.driver.cdp().send_raw(command, parameters).await
    }

    /// Looks at the page in each size, light and dark: nothing is cut off at
    /// the side. Where `SYMBOLON_SCREENSHOTS` names a folder, it is kept there.
    pub(crate) async fn look(&self, page: &str) {
        for (size, width, height) in SIZES {
            let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
            self.tool("Emulation.setDeviceMetricsOverride", metrics)
                .await
                .unwrap();
            for scheme in ["light", "dark"] {
                let media =
                    json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
                self.tool("Emulation.setEmulatedMedia", media)
                    .await
                    .unwrap();
                let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
                let over: i64 = self
                    .driver
                    .execute(script, Vec::new())
                    .await
                    .unwrap()
                    .convert()
                    .unwrap();
                assert_eq!(over, 0, "{page} is too wide when {size}");
                self.keep(&format!("{page}-{size}-{scheme}.png")).await;
            }
        }
        self.tool("Emulation.clearDeviceMetricsOverride", json!({}))
            .await
            .unwrap();
    }

    async fn keep(&self, name: &str) {
        let Some(folder) = std::env::var_os("SYMBOLON_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        std::fs::create_dir_all(&folder).unwrap();
        let size = "const all = document.documentElement; return [innerWidth, Math.max(all.scrollHeight, innerHeight)]";
        let size = self.driver.execute(size, Vec::new()).await.unwrap();
        let [width, height] = size.convert::<[u32; 2]>().unwrap();
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let whole = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.tool("Page.captureScreenshot", whole).await.unwrap();
        let bytes = BASE64_STANDARD
            .decode(picture["data"].as_str().unwrap())
            .unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}
