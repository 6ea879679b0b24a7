//! A connection to an upstream: to the configured host alone, whatever the
//! request says, within its time.
//!
//! Spec: RFC 9325 §3.1
//! Spec: RFC 7301 §3.1

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::NoUpstream;
use crate::settings::{Spoken, Upstream};

/// Makes connections to one upstream.
#[derive(Clone)]
pub(super) struct Connector(Arc<Way>);

struct Way {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(
        settings: &Upstream,
        (host, port): (&str, u16),
        roots: Option<&RootCertStore>,
    ) -> Result<Self, NoUpstream> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls = match roots {
            None => None,
            Some(roots) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| NoUpstream::Address(host.to_owned()))?;
                Some((tls(roots, settings.spoken)?, name))
            }
        };
        Ok(Self(Arc::new(Way {
            host: host.to_owned(),
            port,
            tls,
            timeout: settings.connect_timeout,
        })))
    }
}

fn tls(roots: &RootCertStore, spoken: Spoken) -> Result<TlsConnector, NoUpstream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| NoUpstream::Tls(error.to_string()))?
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = match spoken {
        Spoken::Http1 => vec![b"http/1.1".to_vec()],
        Spoken::Http2 => vec![b"h2".to_vec()],
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Way {
    async fn connect(&self) -> io::Result<Stream> {
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let connecting = tokio::time::timeout(self.timeout, self.open());
        connecting.await.map_err(|_| late())?
    }

    async fn open(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // Small requests must not wait for more; one that does is slower, no more.
        let _ = stream.set_nodelay(true);
        let stream: Box<dyn Both> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        };
        Ok(Stream(TokioIo::new(stream)))
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let way = Arc::clone(&self.0);
        Box::pin(async move { way.connect().await })
    }
}

/// A stream, plain or TLS.
trait Both: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// A connection to an upstream.
pub(super) struct Stream(TokioIo<Box<dyn Both>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}
