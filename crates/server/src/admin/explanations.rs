//! Why a request was refused or a token is dead: by request id, by `jti`, or by
//! the token itself, which is read and forgotten.
//!
//! `GET /admin/v1/explanations/{id}` takes a request id (`req_…`) or a `jti`
//! (`tok_…`). What it knows of refusals and of issued tokens is this process's
//! memory of the last 4,096 of each; what was taken back, and by whom, is read
//! from the records and the audit trail. 404 where nothing is known.
//!
//! `POST /admin/v1/tokens:explain` takes a token and what a request would
//! demand of it.
//!
//! Spec: RFC 7662 §2.2

use http::StatusCode;
use serde_json::{Map, Value, json};
use symbolon_protocol::Timestamp;
use symbolon_store::{
    AuditEntry, AuditFilter, AuditPlace, FindRevocations, ListAudit, Revocation, Target,
};
use symbolon_token::explain::Check;
use symbolon_token::opaque::OpaqueToken;
use symbolon_token::revocation::{self, public_name};
use symbolon_token::{Id, Subject, Token};

use crate::cx::Cx;
use crate::endpoint::presented;
use crate::recent::{IssuedToken, Said, What};
use crate::respond;

use super::call::Call;
use super::failed::{Failed, Outcome, Refused};
use super::tokens::Named;

/// How many audit rows of one instant are looked at.
const MAX_ROWS: u32 = 64;

pub(super) async fn get(cx: Cx, call: Call) -> Outcome {
    let id = call.text_part("id");
    let body = match id.parse::<Id<Token>>() {
        Ok(token) => of_token(&cx, token).await?,
        Err(_) => of_request(&cx, id),
    };
    let body = body.ok_or_else(|| unknown(id))?;
    Ok(respond::json(StatusCode::OK, &body))
}

fn unknown(id: &str) -> Refused {
    Refused::not_found(format!(
        "nothing is known of `{id}`: it is no `req_…` or `tok_…`, or this process has neither refused nor issued it among the last few thousand; 32 hexadecimal digits are an id of the gateway, whose log has it as `request`, with cause and repair; the log has every request id, and `tokens:explain` reads a token itself"
    ))
}

/// What is known of a request that was refused.
fn of_request(cx: &Cx, id: &str) -> Option<Value> {
    let said = cx.recent.of_request(id);
    let first = said.first()?;
    let mut body = json!({ "id": id, "kind": "request", "at": first.at.to_string() });
    tell(&mut body, &said);
    Some(body)
}

/// What was said about one request, in one document.
fn tell(body: &mut Value, said: &[Said]) {
    for one in said {
        if let Some(caller) = &one.caller {
            body["client"] = caller.as_str().into();
        }
        match &one.what {
            What::Answered {
                endpoint,
                code,
                reason,
            } => {
                body["endpoint"] = (*endpoint).into();
                body["error"] = (*code).into();
                body["told"] = (*reason).into();
                if body.get("cause").is_none() {
                    body["cause"] = (*reason).into();
                }
                if body.get("repair").is_none() {
                    body["repair"] = repair(code).into();
                }
                if body.get("check").is_none() {
                    body["check"] = stage(code).into();
                }
            }
            What::Claimed(client) => body["claimed_client"] = client.as_str().into(),
            What::Because(cause) => body["cause"] = (*cause).into(),
            What::Repair(repair) => body["repair"] = (*repair).into(),
            What::Token {
                check,
                code,
                root,
                cause,
                repair,
            } => {
                body["check"] = check.name().into();
                body["code"] = (*code).into();
                body["root"] = (*root).into();
                body["cause"] = cause.as_str().into();
                body["repair"] = repair.as_str().into();
                body["checks"] = steps(Some(*check));
            }
            What::Jti(jti) => body["jti"] = jti.as_str().into(),
        }
    }
}

/// The six checks, up to the one that failed.
fn steps(failed: Option<Check>) -> Value {
    let outcome = |check: Check| match failed {
        Some(failed) if check == failed => "failed",
        Some(failed) if check > failed => "not_reached",
        _ => "passed",
    };
    let step = |check: Check| json!({ "check": check.name(), "outcome": outcome(check) });
    Check::ALL.into_iter().map(step).collect()
}

