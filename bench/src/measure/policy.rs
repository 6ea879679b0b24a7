//! A question put to policies in process: ten of them, and a thousand of which
//! each names its route in its scope, or names none.

use std::hint::black_box;

use anyhow::{Result, anyhow, ensure};
use symbolon_gateway::policy::{Answer, Asked, Asker, Circumstances, Kind, Policies, Question};

use crate::bench::Bench;
use crate::clock;
use crate::figure::{Bound, Figure};

/// How often a question is asked in a round.
const TIMES: u32 = 2_000;
/// How many times ten policies a thousand may take, where each names its route.
const MANY: f64 = 1.5;
/// How many microseconds the answer to a question that was asked before takes.
const MAX_AGAIN: f64 = 3.0;

pub(crate) fn policy(bench: &Bench) -> Result<Vec<Figure>> {
    let named = |count: usize| policies(count, |at| format!("resource == Route::\"route{at}\""));
    let (ten, thousand) = (named(10)?, named(1_000)?);
    let general = policies(1_000, |_| "resource".to_owned())?;
    let mut question = question();
    for policies in [&ten, &thousand, &general] {
        ensure!(
            policies.decide(&question).answer == Answer::Allow,
            "it is not allowed"
        );
    }
    let mut rounds = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    let mut count = 0;
    for _ in 0..bench.rounds {
        for (taken, policies) in rounds.iter_mut().zip([&ten, &thousand, &general]) {
            taken.push(timed(policies, &mut question, &mut count));
        }
        rounds[3].push(timed_again(&thousand, &question));
    }
    let [ten, thousand, general, again] = rounds;
    Ok(vec![
        Figure::new(
            "policy, 1,000 by route (10)",
            "µs",
            Bound::AtMostTimes(MANY),
        )
        .rounds(ten.clone(), thousand),
        Figure::new("policy, 1,000 of every route (10)", "µs", Bound::None).rounds(ten, general),
        Figure::new("policy, asked before", "µs", Bound::AtMost(MAX_AGAIN))
            .rounds(Vec::new(), again),
    ])
}

/// One policy that permits, and others that could forbid.
fn policies(count: usize, resource: impl Fn(usize) -> String) -> Result<Policies> {
    let mut text = String::from(
        "permit(principal, action in Action::\"read\", resource) when { principal.scopes.contains(\"read:orders\") };\n",
    );
    for at in 1..count {
        text += &format!(
            "forbid(principal, action, {}) when {{ principal.roles.contains(\"role{at}\") && context.risk > 90 }};\n",
            resource(at)
        );
    }
    Policies::read(&text).map_err(|all| anyhow!("policies: {all:?}"))
}

fn question() -> Question {
    Question {
        principal: Asker {
            kind: Kind::Person,
            id: "usr_1".into(),
            client: "shop".into(),
            organization: Some("acme".into()),
            roles: vec!["buyer".into()],
            scopes: vec!["read:orders".into()],
            ..Asker::default()
        },
        method: "GET".into(),
        resource: Asked {
            route: "route1".into(),
            template: "/orders/{id}".into(),
            audience: "https://api.example.com".into(),
            path: "/orders/7".into(),
            parameters: [("id".to_owned(), "7".to_owned())].into(),
            ..Asked::default()
        },
        context: Circumstances {
            now: 1_767_259_800,
            user_agent: "bench".into(),
            risk: 10,
            ..Circumstances::default()
        },
    }
}

/// Microseconds for an answer to a question that was not asked before.
fn timed(policies: &Policies, question: &mut Question, count: &mut u32) -> f64 {
    let mut ask = || {
        *count += 1;
        question.principal.id = format!("usr_{count}");
        black_box(policies.decide(black_box(question)));
    };
    (0..TIMES / 10).for_each(|_| ask());
    let began = clock::now();
    (0..TIMES).for_each(|_| ask());
    began.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}

/// The same where it was.
fn timed_again(policies: &Policies, question: &Question) -> f64 {
    black_box(policies.decide(black_box(question)));
    let began = clock::now();
    for _ in 0..TIMES {
        black_box(policies.decide(black_box(question)));
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}
