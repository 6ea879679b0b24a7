//! Targets of requests at the gateway: what is let through has one form, means
//! what was sent, and no segment of it can be read as anything else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use symbolon_gateway::one_form;

fuzz_target!(|text: &str| {
    let Ok(judged) = one_form(text) else { return };
    assert_eq!(one_form(&judged).as_deref(), Ok(&*judged));
    let sent = text.split('#').next().unwrap_or_default();
    let parts = |whole: &str| match whole.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (whole.to_owned(), None),
    };
    let ((path, query), (sent_path, sent_query)) = (parts(&judged), parts(sent));
    assert_eq!(query, sent_query);
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    assert_eq!(decoded(&path), decoded(&sent_path));
    for segment in path.split('/').skip(1) {
        let segment = String::from_utf8(decoded(segment)).expect("it was read as text");
        assert!(!matches!(&*segment, "." | ".."));
        assert!(!segment.contains(['/', '\\', ';', '%', '?', '#']));
        assert!(!segment.chars().any(char::is_control));
    }
});