/// Which part of a flow an error of the standards is about.
fn stage(code: &str) -> &'static str {
    match code {
        "invalid_client" => "authentication",
        "invalid_dpop_proof" | "use_dpop_nonce" => "binding",
        "invalid_grant" => "grant",
        "invalid_token" => "token",
        "insufficient_scope" => "scope",
        "unauthorized_client" | "invalid_scope" | "invalid_target" | "access_denied" => "policy",
        "server_error" | "temporarily_unavailable" => "server",
        _ => "request",
    }
}

/// What repairs it, by the standard's error.
fn repair(code: &str) -> &'static str {
    match code {
        "invalid_client" => {
            "compare the client's id, its secret or key, and its `authentication` with the configuration"
        }
        "invalid_grant" => {
            "begin again: let the person sign in, or use the latest refresh token; a code and a refresh token are good once"
        }
        "unauthorized_client" => "add the grant to the client's `grants`",
        "unsupported_grant_type" => "ask for a grant that the metadata document names",
        "invalid_scope" => "ask for scopes that the client and the resource both have",
        "invalid_target" => {
            "send one `resource` that the client may use, exactly as it is registered"
        }
        "access_denied" => "ask again; the person or a policy said no",
        "invalid_dpop_proof" => {
            "make a new proof for each request, for its method, its address and this token"
        }
        "use_dpop_nonce" => {
            "send the request again with a proof that carries the nonce of `DPoP-Nonce`"
        }
        "invalid_token" => "ask for a new access token",
        "insufficient_scope" => "ask for a token with the scope that the answer names",
        "server_error" => "look into the log for this request id",
        "temporarily_unavailable" => "try again; if it stays, look at `/readyz` and the log",
        _ => "send what the standard demands: the reason names what is missing or wrong",
    }
}

/// What is known of a token by its id alone.
async fn of_token(cx: &Cx, token: Id<Token>) -> Result<Option<Value>, Failed> {
    let jti = token.to_string();
    let issued = cx.recent.find(token);
    let mut targets = vec![Target::Token(token)];
    if let Some(own) = &issued {
        targets.extend(Named::of_authority(&own.authority).targets());
        targets.push(Target::Key(own.made_with.key_name()));
    }
    let since = issued.as_ref().map_or(Timestamp::EPOCH, |own| own.issued);
    let taken_back = records_of(cx, targets, since).await?;
    let requests = cx.recent.requests_with(&jti);
    if issued.is_none() && taken_back.is_empty() && requests.is_empty() {
        return Ok(None);
    }
    let mut body = json!({ "id": jti, "kind": "token" });
    if let Some(issued) = &issued {
        body["issued"] = shown(issued);
    }
    let cause = cause(cx, issued.as_ref(), taken_back.first()).await?;
    body["cause"] = cause.into();
    body["taken_back"] = taken_back.into();
    let refusals: Vec<Value> = requests
        .iter()
        .filter_map(|request| of_request(cx, &request.to_string()))
        .collect();
    body["refusals"] = refusals.into();
    Ok(Some(body))
}

/// Why a token is refused: by a record that names it, or else by whatever would
/// be held against it if somebody showed it now.
async fn cause(
    cx: &Cx,
    issued: Option<&IssuedToken>,
    record: Option<&Value>,
) -> Result<String, Failed> {
    if let Some(record) = record {
        return Ok(taken(record));
    }
    let Some(own) = issued else {
        return Ok("nothing that is known here refuses it".to_owned());
    };
    let key = public_name(revocation::Target::Key, own.made_with.key_name());
    let token = OpaqueToken {
        token: own.token,
        issued: own.issued,
        authority: own.authority.clone(),
        key,
    };
    Ok(match presented::find_left(cx, token).await? {
        Err(refused) => refused.cause(),
        Ok(left) => {
            let lost = own.authority.scopes().without(&left);
            match lost.is_empty() {
                true => "nothing that is known here refuses it".to_owned(),
                false => format!(
                    "scope: its client or its API has `{lost}` no more; nothing else that is known here refuses it"
                ),
            }
        }
    })
}

