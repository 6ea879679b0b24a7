//! The pages on faults and promises name tests that there are.

use std::path::Path;

use xtask::source::root;

/// Checks the cells of a page's tables that name tests and their file: every
/// test is declared in its file. Answers how many there are.
#[expect(clippy::unwrap_used, reason = "tests stop where something is missing")]
fn named(page: &str) -> usize {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let mut named = 0;
    for part in rows
        .flat_map(|row| row.split(" | "))
        .flat_map(|cell| cell.split("<br>"))
    {
        let mut words: Vec<&str> = part.split('`').skip(1).step_by(2).collect();
        let Some(at) = words.iter().position(|word| word.ends_with(".rs")) else {
            continue;
        };
        let path = root().join(words.remove(at));
        let file = std::fs::read_to_string(&path).unwrap();
        for test in words.iter().filter(|word| word.contains('_')) {
            assert!(is_test(&file, &path, test), "{test} is no test: {part}");
            named += 1;
        }
    }
    named
}

/// Whether a file declares a function that is run as a test: it has the
/// attribute, is in a list that a macro makes tests of, or is a behaviour that
/// every engine is held to.
fn is_test(file: &str, path: &Path, name: &str) -> bool {
    let lines: Vec<&str> = file.lines().map(str::trim).collect();
    let declared = format!("fn {name}(");
    let Some(at) = lines.iter().position(|line| line.contains(&declared)) else {
        return false;
    };
    let above = lines[..at].iter().rev();
    let attributes: Vec<&&str> = above.take_while(|line| line.starts_with("#[")).collect();
    let has_attribute = attributes
        .iter()
        .any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"));
    let mut lists = file.split("on_both_engines! {").skip(1);
    let is_listed = lists.any(|list| {
        let names = list.split('}').next().unwrap_or_default();
        names.split_whitespace().any(|own| own == name)
    });
    let behaviours = path.with_file_name("mod.rs");
    let is_behaviour = path
        .parent()
        .is_some_and(|own| own.ends_with("conformance"))
        && std::fs::read_to_string(behaviours).is_ok_and(|all| all.contains(&format!("::{name},")));
    has_attribute || is_listed || is_behaviour
}

#[test]
fn a_helper_is_no_test() {
    let file = "#[test]\nfn a_test() {}\nfn a_helper() {}\non_both_engines! { a_scenario }\nasync fn a_scenario() {}";
    let is_test = |name| is_test(file, Path::new("it.rs"), name);

    assert!(is_test("a_test") && is_test("a_scenario"));
    assert!(!is_test("a_helper") && !is_test("nothing"));
}

#[test]
fn every_test_that_the_page_on_faults_names_is_in_its_file() {
    let named = named("docs/faults.md");

    assert!(named > 40, "{named}");
}

#[test]
fn every_test_that_the_page_on_promises_names_is_in_its_file() {
    let named = named("docs/promises.md");

    assert!(named > 70, "{named}");
}

/// Whatever is promised has a test: a row without one stands below the heading
/// of what is not built.
#[test]
fn every_promise_has_a_test_or_is_said_not_to_be_built() {
    let page = std::fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let (built, not_built) = page.split_once("\n## Not built yet\n").unwrap();
    let rows = |text: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let rows = rows.filter(|row| !row.starts_with("| promise |"));
        rows.map(str::to_owned).collect()
    };

    for row in rows(built) {
        assert!(row.contains(".rs`"), "{row}");
    }

    assert!(rows(not_built).iter().all(|row| !row.contains(".rs`")));
    let all = [rows(built), rows(not_built)].concat();
    for number in 1..=12 {
        let named = all.iter().any(|row| {
            let words: Vec<&str> = row.split([' ', ':', ',']).collect();
            words.contains(&format!("P{number}").as_str())
        });
        assert!(named, "P{number} is nowhere");
    }
}
