//! Between yes and the next poll: whatever is taken back is not fetched.

use reqwest::Method;
use serde_json::json;

use super::world::told;
use super::{allow, poll, started};
use crate::browser::Browser;
use crate::harness::{Answer, Server};
use crate::on_both_engines;

on_both_engines! {
    nothing_is_fetched_once_its_client_person_grant_or_session_is_gone
    a_device_of_a_disabled_client_is_not_shown
}

/// Takes back all that alice has of a kind.
async fn take_back(server: &Server, what: &str) -> Answer {
    let path = format!("/admin/v1/{what}?user=alice");
    let list = server.admin(Method::GET, &path, None).await;
    let mut last = None;
    for item in list.json()["items"].as_array().unwrap() {
        let path = format!("/admin/v1/{what}/{}", item["id"].as_str().unwrap());
        last = Some(server.admin(Method::DELETE, &path, None).await);
    }
    last.unwrap()
}

async fn act(server: &Server, browser: &mut Browser<'_>, act: &str) {
    let done: Answer = match act {
        "sign out" => {
            let page = browser.get("/logout").await;
            browser
                .submit("/logout", &page, &[("confirm", "yes")])
                .await
        }
        "withdraw" => take_back(server, "grants").await,
        "end the session" => take_back(server, "sessions").await,
        "revoke the person" => {
            let body = json!({ "subject": "alice" });
            server
                .admin(Method::POST, "/admin/v1/revoke", Some(body))
                .await
        }
        "disable the person" => {
            let path = "/admin/v1/users/alice/disable";
            server.admin(Method::POST, path, None).await
        }
        _ => {
            let path = "/admin/v1/clients/tv/disable";
            server.admin(Method::POST, path, None).await
        }
    };
    assert!(done.status < 300, "{act}: {} {}", done.status, done.body);
}

async fn nothing_is_fetched_once_its_client_person_grant_or_session_is_gone(server: Server) {
    for (what, code) in [
        ("nothing", "tokens"),
        ("sign out", "invalid_grant"),
        ("end the session", "invalid_grant"),
        ("withdraw", "invalid_grant"),
        ("revoke the person", "invalid_grant"),
        ("disable the client", "invalid_client"),
        ("disable the person", "invalid_grant"),
    ] {
        let asked = started(&server).await;
        let mut browser = allow(&server, "alice", &asked).await;
        if what != "nothing" {
            act(&server, &mut browser, what).await;
        }

        let answer = poll(&server, "tv", &asked).await;

        let said = if answer.status == 200 {
            "tokens".to_owned()
        } else {
            answer.refusal()
        };
        assert_eq!(said, code, "{what}: {}", answer.body);
        if what == "disable the client" {
            let path = "/admin/v1/clients/tv/enable";
            server.admin(Method::POST, path, None).await;
            assert_ne!(
                told(&server, &asked).await,
                "tokens",
                "it does not come back"
            );
        }
    }
}

async fn a_device_of_a_disabled_client_is_not_shown(server: Server) {
    let asked = started(&server).await;
    act(&server, &mut Browser::new(&server), "disable the client").await;
    let mut browser = Browser::new(&server);

    let page = super::world::asked_about(&mut browser, "alice", &asked).await;

    assert_eq!(page.status, 422, "{}", page.body);
    assert!(!page.body.contains("Living Room"));
}
