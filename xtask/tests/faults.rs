//! The pages on faults and promises name tests that there are.

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
        let file = std::fs::read_to_string(root().join(words.remove(at))).unwrap();
        for test in words.iter().filter(|word| word.contains('_')) {
            let declared = format!("fn {test}(");
            assert!(
                file.contains(&declared),
                "{test} is not in its file: {part}"
            );
            named += 1;
        }
    }
    named
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
