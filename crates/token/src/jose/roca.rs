//! Moduli that a faulty library made: each of their primes is of the form
//! `k * M + (65537^a mod M)`, so the modulus is a power of 65537 modulo every
//! small prime. One of a sound generator is so by chance once in 2^27.
//!
//! Spec: CVE-2017-15361

/// The odd primes that every `M` of the library is a multiple of.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus, most significant byte first, bears the mark of the
/// library: it can be factored.
pub(super) fn is_suspect(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|prime| {
        let rest = modulus
            .iter()
            .fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime);
        is_power(rest, *prime)
    })
}

/// Whether `rest` is a power of 65537 modulo `prime`.
fn is_power(rest: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    for _ in 0..prime {
        if power == rest {
            return true;
        }
        power = power * generator % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of `power + times * product`, where `product` is that of all
    /// the primes and `power` is 65537^5 modulo it: what the library makes.
    fn marked(times: u8) -> Vec<u8> {
        let mut power = vec![1];
        for _ in 0..5 {
            multiply_add(&mut power, 65_537, 0);
        }
        let mut product = vec![u32::from(times)];
        for prime in PRIMES {
            multiply_add(&mut product, prime, 0);
        }
        let mut carry = 0;
        for (at, digit) in product.iter_mut().enumerate() {
            let sum = u64::from(*digit) + u64::from(power.get(at).copied().unwrap_or(0)) + carry;
            *digit = sum as u32;
            carry = sum >> 32;
        }
        product
            .iter()
            .rev()
            .flat_map(|digit| digit.to_be_bytes())
            .collect()
    }

    /// Multiplies and adds, the least significant digit first.
    fn multiply_add(digits: &mut Vec<u32>, by: u32, plus: u32) {
        let mut carry = u64::from(plus);
        for digit in digits.iter_mut() {
            let product = u64::from(*digit) * u64::from(by) + carry;
            *digit = product as u32;
            carry = product >> 32;
        }
        if carry > 0 {
            digits.push(carry as u32);
        }
    }

    /// Attack: E143
    #[test]
    fn what_the_library_makes_is_found_and_its_neighbours_are_not() {
        for times in [1, 2, 3, 250] {
            let mut modulus = marked(times);
            assert!(is_suspect(&modulus), "{times}");

            let last = modulus.len() - 1;
            modulus[last] ^= 6;

            assert!(!is_suspect(&modulus), "{times}");
        }
    }
}
