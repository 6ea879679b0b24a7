//! How each proxy describes the request that it asks about. One dialect is
//! configured, and the headers of the others mean nothing: what a proxy does not
//! write itself, its caller could.
//!
//! Spec: RFC 9110 §5.3, §9.1
//!
//! | dialect | method | target |
//! |---|---|---|
//! | nginx | `X-Original-Method` | `X-Original-URI` |
//! | ingress-nginx | `X-Original-Method` | `X-Original-URL`, with scheme and host |
//! | caddy, traefik | `X-Forwarded-Method` | `X-Forwarded-Uri`, beside `-Proto` and `-Host` |
//! | envoy | the question's own | the question's own, behind its path |
//! | envoy-grpc | in the message (`grpc`) | likewise |

use http::request::Parts;
use http::{HeaderMap, Method};

use super::NOT_DESCRIBED;
use crate::framing;
use crate::problem::Problem;
use crate::settings::Dialect;

/// A request as a proxy describes it; nothing of it has been judged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) method: Method,
    /// Path and query, as they were sent.
    pub(super) sent: String,
}

/// Reads a description; `path` is where it was asked.
pub(super) fn read(dialect: Dialect, path: &str, parts: &Parts) -> Result<Described, Problem> {
    let headers = &parts.headers;
    match dialect {
        Dialect::Nginx => Ok(Described {
            method: method(headers, "x-original-method")?,
            sent: once(headers, "x-original-uri")?.to_owned(),
        }),
        Dialect::IngressNginx => Ok(Described {
            method: method(headers, "x-original-method")?,
            sent: behind_host(once(headers, "x-original-url")?)?.to_owned(),
        }),
        Dialect::Caddy | Dialect::Traefik => {
            is_scheme(once(headers, "x-forwarded-proto")?)?;
            framing::read_host(once(headers, "x-forwarded-host")?.as_bytes())?;
            Ok(Described {
                method: method(headers, "x-forwarded-method")?,
                sent: once(headers, "x-forwarded-uri")?.to_owned(),
            })
        }
        Dialect::Envoy => {
            let whole = parts.uri.path_and_query().ok_or(NOT_DESCRIBED)?;
            let sent = whole.as_str().strip_prefix(path).ok_or(NOT_DESCRIBED)?;
            Ok(Described {
                method: parts.method.clone(),
                sent: sent.to_owned(),
            })
        }
        // No head describes anything there.
        Dialect::EnvoyGrpc => Err(NOT_DESCRIBED),
    }
}

/// The value of a header that stands there once and holds something.
fn once<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Problem> {
    let mut all = headers.get_all(name).iter();
    let (Some(one), None) = (all.next(), all.next()) else {
        return Err(NOT_DESCRIBED);
    };
    let text = one.to_str().map_err(|_| NOT_DESCRIBED)?;
    match text.is_empty() {
        true => Err(NOT_DESCRIBED),
        false => Ok(text),
    }
}

/// A method, by letters alone: no other is registered.
fn method(headers: &HeaderMap, name: &str) -> Result<Method, Problem> {
    read_method(once(headers, name)?)
}

pub(super) fn read_method(text: &str) -> Result<Method, Problem> {
    let is_name = text
        .bytes()
        .all(|own| own.is_ascii_uppercase() || own == b'-');
    match is_name {
        true => text.parse().map_err(|_| NOT_DESCRIBED),
        false => Err(NOT_DESCRIBED),
    }
}

fn is_scheme(text: &str) -> Result<(), Problem> {
    match text {
        "http" | "https" => Ok(()),
        _ => Err(NOT_DESCRIBED),
    }
}

