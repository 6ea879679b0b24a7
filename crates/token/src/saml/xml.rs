//! The one tree that is verified and read, and its canonical form.
//!
//! This is the only door to the XML library. There is one parser: what a
//! signature covers and what is read are nodes of the same tree.
//!
//! Spec: Exclusive XML Canonicalization §2

use std::collections::HashSet;

use bergshamra_c14n::{C14nMode, canonicalize_doc};
use bergshamra_xml::uppsala::Parser;
use bergshamra_xml::{Document, NodeId, NodeKind, NodeSet};

use super::names::{XML, XSI};
use super::refused::Refused;
use super::{MAX_DEPTH, limits};

/// A document within the limits, whose IDs are unique.
pub(super) struct Xml(Document<'static>);

/// One element of a document.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    document: &'a Document<'static>,
    id: NodeId,
}

impl Xml {
    /// Parses a document.
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        limits::check(text)?;
        let parser = Parser::new()
            .with_max_depth(u32::try_from(MAX_DEPTH).unwrap_or(u32::MAX) + 1)
            .with_forbid_dtd(true)
            .with_forbid_entities(true);
        let document = parser.parse(text).map_err(|_| Refused::Malformed)?;
        let parsed = Self(document.into_static());
        let root = parsed.root()?;
        check_ids(root)?;
        Ok(parsed)
    }

    /// The one outermost element. Nothing but white space may stand beside it.
    pub(super) fn root(&self) -> Result<Element<'_>, Refused> {
        let alone = self
            .0
            .children_iter(self.0.root())
            .all(|id| match self.0.node_kind(id) {
                Some(NodeKind::Element(_)) => Some(id) == self.0.document_element(),
                Some(NodeKind::Text(text)) => is_blank(text),
                _ => false,
            });
        let id = self
            .0
            .document_element()
            .filter(|_| alone)
            .ok_or(Refused::Malformed)?;
        Ok(Element {
            document: &self.0,
            id,
        })
    }
}

/// No ID is there twice, in whatever attribute and namespace a reader might
/// look for it; and no element has two.
fn check_ids(root: Element<'_>) -> Result<(), Refused> {
    let mut seen = HashSet::new();
    for element in root.descendants() {
        let Some(own) = element.document.element(element.id) else {
            continue;
        };
        let mut ids = own
            .attributes
            .iter()
            .filter(|attribute| attribute.name.local_name.eq_ignore_ascii_case("id"));
        let (first, second) = (ids.next(), ids.next());
        if second.is_some() || first.is_some_and(|id| !seen.insert(id.value.to_string())) {
            return Err(Refused::DuplicateId);
        }
    }
    Ok(())
}

fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

impl<'a> Element<'a> {
    /// Whether this is an element of a namespace.
    pub(super) fn is(self, namespace: &str, local: &str) -> bool {
        self.document
            .element(self.id)
            .is_some_and(|own| own.name.matches(Some(namespace), local))
    }

    /// Whether both are the same node.
    pub(super) fn is_same(self, other: Element<'_>) -> bool {
        std::ptr::eq(self.document, other.document) && self.id == other.id
    }

    /// This element and all below it, in the order of the document.
    pub(super) fn descendants(self) -> impl Iterator<Item = Element<'a>> {
        let document = self.document;
        let below = document.descendants(self.id).into_iter();
        std::iter::once(self.id)
            .chain(below.filter(move |id| *id != self.id))
            .filter(move |id| document.element(*id).is_some())
            .map(move |id| Element { document, id })
    }

    /// The elements directly below. Text between them is refused.
    pub(super) fn children(self) -> Result<Vec<Element<'a>>, Refused> {
        let mut children = Vec::new();
        for id in self.document.children_iter(self.id) {
            match self.document.node_kind(id) {
                Some(NodeKind::Element(_)) => children.push(Element {
                    document: self.document,
                    id,
                }),
                Some(NodeKind::Comment(_)) => {}
                Some(NodeKind::Text(text)) if is_blank(text) => {}
                _ => return Err(Refused::Schema("text between elements")),
            }
        }
        Ok(children)
    }

    /// The text, all of it: comments are left out, and what stands on both
    /// sides of one is joined, as the canonical form has it.
    pub(super) fn text(self) -> Result<String, Refused> {
        self.joined(|kind| matches!(kind, NodeKind::Comment(_)))
    }

    /// The text where not even a comment may interrupt it.
    pub(super) fn uninterrupted_text(self) -> Result<String, Refused> {
        self.joined(|_| false)
    }

    fn joined(self, may_pass: impl Fn(&NodeKind<'_>) -> bool) -> Result<String, Refused> {
        let mut text = String::new();
        for id in self.document.children_iter(self.id) {
            match self.document.node_kind(id) {
                Some(NodeKind::Text(part)) => text.push_str(part),
                Some(other) if may_pass(other) => {}
                _ => return Err(Refused::Schema("text")),
            }
        }
        Ok(text)
    }

    /// An attribute of no namespace.
    pub(super) fn attribute(self, local: &str) -> Option<&'a str> {
        let own = self.document.element(self.id)?;
        own.attributes
            .iter()
            .find(|own| own.name.matches(None, local))
            .map(|own| &*own.value)
    }

    /// Refuses attributes that are not among these. Those that say nothing
    /// about the meaning (types of XML Schema, `xml:lang`) may be there.
    pub(super) fn only_attributes(self, known: &[&str]) -> Result<(), Refused> {
        let own = self.document.element(self.id);
        let strange = own.into_iter().flat_map(|own| &own.attributes).any(|own| {
            match own.name.namespace_uri.as_deref() {
                None => !known.contains(&&*own.name.local_name),
                Some(namespace) => namespace != XSI && namespace != XML,
            }
        });
        if strange {
            return Err(Refused::Schema("attribute"));
        }
        Ok(())
    }

    /// The exclusive canonical form, without comments, and without one part.
    pub(super) fn canonical(
        self,
        without: Option<Element<'_>>,
        prefixes: &[&str],
    ) -> Result<Vec<u8>, Refused> {
        let mut nodes = NodeSet::tree_without_comments(self.id, self.document);
        if let Some(part) = without {
            nodes = nodes.subtract(&NodeSet::tree_with_comments(part.id, self.document));
        }
        canonicalize_doc(self.document, C14nMode::Exclusive, Some(&nodes), prefixes)
            .map_err(|_| Refused::Malformed)
    }
}
