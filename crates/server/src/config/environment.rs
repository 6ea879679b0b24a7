//! Variables laid over the file: `SYMBOLON_STORE__URL` is `url` in `[store]`,
//! `SYMBOLON_CLIENT__0__SECRET` is `secret` in the first `[[client]]`.

use std::collections::BTreeMap;

use super::document::{Node, Table, Value, parse_value};
use super::finding::{Finding, Location};
use super::schema::{FORMS, Key, Kind, Section, TOP};

/// What every such variable begins with.
pub(super) const PREFIX: &str = "SYMBOLON_";

/// Sets what the variables say, and says which of them mean nothing.
pub(super) fn overlay(root: &mut Table, variables: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    collect_sources(root, &mut sources);
    for (variable, value) in variables {
        let Some(path) = variable.strip_prefix(PREFIX) else {
            continue;
        };
        if sources.contains(variable) {
            continue;
        }
        let lower = path.to_ascii_lowercase();
        let path: Vec<&str> = lower.split("__").collect();
        let setting = Setting {
            value,
            at: Location::variable(variable),
        };
        match setting.lay(root, &TOP, &path) {
            Ok(()) => {}
            Err(Misfit::Unknown { nearest }) => {
                findings.extend(unknown(&setting.at, &path, &nearest));
            }
            Err(Misfit::Whole { example, numbered }) => {
                findings.push(whole(&setting.at, &path, &example, numbered));
            }
            Err(Misfit::Value { example }) => findings.push(
                Finding::error("environment.invalid", &setting.at, "the value cannot be read")
                    .because("this key takes a TOML value: a number, a truth value, a list or an inline table")
                    .repair(format!("write it as it would stand in the file, for example `{example}`")),
            ),
        }
    }
    findings
}

/// Names that the file itself takes secrets from; they are no settings.
fn collect_sources(table: &Table, sources: &mut Vec<String>) {
    for entry in &table.entries {
        match &entry.node.value {
            Value::Text(text) if entry.name.ends_with("_env") => sources.push(text.clone()),
            Value::Table(inner) => collect_sources(inner, sources),
            Value::Array(nodes) => {
                for node in nodes {
                    if let Value::Table(inner) = &node.value {
                        collect_sources(inner, sources);
                    }
                }
            }
            _ => {}
        }
    }
}

/// A name without a section may belong to something else than the file, so it
/// is only spoken of where it looks like a slip.
fn unknown(at: &Location, path: &[&str], nearest: &str) -> Option<Finding> {
    let name = path.join("__").to_ascii_uppercase();
    let nearest = nearest.to_ascii_uppercase();
    let slip = nearest.len().abs_diff(name.len()) <= 2 && nearest.get(..2) == name.get(..2);
    let finding = Finding::warning(
        "environment.unknown",
        at,
        format!("`{PREFIX}{name}` sets no key"),
    )
    .because("a variable that sets nothing leaves the file's value in force, unseen")
    .repair(format!("unset it, or write `{PREFIX}{nearest}`"));
    (path.len() > 1 || slip).then(|| Finding::error_if(path.len() > 1, finding))
}

/// A section or a list of blocks has no value of its own: its keys have.
fn whole(at: &Location, path: &[&str], example: &str, numbered: Numbered) -> Finding {
    let upper = |text: &str| text.to_ascii_uppercase();
    let (name, example) = (upper(&path.join("__")), upper(example));
    let how = match numbered {
        Numbered::No => String::new(),
        Numbered::From0 => "; blocks are numbered from 0, in the order of the file".to_owned(),
        Numbered::Next(next) => format!(
            "; blocks are numbered from 0, in the order of the file, and the next one is {next}"
        ),
    };
    let finding = Finding::warning(
        "environment.unknown",
        at,
        format!("`{PREFIX}{name}` sets no key{how}"),
    )
    .because("a variable that sets nothing leaves the file's value in force, unseen")
    .repair(format!("unset it, or name a key as in `{PREFIX}{example}`"));
    Finding::error_if(path.len() > 1, finding)
}

enum Misfit {
    Unknown {
        nearest: String,
    },
    Value {
        example: &'static str,
    },
    /// A table or a list of blocks was named where a key of it was meant.
    Whole {
        example: String,
        numbered: Numbered,
    },
}

/// How the blocks of a name are counted.
#[derive(Clone, Copy)]
enum Numbered {
    /// It is a section, of which there is one.
    No,
    /// The name lacks a number.
    From0,
    /// The number names no block and is not the next one.
    Next(usize),
}