/// Path and query of an address, with the host before them read and left out.
fn behind_host(address: &str) -> Result<&str, Problem> {
    let (scheme, rest) = address.split_once("://").ok_or(NOT_DESCRIBED)?;
    is_scheme(scheme)?;
    let at = rest.find(['/', '?', '#']).ok_or(NOT_DESCRIBED)?;
    framing::read_host(&rest.as_bytes()[..at])?;
    Ok(&rest[at..])
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const ALL: [Dialect; 5] = [
        Dialect::Nginx,
        Dialect::IngressNginx,
        Dialect::Caddy,
        Dialect::Traefik,
        Dialect::Envoy,
    ];

    /// What each dialect writes about `DELETE /orders/7?x=1`.
    fn written(dialect: Dialect) -> Vec<(&'static str, &'static str)> {
        match dialect {
            Dialect::Nginx => vec![
                ("x-original-method", "DELETE"),
                ("x-original-uri", "/orders/7?x=1"),
            ],
            Dialect::IngressNginx => vec![
                ("x-original-method", "DELETE"),
                ("x-original-url", "https://shop.test/orders/7?x=1"),
            ],
            Dialect::Caddy | Dialect::Traefik => vec![
                ("x-forwarded-method", "DELETE"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "shop.test"),
                ("x-forwarded-uri", "/orders/7?x=1"),
            ],
            Dialect::Envoy | Dialect::EnvoyGrpc => Vec::new(),
        }
    }

    fn of(dialect: Dialect, headers: &[(&str, &str)]) -> Result<Described, &'static str> {
        let (method, target) = match dialect {
            Dialect::Envoy => ("DELETE", "/ask/orders/7?x=1"),
            _ => ("GET", "/ask"),
        };
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        read(dialect, "/ask", &parts).map_err(Problem::code)
    }

    fn good() -> Described {
        Described {
            method: Method::DELETE,
            sent: "/orders/7?x=1".into(),
        }
    }

    #[test]
    fn each_dialect_is_read_as_its_proxy_writes_it() {
        for dialect in ALL {
            assert_eq!(of(dialect, &written(dialect)), Ok(good()), "{dialect:?}");
        }
    }

    /// A client's own `X-Forwarded-Uri` (oauth2-proxy CVE-2026-40575) counts
    /// nothing where the proxy writes another header.
    #[test]
    fn headers_of_another_dialect_mean_nothing() {
        for dialect in ALL {
            let own = written(dialect);
            let mut sent = own.clone();
            for other in ALL {
                let foreign = written(other).into_iter();
                let foreign = foreign.filter(|(name, _)| !own.iter().any(|(own, _)| own == name));
                sent.extend(foreign.map(|(name, _)| (name, "/public")));
            }
            assert_eq!(of(dialect, &sent), Ok(good()), "{dialect:?}");
        }
    }

    #[test]
    fn a_description_stands_there_once_and_whole() {
        for dialect in ALL {
            let own = written(dialect);
            for at in 0..own.len() {
                let mut missing = own.clone();
                missing.remove(at);
                let mut doubled = own.clone();
                doubled.push(own[at]);
                let mut empty = own.clone();
                empty[at].1 = "";
                for bad in [missing, doubled, empty] {
                    let outcome = of(dialect, &bad);
                    assert_eq!(outcome, Err("forward-auth-malformed"), "{dialect:?} {at}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_method_scheme_or_host_is_no_description() {
        for (dialect, name, value) in [
            (Dialect::Nginx, "x-original-method", "get"),
            (Dialect::Nginx, "x-original-method", "GET, POST"),
            (Dialect::Caddy, "x-forwarded-proto", "ftp"),
            (Dialect::Caddy, "x-forwarded-host", "a, b"),
            (Dialect::Traefik, "x-forwarded-host", "a@b"),
            (Dialect::IngressNginx, "x-original-url", "/orders/7"),
            (
                Dialect::IngressNginx,
                "x-original-url",
                "https://a@b/orders",
            ),
            (Dialect::IngressNginx, "x-original-url", "https://shop.test"),
        ] {
            let mut sent = written(dialect);
            for own in &mut sent {
                if own.0 == name {
                    own.1 = value;
                }
            }
            assert!(of(dialect, &sent).is_err(), "{name}: {value}");
        }
    }
}
