//! The cause of a refusal in a word that is finer than its code: what exactly
//! was taken back, and which caveat is not met.

use crate::explain::Refused;
use crate::macaroon::Flaw;
use crate::revocation::{Hit, Target};

impl Refused {
    /// A stable word, finer than [`code`](Self::code) where that stands for
    /// several causes.
    pub fn root(&self) -> &'static str {
        match self {
            Self::Revoked(Some(Hit::Epoch)) => "restored",
            Self::Revoked(Some(Hit::Record(target))) => of_target(*target),
            Self::Revoked(Some(Hit::Parent(target))) => of_parent(*target),
            Self::Macaroon(Flaw::Unmet(caveat)) => of_caveat(caveat),
            other => other.code(),
        }
    }
}

const fn of_target(target: Target) -> &'static str {
    match target {
        Target::Token => "revoked_token",
        Target::Family => "revoked_family",
        Target::Grant => "revoked_grant",
        Target::Session => "revoked_session",
        Target::Subject => "revoked_subject",
        Target::Client => "revoked_client",
        Target::ClientSubject => "revoked_client_subject",
        Target::Organization => "revoked_organization",
        Target::Membership => "revoked_membership",
        Target::Issuer => "distrusted_issuer",
        Target::Key => "distrusted_key",
        Target::Resource => "deleted_resource",
    }
}

/// Of what it was derived from: another token's, or another client's.
const fn of_parent(target: Target) -> &'static str {
    match target {
        Target::Token => "revoked_parent_token",
        Target::Family => "revoked_parent_family",
        Target::Grant => "revoked_parent_grant",
        Target::Session => "revoked_parent_session",
        Target::Subject => "revoked_parent_subject",
        Target::Client => "revoked_parent_client",
        Target::ClientSubject => "revoked_parent_client_subject",
        Target::Organization => "revoked_parent_organization",
        Target::Membership => "revoked_parent_membership",
        Target::Issuer => "distrusted_issuer",
        Target::Key => "distrusted_parent_key",
        Target::Resource => "deleted_parent_resource",
    }
}

fn of_caveat(caveat: &str) -> &'static str {
    match caveat.split(" = ").next().unwrap_or_default() {
        "before" => "caveat_before",
        "after" => "caveat_after",
        "network" => "caveat_network",
        "method" => "caveat_method",
        "path" => "caveat_path",
        "hours" => "caveat_hours",
        "days" => "caveat_days",
        _ => "caveat_unmet",
    }
}
