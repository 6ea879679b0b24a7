//! What Envoy says of a request in a `CheckRequest`: nothing of it has been
//! judged. Numbers are those of its public messages.
//!
//! Spec: envoy.service.auth.v3
//! Spec: envoy.config.core.v3

use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use percent_encoding::percent_decode_str;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use symbolon_verify::PeerCertificate;

use super::wire::{Malformed, Value, fields};
use crate::forward_auth::NOT_DESCRIBED;
use crate::forward_auth::dialect::{self, Described};
use crate::problem::Problem;

/// A request as Envoy describes it.
#[derive(Debug, Default)]
pub(super) struct Told<'m> {
    method: &'m str,
    path: &'m str,
    host: &'m str,
    headers: Vec<(&'m [u8], &'m [u8])>,
    /// Whether headers stand there merged by their names, or one by one.
    is_merged: bool,
    is_apart: bool,
    /// Where it comes from.
    pub(super) source: Option<IpAddr>,
    /// The certificate that its caller showed to Envoy: PEM, percent-encoded.
    certificate: &'m str,
}

impl<'m> Told<'m> {
    /// Reads a `CheckRequest`.
    pub(super) fn read(message: &'m [u8]) -> Result<Self, Malformed> {
        let mut own = Self::default();
        for field in fields(message) {
            if let (1, value) = field? {
                own.attributes(value.bytes()?)?;
            }
        }
        Ok(own)
    }

    fn attributes(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        for field in fields(message) {
            match field? {
                (1, value) => self.peer(value.bytes()?)?,
                (4, value) => {
                    for field in fields(value.bytes()?) {
                        if let (2, value) = field? {
                            self.http(value.bytes()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn peer(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        for field in fields(message) {
            match field? {
                (1, value) => self.source = address(value.bytes()?)?,
                (5, value) => self.certificate = value.text()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn http(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        for field in fields(message) {
            match field? {
                (2, value) => self.method = value.text()?,
                (3, value) => {
                    self.is_merged = true;
                    self.header(value.bytes()?)?;
                }
                (4, value) => self.path = value.text()?,
                (5, value) => self.host = value.text()?,
                (13, value) => {
                    self.is_apart = true;
                    for field in fields(value.bytes()?) {
                        if let (1, value) = field? {
                            self.header(value.bytes()?)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Name and value; the latter as text, or as the bytes that were sent.
    fn header(&mut self, message: &'m [u8]) -> Result<(), Malformed> {
        let (mut name, mut text, mut raw) = (&b""[..], &b""[..], &b""[..]);
        for field in fields(message) {
            match field? {
                (1, value) => name = value.bytes()?,
                (2, value) => text = value.bytes()?,
                (3, value) => raw = value.bytes()?,
                _ => {}
            }
        }
        match (text.is_empty(), raw.is_empty()) {
            (false, false) => Err(Malformed),
            (true, _) => {
                self.headers.push((name, raw));
                Ok(())
            }
            (false, true) => {
                self.headers.push((name, text));
                Ok(())
            }
        }
    }

    /// The head of the request, with the host that it names, and what it asks for.
    pub(super) fn head(&self) -> Result<(Parts, Described), Problem> {
        if self.is_merged && self.is_apart {
            return Err(NOT_DESCRIBED);
        }
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        // What HTTP/2 writes beside headers is said in fields of its own.
        let real = self
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with(b":"));
        for (name, value) in real {
            let name = HeaderName::from_bytes(name).map_err(|_| NOT_DESCRIBED)?;
            let value = HeaderValue::from_bytes(value).map_err(|_| NOT_DESCRIBED)?;
            headers.try_append(name, value).map_err(|_| NOT_DESCRIBED)?;
        }
        let host = HeaderValue::from_str(self.host).map_err(|_| NOT_DESCRIBED)?;
        headers.try_append(HOST, host).map_err(|_| NOT_DESCRIBED)?;
        let described = Described {
            method: dialect::read_method(self.method)?,
            sent: self.path.to_owned(),
        };
        let mut parts = Request::new(()).into_parts().0;
        parts.headers = headers;
        Ok((parts, described))
    }

    /// The certificate whose key the caller proved to hold to Envoy.
    pub(super) fn certificate(&self) -> Result<Option<PeerCertificate>, Problem> {
        if self.certificate.is_empty() {
            return Ok(None);
        }
        let pem: Vec<u8> = percent_decode_str(self.certificate).collect();
        let der = CertificateDer::from_pem_slice(&pem).map_err(|_| NOT_DESCRIBED)?;
        Ok(Some(PeerCertificate::from_der(&der)))
    }
}

/// The address of a socket; nothing where it is none of the Internet's.
fn address(message: &[u8]) -> Result<Option<IpAddr>, Malformed> {
    for field in fields(message) {
        let (1, Value::Bytes(socket)) = field? else {
            continue;
        };
        for field in fields(socket) {
            if let (2, value) = field? {
                let address: Option<IpAddr> = value.text()?.parse().ok();
                return Ok(address.map(|own| own.to_canonical()));
            }
        }
    }
    Ok(None)
}
