//! Which certificates the issuer may show: those of the machine's authorities,
//! and those that are named here.
//!
//! Spec: RFC 5280 §6.1
//! Spec: RFC 7468 §5

use crate::fetch::NoAuthority;
use crate::misconfigured::Misconfigured;
use crate::verifier::Verifier;

impl Verifier {
    /// Trusts these authorities too where the issuer is asked: one certificate
    /// or more in PEM form, as of a company's own authority. The machine's stay
    /// trusted.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use symbolon_verify::{Algorithm, Verifier};
    /// let own = std::fs::read("/etc/company/ca.pem")?;
    /// let verifier = Verifier::new("https://as.internal", "https://api.internal", [Algorithm::Es256])?
    ///     .trust_authorities(&own)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn trust_authorities(self, pem: &[u8]) -> Result<Self, Misconfigured> {
        let http = self.inner.config.http.trusting(pem);
        let http = http.map_err(|why| match why {
            NoAuthority::None => Misconfigured::Authorities("there is no certificate".to_owned()),
            NoAuthority::Refused(why) => Misconfigured::Authorities(why.to_string()),
        })?;
        Ok(self.but(|config| config.http = http))
    }
}

#[cfg(test)]
mod tests {
    use symbolon_token::jose::Algorithm;

    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused_and_not_passed_over() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for bad in ["", "ca", key] {
            let own = Verifier::new(
                "https://as.example",
                "https://api.example",
                [Algorithm::Es256],
            );
            let refused = own.unwrap().trust_authorities(bad.as_bytes()).unwrap_err();

            assert_eq!(refused.code(), "invalid_authorities", "{bad}");
        }
    }
}
