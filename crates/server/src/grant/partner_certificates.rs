//! The certificates of an issuer's assertions: whether they can be used is asked
//! where they are configured, not where somebody waits.

use symbolon_protocol::TrustedIssuer;

/// The member that holds them.
pub(crate) const MEMBER: &str = "saml_certificate";

/// Refuses certificates that would check nothing.
#[cfg(feature = "saml")]
pub(crate) fn check(issuer: &TrustedIssuer) -> Result<(), &'static str> {
    use symbolon_token::saml::Certificate;

    let Some(text) = &issuer.saml_certificate else {
        return Ok(());
    };
    let read = Certificate::parse_all(text)
        .map_err(|_| "is one X.509 certificate or several, in PEM, eight at most")?;
    if read.iter().all(|own| own.verifying_key().is_some()) {
        Ok(())
    } else {
        Err("holds a key that is not RSA of 2,048 bits or more, P-256 or P-384")
    }
}

/// Without the feature nothing is ever checked by them.
#[cfg(not(feature = "saml"))]
pub(crate) fn check(issuer: &TrustedIssuer) -> Result<(), &'static str> {
    match issuer.saml_certificate {
        None => Ok(()),
        Some(_) => Err("is for programs that were built with SAML"),
    }
}
