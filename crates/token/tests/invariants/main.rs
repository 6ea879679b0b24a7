//! What holds for every token in each of the four forms, and for any chain of
//! refresh, exchange, delegation and attenuation: one test for each sentence.
//!
//! A chain begins with what a person granted. Each step asks for anything, more
//! than there is included; what is refused makes no token. Each token is
//! written in a form of its own and read back as whoever checks it does, so
//! what is compared is what an API sees.
//!
//! Spec: RFC 6749 §6
//! Spec: RFC 8693 §1.1, §2.1
//! Spec: Macaroons NDSS 2014 §2
#![expect(clippy::unwrap_used, reason = "tests stop where something is missing")]

mod any;
mod chain;
mod entropy;
mod form;
mod size;
mod spelling;

use proptest::prelude::*;
use proptest::sample::Index;
use symbolon_protocol::Timestamp;
use symbolon_testkit::{Row, SeededEntropy};
use symbolon_token::authority::MAX_ACTORS;
use symbolon_token::refresh::RefreshToken;
use symbolon_token::revocation::{Revocation, Target};
use symbolon_token::{Authority, Id, Position, RevocationSet, Slot};

use self::any::{authority, bearer, chains, deep, narrower};
use self::chain::{Link, walk};
use self::form::{Form, ISSUER, Seen, keys, read, read_of, write};

fn cases(row: Row) -> ProptestConfig {
    ProptestConfig::with_cases(row.size(48, 20_000))
}

// I05: every token has exactly one issuer, tenant, client, subject and family,
// and none of them ever changes. The client does by exchange, and then the one
// before stays on record.
proptest! {
    #![proptest_config(cases(Row::I05))]
    #[test]
    fn i05_issuer_tenant_subject_and_family_never_change_and_a_client_stays_on_record(
        (root, steps) in chains(),
    ) {
        for Link { parent, child, .. } in walk(&root, steps) {
            prop_assert_eq!(&child.issuer, ISSUER);
            prop_assert_eq!(&child.subject, &parent.subject);
            prop_assert_eq!(&child.organization, &parent.organization);
            prop_assert_eq!(child.marks.family, parent.marks.family);
            prop_assert_eq!(child.marks.grant, parent.marks.grant);
            let on_record = child.names(Target::Client, parent.marks.client.unwrap());
            prop_assert!(child.client == parent.client || on_record);
        }
    }

    #[test]
    fn i05_a_token_of_another_issuer_is_no_token(root in bearer()) {
        for form in Form::ALL {
            let text = write(form, &root).unwrap();
            prop_assert!(read_of(ISSUER, form, &text).is_some());
            prop_assert!(read_of("https://as.example.org", form, &text).is_none());
        }
    }
}

// I06: scope(token) ⊆ scope(parent) ⊆ what was agreed to.
proptest! {
    #![proptest_config(cases(Row::I06))]
    #[test]
    fn i06_the_scope_of_a_token_is_within_its_parents_and_what_was_granted(
        (root, steps) in chains(),
    ) {
        for Link { parent, child, .. } in walk(&root, steps) {
            prop_assert!(child.scopes.is_within(&parent.scopes));
            prop_assert!(child.scopes.is_within(root.scopes()));
            prop_assert!(child.roles.iter().all(|role| parent.roles.contains(role)));
        }
    }
}

// I07: exp(token) ≤ exp(parent) ≤ the end of what was granted.
proptest! {
    #![proptest_config(cases(Row::I07))]
    #[test]
    fn i07_a_token_ends_no_later_than_its_parent_and_what_was_granted(
        (root, steps) in chains(),
    ) {
        for Link { parent, child, .. } in walk(&root, steps) {
            prop_assert!(child.ends <= parent.ends);
            prop_assert!(child.ends <= root.expires().seconds());
        }
    }
}

