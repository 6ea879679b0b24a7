//! A schema with all that it says, and what is known of operations upon it.

use std::collections::BTreeSet;
use std::sync::Arc;

use apollo_compiler::ast::Document;
use apollo_compiler::parser::Parser;
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Schema};
use quick_cache::sync::Cache;
use symbolon_token::Digest;

use super::declined::Declined;
use super::directive::{Reader, mistake};
use super::facts::Facts;
use super::federation::missing;
use super::import::renamed;
use super::input::Walk;
use super::measure;
use super::needs::{Doors, Needs};
use super::own::Own;
use super::persisted::Known;
use super::rule::{Rule, Rules};
use super::settings::{GraphSettings, Introspection, Mistake, Mode, Source};

/// How deep parsing may go: selections and values in each other.
const MAX_RECURSION: usize = 200;
/// How many operations are remembered, and how many bytes they may take.
const MAX_REMEMBERED: usize = 2_000;
const MAX_REMEMBERED_BYTES: u64 = 16 * 1024 * 1024;

/// A schema that guards its route.
pub struct Graph {
    pub(crate) settings: GraphSettings,
    pub(crate) rules: Rules,
    pub(crate) known: Known,
    /// Whether something that is given costs anything.
    pub(crate) weighs_inputs: bool,
    schema: Valid<Schema>,
    needs: Needs,
    /// Facts of operations that were seen, by the digest of their text. They go
    /// with the schema, and no decision is among them.
    remembered: Cache<[u8; 32], Arc<Facts>, Weight>,
}

#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<[u8; 32], Arc<Facts>> for Weight {
    fn weight(&self, _key: &[u8; 32], facts: &Arc<Facts>) -> u64 {
        u64::try_from(facts.weight()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("schema", &self.settings.schema.name)
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// Whether what it refuses goes no further.
    pub(crate) fn is_enforced(&self) -> bool {
        self.settings.mode == Mode::Enforce
    }

    /// Reads a schema, the rules beside it, and the operations that are known;
    /// everything that is wrong with them is told.
    pub fn new(mut settings: GraphSettings) -> Result<Self, Vec<Mistake>> {
        let schema = schema(&settings.schema)?;
        let mut reader = Reader {
            policies: &settings.policies,
            rules: Rules::default(),
            mistakes: Vec::new(),
        };
        let mut own = Own::of_schema(&schema, &mut reader);
        if let Some(rules) = &settings.rules {
            let document = document(rules)?;
            own.add(&schema, &document, &mut reader);
        }
        let never = reader.rules.place(Rule::Never);
        let introspection = match &settings.introspection {
            Introspection::Open => None,
            Introspection::Off => Some(never),
            Introspection::Scopes(all) => Some(reader.rules.place(Rule::Scopes(vec![all.clone()]))),
        };
        let doors = Doors {
            introspection,
            never,
        };
        let Reader {
            rules,
            mut mistakes,
            ..
        } = reader;
        mistakes.extend(sizes(&schema, &own));
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let needs = Needs::new(&schema, &own, doors);
        let manifest = settings.manifest.take();
        let mut graph = Self {
            settings,
            rules,
            known: Known::default(),
            weighs_inputs: needs.weighs_inputs(),
            schema,
            needs,
            remembered: Cache::with_weighter(MAX_REMEMBERED, MAX_REMEMBERED_BYTES, Weight),
        };
        if let Some(manifest) = manifest {
            graph.known = Known::read(&manifest, &graph)?;
        }
        Ok(graph)
    }

    /// Every scope that the schema names.
    pub(crate) fn scopes(&self) -> BTreeSet<&str> {
        self.rules.scopes()
    }

    /// The schema, and what its places need.
    pub(crate) fn walk(&self) -> Walk<'_> {
        Walk {
            schema: &self.schema,
            needs: &self.needs,
        }
    }

    /// The schema.
    pub(crate) const fn schema(&self) -> &Valid<Schema> {
        &self.schema
    }

    /// Reads a document, no larger than allowed, that fits the schema.
    pub(crate) fn read(&self, text: &str) -> Result<Valid<ExecutableDocument>, Declined> {
        let limits = &self.settings.limits;
        if text.len() > limits.max_document_bytes {
            return Err(Declined::limit(
                "max_document_bytes",
                limits.max_document_bytes,
            ));
        }
        if text.contains('\0') {
            return Err(Declined::syntax(vec![(
                "the document holds NUL".into(),
                Vec::new(),
            )]));
        }
        let mut parser = Parser::new()
            .token_limit(limits.max_tokens)
            .recursion_limit(MAX_RECURSION);
        let document = parser.parse_ast(text, "operation").map_err(|wrong| {
            match parser_limit(&wrong.errors) {
                Some("recursion") => Declined::limit("nesting", MAX_RECURSION),
                Some(_) => Declined::limit("max_tokens", limits.max_tokens),
                None => Declined::syntax(told(&wrong.errors)),
            }
        })?;
        measure::check(&document, limits)?;
        document
            .to_executable_validate(&self.schema)
            .map_err(|wrong| Declined::invalid(told(&wrong.errors)))
    }

    /// What is known of an operation, remembered where it was seen before.
    pub(crate) fn facts(&self, text: &str, name: Option<&str>) -> Result<Arc<Facts>, Declined> {
        let limit = self.settings.limits.max_document_bytes;
        if text.len() > limit {
            return Err(Declined::limit("max_document_bytes", limit));
        }
        let digest = digest_of(text, name);
        if let Some(facts) = self.remembered.get(&digest) {
            return Ok(facts);
        }
        let document = self.read(text)?;
        let facts = Arc::new(self.facts_of(&document, name)?);
        self.remembered.insert(digest, Arc::clone(&facts));
        Ok(facts)
    }

    /// What is known of an operation of a valid document.
    pub(crate) fn facts_of(
        &self,
        document: &Valid<ExecutableDocument>,
        name: Option<&str>,
    ) -> Result<Facts, Declined> {
        let operation = document.operations.get(name);
        let operation = operation.map_err(|_| {
            Declined::operation(match name {
                Some(_) => "the document has no operation of this name",
                None => "the document has several operations, and `operationName` names none",
            })
        })?;
        Ok(Facts::of(self.walk(), document, operation, None))
    }
}

