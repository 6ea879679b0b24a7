//! Guessing: what reaches a password, who is locked out, and what it leaves.

use reqwest::Method;
use serde_json::json;

use crate::browser::{Browser, request};
use crate::harness::{PASSWORD, Server};
use crate::on_both_engines;

on_both_engines! {
    all_the_devices_of_an_account_have_one_limit_together
    the_mark_of_a_device_ends_with_its_password_and_its_time
    a_device_that_signs_in_again_keeps_its_mark
    a_guess_that_nobody_looks_at_uses_up_no_network
    a_right_password_of_somebody_who_may_not_come_in_is_a_guess
    a_hash_of_another_program_lets_its_person_in
}

/// One try in a browser; the status, and what the browser holds afterwards.
async fn sign_in(browser: &mut Browser<'_>, who: &str, password: &str) -> u16 {
    let mut asked = request();
    asked.insert("prompt".into(), "login".into());
    let page = browser.authorize(&asked).await;
    let fields = [("username", who), ("password", password)];
    browser.submit("/login", &page, &fields).await.status
}

fn device(browser: &Browser<'_>) -> Option<(String, String)> {
    let mut cookies = browser.cookies.iter();
    let found = cookies.find(|(name, _)| name.ends_with("device"));
    found.map(|(name, value)| (name.clone(), value.clone()))
}

/// A browser that knows the device, and nobody in it.
fn known<'a>(server: &'a Server, mark: &(String, String)) -> Browser<'a> {
    let mut browser = Browser::new(server);
    browser.cookies.extend([mark.clone()]);
    browser
}

/// Attack: K298
async fn all_the_devices_of_an_account_have_one_limit_together(server: Server) {
    let mut marks = Vec::new();
    for _ in 0..5 {
        let mut browser = Browser::new(&server);
        assert_eq!(sign_in(&mut browser, "alice", PASSWORD).await, 200);
        marks.push(device(&browser).unwrap());
    }

    let mut looked_at = 0;
    for mark in &marks {
        for _ in 0..9 {
            let status = sign_in(&mut known(&server, mark), "alice", "a wrong password").await;
            looked_at += u32::from(status == 422);
        }
    }

    assert_eq!(looked_at, 30);
    server.advance(3601);
    let mut browser = known(&server, &marks[0]);
    assert_eq!(sign_in(&mut browser, "alice", PASSWORD).await, 200);
}

async fn the_mark_of_a_device_ends_with_its_password_and_its_time(server: Server) {
    for ends in ["never", "password", "time"] {
        let mut browser = Browser::new(&server);
        assert_eq!(sign_in(&mut browser, "bob", PASSWORD).await, 200);
        let mark = device(&browser).unwrap();
        match ends {
            "password" => {
                let new = json!({ "password": PASSWORD });
                let path = "/admin/v1/users/bob/password";
                let set = server.admin(Method::POST, path, Some(new)).await;
                assert_eq!(set.status, 200, "{}", set.body);
            }
            "time" => server.advance(181 * 24 * 60 * 60),
            _ => {}
        }
        // Strangers have used up what strangers have.
        let mut tries = 0;
        while sign_in(&mut Browser::new(&server), "bob", "a wrong password").await != 429 {
            // Twice as many where the key under which they are counted changed.
            tries += 1;
            assert!(tries <= 20, "{ends}");
        }

        let status = sign_in(&mut known(&server, &mark), "bob", PASSWORD).await;

        let expected = if ends == "never" { 200 } else { 429 };
        assert_eq!(status, expected, "{ends}");
        server.advance(3601);
    }
}

async fn a_device_that_signs_in_again_keeps_its_mark(server: Server) {
    let mut browser = Browser::new(&server);
    sign_in(&mut browser, "alice", PASSWORD).await;
    let first = device(&browser).unwrap();

    sign_in(&mut browser, "alice", PASSWORD).await;

    assert_eq!(device(&browser), Some(first.clone()));
    sign_in(&mut browser, "bob", PASSWORD).await;
    assert_ne!(device(&browser), Some(first));
}

/// Attack: K298
async fn a_guess_that_nobody_looks_at_uses_up_no_network(server: Server) {
    let mut statuses = Vec::new();
    for _ in 0..105 {
        let mut browser = Browser::new(&server);
        statuses.push(sign_in(&mut browser, "nobody", "a wrong password").await);
    }
    let looked_at = statuses.iter().filter(|status| **status == 422).count();
    assert_eq!((looked_at, statuses[104]), (10, 429));

    let status = sign_in(&mut Browser::new(&server), "bob", PASSWORD).await;

    assert_eq!(status, 200, "the rest of the network goes on");
}

/// Attack: K296
async fn a_right_password_of_somebody_who_may_not_come_in_is_a_guess(server: Server) {
    for password in ["carol's own password", "a wrong password"] {
        let mut statuses = Vec::new();
        for _ in 0..11 {
            let mut browser = Browser::new(&server);
            statuses.push(sign_in(&mut browser, "carol", password).await);
        }
        assert_eq!(statuses[..10], [422; 10], "{password}");
        assert_eq!(statuses[10], 429, "{password}");
        server.advance(3601);
    }
    let path = "/admin/v1/users/carol/enable";
    assert_eq!(server.admin(Method::POST, path, None).await.status, 200);
    let mut browser = Browser::new(&server);
    assert_eq!(
        sign_in(&mut browser, "carol", "carol's own password").await,
        200
    );
}

async fn a_hash_of_another_program_lets_its_person_in(server: Server) {
    let right = sign_in(&mut Browser::new(&server), "dora", "imported password").await;
    let wrong = sign_in(&mut Browser::new(&server), "dora", "another password").await;

    assert_eq!((right, wrong), (200, 422));
    let path = "/admin/v1/users/bob/password";
    let hash = |parameters: &str| {
        let tail = "c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        json!({ "password_hash": format!("$argon2id$v=19${parameters}${tail}") })
    };
    for (parameters, status) in [("m=131072,t=3,p=1", 400), ("m=65536,t=3,p=4", 200)] {
        let answer = server
            .admin(Method::POST, path, Some(hash(parameters)))
            .await;
        assert_eq!(answer.status, status, "{parameters} {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_a_password_opens_no_number_of_sessions() {
    let server = Server::on_sqlite().await;
    let mut statuses = Vec::new();

    for _ in 0..62 {
        statuses.push(sign_in(&mut Browser::new(&server), "bob", PASSWORD).await);
        server.advance(1);
    }

    assert_eq!(statuses[..60], [200; 60]);
    assert_eq!(statuses[60..], [429; 2], "each leaves a session behind");
    let path = "/admin/v1/sessions?user=bob&limit=100";
    let live = server.admin(Method::GET, path, None).await.json();
    assert_eq!(live["items"].as_array().unwrap().len(), 50);
}
