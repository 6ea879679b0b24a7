//! Planted bugs: each is where the table says, once, and no build that ships
//! has any.

use std::collections::BTreeMap;
use std::process::Command;

use xtask::planted::places;
use xtask::source::{root, rust_files};

#[test]
fn every_planted_bug_stands_in_its_file_and_nowhere_else() {
    let mut stands: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for file in rust_files(&root(), "crates").unwrap() {
        let calls = file.text.split("planted(").skip(1);
        let numbers = calls.filter_map(|rest| rest.split(')').next()?.parse().ok());
        for number in numbers {
            stands.entry(number).or_default().push(file.path.clone());
        }
    }

    let named: BTreeMap<u32, Vec<String>> = places()
        .map(|(number, file)| (number, vec![file.to_owned()]))
        .collect();
    assert_eq!(stands, named);
}

/// Whatever the features of the program that ships turn on, it is not this one.
#[test]
fn nothing_that_ships_has_a_planted_bug() {
    for features in ["default", "full"] {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "--package",
                "symbolon",
                "--features",
                features,
            ])
            .args(["--edges", "normal,features", "--prefix", "none"])
            .current_dir(root())
            .output()
            .unwrap();
        let tree = String::from_utf8(output.stdout).unwrap();

        assert!(output.status.success(), "{features}");
        assert!(tree.contains("symbolon-protocol"), "{features}: {tree}");
        assert!(!tree.contains("planted"), "{features}: {tree}");
    }
    let manifests = ["protocol", "token", "store", "verify", "server", "cli"];
    for name in manifests.into_iter().filter(|name| *name != "protocol") {
        let path = root().join("crates").join(name).join("Cargo.toml");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(!text.contains("planted"), "{name} names the feature");
    }
}
