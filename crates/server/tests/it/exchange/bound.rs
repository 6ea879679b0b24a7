//! What is bound to a key is exchanged by its holder alone, and stays bound.
//!
//! Spec: RFC 8693 §2.2.2
//! Spec: RFC 9449 §5
//! Spec: RFC 8705 §3

use serde_json::{Value, json};

use super::world::{
    Asked, BEARER, EXCHANGE, Partner, SAFE, STOCK, claims, client, furnish, own_token, signed_in,
    urn,
};
use crate::dpop::{Wallet, proved, token, web_tokens};
use crate::harness::{Answer, ORDERS, Server};
use crate::macaroon::{DESK, FILES, minted, narrow};
use crate::on_both_engines;

on_both_engines! {
    a_bound_token_is_exchanged_by_its_key_alone_and_stays_bound
    a_proof_for_something_else_exchanges_nothing
    whoever_is_shown_a_bound_token_cannot_carry_it_on
    a_bound_actor_token_binds_what_comes_of_it
    a_key_may_be_added_and_is_kept_from_then_on
    a_bound_token_becomes_nothing_that_is_bound_to_no_key
    a_refresh_token_of_a_bound_family_gives_bound_tokens_alone
    a_macaroon_that_its_holder_tied_to_a_key_stays_tied
    a_macaroon_that_its_holder_tied_to_an_api_is_not_exchanged
    a_partner_binds_what_comes_of_its_jwt
    an_assertion_for_a_key_is_a_grant_for_that_key_alone
}

/// An exchange by whoever holds a key, or by nobody in particular.
async fn exchanged(server: &Server, who: &str, asked: &Asked, by: Option<&Wallet>) -> Answer {
    match by {
        Some(by) => proved(server, who, &asked.form(), by).await,
        None => asked.by(server, who).await,
    }
}

/// Without a proof, and with another key's: the errors of both.
async fn refusals(server: &Server, who: &str, asked: &Asked) -> [String; 2] {
    let without = exchanged(server, who, asked, None).await;
    let by_other = exchanged(server, who, asked, Some(&Wallet::new())).await;
    assert_eq!((without.status, by_other.status), (400, 400));
    [without.refusal(), by_other.refusal()]
}

const REFUSED: [&str; 2] = ["invalid_dpop_proof", "invalid_request"];

fn bound_to(own: &Wallet) -> Value {
    json!({ "jkt": own.thumbprint() })
}

/// What introspection says a token is bound to, whatever its form.
async fn binding(server: &Server, token: &str) -> Value {
    for api in ["orders-api", "vault-api", "files-api"] {
        let told = server.introspect(api, token).await;
        if told["active"] == true {
            return told["cnf"].clone();
        }
    }
    panic!("nobody takes the token");
}

async fn furnished(server: &Server) {
    furnish(server).await;
    let more = json!({
        "resources": [ORDERS, STOCK, SAFE], "default_resource": ORDERS,
        "exchange": { "from": [ORDERS], "to": [STOCK, SAFE] },
    });
    client(server, "web", more).await;
    for resource in [STOCK, SAFE] {
        let path = resource.replace(':', "%3A").replace('/', "%2F");
        let open = json!({ "exchange_from": ["web", "orders-api"] });
        let path = format!("/admin/v1/resources/{path}");
        let done = server
            .admin(reqwest::Method::PATCH, &path, Some(open))
            .await;
        assert_eq!(done.status, 200, "{}", done.body);
    }
}

/// Attack: F171
async fn a_bound_token_is_exchanged_by_its_key_alone_and_stays_bound(server: Server) {
    furnished(&server).await;
    let own = Wallet::new();
    let mut subject = web_tokens(&server, Some(&own)).await.text("access_token");
    let before = server.commits();

    for target in [ORDERS, SAFE, STOCK] {
        let asked = Asked::of("access_token", &subject).with("resource", target);
        assert_eq!(refusals(&server, "web", &asked).await, REFUSED, "{target}");

        let answer = exchanged(&server, "web", &asked, Some(&own)).await;

        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.text("token_type"), "DPoP");
        assert!(answer.header("dpop-nonce").is_some());
        subject = answer.text("access_token");
        assert_eq!(binding(&server, &subject).await, bound_to(&own), "{target}");
    }
    assert_eq!(server.commits(), before, "an exchange writes nothing");
    let plain = signed_in(&server, "alice").await.text("access_token");
    let plain = Asked::of("access_token", &plain).by(&server, "web").await;
    assert_eq!(plain.text("token_type"), "Bearer", "{}", plain.body);
}

