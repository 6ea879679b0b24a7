//! The examples that need no server do what they say.

#[path = "../examples/api_keys.rs"]
mod api_keys;
#[path = "../examples/bound.rs"]
mod bound;
#[path = "../examples/http_request.rs"]
mod http_request;
#[path = "../examples/issuers.rs"]
mod issuers;
#[path = "../examples/macaroons.rs"]
mod macaroons;
#[path = "../examples/metadata.rs"]
mod metadata;
#[path = "../examples/tower.rs"]
mod of_tower;
#[path = "../examples/scopes.rs"]
mod scopes;
#[path = "../examples/several_apis.rs"]
mod several_apis;
#[path = "../examples/step_up.rs"]
mod step_up;
#[path = "../examples/streams.rs"]
mod streams;
#[path = "../examples/testing.rs"]
mod testing;

#[test]
fn every_example_runs_to_its_end() {
    api_keys::main().unwrap();
    bound::main().unwrap();
    http_request::main().unwrap();
    issuers::main().unwrap();
    metadata::main().unwrap();
    of_tower::main().unwrap();
    scopes::main().unwrap();
    several_apis::main().unwrap();
    step_up::main().unwrap();
    streams::main().unwrap();
    testing::main().unwrap();
}

/// It reads its arguments, which are the test runner's here.
#[test]
fn the_example_of_macaroons_runs_on_one_and_refuses_what_is_none() {
    let _ = macaroons::main();
}

/// Each thing that the guide names has its program, and each program its line.
#[test]
fn the_guide_lists_every_example_there_is() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let guide = include_str!("../../../docs/verify.md");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();

    let missing: Vec<_> = names
        .iter()
        .filter(|name| !guide.contains(&format!("examples/{name})")))
        .collect();

    assert!(missing.is_empty(), "docs/verify.md names not {missing:?}");
}
