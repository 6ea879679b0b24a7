//! `examples/single-page-app`, as its README starts it, in Chromium: what is
//! half filled in outlives the session, and what was being sent is sent once.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::browser::http;
use crate::program::{Folder, PATIENCE, command, free_port, send};
use crate::webdriver::Chromium;

const PASSWORD: &str = "example password of alice";

/// The three programs, with ports of their own.
struct Example {
    folder: Folder,
    children: Vec<Child>,
    gateway: String,
    admin: String,
}

impl Example {
    async fn start() -> Self {
        let folder = Folder::new();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/single-page-app");
        let ports = [
            ("8080", free_port()),
            ("8081", free_port()),
            ("8091", free_port()),
            ("9000", free_port()),
        ];
        let admin = free_port();
        std::fs::create_dir(folder.join("page")).unwrap();
        for file in std::fs::read_dir(own.join("page")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join("page").join(file.file_name())).unwrap();
        }
        std::fs::copy(own.join("orders.py"), folder.join("orders.py")).unwrap();
        for name in ["symbolon.toml", "gateway.toml"] {
            let mut text = std::fs::read_to_string(own.join(name)).unwrap();
            for (port, free) in &ports {
                text = text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{free}"));
            }
            if name == "symbolon.toml" {
                let listen = format!("listen = \"127.0.0.1:{}\"\n[store]", ports[0].1);
                text = text.replace("[store]", &listen);
                let admin = format!("[admin]\nlisten = \"127.0.0.1:{admin}\"");
                text = text.replace("[admin]", &admin);
            }
            std::fs::write(folder.join(name), text).unwrap();
        }
        let mut python = Command::new("python3");
        python
            .arg(folder.join("orders.py"))
            .arg(ports[3].1.to_string());
        let mut children = vec![started(python, &folder)];
        for verb in ["serve", "gateway"] {
            let file = match verb {
                "serve" => "symbolon.toml",
                _ => "gateway.toml",
            };
            let mut program = command();
            program.arg(verb).arg("--config").arg(folder.join(file));
            children.push(started(program, &folder));
            let port = if verb == "serve" {
                ports[0].1
            } else {
                ports[1].1
            };
            let path = if verb == "serve" { "/readyz" } else { "/" };
            answers(&format!("http://127.0.0.1:{port}{path}")).await;
        }
        Self {
            folder,
            children,
            gateway: format!("http://127.0.0.1:{}", ports[1].1),
            admin: format!("http://127.0.0.1:{admin}"),
        }
    }

    /// Takes back all that is Alice's, as the README says.
    async fn take_back(&self) {
        let token = self.folder.join("data/issuer/admin.token");
        let mut revoke = command();
        revoke.args(["revoke", "--subject", "alice", "--admin", &self.admin]);
        let done = revoke.arg("--admin-token-file").arg(token).output().await;
        let done = done.unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    async fn end(mut self) {
        for child in &mut self.children {
            send(child, Signal::TERM);
            child.wait().await.unwrap();
        }
    }
}

fn started(mut command: Command, folder: &Folder) -> Child {
    let log: PathBuf = folder.join("log");
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .unwrap();
    let errors = log.try_clone().unwrap();
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn answers(url: &str) {
    let begin = Instant::now();
    loop {
        let answer = http().get(url).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{url} does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn sign_in(chromium: &Chromium) {
    chromium.sign_in("alice", PASSWORD).await;
    // Asked once: what was allowed before is allowed still.
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if chromium.has("who").await {
            return;
        }
        if chromium.has("consent-allow").await {
            chromium.click("consent-allow").await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", chromium.driver.source().await.unwrap());
}

/// Waits until the gateway has heard that the browser's session is over.
async fn until_out(example: &Example, chromium: &Chromium) {
    let cookies = chromium.driver.get_all_cookies().await.unwrap();
    let cookies = cookies
        .iter()
        .map(|own| format!("{}={}", own.name, own.value));
    let cookies = cookies.collect::<Vec<_>>().join("; ");
    let begin = Instant::now();
    loop {
        let asked = http().get(format!("{}/api/orders", example.gateway));
        let asked = asked.header("cookie", &cookies).header("x-csrf", "1");
        match asked.send().await.unwrap().status().as_u16() {
            401 => return,
            status => assert_eq!(status, 200),
        }
        assert!(begin.elapsed() < PATIENCE, "the session lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_half_filled_form_outlives_the_session_and_is_sent_once() {
    let example = Example::start().await;
    let chromium = Chromium::start().await;
    chromium.go(&format!("{}/", example.gateway)).await;
    chromium.look("single-page-app").await;
    chromium.fill("item", "tea").await;
    chromium.click("sign-in").await;
    sign_in(&chromium).await;
    chromium.until_says("who", "Alice Example").await;
    let item = chromium.element("item").await;
    assert_eq!(item.prop("value").await.unwrap().as_deref(), Some("tea"));
    chromium.click("send").await;
    chromium.until_says("told", "Ordered: 1 × tea.").await;

    // No script can read what the session hangs on.
    let cookies = chromium
        .driver
        .execute("return document.cookie", Vec::new());
    let cookies: String = cookies.await.unwrap().convert().unwrap();
    assert!(!cookies.contains("browser"), "{cookies}");

    chromium.fill("item", "coffee").await;
    example.take_back().await;
    until_out(&example, &chromium).await;
    chromium.click("send").await;
    sign_in(&chromium).await;
    chromium.until_says("told", "Ordered: 1 × coffee.").await;
    // The list is asked for again once that is said.
    chromium.until_says("orders", "1 × tea\n1 × coffee").await;
    chromium.look("single-page-app-orders").await;

    chromium.click("sign-out").await;
    let begin = Instant::now();
    while !chromium.has("sign-in").await {
        assert!(begin.elapsed() < PATIENCE, "not back at the shop");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    chromium.end(&["401", "favicon"]).await;
    example.end().await;
}
