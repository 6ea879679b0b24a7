//! Whether the trail is whole: computed here, from the server's chain or from
//! an export, without believing either. What no digest is over has to be just as
//! a server writes it: people, and other programs, read that, too.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use symbolon_token::audit::{Anchor, AnchorKey, ChainCheck, GENESIS, LinkHash, MAX_FLAWS};
use symbolon_token::jose::json::object;

use super::chain::{self, FOREIGN, Line, digest, unreadable};
use crate::admin::connection::Connection;
use crate::admin::{Failed, print};

/// How long a line of an export may be, in bytes.
const MAX_LINE: u64 = 1024 * 1024;
/// What the first line of an export may have.
const FIRST: [&str; 4] = ["symbolon_audit", "after", "keys", "start"];

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
    ) -> Result<(Check, Option<Anchor>), Failed> {
        let keys = match self.keys.is_empty() {
            true => chain::keys(claimed).ok_or_else(|| unreadable("what names the keys"))?,
            false => self.keys,
        };
        let unread = || unreadable("the start of the trail");
        let start = start.map(|start| chain::anchor(start).ok_or_else(unread));
        if let Some((start, changed)) = start.transpose()? {
            let mut check = Check::of(ChainCheck::since(keys, &start));
            check.compare_anchor(&start, changed);
            for (link, hash) in self.heads {
                if link < start.link {
                    return Err(too_old(link, &start));
                }
                check.chain.expect(link, hash);
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
        let mut check = Check::of(ChainCheck::new(keys, start));
        for (link, hash) in self.heads {
            check.chain.expect(link, hash);
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
            check.anchor(value)?;
        }
        for value in part.items {
            check.line(value)?;
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
    let mut lines = Lines::open(path)?;
    let first = lines.read()?.unwrap_or_default();
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
    let mut members = first.as_object().into_iter().flat_map(Map::keys);
    if members.any(|name| !FIRST.contains(&name.as_str())) {
        check.find(format!("the first line was changed: {FOREIGN}"));
    }
    while let Some(mut line) = lines.read()? {
        let anchor = line.get_mut("anchor").map(Value::take);
        let end = line.get_mut("end").map(Value::take);
        let is_alone = line.as_object().is_some_and(|line| line.len() == 1);
        if (anchor.is_some() || end.is_some()) && !is_alone {
            check.find(format!("line {} was changed: {FOREIGN}", lines.number));
        }
        if let Some(end) = end {
            let end = check.end(end, start)?;
            if lines.has_more()? {
                check.find("something was put in behind the end".to_owned());
            }
            for own in lines.found {
                check.find(own);
            }
            return conclude(check, end, json);
        }
        match anchor {
            Some(anchor) => check.anchor(anchor)?,
            None => check.line(line)?,
        }
    }
    Err(Failed::new(
        "audit.cut",
        "the export has no end: it was cut, or is still being followed",
    ))
}

/// The lines of an export.
struct Lines<'a> {
    path: &'a Path,
    input: BufReader<Box<dyn Read>>,
    number: u64,
    /// The lines that say one thing to this reader and another to the next.
    found: Vec<String>,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self, Failed> {
        let input: Box<dyn Read> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(path).map_err(|error| unopened(path, &error))?)
        };
        Ok(Self {
            path,
            input: BufReader::new(input),
            number: 0,
            found: Vec::new(),
        })
    }

    /// The next line.
    fn read(&mut self) -> Result<Option<Value>, Failed> {
        let mut line = Vec::new();
        let mut limited = self.input.by_ref().take(MAX_LINE);
        let read = limited.read_until(b'\n', &mut line);
        if read.map_err(|error| unopened(self.path, &error))? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if let Ok(line) = object(&line) {
            return Ok(Some(line.into()));
        }
        let line = serde_json::from_slice(&line).map_err(|_| unreadable("a line"))?;
        if self.found.len() < MAX_FLAWS {
            let number = self.number;
            self.found.push(format!(
                "line {number} was changed: a member stands in it twice"
            ));
        }
        Ok(Some(line))
    }

    /// Whether anything but blanks is left.
    fn has_more(&mut self) -> Result<bool, Failed> {
        loop {
            let rest = self.input.fill_buf();
            let rest = rest.map_err(|error| unopened(self.path, &error))?;
            if rest.is_empty() || !rest.trim_ascii().is_empty() {
                return Ok(!rest.is_empty());
            }
            let read = rest.len();
            self.input.consume(read);
        }
    }
}

fn unopened(path: &Path, error: &std::io::Error) -> Failed {
    let what = format!("could not read `{}`: {error}", path.display());
    Failed::new("audit.file", what)
}

/// A chain on its way through, and what was found that no digest is over.
struct Check {
    chain: ChainCheck,
    found: Vec<String>,
}

impl Check {
    fn of(chain: ChainCheck) -> Self {
        Self {
            chain,
            found: Vec::new(),
        }
    }

    /// Takes a link.
    fn line(&mut self, value: Value) -> Result<(), Failed> {
        let line: Line = serde_json::from_value(value).map_err(|_| unreadable("a record"))?;
        let (link, hash) = (line.link, line.hash());
        let hash = hash.ok_or_else(|| unreadable("a record"))?;
        if let Some(why) = line.changed() {
            self.find(format!("record {link} was changed: {why}"));
        }
        match line.record().ok_or_else(|| unreadable("a record"))? {
            Some(record) => self.chain.record(&record, &hash),
            None => self.chain.emptied(link, &hash),
        }
        Ok(())
    }

