//! The metadata document of the decision point. What it does not name is not
//! there.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §9.1, §9.2

use serde_json::{Value, json};

use super::{ACTIONS, EVALUATION, EVALUATIONS, RESOURCES, SUBJECTS};

/// The document of the decision point at an origin.
pub(super) fn metadata(origin: &str) -> Value {
    json!({
        "policy_decision_point": origin,
        "access_evaluation_endpoint": format!("{origin}{EVALUATION}"),
        "access_evaluations_endpoint": format!("{origin}{EVALUATIONS}"),
        "search_subject_endpoint": format!("{origin}{SUBJECTS}"),
        "search_resource_endpoint": format!("{origin}{RESOURCES}"),
        "search_action_endpoint": format!("{origin}{ACTIONS}"),
    })
}