// I14: cnf(child) = cnf(parent) or stronger.
proptest! {
    #![proptest_config(cases(Row::I14))]
    #[test]
    fn i14_a_binding_never_weakens_and_is_never_absent_where_the_parent_has_one(
        (root, steps) in chains(),
    ) {
        for Link { parent, child, .. } in walk(&root, steps) {
            let (own, whole) = (child.binding, parent.binding);
            prop_assert!(whole.key.is_none() || own.key == whole.key);
            prop_assert!(whole.certificate.is_none() || own.certificate == whole.certificate);
        }
    }

    #[test]
    fn i14_what_is_bound_is_not_written_where_a_binding_cannot_be(root in authority()) {
        prop_assert_eq!(write(Form::Saml, &root).is_none(), root.binding().is_bound());
    }
}

// I15: audience(child) ⊆ audience(parent). Moving a token elsewhere is a policy
// of the server, and tested there.
proptest! {
    #![proptest_config(cases(Row::I15))]
    #[test]
    fn i15_an_audience_is_never_one_that_the_parent_lacks((root, steps) in chains()) {
        for Link { parent, child, .. } in walk(&root, steps) {
            prop_assert!(parent.audiences.contains(&child.audiences[0]));
            prop_assert_eq!(child.audiences.len(), 1);
        }
    }
}

// I16: a chain of actors has an end; revoking any link kills all below.
proptest! {
    #![proptest_config(cases(Row::I16))]
    #[test]
    fn i16_who_acts_stays_on_record_and_the_chain_has_an_end((root, steps) in deep()) {
        for Link { parent, child, .. } in walk(&root, steps) {
            prop_assert!(child.actors.ends_with(&parent.actors));
            prop_assert!(parent.may_act.is_none() || child.may_act == parent.may_act);
            prop_assert!(child.actors.len() <= parent.actors.len() + 1);
            prop_assert!(child.actors.len() <= MAX_ACTORS);
        }
    }

    #[test]
    fn i16_revoking_any_link_kills_all_below_and_nothing_above(
        (root, steps) in chains(), which in any::<Index>(),
    ) {
        let links = walk(&root, steps);
        if links.is_empty() {
            return Ok(());
        }
        let which = which.index(links.len());
        let position = Position { epoch: 1, sequence: 100 };
        let token = links[which].child.marks.token.unwrap();
        let mut records = RevocationSet::new(position);
        records.apply(Revocation {
            sequence: 1,
            target: Target::Token,
            name: token,
            expires: Timestamp::FAR,
        });
        for (at, link) in links.iter().enumerate() {
            let is_dead = records.hit(&link.child.marks, link.child.position).is_some();
            // What its holder narrowed has the id of what it was.
            let is_below = chain::comes_of(&links, at, token);
            prop_assert_eq!(is_dead, is_below, "{} of {}", at, which);
        }
    }
}

/// A character of the alphabet of tokens that is another one.
fn another(own: u8, by: u8) -> u8 {
    const ALPHABET: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
    let others: Vec<u8> = ALPHABET.iter().copied().filter(|one| *one != own).collect();
    others[usize::from(by) % others.len()]
}

/// The same with the character at a place changed.
fn changed(text: &str, at: usize, by: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = another(bytes[at], by);
    String::from_utf8(bytes).unwrap()
}

