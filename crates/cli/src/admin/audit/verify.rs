//! Whether the trail is whole: computed here, from the server's chain or from
//! an export, without believing either.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Value, json};
use symbolon_token::audit::{Anchor, AnchorKey, ChainCheck, GENESIS, LinkHash};

use super::chain::{self, Line, digest, unreadable};
use crate::admin::connection::Connection;
use crate::admin::{Failed, print};

/// How long a line of an export may be, in bytes.
const MAX_LINE: u64 = 1024 * 1024;

/// What whoever asks knows from elsewhere.
#[derive(Default)]
pub(super) struct Known {
    heads: Vec<(i64, LinkHash)>,
    keys: Vec<AnchorKey>,
}

impl Known {
    pub(super) fn parse(heads: &[String], keys: &[String]) -> Result<Self, Failed> {
        let head = |text: &String| {
            let (link, hash) = text.split_once(':')?;
            Some((link.parse().ok()?, digest(hash)?))
        };
        let key = |text: &String| {
            let (name, public) = text.split_once('=')?;
            Some((name.to_owned(), digest(public)?))
        };
        let heads: Option<_> = heads.iter().map(head).collect();
        let keys: Option<_> = keys.iter().map(key).collect();
        let wrong = |what: &str| Failed::usage("usage", what);
        Ok(Self {
            heads: heads.ok_or_else(|| wrong("--expect takes LINK:HASH"))?,
            keys: keys.ok_or_else(|| wrong("--key takes NAME=PUBLIC"))?,
        })
    }

    /// A check from the first record on that there is: the first of all, the one
    /// after the start that is told, or the one after a head that is known.
    fn check(
        self,
        claimed: &Value,
        after: i64,
        start: Option<Value>,
    ) -> Result<(ChainCheck, Option<Anchor>), Failed> {
        let keys = match self.keys.is_empty() {
            true => chain::keys(claimed).ok_or_else(|| unreadable("what names the keys"))?,
            false => self.keys,
        };
        let unread = || unreadable("the start of the trail");
        let start = start.map(|start| chain::anchor(start).ok_or_else(unread));
        if let Some(start) = start.transpose()? {
            let mut check = ChainCheck::since(keys, &start);
            for (link, hash) in self.heads {
                if link < start.link {
                    return Err(too_old(link, &start));
                }
                check.expect(link, hash);
            }
            return Ok((check, Some(start)));
        }
        let start = self.heads.iter().find(|(link, _)| *link == after);
        let start = match start {
            Some(start) => Some(*start),
            None if after == 0 => Some((0, GENESIS)),
            None => {
                return Err(Failed::usage(
                    "audit.part",
                    format!("this export begins after link {after}: give that head with --expect"),
                ));
            }
        };
        let mut check = ChainCheck::new(keys, start);
        for (link, hash) in self.heads {
            check.expect(link, hash);
        }
        Ok((check, None))
    }
}

fn too_old(link: i64, start: &Anchor) -> Failed {
    let what = format!(
        "record {link} is not kept any more: the trail begins after record {}, anchored {}",
        start.link, start.at
    );
    Failed::usage("audit.part", what)
}

/// Checks the server's own chain.
pub(super) async fn server(connection: &Connection, known: Known) -> Result<(), Failed> {
    let mut part = chain::part(connection, 0).await?;
    let (mut check, start) = known.check(&part.keys, 0, part.start.take())?;
    loop {
        for value in part.anchors {
            let anchor = chain::anchor(value).ok_or_else(|| unreadable("an anchor"))?;
            check.anchor(&anchor);
        }
        for value in part.items {
            take(&mut check, value)?;
        }
        let Some(next) = part.next else {
            let ends = part.head["link"].as_i64();
            let strays = part.strays;
            let end = End {
                ends,
                strays,
                start,
            };
            return conclude(check, end, connection.json);
        };
        let next = next
            .parse()
            .map_err(|_| unreadable("the server's answer"))?;
        part = chain::part(connection, next).await?;
    }
}

/// Checks an export.
pub(super) fn file(path: &Path, known: Known, json: bool) -> Result<(), Failed> {
    let unopened = |error: std::io::Error| {
        let what = format!("could not read `{}`: {error}", path.display());
        Failed::new("audit.file", what)
    };
    let input: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path).map_err(unopened)?)
    };
    let mut lines = BufReader::new(input);
    let mut next = || -> Result<Option<Value>, Failed> {
        let mut line = Vec::new();
        let read = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        if read.map_err(unopened)? == 0 {
            return Ok(None);
        }
        let value = serde_json::from_slice(&line);
        value.map(Some).map_err(|_| unreadable("a line"))
    };
    let first = next()?.unwrap_or_default();
    if first["symbolon_audit"] != 1 {
        return Err(unreadable("the file"));
    }
    if first["filtered"] == true {
        return Err(Failed::usage(
            "audit.filtered",
            "this export was filtered: what is missing cannot be told from what was left out",
        ));
    }
    let after = first["after"].as_i64().unwrap_or(0);
    let start = first.get("start").filter(|start| start.is_object());
    let (mut check, start) = known.check(&first["keys"], after, start.cloned())?;
    while let Some(mut line) = next()? {
        if let Some(end) = line.get("end") {
            let strays = end["strays"].as_array().into_iter().flatten();
            let strays = strays.filter_map(|own| Some(own.as_str()?.to_owned()));
            let (ends, strays) = (end["link"].as_i64(), strays.collect());
            let end = End {
                ends,
                strays,
                start,
            };
            return conclude(check, end, json);
        }
        match line.get_mut("anchor") {
            Some(value) => {
                let anchor = chain::anchor(value.take());
                check.anchor(&anchor.ok_or_else(|| unreadable("an anchor"))?);
            }
            None => take(&mut check, line)?,
        }
    }
    Err(Failed::new(
        "audit.cut",
        "the export has no end: it was cut, or is still being followed",
    ))
}

