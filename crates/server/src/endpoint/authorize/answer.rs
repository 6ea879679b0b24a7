//! Where the answer goes, and how it gets there.
//!
//! Spec: RFC 6749 §4.1.2, §4.1.2.1
//! Spec: RFC 9207 §2
//! Spec: OAuth 2.0 Form Post Response Mode §2

use std::sync::Arc;

use axum::response::Response;
use symbolon_protocol::uri::LoopbackPort;
use symbolon_protocol::{Client, ClientId, ClientKind, RedirectUri, ResponseMode};
use symbolon_store::StoredClient;
use url::Url;

use crate::authn::transaction::Transaction;
use crate::cx::Cx;
use crate::failure::{Broken, Failure, Refusal};
use crate::pages::{FormPostPage, Page};
use crate::respond;

/// A client and a redirect URI of its own. Only the two checks that come
/// before all others make one.
pub(crate) struct Destination {
    pub(crate) client: Arc<StoredClient>,
    pub(crate) redirect_uri: RedirectUri,
    pub(crate) response_mode: ResponseMode,
    pub(crate) state: Option<String>,
}

/// How long a state may be, in bytes.
const MAX_STATE_BYTES: usize = 2048;

/// The values of a name among raw parameters. A name that stands twice is
/// judged by the caller: for these few, before anything else is.
fn values(parameters: &[u8], name: &str) -> Vec<String> {
    let pairs =
        form_urlencoded::parse(parameters).take(symbolon_protocol::parameters::MAX_PARAMETERS);
    pairs
        .filter(|(own, value)| own == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
        .collect()
}

fn one(parameters: &[u8], name: &str) -> Option<String> {
    let mut all = values(parameters, name);
    if all.len() == 1 { all.pop() } else { None }
}

fn is_short(state: &str) -> bool {
    state.len() <= MAX_STATE_BYTES
}

impl Destination {
    /// Finds client and redirect URI, in this order.
    pub(crate) async fn find(cx: &Cx, parameters: &[u8]) -> Result<Self, Failure> {
        let unknown = || Refusal::invalid_request("this application is not known here");
        let id: ClientId = one(parameters, "client_id")
            .and_then(|id| id.parse().ok())
            .ok_or_else(unknown)?;
        let client = known(cx, &id).await?.ok_or_else(unknown)?;
        let presented = values(parameters, "redirect_uri");
        if presented.is_empty() && must_name_redirect_uri(&client.client, parameters) {
            return Err(Refusal::invalid_request("the request has no redirect_uri").into());
        }
        let redirect_uri = redirect_uri(&client, &presented)?;
        let mode = one(parameters, "response_mode");
        let response_mode = mode
            .and_then(|mode| mode.parse().ok())
            .unwrap_or(ResponseMode::Query);
        Ok(Self {
            client,
            redirect_uri,
            response_mode,
            state: one(parameters, "state").filter(|state| is_short(state)),
        })
    }

    /// Refuses a state that would not be sent back: the client's protection
    /// against forged answers rests on it (RFC 6749 §4.1.2).
    pub(crate) fn check_state(&self, parameters: &[u8]) -> Result<(), Refusal> {
        let all = values(parameters, "state");
        match all.iter().all(|state| is_short(state)) {
            true => Ok(()),
            false => Err(Refusal::invalid_request("state is too long")),
        }
    }

    /// The destination of a transaction that was checked when it began, as far
    /// as it still is the client's: a host that was lost since gets no code.
    pub(crate) async fn of(cx: &Cx, transaction: &Transaction) -> Result<Self, Failure> {
        let gone = || Refusal::invalid_request("this application is not known here any more");
        let client = known(cx, &transaction.client).await?.ok_or_else(gone)?;
        let presented = transaction.redirect_uri.as_str().to_owned();
        Ok(Self {
            redirect_uri: redirect_uri(&client, &[presented])?,
            client,
            response_mode: transaction.response_mode,
            state: transaction.state.clone(),
        })
    }

    /// Sends a refusal to the client.
    pub(crate) fn refuse(&self, cx: &Cx, refusal: &Refusal) -> Result<Response, Failure> {
        tracing::info!(request = %cx.request, client = %self.client.client.id, code = refusal.code.as_str(), reason = refusal.reason, "refused");
        crate::metric::refused(refusal.code);
        cx.recent
            .refused(cx, "/authorize", &Failure::Refused(refusal.clone()));
        let fields = vec![
            ("error".to_owned(), refusal.code.as_str().to_owned()),
            (
                "error_description".to_owned(),
                format!("{} ({})", refusal.reason, cx.request),
            ),
        ];
        self.send(cx, fields)
    }

    /// Sends an answer to the client, with what every answer carries.
    pub(crate) fn send(
        &self,
        cx: &Cx,
        mut fields: Vec<(String, String)>,
    ) -> Result<Response, Failure> {
        if let Some(state) = &self.state {
            fields.push(("state".to_owned(), state.clone()));
        }
        fields.push(("iss".to_owned(), cx.settings.issuer.as_str().to_owned()));
        let url = self.url()?;
        if self.response_mode == ResponseMode::FormPost {
            return Ok(FormPostPage::new(
                cx.settings.site.clone(),
                &self.client.client.name,
                url,
                fields,
            )
            .response());
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&fields)
            .finish();
        let sign = if self.redirect_uri.as_str().contains('?') {
            '&'
        } else {
            '?'
        };
        respond::see_other(&format!("{}{sign}{query}", self.redirect_uri))
    }

    /// The redirect URI as pages need it.
    pub(crate) fn url(&self) -> Result<Url, Failure> {
        let url = Url::parse(self.redirect_uri.as_str());
        url.map_err(|_| Broken::Impossible("a redirect URI that is no URL").into())
    }
}

/// The client, as long as it may be used. One whose document cannot be had is
/// answered as one that nobody knows: whoever names clients learns nothing by
/// it of what is reachable from here.
async fn known(cx: &Cx, id: &ClientId) -> Result<Option<Arc<StoredClient>>, Failure> {
    let mut found = cx.find_client(id).await;
    if matches!(found, Ok(None)) && Box::pin(cx.app.has_news()).await {
        found = cx.find_client(id).await;
    }
    match found {
        Ok(found) => Ok(found.filter(|client| client.enabled)),
        Err(Broken::Document) => Ok(None),
        Err(broken) => Err(broken.into()),
    }
}

/// Whether a request says where the answer goes although only one address is
/// registered: one for a sign-in (OpenID Connect Core §3.1.2.1), and one without
/// a challenge, whose code would be bound to nothing.
// Differs from RFC 6749 §4.1.3: such a code needs `redirect_uri` at the token
// endpoint in any case, so a request that has none is refused at once.
fn must_name_redirect_uri(client: &Client, parameters: &[u8]) -> bool {
    let scopes = values(parameters, "scope");
    let mut scopes = scopes.iter().flat_map(|own| own.split(' '));
    let is_unbound = || values(parameters, "code_challenge").is_empty();
    scopes.any(|scope| scope == "openid") || !client.requires_pkce() && is_unbound()
}

fn redirect_uri(client: &StoredClient, presented: &[String]) -> Result<RedirectUri, Refusal> {
    let wrong = || {
        Refusal::invalid_request(
            "the address to return to is not one that this application registered",
        )
    };
    match presented {
        [] => match client.client.redirect_uris.as_slice() {
            [only] => Ok(only.clone()),
            _ => Err(Refusal::invalid_request("redirect_uri is missing")),
        },
        [one] if is_registered(&client.client, one) => {
            RedirectUri::presented(one).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

/// Whether a client registered an address to return to; of a native one, with
/// any port of this machine (RFC 8252 §7.3).
pub(crate) fn is_registered(client: &Client, presented: &str) -> bool {
    let port = match client.kind {
        ClientKind::Native => LoopbackPort::Any,
        _ => LoopbackPort::Exact,
    };
    let mut registered = client.redirect_uris.iter();
    registered.any(|own| own.accepts(presented, port))
}
