//! A binary without the feature `cedar` has no policies of its own, and none
//! can be made.

use super::question::Question;
use super::ruling::Ruling;

/// Policies; nothing is one.
#[derive(Debug)]
pub enum Policies {}

impl Policies {
    pub(crate) const fn decide(&self, _: &Question) -> Ruling {
        match *self {}
    }
}
