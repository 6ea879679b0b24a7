//! The crate `openidconnect` as client: discovery, code flow, refresh,
//! userinfo, introspection, revocation.

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IntrospectionUrl, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, RequestTokenError, RevocationUrl, Scope,
    SubjectIdentifier, TokenIntrospectionResponse, TokenResponse,
};

use crate::browser::{Browser, http, response};
use crate::program::{Engine, Site};

const CALLBACK: &str = "http://127.0.0.1:3000/callback";

/// The HTTP client that the crate is given. It takes off TLS, without which the
/// crate sends no revocation.
async fn call(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let (head, body) = request.into_parts();
    let request = http()
        .request(
            head.method,
            head.uri.to_string().replacen("https:", "http:", 1),
        )
        .headers(head.headers)
        .body(body);
    let answer = request.send().await?;
    let mut response = HttpResponse::new(Vec::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    *response.body_mut() = answer.bytes().await?.to_vec();
    Ok(response)
}

/// What its provider metadata leaves out, read from the same document.
async fn endpoint(site: &Site, name: &str) -> String {
    let document = Browser::new(site)
        .get("/.well-known/openid-configuration")
        .await;
    document.text(name)
}

/// The application: it may revoke.
type Web = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;
/// The API: it may introspect.
type Api = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

async fn clients(site: &Site) -> (Web, Api) {
    let issuer = IssuerUrl::new(site.issuer.clone()).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer, &call)
        .await
        .unwrap();
    let revocation = endpoint(site, "revocation_endpoint").await;
    let revocation = RevocationUrl::new(revocation.replacen("http:", "https:", 1)).unwrap();
    let introspection = endpoint(site, "introspection_endpoint").await;
    let introspection = IntrospectionUrl::new(introspection).unwrap();
    let client = |id: &str, secret: &str| {
        let secret = ClientSecret::new(secret.to_owned());
        let id = ClientId::new(id.to_owned());
        CoreClient::from_provider_metadata(metadata.clone(), id, Some(secret))
    };
    let web = client("web", &site.words.web)
        .set_redirect_uri(RedirectUrl::new(CALLBACK.into()).unwrap())
        .set_revocation_url(revocation);
    let api = client("orders-api", &site.words.api).set_introspection_url(introspection);
    (web, api)
}

async fn sign_in(site: &Site, web: &Web) -> (CoreTokenResponse, Nonce) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let scopes = ["profile", "email", "offline_access", "read:orders"];
    let (url, state, nonce) = web
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(scopes.map(|scope| Scope::new(scope.into())))
        .set_pkce_challenge(challenge)
        .url();
    let path = url.as_str().strip_prefix(&site.issuer).unwrap();
    let response = response(&Browser::new(site).grant_at("alice", path).await);
    assert_eq!(&response["state"], state.secret());
    let code = AuthorizationCode::new(response["code"].clone());
    let redemption = web.exchange_code(code).unwrap();
    let redemption = redemption.set_pkce_verifier(verifier);
    (redemption.request_async(&call).await.unwrap(), nonce)
}

/// Checks signature, issuer, audience, times, nonce and the access token's hash.
fn subject(web: &Web, tokens: &CoreTokenResponse, nonce: &Nonce) -> SubjectIdentifier {
    let verifier = web.id_token_verifier();
    let id_token = tokens.id_token().unwrap();
    let claims = id_token.claims(&verifier, nonce).unwrap();
    let alg = id_token.signing_alg().unwrap();
    let key = id_token.signing_key(&verifier).unwrap();
    let hash = AccessTokenHash::from_token(tokens.access_token(), alg, key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash));
    claims.subject().clone()
}

async fn the_crate_openidconnect_completes_every_flow(engine: Engine) {
    let site = Site::new(engine, CALLBACK).await;
    let program = site.start().await;
    let (web, api) = clients(&site).await;
    let (tokens, nonce) = sign_in(&site, &web).await;

    let subject = subject(&web, &tokens, &nonce);
    let access = tokens.access_token().clone();
    let known = web.user_info(access, Some(subject)).unwrap();
    let known: CoreUserInfoClaims = known.request_async(&call).await.unwrap();
    assert_eq!(known.email().unwrap().as_str(), "alice@example.com");
    assert_eq!(known.email_verified(), Some(true));

    let first = tokens.refresh_token().unwrap();
    let renewal = web.exchange_refresh_token(first).unwrap();
    let renewed = renewal.request_async(&call).await.unwrap();
    let second = renewed.refresh_token().unwrap();
    let access = renewed.access_token();
    assert_ne!(second.secret(), first.secret());
    assert_ne!(access.secret(), tokens.access_token().secret());

    let active = api.introspect(access).request_async(&call).await.unwrap();
    assert!(active.active());
    assert_eq!(active.client_id().map(|id| id.as_str()), Some("web"));
    let revocation = web.revoke_token(second.clone().into()).unwrap();
    revocation.request_async(&call).await.unwrap();
    let dead = api.introspect(access).request_async(&call).await.unwrap();
    assert!(!dead.active());
    let renewal = web.exchange_refresh_token(second).unwrap();
    let refused = renewal.request_async(&call).await;
    let Err(RequestTokenError::ServerResponse(refusal)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal.error().as_ref(), "invalid_grant");
    assert!(program.end().await.success());
}

on_both_engines! { the_crate_openidconnect_completes_every_flow }
