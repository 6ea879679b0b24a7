//! The page that describes every key, held against the schema.

use std::collections::BTreeMap;

use super::super::schema::{self, Kind, Section};

const PAGE: &str = include_str!("../../../../../docs/configuration.md");

/// The rows below each heading: key and example.
fn rows() -> BTreeMap<String, Vec<(String, String)>> {
    let mut all = BTreeMap::<String, Vec<_>>::new();
    let mut heading = String::new();
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title.trim_matches('`').to_owned();
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let key = cells.first().and_then(|cell| cell.strip_prefix("| `"));
        if let (Some(key), Some(example)) = (key, cells.get(1)) {
            let row = (
                key.trim_end_matches('`').to_owned(),
                example.trim_matches('`').to_owned(),
            );
            all.entry(heading.clone()).or_default().push(row);
        }
    }
    all
}

#[test]
fn every_key_has_a_row_with_its_example_and_no_row_is_left_over() {
    let mut rows = rows();
    let mut sections: Vec<&Section> = vec![&schema::TOP, &schema::MEMBER];
    let mut next = 0;
    while let Some(section) = sections.get(next) {
        let below = section.keys.iter().filter_map(|key| match key.kind {
            Kind::Table(section) | Kind::Blocks(section) => Some(section),
            _ => None,
        });
        let found: Vec<_> = below.collect();
        let is_new = |own: &&Section| !sections.iter().any(|known| known.title == own.title);
        let found: Vec<_> = found.into_iter().filter(is_new).collect();
        sections.extend(found);
        next += 1;
    }
    for section in sections {
        let title = match section.title {
            "" => "At the top",
            title => title,
        };
        let own = rows.remove(title).unwrap_or_default();
        let keys = section.keys.iter();
        let wanted: Vec<_> = keys
            .map(|key| (key.name.to_owned(), key.example.to_owned()))
            .collect();
        assert_eq!(own, wanted, "docs/configuration.md, {title}");
    }
    assert!(rows.is_empty(), "{:?}", rows.keys());
}