/// Attack: F177, F180, F181
async fn a_proof_for_something_else_exchanges_nothing(server: Server) {
    furnished(&server).await;
    let own = Wallet::new();
    let subject = web_tokens(&server, Some(&own)).await.text("access_token");
    let asked = Asked::of("access_token", &subject);
    let form = asked.form();
    let first = token(&server, "web", &form, &[&own.proof(&server, None)]).await;
    assert_eq!(first.refusal(), "use_dpop_nonce");
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    let with = |method: &str, path: &str, change: Value| {
        let mut claims = Wallet::claims(&server, method, path);
        claims["nonce"] = nonce.as_str().into();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        own.sign(&claims)
    };
    let now = super::world::now(&server);

    for proof in [
        with("GET", "/token", json!({})),
        with("POST", "/userinfo", json!({})),
        with("POST", "/introspect", json!({})),
        with(
            "POST",
            "/token",
            json!({ "htu": format!("{ORDERS}/token") }),
        ),
        with("POST", "/token", json!({ "iat": now - 3600 })),
        with("POST", "/token", json!({ "jti": "" })),
    ] {
        let refused = token(&server, "web", &form, &[&proof]).await;
        assert_eq!(refused.refusal(), "invalid_dpop_proof", "{proof}");
    }
    // Which token a proof was made for is asked at an API, not here.
    let good = with("POST", "/token", json!({ "ath": "of-another-token" }));
    let issued = token(&server, "web", &form, &[&good]).await;
    assert_eq!(issued.text("token_type"), "DPoP", "{}", issued.body);
    let again = token(&server, "web", &form, &[&good]).await;
    assert_eq!(again.refusal(), "invalid_dpop_proof");
    let two = [with("POST", "/token", json!({})), own.proof(&server, None)];
    let two = token(&server, "web", &form, &[&two[0], &two[1]]).await;
    assert_eq!(two.refusal(), "invalid_dpop_proof");
}

async fn whoever_is_shown_a_bound_token_cannot_carry_it_on(server: Server) {
    furnished(&server).await;
    let own = Wallet::new();
    let bound = web_tokens(&server, Some(&own)).await.text("access_token");
    let plain = signed_in(&server, "alice").await.text("access_token");
    let actor = own_token(&server, "orders-api").await;
    let carried = |subject: &str| {
        let asked = Asked::of("access_token", subject).with("resource", STOCK);
        asked.acting("access_token", &actor)
    };

    let refused = refusals(&server, "orders-api", &carried(&bound)).await;

    assert_eq!(refused, REFUSED);
    let allowed = carried(&plain).by(&server, "orders-api").await;
    assert_eq!(allowed.status, 200, "{}", allowed.body);
}

async fn a_bound_actor_token_binds_what_comes_of_it(server: Server) {
    furnished(&server).await;
    let (own, other) = (Wallet::new(), Wallet::new());
    let machine = [
        ("grant_type", "client_credentials"),
        ("scope", "read:orders"),
    ];
    let actor = proved(&server, "orders-api", &machine, &own).await;
    let actor = actor.text("access_token");
    let subject = signed_in(&server, "alice").await.text("access_token");
    let asked = |subject: &str| {
        let asked = Asked::of("access_token", subject).with("resource", STOCK);
        asked.acting("access_token", &actor)
    };

    let refused = refusals(&server, "orders-api", &asked(&subject)).await;
    let issued = exchanged(&server, "orders-api", &asked(&subject), Some(&own)).await;

    assert_eq!(refused, REFUSED);
    let is = claims(&issued.text("access_token"));
    assert_eq!(
        (&is["cnf"], &is["act"]["sub"]),
        (&bound_to(&own), &json!("orders-api"))
    );
    // Nobody shows two keys at once.
    let elsewhere = web_tokens(&server, Some(&other)).await.text("access_token");
    for by in [&own, &other] {
        let torn = exchanged(&server, "orders-api", &asked(&elsewhere), Some(by)).await;
        assert_eq!(torn.refusal(), "invalid_request");
    }
}

