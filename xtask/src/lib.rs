//! What the chores share with the tests of the workspace's shape.

pub mod attack_coverage;
mod attack_rows;
pub mod generated;
pub mod planted;
pub mod source;
pub mod spec_coverage;
pub mod upgrade;
