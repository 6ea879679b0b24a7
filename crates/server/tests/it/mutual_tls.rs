//! Certificates of clients: as their proof, and as what tokens are bound to.
//!
//! Spec: RFC 8705
//! Spec: RFC 9440

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType, date_time_ymd,
};
use reqwest::{Identity, Method};
use serde_json::{Value, json};
use symbolon_token::Digest;

use crate::harness::{Answer, SECRET, Server, VAULT, read};

const MACHINE: (&str, &str) = ("grant_type", "client_credentials");

/// A key pair with its certificate.
pub(crate) struct Pair {
    pub(crate) pem: String,
    der: Vec<u8>,
}

impl Pair {
    pub(crate) fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Digest::of(&self.der).as_bytes())
    }

    fn header(&self) -> String {
        format!(":{}:", BASE64_STANDARD.encode(&self.der))
    }
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) mutual: String,
    /// Where the server's own certificate is.
    pub(crate) folder: std::path::PathBuf,
    pub(crate) listed: Pair,
    unlisted: Pair,
    pub(crate) own: Pair,
    pub(crate) stranger: Pair,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn alone(name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let own = params(name).self_signed(&key).unwrap();
    Pair {
        pem: format!("{}{}", own.pem(), key.serialize_pem()),
        der: own.der().to_vec(),
    }
}

fn by(ca: &Issuer<'_, KeyPair>, name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let own = params(name).signed_by(&key, ca).unwrap();
    Pair {
        pem: format!("{}{}", own.pem(), key.serialize_pem()),
        der: own.der().to_vec(),
    }
}

