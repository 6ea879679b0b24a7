//! One evaluation, or several in one request.
//!
//! Spec: OpenID AuthZEN Authorization API 1.0 §6.2, §7.1, §7.2

use serde_json::{Value, json};
use symbolon_protocol::Timestamp;

use crate::policy::{Answer, Evaluation, Policies};

/// How many evaluations a request may hold.
const MAX_EVALUATIONS: usize = 256;

/// Of whom, and when.
pub(super) struct Asked<'a> {
    pub(super) policies: &'a Policies,
    pub(super) now: Timestamp,
    pub(super) request_id: String,
}

/// When the rest is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn read(body: &Value) -> Result<Self, &'static str> {
        let options = body.get("options");
        if options.is_some_and(|own| !own.is_object()) {
            return Err("`options` is an object");
        }
        match options.and_then(|own| own.get("evaluations_semantic")) {
            None => Ok(Self::ExecuteAll),
            Some(own) => match own.as_str() {
                Some("execute_all") => Ok(Self::ExecuteAll),
                Some("deny_on_first_deny") => Ok(Self::DenyOnFirstDeny),
                Some("permit_on_first_permit") => Ok(Self::PermitOnFirstPermit),
                _ => Err("`evaluations_semantic` is none of the three there are"),
            },
        }
    }

    const fn ends_with(self, decision: bool) -> bool {
        match self {
            Self::ExecuteAll => false,
            Self::DenyOnFirstDeny => !decision,
            Self::PermitOnFirstPermit => decision,
        }
    }
}

/// Answers one evaluation.
pub(super) fn evaluation(asked: &Asked<'_>, body: &Value) -> Result<Value, &'static str> {
    let evaluation = Evaluation::read(body, &Value::Null)?;
    Ok(asked.decide(&evaluation).1)
}

/// Answers several; without a list it is one, as if it were asked alone.
pub(super) fn evaluations(asked: &Asked<'_>, body: &Value) -> Result<Value, &'static str> {
    let semantic = Semantic::read(body)?;
    let list = match body.get("evaluations") {
        None => return evaluation(asked, body),
        Some(Value::Array(list)) if list.is_empty() => return evaluation(asked, body),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("`evaluations` is a list"),
    };
    if list.len() > MAX_EVALUATIONS {
        return Err("there are more than 256 evaluations");
    }
    let mut answers = Vec::with_capacity(list.len());
    for own in list {
        let (decision, answer) = match Evaluation::read(own, body) {
            Ok(evaluation) => asked.decide(&evaluation),
            // A failure of one is its own, and no yes.
            Err(why) => (false, failed(400, why)),
        };
        answers.push(answer);
        if semantic.ends_with(decision) {
            break;
        }
    }
    Ok(json!({ "evaluations": answers }))
}

impl Asked<'_> {
    fn decide(&self, evaluation: &Evaluation) -> (bool, Value) {
        let (ruling, why) = self.policies.evaluate(evaluation, self.now);
        tracing::info!(
            request = self.request_id,
            decision = ruling.answer.word(),
            policies = ruling.policies.join(","),
            cause = why,
            "evaluation"
        );
        let decision = ruling.answer == Answer::Allow;
        let answer = match (&ruling.answer, &why) {
            (Answer::Allow, _) => json!({ "decision": true }),
            (Answer::Unknown, _) => failed(500, "a policy could not be evaluated"),
            (Answer::StepUp(sign_in), _) => json!({
                "decision": false,
                "context": {
                    "reason": "step_up",
                    "acr_values": sign_in.acr_values,
                    "max_age": sign_in.max_age.map(|own| own.as_secs()),
                },
            }),
            (_, Some(why)) => failed(404, why),
            (Answer::Deny | Answer::Revoke, None) => json!({ "decision": false }),
        };
        (decision, answer)
    }
}

fn failed(status: u16, why: &str) -> Value {
    json!({
        "decision": false,
        "context": { "error": { "status": status, "message": why } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: &str = concat!(
        r#"permit(principal is Person, action in Action::"read", resource == Route::"orders");"#,
        r#"@step_up("acr=phr") forbid(principal, action == Action::"HEAD", resource);"#
    );

    fn ask(batch: bool, body: &Value) -> Result<Value, &'static str> {
        let policies = Policies::read(POLICIES).unwrap();
        let asked = Asked {
            policies: &policies,
            now: Timestamp::EPOCH,
            request_id: String::new(),
        };
        match batch {
            true => evaluations(&asked, body),
            false => evaluation(&asked, body),
        }
    }

    fn body() -> Value {
        json!({
            "subject": { "type": "person", "id": "usr_1" },
            "action": { "name": "GET" },
            "resource": { "type": "route", "id": "orders" },
        })
    }

    #[test]
    fn one_evaluation_is_answered_and_what_is_unknown_is_denied() {
        assert_eq!(ask(false, &body()), Ok(json!({ "decision": true })));
        let mut other = body();
        other["resource"]["id"] = "elsewhere".into();
        assert_eq!(ask(false, &other), Ok(json!({ "decision": false })));
        let mut stronger = body();
        stronger["action"]["name"] = "HEAD".into();
        let answer = ask(false, &stronger).unwrap();
        assert_eq!(answer["context"]["acr_values"], json!(["phr"]));
        let mut unknown = body();
        unknown["subject"]["type"] = "robot".into();
        let answer = ask(false, &unknown).unwrap();
        assert_eq!(answer["decision"], false);
        assert_eq!(answer["context"]["error"]["status"], 404);
        let mut odd = body();
        odd["context"] = json!({ "surprise": 1 });
        assert_eq!(ask(false, &odd).unwrap()["decision"], false);
    }

    fn three(semantic: Option<&str>) -> Value {
        let mut all = body();
        all["evaluations"] = json!([
            {},
            { "resource": { "type": "route", "id": "elsewhere" } },
            { "action": { "name": "OPTIONS" } },
        ]);
        if let Some(semantic) = semantic {
            all["options"] = json!({ "evaluations_semantic": semantic });
        }
        all
    }

    fn decisions(answer: &Value) -> Vec<bool> {
        let all = answer["evaluations"].as_array().unwrap().iter();
        all.map(|own| own["decision"].as_bool().unwrap()).collect()
    }

    #[test]
    fn several_are_answered_in_order_as_far_as_was_asked() {
        for (semantic, expected) in [
            (None, vec![true, false, true]),
            (Some("execute_all"), vec![true, false, true]),
            (Some("deny_on_first_deny"), vec![true, false]),
            (Some("permit_on_first_permit"), vec![true]),
        ] {
            let answer = ask(true, &three(semantic)).unwrap();
            assert_eq!(decisions(&answer), expected, "{semantic:?}");
        }
        assert!(ask(true, &three(Some("all"))).is_err());
        assert_eq!(ask(true, &body()), Ok(json!({ "decision": true })));
        let mut empty = body();
        empty["evaluations"] = json!([]);
        assert_eq!(ask(true, &empty), Ok(json!({ "decision": true })));
        let mut broken = body();
        broken["evaluations"] = json!([{ "subject": 7 }, {}]);
        assert_eq!(decisions(&ask(true, &broken).unwrap()), [false, true]);
        broken["evaluations"] = Value::Array(vec![json!({}); MAX_EVALUATIONS + 1]);
        assert!(ask(true, &broken).is_err());
    }
}