    /// Takes an anchor.
    fn anchor(&mut self, value: Value) -> Result<(), Failed> {
        let read = chain::anchor(value).ok_or_else(|| unreadable("an anchor"))?;
        let (anchor, changed) = read;
        self.compare_anchor(&anchor, changed);
        self.chain.anchor(&anchor);
        Ok(())
    }

    fn compare_anchor(&mut self, anchor: &Anchor, changed: Option<&str>) {
        if let Some(why) = changed {
            let link = anchor.link;
            self.find(format!("the anchor at record {link} was changed: {why}"));
        }
    }

    /// Takes the end of an export, which is what its next part is joined by.
    fn end(&mut self, value: Value, start: Option<Anchor>) -> Result<End, Failed> {
        let written: WrittenEnd =
            serde_json::from_value(value).map_err(|_| unreadable("the end of the export"))?;
        let (_, head) = self.chain.head();
        let is_other = match &written.hash {
            Some(hash) => digest(hash) != head,
            // A chain of which nothing is there yet.
            None => self.chain.head().0 != 0,
        };
        for (is_so, why) in [
            (is_other, "it names another head"),
            (
                written.records != self.chain.records(),
                "it counts other records",
            ),
            (!written.others.is_empty(), FOREIGN),
        ] {
            if is_so {
                self.find(format!("the end was changed: {why}"));
            }
        }
        Ok(End {
            ends: Some(written.link),
            strays: written.strays,
            start,
        })
    }

    /// Past [`MAX_FLAWS`], no more are kept.
    fn find(&mut self, what: String) {
        if self.found.len() < MAX_FLAWS {
            self.found.push(what);
        }
    }
}

#[derive(Deserialize)]
struct WrittenEnd {
    link: i64,
    hash: Option<String>,
    records: u64,
    strays: Vec<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// What was said of the chain besides its records.
struct End {
    ends: Option<i64>,
    strays: Vec<String>,
    start: Option<Anchor>,
}

fn conclude(check: Check, end: End, json: bool) -> Result<(), Failed> {
    let Check {
        chain: check,
        found,
    } = check;
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
    flaws.extend(found);
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
    use std::sync::atomic::{AtomicU32, Ordering};

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
            "link": anchor.link, "hash": written(&anchor.hash), "at": anchor.at.to_string(),
            "at_ms": anchor.at.millis(), "key": anchor.key, "signature": written(&anchor.signature),
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
                    "at": START.to_string(), "at_ms": START.millis(), "action": record.action,
                    "actor": record.actor, "subject": record.subject, "client": record.client,
                    "detail": record.detail, "request": record.request,
                }));
            }
        }
        lines.insert(
            1,
            json!({ "anchor": shown(&ring.anchor(10, before, START)) }),
        );
        let end = json!({ "link": 10, "hash": written(&before), "records": 6, "strays": [] });
        lines.push(json!({ "end": end }));
        (lines, second)
    }

    fn text(lines: &[Value]) -> String {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        lines.join("\n") + "\n"
    }

    fn verify(lines: &[Value], heads: Vec<(i64, LinkHash)>) -> Result<(), Failed> {
        verify_text(&text(lines), heads)
    }

    fn verify_text(text: &str, heads: Vec<(i64, LinkHash)>) -> Result<(), Failed> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("symbolon-verify-{}-{number}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
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

    /// What people read in an export is changed where no digest is over it.
    #[test]
    fn what_no_digest_is_over_is_as_a_server_writes_it_or_told() {
        let (lines, _) = export();
        let changes: [fn(&mut Vec<Value>); 13] = [
            |lines| lines[2]["at"] = "2020-01-01T00:00:00Z".into(),
            |lines| lines[2]["at"] = Value::Null,
            |lines| lines[2]["note"] = "approved".into(),
            |lines| lines[1]["anchor"]["at"] = "2020-01-01T00:00:00Z".into(),
            |lines| lines[1]["anchor"]["note"] = "approved".into(),
            |lines| lines[1]["note"] = "approved".into(),
            |lines| lines[0]["start"]["at"] = "2020-01-01T00:00:00Z".into(),
            |lines| lines[0]["note"] = "approved".into(),
            |lines| lines[8]["end"]["hash"] = written(&[1; 32]).into(),
            |lines| lines[8]["end"]["hash"] = Value::Null,
            |lines| lines[8]["end"]["records"] = 7.into(),
            |lines| lines[8]["end"]["note"] = "approved".into(),
            |lines| lines.push(lines[7].clone()),
        ];

        for (number, change) in changes.iter().enumerate() {
            let mut changed = lines.clone();
            change(&mut changed);
            let told = verify(&changed, Vec::new()).unwrap_err();
            assert_eq!(told.code(), "audit.broken", "{number}: {told}");
        }

        // Blanks at the end of a file are nothing.
        assert!(verify_text(&(text(&lines) + "\n"), Vec::new()).is_ok());
    }

    /// Readers differ in which of two members they believe.
    #[test]
    fn a_member_that_stands_in_a_line_twice_is_told() {
        let (lines, _) = export();
        let text = text(&lines);
        let (once, twice) = (
            r#""actor":"administrator""#,
            r#""actor":"somebody","actor":"administrator""#,
        );
        assert!(text.contains(once));

        let told = verify_text(&text.replacen(once, twice, 1), Vec::new()).unwrap_err();

        assert_eq!(told.code(), "audit.broken", "{told}");
    }
}
