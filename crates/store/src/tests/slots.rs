//! Which tables of a statement are asked for without their slot: read from its
//! words, part by part.

use std::collections::BTreeSet;

/// A table as a statement names it.
struct Named<'t> {
    table: &'t str,
    /// What stands before its columns.
    alias: &'t str,
    /// Where in the words.
    at: usize,
    /// In which parentheses.
    part: usize,
}

const KEYWORDS: &[&str] = &[
    "SET",
    "WHERE",
    "ON",
    "JOIN",
    "LEFT",
    "INNER",
    "ORDER",
    "GROUP",
    "LIMIT",
    "VALUES",
    "SELECT",
    "RETURNING",
    "FOR",
    "UNION",
    "DEFAULT",
    "USING",
    "INDEXED",
    "CROSS",
    ")",
    "(",
    ",",
];

/// The tables, of some, that a statement names without their slot: no row of
/// them is found by one that was given, nor by that of a row that was.
pub(super) fn unnamed(text: &str, slotted: &[&str]) -> Vec<String> {
    let spaced = ["(", ")", ",", "="]
        .iter()
        .fold(text.to_owned(), |text, sign| {
            text.replace(sign, &format!(" {sign} "))
        });
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let parts = parts(&words);
    let tables = tables(&words, &parts);
    let mut found: BTreeSet<usize> = (0..tables.len())
        .filter(|at| is_filled(&words, &tables[*at]))
        .collect();
    // A slot that is given, and then those that are compared with one found.
    loop {
        let before = found.len();
        for at in words.iter().enumerate().filter(|(_, own)| **own == "=") {
            let [left, right] = [at.0 - 1, at.0 + 1].map(|at| side(&words, &parts, &tables, at));
            match (left, right) {
                (Side::Slot(own), Side::Given) | (Side::Given, Side::Slot(own)) => {
                    found.insert(own);
                }
                (Side::Slot(one), Side::Slot(other))
                    if found.contains(&one) || found.contains(&other) =>
                {
                    found.extend([one, other]);
                }
                _ => {}
            }
        }
        if found.len() == before {
            break;
        }
    }
    let tables = tables.iter().enumerate();
    let left = tables.filter(|(at, own)| slotted.contains(&own.table) && !found.contains(at));
    left.map(|(_, own)| own.table.to_owned()).collect()
}

/// By which names a statement calls some tables.
pub(super) fn names<'t>(text: &'t str, of: &[&str]) -> Vec<&'t str> {
    let words: Vec<&str> = text.split([' ', '\n', '(', ')', ',']).collect();
    let words: Vec<&str> = words.into_iter().filter(|own| !own.is_empty()).collect();
    let mut names = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if of.contains(word) {
            let alias = words.get(at + 1).filter(|own| !KEYWORDS.contains(*own));
            names.extend([Some(word), alias].into_iter().flatten());
        }
    }
    names
}

/// For each word the parentheses that it stands in, by where they open; the
/// statement itself is 0.
fn parts(words: &[&str]) -> Vec<usize> {
    let mut open = vec![0];
    let mut parts = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if *word == ")" {
            open.pop();
        }
        parts.push(*open.last().unwrap());
        if *word == "(" {
            open.push(at + 1);
        }
    }
    parts
}

fn tables<'t>(words: &[&'t str], parts: &[usize]) -> Vec<Named<'t>> {
    let mut tables = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        let [verb, table] = pair else { continue };
        let is_named = ["FROM", "JOIN", "UPDATE", "INTO"].contains(verb);
        if !is_named || KEYWORDS.contains(table) {
            continue;
        }
        let alias = words.get(at + 2).filter(|own| !KEYWORDS.contains(*own));
        tables.push(Named {
            table,
            alias: alias.unwrap_or(table),
            at: at + 1,
            part: parts[at],
        });
    }
    tables
}

/// Whether rows are written with their slot: it stands among the columns.
fn is_filled(words: &[&str], table: &Named<'_>) -> bool {
    if words[table.at - 1] != "INTO" {
        return false;
    }
    let columns = words[table.at + 1..].iter().take_while(|own| **own != ")");
    columns.into_iter().any(|own| *own == "slot")
}

enum Side {
    Given,
    Slot(usize),
    Other,
}

/// What stands on a side of an equals sign.
fn side(words: &[&str], parts: &[usize], tables: &[Named<'_>], at: usize) -> Side {
    let word = words.get(at).copied().unwrap_or_default();
    if word.starts_with('?') {
        return Side::Given;
    }
    let own = |named: &Named<'_>| match word.split_once('.') {
        Some((alias, "slot")) => named.alias == alias,
        // Without a name it is the one table of its part.
        None if word == "slot" => named.part == parts[at],
        _ => false,
    };
    let mut all = (0..tables.len()).filter(|at| own(&tables[*at]));
    match (all.next(), all.next()) {
        (Some(one), None) => Side::Slot(one),
        // A name that comes twice: the nearest before it.
        (Some(_), Some(_)) => {
            let before = |of: &usize| own(&tables[*of]) && tables[*of].at < at;
            let nearest = (0..tables.len()).rev().find(before);
            nearest.map_or(Side::Other, Side::Slot)
        }
        (None, _) => Side::Other,
    }
}

#[test]
fn a_slot_is_named_where_it_is_given_or_comes_of_one_that_is() {
    let slotted = ["family", "grants"];
    let good = [
        "SELECT 1 FROM family WHERE slot = ?1 AND id = ?2",
        "INSERT INTO family (slot, id) VALUES (?1, ?2)",
        "SELECT 1 FROM family f JOIN grants g ON g.slot = f.slot WHERE f.slot = ?1",
        "UPDATE family SET ended = 1 WHERE slot = ?1 AND id IN
            (SELECT i.id FROM grants i WHERE i.slot = ?1)",
        "SELECT 1 FROM meta WHERE name = ?1",
    ];
    for text in good {
        assert!(unnamed(text, &slotted).is_empty(), "{text}");
    }

    let bad = [
        ("SELECT 1 FROM family WHERE id = ?2", "family"),
        ("INSERT INTO family (id) VALUES (?2)", "family"),
        (
            "SELECT 1 FROM family f JOIN grants g ON g.id = f.id WHERE f.slot = ?1",
            "grants",
        ),
        (
            "UPDATE family SET ended = 1 WHERE slot = ?1 AND id IN
                (SELECT i.id FROM grants i WHERE i.person = ?1)",
            "grants",
        ),
        // Another table's slot, in another part.
        (
            "SELECT 1 FROM meta WHERE name = (SELECT 1 FROM family WHERE slot = ?1)
                AND EXISTS (SELECT 1 FROM grants WHERE person = ?2)",
            "grants",
        ),
    ];
    for (text, table) in bad {
        assert_eq!(unnamed(text, &slotted), [table], "{text}");
    }
}
