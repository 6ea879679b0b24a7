//! `[keys]`, and where `[store]` says that the master key is.

use symbolon_protocol::Lifetime;

use super::super::document::Table;
use super::super::finding::Finding;
use super::super::schema::{KEYS, STORE};
use super::super::secret::{Form, SecretSource};
use super::super::{KeysConfig, MasterSource};
use super::{Loading, invalid, needs_feature};
use crate::keys::TokenUri;

/// What a verifier keeps a key set for, at least and at most, whatever it is
/// told: a shorter time would announce keys to nobody.
const CACHE_SECONDS: std::ops::RangeInclusive<u32> = 60..=24 * 60 * 60;

impl Loading<'_> {
    pub(super) fn keys(&mut self, root: &Table) -> KeysConfig {
        let mut keys = KeysConfig::default();
        let Some(table) = self.section(root, "keys", &KEYS) else {
            return keys;
        };
        for (name, value) in [
            ("rotation", &mut keys.rotation),
            ("key_set_cache", &mut keys.key_set_cache),
        ] {
            if let Some(given) = self.value::<Lifetime>(table, &KEYS, name) {
                *value = given;
            }
        }
        if let Some(given) = self.value(table, &KEYS, "experimental_ml_dsa") {
            keys.experimental_ml_dsa = given;
        }
        if let Some(given) = self.value(table, &KEYS, "saml_decryption") {
            keys.saml_decryption = given;
        }
        if keys.saml_decryption && !cfg!(feature = "saml") {
            let at = table.place("saml_decryption");
            self.add(needs_feature(
                "key.not_built",
                at,
                "`saml_decryption`",
                "saml",
            ));
        }
        if !CACHE_SECONDS.contains(&keys.key_set_cache.as_seconds()) {
            let at = table.place("key_set_cache");
            let why = "verifiers keep a set for at least `60s` and at most `24h`";
            self.add(invalid(&KEYS, "key_set_cache", at, why));
        }
        if keys.rotation != Lifetime::seconds(0) && keys.rotation < keys.key_set_cache {
            let at = table.place("rotation");
            let why = "a key is announced for longer than that; `0s` rotates by command alone";
            self.add(invalid(&KEYS, "rotation", at, why));
        }
        keys
    }

    pub(super) fn master_key(&mut self, table: &Table) -> MasterSource {
        if let Some(uri) = self.token(table, "master_key") {
            return MasterSource::Pkcs11(uri);
        }
        let (source, form) = self.kept_secret(table, "master_key", "data/master.key");
        if form == Some(Form::Inline) {
            self.add(master_key_inline(table, "master_key"));
        } else {
            self.check_master_key(&source, table, "master_key");
        }
        MasterSource::from(source)
    }

    /// The one before: never made, only read.
    pub(super) fn previous_master_key(&mut self, table: &Table) -> Option<MasterSource> {
        const NAME: &str = "previous_master_key";
        if let Some(uri) = self.token(table, NAME) {
            return Some(MasterSource::Pkcs11(uri));
        }
        let given = self.secret(table, NAME)?;
        let is_inline = given.form == Form::Inline;
        let source = SecretSource::Given(given.secret);
        if is_inline {
            self.add(master_key_inline(table, NAME));
        } else {
            self.check_master_key(&source, table, NAME);
        }
        Some(MasterSource::from(source))
    }

    fn token(&mut self, table: &Table, name: &str) -> Option<TokenUri> {
        let key = format!("{name}_pkcs11");
        let text: String = self.value(table, &STORE, &key)?;
        let at = table.place(&key);
        let forms = ["", "_file", "_env", "_command"].map(|form| format!("{name}{form}"));
        if let Some(other) = forms.iter().find(|form| table.has(form)) {
            self.add(
                Finding::error(
                    "secret.several",
                    at,
                    format!("both `{key}` and `{other}` give one secret"),
                )
                .because("nobody can tell which of them holds")
                .repair("keep one of them"),
            );
        }
        if !cfg!(feature = "pkcs11") {
            let part = format!("`{key}`");
            self.add(needs_feature("key.not_built", at, &part, "pkcs11"));
            return None;
        }
        match text.parse() {
            Ok(uri) => Some(uri),
            Err(error) => {
                self.add(invalid(&STORE, &key, at, &format!("{error}")));
                None
            }
        }
    }
}

impl From<SecretSource> for MasterSource {
    fn from(source: SecretSource) -> Self {
        match source {
            SecretSource::File(path) => Self::File(path),
            SecretSource::Given(secret) => Self::Given(secret),
        }
    }
}

fn master_key_inline(table: &Table, name: &str) -> Finding {
    Finding::error(
        "store.master_key.inline",
        table.place(name),
        "the master key stands in the file",
    )
    .because("it opens everything that is sealed, and configuration is copied about")
    .repair(format!(
        "use `{name}_file`, `{name}_env`, `{name}_command` or `{name}_pkcs11`"
    ))
}