async fn a_key_may_be_added_and_is_kept_from_then_on(server: Server) {
    furnished(&server).await;
    let own = Wallet::new();
    let subject = signed_in(&server, "alice").await.text("access_token");

    let asked = Asked::of("access_token", &subject);
    let tied = exchanged(&server, "web", &asked, Some(&own)).await;

    assert_eq!(tied.text("token_type"), "DPoP", "{}", tied.body);
    let tied = tied.text("access_token");
    assert_eq!(claims(&tied)["cnf"], bound_to(&own));
    let again = Asked::of("access_token", &tied);
    assert_eq!(refusals(&server, "web", &again).await, REFUSED);
    let again = exchanged(&server, "web", &again, Some(&own)).await;
    assert_eq!(claims(&again.text("access_token"))["cnf"], bound_to(&own));
}

async fn a_bound_token_becomes_nothing_that_is_bound_to_no_key(server: Server) {
    furnished(&server).await;
    let own = Wallet::new();
    let kinds = ["id_token", "saml2"];
    let policy = json!({ "exchange": {
        "from": [ORDERS], "to": [STOCK, SAFE], "accepts": ["access_token", "refresh_token"],
        "issues": ["access_token", "jwt", "id_token", "saml2"],
    } });
    client(&server, "web", policy).await;
    let bound = web_tokens(&server, Some(&own)).await;
    let plain = signed_in(&server, "alice").await;

    for kind in kinds {
        for shown in ["access_token", "refresh_token"] {
            let asked = |tokens: &Answer| {
                let asked = Asked::of(shown, &tokens.text(shown)).with("resource", ORDERS);
                asked.with("requested_token_type", &urn(kind))
            };

            let refused = exchanged(&server, "web", &asked(&bound), Some(&own)).await;
            let twin = asked(&plain).by(&server, "web").await;

            assert_eq!(refused.refusal(), "invalid_request", "{shown} to {kind}");
            assert_eq!(twin.status, 200, "{shown} to {kind}: {}", twin.body);
        }
    }
    let jwt = Asked::of("access_token", &bound.text("access_token"));
    let jwt = jwt.with("requested_token_type", &urn("jwt"));
    let jwt = exchanged(&server, "web", &jwt, Some(&own)).await;
    assert_eq!(claims(&jwt.text("access_token"))["cnf"], bound_to(&own));
}

async fn a_refresh_token_of_a_bound_family_gives_bound_tokens_alone(server: Server) {
    furnished(&server).await;
    let (own, next) = (Wallet::new(), Wallet::new());
    let accepts = json!({ "exchange": { "accepts": ["refresh_token"] } });
    client(&server, "web", accepts).await;
    let bound = web_tokens(&server, Some(&own)).await.text("refresh_token");
    let plain = signed_in(&server, "alice").await.text("refresh_token");
    let asked = Asked::of("refresh_token", &bound).with("resource", ORDERS);

    let without = asked.by(&server, "web").await;
    // A client that proves itself may change its key, as at a refresh.
    let with = exchanged(&server, "web", &asked, Some(&next)).await;

    assert_eq!(without.refusal(), "invalid_dpop_proof", "{}", without.body);
    assert_eq!(claims(&with.text("access_token"))["cnf"], bound_to(&next));
    let asked = Asked::of("refresh_token", &plain).with("resource", ORDERS);
    let twin = asked.by(&server, "web").await;
    assert_eq!(twin.text("token_type"), "Bearer", "{}", twin.body);
}

async fn a_macaroon_that_its_holder_tied_to_a_key_stays_tied(server: Server) {
    let grants = json!({ "grants": ["client_credentials", EXCHANGE] });
    client(&server, "baker", grants).await;
    let own = Wallet::new();
    let root = minted(&server, &[("scope", "read:files")]).await;
    let tied = narrow(&root, &[&format!("jkt = {}", own.thumbprint())]);
    let asked = Asked::of("access_token", &tied);

    let refused = refusals(&server, "baker", &asked).await;
    let issued = exchanged(&server, "baker", &asked, Some(&own)).await;

    assert_eq!(refused, REFUSED);
    assert_eq!(issued.text("token_type"), "DPoP", "{}", issued.body);
    let derived = issued.text("access_token");
    assert_eq!(binding(&server, &derived).await, bound_to(&own));
    assert_eq!(server.introspect("files-api", &derived).await["aud"], FILES);
    let other = Wallet::new();
    let torn = narrow(&derived, &[&format!("jkt = {}", other.thumbprint())]);
    for by in [&own, &other] {
        let asked = Asked::of("access_token", &torn);
        let torn = exchanged(&server, "baker", &asked, Some(by)).await;
        assert_eq!(torn.refusal(), "invalid_request", "two keys are nobody's");
    }
    let plain = Asked::of("access_token", &root).by(&server, "baker").await;
    assert_eq!(plain.text("token_type"), "Bearer", "{}", plain.body);
}

