//! Answers for people: aligned columns, or one line for each member.

use std::io::Write as _;

use serde_json::{Map, Value};

use super::Failed;
use super::connection::Connection;

/// A column: its title, and the member that it shows.
pub(super) type Column = (&'static str, &'static str);

/// Prints a list: whole as JSON, or the chosen members in columns.
pub(super) fn list(
    connection: &Connection,
    answer: &Value,
    columns: &[Column],
) -> Result<(), Failed> {
    if connection.json {
        return json(answer);
    }
    let items = answer
        .get("items")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    say(&table(items, columns))?;
    if let Some(next) = answer.get("next").and_then(Value::as_str) {
        eprintln!("There is more: --after {next}");
    }
    Ok(())
}

/// Prints one thing.
pub(super) fn one(connection: &Connection, answer: &Value) -> Result<(), Failed> {
    match answer.as_object() {
        Some(object) if !connection.json => say(&lines(object)),
        _ => json(answer),
    }
}

/// Prints one thing, and below it a list that it has, in columns.
pub(super) fn one_with(
    connection: &Connection,
    answer: &Value,
    (member, columns): (&str, &[Column]),
) -> Result<(), Failed> {
    let Some(object) = answer.as_object().filter(|_| !connection.json) else {
        return json(answer);
    };
    let mut object = object.clone();
    let list = object.remove(member);
    say(&lines(&object))?;
    match list.as_ref().and_then(Value::as_array) {
        Some(list) if !list.is_empty() => say(&format!("\n{}", table(list, columns))),
        _ => Ok(()),
    }
}

/// Says that something was done that has no answer.
pub(super) fn done(connection: &Connection, words: &str) -> Result<(), Failed> {
    if connection.json {
        json(&Value::Object(Map::new()))
    } else {
        say(&format!("{words}\n"))
    }
}

/// Prints one line.
pub(super) fn text(line: &str) -> Result<(), Failed> {
    say(&format!("{line}\n"))
}

fn json(answer: &Value) -> Result<(), Failed> {
    say(&format!("{answer}\n"))
}

fn say(text: &str) -> Result<(), Failed> {
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| {
        Failed::new(
            "admin.output",
            format!("could not print the answer: {error}"),
        )
    })
}

fn table(items: &[Value], columns: &[Column]) -> String {
    let titles = columns
        .iter()
        .map(|(title, _)| (*title).to_owned())
        .collect();
    let mut rows: Vec<Vec<String>> = vec![titles];
    for item in items {
        rows.push(
            columns
                .iter()
                .map(|(_, member)| plain(item.get(member).unwrap_or(&Value::Null)))
                .collect(),
        );
    }
    let width = |at: usize| {
        rows.iter()
            .map(|row| row[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn lines(object: &Map<String, Value>) -> String {
    let shown = |value: &Value| {
        !matches!(value, Value::Null) && value.as_array().is_none_or(|list| !list.is_empty())
    };
    let members: Vec<_> = object.iter().filter(|(_, value)| shown(value)).collect();
    let width = members
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    members
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {}\n", plain(value)))
        .collect()
}

/// A value as a person reads it. What could steer a terminal is left out.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(list) if list.iter().all(|item| !item.is_object()) => {
            list.iter().map(plain).collect::<Vec<_>>().join(" ")
        }
        Value::Object(object) if object.is_empty() => String::new(),
        other => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_entry() {
        let items = [
            json!({"id": "web", "enabled": true}),
            json!({"id": "a-long-name", "scopes": ["a", "b"]}),
        ];
        let out = table(
            &items,
            &[("ID", "id"), ("ENABLED", "enabled"), ("SCOPES", "scopes")],
        );
        assert_eq!(
            out,
            "ID           ENABLED  SCOPES\nweb          yes\na-long-name           a b\n"
        );
    }

    #[test]
    fn what_could_steer_a_terminal_is_left_out() {
        assert_eq!(plain(&json!("a\u{1b}[2Jb\n")), "a [2Jb ");
    }

    #[test]
    fn empty_members_are_not_shown() {
        let object = json!({"id": "web", "name": null, "origins": []});
        assert_eq!(lines(object.as_object().unwrap()), "id  web\n");
    }
}
