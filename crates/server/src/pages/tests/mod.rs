//! Tests of the pages: each renders, keeps its ids, escapes strangers' text, and has a closed policy.

mod samples;

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, RETRY_AFTER};

use super::assets::{STYLESHEET, stylesheet_path};
use super::form_post::{SUBMIT_SCRIPT, submit_script_source};
use super::policy::Policy;
use super::text::{display_name, display_text, duration_words, moment_words};
use super::*;

use self::samples::{HOSTILE, samples, small_consent};
pub(crate) use self::samples::{account, client, form_action, link, scope, site, ties, url};

fn policy_of(response: &Response) -> &str {
    response.headers()[CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
}

/// The sources of `form-action` for a form that leads to `text`.
fn sources_for(text: &str) -> String {
    let policy = Policy::new(FormAction::none().reaching(&url(text)));
    let header = policy.header().to_str().unwrap().to_owned();
    let directives: Vec<&str> = header.split("; ").collect();
    assert_eq!(directives.len(), 6, "{header}");
    assert!(!header.contains(','), "{header}");
    let sources = directives[3].strip_prefix("form-action ").unwrap();
    sources.to_owned()
}

#[test]
fn every_page_has_its_ids_once() {
    for (name, html, _, ids) in samples() {
        for id in ids {
            let found = html.matches(&format!(" id=\"{id}\"")).count();
            assert_eq!(found, 1, "{id} in {name}");
        }
    }
}

#[test]
fn every_page_names_language_main_title_and_stylesheet() {
    for (name, html, _, _) in samples() {
        assert!(html.contains("<html lang=\"en\">"), "{name}");
        assert_eq!(html.matches("<main").count(), 1, "{name}");
        assert_eq!(html.matches("<h1").count(), 1, "{name}");
        assert!(html.contains("· id.example.com</title>"), "{name}");
        assert!(html.contains(stylesheet_path()), "{name}");
    }
}

/// Attack: K316
#[test]
fn no_page_has_inline_style_handler_or_script_but_form_post() {
    for (name, html, _, _) in samples() {
        let scripts = html.matches("<script").count();
        assert_eq!(scripts, usize::from(name == "form-post"), "{name}");
        for banned in ["style=", "<style", "javascript:", "<img"] {
            assert!(!html.contains(banned), "{banned} in {name}");
        }
        for tag in html.split('<').filter_map(|rest| rest.split('>').next()) {
            // What stands between quotes is a value, where hostile text is only text.
            let names: String = tag.split('"').step_by(2).collect();
            assert!(!names.contains(" on"), "{tag} in {name}");
        }
    }
}

/// Attack: A032, O377
#[test]
fn every_response_carries_the_fixed_headers() {
    for (name, _, response, _) in samples() {
        let header = |key: &str| response.headers()[key].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), "text/html; charset=utf-8", "{name}");
        assert_eq!(header("cache-control"), "no-store", "{name}");
        assert_eq!(header("x-frame-options"), "DENY", "{name}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{name}");
        assert_eq!(
            header("cross-origin-opener-policy"),
            "same-origin",
            "{name}"
        );
        assert!(header("permissions-policy").contains("camera=()"), "{name}");
    }
}

#[test]
fn every_policy_is_closed() {
    for (name, _, response, _) in samples() {
        let policy = policy_of(&response);
        assert!(policy.starts_with("default-src 'none'; "), "{name}");
        for needed in [
            "; form-action ",
            "; frame-ancestors 'none'",
            "; base-uri 'none'",
        ] {
            assert!(policy.contains(needed), "{needed} in {name}");
        }
        assert!(!policy.contains("unsafe"), "{name}");
        assert_eq!(policy.contains("script-src"), name == "form-post", "{name}");
    }
}

#[test]
fn the_script_that_may_run_is_the_one_on_the_page() {
    let page = FormPostPage::sample();

    let html = page.render().unwrap();
    let response = page.response();

    let script = html
        .split("<script>")
        .nth(1)
        .unwrap()
        .split("</script>")
        .next();
    assert_eq!(script, Some(SUBMIT_SCRIPT));
    let allowed = format!("; script-src {}; ", submit_script_source());
    assert!(policy_of(&response).contains(&allowed));
    // Computed apart from this code, so that a change of the script is seen.
    assert_eq!(
        submit_script_source(),
        "'sha256-ox4bri+xTrW3kuLTyRoak73QX8KZGuyP3JlQYusbSlA='"
    );
}

#[test]
fn form_post_escapes_state_and_reaches_only_the_client() {
    let fields = vec![("state".to_owned(), HOSTILE.to_owned())];
    let to = url("https://ledger.example.net/cb?a=\"><script>");

    let page = FormPostPage::new(site(), HOSTILE, to, fields);

    let html = page.render().unwrap();
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains("value=\"&#34;&#62;&#60;script&#62;"));
    let response = page.response();
    assert!(policy_of(&response).contains("; form-action https://ledger.example.net; "));
}