fn taken(record: &Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    let named = match record["key"].as_str() {
        Some(key) => format!("key `{key}`"),
        None => text("what").to_owned(),
    };
    format!("revocation: its {named} was taken back at {}", text("at"))
}

pub(super) fn shown(own: &IssuedToken) -> Value {
    let may = &own.authority;
    json!({
        "at": own.issued.to_string(),
        "expires": may.expires().to_string(),
        "request": own.request.to_string(),
        "client": may.client(),
        "subject": subject(may.subject()),
        "audience": may.audiences().first(),
        "scope": may.scopes().to_string(),
        "family": may.family(),
        "grant": may.grant(),
        "session": may.session(),
        "organization": may.organization(),
        "bound": may.binding().is_bound(),
    })
}

pub(super) fn subject(subject: &Subject) -> String {
    match subject {
        Subject::Person(person) => person.to_string(),
        Subject::Client(client) => client.to_string(),
        Subject::Foreign(text) => text.to_string(),
    }
}

/// The records that hit a token, each with who took it back. A record from
/// before the token is about another one.
pub(super) async fn records_of(
    cx: &Cx,
    targets: Vec<Target>,
    since: Timestamp,
) -> Result<Vec<Value>, Failed> {
    let mut found = cx.store.read(FindRevocations { targets }).await?;
    found.retain(|own| own.at >= since);
    let mut shown = Vec::with_capacity(found.len());
    for record in &found {
        shown.push(record_shown(cx, record).await?);
    }
    Ok(shown)
}

async fn record_shown(cx: &Cx, record: &Revocation) -> Result<Value, Failed> {
    let kind = revocation::Target::numbered(record.target.kind());
    let mut shown = Map::new();
    let name = kind.map_or("record", revocation::Target::name);
    shown.insert("what".to_owned(), name.into());
    shown.insert("at".to_owned(), record.at.to_string().into());
    shown.insert("until".to_owned(), record.expires.to_string().into());
    if let Target::Key(key) = &record.target {
        shown.insert("key".to_owned(), key.as_str().into());
    }
    if let Some(entry) = who(cx, record).await? {
        shown.insert("by".to_owned(), entry.actor.into());
        shown.insert("action".to_owned(), entry.action.into());
        shown.insert("request".to_owned(), entry.request.into());
    }
    Ok(Value::Object(shown))
}

/// The audit row of the act that wrote a record: it was written in the same
/// transaction and so at the same instant, and it names the target.
async fn who(cx: &Cx, record: &Revocation) -> Result<Option<AuditEntry>, Failed> {
    let from = AuditPlace {
        at: record.at,
        node: i64::MIN,
        counter: i64::MIN,
    };
    let rows = cx
        .store
        .read(ListAudit {
            after: Some(from),
            limit: MAX_ROWS,
            filter: AuditFilter::default(),
        })
        .await?;
    let name = name_of(&record.target);
    let at_once = rows.into_iter().filter(|row| row.place.at == record.at);
    let mut naming = at_once.filter(|row| names(row, &name));
    Ok(naming.next())
}

fn names(row: &AuditEntry, name: &str) -> bool {
    row.subject.as_deref() == Some(name)
        || row.client.as_deref() == Some(name)
        || row.detail.to_string().contains(name)
}

fn name_of(target: &Target) -> String {
    match target {
        Target::Token(id) => id.to_string(),
        Target::Family(id) => id.to_string(),
        Target::Grant(id) => id.to_string(),
        Target::Session(id) => id.to_string(),
        Target::Subject(id) | Target::Membership(_, id) => id.to_string(),
        Target::Client(id) | Target::ClientSubject(id, _) => id.to_string(),
        Target::Organization(id) => id.to_string(),
        Target::Issuer(text) | Target::Key(text) | Target::Resource(text) => text.clone(),
    }
}
