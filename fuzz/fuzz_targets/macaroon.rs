//! Macaroons in every form, with discharges: what opens is a root that was
//! minted here, and permits no more than that.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::Timestamp;
use symbolon_testkit::SeededEntropy;
use symbolon_token::macaroon::{self, Caveat, Context, Request, SharedPresented};
use symbolon_token::seal::Bound;
use symbolon_token::{Authority, Granted, Keyring, Position};

const NOW: Timestamp = Timestamp::from_seconds(1_767_225_600);
const BOUND: Bound<'_> = Bound {
    issuer: "https://login.example.com",
    epoch: 1,
};

struct World {
    keys: Keyring,
    whole: Authority,
    text: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let keys = Keyring::generate(&SeededEntropy::new(1), Vec::new());
    let keys = Keyring::new(keys).expect("a generated ring is whole");
    let whole = Authority::granted(Granted::to_client(
        "job".parse().expect("an identifier"),
        "https://api.example.com".parse().expect("an identifier"),
        "read:orders write:orders".parse().expect("two scopes"),
        NOW + Duration::from_secs(600),
        Position {
            epoch: 1,
            sequence: 7,
        },
    ));
    // The same bytes in every run, so that a seed can begin with them.
    let minted = macaroon::mint(&keys, BOUND, &whole, NOW, &SeededEntropy::new(3));
    let text = minted.ok().expect("so little fits").text;
    World { keys, whole, text }
});

// A macaroon, and behind it a line for each caveat or discharge.
fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let text = lines.next().unwrap_or_default();
    let caveats: Vec<&str> = lines.collect();
    judge(text);
    judge(&bent(&WORLD.text, text.as_bytes()));
    let _ = macaroon::is_counted(text);
    if let Ok(Some(shared)) = SharedPresented::parse(text) {
        let _ = (shared.claimed_key(), shared.key_name());
        assert!(shared.open_as_server(&WORLD.keys, BOUND).is_err());
    }
    if let Ok(one) = macaroon::present(text, &caveats) {
        judge(&one);
    }
    let caveats: Vec<Caveat> = caveats.iter().filter_map(|own| own.parse().ok()).collect();
    for caveat in &caveats {
        assert_eq!(caveat.to_string().parse().as_ref(), Ok(caveat));
    }
    if let Ok(narrower) = macaroon::attenuate(&WORLD.text, &caveats) {
        assert!(macaroon::inspect(&narrower).is_ok());
        judge(&narrower);
    }
    let _ = macaroon::attenuate(text, &caveats);
});

/// A text with characters changed: where and into what, in pairs.
fn bent(text: &str, by: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = text.as_bytes().to_vec();
    for pair in by.chunks_exact(2) {
        let at = usize::from(pair[0]) * 2 % bytes.len();
        bytes[at] = ALPHABET[usize::from(pair[1]) % ALPHABET.len()];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whatever opens came of the one root that there is.
fn judge(text: &str) {
    let _ = macaroon::inspect(text);
    let _ = macaroon::name(&WORLD.keys, BOUND, text);
    let Ok(token) = macaroon::open(&WORLD.keys, BOUND, text) else {
        return;
    };
    let context = Context {
        now: NOW,
        skew: Duration::ZERO,
        request: Request {
            method: Some("GET"),
            path: Some("/orders/7"),
            address: None,
        },
    };
    if let Ok((left, _)) = token.judge(&context) {
        assert!(left.is_within(&WORLD.whole));
    }
}
