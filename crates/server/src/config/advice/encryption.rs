//! What is wrong or unwise about encryption and about mapped claims.
//!
//! Spec: OpenID Connect Dynamic Client Registration 1.0 §2
//! Spec: RFC 9068 §6

use symbolon_protocol::encryption::DEFAULT_ENC;
use symbolon_protocol::{
    ClaimMappings, Client, KeyManagement, RegisteredKeys, Resource, TokenFormat,
};

use super::super::document::Table;
use super::super::finding::Finding;
use super::Advice;
use crate::encryption;

/// The members of one thing that is encrypted.
#[derive(Clone, Copy)]
struct Member {
    alg: &'static str,
    enc: &'static str,
    no_key: &'static str,
    default: &'static str,
}

const ACCESS_TOKEN: Member = Member {
    alg: "access_token_encrypted_response_alg",
    enc: "access_token_encrypted_response_enc",
    no_key: "resource.access_token_encrypted_response_alg.no_key",
    default: "resource.access_token_encrypted_response_enc.default",
};

const ANSWERS: [Member; 3] = [
    Member {
        alg: "id_token_encrypted_response_alg",
        enc: "id_token_encrypted_response_enc",
        no_key: "client.id_token_encrypted_response_alg.no_key",
        default: "client.id_token_encrypted_response_enc.default",
    },
    Member {
        alg: "userinfo_encrypted_response_alg",
        enc: "userinfo_encrypted_response_enc",
        no_key: "client.userinfo_encrypted_response_alg.no_key",
        default: "client.userinfo_encrypted_response_enc.default",
    },
    Member {
        alg: "introspection_encrypted_response_alg",
        enc: "introspection_encrypted_response_enc",
        no_key: "client.introspection_encrypted_response_alg.no_key",
        default: "client.introspection_encrypted_response_enc.default",
    },
];

impl Advice<'_, '_> {
    pub(super) fn on_encryption_of(&mut self, client: &Client, table: &Table) {
        let keys = client.registered_keys();
        for (name, alg) in client.encryption.wanted() {
            let Some(member) = ANSWERS.into_iter().find(|own| own.alg == name) else {
                continue;
            };
            self.on_key(member, (alg, keys), table);
        }
        self.on_sensitive("client.claims.sensitive", &client.claims, table);
    }

    pub(super) fn on_encryption_at(&mut self, resource: &Resource, table: &Table) {
        let keys = resource.registered_keys();
        if let Some(encryption) = resource.encryption() {
            self.on_key(ACCESS_TOKEN, (encryption.alg, keys), table);
        }
        self.on_key_set(
            (
                "resource.jwks_uri.http",
                "resource.jwks.invalid",
                "resource.jwks.private",
            ),
            keys,
            table,
        );
        self.on_sensitive("resource.claims.sensitive", &resource.claims, table);
        let is_open = resource.token_format == TokenFormat::Jwt && resource.encryption().is_none();
        if is_open && resource.claims.is_personal() {
            self.add(
                Finding::warning(
                    "resource.claims.readable",
                    table.place("claims"),
                    format!(
                        "whoever holds a token for `{}` reads what is mapped about the person",
                        resource.identifier
                    ),
                )
                .because("a JWT is signed, not secret, and clients and logs see it")
                .repair(format!(
                    "register a key of the resource and `{}`, or write `token_format = \"opaque\"`",
                    ACCESS_TOKEN.alg
                )),
            );
        }
    }

    fn on_key(
        &mut self,
        member: Member,
        (alg, keys): (KeyManagement, RegisteredKeys<'_>),
        table: &Table,
    ) {
        if encryption::lack(keys, alg) {
            let message = format!("`{}`: {}", member.alg, encryption::lacking(alg));
            self.add(
                Finding::error(member.no_key, table.place(member.alg), message)
                    .because("what is to be encrypted is never sent otherwise, so nothing could be issued")
                    .repair("add the public half of a key whose private half only the reader has"),
            );
        }
        if !table.has(member.enc) {
            self.add(
                Finding::warning(
                    member.default,
                    table.place(member.alg),
                    format!("`{}` is not given, so `{DEFAULT_ENC}` is used", member.enc),
                )
                .because("registration means `A128CBC-HS256` by that, which this server does not write, and a reader may wait for it")
                .repair(format!("write `{} = \"{DEFAULT_ENC}\"`", member.enc)),
            );
        }
    }

    fn on_sensitive(&mut self, code: &'static str, claims: &ClaimMappings, table: &Table) {
        let marked = &self.draft.server.sensitive_claims;
        if let Some(name) = claims.first_sensitive(marked) {
            self.add(
                Finding::error(
                    code,
                    table.place("claims"),
                    format!("`claims` tells `{name}`, which is among `sensitive_claims`"),
                )
                .because("what is marked sensitive enters no token, under whatever name")
                .repair("take it out of `claims`, or out of `sensitive_claims`"),
            );
        }
    }
}
