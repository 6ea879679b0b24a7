//! A configuration taken in while the server runs: all of it or nothing.

use reqwest::Method;
use symbolon_server::reload::{ReloadError, Reloaded};

use symbolon_server::testing::undone_by;

use crate::harness::{PASSWORD, SECRET, Server, VAULT, read};
use crate::on_both_engines;

on_both_engines! {
    one_block_at_odds_keeps_every_other_from_being_applied
    names_that_earlier_blocks_give_up_may_be_taken
    a_reload_is_one_commit_however_many_blocks_differ
    what_turns_up_while_it_is_applied_undoes_all_of_it
    lifetimes_take_effect_at_once
    what_waits_for_the_next_start_is_named
    links_to_the_status_page_end_with_the_token_that_made_them
}

/// Reads the server's configuration again with its text changed.
async fn reload(
    server: &Server,
    change: impl FnOnce(String) -> String,
) -> Result<Reloaded, ReloadError> {
    let config = server.changed(change);
    server.running.as_ref().unwrap().reload(&config).await
}

async fn name_of(server: &Server, client: &str) -> String {
    let path = format!("/admin/v1/clients/{client}");
    server.admin(Method::GET, &path, None).await.text("name")
}

async fn one_block_at_odds_keeps_every_other_from_being_applied(server: Server) {
    let renamed = |text: String| text.replace("Single Page", "HALF");
    let ghost = "members = [{ user = \"ghost\", roles = [] }, { ";
    let bob = "email = \"bob@example.com\"";
    let alices = "email = \"alice@example.com\"\nemail_verified = true";
    let vault = format!(
        "[[resource]]\nidentifier = \"https://new.example.com\"\naliases = [\"{VAULT}\"]\n[[client]]"
    );
    // The name stays taken: it is not this file's to give away.
    let without = |text: String| {
        text.replace(
            "identifier = \"https://vault",
            "identifier = \"https://vault2",
        )
    };
    let odds: [Box<dyn Fn(String) -> String>; 3] = [
        Box::new(move |text| text.replace("members = [{ ", ghost)),
        Box::new(move |text| {
            let text = text.replace(alices, "");
            let alice = "[[user]]\nusername = \"rahel\"\npassword = \"correct horse battery\"\nemail = \"alice@example.com\"\nemail_verified = true\n[[user]]\nusername = \"alice\"";
            text.replace(bob, "")
                .replace("[[user]]\nusername = \"alice\"", alice)
        }),
        Box::new(move |text| without(text).replacen("[[client]]", &vault, 1)),
    ];
    let before = server.commits();
    for (number, odd) in odds.iter().enumerate() {
        let refused = reload(&server, |text| odd(renamed(text)))
            .await
            .unwrap_err();

        assert!(
            matches!(refused, ReloadError::Untouched(_)),
            "{number}: {refused}"
        );
        assert!(
            refused.to_string().contains("the old one stays"),
            "{refused}"
        );
        assert_eq!(name_of(&server, "spa").await, "Single Page", "{number}");
    }
    assert_eq!(server.commits(), before, "nothing was written");

    let taken = reload(&server, renamed).await.unwrap();

    assert_eq!((taken.applied.created, taken.applied.updated), (0, 1));
    assert_eq!(name_of(&server, "spa").await, "HALF");
}

async fn names_that_earlier_blocks_give_up_may_be_taken(server: Server) {
    // Alice has a new address, and her old one is now Bob's.
    let swapped = |text: String| {
        let text = text.replace(
            "email = \"bob@example.com\"",
            "email = \"alice@example.com\"\nemail_verified = true",
        );
        text.replacen(
            "email = \"alice@example.com\"",
            "email = \"alice@example.net\"",
            1,
        )
    };

    let taken = reload(&server, swapped).await.unwrap();

    assert_eq!(taken.applied.updated, 2);
    let path = "/admin/v1/users/alice@example.com";
    assert_eq!(
        server.admin(Method::GET, path, None).await.text("username"),
        "bob"
    );
}

async fn lifetimes_take_effect_at_once(server: Server) {
    let service = [("grant_type", "client_credentials")];
    assert_eq!(
        server.token("job", &service).await.json()["expires_in"],
        600
    );

    let shorter = |text: String| {
        text.replacen(
            "[[resource]]",
            "[lifetimes]\naccess_token = \"3m\"\n[[resource]]",
            1,
        )
    };
    let taken = reload(&server, shorter).await.unwrap();

    assert_eq!(taken.waiting, Vec::<&str>::new());
    assert_eq!(
        server.token("job", &service).await.json()["expires_in"],
        180
    );
}