#[test]
fn a_form_reaches_this_server_and_the_client() {
    let response = LoginPage::sample().response();

    let expected = "; form-action 'self' https://ledger.example.net; ";
    assert!(policy_of(&response).contains(expected));
}

#[test]
fn a_form_action_names_an_origin_or_a_scheme_and_nothing_else() {
    let cases = [
        (
            "https://a.example/cb?x=1;script-src%20*#f",
            "https://a.example",
        ),
        (
            "https://user:pw@a.example:8443/cb",
            "https://a.example:8443",
        ),
        ("http://127.0.0.1:52000/cb", "http://127.0.0.1:52000"),
        ("http://localhost:3000/cb", "http://localhost:3000"),
        ("http://[::1]:52000/cb", "http:"),
        ("com.example.app:/cb;script-src *", "com.example.app:"),
        ("com.example.app://cb;x/y", "com.example.app:"),
        ("https://bücher.example/cb", "https://xn--bcher-kva.example"),
    ];
    for (presented, expected) in cases {
        assert_eq!(sources_for(presented), expected, "{presented}");
    }
}

#[test]
fn a_url_that_cannot_be_named_safely_adds_no_form_action() {
    let cases = [
        "https://a;script-src/cb",
        "https://a,b.example/cb",
        "https://*.example/cb",
        "https://a'self'.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "blob:https://a.example/1",
        "file:///etc/passwd",
    ];
    for presented in cases {
        assert_eq!(sources_for(presented), "'none'", "{presented}");
    }
}