/// What is for one API only is not carried to another, nor made into something
/// that says no more that it is.
async fn a_macaroon_that_its_holder_tied_to_an_api_is_not_exchanged(server: Server) {
    let grants = json!({ "grants": ["client_credentials", EXCHANGE] });
    client(&server, "baker", grants).await;
    let root = minted(&server, &[("scope", "read:files")]).await;
    let tied = narrow(&root, &[&format!("audience = {FILES}")]);

    for asked in [
        Asked::of("access_token", &tied),
        Asked::of("access_token", &tied).with("resource", DESK),
        Asked::of("access_token", &tied).with("resource", FILES),
    ] {
        let refused = asked.by(&server, "baker").await;
        assert_eq!(refused.refusal(), "invalid_request", "{}", refused.body);
    }
    assert_eq!(server.introspect("files-api", &tied).await["aud"], FILES);
}

async fn a_partner_binds_what_comes_of_its_jwt(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let own = Wallet::new();
    let jwt = partner.jwt(&server, json!({ "cnf": bound_to(&own) }));
    let asked = Asked::of("jwt", &jwt);

    let refused = refusals(&server, "orders-api", &asked).await;
    let issued = exchanged(&server, "orders-api", &asked, Some(&own)).await;

    assert_eq!(refused, REFUSED);
    let is = claims(&issued.text("access_token"));
    assert_eq!(is["cnf"], bound_to(&own));
    assert_eq!(issued.text("token_type"), "DPoP");
}

async fn an_assertion_for_a_key_is_a_grant_for_that_key_alone(server: Server) {
    furnish(&server).await;
    let partner = Partner::trusted(&server).await;
    let own = Wallet::new();
    let jwt = partner.jwt(&server, json!({ "cnf": bound_to(&own) }));
    let form = [("grant_type", BEARER), ("assertion", &*jwt)];

    let without = token(&server, "orders-api", &form, &[]).await;
    let by_other = proved(&server, "orders-api", &form, &Wallet::new()).await;
    let before = server.commits();
    let issued = proved(&server, "orders-api", &form, &own).await;

    assert_eq!(without.refusal(), "invalid_dpop_proof");
    assert_eq!(by_other.refusal(), "invalid_grant");
    assert_eq!(
        issued.status, 200,
        "nobody spent it before: {}",
        issued.body
    );
    assert_eq!(server.commits() - before, 1);
    assert_eq!(claims(&issued.text("access_token"))["cnf"], bound_to(&own));
    let again = proved(&server, "orders-api", &form, &own).await;
    assert_eq!(again.refusal(), "invalid_grant");
}

/// Attack: F190
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_for_a_certificate_is_exchanged_on_its_connection_alone() {
    let world = crate::mutual_tls::world("").await;
    let machine = [("grant_type", "client_credentials")];
    let bound = world.basic(&machine, Some(&world.own)).await;
    let bound = bound.text("access_token");
    // Nothing but the token demands the certificate from now on.
    let free = json!({
        "grants": ["client_credentials", EXCHANGE],
        "tls_client_certificate_bound_access_tokens": false,
    });
    client(&world.server, "secret-client", free).await;
    let plain = world.basic(&machine, None).await.text("access_token");
    let asked = |subject: &str| Asked::of("access_token", subject);

    for with in [None, Some(&world.stranger), Some(&world.listed)] {
        let refused = world.basic(&asked(&bound).form(), with).await;
        assert_eq!(refused.refusal(), "invalid_request");
    }
    let issued = world.basic(&asked(&bound).form(), Some(&world.own)).await;
    let twin = world.basic(&asked(&plain).form(), None).await;

    let is = claims(&issued.text("access_token"));
    assert_eq!(is["cnf"], json!({ "x5t#S256": world.own.thumbprint() }));
    assert_eq!(twin.status, 200, "{}", twin.body);
}
