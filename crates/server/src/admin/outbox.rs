//! The outbox: what waits to be told to others, and what nobody took.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use symbolon_store::{
    DeadLetter, DropDeadLetter, ListDeadLetters, OutboxLine, OutboxState, RetryDeadLetter,
};

use crate::cx::Cx;
use crate::respond;

use super::call::Call;
use super::event;
use super::failed::{Failed, Outcome, Refused};

/// How many dead letters one call deals with.
const MAX_LETTERS: u32 = 1000;

/// How long the name of a receiver may be, in bytes.
const MAX_RECEIVER_BYTES: usize = 512;

/// Which dead letters: exactly one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Letters {
    number: Option<i64>,
    receiver: Option<String>,
}

pub(super) async fn get(cx: Cx, _call: Call) -> Outcome {
    let lines = cx.store.read(OutboxState).await?;
    let items: Vec<Value> = lines.iter().map(line).collect();
    Ok(respond::json(StatusCode::OK, &json!({ "items": items })))
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
    let mut count = 0_u32;
    for number in numbers(&cx, &call).await? {
        let mut audit = event(&cx, "dead_letter.retry");
        audit.detail = json!({ "number": number });
        let act = RetryDeadLetter {
            number,
            audit,
            now: cx.now,
        };
        count += u32::from(cx.store.act(act).await?);
    }
    Ok(respond::json(StatusCode::OK, &json!({ "letters": count })))
}

pub(super) async fn drop(cx: Cx, call: Call) -> Outcome {
    let mut count = 0_u32;
    for number in numbers(&cx, &call).await? {
        let mut audit = event(&cx, "dead_letter.drop");
        audit.detail = json!({ "number": number });
        let act = DropDeadLetter {
            number,
            audit,
            now: cx.now,
        };
        count += u32::from(cx.store.act(act).await?);
    }
    Ok(respond::json(StatusCode::OK, &json!({ "letters": count })))
}

/// The letters that a document names, oldest first.
async fn numbers(cx: &Cx, call: &Call) -> Result<Vec<i64>, Failed> {
    match call.document()? {
        Letters {
            number: Some(number),
            receiver: None,
        } => Ok(vec![number]),
        Letters {
            number: None,
            receiver: Some(receiver),
        } => {
            check_receiver(Some(&receiver))?;
            let read = ListDeadLetters {
                after: None,
                receiver: Some(receiver),
                limit: MAX_LETTERS,
            };
            let found = cx.store.read(read).await?;
            Ok(found.into_iter().map(|letter| letter.number).collect())
        }
        _ => Err(Refused::invalid("name either `number` or `receiver`").into()),
    }
}