/// Names an operation by its document and its name, so that no two run into
/// each other.
fn digest_of(text: &str, name: Option<&str>) -> [u8; 32] {
    let name = name.map_or(String::new(), |name| format!("{}:{name}", name.len()));
    let whole = [name.as_bytes(), b"\0", text.as_bytes()].concat();
    *Digest::of(&whole).as_bytes()
}

/// What there is too much of, where parsing was given up for that.
fn parser_limit(errors: &DiagnosticList) -> Option<&'static str> {
    let texts = || errors.iter().map(|own| own.error.to_string());
    ["recursion", "token"]
        .into_iter()
        .find(|what| texts().any(|text| text.contains(&format!("{what} limit"))))
}

/// Mistakes of a document as its sender is told them.
fn told(errors: &DiagnosticList) -> Vec<(String, Vec<(usize, usize)>)> {
    let told = errors.iter().map(|own| {
        let place = own.line_column_range();
        let place = place.map(|range| (range.start.line, range.start.column));
        (own.error.to_string(), place.into_iter().collect())
    });
    told.collect()
}

/// Mistakes of a file.
fn mistakes(file: &str, errors: &DiagnosticList) -> Vec<Mistake> {
    let small = |own: usize| u32::try_from(own).unwrap_or(u32::MAX);
    let mistakes = errors.iter().map(|own| {
        let begin = own.line_column_range().map(|range| range.start);
        Mistake {
            file: file.to_owned(),
            line: begin.map_or(0, |begin| small(begin.line)),
            column: begin.map_or(0, |begin| small(begin.column)),
            message: own.error.to_string(),
        }
    });
    mistakes.collect()
}

fn document(source: &Source) -> Result<Document, Vec<Mistake>> {
    Document::parse(source.text.as_str(), &source.name)
        .map_err(|wrong| mistakes(&source.name, &wrong.errors))
}

fn schema(source: &Source) -> Result<Valid<Schema>, Vec<Mistake>> {
    let document = document(source)?;
    let renamed = renamed(&document);
    if !renamed.is_empty() {
        return Err(renamed);
    }
    let mut builder = Schema::builder();
    Parser::new().parse_into_schema_builder(source.text.as_str(), &source.name, &mut builder);
    Parser::new().parse_into_schema_builder(missing(&document), "built in", &mut builder);
    let schema = builder
        .build()
        .map_err(|wrong| mistakes(&source.name, &wrong.errors))?;
    schema
        .validate()
        .map_err(|wrong| mistakes(&source.name, &wrong.errors))
}

/// Sizes that name what is not there would count for nothing.
fn sizes(schema: &Valid<Schema>, own: &Own) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (of, name, size) in own.sizes() {
        let Ok(field) = schema.type_field(of, name) else {
            continue;
        };
        let mut note = |what: &str, missing: &str| {
            let message = format!("`@listSize` of `{of}.{name}`: there is no {what} `{missing}`");
            found.push(mistake(field.location(), &schema.sources, message));
        };
        for argument in &size.slicing {
            if field.argument_by_name(argument).is_none() {
                note("argument", argument);
            }
        }
        for sized in &size.sized {
            if schema
                .type_field(field.ty.inner_named_type(), sized)
                .is_err()
            {
                note("field", sized);
            }
        }
    }
    found
}
