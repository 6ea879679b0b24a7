//! R06: bytes of the files are changed, or cut off. The store is refused with a
//! clear word, or says what it said before: a token that was taken back never
//! lives again, a spent one is never good, and nothing panics.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use symbolon_testkit::{Row, START, SeededEntropy};
use symbolon_token::clock::random;

use super::{Folder, audit};
use crate::conformance::World;
use crate::fault::Fault;
use crate::refresh_family::{NewFamily, Rotate, Rotated};
use crate::revocation::{RevokeToken, Target};
use crate::spent::{CLIENT_ASSERTION, SpendOnce};
use crate::store::{Options, Store};

/// What the database was told before it was damaged.
struct Told {
    family: NewFamily,
    rotated: Vec<Rotate>,
    revoked: Vec<RevokeToken>,
    spent: Vec<SpendOnce>,
}

/// A database with a log that was not copied back, and what it was told.
struct Pristine {
    folder: Folder,
    told: Told,
}

/// How a damaged database behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    /// It is refused at its start as damaged.
    Refused,
    /// It is refused for another reason, or an act is.
    Failed,
    /// All is as it was.
    Same,
    /// Something that was used up can be used once more.
    Again,
}

async fn tell(world: &World, told: &mut Told, number: u32) {
    let spend = SpendOnce {
        kind: CLIENT_ASSERTION,
        slot: world.slot(),
        key: world.bytes(),
        expires: world.horizon(),
    };
    assert!(world.store.act(spend.clone()).await.unwrap());
    told.spent.push(spend);
    let revoke = RevokeToken {
        token: world.id(told.family.id.slot()),
        client: told.family.client.clone(),
        subject: format!("usr_{number}"),
        expires: world.horizon(),
        horizon: world.horizon(),
        now: world.now,
        audit: Some(world.audit("token.revoke")),
    };
    world.store.act(revoke.clone()).await.unwrap();
    told.revoked.push(revoke);
    let rotate = match told.rotated.last() {
        None => world.rotate(&told.family),
        Some(last) => Rotate {
            generation: last.generation + 1,
            presented: last.next,
            next: world.bytes(),
            ..last.clone()
        },
    };
    let out = world.store.act(rotate.clone()).await.unwrap();
    assert!(matches!(out, Rotated::To(_)), "{out:?}");
    told.rotated.push(rotate);
}

impl Pristine {
    /// Half of what it is told is in the database, half in the log.
    async fn make() -> Self {
        let (work, folder) = (Folder::new(), Folder::new());
        let store = work.store().await;
        let world = |store: &Store, seed| {
            World::new(store.clone(), Arc::new(SeededEntropy::new(seed)), START)
        };
        let own = world(&store, 61);
        let family = own.family(&own.scene().await.unwrap()).await.unwrap();
        let mut told = Told {
            family,
            rotated: Vec::new(),
            revoked: Vec::new(),
            spent: Vec::new(),
        };
        for number in 0..20 {
            tell(&own, &mut told, number).await;
        }
        audit::link(&store, own.now).await;
        store.close().await;
        // A process of its own, as far as the trail can tell.
        let store = Store::open(&Options::new(work.url(), 8)).await.unwrap();
        // A reader of the empty log keeps it from being copied back.
        let reader = rusqlite::Connection::open(work.path().join(FILES[0])).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM meta")
            .unwrap();
        let own = world(&store, 62);
        for number in 20..40 {
            tell(&own, &mut told, number).await;
        }
        // What lies at the very end of a log cannot be told from what was never
        // finished, so it is something that nobody asks for.
        for _ in 0..2 {
            own.scene().await.unwrap();
        }
        std::fs::create_dir_all(folder.path()).unwrap();
        for file in FILES {
            std::fs::copy(work.path().join(file), folder.path().join(file)).unwrap();
        }
        drop(reader);
        store.close().await;
        Self { folder, told }
    }

    /// A copy, of one file of which something is changed.
    fn changed(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Folder {
        let copy = Folder::new();
        std::fs::create_dir_all(copy.path()).unwrap();
        for name in FILES {
            let mut bytes = std::fs::read(self.folder.path().join(name)).unwrap();
            if name == file {
                change(&mut bytes);
                put(&copy, name, &bytes);
                put(&copy, other(name), &self.bytes(other(name)));
                return copy;
            }
        }
        copy
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(file)).unwrap()
    }

    /// How a copy behaves.
    async fn look(&self, folder: &Folder) -> Seen {
        let opened = async {
            let store = Store::open(&Options::new(folder.url(), 9)).await?;
            store.migrate().await?;
            Ok(store)
        };
        let store = match opened.await {
            Ok(store) => store,
            Err(fault) => return failed(&fault),
        };
        let world = World::new(store.clone(), Arc::new(SeededEntropy::new(63)), START);
        let seen = self.ask(&world).await;
        store.close().await;
        seen.unwrap_or_else(|fault| failed(&fault))
    }

    async fn ask(&self, world: &World) -> Result<Seen, Fault> {
        let feed = crate::read_feed(&world.store, None).await?;
        if feed.head.epoch != 1 {
            // Another epoch voids every token.
            return Ok(Seen::Failed);
        }
        for revoke in &self.told.revoked {
            let target = Target::Token(revoke.token);
            let is_there = feed.revocations.iter().any(|own| own.target == target);
            assert!(is_there, "a token lives again");
        }
        let mut again = false;
        for spend in &self.told.spent {
            again |= world.store.act(spend.clone()).await?;
        }
        // The last one may be shown again within its grace, no other.
        let [.., before, _] = &*self.told.rotated else {
            unreachable!("it was rotated");
        };
        let out = world.store.act(before.clone()).await?;
        assert!(
            !matches!(out, Rotated::To(_) | Rotated::Same(_)),
            "a spent token is good: {out:?}"
        );
        Ok(if again { Seen::Again } else { Seen::Same })
    }
}

