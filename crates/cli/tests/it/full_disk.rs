//! R05: the disk under SQLite is full. What is read goes on, what would be
//! written is refused, taking back works by the room that is kept for it, and
//! all is well by itself a moment after there is room.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use symbolon_testkit::Row;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use crate::configuration::VAULT;
use crate::program::{Engine, PATIENCE, Plan, Site, command};

/// A small disk that only its own shell sees, and the server on it.
const SHELL: &str = r#"mount -t tmpfs -o size=64m tmpfs "$2" || exit 9
"$0" serve --config "$1" >"$3" 2>&1 </dev/null &
server=$!
echo ready
while read -r what; do
    case $what in
    fill)
        # To the last page.
        dd if=/dev/zero of="$2/fill" bs=64k 2>/dev/null
        dd if=/dev/zero of="$2/more" bs=1k 2>/dev/null ;;
    free) rm -f "$2/fill" "$2/more" ;;
    end) kill -TERM $server; wait $server; exit $? ;;
    esac
    echo "$what"
done
kill -KILL $server"#;

struct Small {
    site: Site,
    shell: Child,
    told: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Small {
    /// Starts; `None` where nobody may mount anything.
    async fn start() -> Option<Self> {
        let mut may = Command::new("unshare");
        may.args(["-rm", "true"]).stderr(Stdio::null());
        if !may.status().await.is_ok_and(|status| status.success()) {
            eprintln!("R05: no file system can be mounted here, so nothing was tested");
            return None;
        }
        let mut site = Site::planned(Plan::new(Engine::Sqlite)).await;
        let disk = site.folder.join("disk");
        std::fs::create_dir(&disk).unwrap();
        "sqlite://disk/symbolon.db".clone_into(&mut site.store);
        site.configure("", "");
        let program = command();
        let mut shell = Command::new("unshare");
        for (name, _) in program.as_std().get_envs() {
            shell.env_remove(name);
        }
        shell
            .args(["-rm", "sh", "-c", SHELL])
            .arg(program.as_std().get_program())
            .args([site.configuration(), disk, site.output()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut shell = shell.spawn().unwrap();
        let told = shell.stdin.take().unwrap();
        let said = BufReader::new(shell.stdout.take().unwrap()).lines();
        let mut small = Self {
            site,
            shell,
            told,
            said,
        };
        assert_eq!(small.next().await, "ready");
        let began = Instant::now();
        while small
            .site
            .request(reqwest::Method::GET, "/readyz")
            .send()
            .await
            .map_or(true, |answer| answer.status() != 200)
        {
            assert!(began.elapsed() < PATIENCE, "{}", small.site.printed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(small)
    }

    async fn next(&mut self) -> String {
        let line = timeout(PATIENCE, self.said.next_line()).await;
        line.expect("the shell says nothing")
            .unwrap()
            .unwrap_or_default()
    }

    async fn tell(&mut self, what: &str) {
        self.told
            .write_all(format!("{what}\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(self.next().await, what);
    }

    /// Creates somebody, which is a write that takes nothing back.
    async fn create(&self, number: usize) -> u16 {
        let body = json!({ "username": format!("user{number}"), "name": "x".repeat(200) });
        let url = format!("{}/admin/v1/users", self.site.admin);
        let asked = self
            .site
            .http
            .post(url)
            .bearer_auth(self.site.admin_token())
            .json(&body);
        asked.send().await.unwrap().status().as_u16()
    }

    async fn is_full(&self) -> bool {
        let url = format!("{}/metrics", self.site.admin);
        let asked = self.site.http.get(url).bearer_auth(self.site.admin_token());
        let text = asked.send().await.unwrap().text().await.unwrap();
        text.contains("symbolon_store_full 1")
    }
}

async fn token(site: &Site) -> String {
    let form = [("grant_type", "client_credentials"), ("resource", VAULT)];
    site.form("/token", "job", &form).await.text("access_token")
}

/// Row R05 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_lets_everybody_read_and_take_back_and_heals() {
    let Some(mut small) = Small::start().await else {
        return;
    };
    let mut number = 0;
    for _ in 0..Row::R05.size(1, 3) {
        let tokens = [token(&small.site).await, token(&small.site).await];
        small.tell("fill").await;
        let first = number;
        let refused = loop {
            number += 1;
            match small.create(number).await {
                201 => assert!(number < first + 20_000, "it is never full"),
                status => break status,
            }
        };
        assert_eq!(refused, 503);

        let site = &small.site;
        for round in 0..20 {
            assert_eq!(site.introspect(&tokens[0]).await["active"], true);
            assert_eq!(site.get("/.well-known/jwks.json").await.status, 200);
            let other = token(site).await;
            let form = [("token", &*other)];
            assert_eq!(
                site.form("/revoke", "job", &form).await.status,
                200,
                "{round}"
            );
            assert_eq!(site.introspect(&other).await["active"], false);
            assert_eq!(small.create(number).await, 503);
        }
        let form = [("token", &*tokens[1])];
        assert_eq!(site.form("/revoke", "job", &form).await.status, 200);
        assert_eq!(site.introspect(&tokens[1]).await["active"], false);
        let began = Instant::now();
        while !small.is_full().await {
            assert!(began.elapsed() < PATIENCE, "{}", small.site.printed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        small.tell("free").await;
        let freed = Instant::now();
        while small.create(number).await != 201 {
            assert!(
                freed.elapsed() < Duration::from_secs(5),
                "{}",
                small.site.printed()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(small.site.introspect(&tokens[1]).await["active"], false);
    }

    let printed = small.site.printed();
    assert!(printed.contains("the disk is full"), "{printed}");
    assert!(
        printed.contains("there is room on the disk again"),
        "{printed}"
    );
    small.told.write_all(b"end\n").await.unwrap();
    assert!(
        timeout(PATIENCE, small.shell.wait())
            .await
            .unwrap()
            .unwrap()
            .success()
    );
}