fn take(check: &mut ChainCheck, value: Value) -> Result<(), Failed> {
    let line: Line = serde_json::from_value(value).map_err(|_| unreadable("a record"))?;
    let (link, hash) = (line.link, line.hash());
    let hash = hash.ok_or_else(|| unreadable("a record"))?;
    match line.record().ok_or_else(|| unreadable("a record"))? {
        Some(record) => check.record(&record, &hash),
        None => check.emptied(link, &hash),
    }
    Ok(())
}

/// What was said of the chain besides its records.
struct End {
    ends: Option<i64>,
    strays: Vec<String>,
    start: Option<Anchor>,
}

fn conclude(check: ChainCheck, end: End, json: bool) -> Result<(), Failed> {
    let End {
        ends,
        strays,
        start,
    } = end;
    let since = start
        .as_ref()
        .map(|start| (start.link, start.at.to_string()));
    let records = check.records();
    let (link, hash) = check.head();
    let written = |hash: LinkHash| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
    };
    let head = hash.map(|hash| format!("{link}:{}", written(hash)));
    let mut flaws: Vec<String> = check.finish().iter().map(ToString::to_string).collect();
    if ends.is_some_and(|ends| ends != link) {
        flaws.push(format!(
            "the chain ends at record {link}, and its head says {}",
            ends.unwrap_or_default()
        ));
    }
    flaws.extend(strays.iter().map(|stray| {
        format!("record {stray} (process and number) was put in: the chain has no link for it")
    }));
    if json {
        let since = since
            .as_ref()
            .map(|(link, at)| json!({ "after": link, "anchored": at }));
        let body = json!({
            "holds": flaws.is_empty(), "records": records, "since": since, "head": head, "flaws": flaws,
        });
        print::text(&body.to_string())?;
    } else {
        flaws.iter().try_for_each(|flaw| print::text(flaw))?;
    }
    if !flaws.is_empty() {
        return Err(Failed::new(
            "audit.broken",
            format!(
                "the audit trail was tampered with: {} findings",
                flaws.len()
            ),
        ));
    }
    if !json {
        print::text(&format!(
            "{records} records, each follows from the one before"
        ))?;
        if let Some((link, at)) = since {
            print::text(&format!(
                "kept since {at}, after record {link}; what was before was let go"
            ))?;
        }
        print::text(&format!("head {}", head.unwrap_or_default()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use symbolon_testkit::{START, SeededEntropy};
    use symbolon_token::Keyring;
    use symbolon_token::audit::{FORGET, Record};

    use super::*;

    fn written(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn shown(anchor: &Anchor) -> Value {
        json!({
            "link": anchor.link, "hash": written(&anchor.hash), "at_ms": anchor.at.millis(),
            "key": anchor.key, "signature": written(&anchor.signature),
        })
    }

    /// An export of ten records of which the first four were let go, with the
    /// digest of the second.
    fn export() -> (Vec<Value>, LinkHash) {
        let ring = Keyring::new(Keyring::generate(&SeededEntropy::new(3), Vec::new())).unwrap();
        let keys = ring.anchor_keys();
        let keys = keys
            .iter()
            .map(|(name, public)| json!({ "name": name, "public": written(public) }));
        let keys: Vec<Value> = keys.collect();
        let (mut before, mut second, mut lines) = (GENESIS, GENESIS, Vec::new());
        for link in 1..=10 {
            let record = Record {
                link,
                node: 1,
                counter: link - 1,
                at: START,
                action: if link == 10 { FORGET } else { "client.create" }.to_owned(),
                actor: "administrator".to_owned(),
                subject: None,
                client: None,
                detail: r#"{"through":4}"#.to_owned(),
                request: String::new(),
            };
            before = record.hash(&before);
            if link == 2 {
                second = before;
            }
            if link == 4 {
                let start = shown(&ring.anchor(4, before, START));
                let first =
                    json!({ "symbolon_audit": 1, "after": 4, "keys": keys, "start": start });
                lines = vec![first];
            }
            if link > 4 {
                lines.push(json!({
                    "link": link, "hash": written(&before), "node": "1", "counter": record.counter,
                    "at_ms": START.millis(), "action": record.action, "actor": record.actor,
                    "detail": record.detail, "request": record.request,
                }));
            }
        }
        lines.insert(
            1,
            json!({ "anchor": shown(&ring.anchor(10, before, START)) }),
        );
        lines.push(json!({ "end": { "link": 10, "strays": [] } }));
        (lines, second)
    }

    fn verify(lines: &[Value], heads: Vec<(i64, LinkHash)>) -> Result<(), Failed> {
        let name = format!("symbolon-verify-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let known = Known {
            heads,
            keys: Vec::new(),
        };
        let outcome = file(&path, known, true);
        std::fs::remove_file(path).unwrap();
        outcome
    }

    #[test]
    fn an_export_of_what_was_kept_verifies_and_a_cut_one_does_not() {
        let (lines, second) = export();
        assert!(verify(&lines, Vec::new()).is_ok());

        let early = verify(&lines, vec![(2, second)]).unwrap_err();
        assert_eq!(early.code(), "audit.part", "{early}");

        // Somebody names a later start, and leaves out what is before it.
        let mut cut = lines.clone();
        cut.remove(2);
        let broken = verify(&cut, Vec::new()).unwrap_err();
        assert_eq!(broken.code(), "audit.broken");
        let mut unsigned = lines;
        unsigned[0]["start"]["at_ms"] = 0.into();
        let broken = verify(&unsigned, Vec::new()).unwrap_err();
        assert_eq!(broken.code(), "audit.broken");
    }
}
