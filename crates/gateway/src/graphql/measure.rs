//! How large a document is once its fragments are put in, counted without
//! putting them in: each fragment is counted once, however often it is spread.
//!
//! Spec: GraphQL September 2025 §4.2, §5.5.2.2

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, FragmentDefinition, Selection};

use super::declined::Declined;
use super::settings::Limits;

/// How many fields and fragments may stand in each other.
const MAX_NESTING: usize = 128;
/// Lists of a schema that lead from one type to others, and back.
const CIRCULAR: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];
/// How many of them may stand in each other. Each is as long as a type is wide, so
/// a few more ask for more than any schema holds; what tools ask for has one.
const MAX_CIRCULAR: u64 = 2;

/// How much of everything there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    fields: u64,
    aliases: u64,
    directives: u64,
    depth: u64,
    roots: u64,
    /// How many lists that lead back stand in each other.
    circular: u64,
    /// How many fields and fragments stand in each other.
    height: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.depth = self.depth.max(other.depth);
        self.roots = self.roots.saturating_add(other.roots);
        self.circular = self.circular.max(other.circular);
        self.height = self.height.max(other.height);
    }
}

/// What is known of a fragment.
#[derive(Clone, Copy)]
enum Known {
    /// It is being counted: whoever meets it now stands in it.
    Open,
    Counted(Counts),
}

struct Measure<'d> {
    fragments: HashMap<&'d Name, &'d FragmentDefinition>,
    known: HashMap<&'d Name, Known>,
}

/// Refuses a document of which any operation is too large, and fragments that
/// stand in themselves.
pub(crate) fn check(document: &Document, limits: &Limits) -> Result<(), Declined> {
    let fragments = document.definitions.iter().filter_map(|own| match own {
        Definition::FragmentDefinition(own) => Some((&own.name, &**own)),
        _ => None,
    });
    let mut measure = Measure {
        fragments: fragments.collect(),
        known: HashMap::new(),
    };
    for definition in &document.definitions {
        let Definition::OperationDefinition(own) = definition else {
            continue;
        };
        let mut counts = measure.selections(&own.selection_set, 0)?;
        let of_variables = own.variables.iter().map(|own| own.directives.len()).sum();
        counts.directives = counts
            .directives
            .saturating_add(wide(own.directives.len()))
            .saturating_add(wide(of_variables));
        for (name, found, limit) in [
            ("max_depth", counts.depth, limits.max_depth),
            ("max_fields", counts.fields, limits.max_fields),
            ("max_aliases", counts.aliases, limits.max_aliases),
            ("max_directives", counts.directives, limits.max_directives),
            ("max_root_fields", counts.roots, limits.max_root_fields),
        ] {
            if found > limit {
                return Err(Declined::limit(name, limit));
            }
        }
    }
    Ok(())
}

impl<'d> Measure<'d> {
    fn selections(&mut self, all: &'d [Selection], nested: usize) -> Result<Counts, Declined> {
        check_nesting(nested)?;
        let mut sum = Counts::default();
        for own in all {
            let (mut counts, directives) = match own {
                Selection::Field(own) => {
                    let mut counts = self.selections(&own.selection_set, nested + 1)?;
                    counts.depth = counts.depth.saturating_add(1);
                    counts.fields = counts.fields.saturating_add(1);
                    counts.roots = 1;
                    check_circular(&own.name, &mut counts)?;
                    if own.alias.is_some() {
                        counts.aliases = counts.aliases.saturating_add(1);
                    }
                    (counts, own.directives.len())
                }
                Selection::InlineFragment(own) => (
                    self.selections(&own.selection_set, nested + 1)?,
                    own.directives.len(),
                ),
                Selection::FragmentSpread(own) => (
                    self.fragment(&own.fragment_name, nested + 1)?,
                    own.directives.len(),
                ),
            };
            counts.directives = counts.directives.saturating_add(wide(directives));
            counts.height += 1;
            sum.add(counts);
        }
        Ok(sum)
    }

    fn fragment(&mut self, name: &'d Name, nested: usize) -> Result<Counts, Declined> {
        match self.known.get(name) {
            Some(Known::Counted(counts)) => {
                check_nesting(nested + counts.height)?;
                return Ok(*counts);
            }
            Some(Known::Open) => {
                let message = format!("the fragment `{name}` stands in itself");
                return Err(Declined::invalid(vec![(message, Vec::new())]));
            }
            None => {}
        }
        // One that is not there is told when the document is compared with the schema.
        let Some(own) = self.fragments.get(name).copied() else {
            return Ok(Counts::default());
        };
        self.known.insert(name, Known::Open);
        let mut counts = self.selections(&own.selection_set, nested)?;
        counts.directives = counts.directives.saturating_add(wide(own.directives.len()));
        self.known.insert(name, Known::Counted(counts));
        Ok(counts)
    }
}

/// What is read of the schema itself may not lead around in circles.
fn check_circular(name: &Name, counts: &mut Counts) -> Result<(), Declined> {
    let name = name.as_str();
    if matches!(name, "__schema" | "__type") && counts.circular > MAX_CIRCULAR {
        return Err(Declined::limit("introspection depth", MAX_CIRCULAR));
    }
    counts.circular = counts
        .circular
        .saturating_add(u64::from(CIRCULAR.contains(&name)));
    Ok(())
}

/// What walks through a document calls itself as often as things are nested.
fn check_nesting(nested: usize) -> Result<(), Declined> {
    match nested > MAX_NESTING {
        true => Err(Declined::limit("nesting", MAX_NESTING)),
        false => Ok(()),
    }
}

fn wide(own: usize) -> u64 {
    u64::try_from(own).unwrap_or(u64::MAX)
}
