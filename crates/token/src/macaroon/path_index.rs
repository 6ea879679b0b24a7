//! Many patterns at once: which of them a path resembles, found segment by
//! segment, so that what it costs depends on the path and not on how many there
//! are.

use std::collections::HashMap;

use super::path::{PathPattern, Segment, names};

/// Patterns by their segments, as careless services read them.
#[derive(Clone, Debug, Default)]
pub struct PathIndex {
    root: Node,
}

#[derive(Clone, Debug, Default)]
struct Node {
    texts: HashMap<String, Self>,
    one: Option<Box<Self>>,
    /// The patterns that end here.
    here: Vec<usize>,
    /// The patterns that take whatever follows.
    rest: Vec<usize>,
}

impl PathIndex {
    /// Takes patterns in; each is called by its place among them.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p PathPattern>) -> Self {
        let mut own = Self::default();
        for (number, pattern) in patterns.into_iter().enumerate() {
            let mut node = &mut own.root;
            let mut takes_rest = false;
            for segment in pattern.segments() {
                node = match segment {
                    Segment::Text(text) => node.texts.entry(names(text)).or_default(),
                    Segment::One => node.one.get_or_insert_default(),
                    // Nothing stands behind it.
                    Segment::Rest => {
                        takes_rest = true;
                        node
                    }
                };
            }
            match takes_rest {
                true => node.rest.push(number),
                false => node.here.push(number),
            }
        }
        own
    }

    /// The places of all patterns that a path [`resembles`], in order: those that
    /// it matches are among them.
    ///
    /// [`resembles`]: PathPattern::resembles
    pub fn like(&self, path: &str) -> Vec<usize> {
        let Some(parts) = super::path::parts(path) else {
            return Vec::new();
        };
        let parts: Vec<String> = parts.iter().map(|own| names(own)).collect();
        let mut found = Vec::new();
        let mut open = vec![(&self.root, 0)];
        while let Some((node, at)) = open.pop() {
            let Some(part) = parts.get(at) else {
                found.extend_from_slice(&node.here);
                continue;
            };
            found.extend_from_slice(&node.rest);
            open.extend(node.texts.get(part).map(|own| (own, at + 1)));
            open.extend(node.one.as_deref().map(|own| (own, at + 1)));
        }
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns(all: &[&str]) -> Vec<PathPattern> {
        all.iter().map(|own| own.parse().unwrap()).collect()
    }

    #[test]
    fn a_path_is_compared_with_the_few_that_it_may_be_like() {
        let all: Vec<PathPattern> = (0..2_000)
            .map(|at| format!("/service{at}/orders/{{id}}").parse().unwrap())
            .collect();
        let index = PathIndex::new(&all);

        assert_eq!(index.like("/service7/orders/1"), [7]);
        assert_eq!(index.like("/Service7/ORDERS/1"), [7]);
        assert!(index.like("/service7/orders").is_empty());
        assert!(index.like("/elsewhere").is_empty());
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_each_pattern_says_by_itself(
            written in prop::collection::vec(r"(/(a|B|ab|\{x\})){0,3}(/\{\*rest\})?", 1..12),
            path in r"(/(a|A|b|ab|%61|a\.|a%20|\.\.|%2f|x)){0,4}/?",
        ) {
            let written: Vec<&str> = written.iter().map(|own| if own.is_empty() { "/" } else { own }).collect();
            let all = patterns(&written);
            let alone = all.iter().enumerate().filter(|(_, own)| own.resembles(&path));
            let alone: Vec<usize> = alone.map(|(at, _)| at).collect();

            prop_assert_eq!(PathIndex::new(&all).like(&path), alone);
            for (at, own) in all.iter().enumerate() {
                prop_assert!(!own.matches(&path) || own.resembles(&path), "{} {}", at, path);
            }
        }
    }
}
