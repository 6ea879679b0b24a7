//! What an operation costs: each field its weight, once for every time that it
//! can stand in the answer.
//!
//! Spec: IBM GraphQL Cost Directives
//!
//! *Differs from the draft*: a field that holds a scalar costs 1, too, where
//! nothing else is said, because asking for it under a hundred names is work.
//! Where several arguments say how long a list may be the largest counts, and
//! where none does, or one says 0, the list is as long as it is assumed to be.

use super::json::Json;
use super::needs::OfField;

/// How long a list may be, as one argument says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slice {
    /// In the document.
    Given(u64),
    /// In a variable, by its place.
    Variable(usize),
}

/// One field, followed by those below it.
#[derive(Debug)]
pub(crate) struct Part {
    /// In thousandths, its arguments included.
    weight: u64,
    lists: u32,
    assumed: Option<u64>,
    slices: Box<[Slice]>,
    /// Variables that stand in its arguments, by their places.
    given: Box<[usize]>,
    /// Whether the field above says how long its list is.
    is_sized: bool,
    /// Where the fields below it end.
    pub(crate) end: usize,
}

impl Part {
    pub(crate) fn new(of: &OfField, slices: Vec<Slice>, is_sized: bool, more: u64) -> Self {
        Self {
            weight: of.weight.saturating_add(more),
            lists: of.lists,
            assumed: of.size.assumed,
            slices: slices.into_boxed_slice(),
            given: Box::default(),
            is_sized,
            end: 0,
        }
    }

    /// The same, with variables in its arguments.
    pub(crate) fn given(mut self, variables: Vec<usize>) -> Self {
        self.given = variables.into_boxed_slice();
        self
    }

    /// A field that is free and no list, such as `__typename`.
    pub(crate) fn free(end: usize) -> Self {
        Self {
            weight: 0,
            lists: 0,
            assumed: None,
            slices: Box::default(),
            given: Box::default(),
            is_sized: false,
            end,
        }
    }
}

/// Whether a field below another is a list whose size that other one says.
pub(crate) fn is_sized(above: Option<&OfField>, name: &str, own: &OfField) -> bool {
    own.lists > 0
        && above.is_some_and(|above| {
            above.lists == 0 && (above.sizes_all || above.size.sized.iter().any(|own| own == name))
        })
}

/// What is known while a price is worked out.
pub(crate) struct Sizes<'v> {
    /// What each variable says as a size.
    pub(crate) variables: &'v [Option<u64>],
    /// What is in each variable costs, in thousandths.
    pub(crate) weights: &'v [u64],
    /// How long a list is taken to be where nothing says so.
    pub(crate) usual: u64,
}

impl Sizes<'_> {
    /// The price of parts that follow each other.
    pub(crate) fn price(&self, parts: &[Part]) -> u64 {
        self.sum(parts, 0, parts.len(), None).div_ceil(1000)
    }

    fn sum(&self, parts: &[Part], begin: usize, end: usize, above: Option<u64>) -> u64 {
        let mut total = 0_u64;
        let mut at = begin;
        while let Some(part) = parts.get(at).filter(|_| at < end) {
            let said = self.said(part);
            let (times, below) = match part.lists {
                0 => (1, said.or(part.assumed)),
                lists => {
                    let above = above.filter(|_| part.is_sized);
                    let size = said.max(above).or(part.assumed).unwrap_or(self.usual);
                    (size.saturating_pow(lists), None)
                }
            };
            let inside = self.sum(parts, at + 1, part.end, below);
            let given = part.given.iter().filter_map(|own| self.weights.get(*own));
            let given = given.fold(part.weight, |sum, own| sum.saturating_add(*own));
            let once = given.saturating_add(inside);
            total = total.saturating_add(times.saturating_mul(once));
            at = part.end;
        }
        total
    }

    fn said(&self, part: &Part) -> Option<u64> {
        let sizes = part.slices.iter().filter_map(|slice| match slice {
            Slice::Given(size) => Some(*size),
            Slice::Variable(at) => self.variables.get(*at).copied().flatten(),
        });
        sizes.max()
    }
}

/// A size as digits say it. A negative one means the end of a list to some
/// services and everything to others, so it is as large as can be; 0 means
/// nothing to some and everything to others, so it is as if it were not there.
pub(crate) fn as_size(digits: &str) -> Option<u64> {
    match digits.parse::<u64>() {
        Ok(0) => None,
        Ok(size) => Some(size),
        Err(_) => Some(u64::MAX),
    }
}

/// A size as a variable says it.
pub(crate) fn size_in(value: &Json) -> Option<u64> {
    match value {
        Json::Null => None,
        Json::Number(digits) => as_size(digits),
        _ => Some(u64::MAX),
    }
}
