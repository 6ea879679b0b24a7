//! Certificates that prove a client, and those that look like it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, SanType, date_time_ymd,
};
use symbolon_testkit::START;

use super::*;

struct Ca(Issuer<'static, KeyPair>, CertificateDer<'static>);

fn ca() -> Ca {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "Authority");
    let own = params.self_signed(&key).unwrap();
    let der = own.der().clone();
    Ca(Issuer::new(params, key), der)
}

/// A client's certificate, valid around the time of tests.
fn params() -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(2025, 6, 1);
    params.not_after = date_time_ymd(2026, 6, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name = DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(DnType::CountryName, "GR");
    name.push(DnType::OrganizationName, "Example, Inc.");
    name.push(DnType::CommonName, "Order Service");
    params.subject_alt_names = vec![
        SanType::DnsName("Orders.example.com".try_into().unwrap()),
        SanType::DnsName("*.wild.example.com".try_into().unwrap()),
        SanType::URI("spiffe://example.com/orders".try_into().unwrap()),
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
        SanType::Rfc822Name("orders@example.com".try_into().unwrap()),
    ];
    params
}

fn issued(by: &Ca, params: &CertificateParams) -> ClientCertificate {
    let key = KeyPair::generate().unwrap();
    let own = params.signed_by(&key, &by.0).unwrap();
    ClientCertificate::of(&[own.der().clone()]).unwrap()
}

fn authorities(ca: &Ca) -> Authorities {
    let mut roots = RootCertStore::empty();
    roots.add(ca.1.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    Authorities(verifier.build().unwrap())
}

const NAME: CertificateSubject<'_> =
    CertificateSubject::Name("CN=Order Service,O=Example\\, Inc.,C=GR");

#[test]
fn a_certificate_is_known_by_each_of_the_five_subjects() {
    let ca = ca();
    let (authorities, own) = (authorities(&ca), issued(&ca, &params()));

    for subject in [
        NAME,
        CertificateSubject::Name("cn=order service, o=example\\, inc., c=gr"),
        CertificateSubject::Dns("orders.example.com"),
        CertificateSubject::Dns("*.wild.example.com"),
        CertificateSubject::Uri("spiffe://example.com/orders"),
        CertificateSubject::Ip("192.0.2.7".parse().unwrap()),
        CertificateSubject::Ip("2001:db8::7".parse().unwrap()),
        CertificateSubject::Email("orders@example.com"),
    ] {
        assert!(authorities.vouch(&own, subject, START), "{subject:?}");
    }
}

#[test]
fn another_subject_is_another_client() {
    let ca = ca();
    let (authorities, own) = (authorities(&ca), issued(&ca, &params()));

    for subject in [
        CertificateSubject::Name("CN=Order Service"),
        CertificateSubject::Name("C=GR,O=Example\\, Inc.,CN=Order Service"),
        CertificateSubject::Name("CN=Order Service,OU=Example\\, Inc.,C=GR"),
        CertificateSubject::Name("CN=*"),
        CertificateSubject::Name(""),
        CertificateSubject::Dns("example.com"),
        CertificateSubject::Dns("a.wild.example.com"),
        CertificateSubject::Dns("192.0.2.7"),
        CertificateSubject::Uri("spiffe://example.com/orders/"),
        CertificateSubject::Ip("192.0.2.8".parse().unwrap()),
        CertificateSubject::Email("Orders@example.com"),
    ] {
        assert!(!authorities.vouch(&own, subject, START), "{subject:?}");
    }
}

#[test]
fn a_name_in_the_subject_is_no_alternative_name_and_the_reverse() {
    let ca = ca();
    let authorities = authorities(&ca);
    let mut bare = params();
    bare.subject_alt_names.clear();
    bare.distinguished_name
        .push(DnType::OrganizationalUnitName, "orders.example.com");
    let bare = issued(&ca, &bare);

    let by_host = CertificateSubject::Dns("orders.example.com");
    assert!(!authorities.vouch(&bare, by_host, START));
    let by_name = CertificateSubject::Name("CN=orders.example.com");
    assert!(!authorities.vouch(&issued(&ca, &params()), by_name, START));
}

#[test]
fn another_authority_proves_nothing() {
    let (ca, other) = (ca(), ca());
    let own = issued(&other, &params());
    let mut alone = params();
    alone.is_ca = IsCa::ExplicitNoCa;
    let key = KeyPair::generate().unwrap();
    let alone = alone.self_signed(&key).unwrap();
    let alone = ClientCertificate::of(&[alone.der().clone()]).unwrap();

    assert!(!authorities(&ca).vouch(&own, NAME, START));
    assert!(!authorities(&ca).vouch(&alone, NAME, START));
    assert!(authorities(&other).vouch(&own, NAME, START));
}

#[test]
fn a_certificate_counts_in_its_time_and_for_clients() {
    let ca = ca();
    let authorities = authorities(&ca);
    let own = issued(&ca, &params());
    let year = Duration::from_secs(365 * 24 * 3600);
    assert!(!authorities.vouch(&own, NAME, START - year));
    assert!(!authorities.vouch(&own, NAME, START + year));

    let mut of_server = params();
    of_server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert!(!authorities.vouch(&issued(&ca, &of_server), NAME, START));
}

#[test]
fn a_certificate_between_comes_along() {
    let ca = ca();
    let key = KeyPair::generate().unwrap();
    let mut between = CertificateParams::new(Vec::new()).unwrap();
    between.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    between
        .distinguished_name
        .push(DnType::CommonName, "Between");
    let der = between.signed_by(&key, &ca.0).unwrap().der().clone();
    let between = Ca(Issuer::new(between, key), der);
    let leaf = KeyPair::generate().unwrap();
    let leaf = params().signed_by(&leaf, &between.0).unwrap().der().clone();
    let whole = ClientCertificate::of(&[leaf.clone(), between.1.clone()]).unwrap();

    assert!(authorities(&ca).vouch(&whole, NAME, START));
    let alone = ClientCertificate::of(&[leaf]).unwrap();
    assert!(!authorities(&ca).vouch(&alone, NAME, START));
}

#[test]
fn a_chain_has_a_limit_and_noise_is_no_certificate() {
    let one = CertificateDer::from(vec![0; 10]);
    assert!(ClientCertificate::of(&[]).is_none());
    assert!(ClientCertificate::of(&vec![one.clone(); 9]).is_none());
    let large = CertificateDer::from(vec![0; 70_000]);
    assert!(ClientCertificate::of(&[large]).is_none());
    let noise = ClientCertificate::of(&[one]).unwrap();
    assert!(!authorities(&ca()).vouch(&noise, NAME, START));
}
