//! Which redirect URIs and issuers parse, and which are the same.

use super::*;

fn registered(text: &str) -> RedirectUri {
    text.parse().unwrap()
}

/// Attack: A010, A017, A022, A025, A050
#[test]
fn redirect_uris_that_cannot_be_registered() {
    for bad in [
        "",
        "/cb",
        "https:evil.test",
        "////evil.test/x",
        "///evil",
        "http://app.test/cb",
        "https://app.test/cb#f",
        "https://app.test/cb#",
        "https://a@b@app.test/cb",
        "https://a@app.test/cb",
        "https://@app.test/cb",
        "https://evil.test\\.app.test/cb",
        "https:\\\\evil.test",
        "https://ехample.org/cb",
        "https://xn--example-.org/cb",
        "https://app.test/cb/..;/evil",
        "https://app.test/cb/%2e%2e%3b/",
        "https://app.test/cb/../evil",
        "https://app.test/cb?code=x",
        "https://app.test/cb?x=1&state=",
        "https://app.test/cb?iss=x",
        "https://app.test/cb?error=x",
        "https://app.test/cb?response=x",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp://callback",
        "https://app.test/c b",
        "https://app.test/cb\n",
        "ftp://app.test/cb",
    ] {
        assert!(bad.parse::<RedirectUri>().is_err(), "{bad}");
    }
    // What one parser repairs, another repairs otherwise: it is read where an
    // earlier version stored it, and not taken anew.
    for bad in [
        "https:///evil.test/cb",
        "https:////evil.test/cb",
        "http:///127.0.0.1/cb",
        "https://%65vil.test/cb",
        "https://0x7f.1/cb",
        "https://1/cb",
        "https://*/cb",
        "https://a,b/cb",
        "https://a;b/cb",
        "https://app.test:/cb",
        "https://app.test:0443/cb",
    ] {
        assert!(!registered(bad).is_plain(), "{bad}");
    }
    for good in [
        "https://app.test/cb",
        "https://app.test/cb?tenant=1",
        "https://app.test:8443/cb",
        "http://127.0.0.1:3000/callback",
        "http://localhost/cb",
        "http://[::1]/cb",
        "com.example.app:/oauth",
        "com.example.app://oauth/cb",
    ] {
        assert!(registered(good).is_plain(), "{good}");
    }
}

/// Attack: A008, A014
#[test]
fn comparison_is_exact_text() {
    let uri = registered("https://app.test/cb");
    assert!(uri.accepts("https://app.test/cb", LoopbackPort::Exact));
    for other in [
        "https://app.test/cb/",
        "https://app.test/CB",
        "https://app.test:443/cb",
        "https://APP.test/cb",
        "https://app.test.evil.test/cb",
        "https://app.test/%63b",
        "https://app.test/cb%2f..%2fevil",
        "https://app.test/cb?next=//evil",
        "https://app.test/cb#x",
    ] {
        assert!(!uri.accepts(other, LoopbackPort::Any), "{other}");
    }
}

/// Attack: A016
#[test]
fn only_the_loopback_port_of_native_clients_may_differ() {
    let uri = registered("http://127.0.0.1/cb");
    assert!(uri.accepts("http://127.0.0.1:5123/cb", LoopbackPort::Any));
    assert!(!uri.accepts("http://127.0.0.1:5123/cb", LoopbackPort::Exact));
    for other in [
        "http://localhost:5/cb",
        "http://[::1]:5/cb",
        "http://2130706433/cb",
        "http://127.0.0.1:5/cb/x",
        "http://127.0.0.1:5@evil.test/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:5x/cb",
        "http://127.0.0.2:5/cb",
    ] {
        assert!(!uri.accepts(other, LoopbackPort::Any), "{other}");
    }
    assert!(registered("http://[::1]:1/cb").accepts("http://[::1]:9/cb", LoopbackPort::Any));
    assert!(
        !registered("https://127.0.0.1/cb").accepts("https://127.0.0.1:9/cb", LoopbackPort::Any)
    );
}

#[test]
fn issuers_are_written_one_way() {
    for good in [
        "https://as.test",
        "https://as.test/tenant",
        "http://127.0.0.1:8080",
        "http://localhost:1",
    ] {
        assert!(good.parse::<Issuer>().is_ok(), "{good}");
    }
    for bad in [
        "https://as.test/",
        "https://AS.test",
        "https://as.test:443",
        "http://as.test",
        "https://as.test/t?x",
        "https://as.test/t#",
        "https://as.test/a/../b",
    ] {
        assert!(bad.parse::<Issuer>().is_err(), "{bad}");
    }
    let issuer: Issuer = "https://as.test:8443/tenant".parse().unwrap();
    assert_eq!(issuer.path(), "/tenant");
    assert_eq!(issuer.origin(), "https://as.test:8443");
    assert_eq!(issuer.authority(), "as.test:8443");
}
