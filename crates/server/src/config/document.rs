//! The file as a tree in which every name and value knows where it stands.
//!
//! There is no `Debug` here: secrets that were written inline are in it.

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Finding, Location};

/// A value and its place.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Location,
}

/// What a value can be.
pub(super) enum Value {
    Text(String),
    Whole(i64),
    Number(f64),
    Truth(bool),
    Array(Vec<Node>),
    Table(Table),
}

/// A name, its place, and its value.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) named_at: Location,
    pub(super) node: Node,
}

/// A table, in the order of the file.
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
    pub(super) at: Location,
}

/// Reads the text; every mistake of form is found, not only the first.
pub(super) fn parse(text: &str, file: &str) -> Result<Table, Vec<Finding>> {
    let lines = Lines::of(text, file);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let mut table = lines.table(table.into_inner(), 0);
        table.at = Location::whole(file);
        return Ok(table);
    }
    let finding = |error: &toml::de::Error| {
        let at = error
            .span()
            .map_or_else(|| Location::whole(file), |span| lines.locate(span.start));
        let message = error.message().replace('\n', ", ");
        let key = error.span().and_then(|span| text.get(span));
        if let Some(key) = key.filter(|_| message == "duplicate key") {
            let message = format!("`{}` stands there twice", key.trim());
            return Finding::error("file.syntax", &at, message)
                .because("nobody can tell which of the two holds")
                .repair("keep one of them");
        }
        Finding::error("file.syntax", &at, message)
            .because("what is not TOML cannot be read")
            .repair("write TOML 1.0: `key = \"value\"`, `[section]`, `[[block]]`")
    };
    Err(errors.iter().map(finding).collect())
}

/// Reads one value, as a variable holds it.
pub(super) fn parse_value(text: &str, at: &Location) -> Option<Node> {
    let value = DeValue::parse(text).ok()?.into_inner();
    let lines = Lines {
        text,
        file: "",
        starts: vec![0],
        fixed: Some(at.clone()),
    };
    Some(lines.node(value, 0))
}

impl Table {
    /// An empty table.
    pub(super) fn new(at: &Location) -> Self {
        Self {
            entries: Vec::new(),
            at: at.clone(),
        }
    }

    /// The value of a name.
    pub(super) fn find(&self, name: &str) -> Option<&Node> {
        let entry = self.entries.iter().find(|entry| entry.name == name)?;
        Some(&entry.node)
    }

    /// Whether the name stands here.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Where the value of a name stands, or the table where it does not.
    pub(super) fn place(&self, name: &str) -> &Location {
        self.find(name).map_or(&self.at, |node| &node.at)
    }

    /// Where an element of a list stands that is written as `text`.
    pub(super) fn place_of(&self, name: &str, text: &str) -> &Location {
        let Some(Node {
            value: Value::Array(nodes),
            ..
        }) = self.find(name)
        else {
            return self.place(name);
        };
        let same = |node: &&Node| matches!(&node.value, Value::Text(own) if own == text);
        nodes
            .iter()
            .find(same)
            .map_or(self.place(name), |node| &node.at)
    }

    /// The table below a name, made where it is missing.
    pub(super) fn table_mut(&mut self, name: &str, at: &Location) -> Option<&mut Self> {
        if !self.has(name) {
            self.put(name, Node::table(at));
        }
        let entry = self.entries.iter_mut().find(|entry| entry.name == name)?;
        match &mut entry.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The list below a name, made where it is missing.
    pub(super) fn array_mut(&mut self, name: &str, at: &Location) -> Option<&mut Vec<Node>> {
        if !self.has(name) {
            let node = Node {
                value: Value::Array(Vec::new()),
                at: at.clone(),
            };
            self.put(name, node);
        }
        let entry = self.entries.iter_mut().find(|entry| entry.name == name)?;
        match &mut entry.node.value {
            Value::Array(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// Sets a name, whatever it was before.
    pub(super) fn put(&mut self, name: &str, node: Node) {
        self.entries.retain(|entry| entry.name != name);
        self.entries.push(Entry {
            name: name.to_owned(),
            named_at: node.at.clone(),
            node,
        });
    }

    /// Sets a name to a text.
    pub(super) fn put_text(&mut self, name: &str, text: &str, at: &Location) {
        let node = Node {
            value: Value::Text(text.to_owned()),
            at: at.clone(),
        };
        self.put(name, node);
    }
}

impl Node {
    /// An empty table.
    pub(super) fn table(at: &Location) -> Self {
        Self {
            value: Value::Table(Table::new(at)),
            at: at.clone(),
        }
    }

    /// The text, where it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Json {
        match &self.value {
            Value::Text(text) => Json::from(text.as_str()),
            Value::Whole(number) => Json::from(*number),
            Value::Number(number) => Json::from(*number),
            Value::Truth(truth) => Json::from(*truth),
            Value::Array(nodes) => nodes.iter().map(Self::json).collect(),
            Value::Table(table) => table
                .entries
                .iter()
                .map(|entry| (entry.name.clone(), entry.node.json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Turns offsets into places.
struct Lines<'t> {
    text: &'t str,
    file: &'t str,
    starts: Vec<usize>,
    fixed: Option<Location>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str, file: &'t str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text,
            file,
            starts: std::iter::once(0).chain(after_breaks).collect(),
            fixed: None,
        }
    }

    fn locate(&self, offset: usize) -> Location {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Location {
            file: self.file.into(),
            line: number(line),
            column: number(before.chars().count() + 1),
        }
    }

    fn table(&self, table: DeTable<'_>, offset: usize) -> Table {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let entry = |(name, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
            let span = value.span();
            // A table made by a header has the header's span, which says more
            // than an empty one does.
            let at = if span.is_empty() {
                name.span().start
            } else {
                span.start
            };
            Entry {
                named_at: self.locate(name.span().start),
                name: std::borrow::Cow::into_owned(name.into_inner()),
                node: self.node(value.into_inner(), at),
            }
        };
        Table {
            entries: entries.into_iter().map(entry).collect(),
            at: self.locate(offset),
        }
    }

    fn node(&self, value: DeValue<'_>, offset: usize) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Whole(number),
                    Err(_) => Value::Text(number.as_str().to_owned()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Number(number),
                Err(_) => Value::Text(number.as_str().to_owned()),
            },
            DeValue::Boolean(truth) => Value::Truth(truth),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(values) => Value::Array(
                values
                    .into_iter()
                    .map(|value| {
                        let at = value.span().start;
                        self.node(value.into_inner(), at)
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, offset)),
        };
        Node {
            value,
            at: self.locate(offset),
        }
    }
}