#[test]
fn a_failed_sign_in_is_announced_and_tied_to_both_fields() {
    let page = LoginPage {
        username: "ada".to_owned(),
        failure: Some(LoginFailure::Mismatch),
        ..LoginPage::sample()
    };

    let html = page.render().unwrap();

    assert!(html.contains("role=\"alert\" id=\"login-error\""));
    assert!(html.contains("That name and password do not match."));
    assert_eq!(html.matches("aria-describedby=\"login-error\"").count(), 2);
    assert_eq!(html.matches("aria-invalid=\"true\"").count(), 2);
    assert_eq!(page.response().status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[test]
fn an_overtaken_sign_in_says_what_happened_and_is_no_success() {
    let page = LoginPage {
        failure: Some(LoginFailure::Overtaken),
        ..LoginPage::sample()
    };

    assert!(page.render().unwrap().contains("Sign in again."));
    assert_eq!(page.response().status(), StatusCode::CONFLICT);
}

#[test]
fn a_throttled_sign_in_says_how_long_to_wait() {
    let page = LoginPage {
        failure: Some(LoginFailure::Throttled {
            wait: Duration::from_secs(30),
        }),
        ..LoginPage::sample()
    };

    let response = page.response();

    assert!(
        page.render()
            .unwrap()
            .contains("Wait 30 seconds, then try again.")
    );
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()[RETRY_AFTER], "30");
}

#[test]
fn the_cursor_starts_in_the_first_empty_field() {
    let focused = |username: &str| {
        let page = LoginPage {
            username: username.to_owned(),
            ..LoginPage::sample()
        };
        let html = page.render().unwrap();
        assert_eq!(html.matches(" autofocus").count(), 1);
        let tag = html
            .split('<')
            .find(|tag| tag.contains(" autofocus"))
            .unwrap();
        tag.contains("id=\"password\"")
    };

    assert!(!focused(""));
    assert!(focused("ada"));
}

#[test]
fn a_sensitive_scope_is_named_apart_and_never_ticked() {
    let html = ConsentPage::sample().render().unwrap();

    let (usual, sensitive) = html.split_once("Sensitive access").unwrap();
    assert!(!usual.contains("delete:invoices"));
    assert!(sensitive.contains("name=\"scope\" value=\"delete:invoices\">"));
    assert!(!sensitive.contains(" checked"));
    assert!(usual.contains("name=\"scope\" value=\"read:customers\" checked>"));
}

#[test]
fn a_needed_scope_is_shown_without_a_box() {
    let html = small_consent().render().unwrap();

    assert!(html.contains("Read your invoices"));
    assert!(!html.contains("name=\"scope\""));
}

#[test]
fn consent_says_who_what_where_and_how_long() {
    let html = ConsentPage::sample().render().unwrap();

    for said in [
        "Ledger",
        "ledger.example.net",
        "Ada Lovelace",
        "ada@example.com",
        "Use another account",
        "Analytical Engines Ltd",
        "Invoices",
        "api.example.com",
        "Your e-mail address",
        "For 90 days, also while you are away",
    ] {
        assert!(html.contains(said), "{said}");
    }
}

#[test]
fn every_form_of_ours_carries_its_ties() {
    for (name, html, _, _) in samples() {
        let forms = html.matches("<form").count() - usize::from(name == "form-post");
        assert_eq!(
            html.matches("name=\"transaction\"").count(),
            forms,
            "{name}"
        );
        assert_eq!(html.matches("name=\"csrf\"").count(), forms, "{name}");
    }
}

#[test]
fn the_path_of_the_issuer_stands_before_every_address() {
    let page = LoginPage {
        site: Site::new(&url("https://id.example.com/tenant/")),
        ..LoginPage::sample()
    };

    let html = page.render().unwrap();

    assert!(html.contains("action=\"/tenant/login\""));
    assert!(html.contains(&format!("href=\"/tenant{}\"", stylesheet_path())));
}

#[test]
fn the_place_beside_a_name_follows_the_redirect_uri() {
    let place = |to: &str| Client::new("x", &url(to)).place().clone();

    assert_eq!(
        place("https://a.example:444/cb"),
        Place::Web("a.example:444".to_owned())
    );
    assert_eq!(
        place("http://[::1]:5000/"),
        Place::Loopback("[::1]:5000".to_owned())
    );
    assert_eq!(
        place("com.example.app:/cb"),
        Place::App("com.example.app".to_owned())
    );
    // A host that looks like another one is shown in the form that does not.
    let lookalike = "https://p\u{430}ypal.example/";
    assert_eq!(
        place(lookalike),
        Place::Web("xn--pypal-4ve.example".to_owned())
    );
}

#[test]
fn a_link_that_could_run_something_is_not_made() {
    assert!(Link::new("x", &url("javascript:alert(1)")).is_none());
    assert!(Link::new("x", &url("https://a.example/")).is_some());
}

/// Attack: A040
#[test]
fn a_name_loses_what_hides_or_reverses() {
    assert_eq!(
        display_name("Pay\u{200b}Pal\u{202e}moc.live"),
        "PayPalmoc.live"
    );
    assert_eq!(display_name("a\u{0}b\u{1b}[31mc"), "ab[31mc");
    assert_eq!(display_name("  Ada\n\t Lovelace \u{2028} "), "Ada Lovelace");
    assert_eq!(
        display_name("a\u{301}\u{302}\u{303}\u{304}b"),
        "a\u{301}\u{302}b"
    );
    assert_eq!(display_name("Bücher 本 📚"), "Bücher 本 📚");
}

#[test]
fn a_name_with_nothing_to_show_is_unnamed() {
    assert_eq!(display_name("\u{200b}\u{3164}\u{202e} \n"), "unnamed");
}

#[test]
fn a_name_is_cut_at_its_limit() {
    let shown = display_name(&"é".repeat(4096));

    assert_eq!(shown.chars().count(), 81);
    assert!(shown.ends_with('…'));
    assert_eq!(display_name(&"a".repeat(80)), "a".repeat(80));
    assert_eq!(display_text("ab cd", 3), "ab…");
}

#[test]
fn durations_are_said_in_words() {
    let cases = [
        (0, "less than a second"),
        (1, "1 second"),
        (90, "1 minute 30 seconds"),
        (3600, "1 hour"),
        (3605, "1 hour"),
        (86_400 * 90, "90 days"),
        (86_400 + 7200 + 60, "1 day 2 hours"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(duration_words(Duration::from_secs(seconds)), expected);
    }
}

#[test]
fn moments_are_said_as_people_say_them() {
    let now = symbolon_testkit::START;
    let ago = |seconds: u64| moment_words(now - Duration::from_secs(seconds), now);

    assert_eq!(ago(0), "just now");
    assert_eq!(ago(59), "just now");
    assert_eq!(ago(61), "1 minute ago");
    assert_eq!(ago(3 * 3600 + 59 * 60), "3 hours ago");
    assert_eq!(ago(86_400), "31 December 2025");
    assert_eq!(ago(86_400 * 30), "2 December 2025");
}

#[test]
fn the_stylesheet_is_served_at_the_address_that_pages_name() {
    let response = asset(stylesheet_path()).unwrap();

    assert_eq!(
        response.headers()["content-type"],
        "text/css; charset=utf-8"
    );
    assert!(asset("/assets/other.css").is_none());
    assert!(
        !STYLESHEET.contains("url("),
        "the policy lets a stylesheet load nothing"
    );
}

#[test]
#[ignore = "writes the samples to SYMBOLON_PAGES_DIR for a person to look at"]
fn samples_are_written_for_looking_at() {
    let folder = std::path::PathBuf::from(std::env::var("SYMBOLON_PAGES_DIR").unwrap());
    std::fs::write(folder.join("style.css"), STYLESHEET).unwrap();
    for (name, html, _, _) in samples() {
        let html = html.replace(stylesheet_path(), "style.css");
        // The script would lead away from the picture.
        let html = html.replace(SUBMIT_SCRIPT, "");
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}
