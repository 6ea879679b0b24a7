//! Schemas and operations that follow from a seed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use apollo_compiler::ast::{self, Definition};

/// Choices that follow from a seed.
pub(super) struct Choices(pub(super) u64);

impl Choices {
    pub(super) fn up_to(&mut self, many: u64) -> u64 {
        // xorshift64*, good enough to choose by.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % many
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.up_to(many) == 0
    }

    fn guard(&mut self) -> String {
        match self.up_to(6) {
            0 => format!(" @requiresScopes(scopes: [[\"s{}\"]])", self.up_to(4)),
            1 => format!(
                " @requiresScopes(scopes: [[\"s{}\", \"s{}\"], [\"s{}\"]])",
                self.up_to(4),
                self.up_to(4),
                self.up_to(4)
            ),
            _ => String::new(),
        }
    }
}

const OBJECTS: [&str; 4] = ["T0", "T1", "T2", "T3"];

/// A schema of four objects, two interfaces and a union. `T0` and `T1` implement
/// `I0`, `T1` and `T2` implement `I1`.
pub(super) fn schema(choices: &mut Choices) -> String {
    let mut out = String::from("type Query { a: T0 b: I0 c: I1 d: U e: [T3!] f: Int }\n");
    let types = ["Int", "T0", "T1!", "[T2]", "T3", "I0", "[I1!]", "U", "E"];
    let _ = writeln!(
        out,
        "enum E{} {{ X Y{} }}",
        choices.guard(),
        choices.guard()
    );
    let _ = writeln!(
        out,
        "input In{} {{ p: Int{} q: In{} }}",
        choices.guard(),
        choices.guard(),
        choices.guard()
    );
    let shared = |name: &str, choices: &mut Choices| {
        format!(
            "{name}0(x: Int{}, y: In): Int{} {name}1: T3{}",
            choices.guard(),
            choices.guard(),
            choices.guard()
        )
    };
    for (name, of) in [("I0", "g"), ("I1", "h")] {
        let fields = shared(of, choices);
        let _ = writeln!(out, "interface {name}{} {{ {fields} }}", choices.guard());
    }
    for (at, name) in OBJECTS.iter().enumerate() {
        let implements = ["I0", "I0 & I1", "I1", ""][at];
        let mut fields = String::new();
        for (interface, of) in [("I0", "g"), ("I1", "h")] {
            if implements.contains(interface) {
                fields.push_str(&shared(of, choices));
                fields.push(' ');
            }
        }
        for field in 0..3 {
            let index = usize::try_from(choices.up_to(9)).unwrap();
            let _ = write!(
                fields,
                "f{field}(x: Int{}, e: E): {}{} ",
                choices.guard(),
                types[index],
                choices.guard()
            );
        }
        let says = if implements.is_empty() {
            ""
        } else {
            " implements "
        };
        let _ = writeln!(
            out,
            "type {name}{says}{implements}{} {{ {fields} }}",
            choices.guard()
        );
    }
    let _ = writeln!(out, "union U{} = T0 | T2 | T3", choices.guard());
    out
}

/// The selections of an operation, drawn from the schema as text.
pub(super) struct Draw<'s> {
    pub(super) types: &'s BTreeMap<String, ast::Definition>,
    pub(super) fragments: Vec<String>,
    pub(super) aliases: u32,
}

impl Draw<'_> {
    fn fields(&self, of: &str) -> &[apollo_compiler::Node<ast::FieldDefinition>] {
        match self.types.get(of) {
            Some(Definition::ObjectTypeDefinition(own)) => &own.fields,
            Some(Definition::InterfaceTypeDefinition(own)) => &own.fields,
            _ => &[],
        }
    }

    pub(super) fn set(&mut self, of: &str, depth: u64, choices: &mut Choices) -> String {
        let mut out = String::new();
        for _ in 0..=choices.up_to(3) {
            let text = match choices.up_to(6) {
                0 => "__typename".to_owned(),
                1 if depth > 0 => {
                    let cast = cast(of, choices);
                    let inner = self.set(cast, depth - 1, choices);
                    format!("... on {cast} @include(if: $no) {inner}")
                }
                2 if depth > 0 => {
                    let cast = cast(of, choices);
                    let inner = self.set(cast, depth - 1, choices);
                    let name = format!("F{}", self.fragments.len());
                    self.fragments
                        .push(format!("fragment {name} on {cast} {inner}"));
                    format!("...{name}")
                }
                _ => self.field(of, depth, choices),
            };
            let _ = write!(out, " {text}");
        }
        format!("{{{out} }}")
    }

    fn field(&mut self, of: &str, depth: u64, choices: &mut Choices) -> String {
        let fields = self.fields(of);
        let Some(index) = u64::try_from(fields.len()).ok().filter(|own| *own > 0) else {
            return "__typename".to_owned();
        };
        let field = fields[usize::try_from(choices.up_to(index)).unwrap()].clone();
        let inner = field.ty.inner_named_type().to_string();
        let is_leaf = inner == "Int" || inner == "E";
        if !is_leaf && depth == 0 {
            return "__typename".to_owned();
        }
        let mut arguments = Vec::new();
        for argument in &field.arguments {
            if choices.one_in(2) {
                let value = match &*argument.ty.inner_named_type().to_string() {
                    "In" => ["{p: 1}", "{q: {p: 1}}", "{q: {}}", "$in"]
                        [usize::try_from(choices.up_to(4)).unwrap()],
                    "E" => ["X", "Y"][usize::try_from(choices.up_to(2)).unwrap()],
                    _ => "1",
                };
                arguments.push(format!("{}: {value}", argument.name));
            }
        }
        let arguments = match arguments.is_empty() {
            true => String::new(),
            false => format!("({})", arguments.join(", ")),
        };
        // Each under a name of its own, so that every drawn operation is valid.
        self.aliases += 1;
        let alias = self.aliases;
        let inside = match is_leaf {
            true => String::new(),
            false => self.set(&inner, depth - 1, choices),
        };
        format!(
            "a{alias}: {}{arguments} @skip(if: $no) {inside}",
            field.name
        )
    }
}

/// A type into which one can be narrowed.
fn cast(of: &str, choices: &mut Choices) -> &'static str {
    let possible = concrete(of);
    let all: Vec<&str> = ["T0", "T1", "T2", "T3", "I0", "I1", "U", "Query"]
        .into_iter()
        .filter(|own| concrete(own).iter().any(|own| possible.contains(own)))
        .collect();
    all[usize::try_from(choices.up_to(u64::try_from(all.len()).unwrap())).unwrap()]
}

pub(super) fn concrete(of: &str) -> Vec<&'static str> {
    match of {
        "I0" => vec!["T0", "T1"],
        "I1" => vec!["T1", "T2"],
        "U" => vec!["T0", "T2", "T3"],
        "Query" => vec!["Query"],
        own => OBJECTS.into_iter().filter(|known| *known == own).collect(),
    }
}

pub(super) fn interfaces(of: &str) -> &'static [&'static str] {
    match of {
        "T0" => &["I0"],
        "T1" => &["I0", "I1"],
        "T2" => &["I1"],
        _ => &[],
    }
}
