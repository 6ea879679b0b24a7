//! The walls between the crates: who may depend on whom, and on what.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the workspace should fail"
)]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use xtask::source::{root, rust_files};

/// The crates by layer, bottom first. Dependencies point down, never sideways.
const LAYERS: &[&[&str]] = &[
    &["symbolon-protocol", "symbolon-redact"],
    &["symbolon-token"],
    &["symbolon-store", "symbolon-verify", "symbolon-client"],
    &["symbolon-server", "symbolon-gateway"],
    &["symbolon"],
];

const TESTKIT: &str = "symbolon-testkit";

/// Injects storage faults into tests, and alone may call C.
const FAULTDISK: &str = "symbolon-faultdisk";

/// What the crates that do no I/O must not even reach.
const RUNTIMES: &[&str] = &[
    "tokio",
    "hyper",
    "axum",
    "reqwest",
    "http",
    "rusqlite",
    "tokio-postgres",
];

const DATABASES: &[&str] = &[
    "rusqlite",
    "libsqlite3-sys",
    "tokio-postgres",
    "postgres-types",
    "deadpool-postgres",
];

#[test]
fn dependencies_point_down_the_layers() {
    let mut broken = Vec::new();
    for package in packages() {
        let Some(own) = layer(&package.name) else {
            continue;
        };
        for dependency in package.ships() {
            if layer(dependency).is_some_and(|below| below >= own) {
                broken.push(format!("{} -> {dependency}", package.name));
            }
        }
    }

    assert!(broken.is_empty(), "up or sideways: {broken:?}");
}

#[test]
fn every_crate_has_a_layer() {
    let strays: Vec<_> = packages()
        .into_iter()
        .filter(|package| package.folder.starts_with("crates/"))
        .filter(|package| layer(&package.name).is_none())
        .filter(|package| ![TESTKIT, FAULTDISK].contains(&&*package.name))
        .map(|package| package.name)
        .collect();

    assert!(strays.is_empty(), "no layer in `LAYERS`: {strays:?}");
}

#[test]
fn the_testkit_depends_on_protocol_and_token_at_most() {
    let ours: BTreeSet<String> = named(TESTKIT)
        .ships()
        .filter(|name| is_ours(name))
        .map(str::to_owned)
        .collect();

    let allowed = BTreeSet::from(["symbolon-protocol".to_owned(), "symbolon-token".to_owned()]);
    assert!(ours.is_subset(&allowed), "testkit depends on {ours:?}");
}

#[test]
fn nothing_that_ships_depends_on_what_is_for_tests() {
    for package in packages() {
        let ships = layer(&package.name).is_some();
        let for_tests: Vec<_> = package
            .ships()
            .filter(|name| [TESTKIT, FAULTDISK].contains(name))
            .collect();
        assert!(
            !ships || for_tests.is_empty(),
            "{} ships {for_tests:?}: make it a dev-dependency",
            package.name,
        );
    }
}

/// What it links is what is under test, and nothing of ours.
#[test]
fn the_faulty_disk_depends_on_the_database_alone() {
    let ships: Vec<String> = named(FAULTDISK).ships().map(str::to_owned).collect();

    assert_eq!(ships, ["rusqlite"]);
}

/// A file that could call C says so, and none of them ships.
#[test]
fn only_the_faulty_disk_lifts_the_ban_on_unsafe_code() {
    let lifts = |line: &str| line.starts_with("unsafe_code,") || line.contains("(unsafe_code");
    let lifting: Vec<String> = rust_files(&root(), "crates")
        .unwrap()
        .into_iter()
        .filter(|file| file.text.lines().any(|line| lifts(line.trim())))
        .map(|file| file.path)
        .collect();

    assert_eq!(lifting, ["crates/faultdisk/src/vfs.rs"]);
}

#[test]
fn protocol_and_token_see_no_runtime_no_http_stack_and_no_database() {
    for package in ["symbolon-protocol", "symbolon-token"] {
        assert_reaches_none(package, RUNTIMES);
    }
}

