//! The crate `openidconnect` as client: discovery, code flow, refresh,
//! userinfo, introspection, revocation.

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IntrospectionUrl, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    RedirectUrl, RequestTokenError, RevocationUrl, Scope, TokenIntrospectionResponse,
    TokenResponse,
};

use crate::browser::{Browser, http};
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

async fn the_crate_openidconnect_completes_every_flow(engine: Engine) {
    let site = Site::new(engine, CALLBACK).await;
    let program = site.start().await;
    let issuer = IssuerUrl::new(site.issuer.clone()).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer, &call)
        .await
        .unwrap();
    let introspection =
        IntrospectionUrl::new(endpoint(&site, "introspection_endpoint").await).unwrap();
    let revocation = endpoint(&site, "revocation_endpoint").await;
    let revocation = RevocationUrl::new(revocation.replacen("http:", "https:", 1)).unwrap();
    let secret = Some(ClientSecret::new(site.words.web.clone()));
    let client =
        CoreClient::from_provider_metadata(metadata.clone(), ClientId::new("web".into()), secret)
            .set_redirect_uri(RedirectUrl::new(CALLBACK.into()).unwrap())
            .set_revocation_url(revocation);
    let secret = Some(ClientSecret::new(site.words.api.clone()));
    let api =
        CoreClient::from_provider_metadata(metadata, ClientId::new("orders-api".into()), secret)
            .set_introspection_url(introspection);

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let mut request = client.authorize_url(
        CoreAuthenticationFlow::AuthorizationCode,
        CsrfToken::new_random,
        Nonce::new_random,
    );
    for scope in ["profile", "email", "offline_access", "read:orders"] {
        request = request.add_scope(Scope::new(scope.into()));
    }
    let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
    let path = url.as_str().strip_prefix(&site.issuer).unwrap();
    let response = Browser::new(&site).grant(path).await.response();
    assert_eq!(&response["state"], state.secret());
    let code = AuthorizationCode::new(response["code"].clone());
    let tokens = client
        .exchange_code(code)
        .unwrap()
        .set_pkce_verifier(verifier)
        .request_async(&call)
        .await
        .unwrap();

    let checked = client.id_token_verifier();
    let id_token = tokens.id_token().unwrap();
    let claims = id_token.claims(&checked, &nonce).unwrap();
    let (alg, key) = (
        id_token.signing_alg().unwrap(),
        id_token.signing_key(&checked).unwrap(),
    );
    let hash = AccessTokenHash::from_token(tokens.access_token(), alg, key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash));

    let subject = Some(claims.subject().clone());
    let known = client
        .user_info(tokens.access_token().clone(), subject)
        .unwrap();
    let known: CoreUserInfoClaims = known.request_async(&call).await.unwrap();
    assert_eq!(known.email().unwrap().as_str(), "alice@example.com");
    assert_eq!(known.email_verified(), Some(true));

    let first = tokens.refresh_token().unwrap();
    let renewed = client
        .exchange_refresh_token(first)
        .unwrap()
        .request_async(&call)
        .await
        .unwrap();
    let second = renewed.refresh_token().unwrap();
    assert_ne!(second.secret(), first.secret());
    assert_ne!(
        renewed.access_token().secret(),
        tokens.access_token().secret()
    );

    let active = api
        .introspect(renewed.access_token())
        .request_async(&call)
        .await
        .unwrap();
    assert!(active.active());
    assert_eq!(active.client_id().map(|id| id.as_str()), Some("web"));
    let revoked = second.clone();
    client
        .revoke_token(revoked.into())
        .unwrap()
        .request_async(&call)
        .await
        .unwrap();
    let dead = api
        .introspect(renewed.access_token())
        .request_async(&call)
        .await
        .unwrap();
    assert!(!dead.active());
    let refused = client
        .exchange_refresh_token(second)
        .unwrap()
        .request_async(&call)
        .await;
    let Err(RequestTokenError::ServerResponse(refusal)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusal.error().as_ref(), "invalid_grant");
    assert!(program.end().await.success());
}

on_both_engines! { the_crate_openidconnect_completes_every_flow }
