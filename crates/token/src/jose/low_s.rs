//! One of the two signatures that ECDSA has for each: the one with the lower s.
//!
//! Whoever has (r, s) can write (r, n − s), which verifies too. This software
//! signs with the lower of the two and takes no other of what it made itself,
//! so a token has one text. What others sign may be either.
//!
//! Spec: FIPS 186-5 §6.4
//! Spec: SEC 1 §4.1.3

use super::Algorithm;

/// The order of P-256 (SP 800-186 §3.2.1.3).
const P256: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of P-384 (SP 800-186 §3.2.1.4).
const P384: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// Writes the lower s into a signature of two numbers of full length.
pub(super) fn lower(signature: &mut [u8]) {
    let order: &[u8] = match signature.len() {
        64 => &P256,
        96 => &P384,
        _ => return,
    };
    let s = &mut signature[order.len()..];
    let other = minus(order, s);
    if other.as_slice() < &*s {
        s.copy_from_slice(&other);
    }
}

/// Whether a signature that verifies under an algorithm is the one of its two
/// that is written here.
pub(crate) fn is_lower(algorithm: Algorithm, signature: &[u8]) -> bool {
    if !matches!(algorithm, Algorithm::Es256 | Algorithm::Es384) {
        return true;
    }
    let mut own = signature.to_vec();
    lower(&mut own);
    own == signature
}

/// The difference of two numbers of as many bytes, the larger one first.
fn minus(from: &[u8], what: &[u8]) -> Vec<u8> {
    let mut left = from.to_vec();
    let mut borrowed = false;
    for (own, byte) in left.iter_mut().zip(what).rev() {
        let (one, first) = own.overflowing_sub(*byte);
        let (two, second) = one.overflowing_sub(u8::from(borrowed));
        (*own, borrowed) = (two, first || second);
    }
    left
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::SigningAlgorithm;

    use super::*;
    use crate::jose::{SigningKey, VerifyingKey};

    #[test]
    fn what_is_signed_here_is_always_the_lower_of_two_and_both_verify() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384] {
            let key = SigningKey::generate(algorithm).unwrap();
            let key = SigningKey::from_pkcs8(algorithm, &key).unwrap();
            let public = VerifyingKey::from_jwk(key.public_jwk().as_object().unwrap()).unwrap();
            for message in 0..32_u8 {
                let signature = key.sign_bytes(&[message]);
                let half = signature.len() / 2;
                let order: &[u8] = if half == 32 { &P256 } else { &P384 };
                let mut twin = signature.clone();
                twin[half..].copy_from_slice(&minus(order, &signature[half..]));

                assert!(is_lower(algorithm.into(), &signature));
                assert!(!is_lower(algorithm.into(), &twin));
                assert!(public.verifies(&[message], &signature));
                assert!(public.verifies(&[message], &twin), "a foreign one may be");
                lower(&mut twin);
                assert_eq!(twin, signature);
            }
        }
    }
}