async fn what_waits_for_the_next_start_is_named(server: Server) {
    let moved = |text: String| {
        let text = text.replace(
            "[admin]\nlisten = \"127.0.0.1:2\"",
            "[admin]\nlisten = \"127.0.0.1:3\"",
        );
        text.replace(
            "[store]",
            "outbound_allow = [\"keys.internal\"]\n[store]\nstatements = \"unnamed\"",
        )
    };

    let taken = reload(&server, moved).await.unwrap();

    assert_eq!(
        taken.waiting,
        ["outbound_allow", "store.statements", "admin.listen"]
    );
    let again = reload(&server, |text| text).await.unwrap();
    assert_eq!(again.waiting, Vec::<&str>::new());
}

/// New and changed blocks of every kind.
fn many(text: String) -> String {
    let more = format!(
        "[[organization]]\nid = \"umbrella\"\nname = \"Umbrella\"\nmembers = [{{ user = \"nadia\", roles = [\"boss\"] }}]\n[[resource]]\nidentifier = \"https://new.example.com\"\nscopes = [\"read:new\"]\n[[client]]\nid = \"fresh\"\nkind = \"service\"\nsecret = \"{SECRET}\"\ngrants = [\"client_credentials\"]\n[[user]]\nusername = \"nadia\"\npassword = \"{PASSWORD}\"\n"
    );
    text.replace("Single Page", "Renamed") + &more
}

async fn a_reload_is_one_commit_however_many_blocks_differ(server: Server) {
    let before = server.commits();

    let taken = reload(&server, many).await.unwrap();

    assert_eq!((taken.applied.created, taken.applied.updated), (5, 1));
    assert_eq!(server.commits() - before, 1);
    assert_eq!(name_of(&server, "spa").await, "Renamed");
    let members = "/admin/v1/organizations/umbrella/members";
    let members = server.admin(Method::GET, members, None).await;
    assert!(members.body.contains("boss"), "{}", members.body);
    let again = reload(&server, many).await.unwrap();
    assert_eq!(again.applied, symbolon_server::apply::Applied::default());
}

/// The last block cannot be written by then: nothing of the others is.
async fn what_turns_up_while_it_is_applied_undoes_all_of_it(server: Server) {
    let config = server.changed(many);
    let app = &server.running.as_ref().unwrap().app;

    let refused = undone_by(app, &config, "nadia").await;

    assert!(refused.contains("somebody else signs in"), "{refused}");
    assert_eq!(name_of(&server, "spa").await, "Single Page");
    for path in ["clients/fresh", "organizations/umbrella"] {
        let path = format!("/admin/v1/{path}");
        assert_eq!(
            server.admin(Method::GET, &path, None).await.status,
            404,
            "{path}"
        );
    }
    let taken = reload(&server, many).await.unwrap();
    assert_eq!(
        taken.applied.created, 4,
        "the twin, now that nadia is known"
    );
}

async fn links_to_the_status_page_end_with_the_token_that_made_them(server: Server) {
    let link = async || {
        let path = "/admin/v1/status-links";
        let made = server.admin(Method::POST, path, None).await;
        made.text("url").split("/status").nth(1).unwrap().to_owned()
    };
    let open = async |link: &str, cookie: &str| {
        let request = server.http.get(format!("{}/status{link}", server.admin));
        read(request.header("cookie", cookie).send().await.unwrap()).await
    };
    let (used, late) = (link().await, link().await);
    let opened = open(&used, "").await;
    assert_eq!(opened.status, 303, "{}", opened.body);
    let visit = opened.header("set-cookie").unwrap().split(';').next();
    let visit = visit.unwrap().to_owned();
    assert_eq!(open("", &visit).await.status, 200);

    let token = "another-token-of-at-least-thirty-two-characters";
    std::fs::write(server.folder.join("admin.token"), token).unwrap();
    reload(&server, |text| text).await.unwrap();

    assert_eq!(open("", &visit).await.status, 403);
    assert_eq!(open(&late, "").await.status, 403);
}
