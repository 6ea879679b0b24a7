//! A master key in a place that takes its time.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon_store::{Options, Store};
use symbolon_token::master::Wraps;
use symbolon_token::{Digest, Entropy, MasterKey, Secret};

use super::*;
use crate::clock::SystemEntropy;

/// Opens a key only after somebody said so.
#[derive(Debug)]
struct Slow {
    inner: MasterKey,
    asked: SyncSender<()>,
    may_answer: Mutex<Receiver<()>>,
}

impl Wraps for Slow {
    fn seal(&self, associated: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>> {
        let name = String::from_utf8_lossy(associated).into_owned();
        let secret = Secret::new(plain.to_vec());
        self.inner.wrap(&name, &secret, entropy).ok()
    }

    fn open(&self, associated: &[u8], sealed: &[u8]) -> Option<Secret> {
        let _ = self.asked.send(());
        let waited = self.may_answer.lock().ok()?;
        waited.recv_timeout(Duration::from_secs(20)).ok()?;
        let name = String::from_utf8_lossy(associated).into_owned();
        self.inner.unwrap(&name, sealed).ok()
    }

    fn fingerprint(&self) -> Option<Digest> {
        Some(self.inner.fingerprint())
    }
}

/// One thread serves all requests here. Were the master key asked on it, the
/// task that lets it answer would never run.
#[tokio::test]
async fn a_master_key_that_takes_its_time_holds_up_nobody() {
    let folder = std::env::temp_dir().join(format!(
        "symbolon-keys-{:016x}",
        u64::from_be_bytes(symbolon_token::random(&SystemEntropy))
    ));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("sqlite://{}", folder.join("symbolon.db").display());
    let options = Options::new(url, 1);
    let store = Store::open(&options).await.unwrap();
    store.migrate().await.unwrap();
    let (asked, was_asked) = sync_channel(64);
    let (answer, may_answer) = sync_channel(64);
    let slow = Slow {
        inner: MasterKey::generate(&SystemEntropy),
        asked,
        may_answer: Mutex::new(may_answer),
    };
    let masters = Masters::alone(MasterKey::elsewhere(Arc::new(slow)).unwrap());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let settings = KeySettings::default();

    let loading = load(&store, &masters, &settings, (Timestamp::EPOCH, &entropy));
    let letting = async {
        for _ in 0..64 {
            while was_asked.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
            answer.send(()).unwrap();
        }
    };
    let loaded = tokio::select! {
        loaded = loading => loaded,
        () = letting => panic!("more was asked than there are keys"),
    };

    assert!(loaded.unwrap().own.len() > 1);
    store.close().await;
    let _ = std::fs::remove_dir_all(folder);
}
