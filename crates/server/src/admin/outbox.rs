//! The outbox: what waits to be told to others, and what nobody took.

use std::collections::HashSet;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_store::{
    DeadLetter, DropDeadLetter, ListDeadLetters, OutboxLine, OutboxState, Retried, RetryDeadLetter,
};

use crate::cx::Cx;
use crate::respond;

use super::call::Call;
use super::event;
use super::failed::{Failed, Outcome, Refused};

/// How many dead letters are read at once.
const LETTERS_A_PAGE: u32 = 1000;

/// How long the name of a receiver may be, in bytes.
const MAX_RECEIVER_BYTES: usize = 512;

/// Which dead letters: exactly one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Letters {
    number: Option<i64>,
    receiver: Option<String>,
}

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<String>()?;
    let read = OutboxState {
        after: page.after.clone(),
        limit: page.limit,
    };
    let found = cx.store.read(read).await?;
    page.answer(&found, |line| line.receiver.clone(), line)
}

fn line(line: &OutboxLine) -> Value {
    json!({
        "receiver": line.receiver,
        "waiting": line.waiting,
        "oldest": line.oldest.map(|at| at.to_string()),
        "dead": line.dead,
        "dropped": line.dropped,
        "failures": line.failures,
        "next_try": line.next_try.to_string(),
    })
}

pub(super) async fn dead_letters(cx: Cx, call: Call) -> Outcome {
    let page = call.page::<i64>()?;
    let query = call.query()?;
    let receiver = query.one("receiver").map(str::to_owned);
    check_receiver(receiver.as_deref())?;
    let read = ListDeadLetters {
        after: page.after,
        receiver,
        limit: page.limit,
    };
    let found = cx.store.read(read).await?;
    page.answer(&found, |letter| letter.number.to_string(), shown)
}

fn check_receiver(receiver: Option<&str>) -> Result<(), Refused> {
    match receiver {
        Some(name) if name.len() > MAX_RECEIVER_BYTES => {
            Err(Refused::member("receiver", "is the name of no receiver"))
        }
        _ => Ok(()),
    }
}

fn shown(letter: &DeadLetter) -> Value {
    json!({
        "number": letter.number,
        "jti": letter.id.to_string(),
        "receiver": letter.receiver,
        "event": letter.message.event,
        "user": letter.message.person,
        "attempts": letter.attempts,
        "created": letter.created.to_string(),
        "expires": letter.expires.to_string(),
        "reason": letter.reason,
    })
}

pub(super) async fn retry(cx: Cx, call: Call) -> Outcome {
    deal_with_all(&cx, &call, Verb::Retry).await
}

pub(super) async fn drop(cx: Cx, call: Call) -> Outcome {
    deal_with_all(&cx, &call, Verb::Drop).await
}

/// What is done with dead letters.
#[derive(Clone, Copy)]
enum Verb {
    /// They are offered again.
    Retry,
    /// They are forgotten.
    Drop,
}

/// What became of one.
enum Dealt {
    Done,
    Missing,
    /// Nothing, since its stream would not be told it.
    Untold,
    /// Nothing, since as many wait as may.
    Full,
}

/// What became of some.
#[derive(Default)]
struct AllDealt {
    done: u32,
    /// How many are dead still, since their streams would not be told them.
    untold: u32,
    /// Whether the rest found no room.
    is_full: bool,
}

/// Deals with the letters that a document names.
async fn deal_with_all(cx: &Cx, call: &Call, verb: Verb) -> Outcome {
    let all = match call.document()? {
        Letters {
            number: Some(number),
            receiver: None,
        } => match deal_with(cx, number, verb).await? {
            Dealt::Done => AllDealt {
                done: 1,
                ..AllDealt::default()
            },
            Dealt::Missing => {
                let why = format!("there is no dead letter `{number}`");
                return Err(Refused::not_found(why).into());
            }
            Dealt::Untold => {
                let why = "its stream asks for no such event, or tells of the person no more; it is dead still";
                return Err(Refused::conflict(why).into());
            }
            Dealt::Full => {
                let why = "as many messages as may wait for its receiver; try again once it has taken some";
                return Err(Refused::conflict(why).into());
            }
        },
        Letters {
            number: None,
            receiver: Some(receiver),
        } => {
            check_receiver(Some(&receiver))?;
            all_of(cx, receiver, verb).await?
        }
        _ => return Err(Refused::invalid("name either `number` or `receiver`").into()),
    };
    let done = json!({ "letters": all.done, "untold": all.untold, "full": all.is_full });
    Ok(respond::json(StatusCode::OK, &done))
}

/// Deals with all that a receiver has, oldest first.
async fn all_of(cx: &Cx, receiver: String, verb: Verb) -> Result<AllDealt, Failed> {
    let (mut all, mut dealt_with) = (AllDealt::default(), HashSet::new());
    let mut page = ListDeadLetters {
        after: None,
        receiver: Some(receiver),
        limit: LETTERS_A_PAGE,
    };
    loop {
        let found = cx.store.read(page.clone()).await?;
        let Some(last) = found.last() else {
            return Ok(all);
        };
        page.after = Some(last.number);
        for letter in &found {
            // What was offered again, and refused at once, bears its old name: it
            // would be offered for ever.
            if !dealt_with.insert(letter.id) {
                continue;
            }
            match deal_with(cx, letter.number, verb).await? {
                Dealt::Done => all.done += 1,
                Dealt::Missing => {}
                Dealt::Untold => all.untold += 1,
                Dealt::Full => {
                    all.is_full = true;
                    return Ok(all);
                }
            }
        }
    }
}

/// Deals with one letter.
async fn deal_with(cx: &Cx, number: i64, verb: Verb) -> Result<Dealt, Failed> {
    let action = match verb {
        Verb::Retry => "dead_letter.retry",
        Verb::Drop => "dead_letter.drop",
    };
    let (mut audit, now) = (event(cx, action), cx.now);
    audit.detail = json!({ "number": number });
    Ok(match verb {
        Verb::Retry => {
            let act = RetryDeadLetter { number, audit, now };
            match cx.store.act(act).await? {
                Retried::Waits => Dealt::Done,
                Retried::Missing => Dealt::Missing,
                Retried::Untold => Dealt::Untold,
                Retried::Full => Dealt::Full,
            }
        }
        Verb::Drop => {
            let act = DropDeadLetter { number, audit, now };
            match cx.store.act(act).await? {
                true => Dealt::Done,
                false => Dealt::Missing,
            }
        }
    })
}