// I30: whatever verifies was made here with these exact bytes.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(Row::I30.size(3, 400)))]
    #[test]
    fn i30_any_changed_byte_is_refused_in_every_form(root in bearer(), by in any::<u8>()) {
        for form in Form::ALL {
            let text = write(form, &root).unwrap();
            // An assertion is long: each case takes another part of its bytes.
            let step = if form == Form::Saml { 11 } else { 1 };
            for at in (usize::from(by) % step..text.len()).step_by(step) {
                let bad = changed(&text, at, by);
                prop_assert!(read(form, &bad).is_none(), "{:?} {}", form, bad);
            }
        }
        let family = Id::new(Slot::of_client(root.client()), &SeededEntropy::new(by.into()));
        let token = RefreshToken::first(keys(), family, &SeededEntropy::new(9));
        let text = token.write(keys()).unwrap();
        for at in 0..text.len() {
            prop_assert!(RefreshToken::open(keys(), &changed(&text, at, by)).is_err());
        }
    }

    #[test]
    fn i30_cut_and_longer_texts_are_refused_in_every_form(
        root in bearer(), by in any::<u8>(), cut in 1..40_usize,
    ) {
        for form in Form::ALL {
            let text = write(form, &root).unwrap();
            prop_assert!(read(form, &text).is_some());
            let more = another(b' ', by) as char;
            for bad in [
                text[..text.len() - cut].to_owned(),
                text[cut..].to_owned(),
                format!("{text}{more}"),
                format!("{more}{text}"),
                format!("{text} "),
                format!("{text}\n"),
                format!("{text}{text}"),
                text.to_lowercase(),
                String::new(),
            ] {
                // Padding is another spelling, which one of the forms may have.
                let is_padding = form == Form::Macaroon && bad.trim_end_matches('=') == text;
                prop_assert!(is_padding || read(form, &bad).is_none(), "{:?} {}", form, bad);
            }
        }
    }
}

// XML has more than one spelling of one thing, and a signature covers the thing;
// but of its own assertions this server takes the one that it wrote.
proptest! {
    #![proptest_config(cases(Row::I30))]
    #[test]
    fn i30_a_changed_byte_of_the_xml_of_an_assertion_is_refused(
        root in bearer(), at in any::<Index>(), by in any::<u8>(), more in any::<bool>(),
    ) {
        let text = write(Form::Saml, &root).unwrap();
        prop_assert!(read(Form::Saml, &text).is_some());
        let xml = form::decoded(&text);
        let at = at.index(xml.len());
        let bad = match more {
            true => format!("{}{}{}", &xml[..at], another(b'\n', by) as char, &xml[at..]),
            false => changed(&xml, at, by),
        };
        prop_assert!(read(Form::Saml, &form::encoded(&bad)).is_none(), "{}", bad);
    }
}

// I31: verify(mint(a)) = a in each form; attenuate, then verify ⊆ the original.
proptest! {
    #![proptest_config(cases(Row::I31))]
    #[test]
    fn i31_verify_after_mint_is_the_identity_in_every_form(root in authority()) {
        for form in Form::ALL {
            let Some(text) = write(form, &root) else {
                prop_assert!(form == Form::Saml && root.binding().is_bound());
                continue;
            };
            let told = read(form, &text).unwrap();
            prop_assert_eq!(told.alone(), Seen::of(&root).alone(), "{:?}", form);
        }
        prop_assert_eq!(Authority::decode(&root.encode()), Some(root));
    }

    #[test]
    fn i31_attenuate_then_verify_is_within_the_original(root in authority(), by in narrower()) {
        let text = write(Form::Macaroon, &root).unwrap();
        let whole = form::opened(&text).unwrap();
        prop_assert_eq!(&whole, &root);

        let text = symbolon_token::macaroon::attenuate(&text, &by).unwrap();

        if let Some(left) = form::opened(&text) {
            prop_assert!(left.is_within(&whole));
        }
    }

    #[test]
    fn i31_a_refresh_token_is_read_back(seed in any::<u64>(), turns in 0..5_u8) {
        let entropy = SeededEntropy::new(seed);
        let family = Id::new(Slot::random(&entropy), &entropy);
        let mut token = RefreshToken::first(keys(), family, &entropy);
        for _ in 0..turns {
            token = token.successor(keys());
        }
        let again = RefreshToken::open(keys(), &token.write(keys()).unwrap()).unwrap();
        prop_assert_eq!(again.family, family);
        prop_assert_eq!(again.generation, token.generation);
        prop_assert!(again.digest() == token.digest());
    }
}