impl Misfit {
    fn whole(name: &str, section: &Section, numbered: Numbered) -> Self {
        let key = section.keys.first().map_or("", |key| key.name);
        let example = match numbered {
            Numbered::No => format!("{name}__{key}"),
            Numbered::From0 => format!("{name}__0__{key}"),
            Numbered::Next(next) => format!("{name}__{next}__{key}"),
        };
        Self::Whole { example, numbered }
    }
}

struct Setting<'v> {
    value: &'v str,
    at: Location,
}

impl Setting<'_> {
    fn lay(&self, table: &mut Table, section: &Section, path: &[&str]) -> Result<(), Misfit> {
        let unknown = |name: &str| Misfit::Unknown {
            nearest: section.nearest(name),
        };
        let Some((name, rest)) = path.split_first() else {
            return Err(unknown(""));
        };
        let key = section.find(name).ok_or_else(|| unknown(name))?;
        match (key.kind, rest) {
            (Kind::Table(inner), [_, ..]) => {
                let below = table
                    .table_mut(name, &self.at)
                    .ok_or_else(|| unknown(name))?;
                return self
                    .lay(below, inner, rest)
                    .map_err(|misfit| misfit.below(name));
            }
            (Kind::Blocks(inner), [index, rest @ ..]) if !rest.is_empty() => {
                let below = self.block(table, name, index).map_err(|numbered| {
                    numbered.map_or_else(
                        || unknown(name),
                        |numbered| Misfit::whole(name, inner, numbered),
                    )
                })?;
                let prefix = format!("{name}__{index}");
                return self
                    .lay(below, inner, rest)
                    .map_err(|misfit| misfit.below(&prefix));
            }
            (Kind::Table(inner), _) => return Err(Misfit::whole(name, inner, Numbered::No)),
            (Kind::Blocks(inner), _) => return Err(Misfit::whole(name, inner, Numbered::From0)),
            (_, [_, ..]) => return Err(unknown(name)),
            (_, []) => self.put(table, key, name)?,
        }
        Ok(())
    }

    /// The block of a number, made where it is the next one. Where there is
    /// none, it is told how blocks are counted; nothing where the name is
    /// something else in the file.
    fn block<'t>(
        &self,
        table: &'t mut Table,
        name: &str,
        index: &str,
    ) -> Result<&'t mut Table, Option<Numbered>> {
        let index: usize = index.parse().map_err(|_| Some(Numbered::From0))?;
        let blocks = table.array_mut(name, &self.at).ok_or(None)?;
        let next = blocks.len();
        if index == next {
            blocks.push(Node::table(&self.at));
        }
        let node = blocks.get_mut(index).ok_or(Some(Numbered::Next(next)))?;
        match &mut node.value {
            Value::Table(table) => Ok(table),
            _ => Err(None),
        }
    }

    fn put(&self, table: &mut Table, key: &Key, name: &str) -> Result<(), Misfit> {
        if key.is_secret() {
            // The variable decides alone: another form in the file gives way.
            let own = |entry: &str| {
                let form = |rest: &str| rest.is_empty() || FORMS.contains(&rest);
                entry.strip_prefix(key.name).is_some_and(form)
            };
            table.entries.retain(|entry| !own(&entry.name));
        }
        let listed = self.value.trim_start().starts_with('[');
        let node = match key.kind {
            Kind::Texts if !listed => {
                let words = self.value.split(',').map(str::trim);
                let words = words.filter(|word| !word.is_empty());
                let text = |word: &str| Node {
                    value: Value::Text(word.to_owned()),
                    at: self.at.clone(),
                };
                Some(Node {
                    value: Value::Array(words.map(text).collect()),
                    at: self.at.clone(),
                })
            }
            Kind::Other | Kind::Texts => parse_value(self.value, &self.at),
            _ if listed && name.ends_with("_command") => parse_value(self.value, &self.at),
            _ => {
                table.put_text(name, self.value, &self.at);
                return Ok(());
            }
        };
        let node = node.ok_or(Misfit::Value {
            example: key.example,
        })?;
        table.put(name, node);
        Ok(())
    }
}

impl Misfit {
    fn below(self, name: &str) -> Self {
        match self {
            Self::Unknown { nearest } => Self::Unknown {
                nearest: format!("{name}__{nearest}"),
            },
            Self::Whole { example, numbered } => Self::Whole {
                example: format!("{name}__{example}"),
                numbered,
            },
            value @ Self::Value { .. } => value,
        }
    }
}
