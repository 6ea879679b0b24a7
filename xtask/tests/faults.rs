//! `docs/faults.md` names tests that there are.

use xtask::source::root;

#[test]
fn every_test_that_the_page_on_faults_names_is_in_its_file() {
    let page = std::fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| R"));
    let mut named = 0;
    for cell in rows.flat_map(|row| row.split("<br>")) {
        let mut words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        let Some(at) = words.iter().position(|word| word.ends_with(".rs")) else {
            continue;
        };
        let file = std::fs::read_to_string(root().join(words.remove(at))).unwrap();
        for test in words.iter().filter(|word| word.contains('_')) {
            let declared = format!("fn {test}(");
            assert!(
                file.contains(&declared),
                "{test} is not in its file: {cell}"
            );
            named += 1;
        }
    }

    assert!(named > 40, "{named}");
}