#[test]
fn verify_sees_no_database() {
    assert_reaches_none("symbolon-verify", DATABASES);
}

#[test]
fn server_does_not_list_a_database_driver() {
    assert_lists_none("symbolon-server", DATABASES);
    assert_lists_none("symbolon-server", &["deadpool"]);
}

#[test]
fn store_does_not_list_the_http_stack() {
    assert_lists_none(
        "symbolon-store",
        &["axum", "hyper", "hyper-util", "reqwest", "http"],
    );
}

#[test]
fn only_the_store_lists_a_database_driver() {
    for package in packages()
        .iter()
        .filter(|package| layer(&package.name).is_some())
    {
        if package.name != "symbolon-store" {
            assert_lists_none(&package.name, DATABASES);
        }
    }
}

#[test]
fn errors_without_a_type_stay_in_the_command_line_and_the_chores() {
    for package in packages() {
        let may = ["symbolon", "xtask", "symbolon-bench"].contains(&package.name.as_str());
        assert!(
            may || !package.ships().any(|name| name == "anyhow"),
            "{} ships `anyhow`: give the error a type",
            package.name,
        );
    }
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    for package in packages() {
        let manifest = root().join(&package.folder).join("Cargo.toml");
        let text = std::fs::read_to_string(manifest).unwrap();

        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{} has no lints",
            package.name
        );
    }
}

/// A member of the workspace with the dependencies it lists.
struct Package {
    name: String,
    folder: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    dev: bool,
}

impl Package {
    /// The names of what it lists for building or running, tests aside.
    fn ships(&self) -> impl Iterator<Item = &str> {
        self.dependencies
            .iter()
            .filter(|d| !d.dev)
            .map(|d| d.name.as_str())
    }
}

fn packages() -> Vec<Package> {
    let text = cargo(&["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let root = format!("{}/", metadata["workspace_root"].as_str().unwrap());
    let packages: Vec<_> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let manifest = package["manifest_path"].as_str().unwrap();
            Package {
                name: package["name"].as_str().unwrap().to_owned(),
                folder: manifest
                    .trim_start_matches(root.as_str())
                    .trim_end_matches("Cargo.toml")
                    .trim_end_matches('/')
                    .to_owned(),
                dependencies: dependencies(package),
            }
        })
        .collect();
    assert!(
        packages.iter().any(|package| package.name == "symbolon"),
        "no packages were read"
    );
    packages
}

fn dependencies(package: &Value) -> Vec<Dependency> {
    let listed = package["dependencies"].as_array().unwrap();
    listed
        .iter()
        .map(|dependency| Dependency {
            name: dependency["name"].as_str().unwrap().to_owned(),
            dev: dependency["kind"] == "dev",
        })
        .collect()
}

fn named(name: &str) -> Package {
    packages()
        .into_iter()
        .find(|package| package.name == name)
        .unwrap()
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn is_ours(name: &str) -> bool {
    name == "symbolon" || name.starts_with("symbolon-")
}

fn assert_lists_none(package: &str, walled: &[&str]) {
    let package = named(package);
    let over: Vec<_> = package
        .ships()
        .filter(|name| walled.contains(name))
        .collect();
    assert!(over.is_empty(), "{} lists {over:?}", package.name);
}

/// Asks for everything a package links, with all of its features and without
/// its tests.
fn assert_reaches_none(package: &str, walled: &[&str]) {
    let tree = cargo(&[
        "tree",
        "--offline",
        "--package",
        package,
        "--all-features",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
    ]);
    let reached: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(
        reached.contains(package),
        "`cargo tree` said nothing about {package}"
    );

    let over: Vec<_> = walled
        .iter()
        .filter(|name| reached.contains(**name))
        .collect();
    assert!(over.is_empty(), "{package} reaches {over:?}");
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}
