//! DPoP proofs: a stranger's text never panics, and what a key's own holder
//! writes is taken only where it says what it has to.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use symbolon_protocol::{SigningAlgorithm, TargetUri, Timestamp};
use symbolon_testkit::SeededEntropy;
use symbolon_token::dpop::{Expected, ProofMemory, check};
use symbolon_token::jose::{SigningKey, json};

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let document = SigningKey::generate(SigningAlgorithm::Es256).expect("the library makes keys");
    SigningKey::from_pkcs8(SigningAlgorithm::Es256, &document).expect("it was just made")
});
static TARGET: LazyLock<TargetUri> = LazyLock::new(|| {
    let target = "https://login.example.com/token".parse();
    target.expect("the address is one")
});

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

// A proof, a line end, and the claims of another one.
fuzz_target!(|text: &str| {
    let (text, claims) = text.split_once('\n').unwrap_or((text, text));
    for access_token in [None, Some("token")] {
        let expected = Expected {
            method: "POST",
            target: &TARGET,
            access_token,
            now: NOW,
            skew: Duration::from_secs(10),
        };
        let _ = check(text, &expected);
        judge(claims, &expected);
    }
});

/// Claims of somebody who has a key: only they are left to refuse.
fn judge(claims: &str, expected: &Expected<'_>) {
    let header = format!(
        r#"{{"alg":"ES256","typ":"dpop+jwt","jwk":{}}}"#,
        KEY.bare_jwk()
    );
    let own = KEY.sign_under(&header, claims.as_bytes());
    let Ok(proof) = check(&own, expected) else {
        return;
    };
    let said = json::object(claims.as_bytes()).expect("what was taken is an object");
    let text = |name: &str| said.get(name).and_then(|own| own.as_str());
    assert_eq!(text("htm"), Some("POST"));
    assert!(text("htu").is_some_and(|own| TARGET.is_spelled(own)));
    assert!(text("jti").is_some_and(|own| !own.is_empty()));
    assert!(expected.access_token.is_none() || text("ath").is_some());
    let age = NOW.since(proof.issued()).max(proof.issued().since(NOW));
    assert!(age <= Duration::from_secs(70));
    assert_eq!(proof.key().to_string(), KEY.kid());
    let began = Timestamp::from_seconds(NOW.seconds() - 3600);
    let memory = ProofMemory::new(&SeededEntropy::new(1), began, expected.skew);
    if proof.nonce().is_none() {
        assert!(memory.spend(&proof, NOW).is_ok());
    }
    assert!(memory.spend(&proof, NOW).is_err());
}
