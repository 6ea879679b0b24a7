//! The request that a token is judged in, as it would have come.
//!
//! Spec: RFC 6750 §2.1
//! Spec: RFC 9449 §7.1

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use http::request::Parts;
use symbolon_verify::{ClientAddress, PeerCertificate};

use super::ExplainArguments;
use super::demand::Route;

/// Nothing where the token cannot stand in a header.
pub(super) fn parts(
    arguments: &ExplainArguments,
    route: &Route,
    token: &str,
) -> anyhow::Result<Option<Parts>> {
    let scheme = match arguments.dpop {
        Some(_) => "DPoP",
        None => "Bearer",
    };
    let Ok(value) = HeaderValue::from_str(&format!("{scheme} {token}")) else {
        return Ok(None);
    };
    let mut request = http::Request::builder()
        .method(route.method.as_str())
        .uri(route.path.as_str())
        .header("authorization", value);
    if let Some(proof) = &arguments.dpop {
        request = request.header("dpop", proof.trim());
    }
    let mut parts = request
        .body(())
        .context("the route is no request")?
        .into_parts()
        .0;
    if let Some(path) = &arguments.certificate {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("could not read `{}`", path.display()))?;
        let der = der(&text).with_context(|| format!("`{}` is no certificate", path.display()))?;
        parts.extensions.insert(PeerCertificate::from_der(&der));
    }
    if let Some(address) = arguments.check.client_ip {
        parts.extensions.insert(ClientAddress(address));
    }
    Ok(Some(parts))
}

/// The first certificate of a file.
fn der(text: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.split_whitespace().collect();
    BASE64_STANDARD.decode(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_certificate_of_a_file_is_read() {
        let pem = "x\n-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n";
        assert_eq!(der(pem), Some(vec![1, 2, 3]));
        assert_eq!(der("hello"), None);
    }
}
