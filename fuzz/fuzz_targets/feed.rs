//! A stream of the revocation feed: events, packed records, heads.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use symbolon_token::feed::{Event, EventReader, Head, Unpacked, Unreadable, pack, unpack};
use symbolon_token::jose::KeySet;

static NO_KEYS: LazyLock<KeySet> =
    LazyLock::new(|| KeySet::parse(br#"{"keys":[]}"#).expect("an empty set is one"));

fuzz_target!(|bytes: &[u8]| {
    let mut events = Vec::new();
    let read = EventReader::default().read(bytes, |event| {
        events.push(event);
        Ok::<_, Unreadable>(())
    });
    // It does not matter how a stream is cut up.
    let (mut reader, mut again) = (EventReader::default(), Vec::new());
    let pieces = bytes.iter().try_for_each(|byte| {
        reader.read(&[*byte], |event| {
            again.push(event);
            Ok::<_, Unreadable>(())
        })
    });
    assert_eq!((read, &events), (pieces, &again));
    for Event { data, .. } in &events {
        assert!(Head::verify(data, &NO_KEYS).is_err());
        let packed = BASE64_URL_SAFE_NO_PAD.decode(data).unwrap_or_default();
        records(&packed);
    }
    records(bytes);
});

/// What is read is written as it was, but for what nobody knows.
fn records(packed: &[u8]) {
    let Some(all) = unpack(packed) else { return };
    for (record, bytes) in all.zip(packed.chunks(25)) {
        let Unpacked::Known(record) = record else {
            continue;
        };
        let mut again = Vec::new();
        pack(&record, &mut again);
        // An end beyond the last date is brought to it.
        assert_eq!(again[..17], bytes[..17]);
    }
}
