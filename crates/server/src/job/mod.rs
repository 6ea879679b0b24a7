//! Chores: what a node does beside answering, one file each.

pub(crate) mod audit;
pub(crate) mod retention;