const FILES: [&str; 2] = ["symbolon.db", "symbolon.db-wal"];

fn other(name: &str) -> &'static str {
    if name == FILES[0] { FILES[1] } else { FILES[0] }
}

fn put(folder: &Folder, name: &str, bytes: &[u8]) {
    std::fs::write(folder.path().join(name), bytes).unwrap();
}

fn failed(fault: &Fault) -> Seen {
    let said = fault.to_string();
    assert!(!said.contains("panicked"), "{said}");
    match fault.is_damaged() {
        true => Seen::Refused,
        false => Seen::Failed,
    }
}

fn count(seen: &[Seen], wanted: Seen) -> usize {
    seen.iter().filter(|own| **own == wanted).count()
}

/// Row R06 of the reliability catalogue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_brings_nothing_back_to_life() {
    let pristine = Pristine::make().await;
    let entropy = SeededEntropy::new(64);
    let draw = |below: usize| {
        let drawn = u64::from_be_bytes(random(&entropy));
        usize::try_from(drawn % below as u64).unwrap()
    };
    let untouched = pristine.changed(FILES[0], |_| {});
    assert_eq!(pristine.look(&untouched).await, Seen::Same);

    let mut in_file: [Vec<Seen>; 2] = Default::default();
    for number in 0..Row::R06.size(100, 1_000) {
        let which = number % 2;
        let flip = |bytes: &mut Vec<u8>| {
            // Most of a small database is room that nothing stands in.
            let used = |at: &usize| bytes[*at] != 0;
            let at = std::iter::repeat_with(|| draw(bytes.len())).find(used);
            bytes[at.unwrap()] ^= 1 << draw(8);
        };
        let folder = pristine.changed(FILES[which], flip);
        in_file[which].push(pristine.look(&folder).await);
    }

    for (name, seen) in FILES.iter().zip(&in_file) {
        let [refused, failed, again] =
            [Seen::Refused, Seen::Failed, Seen::Again].map(|wanted| count(seen, wanted));
        eprintln!(
            "R06: {name}: of {}, {refused} refused, {failed} failed, {again} used twice",
            seen.len()
        );
        // A row of what was used up stands nowhere a second time.
        assert!(again * 20 <= seen.len(), "{again}");
        assert!(refused > 0);
    }
    // Whatever is changed in a log is found, but for what was forgotten anyway.
    let found = count(&in_file[1], Seen::Refused);
    assert!(found * 10 >= in_file[1].len() * 7, "{found}");
}

/// A file that ends too early is refused, or is what it was a moment before:
/// never half of an act, and never another's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_cut_off_is_refused_or_an_earlier_state() {
    let pristine = Pristine::make().await;
    let cut = |file: &str, parts: usize| {
        let length = pristine.bytes(file).len() * parts / 16;
        pristine.changed(file, |bytes| bytes.truncate(length))
    };
    for parts in 1..16 {
        let seen = pristine.look(&cut(FILES[0], parts)).await;
        // The last pages may stand in the log as a whole.
        let is_whole = parts > 8 && seen == Seen::Same;
        assert!(is_whole || seen == Seen::Refused, "{parts} of 16: {seen:?}");

        let folder = cut(FILES[1], parts);
        let store = Store::open(&Options::new(folder.url(), 9)).await;
        let store = match store {
            Ok(store) => store,
            Err(fault) => {
                assert!(fault.is_damaged(), "{fault}");
                continue;
            }
        };
        assert_is_a_state(&store, &pristine.told).await;
        store.close().await;
    }
}

/// What it was told is there up to some act, and nothing after it is.
async fn assert_is_a_state(store: &Store, told: &Told) {
    let world = World::new(store.clone(), Arc::new(SeededEntropy::new(65)), START);
    let feed = world.feed(None).await.unwrap();
    let is_there: Vec<bool> = told
        .revoked
        .iter()
        .map(|own| Target::Token(own.token))
        .map(|target| feed.revocations.iter().any(|own| own.target == target))
        .collect();
    let known = is_there.iter().take_while(|there| **there).count();
    assert!(known >= 20, "what the database held: {known}");
    assert!(!is_there[known..].contains(&true), "one is left out");
    let find = crate::FindFamily { id: told.family.id };
    let found = store.read(find).await.unwrap().unwrap();
    // Of one round the rotation comes last.
    let rounds = usize::try_from(found.generation).unwrap() - 1;
    assert!(
        rounds == known || rounds + 1 == known,
        "{rounds} and {known}"
    );
}

/// Whoever reads the message knows the file and what to do.
#[tokio::test]
async fn a_refusal_names_the_file_and_what_is_wrong_with_it() {
    let pristine = Pristine::make().await;
    let said = async |folder: &Folder| {
        let refused = Store::open(&Options::new(folder.url(), 9))
            .await
            .unwrap_err();
        assert!(refused.is_damaged());
        refused.to_string()
    };
    let database: PathBuf = Path::new("symbolon.db").to_owned();

    let head = said(&pristine.changed(FILES[1], |log| log[17] ^= 1)).await;
    let frame = said(&pristine.changed(FILES[1], |log| log[32 + 24 + 7] ^= 1)).await;
    let no_database = said(&pristine.changed(FILES[0], |bytes| bytes.fill(7))).await;

    for message in [&head, &frame] {
        assert!(message.contains(database.to_str().unwrap()), "{message}");
        assert!(message.contains("symbolon restore"), "{message}");
    }
    assert!(head.contains("the head of its log is damaged"), "{head}");
    assert!(frame.contains("goes on behind a frame"), "{frame}");
    assert!(
        no_database.contains("the store is damaged"),
        "{no_database}"
    );
}