/// A server with a second listener, an authority, and one client of each kind.
pub(crate) async fn world(top: &str) -> World {
    let folder = crate::harness::fresh_folder();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = params("Authority");
    ca.extended_key_usages.clear();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(
        folder.join("clients.pem"),
        ca.self_signed(&ca_key).unwrap().pem(),
    )
    .unwrap();
    let ca = Issuer::new(ca, ca_key);
    let server_key = KeyPair::generate().unwrap();
    let mut of_server = params("server");
    of_server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    of_server.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let of_server = of_server.self_signed(&server_key).unwrap();
    std::fs::write(folder.join("server.pem"), of_server.pem()).unwrap();
    let key = folder.join("server.key");
    std::fs::write(&key, server_key.serialize_pem()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let own = alone("own");
    let at = |name: &str| folder.join(name).display().to_string();
    let (certificate, key, ca_file) = (at("server.pem"), at("server.key"), at("clients.pem"));
    let top = format!(
        "{top}\nmtls_listen = \"127.0.0.1:0\"\n[tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\nclient_ca = \"{ca_file}\"\n{}",
        clients(&own)
    );
    let mut server = Server::on_sqlite_with(&top).await;
    server.issuer = server.issuer.replace("http://", "https://");
    World {
        mutual: server.mutual_tls.clone().unwrap(),
        server,
        folder,
        listed: by(&ca, "listed"),
        unlisted: by(&ca, "unlisted"),
        own,
        stranger: alone("listed"),
    }
}

fn clients(own: &Pair) -> String {
    let x5c = BASE64_STANDARD.encode(&own.der);
    let client = |id: &str, rest: &str| {
        format!(
            "[[client]]\nid = \"{id}\"\nkind = \"service\"\ngrants = [\"client_credentials\"]\nscopes = [\"read:orders\", \"read:vault\"]\nresources = [\"https://orders.example.com\", \"{VAULT}\"]\ndefault_resource = \"https://orders.example.com\"\n{rest}\n"
        )
    };
    [
        client("ca-client", "authentication = \"tls_client_auth\"\ntls_client_auth_subject_dn = \"CN=listed\"\ntls_client_certificate_bound_access_tokens = true"),
        client("own-client", &format!("authentication = \"self_signed_tls_client_auth\"\njwks = {{ keys = [{{ kty = \"EC\", crv = \"P-256\", x5c = [\"{x5c}\"] }}] }}")),
        client("secret-client", &format!("secret = \"{SECRET}\"\ntls_client_certificate_bound_access_tokens = true")),
    ]
    .concat()
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn builder() -> reqwest::ClientBuilder {
    #[expect(clippy::disallowed_methods, reason = "tests call their own server")]
    let builder = reqwest::Client::builder();
    builder
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
}

impl World {
    fn post(&self, with: Option<&Pair>) -> reqwest::RequestBuilder {
        let client = match with {
            Some(pair) => builder().identity(Identity::from_pem(pair.pem.as_bytes()).unwrap()),
            None => builder(),
        };
        let client = client
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        client.request(Method::POST, format!("{}/token", self.mutual))
    }

    /// A client that names itself and shows a certificate.
    async fn token(&self, client: &str, with: Option<&Pair>) -> Answer {
        let request = self.post(with).form(&[MACHINE, ("client_id", client)]);
        read(request.send().await.unwrap()).await
    }

    /// A client that proves itself by a secret and shows a certificate.
    pub(crate) async fn basic(&self, form: &[(&str, &str)], with: Option<&Pair>) -> Answer {
        let request = self.post(with).form(form);
        let request = request.basic_auth("secret-client", Some(SECRET));
        read(request.send().await.unwrap()).await
    }

    /// A form over the public listener, with a header that a proxy would send.
    async fn by_header(&self, client: &str, lines: &[&str]) -> Answer {
        let form = [MACHINE, ("client_id", client)];
        let mut request = self.server.request(Method::POST, "/token").form(&form);
        for line in lines {
            request = request.header("client-cert", *line);
        }
        read(request.send().await.unwrap()).await
    }
}

fn claims_of(answer: &Answer) -> Value {
    let token = answer.text("access_token");
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// Attack: D120
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_known_by_the_certificate_of_an_authority_with_its_name() {
    let world = world("").await;

    let issued = world.token("ca-client", Some(&world.listed)).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    let bound = json!({ "x5t#S256": world.listed.thumbprint() });
    assert_eq!(claims_of(&issued)["cnf"], bound);
    assert_eq!(issued.text("token_type"), "Bearer");
    let told = world
        .server
        .introspect("orders-api", &issued.text("access_token"))
        .await;
    assert_eq!(told["cnf"], bound);

    for with in [
        None,
        Some(&world.unlisted),
        Some(&world.stranger),
        Some(&world.own),
    ] {
        let refused = world.token("ca-client", with).await;
        assert_eq!(
            (refused.status, &*refused.refusal()),
            (401, "invalid_client")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_known_by_the_certificate_that_it_registered() {
    let world = world("").await;

    let issued = world.token("own-client", Some(&world.own)).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    // It did not ask for bound tokens.
    assert!(claims_of(&issued).get("cnf").is_none());

    for with in [None, Some(&world.listed), Some(&world.stranger)] {
        let refused = world.token("own-client", with).await;
        assert_eq!(refused.refusal(), "invalid_client");
    }
    // A certificate is no proof for a client that has a secret.
    let refused = world.token("secret-client", Some(&world.own)).await;
    assert_eq!(refused.refusal(), "invalid_client");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binding_to_a_certificate_goes_with_any_proof_of_a_client() {
    let world = world("").await;
    let form = [MACHINE];

    let without = world.basic(&form, None).await;
    assert_eq!(without.refusal(), "invalid_request");
    let with = world.basic(&form, Some(&world.stranger)).await;
    assert_eq!(with.status, 200, "{}", with.body);
    let bound = json!({ "x5t#S256": world.stranger.thumbprint() });
    assert_eq!(claims_of(&with)["cnf"], bound);
    let opaque = world
        .basic(&[MACHINE, ("resource", VAULT)], Some(&world.own))
        .await;
    let told = world
        .server
        .introspect("vault-api", &opaque.text("access_token"))
        .await;
    assert_eq!(told["cnf"]["x5t#S256"], world.own.thumbprint());
}

/// Attack: D121
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_is_believed_from_trusted_proxies_alone() {
    let trusting = world("trusted_proxies = [\"127.0.0.1/32\"]").await;
    let shown = trusting.listed.header();
    let issued = trusting.by_header("ca-client", &[&shown]).await;
    assert_eq!(issued.status, 200, "{}", issued.body);
    assert_eq!(
        claims_of(&issued)["cnf"]["x5t#S256"],
        trusting.listed.thumbprint()
    );
    for bad in ["", ":AAAA", "noise", "::"] {
        let refused = trusting.by_header("ca-client", &[bad]).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
    let twice = trusting.by_header("ca-client", &[&shown, &shown]).await;
    assert_eq!(twice.status, 400);
    // The proxy's own certificate is not the caller's.
    let refused = trusting.token("ca-client", Some(&trusting.listed)).await;
    assert_eq!(refused.refusal(), "invalid_client");

    let wary = world("").await;
    let shown = wary.listed.header();
    let refused = wary.by_header("ca-client", &[&shown]).await;
    assert_eq!(refused.refusal(), "invalid_client");
    let refused = wary.by_header("ca-client", &["noise"]).await;
    assert_eq!(refused.refusal(), "invalid_client");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metadata_names_the_second_listener() {
    let world = world("").await;
    let metadata = world
        .server
        .get("/.well-known/oauth-authorization-server")
        .await;
    let metadata = metadata.json();

    let aliases = &metadata["mtls_endpoint_aliases"];
    assert_eq!(aliases["token_endpoint"], format!("{}/token", world.mutual));
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    let methods = metadata["token_endpoint_auth_methods_supported"]
        .as_array()
        .unwrap();
    assert!(methods.contains(&"tls_client_auth".into()));
    let plain = Server::on_sqlite().await;
    let plain = plain
        .get("/.well-known/oauth-authorization-server")
        .await
        .json();
    assert!(plain.get("mtls_endpoint_aliases").is_none());
}
